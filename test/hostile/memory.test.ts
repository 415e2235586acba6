/** 100 MB for everything, the kernel's maps included, and a flood as fast as one core sends: the agent lives, within its bound, with exact books. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { ControlGroup } from './control-group.ts';

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
    ['OTLP to a collector that is away', ['--exporter', 'otlp']],
    ['a file', ['--exporter', 'otlp-file:PATH']],
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
        assert.match(agent.errors, /the control group has 95 MiB of memory: ringBytes 1048576, /);
        const flood = await namespace.run([
          join(REPOSITORY, 'build/bench/flood'),
          '127.0.0.1',
          '53',
          '0',
          String(FLOOD_S),
        ]);
        const { sent } = JSON.parse(flood.output) as { readonly sent: number };
        assert.ok(agent.running, agent.errors);
        assert.equal(await agent.stop(), 0, agent.errors);
        const { stages, source } = JSON.parse(readFileSync(stats, 'utf8')) as Stats;
        const { requests = 0, responses = 0, submitted = 0 } = source.counters;
        assert.ok(requests >= sent && sent > 10_000, `${requests} of ${sent}`);
        assert.equal(requests + responses, submitted + (source.drops['ring_full'] ?? 0));
        for (const { name, missing } of stages) assert.equal(missing, 0, name);
        assert.equal(group.killed, 0);
        t.diagnostic(`${sent} sent, ${submitted} captured; peak ${Math.round(group.peak / 1e6)} MB`);
        assert.ok(group.peak <= LIMIT);
      } finally {
        await agent.stop();
        await namespace.close();
        await group.remove();
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});
