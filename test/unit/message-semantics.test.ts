/** What a message is about: all its questions, its opcode, and the question that only the answer holds. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { decodeMessage } from '../../src/dns/message.ts';
import { DnsCache } from '../../src/dnscache/index.ts';
import { EventView, LookupView } from '../../src/lookup/view.ts';
import type { Question } from '../../src/model.ts';
import { cellsOf } from '../../src/records/cells.ts';
import { LookupSeries } from '../../src/sinks/metrics/lookup-series.ts';
import { OPCODES } from '../../src/tables/classes.ts';
import { answer, request, setUp } from './correlate-events.ts';
import { sceneOf } from './detect-events.ts';
import { messageBytes, viewOf } from './message-bytes.ts';
import { lookup, record, recordOf, type Spec, TIME } from './sink-events.ts';

const ask = (name: string, type = 1, of = 1): Question => ({ name, type, class: of });
const attributesOf = (spec: Spec) => recordOf(lookup(spec)).attributes;

const TWO = [ask('cover.example.com', 16), ask('hidden.evil.test', 28, 3)];

test('several questions: the first by its parts, all in a list, bounded', () => {
  const { attributes, body } = recordOf(lookup({ request: { questions: TWO } }));
  assert.equal(attributes['dns.question.name'], 'cover.example.com');
  assert.equal(attributes['dns.question.type'], 'TXT');
  assert.deepEqual(attributes['whodns.questions'], ['cover.example.com TXT', 'hidden.evil.test AAAA CH']);
  assert.match(body, /^TXT cover\.example\.com \+1: /);
  assert.equal(attributesOf({})['whodns.questions'], undefined);

  const names = Array.from({ length: 400 }, (_, i) => ask(`n${i}.${'x'.repeat(60)}.test`));
  const many = attributesOf({ request: { questions: names } });
  assert.equal((many['whodns.questions'] as string[]).length, 100);
  assert.equal(many['whodns.questions.omitted'], 300);
});

test('several questions: the table says how many more', () => {
  const cells = cellsOf(recordOf(lookup({ request: { questions: TWO } })));
  assert.equal(cells.name, 'cover.example.com +1');
  const hostile = [ask('a\\027b.test'), ask('c.test')];
  assert.equal(cellsOf(recordOf(lookup({ request: { questions: hostile } }))).name, 'a\\027b.test +1');
});

test('several questions: detections see each of them', async () => {
  const { ask: see, findings } = await sceneOf(['tunnel']);
  for (let i = 0; i < 600; i++) {
    const data = createHash('sha256').update(String(i)).digest('hex').slice(0, 50);
    const questions = [ask('www.example.com'), ask(`${data}.t.exfil.example`)];
    see(i / 100, { request: { questions }, response: { questions } });
  }
  assert.equal(findings[0]?.attributes['whodns.finding.domain'], 'exfil.example');
});

test('several questions: the DNS cache learns the answers to each, but not which of them is denied', () => {
  const cache = new DnsCache({ now: () => TIME });
  const answers = [
    record('one.test', 1, '192.0.2.1'),
    record('two.test', 5, 'alias.test'),
    record('alias.test', 1, '192.0.2.2'),
    record('unasked.test', 1, '192.0.2.3'),
  ];
  const questions = [ask('one.test'), ask('two.test')];
  cache.add(viewOf(lookup({ request: { questions }, response: { questions }, answers })));
  assert.deepEqual(cache.get('192.0.2.1').dns_queries, ['one.test']);
  assert.equal(cache.get('192.0.2.2').dns_root, 'two.test');
  assert.throws(() => cache.get('192.0.2.3'));
  assert.equal(cache.stats().unrelated, 1);

  const soa = { ...record('test', 6, 'ns.test admin.test 1 2 3 4 300'), ttl: 300 };
  const denied = [ask('three.test'), ask('four.test')];
  const parts = { questions: denied, authorities: [soa] };
  cache.add(viewOf(lookup({ rcode: 3, answers: [], request: { questions: denied }, response: parts })));
  for (const { name } of denied) {
    const found = cache.find(name);
    assert.ok('found' in found && found.negative === undefined, name);
  }
});

test('an answer with many questions and many records is learnt in bounded time', () => {
  const cache = new DnsCache({ now: () => TIME });
  const questions = Array.from({ length: 500 }, (_, i) => ask(`q${i}.test`));
  const answers = Array.from({ length: 500 }, (_, i) => record(`c${499 - i}.test`, 5, `c${500 - i}.test`));
  const view = viewOf(lookup({ request: { questions }, response: { questions }, answers }));
  const started = performance.now();
  cache.add(view);
  assert.ok(performance.now() - started < 1000);
});

test('addresses of multicast DNS are addresses, with the bit that flushes caches (RFC 6762 section 10.2)', () => {
  const answers = [
    { ...record('a.local', 1, '192.0.2.1'), class: 0x8001 },
    { ...record('a.local', 1, '\\# 4 c0000202'), class: 3 },
  ];
  assert.deepEqual(attributesOf({ answers })['dns.answers'], ['192.0.2.1']);
});

const PREREQUISITE = record('zone.test', 1, '203.0.113.66', 0);
const ABSENT = { ...record('old.zone.test', 255, '\\# 0', 0), class: 254 };
const ADDED = record('new.zone.test', 1, '203.0.113.67', 300);
const DELETED = { ...record('gone.zone.test', 1, '\\# 0', 0), class: 255 };
const UPDATE = { opcode: OPCODES.UPDATE, questions: [ask('zone.test', 6)], recursionDesired: false };
const CHANGES = { ...UPDATE, answers: [PREREQUISITE, ABSENT], authorities: [ADDED, DELETED] };
/** RFC 2136 section 3.8: a server may send the whole request back. */
const UPDATED: Spec = { request: CHANGES, response: CHANGES, answers: [PREREQUISITE] };

