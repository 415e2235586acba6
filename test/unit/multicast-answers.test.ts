/** Multicast DNS (RFC 6762) and LLMNR (RFC 4795): whose answer is whose, by port, family and address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, MS, request, type Spec, setUp } from './correlate-events.ts';
import { record } from './sink-events.ts';

const HOST = '10.1.0.1';
const PEER = '10.1.0.2';
const LINK = 'fe80::1';
const MDNS = { address: '224.0.0.251', port: 5353 };
const LLMNR = { address: '224.0.0.252', port: 5355 };

const told = (name: string, data = PEER) => ({ questions: [], answers: [record(name, 1, data)] });
/** To the group, without a question and without an id. */
const toGroup = (name: string, spec: Spec = {}): Spec => ({
  id: 0,
  local: MDNS,
  remote: { address: PEER, port: 5353 },
  message: told(name),
  ...spec,
});
const asked = (name: string, spec: Spec = {}): Spec => ({
  name,
  id: 0,
  local: { address: HOST, port: 5353 },
  remote: MDNS,
  ...spec,
});

test('an answer to the group, whatever id was asked with', () => {
  for (const id of [0, 77]) {
    const { ask, reply, lookups, answers } = setUp();
    ask(asked('a.local', { id }));
    reply({ ...toGroup('a.local'), at: 5n * MS });
    assert.deepEqual(
      lookups.map(({ outcome, durationNs }) => [outcome, durationNs]),
      [['answered', 5_000_000]],
    );
    assert.equal(answers.out, 1);
  }
});

test('an answer to the group ends every lookup that it answers, and counts once', () => {
  const { ask, reply, lookups, answers, end } = setUp();
  ask(asked('a.local'));
  ask(asked('b.local'));
  ask(asked('c.local'));
  ask(asked('a.local', { owner: { pid: 200, tid: 200 } }));
  const both = [record('a.local', 1, PEER), record('b.local', 1, PEER)];
  reply(toGroup('', { message: { questions: [], answers: both } }));
  assert.equal(lookups.length, 3);
  assert.equal(answers.in, 1);
  assert.equal(answers.out, 1);
  end();
  assert.deepEqual(lookups.map(({ outcome }) => outcome).sort(), [
    'answered',
    'answered',
    'answered',
    'timeout',
  ]);
});

test('one question by several records of a lookup asked twice ends it once', () => {
  const { ask, reply, lookups, stage } = setUp();
  ask(asked('a.local'));
  ask(asked('a.local', { at: 1000n * MS, remote: { address: 'ff02::fb', port: 5353 }, family: 6 }));
  ask(asked('a.local', { at: 1001n * MS }));
  reply({ ...toGroup('a.local'), at: 1002n * MS });
  assert.equal(lookups.length, 1);
  assert.equal(lookups[0]?.retries, 1);
  assert.equal(stage.in, 3);
});

test('a one-shot question is answered by unicast, and so is one with the unicast bit', () => {
  const { ask, reply, lookups } = setUp();
  const local = { address: HOST, port: 40_123 };
  const remote = { address: PEER, port: 5353 };
  ask(asked('one.local', { id: 9, local }));
  reply({ id: 9, name: 'one.local', local, remote });
  const questions = [{ name: 'two.local', type: 1, class: 0x8001 }];
  ask(asked('', { questions }));
  reply({ ...toGroup('two.local'), local: { address: HOST, port: 5353 } });
  assert.deepEqual(
    lookups.map(({ outcome }) => outcome),
    ['answered', 'answered'],
  );
});

test('LLMNR by both families with one port and one id: each has the answer of its own', () => {
  const { ask, reply, lookups } = setUp();
  const both = { name: 'host', id: 0x9fa9 };
  const six: Spec = { family: 6, local: { address: LINK, port: 51_385 } };
  const four: Spec = { family: 4, local: { address: HOST, port: 51_385 } };
  ask({ ...both, ...six, remote: { address: 'ff02::1:3', port: 5355 } });
  ask({ ...both, ...four, remote: LLMNR, at: 1n * MS });
  reply({ ...both, ...four, remote: { address: PEER, port: 5355 }, at: 2n * MS });
  reply({ ...both, ...six, remote: { address: 'fe80::2', port: 5355 }, at: 4n * MS });
  assert.deepEqual(
    lookups.map(({ request: { raw }, answer: { raw: from }, durationNs }) => [
      raw.remote.address,
      from.remote.address,
      durationNs,
    ]),
    [
      ['224.0.0.252', PEER, 1_000_000],
      ['ff02::1:3', 'fe80::2', 4_000_000],
    ],
  );
});

