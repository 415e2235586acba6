/** Whoever can reach --health must not be able to make its probes fail, nor the agent's memory grow. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT, Agent } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { reportAttack } from './report.ts';

const SLOW = join(import.meta.dirname, 'slow_http.py');
/** As the kubelet does by default. */
const PROBE_TIMEOUT_MS = 1000;
const PROBE_EVERY_MS = 100;

let agent: Agent;
let port = 0;

before(async () => {
  agent = Agent.start([...AGENT, '--include-domain', 'none.test', '--health', '127.0.0.1:0']);
  const deadline = performance.now() + 60_000;
  while (!agent.errors.includes('capturing with')) {
    assert.ok(agent.running && performance.now() < deadline, agent.errors);
    await sleep(50);
  }
  port = Number(/health on 127\.0\.0\.1:(\d+)/.exec(agent.errors)?.[1]);
});
after(async () => {
  await agent.stop();
});

function probe(): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/livez', agent: false }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.complete ? String(response.statusCode) : 'cut'));
    });
    request.setTimeout(PROBE_TIMEOUT_MS, () => request.destroy(new Error('timeout')));
    request.on('error', (error) => resolve(error.message));
  });
}

function memoryOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

describe('--health under attack', { timeout: 60_000 }, () => {
  for (const [count, kind, seconds] of [
    [24, 'header', 5],
    [500, 'header', 6],
    [2000, 'silent', 6],
    [50, 'pipeline', 4],
    [50, 'huge', 4],
  ] as const) {
    it(`${count} connections of kind ${kind}: every probe is answered`, async () => {
      const before = memoryOf(agent.pid);
      const args = [SLOW, String(port), String(count), String(seconds), kind];
      // An unprivileged user, as on a real host.
      const child: ChildProcess = spawn('/usr/bin/python3', args, {
        uid: 65_534,
        gid: 65_534,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      await sleep(1000);
      const probes: Promise<string>[] = [];
      for (let i = 0; i < (seconds - 2) * (1000 / PROBE_EVERY_MS); i++) {
        probes.push(probe());
        await sleep(PROBE_EVERY_MS);
      }
      const results = await Promise.all(probes);
      await end(child, 'SIGTERM', 8000).catch(() => {});
      assert.ok(agent.running, agent.errors);
      assert.deepEqual(
        results.filter((result) => result !== '200'),
        [],
        said,
      );
      const grown = memoryOf(agent.pid) - before;
      assert.ok(grown < 64, `${grown} MiB more`);
      reportAttack({
        attack: `${count} connections to --health, ${kind}`,
        stranger: 'user',
        holds: '/livez answers every probe, memory stays',
        figure: `${results.length} of ${results.length} probes answered`,
      });
    });
  }
});
