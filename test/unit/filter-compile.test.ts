import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Filter, FilterValue } from '../../src/filter/ast.ts';
import { compileFilter } from '../../src/filter/compile.ts';
import { parseFilter } from '../../src/filter/parse.ts';
import { wildcard } from '../../src/filter/wildcard.ts';
import type { LookupView } from '../../src/lookup/view.ts';
import type { ConnectionEvent, Question, ResourceRecord } from '../../src/model.ts';
import { typeName } from '../../src/tables/rrtypes.ts';
import { viewOf } from './message-bytes.ts';
import { connectionLog, identity, lookup, record, type Spec } from './sink-events.ts';

function filterOf(text: string): Filter {
  const result = parseFilter(text);
  if ('problem' in result) throw new Error(`${text}: ${result.problem.message}`);
  return result.value;
}

async function matches(text: string, spec: Spec): Promise<boolean> {
  const { lookup: judge } = await compileFilter(filterOf(text));
  return judge(viewOf(lookup(spec)));
}

const WEB = identity({
  pid: 4711,
  resource: {
    'process.executable.name': 'python3.11',
    'process.executable.path': '/usr/bin/python3.11',
    'process.command': 'python3',
    'process.command_args': ['python3', '-m', 'update'],
    'process.parent_pid': 17,
    'process.user.id': 33,
    'process.user.name': 'www-data',
    'whodns.process.parent.executable.name': 'sshd',
    'container.name': 'web',
    'container.id': '4c01db0b339c9a4d9d12a9e1a7b2c2e8a9f2f2c7d4d5e6f708192a3b4c5d6e7f',
    'container.image.name': 'registry.example/shop/nginx',
    'k8s.pod.name': 'web-7',
    'k8s.namespace.name': 'shop',
    'process.linux.cgroup': '0::/system.slice/ssh.service',
    'service.name': 'checkout',
    'host.name': 'node-7',
  },
});
const UNKNOWN = identity({ pid: 0, attribution: 'none', executableName: '', resource: {} });
const LOOKUP: Spec = {
  name: 'WWW.Shop.Example',
  process: WEB,
  duration: 12_300_000n,
  answers: [
    record('www.shop.example', 5, 'Mail.Example'),
    record('mail.example', 1, '203.0.113.66'),
    record('mail.example', 28, '2001:db8::7'),
  ],
};
const NOTHING: Spec = {
  name: 'a.b',
  type: 28,
  outcome: 'timeout',
  process: UNKNOWN,
  raw: { transport: 'tcp', remote: { address: '2001:db8::53', port: 5353 } },
};
const question = (name: string, type = 1): Question => ({ name, type, class: 1 });

