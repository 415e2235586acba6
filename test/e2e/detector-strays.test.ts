/**
 * Detectors that get something wrong outside of their calls, and a defect of whodns itself: what the command does, read from a pipe, which takes no
 * privileges. test/hostile/detectors.test.ts has the same with the kernel.
 */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StageSnapshot } from '../../src/ledger.ts';
import { FAULTS, missingIn, writeStrays } from '../hostile/detectors/strays.ts';
import { ended } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';
import { encodeMessage, labels } from '../unit/dns-encode.ts';
import { ipv4, pcap, udp } from '../unit/pcap-write.ts';

const DEFECT = resolve('test/hostile/detectors/defect.mjs');
const PATIENCE_MS = 15_000;

/** A request for the name, as a packet of a capture file without its header. */
function request(name: string, id: number): Buffer {
  const questions = [{ name: labels(name), type: 1, class: 1 }];
  const parts = { answers: [], authorities: [], additionals: [] };
  const message = encodeMessage({ id, flags: 0x0100, questions, ...parts });
  const bytes = ipv4(udp(40_000 + id, 53, message), { identification: id });
  return pcap(101, [{ bytes, time: 1_700_000_000_000_000_000n + BigInt(id) * 1_000_000n }]).subarray(24);
}

interface Replay {
  readonly child: ChildProcessWithoutNullStreams;
  readonly said: { stdout: string; stderr: string };
  /** Ledger, after the end. */
  stages(): readonly StageSnapshot[];
}

function replay(t: { after(run: () => void): void }, ...options: readonly string[]): Replay {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-strays-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const stats = join(directory, 'stats');
  const program = ['--import', DEFECT, MAIN, 'replay', '-', '--format', 'json', '--stats', stats, ...options];
  const child = spawn(process.execPath, program);
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => {
    said.stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    said.stderr += text.toString();
  });
  t.after(() => void child.kill('SIGKILL'));
  child.stdin.write(pcap(101, []));
  const read = () => JSON.parse(readFileSync(stats, 'utf8')) as { readonly stages: readonly StageSnapshot[] };
  return { child, said, stages: () => read().stages };
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, what());
    await sleep(20);
  }
}

test('detectors that go wrong are switched off, the agent goes on', async (t) => {
  const strays = writeStrays(randomBytes(4).toString('hex'));
  t.after(() => strays.remove());
  const { child, said, stages } = replay(t, '--emit', 'request', ...strays.options);
  const names = [...Object.keys(FAULTS), 'last'];
  for (const [id, name] of names.entries()) child.stdin.write(request(`${name}.test`, id));
  await until(
    () => missingIn(said.stderr).length === 0,
    () => `${missingIn(said.stderr).join()}; it said: ${said.stderr}`,
  );
  child.stdin.end();
  assert.equal(await ended(child), 0, said.stderr);
  for (const name of names)
    assert.equal(said.stdout.split(`"dns.question.name":"${name}.test"`).length - 1 > 0, true, name);
  for (const { name, missing, dropped } of stages()) {
    assert.equal(missing, 0, name);
    if (name.startsWith('detector:')) assert.equal(dropped['off'], undefined);
  }
});

for (const [what, signal] of [
  ['an error that nothing catches', 'SIGUSR2'],
  ['a rejection that nothing handles', 'SIGWINCH'],
] as const)
  test(`${what} ends the agent with a code of its own, after what is in flight went out`, async (t) => {
    const { child, said, stages } = replay(t);
    child.stdin.write(Buffer.concat([request('flight.test', 1), request('flight.test', 2)]));
    await sleep(1500);
    child.kill(signal);
    const started = performance.now();
    assert.equal(await ended(child), 70, said.stderr);
    assert.ok(performance.now() - started < 6000);
    assert.match(said.stderr, /internal error, the agent stops: Error: a defect/);
    assert.equal(said.stdout.split('"dns.question.name":"flight.test"').length - 1, 2, said.stdout);
    for (const { name, missing, held } of stages()) assert.deepEqual([missing, held], [0, 0], name);
  });
