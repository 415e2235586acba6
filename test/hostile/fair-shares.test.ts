/**
 * What one workload does must not cost another one lookup: a victim asks at 10 to 20 lookups a second while somebody else fills what
 * the agent has bounded. All of them are in one cgroup here, so that only the process tells them apart.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineStats } from '../../src/pipeline.ts';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end, ended } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { reportAttack } from './report.ts';
import { HOOK, isBuilt, patient, scaled, stats } from './scale.ts';

const TCP = ['/usr/bin/python3', join(import.meta.dirname, 'tcp_dns.py')];
const UDP = ['/usr/bin/python3', join(import.meta.dirname, 'udp_dns.py')];
const REPOSITORY = join(import.meta.dirname, '../..');
const RESPONDER = '../build/bench/responder';
const FLOOD = '../build/bench/flood';
const VICTIMS_SERVER = '127.0.0.2';
const OTHER_SERVER = '127.0.0.9';
const TRUE_ANSWER = '10.1.2.3';
const LIMIT_MS = patient(60_000);
/** Servers are ended with their test. */
const SERVED_S = String(patient(90));
/** The program reads one answer and closes its socket: families at the socket see no more than it. */
const SEES_RECEIVED_ONLY = ['fentry', 'kprobe'].includes(process.env['WHODNS_TEST_HOOK'] ?? '');
/** More than the agent keeps streams. */
const HALF_SENT = 6000;

let namespace: Namespace;
let directory = '';
let agent: Agent | undefined;
const children: ChildProcess[] = [];