describe('a compiled filter', () => {
  for (const filter of [
    'name=www.shop.example',
    'name=*.example',
    'name=*.shop.example',
    'name=www.*.ex?mple',
    'name~/^www\\.SHOP/',
    'domain=example',
    'domain=shop.example',
    'domain=www.shop.example',
    'domain=.',
    'type=A',
    'type in (MX, A)',
    'rcode=NOERROR',
    'outcome=answered',
    'not failed',
    'latency>12ms and latency<=12.3ms',
    'retries=0',
    'answer=203.0.113.66',
    'answer=203.0.113.0/24',
    'answer=2001:db8::/32',
    'answer=mail.example',
    'answer~/^Mail/',
    'server=192.0.2.53',
    'server=192.0.2.0/24',
    'server=0.0.0.0/0',
    'port=53',
    'transport=udp',
    'process=python*',
    'executable=/usr/*',
    'command=update',
    'command=python3',
    'pid=4711',
    'parent=sshd',
    'ppid=17',
    'user=www-data',
    'user=33',
    'uid<1000',
    'container=web',
    'container=4c01db0b339c',
    'image=*/nginx',
    'pod=web-*',
    'namespace=shop',
    'cgroup=*/ssh.service',
    'service=checkout',
    'host=node-7',
  ])
    it(`${filter} is true of a lookup that is so, and its opposite is not`, async () => {
      assert.equal(await matches(filter, LOOKUP), true);
      assert.equal(await matches(`not (${filter})`, LOOKUP), false);
    });

  for (const filter of [
    'name=shop.example',
    'name=*.www.shop.example',
    'name=www.shop.example.org',
    'domain=hop.example',
    'domain=a.www.shop.example',
    'rcode=NXDOMAIN',
    'answer=203.0.113.0/29',
    'answer=::/96',
    'answer=Mail.Exampl',
    'server=192.0.2.128/25',
    'server=::/0 and not server=::ffff:0:0/96',
    'process=python',
    'container=4c01db0b339',
    'container=01db0b339c9a',
    'uid=0',
    'pod=WEB-7',
  ])
    it(`${filter} is false of it`, async () => assert.equal(await matches(filter, LOOKUP), false));

  it('is false of what is unknown, and true of its opposite', async () => {
    for (const filter of [
      'rcode=NOERROR',
      'latency<1s',
      'answer=0.0.0.0/0',
      'process=*',
      'pid<9',
      'uid=0',
      'user=*',
      'pod=*',
      'container=*',
      'host~/./',
    ]) {
      assert.equal(await matches(filter, NOTHING), false, filter);
      assert.equal(await matches(`not ${filter}`, NOTHING), true, filter);
    }
    assert.equal(
      await matches(
        'failed and outcome=timeout and transport=tcp and port=5353 and server=2001:db8::/64',
        NOTHING,
      ),
      true,
    );
  });

  it('judges by what the program dialled', async () => {
    const dialed: Spec = {
      raw: { dialed: { address: '10.96.0.10', port: 53 }, remote: { address: '10.1.2.3', port: 1053 } },
    };
    assert.equal(await matches('server=10.96.0.10 and port=53', dialed), true);
    assert.equal(await matches('server=10.1.2.3 or port=1053', dialed), false);
  });

  it('sees every question, none where there is none', async () => {
    const questions = [question('a.example'), question('evil.test', 16)];
    const several: Spec = {
      request: { questions, questionCount: 2 },
      response: { questions, questionCount: 2 },
    };
    assert.equal(await matches('name=evil.test', several), true);
    assert.equal(await matches('type=TXT', several), true);
    const none: Spec = {
      request: { questions: [], questionCount: 0 },
      response: { questions: [], questionCount: 0 },
    };
    for (const filter of ['name=*', 'domain=.', 'type=A', 'name~/./'])
      assert.equal(await matches(filter, none), false, filter);
  });

  it('calls failed what is an error for the program', async () => {
    for (const rcode of [1, 2, 3, 5]) assert.equal(await matches('failed', { rcode }), true);
    assert.equal(await matches('failed', { rcode: 0, answers: [] }), false);
    for (const outcome of ['timeout', 'connection_refused', 'host_unreachable'] as const)
      assert.equal(await matches('failed', { outcome }), true);
    for (const outcome of ['unknown', 'sent'] as const)
      assert.equal(await matches('failed', { outcome }), false);
  });

  it('judges connections by what they have', async () => {
    const resolution = {
      names: ['api.example', 'cdn.test'],
      scope: 'process',
      answered: 0n,
      expires: 9n,
    } as const;
    const event = connectionLog(resolution).connection as ConnectionEvent;
    const judge = async (text: string) => (await compileFilter(filterOf(text))).connection(event);
    for (const filter of [
      'name=cdn.test',
      'domain=example',
      'answer=192.0.2.0/24',
      'port=443',
      'process=curl',
      'not failed',
    ])
      assert.equal(await judge(filter), true, filter);
    for (const filter of [
      'rcode=NOERROR',
      'type=A',
      'latency<9s',
      'server=0.0.0.0/0',
      'failed',
      'transport=udp',
    ])
      assert.equal(await judge(filter), false, filter);
  });

  it('takes linear time for a regular expression made to be slow', async () => {
    const { lookup: judge } = await compileFilter(
      filterOf('name~/^(([a-z])+.)+[0-9]([a-z])+$/ or name~/(a*)*(a*)*(a*)*b/'),
    );
    const view = viewOf(lookup({ name: Array(4).fill('a'.repeat(62)).join('.') }));
    const start = performance.now();
    for (let i = 0; i < 20; i++) assert.equal(judge(view), false);
    assert.ok(performance.now() - start < 2000, `${performance.now() - start} ms`);
  });

  it('refuses a regular expression that would be large', async () => {
    await assert.rejects(
      compileFilter(filterOf('name~/(?:[a-z]{90}){10}(?:[0-9]{90}){10}(?:x{99}y{99}){9}/')),
      /too large|repetition|invalid/,
    );
  });

  it('says the same as a plain reading of its meaning, for any filter and lookup', async () => {
    await fc.assert(
      fc.asyncProperty(filters, fc.array(specs, { minLength: 1, maxLength: 5 }), async (filter, some) => {
        const { lookup: judge } = await compileFilter(filter);
        for (const spec of some) {
          const view = viewOf(lookup(spec));
          assert.equal(judge(view), plain(filter, view), JSON.stringify({ filter }));
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('matches patterns as a regular expression would', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 8 });
    fc.assert(
      fc.property(
        letters,
        fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 }),
        (pattern, text) => {
          assert.equal(wildcard(pattern)(text), globRegex(pattern).test(text), `${pattern} ${text}`);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

function globRegex(pattern: string): RegExp {
  return new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
}

const label = fc.constantFrom('a', 'b', 'Shop', 'shop', 'www');
const domainNames = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const addresses = fc.constantFrom('10.0.0.53', '10.1.0.1', '192.0.2.1', '2001:db8::1', '2001:db8:1::1');
const answers: fc.Arbitrary<ResourceRecord> = fc.oneof(
  addresses.map((address) => record('x.example', address.includes(':') ? 28 : 1, address)),
  domainNames.map((name) => record('x.example', 5, name)),
);
const specs: fc.Arbitrary<Spec> = fc
  .record({
    name: domainNames,
    type: fc.constantFrom(1, 28, 15),
    rcode: fc.constantFrom(0, 2, 3),
    answers: fc.array(answers, { maxLength: 3 }),
    outcome: fc.constantFrom('answered', 'answered', 'timeout', 'unknown', 'connection_refused'),
    duration: fc.bigInt({ min: 0n, max: 100n }),
    retries: fc.integer({ min: 0, max: 2 }),
    process: fc.constantFrom(WEB, UNKNOWN, identity()),
    server: addresses,
    transport: fc.constantFrom('udp' as const, 'tcp' as const),
  })
  .map(({ server, transport, ...rest }) => ({
    ...(rest as Spec),
    raw: { transport, family: server.includes(':') ? 6 : 4, remote: { address: server, port: 53 } },
  }));

const block = (text: string): FilterValue => {
  const filter = filterOf(`server=${text}`);
  if (filter.kind !== 'compare' || filter.values[0] === undefined) throw new Error(text);
  return filter.values[0];
};
const blocks = fc
  .constantFrom('10.0.0.0/8', '10.0.0.53', '10.0.0.0/15', '2001:db8::/32', '2001:db8::1', '::/0')
  .map(block);
const plainText = domainNames.map(
  (text): FilterValue => ({ kind: 'text', text: text.toLowerCase(), isPattern: false }),
);
const patterns = fc
  .constantFrom('*.shop', '*', 'a*', '*b', 'w?w.*', '*.a.b', 'python*', '?url')
  .map((text): FilterValue => ({ kind: 'text', text, isPattern: true }));
const numbers = fc.integer({ min: 0, max: 100 }).map((number): FilterValue => ({ kind: 'number', number }));
const comparisons: fc.Arbitrary<Filter> = fc.oneof(
  ...(
    [
      ['name', plainText],
      ['name', patterns],
      ['domain', domainNames.map((name): FilterValue => ({ kind: 'domain', domain: name.toLowerCase() }))],
      ['type', fc.constantFrom(1, 28).map((number): FilterValue => ({ kind: 'number', number }))],
      ['rcode', fc.constantFrom(0, 3).map((number): FilterValue => ({ kind: 'number', number }))],
      ['server', blocks],
      ['answer', fc.oneof(blocks, plainText)],
      [
        'process',
        fc.oneof(patterns, fc.constant<FilterValue>({ kind: 'text', text: 'curl', isPattern: false })),
      ],
    ] as const
  ).map(([field, value]) =>
    fc
      .array(value, { minLength: 1, maxLength: 3 })
      .map((values): Filter => ({ kind: 'compare', field, operator: '=', values })),
  ),
  fc
    .tuple(
      fc.constantFrom('latency' as const, 'retries' as const, 'uid' as const),
      fc.constantFrom('<', '<=', '>', '>=', '='),
      numbers,
    )
    .map(
      ([field, operator, value]): Filter => ({
        kind: 'compare',
        field,
        operator: operator as '<',
        values: [value],
      }),
    ),
  fc.boolean().map(
    (boolean): Filter => ({
      kind: 'compare',
      field: 'failed',
      operator: '=',
      values: [{ kind: 'boolean', boolean }],
    }),
  ),
);
const { filters } = fc.letrec<{ filters: Filter }>((tie) => ({
  filters: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    comparisons,
    tie('filters').map((operand): Filter => ({ kind: 'not', operand })),
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('filters'), { minLength: 2, maxLength: 3 }),
      )
      .map(([kind, operands]): Filter => ({ kind, operands })),
  ),
}));

/** From the texts of the lookup alone, as src/filter/ast.ts says it. */
function plain(filter: Filter, view: LookupView): boolean {
  if (filter.kind === 'not') return !plain(filter.operand, view);
  if (filter.kind !== 'compare')
    return filter.kind === 'and'
      ? filter.operands.every((each) => plain(each, view))
      : filter.operands.some((each) => plain(each, view));
  const has = known(filter.field, view);
  return has.some((one) => filter.values.some((value) => isSo(one, filter.operator, value)));
}

function known(field: string, view: LookupView): readonly (string | number | boolean)[] {
  const { asked, response, request, outcome, process } = view;
  const names = asked.questions.map(({ name }) => name.toLowerCase());
  if (field === 'name' || field === 'domain') return names;
  if (field === 'type')
    return asked.questions.map(({ type }) => Number(type === 1 ? 1 : typeName(type) === 'AAAA' ? 28 : type));
  if (field === 'rcode') return response === undefined ? [] : [response.message.rcode];
  if (field === 'server') return [request.raw.remote.address];
  if (field === 'answer') return response?.message.answers.flatMap(({ data }) => [data.toLowerCase()]) ?? [];
  if (field === 'process')
    return [process.resource['process.executable.name']].flatMap((name) =>
      typeof name === 'string' ? [name] : [],
    );
  if (field === 'latency') return view.duration === undefined ? [] : [Number(view.duration)];
  if (field === 'retries') return [view.retries];
  if (field === 'uid')
    return [process.resource['process.user.id']].flatMap((id) => (typeof id === 'number' ? [id] : []));
  if (field === 'failed')
    return [response === undefined ? !['unknown', 'sent'].includes(outcome) : response.message.rcode !== 0];
  throw new Error(field);
}

function isSo(one: string | number | boolean, operator: string, value: FilterValue): boolean {
  if (value.kind === 'number') return typeof one === 'number' && isOrdered(one, operator, value.number);
  if (value.kind === 'boolean') return one === value.boolean;
  const text = String(one);
  if (value.kind === 'text') return value.isPattern ? globRegex(value.text).test(text) : text === value.text;
  if (value.kind === 'domain') return text === value.domain || text.endsWith(`.${value.domain}`);
  if (value.kind !== 'address') throw new Error(value.kind);
  const bits = (bytes: readonly number[]) =>
    bytes
      .map((byte) => byte.toString(2).padStart(8, '0'))
      .join('')
      .slice(0, value.prefix);
  let whole: FilterValue;
  try {
    whole = block(text);
  } catch {
    return false;
  }
  return whole.kind === 'address' && bits(whole.bytes) === bits(value.bytes);
}

function isOrdered(one: number, operator: string, other: number): boolean {
  if (operator === '=') return one === other;
  if (operator.endsWith('=') && one === other) return true;
  return operator.startsWith('<') ? one < other : one > other;
}
