import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { setUp as fresh, MS, PROCESS, SECOND, type Spec, START } from './correlate-events.ts';

/** Every test ends with both ledgers balanced and with every request either a record or a counted retry. */
let last: ReturnType<typeof fresh> | undefined;
const setUp: typeof fresh = (options) => {
  last = fresh(options);
  return last;
};

afterEach(() => {
  if (last === undefined) return;
  const { stage, answers, lookups } = last;
  assert.equal(stage.snapshot().missing, 0);
  assert.equal(answers.snapshot().missing, 0);
  const retries = lookups.reduce((sum, lookup) => sum + lookup.retries, 0);
  if (stage.held() === 0) assert.equal(lookups.length + retries, stage.in);
  last = undefined;
});

describe('correlate: pairing', () => {
  it('pairs an answer with its request', () => {
    const { ask, reply, lookups, answers } = setUp();
    ask({ at: 0n });
    reply({ at: 12n * MS });
    assert.equal(lookups.length, 1);
    const [lookup] = lookups;
    assert.equal(lookup?.outcome, 'answered');
    assert.equal(lookup?.duration, 12n * MS);
    assert.equal(lookup?.retries, 0);
    assert.equal(lookup?.process, PROCESS);
    assert.equal(lookup?.response?.raw.time, START + 12n * MS);
    assert.equal(answers.out, 1);
  });

  const other: readonly (readonly [string, Spec])[] = [
    ['id', { id: 8 }],
    ['local port', { local: { address: '10.0.0.2', port: 40_001 } }],
    ['local address', { local: { address: '10.0.0.3', port: 40_000 }, socket: 0n }],
    ['server', { remote: { address: '10.0.0.54', port: 53 } }],
    ['server port', { remote: { address: '10.0.0.53', port: 5300 } }],
    ['transport', { transport: 'tcp' }],
    ['network namespace', { networkNamespace: 2 }],
    ['socket', { socket: 2n }],
    ['time: before the request', { at: -10n * MS }],
  ];
  for (const [what, spec] of other) {
    it(`does not pair an answer with another ${what}`, () => {
      const { ask, reply, end, lookups, answers } = setUp();
      ask({ socket: 1n });
      reply({ at: 5n * MS, socket: 1n, ...spec });
      end();
      assert.deepEqual(
        lookups.map(({ outcome }) => outcome),
        ['timeout'],
      );
      assert.deepEqual(answers.snapshot().filtered, { unmatched: 1 });
    });
  }

  it('does not pair an answer to another question, and says so', () => {
    const { ask, reply, end, lookups, answers } = setUp();
    ask({});
    reply({ at: MS, name: 'evil.example.com' });
    reply({ at: MS, type: 28 });
    end(SECOND);
    assert.deepEqual(answers.snapshot().filtered, { other_question: 2 });
    assert.equal(lookups[0]?.outcome, 'sent');
  });

  it('keeps A and AAAA with one id on one socket apart', () => {
    const { ask, reply, lookups } = setUp();
    ask({ type: 1 });
    ask({ type: 28 });
    reply({ at: 2n * MS, type: 28 });
    reply({ at: 3n * MS, type: 1 });
    assert.deepEqual(
      lookups.map(({ request, response }) => [
        request.message.questions[0]?.type,
        response?.message.questions[0]?.type,
      ]),
      [
        [28, 28],
        [1, 1],
      ],
    );
  });

  it('compares names without case, but prefers the exact bytes (0x20)', () => {
    const { ask, reply, lookups } = setUp();
    ask({ name: 'wWw.example.com', owner: { pid: 1 } });
    ask({ name: 'WwW.example.com', owner: { pid: 2 } });
    reply({ at: MS, name: 'WwW.example.com' });
    reply({ at: 2n * MS, name: 'www.example.com' });
    assert.deepEqual(
      lookups.map(({ request }) => request.raw.owner?.pid),
      [2, 1],
    );
  });

  it('takes any local address where the socket was not bound', () => {
    const { ask, reply, lookups } = setUp();
    ask({ localAny: true, local: { address: '0.0.0.0', port: 40_000 } });
    reply({ at: MS });
    assert.equal(lookups[0]?.outcome, 'answered');
  });

  it('takes the answer of the dialed address and of the translated one (NAT)', () => {
    for (const remote of [
      { address: '10.96.0.10', port: 53 },
      { address: '10.244.0.5', port: 5353 },
    ]) {
      const { ask, reply, lookups } = setUp();
      ask({ remote: { address: '10.244.0.5', port: 5353 }, dialed: { address: '10.96.0.10', port: 53 } });
      reply({ at: MS, remote });
      assert.equal(lookups.length, 1);
    }
  });

  it('never mixes two namespaces with the same addresses and ports', () => {
    const { ask, reply, lookups } = setUp();
    ask({ networkNamespace: 1, owner: { pid: 1 } });
    ask({ networkNamespace: 2, owner: { pid: 2 } });
    reply({ at: MS, networkNamespace: 2 });
    assert.equal(lookups.length, 1);
    assert.equal(lookups[0]?.request.raw.owner?.pid, 2);
  });

  it('is right when an id is used again for another question', () => {
    const { ask, reply, lookups } = setUp();
    ask({ at: 0n, name: 'one.example' });
    reply({ at: MS, name: 'one.example' });
    ask({ at: 2n * MS, name: 'two.example' });
    reply({ at: 5n * MS, name: 'two.example' });
    assert.deepEqual(
      lookups.map(({ duration }) => duration),
      [MS, 3n * MS],
    );
  });

  it('is right when everything is used again after the answer', () => {
    const { ask, reply, lookups, answers } = setUp();
    for (let i = 0n; i < 100n; i++) {
      ask({ at: 10n * i * MS });
      reply({ at: (10n * i + 2n) * MS });
    }
    assert.equal(lookups.length, 100);
    assert.ok(
      lookups.every(
        ({ outcome, retries, duration }) => outcome === 'answered' && retries === 0 && duration === 2n * MS,
      ),
    );
    assert.equal(answers.out, 100);
  });

  it('pairs an answer without a question by id and way, when only one fits', () => {
    const { ask, reply, lookups, answers, end } = setUp();
    ask({});
    reply({ at: MS, questions: [], message: { rcode: 1 } });
    assert.equal(lookups[0]?.response?.message.rcode, 1);
    ask({ at: 2n * MS, name: 'a.example' });
    ask({ at: 2n * MS, name: 'b.example' });
    reply({ at: 3n * MS, questions: [], message: { rcode: 5 } });
    end(4n * MS);
    assert.equal(lookups.length, 3);
    assert.deepEqual(answers.snapshot().dropped, { ambiguous: 1 });
  });

  it('pairs an answer with a request whose question was not readable, but nothing without an id', () => {
    const { ask, reply, lookups, answers, end } = setUp();
    ask({ questions: [] });
    reply({ at: MS });
    assert.equal(lookups[0]?.outcome, 'answered');
    ask({ at: 2n * MS, id: -1, questions: [] });
    ask({ at: 2n * MS, id: -1, questions: [] });
    reply({ at: 3n * MS, id: -1, questions: [] });
    end();
    assert.deepEqual(
      lookups.map(({ outcome, retries }) => [outcome, retries]),
      [
        ['answered', 0],
        ['timeout', 0],
        ['timeout', 0],
      ],
    );
    assert.deepEqual(answers.snapshot().filtered, { unmatched: 1 });
  });

  it('holds an answer that was read before its request', () => {
    const { ask, reply, lookups, answers } = setUp();
    reply({ at: 3n * MS });
    assert.equal(answers.held(), 1);
    ask({ at: 1n * MS });
    assert.equal(lookups[0]?.duration, 2n * MS);
    assert.equal(answers.held(), 0);
    assert.equal(answers.out, 1);
  });

  it('does not hold it for ever, nor without bound', () => {
    const { ask, reply, lookups, answers, end } = setUp();
    reply({ at: 3n * MS });
    ask({ at: 60n * MS, id: 9 });
    assert.deepEqual(answers.snapshot().filtered, { unmatched: 1 });
    for (let i = 0; i < 10_000; i++) reply({ at: 61n * MS, id: i, name: 'unasked.example' });
    assert.equal(answers.held(), 4096);
    end();
    assert.equal(lookups.length, 1);
  });
});