before(async () => {
  if (!isBuilt) {
    buildClients();
    execFileSync('make', ['-s', '-C', join(REPOSITORY, 'bench'), RESPONDER, FLOOD]);
  }
  namespace = await Namespace.open();
  directory = mkdtempSync(join(tmpdir(), 'whodns-fair-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL');
  await agent?.stop();
  agent = undefined;
});
after(async () => {
  await namespace.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Victim and flood are one user in one control group here: what the kernel's budget does is another test (kernel-shares). */
const NO_BUDGET = ['--cgroup-rate', '0'];
/** Few enough that a slow machine fills them too. */
const PLACES = ['--max-in-flight', String(scaled(20_000))];

/** Records of a zone of its own, so that tests do not see each other's. */
async function startAgent(zone: string, ...options: readonly string[]): Promise<Agent> {
  const control = ['--control', join(directory, 'control')];
  agent = Agent.start([
    ...AGENT,
    ...NO_BUDGET,
    ...HOOK,
    ...options,
    '--include-domain',
    zone,
    '--timeout',
    '5s',
    ...control,
  ]);
  const deadline = performance.now() + LIMIT_MS;
  while (!agent.errors.includes('capturing with')) {
    assert.ok(agent.running && performance.now() < deadline, agent.errors);
    await sleep(50);
  }
  return agent;
}

/** Until it is ready; gives what it said then. */
async function serve(argv: readonly string[]): Promise<string> {
  const child = namespace.spawn(argv, ['ignore', 'pipe', 'inherit']);
  children.push(child);
  assert.ok(child.stdout !== null);
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  assert.match(String(said), /ready/, argv.join(' '));
  return String(said);
}

/** Of those who hold most, somebody has given way for this reason: the attack has filled what it was to fill. */
async function untilFull(reason: string): Promise<void> {
  const isFull = async () => (await statsOf()).gaveWay.some(({ counts }) => counts[reason] !== undefined);
  for (const deadline = performance.now() + LIMIT_MS; !(await isFull()); await sleep(200))
    assert.ok(performance.now() < deadline, `the attack does not fill it: ${reason}`);
}

function attack(argv: readonly string[]): Promise<string> {
  const child = namespace.spawn(argv, ['ignore', 'pipe', 'inherit']);
  children.push(child);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return ended(child, LIMIT_MS).then(() => said);
}

async function victim(argv: readonly string[]): Promise<number> {
  const { output, errors, exitCode } = await namespace.run(argv);
  assert.equal(exitCode, 0, errors);
  return (JSON.parse(output) as { answered: number }).answered;
}

/** Nothing lost, nothing false: one record for each lookup, answered as the program was. */
async function assertTrue(zone: string, count: number, prefix: string): Promise<void> {
  const ours = ({ attributes }: JsonRecord) => String(attributes['dns.question.name']).endsWith(zone);
  await agent?.waitFor((records) => records.filter(ours).length >= count, patient(8000));
  const records = (agent?.records ?? []).filter(ours);
  const outcomes = new Map<string, number>();
  for (const { attributes } of records) {
    const answers = JSON.stringify(attributes['dns.answers'] ?? []);
    const outcome = `${attributes['error.type'] ?? attributes['whodns.outcome.reason'] ?? 'ok'} ${answers}`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const stats = await statsOf();
  const said = JSON.stringify([
    stats.source.drops,
    stats.stages.filter(({ name }) => name !== 'sink:console'),
  ]);
  assert.deepEqual(Object.fromEntries(outcomes), { [`ok ["${TRUE_ANSWER}"]`]: count }, said);
  const names = records.map(({ attributes }) => String(attributes['dns.question.name'])).sort();
  const expected = Array.from({ length: count }, (_, i) => `${prefix}${i}.${zone}`).sort();
  assert.deepEqual(names, expected);
  for (const { name, missing } of stats.stages) assert.equal(missing, 0, name);
}

/** What gave way is told as records on the workload that did, to one. */
async function assertTold(reason: string, executable: string): Promise<number> {
  const isOurs = ({ event_name, attributes }: JsonRecord) =>
    event_name === 'whodns.suppressed' && attributes['whodns.suppressed.bound'] === reason;
  const told = () =>
    (agent?.records ?? [])
      .filter(isOurs)
      .reduce((sum, { attributes }) => sum + Number(attributes['whodns.suppressed.given_up']), 0);
  const counted = async () =>
    (await statsOf()).gaveWay.reduce((sum, { counts }) => sum + (counts[reason] ?? 0), 0);
  // Every 10 s.
  for (const deadline = performance.now() + patient(25_000); told() !== (await counted()); await sleep(200))
    assert.ok(performance.now() < deadline, `${told()} of ${await counted()} told`);
  const of = agent?.records.filter(isOurs).map(({ resource }) => resource['process.executable.name']);
  assert.deepEqual([...new Set(of)], [executable]);
  return told();
}

async function statsOf(): Promise<PipelineStats> {
  return stats(join(directory, 'control'));
}

describe('fair shares', { timeout: patient(120_000) }, () => {
  it(`${HALF_SENT} half-sent TCP messages cost no TCP lookup of another process`, async () => {
    const zone = `v${randomBytes(4).toString('hex')}.test`;
    await serve([...TCP, 'serve', VICTIMS_SERVER, SERVED_S]);
    await serve([...TCP, 'serve', OTHER_SERVER, SERVED_S]);
    await startAgent(zone);
    const said = await serve([...TCP, 'half', OTHER_SERVER, String(HALF_SENT), String(LIMIT_MS / 1000)]);
    const connections = Number(/ready (\d+)/.exec(said)?.[1]);
    assert.ok(connections >= HALF_SENT * 0.9, `the attack itself must succeed: ${connections}`);
    await untilFull('streams_full');
    const answered = await victim([...TCP, 'ask', VICTIMS_SERVER, '60', '0.1', zone]);
    assert.equal(answered, 60);
    await assertTrue(zone, 60, 't');
    for (const child of children.splice(0)) await end(child, 'SIGKILL');
    const told = await assertTold('streams_full', 'python3.11');
    reportAttack({
      attack: '6 000 half-sent TCP messages',
      stranger: 'user',
      holds: 'no TCP lookup of another process is lost or false; it is said whose streams gave way',
      figure: `60 of 60 lookups right beside ${connections} connections, ${told} times given way and told`,
    });
  });

  it('20 000 unanswered queries a second cost no lookup of another process whose server takes 4 s', async () => {
    const zone = `v${randomBytes(4).toString('hex')}.test`;
    await serve([...UDP, 'serve', VICTIMS_SERVER, '4', SERVED_S]);
    await serve([join(REPOSITORY, 'bench', RESPONDER), OTHER_SERVER, '53', 'silent']);
    await startAgent(zone, ...PLACES);
    const flooded = attack([
      join(REPOSITORY, 'bench', FLOOD),
      OTHER_SERVER,
      '53',
      '20000',
      String(patient(20)),
      '1',
    ]);
    await untilFull('requests_full');
    const answered = await victim([...UDP, 'ask', VICTIMS_SERVER, '200', '0.05', String(patient(6)), zone]);
    const { sent } = JSON.parse(await flooded) as { sent: number };
    assert.equal(answered, 200);
    await assertTrue(zone, 200, 'u');
    const told = await assertTold('requests_full', 'flood');
    reportAttack({
      attack: '20 000 unanswered queries a second',
      stranger: 'user',
      holds: 'no lookup of another process whose server takes 4 s is lost or called a time-out',
      figure: `200 of 200 lookups right beside ${sent} unanswered, ${told} times given way and told`,
    });
  });

  it('an agent that cannot keep up has room for who asks little', async () => {
    const zone = `v${randomBytes(4).toString('hex')}.test`;
    await serve([...UDP, 'serve', VICTIMS_SERVER, '0', SERVED_S]);
    await serve([join(REPOSITORY, 'bench', RESPONDER), OTHER_SERVER, '53', 'silent']);
    const running = await startAgent(zone);
    const flooded = attack([join(REPOSITORY, 'bench', FLOOD), OTHER_SERVER, '53', '100000', '14', '1']);
    const slowed = setInterval(() => {
      process.kill(running.pid, 'SIGSTOP');
      setTimeout(() => process.kill(running.pid, 'SIGCONT'), 300);
    }, 330);
    try {
      const isPressed = async () => (await statsOf()).source.drops['request_suppressed'] !== 0;
      for (const deadline = performance.now() + LIMIT_MS; !(await isPressed()); await sleep(200))
        assert.ok(performance.now() < deadline, 'the ring never fills');
      assert.equal(
        await victim([...UDP, 'ask', VICTIMS_SERVER, '100', '0.05', String(patient(3)), zone]),
        100,
      );
      await flooded;
    } finally {
      clearInterval(slowed);
      await sleep(400);
    }
    await assertTrue(zone, 100, 'u');
    const leftOut = (await statsOf()).source.drops['request_suppressed'];
    assert.ok(Number(leftOut) > scaled(100_000), `the ring had room: ${leftOut} left out`);
    reportAttack({
      attack:
        '100 000 queries a second while the agent runs a tenth of the time, one user, one control group',
      stranger: 'user',
      holds: 'the ring keeps room: no lookup of another process is lost',
      figure: `100 of 100 lookups right, ${leftOut} of the flood left out and counted`,
    });
  });

  it('an agent that was stopped for longer than the time-out calls nothing a time-out that was answered', async () => {
    const zone = `v${randomBytes(4).toString('hex')}.test`;
    await serve([...UDP, 'serve', VICTIMS_SERVER, '0.5', SERVED_S]);
    const running = await startAgent(zone);
    process.kill(running.pid, 'SIGSTOP');
    try {
      assert.equal(
        await victim([...UDP, 'ask', VICTIMS_SERVER, '100', '0.02', String(patient(3)), zone]),
        100,
      );
      // Longer than --timeout.
      await sleep(4000);
    } finally {
      process.kill(running.pid, 'SIGCONT');
    }
    await assertTrue(zone, 100, 'u');
    reportAttack({
      attack: 'the agent is stopped for longer than the time-out (SIGSTOP)',
      stranger: 'host',
      holds: 'what was answered meanwhile is no time-out',
      figure: '100 of 100 lookups right',
    });
  });

  it('a second answer that says something else has a record of its own, linked to the first', async () => {
    const zone = `two${randomBytes(4).toString('hex')}.test`;
    await serve([...UDP, 'serve', VICTIMS_SERVER, '0', SERVED_S]);
    const running = await startAgent(zone);
    // The first label decides: u0.two... is answered once, two.u0... twice.
    const { exitCode, errors } = await namespace.run([...UDP, 'ask', VICTIMS_SERVER, '1', '0.1', '1', zone]);
    assert.equal(exitCode, 0, errors);
    await namespace.run([join(CLIENTS, 'actor'), 'ask', VICTIMS_SERVER, `two.${zone}`]);
    const ours = ({ attributes }: JsonRecord) => attributes['dns.question.name'] === `two.${zone}`;
    await running.waitFor((records) => records.filter(ours).length >= 2, patient(5000));
    const [first, second, ...more] = running.records.filter(ours);
    assert.equal(more.length, 0);
    assert.deepEqual(first?.attributes['dns.answers'], ['6.6.6.6']);
    assert.equal(first?.attributes['whodns.answers.conflicting'], undefined);
    if (SEES_RECEIVED_ONLY) {
      assert.equal(second, undefined);
      return;
    }
    assert.deepEqual(second?.attributes['dns.answers'], [TRUE_ANSWER]);
    assert.equal(second?.attributes['whodns.answers.conflicting'], true);
    assert.equal(second?.attributes['whodns.answers.conflicts_with'], first?.attributes['log.record.uid']);
    assert.equal(second?.time, first?.time);
    assert.equal(second?.resource['process.pid'], first?.resource['process.pid']);
    reportAttack({
      attack: 'a second answer that says something else',
      stranger: 'server',
      holds: 'it has a record of its own with whodns.answers.conflicting, linked to the first',
      figure: '2 records of 2 answers',
    });
  });
});
