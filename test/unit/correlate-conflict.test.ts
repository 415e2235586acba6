/** Further answers that say something else, and lookups of which it is not known whether they were answered. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fairness } from '../../src/lib/fairness.ts';
import { Losses } from '../../src/lookup/losses.ts';
import type { DnsMessage } from '../../src/model.ts';
import { MS, PROCESS, SECOND, START, setUp } from './correlate-events.ts';

const told = (...data: readonly string[]): { readonly message: Partial<DnsMessage> } => ({
  message: {
    answers: data.map((each) => ({ name: 'www.example.com', type: 1, class: 1, ttl: 60, data: each })),
  },
});

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('correlate: conflicting answers', () => {
  it('gives the second of two different answers out as the same lookup, with what it conflicts with', () => {
    const { ask, reply, lookups, answers, stage } = setUp();
    ask();
    reply({ at: 5n * MS, ...told('6.6.6.6') });
    reply({ at: 9n * MS, ...told('10.1.2.3') });
    const [first, second] = lookups;
    assert.match(first?.uid ?? '', UUID_V7);
    assert.equal(first?.conflictsWith, undefined);
    assert.equal(second?.conflictsWith, first?.uid);
    assert.notEqual(second?.uid, first?.uid);
    assert.equal(second?.response?.message.answers[0]?.data, '10.1.2.3');
    assert.equal(second?.request.raw.time, START);
    assert.equal(second?.duration, 9n * MS);
    assert.equal(second?.process, PROCESS);
    assert.equal(second?.request.raw.owner?.pid, 100);
    assert.equal(second?.request.message.questions[0]?.name, 'www.example.com');
    assert.deepEqual([answers.out, answers.snapshot().missing, stage.snapshot().missing], [2, 0, 0]);
  });

  const same: readonly (readonly [string, readonly string[], Partial<DnsMessage>])[] = [
    ['the same bytes', ['10.1.2.3', '10.1.2.4'], {}],
    ['another order', ['10.1.2.4', '10.1.2.3'], {}],
  ];
  for (const [what, data, more] of same) {
    it(`takes ${what} for a duplicate`, () => {
      const { ask, reply, lookups, answers } = setUp();
      ask();
      reply({ at: 5n * MS, ...told('10.1.2.3', '10.1.2.4') });
      const again = told(...data);
      reply({ at: 9n * MS, message: { ...again.message, ...more } });
      assert.equal(lookups.length, 1);
      assert.deepEqual(answers.snapshot().filtered, { duplicate: 1 });
    });
  }

  it('takes a lower TTL for a duplicate', () => {
    const { ask, reply, lookups } = setUp();
    ask();
    reply({ at: 5n * MS, ...told('10.1.2.3') });
    const [answer] = told('10.1.2.3').message.answers ?? [];
    assert.ok(answer !== undefined);
    reply({ at: 9n * MS, message: { answers: [{ ...answer, ttl: 59 }] } });
    assert.equal(lookups.length, 1);
  });

  it('another response code conflicts', () => {
    const { ask, reply, lookups } = setUp();
    ask();
    reply({ at: 5n * MS, message: { rcode: 3 } });
    reply({ at: 9n * MS, ...told('10.1.2.3') });
    assert.equal(lookups[1]?.conflictsWith, lookups[0]?.uid);
  });

  it('many further answers give at most four records, the rest is counted', () => {
    const { ask, reply, lookups, answers } = setUp();
    ask();
    for (let i = 0; i < 1000; i++) reply({ at: 5n * MS, ...told(`10.0.${i >> 8}.${i & 255}`) });
    assert.equal(lookups.length, 5);
    assert.deepEqual(answers.snapshot().filtered, { conflicting: 995 });
    assert.equal(answers.snapshot().missing, 0);
  });

  it('by multicast DNS whoever knows something answers: no conflict', () => {
    const { ask, reply, lookups } = setUp();
    const remote = { address: '224.0.0.251', port: 5353 };
    ask({ remote });
    reply({ at: 5n * MS, remote: { address: '10.0.0.7', port: 5353 }, ...told('10.0.0.7') });
    reply({ at: 6n * MS, remote: { address: '10.0.0.8', port: 5353 }, ...told('10.0.0.8') });
    assert.equal(lookups.length, 1);
  });

  it('an answer after the time-out stays late', () => {
    const { ask, reply, lookups, answers } = setUp();
    ask();
    reply({ at: 6n * SECOND, ...told('10.1.2.3') });
    assert.deepEqual(
      lookups.map(({ outcome }) => outcome),
      ['timeout'],
    );
    assert.deepEqual(answers.snapshot().filtered, { late: 1 });
  });

  it('a flood of others does not make a conflict be forgotten', () => {
    const { ask, reply, lookups } = setUp();
    ask();
    reply({ at: 5n * MS, ...told('6.6.6.6') });
    for (let id = 0; id < 60_000; id++) {
      const flood = { id, name: `n${id}.example`, local: { address: '10.0.0.2', port: 50_000 } };
      ask({ ...flood, at: 6n * MS, owner: { pid: 666, tid: 666, uid: 1000 } });
      reply({ ...flood, at: 7n * MS });
    }
    reply({ at: 9n * MS, ...told('10.1.2.3') });
    assert.match(lookups.at(-1)?.conflictsWith ?? '', UUID_V7);
  });
});

describe('correlate: unknown outcomes', () => {
  const START_MS = Number(START);
  const setUpWith = (losses: Losses) => setUp({ losses });
  const outcomes = ({ lookups }: ReturnType<typeof setUp>) =>
    lookups.map(({ outcome, reason }) => [outcome, reason]);

  it('a loss of anyone while it was waited for makes it unknown, one before or after does not', () => {
    for (const [from, to, expected] of [
      [1e9, 2e9, ['unknown', 'ring_full']],
      [-2e9, -1e9, ['timeout', undefined]],
      [6e9, 7e9, ['timeout', undefined]],
    ] as const) {
      const losses = new Losses({ keepNs: 30e9 });
      const test = setUpWith(losses);
      test.ask();
      losses.note('ring_full', START_MS + from, START_MS + to);
      test.end();
      assert.deepEqual(outcomes(test), [expected]);
    }
  });

  it('a loss of one workload leaves the others as they are', () => {
    const losses = new Losses({ keepNs: 30e9 });
    const test = setUpWith(losses);
    test.ask({ id: 1, owner: { cgroupId: 7n } });
    test.ask({ id: 2, owner: { cgroupId: 8n, pid: 101, tid: 101 } });
    losses.note('kernel_budget', START_MS, START_MS + 1e9, 8n);
    test.end();
    assert.deepEqual(outcomes(test), [
      ['timeout', undefined],
      ['unknown', 'kernel_budget'],
    ]);
  });

  it('a loss on one connection leaves the others as they are', () => {
    const losses = new Losses({ keepNs: 30e9 });
    const test = setUpWith(losses);
    const near = { transport: 'tcp' as const, local: { address: '10.0.0.2', port: 1001 } };
    test.ask({ id: 1, ...near });
    test.ask({ id: 2, ...near, local: { address: '10.0.0.2', port: 1002 } });
    const [raw] = [test.lookups[0]?.request.raw];
    assert.equal(raw, undefined);
    losses.noteConnection(rawOf(near), 'stream_gap', START + SECOND);
    test.end();
    assert.deepEqual(outcomes(test), [
      ['unknown', 'stream_gap'],
      ['timeout', undefined],
    ]);
  });

  it('counters are read when a time-out is judged: what came since the last reading counts', () => {
    let count = 0;
    let now = START;
    const read = () => [{ reason: 'ring_full' as const, count }];
    const losses = new Losses({ keepNs: 30e9, read, now: () => now });
    losses.refresh();
    const test = setUpWith(losses);
    test.ask({ id: 1, at: SECOND });
    count = 3;
    now = START + 7n * SECOND;
    test.correlator.expire(now);
    test.ask({ id: 2, at: 8n * SECOND });
    now = START + 14n * SECOND;
    test.correlator.expire(now);
    assert.deepEqual(outcomes(test), [
      ['unknown', 'ring_full'],
      ['timeout', undefined],
    ]);
  });

  it('when too many wait, who has most gives way, and it is said whose', () => {
    const fairness = new Fairness();
    const test = setUp({ maxInFlight: 100, fairness });
    for (let id = 0; id < 30; id++) test.ask({ id, name: 'victim.example' });
    for (let id = 0; id < 5000; id++) test.ask({ id, name: `n${id}.example`, owner: { pid: 666, tid: 666 } });
    for (let id = 0; id < 30; id++) test.reply({ id, at: 4n * SECOND, name: 'victim.example' });
    const victim = test.lookups.filter(({ request }) => request.raw.owner?.pid === 100);
    assert.deepEqual([...new Set(victim.map(({ outcome }) => outcome))], ['answered']);
    assert.equal(victim.length, 30);
    const unknown = test.lookups.filter(({ reason }) => reason === 'requests_full');
    assert.equal(unknown.length, test.correlator.evicted);
    assert.equal(unknown.length, 4930);
    assert.deepEqual(
      fairness.workloads().map(({ owner, counts }) => [owner.pid, counts]),
      [[666, { requests_full: 4930 }]],
    );
    test.end();
    assert.equal(test.stage.snapshot().missing, 0);
  });

  it('unasked answers in number do not push out the answer that came before its request', () => {
    const fairness = new Fairness();
    const test = setUp({ fairness });
    test.reply({ at: 10n * MS });
    for (let id = 0; id < 20_000; id++) {
      const remote = { address: '10.0.0.66', port: 53 };
      test.reply({
        at: 11n * MS,
        id: id & 0xffff,
        remote,
        local: { address: '10.0.0.2', port: 1 + (id % 999) },
      });
    }
    test.ask({ at: 9n * MS });
    assert.equal(test.lookups[0]?.outcome, 'answered');
    assert.equal(test.answers.snapshot().dropped['answers_full'], 20_001 - 4096);
    test.end();
    assert.equal(test.answers.snapshot().missing, 0);
  });
});

function rawOf(spec: Parameters<ReturnType<typeof setUp>['ask']>[0]) {
  const test = setUp();
  test.ask(spec);
  test.correlator.flush();
  const [lookup] = test.lookups;
  assert.ok(lookup !== undefined);
  return lookup.request.raw;
}
