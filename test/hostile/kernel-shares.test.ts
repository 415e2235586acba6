/**
 * What one workload sends does not push out what others send: a victim that looks up a name 20 times a second loses nothing and
 * is told nothing false while others flood, on the host where all processes are in one control group, as the same user or another.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { finish, Namespace } from '../matrix/namespace.ts';
import { cgroupMount } from './hanging-processes.ts';
import { reportAttack } from './report.ts';
import { HOOK, isBuilt, patient, scaled, stats } from './scale.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const PROGRAMS = join(REPOSITORY, 'build/bench');
const VICTIM_SERVER = '127.0.0.2';
const SINK = '127.0.0.9';
const PORT = '53';
const ATTACKER = 1000;
const LOOKUPS = 160;
const GAP_MS = 50;
const SETTLE_MS = 1500;
const PATIENCE_MS = patient(15_000);
const CASE_LIMIT_MS = patient(60_000);
/** The budget, and what would exceed it. */
const RATE = scaled(5000);
const BURST = scaled(50_000);
const PROCESSES = scaled(130_000);
const GROUPS = scaled(2000);

let directory: string;
let namespace: Namespace;
let agent: Agent;
let servers: ChildProcess[] = [];
let control: string;

before(async () => {
  if (!isBuilt) {
    buildClients();
    execFileSync('make', ['-s', '-C', join(REPOSITORY, 'bench')], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  directory = mkdtempSync(join(tmpdir(), 'whodns-shares-'));
  control = join(directory, 'control');
  namespace = await Namespace.open();
  servers = [
    namespace.spawn([join(PROGRAMS, 'responder'), VICTIM_SERVER, PORT]),
    namespace.spawn([join(PROGRAMS, 'responder'), SINK, PORT, 'silent']),
  ];
  // The agent sees the whole host; what it records of the flood is not what is asked here.
  const budget = ['--cgroup-rate', String(RATE), '--cgroup-burst', String(BURST)];
  const options = [...HOOK, ...budget, '--control', control, '--include-domain', 'victim.test'];
  agent = Agent.start([...AGENT, ...options]);
  const deadline = performance.now() + patient(30_000);
  while (!agent.errors.includes('capturing with')) {
    assert.ok(agent.running && performance.now() < deadline, agent.errors);
    await sleep(50);
  }
});

after(async () => {
  await agent?.stop();
  for (const server of servers) await end(server);
  await namespace?.close();
  rmSync(directory, { recursive: true, force: true });
});

const asUser = (uid: number, argv: readonly string[]): string[] => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'],
  ...argv,
];
const nameOf = ({ attributes }: JsonRecord): string => String(attributes['dns.question.name'] ?? '');
const program = (name: string): string => {
  const built = join(PROGRAMS, name);
  return existsSync(built) ? built : join(CLIENTS, name);
};

/** The victim looks up its names while `attack` runs, and every one must have its record, answered. */
async function victimDuring(attack: ChildProcess, uid: number, tag: string): Promise<string> {
  const attacked = finish(attack, CASE_LIMIT_MS);
  await sleep(SETTLE_MS);
  const argv = [program('victim'), VICTIM_SERVER, PORT, String(LOOKUPS), String(GAP_MS), tag];
  const victim = await finish(namespace.spawn(asUser(uid, argv)), CASE_LIMIT_MS);
  assert.equal(victim.exitCode, 0, victim.errors);
  const told = JSON.parse(victim.output) as { pid: number; sent: number; answered: number };
  assert.deepEqual({ sent: told.sent, answered: told.answered }, { sent: LOOKUPS, answered: LOOKUPS });
  const attackOutput = await attacked;
  assert.equal(attackOutput.exitCode, 0, attackOutput.errors);
  const mine = (record: JsonRecord) => nameOf(record).endsWith(`.${tag}.victim.test`);
  await agent.waitFor((records) => records.filter(mine).length >= LOOKUPS, PATIENCE_MS);
  const records = agent.records.filter(mine);
  const { source } = await stats(control);
  const said = JSON.stringify({ attack: attackOutput.output, source });
  assert.equal(new Set(records.map(nameOf)).size, LOOKUPS, `recorded names ${said}`);
  assert.equal(records.length, LOOKUPS, said);
  for (const { attributes, resource } of records) {
    assert.equal(attributes['error.type'], undefined, `${JSON.stringify(attributes)} ${said}`);
    assert.equal(attributes['dns.response_code'], 'NOERROR', said);
    assert.equal(resource['process.pid'], told.pid);
    assert.equal(resource['process.executable.name'], 'victim');
  }
  return attackOutput.output;
}

const SECONDS = (SETTLE_MS + LOOKUPS * GAP_MS) / 1000;

describe('the victim loses nothing', { timeout: 4 * CASE_LIMIT_MS }, () => {
  for (const [whose, uid] of [
    ['of another user', 0],
    ['of the same user', ATTACKER],
  ] as const) {
    test(`to a datagram flood ${whose} in its own control group`, { timeout: CASE_LIMIT_MS }, async () => {
      const before = (await stats(control)).source.drops;
      const flood = [program('flood'), SINK, PORT, '0', String(SECONDS), '1'];
      const output = await victimDuring(namespace.spawn(asUser(ATTACKER, flood)), uid, `flood${uid}`);
      const { sent } = JSON.parse(output) as { sent: number };
      const { source } = await stats(control);
      const leftOut = (source.drops['request_suppressed'] ?? 0) - (before['request_suppressed'] ?? 0);
      const max = BURST + RATE * (SECONDS + 2);
      assert.ok(
        leftOut > 0 && sent - leftOut <= max,
        `${leftOut} of ${sent} left out, ${max} admitted at most`,
      );
      assert.equal(source.drops['ring_full'], 0);
      assert.equal(source.drops['response_ring_full'], 0);
      reportAttack({
        attack: `a datagram flood as fast as one core sends, ${whose}, in the victim's own control group`,
        stranger: 'user',
        holds: 'a victim at 20 lookups a second loses none and has no false outcome; the ring is never full',
        figure: `${LOOKUPS} of ${LOOKUPS} lookups right, ${leftOut} of ${sent} of the flood left out`,
      });
    });
  }

  test(`to ${PROCESSES} short-lived processes of the same user; the next process is complete at once`, {
    timeout: 2 * CASE_LIMIT_MS,
  }, async (t) => {
    const before = (await stats(control)).source.drops;
    const burst = [program('burst'), SINK, PORT, String(PROCESSES), '1', String(ATTACKER)];
    const output = await victimDuring(namespace.spawn(burst), ATTACKER, 'burst');
    t.diagnostic(output);
    const ask = [program('victim'), VICTIM_SERVER, PORT, '1', '1', 'next'];
    const environment = ['env', '-i', 'OTEL_SERVICE_NAME=next-service'];
    const next = await finish(namespace.spawn(asUser(0, [...environment, ...ask])), CASE_LIMIT_MS);
    const { pid } = JSON.parse(next.output) as { pid: number };
    const isNext = (record: JsonRecord) => nameOf(record) === 'v0.next.victim.test';
    await agent.waitFor((records) => records.some(isNext), PATIENCE_MS);
    const record = agent.records.find(isNext);
    assert.deepEqual(
      {
        pid: record?.resource['process.pid'],
        path: record?.resource['process.executable.path'],
        service: record?.resource['service.name'],
        attribution: record?.attributes['whodns.attribution'],
      },
      { pid, path: program('victim'), service: 'next-service', attribution: 'kernel' },
    );
    const { source } = await stats(control);
    assert.equal(source.drops['process_table_full'], before['process_table_full'] ?? 0);
    assert.equal(source.drops['process_ring_full'], before['process_ring_full'] ?? 0);
    const { processes, seconds } = JSON.parse(output) as { processes: number; seconds: number };
    reportAttack({
      attack: '130 000 short-lived processes of the same user',
      stranger: 'user',
      holds: 'a victim at 20 lookups a second loses none; the next process is complete at once',
      figure: `${LOOKUPS} of ${LOOKUPS} lookups right beside ${processes} processes in ${seconds} s`,
    });
  });

  const mount = cgroupMount();
  test(`to floods from ${GROUPS} control groups of a user who may make them`, {
    timeout: 2 * CASE_LIMIT_MS,
    skip: mount === undefined ? 'no cgroup v2 is mounted' : false,
  }, async (t) => {
    const parent = join(mount ?? '', `whodns-test-${process.pid}`);
    mkdirSync(parent);
    try {
      chownSync(parent, ATTACKER, ATTACKER);
      const before = (await stats(control)).source;
      const burst = [program('burst'), SINK, PORT, String(GROUPS), '200', String(ATTACKER), parent];
      const output = await victimDuring(namespace.spawn(burst), 0, 'groups');
      t.diagnostic(output);
      const { sent } = JSON.parse(output) as { sent: number };
      const { source } = await stats(control);
      const requests = (source.counters['requests'] ?? 0) - (before.counters['requests'] ?? 0);
      const leftOut = (source.drops['request_suppressed'] ?? 0) - (before.drops['request_suppressed'] ?? 0);
      assert.ok(requests >= sent, `${requests} of ${sent}`);
      // One budget for all of them: a burst, and the rate for the seconds that it took.
      const { seconds } = JSON.parse(output) as { seconds: number };
      const budget = BURST + RATE * (seconds + 2) + LOOKUPS;
      assert.ok(
        requests - leftOut <= budget,
        `${requests - leftOut} of ${requests} admitted, ${budget} at most`,
      );
      reportAttack({
        attack: 'floods from 2 000 control groups of a user who may make them',
        stranger: 'user',
        holds: 'they have one budget together; a victim at 20 lookups a second loses none',
        figure: `${LOOKUPS} of ${LOOKUPS} lookups right, ${requests - leftOut} of ${requests} of the flood admitted`,
      });
    } finally {
      rmdirSync(parent);
    }
  });

  test('and what was left out is told of on the workload that sent it', {
    timeout: CASE_LIMIT_MS,
  }, async () => {
    const isSuppressed = ({ event_name, attributes }: JsonRecord) =>
      event_name === 'whodns.suppressed' && attributes['whodns.suppressed.bound'] === undefined;
    await agent.waitFor((records) => records.some(isSuppressed), PATIENCE_MS);
    const records = agent.records.filter(isSuppressed);
    const of = (executable: string) =>
      records.filter(({ resource }) => resource['process.executable.name'] === executable);
    const flood = of('flood');
    assert.ok(flood.length > 0, JSON.stringify(records));
    for (const { attributes, resource } of flood) {
      assert.ok(Number(attributes['whodns.suppressed.requests']) > 0);
      assert.equal(attributes['whodns.suppressed.user.id'], ATTACKER);
      assert.ok(Date.parse(String(attributes['whodns.suppressed.since'])) <= Date.now());
      assert.equal(resource['process.pid'], undefined);
    }
    // The records together hold what the kernel counted, to one.
    await sleep(10_500);
    const { source } = await stats(control);
    const told = agent.records
      .filter(isSuppressed)
      .reduce((sum, { attributes }) => sum + Number(attributes['whodns.suppressed.requests']), 0);
    assert.equal(told, source.drops['request_suppressed']);
    reportAttack({
      attack: 'any of these floods',
      stranger: 'user',
      holds: "whodns.suppressed on the sender's own resource says how many requests were left out, to one",
      figure: `${told} of ${told} told`,
    });
  });
});