describe('correlate: retries', () => {
  it('folds a retransmission on the same socket, from the first request on', () => {
    const { ask, reply, lookups, stage } = setUp();
    ask({ at: 0n });
    ask({ at: SECOND, owner: { tid: 101 } });
    ask({ at: 2n * SECOND });
    reply({ at: 3n * SECOND });
    assert.equal(lookups.length, 1);
    assert.equal(lookups[0]?.retries, 2);
    assert.equal(lookups[0]?.duration, 3n * SECOND);
    assert.deepEqual(stage.snapshot().filtered, { retry: 2 });
  });

  it('folds what the same thread sends to the same server from another socket; the record has the port that was answered', () => {
    const { ask, reply, lookups } = setUp();
    const second = { local: { address: '10.0.0.2', port: 41_111 } };
    ask({ at: 0n, socket: 1n });
    ask({ at: SECOND, socket: 2n, ...second });
    reply({ at: SECOND + 5n * MS, ...second });
    assert.equal(lookups.length, 1);
    const [lookup] = lookups;
    assert.equal(lookup?.retries, 1);
    assert.equal(lookup?.request.raw.local.port, 41_111);
    assert.equal(lookup?.request.raw.time, START);
    assert.equal(lookup?.duration, SECOND + 5n * MS);
  });

  const separate: readonly (readonly [string, Spec])[] = [
    ['id', { id: 8 }],
    ['question', { name: 'other.example' }],
    ['type', { type: 28 }],
    ['transport', { transport: 'tcp' }],
    ['server', { remote: { address: '10.0.0.54', port: 53 } }],
    ['process on the same socket (fork, passed socket)', { owner: { pid: 200, tid: 200 } }],
    ['process with the same pid (reuse)', { owner: { startTime: 6n } }],
    [
      'thread and another port',
      { owner: { tid: 101 }, local: { address: '10.0.0.2', port: 40_001 }, socket: 2n },
    ],
    ['network namespace', { networkNamespace: 2 }],
  ];
  for (const [what, spec] of separate) {
    it(`does not fold a request with another ${what}`, () => {
      const { ask, end, lookups } = setUp();
      ask({ socket: 1n });
      ask({ at: SECOND, socket: 1n, ...spec });
      end();
      assert.equal(lookups.length, 2);
    });
  }

  it('gives two processes that send the same on one socket an answer each', () => {
    const { ask, reply, lookups } = setUp();
    ask({ owner: { pid: 1 } });
    ask({ owner: { pid: 2 } });
    reply({ at: MS });
    reply({ at: 2n * MS });
    assert.deepEqual(
      lookups.map(({ request, outcome }) => [request.raw.owner?.pid, outcome]),
      [
        [1, 'answered'],
        [2, 'answered'],
      ],
    );
  });

  it('folds without an owner only on the same way', () => {
    const { ask, end, lookups } = setUp();
    ask({ owner: null });
    ask({ owner: null, at: MS });
    ask({ owner: null, at: 2n * MS, local: { address: '10.0.0.2', port: 5 } });
    end();
    assert.deepEqual(
      lookups.map(({ retries }) => retries),
      [1, 0],
    );
  });

  it('makes two records of a truncated answer and the retry over TCP', () => {
    const { ask, reply, lookups } = setUp();
    ask({});
    reply({ at: MS, message: { truncated: true } });
    ask({ at: 2n * MS, transport: 'tcp' });
    reply({ at: 3n * MS, transport: 'tcp' });
    assert.deepEqual(
      lookups.map(({ request, retries }) => [request.raw.transport, retries]),
      [
        ['udp', 0],
        ['tcp', 0],
      ],
    );
  });

  it('makes a new record of a retry after the time-out', () => {
    const { ask, reply, lookups } = setUp();
    ask({ at: 0n });
    ask({ at: 5n * SECOND });
    reply({ at: 5n * SECOND + MS });
    assert.deepEqual(
      lookups.map(({ outcome, retries, duration }) => [outcome, retries, duration]),
      [
        ['timeout', 0, undefined],
        ['answered', 0, MS],
      ],
    );
  });

  it('stays exact and cheap when one socket sends the same 100 000 times', () => {
    const { ask, reply, lookups, answers } = setUp();
    for (let i = 0; i < 100_000; i++) ask({ at: BigInt(i) });
    for (let i = 0; i < 100_000; i++) reply({ at: MS + BigInt(i) });
    assert.equal(lookups.length, 1);
    assert.equal(lookups[0]?.retries, 99_999);
    assert.deepEqual(answers.snapshot().filtered, { duplicate: 99_999 });
  });
});