test('an UPDATE has a zone, prerequisites and updates, and no answers', () => {
  const { attributes, body } = recordOf(lookup(UPDATED));
  assert.equal(attributes['dns.op_code'], 'UPDATE');
  assert.equal(attributes['dns.question.name'], 'zone.test');
  assert.deepEqual(attributes['whodns.update.prerequisites'], [
    'zone.test 0 A 203.0.113.66',
    'old.zone.test 0 ANY NONE',
  ]);
  assert.deepEqual(attributes['whodns.update.updates'], [
    'new.zone.test 300 A 203.0.113.67',
    'gone.zone.test 0 A ANY',
  ]);
  assert.equal(attributes['dns.answers'], undefined);
  assert.equal(attributes['whodns.answers'], undefined);
  assert.equal(attributes['whodns.malformed'], undefined);
  assert.equal(body, 'UPDATE SOA zone.test: NOERROR in 12.3ms (curl)');
});

test('an UPDATE in the table, refused and silent', () => {
  const cells = cellsOf(recordOf(lookup(UPDATED)));
  assert.equal(cells.type, 'UPDATE');
  assert.equal(cells.answers, '(2 prerequisites, 2 updates)');
  const refused = recordOf(lookup({ ...UPDATED, rcode: 5, response: { ...UPDATE, rcode: 5, answers: [] } }));
  assert.equal(refused.attributes['error.type'], 'REFUSED');
  const silent = recordOf(lookup({ request: CHANGES, outcome: 'timeout' }));
  assert.equal(silent.attributes['whodns.update.updates'] !== undefined, true);
  assert.match(silent.body, /^UPDATE SOA zone\.test: timeout/);
});

test('every other opcode is said, and no section of it is taken for answers', () => {
  for (const [opcode, name] of [
    [OPCODES.NOTIFY, 'NOTIFY'],
    [OPCODES.STATUS, 'STATUS'],
    [OPCODES.IQUERY, 'IQUERY'],
    [OPCODES.DSO, 'DSO'],
    [11, 'OPCODE11'],
  ] as const) {
    const parts = { opcode, questions: [ask('zone.test', 6)], answers: [PREREQUISITE] };
    const { attributes, body } = recordOf(lookup({ request: parts, response: parts }));
    assert.equal(attributes['dns.op_code'], name);
    assert.equal(attributes['dns.answers'], undefined);
    assert.equal(attributes['whodns.answers'], undefined);
    assert.match(body, new RegExp(`^${name} SOA zone\\.test: NOERROR`));
    assert.deepEqual(
      attributes['whodns.notify.records'],
      name === 'NOTIFY' ? ['zone.test 0 A 203.0.113.66'] : undefined,
    );
  }
  assert.equal(attributesOf({})['dns.op_code'], undefined);
});

