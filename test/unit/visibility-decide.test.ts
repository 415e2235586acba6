/** Levels and conflicts: the nearest level that says something wins, inside the fence of the configuration. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSelector } from '../../src/lib/label-selector.ts';
import {
  type Decision,
  decide,
  decideHost,
  type Level,
  type Policy,
  type Subject,
  type Unknown,
} from '../../src/visibility/decide.ts';

const OPEN: Policy = {
  default: 'on',
  host: undefined,
  includeNamespaces: [],
  excludeNamespaces: [],
  includePods: [],
  excludePods: [],
};
const NOBODY: Subject = {
  namespace: undefined,
  labels: undefined,
  annotations: undefined,
  namespaceAnnotations: undefined,
  container: undefined,
};

function selector(text: string) {
  const parsed = parseSelector(text);
  assert.ok('value' in parsed);
  return parsed.value;
}

function judge(subject: Partial<Subject>, policy: Partial<Policy> = {}): Decision & { unknown: Unknown[] } {
  const unknown: Unknown[] = [];
  return {
    ...decide({ ...OPEN, ...policy }, { ...NOBODY, ...subject }, (one) => unknown.push(one)),
    unknown,
  };
}

const KEY = 'whodns/capture';
const ARMOR = 'kubearmor-visibility';
/** What namespace, pod and container annotations say -> level and origin. `-`: nothing. */
const LEVELS: readonly (readonly [
  namespace: string,
  pod: string,
  container: string,
  level: Level,
  origin: string,
])[] = [
  ['-', '-', '-', 'on', 'default'],
  ['off', '-', '-', 'off', 'namespace'],
  ['metrics', '-', '-', 'metrics', 'namespace'],
  ['on', '-', '-', 'on', 'namespace'],
  ['-', 'off', '-', 'off', 'pod'],
  ['-', 'metrics', '-', 'metrics', 'pod'],
  ['-', '-', 'off', 'off', 'container'],
  ['off', 'on', '-', 'on', 'pod'],
  ['on', 'off', '-', 'off', 'pod'],
  ['off', '-', 'on', 'on', 'container'],
  ['off', 'off', 'on', 'on', 'container'],
  ['on', 'on', 'metrics', 'metrics', 'container'],
  // values that nobody understands say nothing
  ['off', 'yes', '-', 'off', 'namespace'],
  ['-', 'OFF', '-', 'on', 'default'],
  ['-', '', '-', 'on', 'default'],
  ['-', 'off', 'maybe', 'off', 'pod'],
  ['false', 'true', '1', 'on', 'default'],
  ['-', ' off\n', '-', 'off', 'pod'],
];

describe('visibility levels', () => {
  for (const [namespace, pod, container, level, origin] of LEVELS) {
    it(`namespace ${namespace}, pod ${JSON.stringify(pod)}, container ${container}: ${level} by ${origin}`, () => {
      const annotations: Record<string, string> = {};
      if (pod !== '-') annotations[KEY] = pod;
      if (container !== '-') annotations[`${KEY}.app`] = container;
      const namespaceAnnotations = namespace === '-' ? {} : { [KEY]: namespace };
      const { level: found, origin: by } = judge({ annotations, namespaceAnnotations, container: 'app' });
      assert.deepEqual([found, by], [level, origin]);
    });
  }

  it('says which value it did not understand', () => {
    const { unknown, level } = judge({
      annotations: { [KEY]: 'yes' },
      namespaceAnnotations: { [KEY]: 'no' },
    });
    assert.equal(level, 'on');
    assert.deepEqual(unknown, [
      { origin: 'pod', key: KEY, value: 'yes' },
      { origin: 'namespace', key: KEY, value: 'no' },
    ]);
  });

  it("another container's annotation is not its own", () =>
    assert.equal(judge({ annotations: { [`${KEY}.side`]: 'off' }, container: 'app' }).level, 'on'));

  it('the global default and the host have levels of their own', () => {
    assert.equal(judge({}, { default: 'metrics' }).level, 'metrics');
    assert.equal(judge({ annotations: { [KEY]: 'on' } }, { default: 'off' }).level, 'on');
    assert.deepEqual(decideHost({ ...OPEN, default: 'off' }).level, 'off');
    assert.deepEqual(decideHost({ ...OPEN, default: 'off', host: 'on' }), {
      level: 'on',
      origin: 'host',
      reason: '--capture-host',
    });
  });

  it('long hostile values are cut before they are shown', () => {
    const { unknown } = judge({ annotations: { [KEY]: '\u{1f4a3}'.repeat(100_000) } });
    assert.ok((unknown[0]?.value.length ?? 0) < 70);
  });

  it('a key or value of any kind never throws, and only the three words decide', () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.string()),
        fc.string(),
        fc.string(),
        (extra, value, container) => {
          const annotations = { ...extra, [KEY]: value };
          const { level, origin } = judge({ annotations, container });
          const words = ['on', 'off', 'metrics'];
          if (origin === 'pod') assert.ok(words.includes(value.trim()));
          assert.ok(words.includes(level));
        },
      ),
    ));

  it('names of Object.prototype are no annotations', () => {
    assert.equal(judge({ annotations: {}, container: '__proto__' }).origin, 'default');
    assert.equal(judge({ labels: {} }, { excludePods: [selector('constructor')] }).level, 'on');
  });
});