describe('correlate: time', () => {
  it('says timeout when the time has passed, not before, and never a response code', () => {
    const { ask, correlator, lookups } = setUp();
    ask({ at: 0n });
    correlator.expire(START + 5n * SECOND - MS);
    assert.equal(lookups.length, 0);
    correlator.expire(START + 5n * SECOND);
    assert.equal(lookups.length, 1);
    assert.equal(lookups[0]?.outcome, 'timeout');
    assert.equal(lookups[0]?.response, undefined);
    assert.equal(lookups[0]?.duration, undefined);
  });

  it('counts a late answer and makes no second record', () => {
    const { ask, reply, lookups, answers } = setUp();
    ask({ at: 0n });
    reply({ at: 6n * SECOND });
    assert.deepEqual(
      lookups.map(({ outcome }) => outcome),
      ['timeout'],
    );
    assert.deepEqual(answers.snapshot().filtered, { late: 1 });
  });

  it('does not take the answer of a server that was not asked for a duplicate', () => {
    const { ask, reply, end, answers } = setUp();
    ask({});
    reply({ at: MS });
    reply({ at: 2n * MS, remote: { address: '10.0.0.54', port: 53 } });
    end();
    assert.deepEqual(answers.snapshot().filtered, { unmatched: 1 });
  });

  it('knows a duplicate after destination NAT by either address', () => {
    const { ask, reply, answers } = setUp();
    const service = { address: '10.96.0.10', port: 53 };
    ask({ dialed: service });
    reply({ at: MS });
    reply({ at: 2n * MS, remote: service });
    assert.deepEqual(answers.snapshot().filtered, { duplicate: 1 });
  });

  it('an answered question asked anew: its answer is no duplicate', () => {
    const { ask, reply, lookups, answers } = setUp();
    for (const at of [0n, 10n * MS]) {
      ask({ at });
      reply({ at: at + MS });
    }
    assert.equal(lookups.length, 2);
    assert.deepEqual(answers.snapshot().filtered, {});
  });

  it('counts a duplicate answer', () => {
    const { ask, reply, lookups, answers } = setUp();
    ask({});
    reply({ at: MS });
    reply({ at: 2n * MS });
    assert.equal(lookups.length, 1);
    assert.deepEqual(answers.snapshot().filtered, { duplicate: 1 });
  });

  it('gives what is in flight at the end as sent, only what is due as timeout; twice is once', () => {
    const { ask, correlator, lookups, stage } = setUp();
    ask({ at: 0n, id: 1 });
    ask({ at: 3n * SECOND, id: 2 });
    correlator.expire(START + 5n * SECOND);
    correlator.flush();
    correlator.flush();
    assert.deepEqual(
      lookups.map(({ outcome }) => outcome),
      ['timeout', 'sent'],
    );
    assert.equal(stage.held(), 0);
  });

  it('survives a clock that steps back an hour', () => {
    const { ask, reply, correlator, lookups } = setUp();
    ask({ at: 3600n * SECOND, id: 1 });
    correlator.expire(START);
    assert.equal(lookups.length, 0);
    ask({ at: 0n, id: 2 });
    correlator.expire(START + 4n * SECOND);
    assert.equal(lookups.length, 0);
    reply({ at: 4n * SECOND, id: 2 });
    correlator.expire(START + 5n * SECOND);
    assert.deepEqual(
      lookups.map(({ outcome, request }) => [outcome, request.message.id]),
      [
        ['answered', 2],
        ['timeout', 1],
      ],
    );
  });

  it('does not shorten a time-out when events that waited come after a tick', () => {
    const { ask, reply, correlator, lookups } = setUp();
    ask({ at: 0n, id: 1 });
    correlator.expire(START + 3n * SECOND); // the program was stopped for 3 s: a tick first, then the ring
    ask({ at: MS, id: 2 });
    ask({ at: 2900n * MS, id: 3 });
    reply({ at: 3100n * MS, id: 1 });
    reply({ at: 3100n * MS, id: 2 });
    assert.deepEqual(
      lookups.map(({ duration }) => duration),
      [3100n * MS, 3099n * MS],
    );
    correlator.flush();
  });
});

