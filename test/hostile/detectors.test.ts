/**
 * Detections: what an unprivileged user can do to blind them, and what a detector of the operator's own can do to the agent.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StageSnapshot } from '../../src/ledger.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { FAULTS, missingIn, writeStrays } from './detectors/strays.ts';
import { reportAttack } from './report.ts';

const HERE = join(import.meta.dirname, 'detectors');
const PATIENCE_MS = 20_000;
const SOCKETS = 27_000;
const ASKING = 60;
const zone = `h${randomBytes(4).toString('hex')}.test`;
const directory = mkdtempSync(join(tmpdir(), 'whodns-hostile-'));
let namespace: Namespace;
let server: NameServer;

before(async () => {
  namespace = await Namespace.open();
  server = await startDnsmasq(namespace, { name: zone, lines: [`address=/${zone}/192.0.2.1`] }, [
    '127.0.0.1',
    '127.0.0.2',
  ]);
});
after(async () => {
  await server?.stop();
  await namespace?.close();
  rmSync(directory, { recursive: true, force: true });
});

const asked = (record: JsonRecord): string => String(record.attributes['dns.question.name']);
const isFinding = (record: JsonRecord, rule: string): boolean =>
  record.event_name === 'whodns.finding' && record.attributes['security_rule.name'] === rule;

/** An agent that captures; its records of this zone and about its detectors are kept. */
async function agentWith(name: string, ...options: readonly string[]): Promise<Agent> {
  const control = join(directory, `${name}.sock`);
  const stats = join(directory, `${name}.stats`);
  const [node = '', ...program] = AGENT;
  const defects = ['--import', join(HERE, 'defect.mjs')];
  const agent = Agent.start(
    [node, ...defects, ...program, '--timeout', '2s', '--stats', stats, ...options, '--control', control],
    (record) => asked(record).endsWith(zone) || isFinding(record, 'detector-off'),
  );
  const deadline = performance.now() + PATIENCE_MS;
  while (!/capturing with/.test(agent.errors)) {
    assert.ok(agent.running && performance.now() < deadline, agent.errors);
    await sleep(50);
  }
  return agent;
}

function stagesOf(name: string): readonly StageSnapshot[] {
  const text = readFileSync(join(directory, `${name}.stats`), 'utf8');
  return (JSON.parse(text) as { readonly stages: readonly StageSnapshot[] }).stages;
}

/** Conservation, to one. */
function assertKept(stages: readonly StageSnapshot[]): void {
  for (const { name, missing } of stages) assert.equal(missing, 0, `stage ${name}`);
}

/** Of those that this process may use, which are not always from 0 on. */
function firstProcessor(): string {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return allowed?.[1] ?? '0';
}

const ask = (label: string) =>
  namespace.run(['dig', '+tries=1', '+time=1', '+short', '@127.0.0.1', `${label}.${zone}`]);

describe('detections that others try to blind', () => {
  it('a socket table of 27 000 lines, read for each of 60 processes', async () => {
    const agent = await agentWith('sockets', '--detect', 'rogue-resolver');
    const child = namespace.spawn(
      ['/usr/bin/python3', join(HERE, 'sockets.py'), String(SOCKETS), String(ASKING), zone],
      ['ignore', 'inherit', 'inherit'],
    );
    try {
      const found = () => agent.records.filter((record) => isFinding(record, 'rogue-resolver')).length;
      await agent.waitFor(() => found() >= ASKING, PATIENCE_MS);
      await agent.assertRingKept();
      assert.doesNotMatch(agent.errors, /switched off/);
      assert.equal(found(), ASKING);
      // The rule still sees: a process that asks afterwards is found too.
      await namespace.run(['dig', '+tries=1', '+time=1', '@127.0.0.2', `afterwards.${zone}`]);
      await agent.expect(() => found() === ASKING + 1, PATIENCE_MS, 'the finding afterwards');
      reportAttack({
        attack: `${SOCKETS} sockets in a namespace, read for each of ${ASKING} processes that ask a server of their choice`,
        stranger: 'user',
        holds: 'no rule is switched off, every process is found, and one that comes afterwards',
        figure: `${found()} of ${ASKING + 1} processes found, 0 rules switched off`,
      });
    } finally {
      child.kill('SIGKILL');
      await agent.stop();
    }
    assertKept(stagesOf('sockets'));
  });

  it('processors kept busy: a detector that is quick stays on', async () => {
    const burning = 16;
    const argv = [
      'taskset',
      '-c',
      firstProcessor(),
      process.execPath,
      join(HERE, 'busy.ts'),
      String(burning),
    ];
    const { exitCode, output, errors } = await namespace.run(argv, 120_000);
    assert.equal(exitCode, 0, errors);
    const { calls, off, late } = JSON.parse(output) as { calls: number; off: string[]; late: number };
    assert.deepEqual(off, []);
    assert.ok(late >= 5, `no one kept it from its processor: ${output}`);
    reportAttack({
      attack: `${burning} processes burn the processor that the agent runs on`,
      stranger: 'user',
      holds:
        'a detector that takes 0.15 ms a call is not switched off: what it cost the thread counts, not the time that passed',
      figure: `${calls} calls, ${late} of them took more than 25 ms by the wall, 0 switched off`,
    });
  });
});

