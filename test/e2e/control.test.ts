/** The real agent: nothing listens unless asked for; the control socket, the probes and /metrics when it is. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ask } from '../../src/control/client.ts';
import { ended } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';

/** Nothing here takes longer; SIGKILL then. */
const LIMIT_MS = 120_000;
let directory = '';
let socket = '';
const running: Running[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-control-'));
  socket = join(directory, 'socket');
});
afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(directory, { recursive: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** What it says; '' so far. */
  readonly said: () => string;
}

async function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  const capturing = Promise.withResolvers<void>();
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (stderr.includes('capturing with')) capturing.resolve();
  });
  const late = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(late);
    capturing.resolve();
    return { code: code as number | null, stderr };
  });
  const own = { child, ended, said: () => stderr };
  running.push(own);
  await capturing.promise;
  return own;
}

async function whodns(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env.PATH } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await ended(child, LIMIT_MS);
  return { code: code ?? -1, stdout, stderr };
}

/** Sockets of any kind on which the process listens, by ss(8). */
function listening({ child }: Running): string[] {
  const text = execFileSync('ss', ['-Hlnp', '-tuwx'], { encoding: 'utf8' });
  return text.split('\n').filter((line) => line.includes(`pid=${child.pid},`));
}

/** The address from "health on ADDRESS". */
function addressOf({ said }: Running): string {
  const address = /health on (\S+)/.exec(said())?.[1];
  assert.ok(address, said());
  return `http://${address}`;
}

async function get(url: string): Promise<{ status: number; type: string | null; text: string }> {
  const response = await fetch(url);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: await response.text(),
  };
}

describe('what the agent opens', () => {
  it('nothing, unless it is asked for', async () => {
    const agent = await start(['--exporter', 'none', '--health-metrics']);
    assert.deepEqual(listening(agent), []);
    assert.match(agent.said(), /--health-metrics .*without --health/);
  });

  it('a control socket that answers what --stats would write', async () => {
    const agent = await start(['--exporter', 'none', '--control', socket]);
    assert.equal(listening(agent).length, 1, 'ss sees it, so it would see others');
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    const stats = (await ask(socket, '/stats')) as {
      stages: { missing: number }[];
      source: { hook: string };
    };
    assert.ok(stats.stages.length > 3);
    assert.match(stats.source.hook, /fentry|kprobe|tracepoint/);
    const printed = await whodns(['stats', '--control', socket, '--format', 'json']);
    assert.equal(printed.code, 0, printed.stderr);
    assert.equal(JSON.parse(printed.stdout).source.hook, stats.source.hook);
    const second = await start(['--exporter', 'none', '--control', socket]);
    const { code, stderr } = await second.ended;
    assert.equal(code, 1);
    assert.match(stderr, /another program listens on it\n {2}give each agent/);
    agent.child.kill('SIGTERM');
    assert.equal((await agent.ended).code, 0);
    assert.equal(existsSync(socket), false);
    const none = await whodns(['stats', '--control', socket]);
    assert.deepEqual([none.code, none.stdout], [1, '']);
    assert.match(none.stderr, /no agent listens at/);
  });

  it('a control socket again after a SIGKILL', async () => {
    const first = await start(['--exporter', 'none', '--control', socket]);
    first.child.kill('SIGKILL');
    await first.ended;
    assert.ok(existsSync(socket));
    await start(['--exporter', 'none', '--control', socket]);
    assert.ok(await ask(socket, '/stats'));
  });
});

describe('health', () => {
  it('answers probes and nothing else', async () => {
    const agent = await start(['--exporter', 'none', '--health', '127.0.0.1:0']);
    assert.equal(listening(agent).length, 1);
    const url = addressOf(agent);
    assert.deepEqual(await get(`${url}/livez`), {
      status: 200,
      type: 'text/plain; charset=utf-8',
      text: 'ok\n',
    });
    assert.equal((await get(`${url}/readyz?verbose=1`)).text, 'ok\n');
    for (const path of ['/', '/metrics', '/stats', '/livez/', '/../livez/x'])
      assert.equal((await get(`${url}${path}`)).status, 404, path);
    assert.equal((await fetch(`${url}/livez`, { method: 'POST', body: 'x' })).status, 405);
  });

  it('gives the metrics on request, for Prometheus', async () => {
    const agent = await start(['--exporter', 'none', '--health', '127.0.0.1:0', '--health-metrics']);
    // Nobody answers there: what counts is that it was asked.
    const question = 'ip link set lo up; dig @127.0.0.1 +time=1 +tries=1 metrics.test; true';
    execFileSync('unshare', ['-n', 'sh', '-c', question], { stdio: 'ignore' });
    const { status, type, text } = await get(`${addressOf(agent)}/metrics`);
    assert.equal(status, 200);
    assert.equal(type, 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(text, /^whodns_kernel_events_total\{whodns_kernel_event="\w+".*\} \d+$/m);
    assert.match(text, /^process_memory_usage_bytes\{.*\} \d+$/m);
    assert.match(text, /^whodns_process_queries_total\{.*process_pid="\d+".*\} [1-9]/m);
    assert.match(text, /^target_info\{.*service_name="whodns"/m);
  });

  it('says why it cannot listen, and captures nothing', async () => {
    const agent = await start(['--exporter', 'none', '--health', '127.0.0.1:0']);
    const taken = addressOf(agent).replace('http://', '');
    const second = await start(['--exporter', 'none', '--control', socket, '--health', taken]);
    const { code, stderr } = await second.ended;
    assert.equal(code, 1);
    assert.match(stderr, /cannot listen on 127.0.0.1:\d+ for --health: .*EADDRINUSE/);
    assert.doesNotMatch(stderr, /capturing/);
    assert.equal(existsSync(socket), false);
    for (const address of [
      '127.0.0.1',
      'example.test:1',
      ':70000',
      '[::zz]:1',
      '127.0.0.1:1:2',
      '256.1.1.1:1',
    ]) {
      const refused = await whodns(['--health', address]);
      assert.deepEqual([address, refused.code], [address, 2]);
      assert.match(refused.stderr, /--health ".*" is not ADDRESS:PORT/);
    }
  });
});