describe('correlate: bounds', () => {
  it('pairs more than 1024 unanswered', () => {
    const { ask, reply, lookups } = setUp();
    for (let i = 0; i < 5000; i++) ask({ id: 0, name: `n${i}.example` });
    for (let i = 4999; i >= 0; i--) reply({ at: MS, id: 0, name: `N${i}.example` });
    assert.equal(lookups.length, 5000);
    assert.ok(lookups.every(({ outcome }) => outcome === 'answered'));
  });

  it('finishes the oldest of who has most as unknown when full, and counts it', () => {
    const { ask, reply, lookups, correlator, stage, answers } = setUp({ maxInFlight: 10 });
    for (let i = 0; i < 25; i++) ask({ id: i });
    assert.equal(stage.held(), 10);
    assert.equal(correlator.evicted, 15);
    assert.deepEqual(
      lookups.map(({ outcome, request }) => [outcome, request.message.id]),
      Array.from({ length: 15 }, (_, id) => ['unknown', id]),
    );
    reply({ at: MS, id: 0 });
    reply({ at: MS, id: 20 });
    assert.deepEqual(answers.snapshot().filtered, { late: 1 });
    assert.equal(lookups.at(-1)?.outcome, 'answered');
  });

  it('emits every request at once when asked to', () => {
    const { ask, reply, lookups, answers } = setUp({ emit: 'request' });
    ask({});
    ask({});
    reply({ at: MS });
    assert.deepEqual(
      lookups.map(({ outcome, retries }) => [outcome, retries]),
      [
        ['sent', 0],
        ['sent', 0],
      ],
    );
    assert.deepEqual(answers.snapshot().filtered, { not_awaited: 1 });
  });
});

