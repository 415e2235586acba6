/** 100 MB for everything, the kernel's maps included, and a flood as fast as one core sends: the agent lives, within its bound, with exact books. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { ControlGroup } from './control-group.ts';
import { reportAttack } from './report.ts';

const LIMIT = 100e6;
const FLOOD_S = 6;
const REPOSITORY = join(import.meta.dirname, '../..');
/** As it is installed: Node's compiler of types alone takes some 40 MB. */
const MAIN = join(REPOSITORY, 'dist/main.js');

interface Stats {
  readonly stages: readonly { readonly name: string; readonly in: number; readonly missing: number }[];
  readonly source: {
    readonly counters: Readonly<Record<string, number>>;
    readonly drops: Readonly<Record<string, number>>;
  };
}

describe('100 MB of memory', () => {
  for (const [where, endpoint] of [
    ['a file', ['--exporter', 'otlp-file:PATH']],
    ['a collector that is away', []],
  ] as const) {
    it(`are enough under a flood: ${where}`, async (t) => {
      execFileSync('make', ['-s', '-C', join(REPOSITORY, 'bench')], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const directory = mkdtempSync(join(tmpdir(), 'whodns-memory-'));
      const group = ControlGroup.memory(`whodns-test-${process.pid}`, LIMIT);
      const namespace = await Namespace.open();
      const stats = join(directory, 'stats');
      const options = endpoint.map((each) => each.replace('PATH', join(directory, 'out')));
      const away = ['env', 'OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1'];
      const agent = Agent.start(
        group.enter([...away, process.execPath, MAIN, 'run', ...options, '--stats-file', stats]),
      );
      try {
        assert.ok(await agent.waitFor(() => agent.errors.includes('capturing with'), 60_000), agent.errors);
        assert.match(agent.errors, /the control group has 95 MiB of memory: ringBytes 524288, /);
        const flood = await namespace.run([
          join(REPOSITORY, 'build/bench/flood'),
          '127.0.0.1',
          '53',
          '0',
          String(FLOOD_S),
        ]);
        const { sent } = JSON.parse(flood.output) as { readonly sent: number };
        assert.ok(agent.running, agent.errors);
        // What the ring or the queue has no room for is lost, and said.
        assert.ok([0, 3].includes(await agent.stop()), agent.errors);
        const { stages, source } = JSON.parse(readFileSync(stats, 'utf8')) as Stats;
        const { requests = 0, responses = 0, submitted = 0 } = source.counters;
        assert.ok(requests >= sent && sent > 10_000, `${requests} of ${sent}`);
        const left = ['ring_full', 'response_ring_full', 'request_suppressed', 'response_suppressed'];
        const lost = left.reduce((sum, reason) => sum + (source.drops[reason] ?? 0), 0);
        assert.equal(requests + responses, submitted + lost);
        for (const { name, missing } of stages) assert.equal(missing, 0, name);
        assert.equal(group.killed, 0);
        t.diagnostic(`${sent} sent, ${submitted} captured; peak ${Math.round(group.peak / 1e6)} MB`);
        assert.ok(group.peak <= LIMIT);
        reportAttack({
          attack: `a flood as fast as one core sends in a control group of 100 MB, to ${where}`,
          stranger: 'user',
          holds: 'the agent lives, and its books are exact',
          figure: `${sent} sent, ${submitted} captured, peak ${Math.round(group.peak / 1e6)} MB`,
        });
      } finally {
        await agent.stop();
        await namespace.close();
        await group.remove();
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }

  it('are enough for 250 000 unanswered requests in 5 s of a capture file; the sizes of a large host would not fit', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-memory-'));
    const group = ControlGroup.memory(`whodns-test-${process.pid}`, LIMIT);
    try {
      const capture = join(directory, 'capture.pcap');
      writeFileSync(capture, unanswered(250_000));
      const replay = () => {
        const options = ['--exporter', `otlp-file:${directory}/out`, '--stats-file', `${directory}/stats`];
        const [program = '', ...rest] = group.enter([process.execPath, MAIN, 'replay', capture, ...options]);
        return spawnSync(program, rest, {
          encoding: 'utf8',
          timeout: 60_000,
          env: { PATH: process.env.PATH },
        });
      };
      const ran = replay();
      assert.equal(ran.status, 0, ran.stderr);
      assert.equal(group.killed, 0);
      const { stages } = JSON.parse(readFileSync(join(directory, 'stats'), 'utf8')) as Stats;
      assert.equal(stages.find(({ name }) => name === 'correlate')?.in, 250_000);
      for (const { name, missing } of stages) assert.equal(missing, 0, name);
    } finally {
      await group.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

/** A capture file (pcap, link type RAW) of requests for as many names, one each 20 us. */
function unanswered(count: number): Buffer {
  const question = Buffer.from('\x09n00000000\x05flood\x04test\0\0\x01\0\x01', 'latin1');
  const length = 20 + 8 + 12 + question.length;
  const file = Buffer.alloc(24 + count * (16 + length));
  file.writeUInt32LE(0xa1b2c3d4);
  file.writeUInt32LE(0x00040002, 4);
  file.writeUInt32LE(65_535, 16);
  file.writeUInt32LE(101, 20);
  for (let i = 0, at = 24; i < count; i++, at += 16 + length) {
    file.writeUInt32LE(1_700_000_000 + Math.floor(i / 50_000), at);
    file.writeUInt32LE((i % 50_000) * 20, at + 4);
    file.writeUInt32LE(length, at + 8);
    file.writeUInt32LE(length, at + 12);
    const ip = at + 16;
    file.writeUInt8(0x45, ip);
    file.writeUInt16BE(length, ip + 2);
    file.writeUInt8(64, ip + 8);
    file.writeUInt8(17, ip + 9);
    file.writeUInt32BE(0x7f000001, ip + 12);
    file.writeUInt32BE(0x7f000001, ip + 16);
    file.writeUInt16BE(20_000 + (i % 40_000), ip + 20);
    file.writeUInt16BE(53, ip + 22);
    file.writeUInt16BE(length - 20, ip + 24);
    file.writeUInt16BE(i & 0xffff, ip + 28);
    file.writeUInt16BE(0x0100, ip + 30);
    file.writeUInt16BE(1, ip + 32);
    question.copy(file, ip + 40);
    file.write(i.toString(16).padStart(8, '0'), ip + 42, 'latin1');
  }
  return file;
}
