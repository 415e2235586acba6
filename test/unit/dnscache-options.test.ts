/** `--dnscache`: words, repeated or as a list; off unless asked for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseArguments } from '../../src/cli/arguments.ts';
import { resolveConfig } from '../../src/config/config.ts';

function limits(...argv: readonly string[]) {
  const invocation = parseArguments(argv, '0.0.0');
  assert.ok(invocation.command !== 'print');
  return resolveConfig(invocation.command, invocation.flags, {}).config.dnsCache;
}

describe('--dnscache', () => {
  it('is off by default', () => assert.equal(limits(), undefined));

  const cases: readonly [readonly string[], ReturnType<typeof limits>][] = [
    [['enable'], { trees: 5000, nodes: 80_000 }],
    [['size=10'], { trees: 10, nodes: 160 }],
    [['enable,size=10,nodes=20'], { trees: 10, nodes: 20 }],
    [['enable', 'size=10', 'nodes=20'], { trees: 10, nodes: 20 }],
    [['nodes=50', 'size=7'], { trees: 7, nodes: 50 }],
    [['size=7', 'none'], undefined],
    [['none', 'enable'], { trees: 5000, nodes: 80_000 }],
  ];
  for (const [words, expected] of cases)
    it(words.join(' '), () =>
      assert.deepEqual(limits(...words.flatMap((word) => ['--dnscache', word])), expected),
    );

  for (const bad of [
    '',
    'on',
    'size',
    'size=',
    'size=0',
    'size=1e3',
    'size=-1',
    'size=1000001',
    'nodes=1',
    'enable,,size=3',
    'size=3;',
  ])
    it(`"${bad}" is refused`, () => assert.throws(() => limits('--dnscache', bad), { exitCode: 2 }));

  it('without answers there is nothing to remember', () => {
    const { warnings } = resolveConfig('run', { dnsCache: ['enable'], emit: 'request' }, {});
    assert.deepEqual(warnings, ['--dnscache learns nothing with --emit request: there are no answers']);
  });

  it('by variable', () => {
    const { config } = resolveConfig('run', {}, { WHODNS_DNSCACHE: 'enable,size=9' });
    assert.deepEqual(config.dnsCache, { trees: 9, nodes: 144 });
  });

  it('help prints the options', () => {
    for (const words of ['help', 'enable,help']) {
      const invocation = parseArguments(['--dnscache', words], '0.0.0');
      assert.ok(invocation.command === 'print');
      for (const word of ['enable', 'size=N', 'nodes=N', '5000']) assert.ok(invocation.text.includes(word));
    }
  });
});