describe('a detector of the operator', () => {
  it('cannot end the agent by what it does outside of its calls, nor by what it returns', async () => {
    const strays = writeStrays(zone);
    const agent = await agentWith('stray', ...strays.options, '--detect', 'rogue-resolver');
    try {
      const faults = Object.keys(FAULTS);
      for (const fault of faults) await ask(fault);
      await agent.waitFor(() => missingIn(agent.errors).length === 0, PATIENCE_MS);
      assert.deepEqual(missingIn(agent.errors), []);
      await ask('last');
      await agent.expect(
        (records) => records.some((record) => asked(record) === `last.${zone}`),
        PATIENCE_MS,
      );
      for (const fault of faults)
        assert.equal(agent.records.filter((record) => asked(record) === `${fault}.${zone}`).length, 1, fault);
      const off = agent.records.filter((record) => record.attributes['whodns.finding.kind'] === 'off');
      assert.equal(off.length, faults.length - 1, 'a finding for each detector that is off');
      assert.doesNotMatch(agent.errors, /internal error/);
      assert.equal(await agent.stop(), 0, agent.errors);
      const stages = stagesOf('stray');
      assertKept(stages);
      for (const { name, dropped } of stages.filter((stage) => stage.name.startsWith('detector:')))
        assert.equal(dropped['off'], undefined, `${name}: nothing is lost by it, the records went out`);
      reportAttack({
        attack:
          'detectors throw in timers, promises, callbacks and getters, return what is no finding, call process.exit()',
        stranger: 'detector',
        holds: 'each is switched off for a while, alone, which is a finding; every lookup is recorded',
        figure: `${off.length} of ${faults.length - 1} detectors off, ${faults.length + 1} of ${faults.length + 1} lookups recorded, exit code 0`,
      });
    } finally {
      await agent.stop();
      strays.remove();
    }
  });
});

describe('a detector of the operator that never returns', { concurrency: 2 }, () => {
  for (const [how, code, says] of [
    ['in a loop', 'onEvent: () => { for (;;); }', /^whodns: detector endless does not return: /m],
    [
      'in a chain of promises',
      'onEvent() { const more = () => Promise.resolve().then(more); void more(); }',
      /^whodns: the event loop stands still; these detectors are not whodns's own: endless: /m,
    ],
  ] as const)
    it(`${how}: it is said which one it was, and the agent ends with a code of its own`, async () => {
      // One each: they run beside each other.
      const folder = join(HERE, '../../../build/hostile', `${zone}-${how.length}`);
      mkdirSync(folder, { recursive: true });
      const file = join(folder, 'endless.mjs');
      writeFileSync(file, `export default { name: 'endless', severity: 'info', describe: 'x', ${code} };\n`);
      const agent = await agentWith(`endless-${how.length}`, '--detector', file, '--detect', 'all');
      try {
        const started = performance.now();
        await ask('endless');
        while (agent.running && performance.now() - started < 90_000) await sleep(50);
        const seconds = Math.round((performance.now() - started) / 1000);
        assert.equal(await agent.stop(), 71, agent.errors);
        assert.match(agent.errors, says);
        assert.equal(agent.errors.split('\nwhodns: ').length, agent.errors.trimEnd().split('\n').length);
        reportAttack({
          attack: `a detector never returns, ${how}`,
          stranger: 'detector',
          holds: 'the agent says which one it was, and ends with exit code 71, so that it is started again',
          figure: `ended after ${seconds} s`,
        });
      } finally {
        await agent.stop();
        rmSync(folder, { recursive: true, force: true });
      }
    });
});

describe('a defect of the agent itself', () => {
  for (const [what, signal] of [
    ['an error that nothing catches', 'SIGUSR2'],
    ['a rejection that nothing handles', 'SIGWINCH'],
  ] as const)
    it(`${what}: what is in flight is flushed and counted, and the exit code says so`, async () => {
      const agent = await agentWith(signal, '--detect', 'all');
      await ask('answered');
      await agent.expect((records) => records.length > 0, PATIENCE_MS);
      // Nobody is there: in flight until the agent's time-out of 2 s.
      await namespace.run(['dig', '+tries=1', '+time=1', '@127.0.0.9', `flight.${zone}`]);
      process.kill(agent.pid, signal);
      const started = performance.now();
      while (agent.running && performance.now() - started < 10_000) await sleep(20);
      const ms = Math.round(performance.now() - started);
      assert.equal(await agent.stop(), 70, agent.errors);
      assert.match(agent.errors, /internal error, the agent stops: Error: a defect/);
      assert.ok(ms < 6000, `it took ${ms} ms`);
      assert.equal(agent.records.filter((record) => asked(record) === `flight.${zone}`).length, 1);
      const stages = stagesOf(signal);
      assertKept(stages);
      assert.ok(stages.every(({ held }) => held === 0));
      reportAttack({
        attack: `${what}, in the agent's own code`,
        stranger: 'host',
        holds: 'what is in flight is flushed within 5 s and counted, exit code 70',
        figure: `ended after ${ms} ms, 0 records missing, 0 held`,
      });
    });
});