describe('correlate: multicast', () => {
  const group = {
    remote: { address: '224.0.0.251', port: 5353 },
    local: { address: '10.0.0.2', port: 5353 },
  };

  it('takes the answer of whoever answers a one-shot mDNS question', () => {
    const { ask, reply, lookups } = setUp();
    ask({
      ...group,
      local: { address: '10.0.0.2', port: 40_000 },
      questions: [{ name: 'printer.local', type: 1, class: 0x8001 }],
    });
    reply({ at: MS, remote: { address: '10.0.0.9', port: 5353 }, name: 'printer.local' });
    assert.equal(lookups[0]?.response?.raw.remote.address, '10.0.0.9');
  });

  it('knows a multicast answer, which has no question, by its records', () => {
    const { ask, reply, lookups, end, answers } = setUp();
    ask({ ...group, id: 0, name: 'a.local' });
    ask({ ...group, id: 0, name: 'b.local' });
    const from = {
      remote: { address: '10.0.0.9', port: 5353 },
      local: { address: '224.0.0.251', port: 5353 },
    };
    const records = (name: string) => ({
      answers: [{ name, type: 1, class: 0x8001, ttl: 120, data: '10.0.0.9' }],
    });
    reply({ at: MS, id: 0, ...from, questions: [], message: records('B.local') });
    reply({ at: MS, id: 0, ...from, questions: [], message: records('c.local') });
    end(SECOND);
    assert.deepEqual(
      lookups.map(({ request, outcome }) => [request.message.questions[0]?.name, outcome]),
      [
        ['b.local', 'answered'],
        ['a.local', 'sent'],
      ],
    );
    assert.equal(answers.snapshot().missing, 0);
  });

  it('takes LLMNR answers, but not from another port', () => {
    const { ask, reply, lookups, end } = setUp();
    ask({ remote: { address: 'ff02::1:3', port: 5355 } });
    reply({ at: MS, remote: { address: 'fe80::1', port: 53 } });
    reply({ at: MS, remote: { address: 'fe80::2', port: 5355 } });
    end();
    assert.equal(lookups[0]?.response?.raw.remote.address, 'fe80::2');
  });
});