test('one question over two interfaces: each has the answer that came to its address', () => {
  const { ask, reply, lookups } = setUp();
  const second = { address: '10.2.0.1', port: 40_000 };
  ask({ name: 'host', remote: LLMNR, local: { address: HOST, port: 40_000 } });
  ask({ name: 'host', remote: LLMNR, local: second, owner: { tid: 101 } });
  reply({ name: 'host', local: second, remote: { address: '10.2.0.9', port: 5355 } });
  assert.deepEqual(
    lookups.map(({ request: { raw } }) => raw.local.address),
    ['10.2.0.1'],
  );
});

test('what is no answer to it: another port, another family, another name, a question of others', () => {
  const { ask, reply, lookups, answers, end } = setUp();
  ask(asked('a.local'));
  ask({ name: 'host', id: 3, remote: LLMNR, local: { address: HOST, port: 40_000 } });
  reply(toGroup('other.local'));
  reply(toGroup('a.local', { remote: { address: PEER, port: 9999 } }));
  reply(toGroup('a.local', { family: 6, local: { address: 'ff02::fb', port: 5353 } }));
  const unicast = { name: 'host', id: 3, local: { address: HOST, port: 40_000 } };
  reply({ ...unicast, remote: { address: PEER, port: 53 } });
  reply({ ...unicast, id: 4, remote: { address: PEER, port: 5355 } });
  end();
  assert.deepEqual(
    lookups.map(({ outcome }) => outcome),
    ['timeout', 'timeout'],
  );
  assert.equal(
    answers.in,
    answers.out + Object.values(answers.snapshot().filtered).reduce((a, b) => a + b, 0),
  );
});

test('an answer from elsewhere to a question to one server is none', () => {
  const { ask, reply, lookups, end } = setUp();
  ask({ name: 'a.test', remote: { address: '10.0.0.53', port: 5353 } });
  reply({ name: 'a.test', remote: { address: '10.0.0.54', port: 5353 } });
  end();
  assert.equal(lookups[0]?.outcome, 'timeout');
});

test('a flood of answers to the group costs a bounded time each', () => {
  const { correlator, ask, lookups } = setUp();
  for (let i = 0; i < 5000; i++) ask(asked(`n${i}.local`, { owner: { pid: i + 1, tid: i + 1 } }));
  const { raw, message } = answer(toGroup('none.local', { message: told('none.local') }));
  const started = performance.now();
  for (let i = 0; i < 200; i++) correlator.response(raw, message);
  assert.ok(performance.now() - started < 5000);
  assert.equal(lookups.length, 0);
  assert.ok(request(asked('x')).raw.remotePort === 5353);
});

test('asked by one socket and read by another, where the port is shared', () => {
  const { ask, reply, lookups, answers } = setUp();
  ask(asked('a.local', { socket: 1n }));
  reply(toGroup('a.local', { socket: 2n }));
  reply(toGroup('a.local', { socket: 3n }));
  assert.deepEqual(
    lookups.map(({ outcome }) => outcome),
    ['answered'],
  );
  assert.equal(answers.snapshot().missing, 0);
  assert.equal(answers.out, 1);
});

test('of a port of its own only the socket that asked is answered', () => {
  for (const group of [MDNS, LLMNR]) {
    const { ask, reply, lookups } = setUp();
    const local = { address: HOST, port: 40_000 };
    ask({ name: 'a', id: 7, local, remote: group, socket: 1n });
    const from = { id: 7, local, remote: { address: PEER, port: group.port }, message: told('a') };
    reply({ ...from, socket: 2n });
    assert.equal(lookups.length, 0);
    reply({ ...from, socket: 1n });
    assert.equal(lookups[0]?.outcome, 'answered');
  }
});
