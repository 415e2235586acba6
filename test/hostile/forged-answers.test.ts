/**
 * Say only what happened: answers that the kernel will refuse, put before the true one by whoever may send raw packets
 * (forge.py). The record and the DNS cache have what the program was given. In the `tracepoint` family; the others look
 * behind the socket.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../src/control/client.ts';
import type { PipelineStats } from '../../src/pipeline.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { reportAttack } from './report.ts';

const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync('/sys/kernel/btf/vmlinux') && 'this kernel has no BTF';
const SCENES = join(import.meta.dirname, 'forge.py');
const ZONE = `f${randomBytes(4).toString('hex')}.test`;
const START_MS = 60_000;
const PATIENCE_MS = 10_000;

/** What IP or UDP or TCP drops. */
const REFUSED = [
  'raw-socket-bad-checksum4',
  'bad-checksum4',
  'bad-checksum6',
  'large-bad-checksum4',
  'larger-than-copied4',
  'no-checksum6',
  'length-too-long4',
  'length-too-long6',
  'length-too-short4',
  'length-too-short6',
  'bad-header4',
  'packet-too-long4',
  'packet-too-long6',
  'packet-too-short4',
  'other-address4',
  'other-address6',
  'own-source4',
  'own-network4',
  'tcp-bad-checksum',
  'tcp-out-of-window',
  'tcp-acknowledges-unsent',
  'tcp-no-acknowledgement',
];
/** Forged as well, but nothing is wrong with them: the program takes the forged answer, so the record has it. */
const TAKEN = ['good4', 'good6', 'large4', 'no-checksum4', 'tcp-good'];

interface Scene {
  readonly mode: string;
  readonly name: string;
  readonly given: string;
}

describe('answers that the kernel will refuse', { skip: missing }, () => {
  let directory: string;
  let namespace: Namespace;
  let agent: Agent;
  let control: string;
  let scenes: Scene[];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'whodns-forged-'));
    control = join(directory, 'control');
    namespace = await Namespace.open();
    const options = ['--hook', 'tracepoint', '--timeout', '2s', '--dnscache', 'enable', '--control', control];
    agent = Agent.start([...AGENT, ...options], (record) => nameOf(record).endsWith(ZONE));
    const deadline = performance.now() + START_MS;
    while (!agent.records.some((record) => nameOf(record).startsWith('probe.'))) {
      assert.ok(agent.running && performance.now() < deadline, agent.errors);
      await namespace.run(['dig', '+tries=1', '+timeout=1', '@127.0.0.1', `probe.${ZONE}`]);
      await sleep(100);
    }
    scenes = await forge(...REFUSED, ...TAKEN);
    assert.equal(scenes.length, REFUSED.length + TAKEN.length);
  });
  after(async () => {
    await agent?.stop();
    await namespace?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  function nameOf({ attributes }: JsonRecord): string {
    return String(attributes['dns.question.name']);
  }

  async function forge(...modes: string[]): Promise<Scene[]> {
    const { exitCode, output, errors } = await namespace.run(['python3', SCENES, ZONE, ...modes]);
    assert.equal(exitCode, 0, errors);
    return output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Scene);
  }

  async function recordOf(scene: Scene): Promise<JsonRecord> {
    // What comes after the answer that the program took, and says something else, has a record of its own.
    const its = (record: JsonRecord) =>
      nameOf(record) === scene.name && record.attributes['whodns.answers.conflicting'] !== true;
    await agent.expect((records) => records.some(its), PATIENCE_MS, `no record of ${scene.mode}`);
    const found = agent.records.filter(its);
    assert.equal(found.length, 1, scene.mode);
    return found[0] as JsonRecord;
  }

  for (const [index, mode] of [...REFUSED, ...TAKEN].entries())
    test(`${mode}: the record has what the program was given`, async () => {
      const scene = scenes[index] as Scene;
      const forged = `6.6.6.${index + 1}`;
      // Else the scene shows nothing.
      assert.equal(scene.given === forged, TAKEN.includes(mode), JSON.stringify(scene));
      const { attributes } = await recordOf(scene);
      assert.deepEqual(attributes['dns.answers'], [scene.given]);
      assert.equal(attributes['error.type'], undefined);
    });

  test('the DNS cache has nothing else, and what was left out is counted', async () => {
    const scope = `netns=${statSync(`/proc/${namespace.pid}/ns/net`).ino}`;
    // Exit code 1: nothing known.
    const cached = (text: string): string =>
      spawnSync(process.execPath, [MAIN, 'cache', 'get', text, '--scope', scope, '--control', control], {
        encoding: 'utf8',
      }).stdout;
    for (const [index, { mode, name, given }] of scenes.entries()) {
      if (mode.startsWith('tcp-') || mode.startsWith('bad-')) assert.ok(cached(given).includes(name), mode);
      if (REFUSED.includes(mode)) assert.ok(!cached(`6.6.6.${index + 1}`).includes(ZONE), mode);
    }
    const { source } = (await ask(control, '/stats')) as PipelineStats;
    assert.ok(Number(source.counters['refused']) >= REFUSED.length, JSON.stringify(source.counters));
    reportAttack({
      attack:
        'answers with bad checksums, lengths, addresses and sequence numbers by raw packets (tracepoint hooks)',
      stranger: 'container',
      holds: 'neither record nor DNS cache has one that the kernel refuses',
      figure: `${REFUSED.length} of ${REFUSED.length} kinds left out`,
    });
  });
});