describe('kubearmor-visibility', () => {
  const VALUES: readonly (readonly [value: string, level: Level, origin: string])[] = [
    ['dns', 'on', 'pod'],
    ['process, file,dns , network', 'on', 'pod'],
    ['none', 'off', 'pod'],
    ['none,dns', 'on', 'pod'],
    // says nothing about DNS: the level below decides (metrics by its namespace)
    ['process,file,network', 'metrics', 'namespace'],
    ['dnsmasq,mdns', 'metrics', 'namespace'],
    ['nonesuch', 'metrics', 'namespace'],
    ['DNS', 'metrics', 'namespace'],
    ['', 'metrics', 'namespace'],
  ];
  for (const [value, level, origin] of VALUES) {
    it(`${JSON.stringify(value)}: ${level} by ${origin}`, () => {
      const found = judge({ annotations: { [ARMOR]: value }, namespaceAnnotations: { [KEY]: 'metrics' } });
      assert.deepEqual([found.level, found.origin, found.unknown], [level, origin, []]);
    });
  }

  it('counts only where our own key is absent at that level', () => {
    assert.equal(judge({ annotations: { [ARMOR]: 'dns', [KEY]: 'off' } }).level, 'off');
    assert.equal(judge({ annotations: { [ARMOR]: 'none', [KEY]: 'nonsense' } }).level, 'on');
    assert.equal(
      judge({ annotations: { [ARMOR]: 'none' }, namespaceAnnotations: { [KEY]: 'on' } }).level,
      'off',
    );
    assert.equal(judge({ namespaceAnnotations: { [ARMOR]: 'none' } }).origin, 'namespace');
  });
});

describe('the fence of the configuration', () => {
  const loud = { annotations: { [KEY]: 'on', [`${KEY}.app`]: 'on' }, container: 'app' };
  const CASES: readonly (readonly [
    what: string,
    subject: Partial<Subject>,
    policy: Partial<Policy>,
    reason: string | undefined,
  ])[] = [
    [
      'excluded namespace',
      { ...loud, namespace: 'dev' },
      { excludeNamespaces: ['dev'] },
      '--exclude-namespace',
    ],
    ['pattern', { ...loud, namespace: 'dev-7' }, { excludeNamespaces: ['dev-*'] }, '--exclude-namespace'],
    ['another namespace', { ...loud, namespace: 'prod' }, { excludeNamespaces: ['dev'] }, undefined],
    ['included', { ...loud, namespace: 'prod' }, { includeNamespaces: ['prod', 'shop'] }, undefined],
    ['not included', { ...loud, namespace: 'dev' }, { includeNamespaces: ['prod'] }, '--include-namespace'],
    ['namespace not known: not included', loud, { includeNamespaces: ['prod'] }, '--include-namespace'],
    ['namespace not known: not excluded', loud, { excludeNamespaces: ['*'] }, undefined],
    [
      'both: exclude wins',
      { ...loud, namespace: 'prod' },
      { includeNamespaces: ['prod'], excludeNamespaces: ['prod'] },
      '--exclude-namespace',
    ],
    [
      'excluded pods',
      { ...loud, labels: { app: 'web' } },
      { excludePods: [selector('app=web')] },
      '--exclude-pods',
    ],
    [
      'any of several',
      { ...loud, labels: { app: 'web' } },
      { excludePods: [selector('app=db'), selector('app')] },
      '--exclude-pods',
    ],
    [
      'included pods',
      { ...loud, labels: { app: 'web' } },
      { includePods: [selector('app in (web, db)')] },
      undefined,
    ],
    [
      'pods not included',
      { ...loud, labels: { app: 'x' } },
      { includePods: [selector('app in (web,db)')] },
      '--include-pods',
    ],
    ['labels not known: not included', loud, { includePods: [selector('!old')] }, '--include-pods'],
    [
      'each kind of include must be met',
      { ...loud, namespace: 'prod', labels: {} },
      { includeNamespaces: ['prod'], includePods: [selector('app')] },
      '--include-pods',
    ],
  ];
  for (const [what, subject, policy, reason] of CASES) {
    it(`${what}: ${reason ?? 'inside'}`, () => {
      const found = judge(subject, policy);
      const expected =
        reason === undefined
          ? ['on', 'container', 'whodns/capture.app: on']
          : ['off', 'configuration', reason];
      assert.deepEqual([found.level, found.origin, found.reason], expected);
    });
  }
});
