/** Zone transfers: one request, many messages, one lookup. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceRecord } from '../../src/model.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { MS, SECOND, type Spec, setUp } from './correlate-events.ts';
import { record, recordOf } from './sink-events.ts';

const { AXFR, IXFR, SOA } = RR_TYPES;
const TCP: Spec = { transport: 'tcp', name: 'zone.test', type: AXFR };

const soa = (serial: number) => record('zone.test', SOA, `ns.zone.test h.zone.test ${serial} 1 1 1 1`);
const host = (i: number) => record(`h${i}.zone.test`, 1, '192.0.2.1');
const part = (answers: readonly ResourceRecord[], at: bigint, spec: Spec = {}): Spec => ({
  ...TCP,
  at,
  ...spec,
  message: { answers, questions: [], ...spec.message },
});
const ask = (type: number, serial?: number): Spec => ({
  ...TCP,
  type,
  ...(serial === undefined ? {} : { message: { authorities: [soa(serial)] } }),
});

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}

test('all messages are one lookup, which lasts to the last one; nothing is lost', () => {
  const { ask: send, reply, lookups, answers, stage, end } = setUp();
  send(TCP);
  reply({ ...TCP, at: 10n * MS, message: { answers: [soa(7), host(0)] } });
  // Longer than the time-out as a whole.
  for (let i = 1; i <= 6; i++) reply(part([host(i), host(i + 100)], BigInt(i) * 4n * SECOND));
  assert.equal(lookups.length, 0);
  assert.equal(stage.snapshot().held, 1);
  reply(part([host(99), soa(7)], 25n * SECOND));
  const [found] = lookups;
  assert.ok(found !== undefined);
  assert.equal(found.outcome, 'answered');
  assert.equal(found.durationNs, Number(25n * SECOND));
  const { attributes } = recordOf(found);
  assert.equal(attributes['whodns.answers.messages'], 8);
  assert.equal(attributes['whodns.answers.records'], 16);
  assert.equal(attributes['whodns.answers.omitted'], 14);
  assert.ok(Number(attributes['whodns.answers.bytes']) > 300);
  assert.deepEqual((attributes['whodns.answers'] as string[])[1], 'h0.zone.test 300 A 192.0.2.1');
  end();
  assert.equal(lookups.length, 1);
  assert.equal(answers.in, 8);
  assert.equal(answers.out, 8);
  assert.equal(stage.snapshot().missing, 0);
});

test('in one message, by UDP, refused, and empty it ends with the first', () => {
  const cases: readonly (readonly [Spec, Spec])[] = [
    [TCP, { ...TCP, message: { answers: [soa(7), host(1), soa(7)] } }],
    [TCP, { ...TCP, message: { rcode: 5 } }],
    [TCP, { ...TCP, message: { answers: [] } }],
    [
      { ...TCP, transport: 'udp', type: IXFR },
      { ...TCP, transport: 'udp', type: IXFR, message: { answers: [soa(8)] } },
    ],
    [TCP, { ...TCP, streamEnd: true, message: { answers: [soa(7), host(1)] } }],
    [ask(IXFR, 7), { ...TCP, type: IXFR, message: { answers: [soa(7)] } }],
    // Newer than what is there (RFC 1982).
    [ask(IXFR, 5), { ...TCP, type: IXFR, message: { answers: [soa(0xffff_fff0)] } }],
  ];
  for (const [request, answer] of cases) {
    const { ask: send, reply, lookups } = setUp();
    send(request);
    reply(answer);
    assert.equal(lookups.length, 1, JSON.stringify(answer.message?.answers));
    assert.equal(lookups[0]?.outcome, 'answered');
  }
});

test('IXFR: differences end with the third SOA of the new version, a whole zone with the second', () => {
  const differences = [soa(9), soa(7), host(1), soa(8), host(2), soa(8), host(3), soa(9), host(4), soa(9)];
  const whole = [soa(9), host(1), host(2), soa(9)];
  const empty = [soa(9), soa(9)];
  for (const records of [differences, whole, empty]) {
    const { ask: send, reply, lookups } = setUp();
    send(ask(IXFR, 7));
    for (const [i, each] of records.entries()) {
      assert.equal(lookups.length, 0);
      reply(
        part(
          [each],
          BigInt(i + 1) * MS,
          i === 0
            ? { type: IXFR, message: { questions: [{ name: 'zone.test', type: IXFR, class: 1 }] } }
            : {},
        ),
      );
    }
    assert.equal(lookups.length, 1);
    assert.equal(lookups[0]?.answerMessages, records.length);
    assert.equal(lookups[0]?.answerRecords, records.length);
  }
});

test('one that breaks off ends when nothing has come for the time-out, at its last message', () => {
  const { ask: send, reply, lookups, end } = setUp();
  send(TCP);
  reply({ ...TCP, at: 1n * SECOND, message: { answers: [soa(7)] } });
  reply(part([host(1)], 4n * SECOND));
  send({ name: 'other.test', at: 8n * SECOND });
  assert.equal(lookups.length, 0);
  send({ name: 'later.test', at: 9n * SECOND });
  assert.deepEqual(
    lookups.map(({ outcome, durationNs, answerMessages }) => [outcome, durationNs, answerMessages]),
    [['answered', Number(4n * SECOND), 2]],
  );
  end();
  assert.equal(lookups.length, 3);
});

test('a failure in the middle is how it ended', () => {
  const { ask: send, reply, lookups } = setUp();
  send(TCP);
  reply({ ...TCP, message: { answers: [soa(7), host(1)] } });
  reply(part([], 2n * MS, { message: { rcode: 2 } }));
  const { attributes } = recordOf(lookups[0] as (typeof lookups)[0]);
  assert.equal(attributes['error.type'], 'SERVFAIL');
  assert.equal(attributes['whodns.answers.messages'], 2);
});

test('an endless one ends, and what comes later is no conflict and no loss', () => {
  const { ask: send, reply, lookups, answers, end } = setUp();
  send(TCP);
  reply({ ...TCP, message: { answers: [soa(7), host(1)] } });
  for (let i = 1; i <= 200; i++)
    reply({
      ...part([host(i)], BigInt(i) * 4n * SECOND),
      questions: [{ name: 'zone.test', type: AXFR, class: 1 }],
    });
  end();
  assert.equal(lookups.length, 1);
  assert.equal(answers.in, answers.out + sumOf(answers.snapshot().filtered));
  assert.deepEqual(answers.snapshot().dropped, {});
});

test('many at once: a bounded number is held, who has most gives way, every one has a record', () => {
  const { ask: send, reply, lookups, stage, end } = setUp();
  const at = (port: number): Spec => ({ ...TCP, local: { address: '10.0.0.2', port } });
  send({ ...at(1), owner: { pid: 7, tid: 7, cgroupId: 9n } });
  reply({ ...at(1), message: { answers: [soa(7)] } });
  for (let port = 1000; port < 1400; port++) {
    send(at(port));
    reply({ ...at(port), message: { answers: [soa(7)] } });
  }
  assert.equal(lookups.length, 401 - 128);
  assert.ok(lookups.every(({ request }) => request.raw.localPort >= 1000));
  end();
  assert.equal(lookups.length, 401);
  assert.ok(lookups.every(({ outcome }) => outcome === 'answered'));
  assert.equal(stage.in, stage.out);
});

test('the table of requests full: a transfer that gives way has its record', () => {
  const { ask: send, reply, lookups, correlator, end } = setUp({ maxInFlight: 4 });
  send(TCP);
  reply({ ...TCP, message: { answers: [soa(7)] } });
  for (let i = 0; i < 10; i++) send({ name: `n${i}.test`, id: i });
  end();
  assert.equal(lookups.length, 11);
  assert.equal(lookups.filter(({ outcome }) => outcome === 'answered').length, 1);
  assert.equal(correlator.evicted, 6);
});

test('damaged transfers end in bounded time and throw nothing', () => {
  const shortSoa = { ...soa(7), data: '\\# 3 010203' };
  for (const answers of [[shortSoa], [shortSoa, shortSoa], [host(1), soa(7)], [soa(7), shortSoa]]) {
    const { ask: send, reply, lookups, end } = setUp();
    send(ask(IXFR, 3));
    reply({ ...TCP, type: IXFR, message: { answers } });
    reply({ ...part([host(1)], 1n * MS), message: { questions: [], id: 7 } });
    end();
    assert.equal(lookups.length, 1);
    assert.equal(lookups[0]?.outcome, 'answered');
  }
});
