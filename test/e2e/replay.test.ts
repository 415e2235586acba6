/** `whodns replay` as a user runs it: a live capture through a pipe, what is said of files that are not read whole. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { MAIN } from '../matrix/program.ts';
import { encodeMessage, labels } from '../unit/dns-encode.ts';
import { ipv4, pcap, udp } from '../unit/pcap-write.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'whodns-replay-'));
after(() => rmSync(directory, { recursive: true }));

const LIMIT_MS = 30_000;

function message(id: number, flags: number): Uint8Array {
  const questions = [{ name: labels(`n${id}.test`), type: 1, class: 1 }];
  return encodeMessage({ id, flags, questions, answers: [], authorities: [], additionals: [] });
}

/** Two packets of a file, without its header: from 10.0.0.1 to 10.0.0.2 and back. */
function records(id: number): { readonly query: Buffer; readonly answer: Buffer } {
  const time = 1_700_000_000_000_000_000n + BigInt(id) * 1_000_000n;
  const record = (bytes: Uint8Array, at: bigint) => pcap(101, [{ bytes, time: at }]).subarray(24);
  const answer = ipv4(udp(53, 40_000, message(id, 0x8180)), { identification: id });
  answer.set([10, 0, 0, 2, 10, 0, 0, 1], 12);
  return {
    query: record(ipv4(udp(40_000, 53, message(id, 0x0100)), { identification: id }), time),
    answer: record(answer, time + 1000n),
  };
}

function replay(args: readonly string[], input?: Buffer) {
  const child = spawn(process.execPath, [MAIN, 'replay', ...args, '--format', 'json']);
  const late = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  if (input !== undefined) child.stdin.end(input);
  const done = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      clearTimeout(late);
      resolve(code);
    });
  });
  return { child, output, done };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, what);
    await sleep(20);
  }
}

test('standard input is read as it comes: a record is there when its answer is', async () => {
  const { child, output, done } = replay(['-']);
  child.stdin.write(pcap(101, []));
  for (let id = 1; id <= 3; id++) {
    const { query, answer } = records(id);
    child.stdin.write(Buffer.concat([query, answer.subarray(0, 20)]));
    await sleep(100);
    child.stdin.write(answer.subarray(20));
    await until(() => output.stdout.split('\n').length === id + 1, `record ${id}: ${output.stderr}`);
    assert.match(output.stdout, new RegExp(`"dns.question.name":"n${id}.test"`));
  }
  child.stdin.end();
  assert.equal(await done, 0);
  assert.match(output.stderr, /standard input: 6 packets, 3 of requests, 3 of answers/);
});

test('a silent pipe does not hold up the end', async () => {
  const { child, output, done } = replay(['-']);
  const { query, answer } = records(1);
  child.stdin.write(Buffer.concat([pcap(101, []), query, answer]));
  await until(() => output.stdout.includes('n1.test'), output.stderr);
  const before = performance.now();
  child.kill('SIGINT');
  assert.equal(await done, 0);
  assert.ok(performance.now() - before < 5000);
});

test('a packed capture through a pipe; a real one of tcpdump', async () => {
  const all = Array.from({ length: 50 }, (_, i) => records(i + 1));
  const whole = Buffer.concat([pcap(101, []), ...all.flatMap(({ query, answer }) => [query, answer])]);
  const { output, done } = replay(['-'], gzipSync(whole));
  assert.equal(await done, 0);
  assert.equal(output.stdout.trim().split('\n').length, 50);

  const file = path.join(directory, 'file.pcap');
  writeFileSync(file, whole);
  const rewritten = execFileSync('tcpdump', ['-r', file, '-w', '-'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const second = replay(['-'], rewritten);
  assert.equal(await second.done, 0);
  assert.equal(second.output.stdout.trim().split('\n').length, 50);
});

test('a capture of a link type that is not read: said, and exit code 2', async () => {
  const file = path.join(directory, 'file.pcap');
  writeFileSync(file, pcap(147, [{ bytes: new Uint8Array(60) }, { bytes: new Uint8Array(60) }]));
  const { output, done, child } = replay([file]);
  child.stdin.end();
  assert.equal(await done, 2);
  assert.match(output.stderr, /error: .*: 2 packets of link type 147 not read/);
  assert.equal(output.stdout, '');
});

test('help lists what is read', () => {
  const help = execFileSync(process.execPath, [MAIN, 'replay', '--help'], { encoding: 'utf8' });
  assert.match(help, /Link types read/);
  assert.match(help, /\b239\b/);
  assert.match(help, /Tunnels: .*GTP-U/);
  assert.ok(help.split('\n').every((line) => line.length <= 130));
});