test('detections, DNS cache and series tell another opcode from a query', async () => {
  const cache = new DnsCache({ now: () => TIME });
  cache.add(viewOf(lookup(UPDATED)));
  assert.throws(() => cache.get('203.0.113.66'));
  cache.add(viewOf(lookup({ ...UPDATED, response: { ...CHANGES, opcode: 0 } })));
  assert.throws(() => cache.get('203.0.113.66'), /not in the cache/);

  const { ask: see, ledger } = await sceneOf(['nxdomain-burst']);
  for (let i = 0; i < 300; i++)
    see(i / 100, { ...UPDATED, rcode: 3, request: { ...CHANGES, questions: [ask(`x${i}q7.test`, 6)] } });
  assert.equal(ledger.stage('detector:nxdomain-burst').in, 0);

  const series = new LookupSeries(TIME, false);
  series.add(recordOf(lookup(UPDATED)));
  series.add(recordOf(lookup({ type: 6, answers: [] })));
  const labels = series.queries
    .collect(TIME + 1n, 'cumulative')
    .map(({ attributes }) => attributes['dns.op_code']);
  assert.deepEqual(labels.sort(), ['UPDATE', undefined].sort());
});

test('a DSO message without an id is answered by no one, and its TLVs are no damage', () => {
  const { correlator, lookups, stage, end } = setUp();
  const bytes = (id: number) =>
    Buffer.concat([messageBytes({ id, opcode: OPCODES.DSO, questions: [] }), Buffer.from([0, 1, 0, 0])]);
  for (const id of [0, 9]) {
    const message = decodeMessage(bytes(id));
    assert.equal(message.malformed, undefined);
    correlator.request(request().raw, message, lookup().process);
  }
  end();
  assert.deepEqual(
    lookups.map(({ outcome }) => outcome),
    ['sent', 'timeout'],
  );
  assert.equal(stage.in, stage.out);
  const query = Buffer.concat([messageBytes({ questions: [ask('x')] }), Buffer.from([0])]);
  assert.equal(decodeMessage(query).malformed?.reason, 'trailing_bytes');
});

/** A question whose name points forward, to behind the question: servers that follow it answer. */
function forwardPointer(id: number): Buffer {
  const head = messageBytes({ id, questionCount: 1, questions: [], recursionDesired: true });
  return Buffer.concat([head, Buffer.from([0xc0, 0x12, 0, 1, 0, 1]), Buffer.from('\u0003www\u0004test\0')]);
}

test("the answer's question stands in where ours cannot be read, and the evasion is marked", async () => {
  const { correlator, lookups, answers } = setUp();
  correlator.request(request().raw, decodeMessage(forwardPointer(7)), lookup().process);
  const told = answer({
    name: 'www.test',
    id: 7,
    message: { answers: [record('www.test', 1, '192.0.2.9')] },
  });
  correlator.response(told.raw, told.message);
  assert.equal(answers.out, 1);
  const [found] = lookups as [LookupView];
  const { attributes, body } = recordOf(found);
  assert.equal(attributes['dns.question.name'], 'www.test');
  assert.equal(attributes['dns.question.type'], 'A');
  assert.equal(attributes['whodns.malformed'], 'name_pointer');
  assert.match(body, /^A www\.test: 192\.0\.2\.9/);
  const cache = new DnsCache({ now: () => found.answer.raw.time });
  cache.add(found);
  assert.equal(cache.get('192.0.2.9').dns_root, 'www.test');
});

test('nothing stands in where the answer has no question either', () => {
  const found = new LookupView(
    lookup().process,
    new EventView(undefined, decodeMessage(forwardPointer(7))),
    new EventView(undefined, decodeMessage(forwardPointer(7))),
  );
  found.hasResponse = true;
  found.outcome = 'answered';
  const { attributes, body } = recordOf(found);
  assert.equal(attributes['dns.question.name'], undefined);
  assert.equal(attributes['whodns.malformed'], 'name_pointer');
  assert.match(body, /^\(no question\): /);
});