describe('correlate: any order', () => {
  /** Random requests, answers and pauses in a space so small that everything collides. */
  const step = fc.record({
    kind: fc.constantFrom('ask', 'reply', 'expire'),
    pause: fc.integer({ min: 0, max: 2000 }),
    id: fc.integer({ min: 0, max: 2 }),
    name: fc.constantFrom('a.example', 'A.example', 'b.example'),
    port: fc.integer({ min: 1, max: 2 }),
    server: fc.integer({ min: 1, max: 2 }),
    pid: fc.integer({ min: 1, max: 2 }),
    hasQuestion: fc.boolean(),
    netns: fc.integer({ min: 1, max: 2 }),
  });

  it('balances: no request lost or doubled, no answer used twice, no wrong pair', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        (steps, maxInFlight) => {
          const { correlator, stage, answers, lookups, ask, reply, end } = fresh({ maxInFlight });
          let at = 0n;
          for (const { kind, pause, id, name, port, server, pid, hasQuestion, netns } of steps) {
            at += BigInt(pause) * MS;
            const spec: Spec = {
              at,
              id,
              name,
              networkNamespace: netns,
              local: { address: '10.0.0.2', port },
              remote: { address: `10.0.0.${server}`, port: 53 },
              ...(hasQuestion ? {} : { questions: [] }),
            };
            if (kind === 'ask') ask({ ...spec, owner: { pid, tid: pid } });
            else if (kind === 'reply') reply(spec);
            else correlator.expire(START + at);
            assert.equal(stage.snapshot().missing, 0);
            assert.equal(answers.snapshot().missing, 0);
            assert.ok(stage.held() <= maxInFlight);
          }
          end();
          assert.equal(stage.held() + answers.held(), 0);
          const retries = lookups.reduce((sum, lookup) => sum + lookup.retries, 0);
          assert.equal(lookups.length + retries, stage.in);
          const used = lookups.flatMap(({ response }) => (response === undefined ? [] : [response]));
          assert.equal(new Set(used).size, used.length);
          assert.equal(used.length, answers.out);
          for (const { request, response, duration } of lookups) {
            if (response === undefined) continue;
            assert.equal(response.message.id, request.message.id);
            assert.equal(response.raw.networkNamespace, request.raw.networkNamespace);
            assert.deepEqual(response.raw.local, request.raw.local);
            assert.deepEqual(response.raw.remote, request.raw.remote);
            assert.ok(duration !== undefined && duration >= 0n && duration < 5n * SECOND);
            const [asked] = request.message.questions;
            const [answered] = response.message.questions;
            if (asked !== undefined && answered !== undefined)
              assert.equal(answered.name.toLowerCase(), asked.name.toLowerCase());
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
