/** Who is captured by configuration alone, as its users run it: no Kubernetes, flags, the ledger and metrics of a run. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineStats } from '../../src/pipeline.ts';
import { end, ended } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { assertRingKept } from '../matrix/ring.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';

const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';
const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : mount === ''
      ? 'no cgroup v2 is mounted'
      : !existsSync('/sys/kernel/btf/vmlinux') && 'this kernel has no BTF';
const START_MS = 60_000;
const ZONE = `r${randomBytes(4).toString('hex')}.test`;

describe('visibility by configuration', { skip: missing }, () => {
  const container = randomBytes(32).toString('hex');
  const top = `${mount}/rules-test-${process.pid}`;
  const group = `${top}/docker/${container}`;
  let directory: string;
  let namespace: Namespace;
  let server: NameServer;

  before(async () => {
    mkdirSync(group, { recursive: true });
    directory = mkdtempSync(join(tmpdir(), 'whodns-rules-'));
    namespace = await Namespace.open();
    server = await startDnsmasq(namespace, { name: ZONE, lines: [`address=/${ZONE}/192.0.2.1`] }, [
      '127.0.0.1',
    ]);
  });
  after(async () => {
    await server?.stop();
    await namespace?.close();
    for (const path of [group, `${top}/docker`, top]) rmdirSync(path);
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs the agent while `traffic` goes on; gives what it wrote. */
  async function run(
    flags: readonly string[],
    traffic: () => Promise<void>,
  ): Promise<{ stats: PipelineStats; lines: string[] }> {
    const [stats, output] = [join(directory, 'stats.json'), join(directory, 'out.jsonl')];
    rmSync(output, { force: true });
    const args = ['run', '--exporter', `otlp-file:${output}`, '--stats', stats, '--timeout', '1s', ...flags];
    const env = { PATH: process.env['PATH'], OTEL_METRIC_EXPORT_INTERVAL: '60000' };
    const agent: ChildProcess = spawn(process.execPath, [MAIN, ...args], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.once('exit', () => agent.kill('SIGKILL'));
    let said = '';
    agent.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const deadline = performance.now() + START_MS;
    while (!said.includes('capturing with')) {
      assert.ok(agent.exitCode === null && performance.now() < deadline, said);
      await sleep(50);
    }
    await traffic();
    await sleep(1500);
    await end(agent);
    assert.equal(agent.exitCode, 0, said);
    const ledger = JSON.parse(readFileSync(stats, 'utf8')) as PipelineStats;
    assertRingKept(ledger);
    return {
      stats: ledger,
      lines: readFileSync(output, 'utf8').split('\n').filter(Boolean),
    };
  }

  /** Asks; gives the process. */
  async function ask(name: string, where: 'host' | 'container', type = 'A'): Promise<number> {
    const join_ = where === 'container' ? `echo $$ >${group}/cgroup.procs; ` : '';
    const script = `${join_}exec dig +tries=1 +timeout=5 @127.0.0.1 ${name}.${ZONE} ${type}`;
    const { pid, exitCode, output } = await namespace.run(['sh', '-c', script]);
    assert.equal(exitCode, 0, output);
    return pid;
  }

  const namesIn = (lines: readonly string[]): string[] =>
    [...lines.join('\n').matchAll(new RegExp(`"stringValue":"([a-z0-9]+)\\.${ZONE}"`, 'g'))].map(
      (match) => match[1] ?? '',
    );
  const stageOf = (stats: PipelineStats) => stats.stages.find(({ name }) => name === 'visibility');

  test('containers off, host on: nothing of the container leaves the kernel', async () => {
    let pid = 0;
    const { stats, lines } = await run(['--capture', 'off', '--capture-host', 'on'], async () => {
      pid = await ask('inside', 'container');
      await ask('outside', 'host');
    });
    assert.deepEqual([...new Set(namesIn(lines))], ['outside']);
    assert.equal(stats.source.counters['off'], 1);
    assert.ok(!stats.processes.some((each) => each.pid === pid));
    assert.deepEqual([stageOf(stats)?.filtered, stageOf(stats)?.missing], [{}, 0]);
  });

  test('containers only counted: the process has its name in the metric, and no record', async () => {
    let pid = 0;
    const { stats, lines } = await run(['--capture', 'metrics', '--capture-host', 'on'], async () => {
      pid = await ask('inside', 'container');
      await ask('outside', 'host');
    });
    assert.deepEqual([...new Set(namesIn(lines))], ['outside']);
    assert.equal(stats.source.counters['metrics_only'], 1);
    const points = lines.filter((line) => line.includes('whodns.process.queries')).at(-1) ?? '';
    const own = new RegExp(
      `\\{"key":"process\\.pid","value":\\{"intValue":"?${pid}"?\\}\\}[^\\]]*"${container}"`,
    );
    assert.match(points, own);
    assert.match(points, /"dig"/);
  });

  test('what only user space can judge is left out there, and counted', async () => {
    const flags = ['--exclude-domain', `skip.${ZONE}`, '--exclude-type', 'txt', '--exclude-user', '65534'];
    const { stats, lines } = await run(flags, async () => {
      await ask('kept', 'host');
      await ask('www.skip', 'host');
      await ask('text', 'host', 'TXT');
      const program = [
        'sh',
        '-c',
        `exec setpriv --reuid=65534 --clear-groups dig +tries=1 @127.0.0.1 nobodys.${ZONE}`,
      ];
      await namespace.run(program);
    });
    assert.deepEqual([...new Set(namesIn(lines))], ['kept']);
    const stage = stageOf(stats);
    assert.deepEqual(
      [stage?.filtered['domain'], stage?.filtered['type'], stage?.filtered['user']],
      [1, 1, 1],
    );
    assert.equal(stage?.missing, 0);
    assert.equal(stats.source.counters['off'], 0);
    assert.equal(stats.visibility, undefined, 'nobody is left out by workload: nothing of it runs');
  });

  test('an expression is judged for each lookup, and what it leaves out is counted', async () => {
    const expression = `domain=${ZONE} and (name~/^kept[0-9]+\\./ or type=TXT) and process=dig and latency<1m`;
    const flags = ['--filter', expression, '--server', '127.0.0.0/8', '--server', '::1'];
    const { stats, lines } = await run(flags, async () => {
      await ask('kept1', 'host');
      await ask('kept', 'host');
      await ask('text', 'host', 'TXT');
      await ask('other', 'host');
    });
    assert.deepEqual([...new Set(namesIn(lines))].sort(), ['kept1', 'text']);
    const stage = stageOf(stats);
    assert.ok((stage?.filtered['filter'] ?? 0) >= 2, 'also what others on this host ask');
    assert.deepEqual([stage?.out, stage?.missing], [2, 0]);
  });

  test('short forms: what failed in one container', async () => {
    const { lines } = await run(['--failed', '--container', container.slice(0, 12)], async () => {
      await ask('answered', 'container');
      await ask('nothing', 'container', 'TYPE65');
      await namespace.run([
        'sh',
        '-c',
        `echo $$ >${group}/cgroup.procs; exec dig +tries=1 +time=1 @127.0.0.1 outside.`,
      ]);
      await namespace.run(['dig', '+tries=1', '+time=1', '@127.0.0.1', `host.${ZONE}`, 'TYPE65']);
    });
    assert.deepEqual(namesIn(lines), [], 'what was answered is left out');
    assert.match(lines.join('\n'), /"stringValue":"outside"/);
    assert.doesNotMatch(lines.join('\n'), new RegExp(`host\\.${ZONE}`));
  });

  test('a filter that is none is refused, with its place', async () => {
    const args = ['run', '--filter', 'failed and rcod=NXDOMAIN', '--server', '10.0.0.0/33'];
    const agent = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    agent.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    assert.equal(await ended(agent), 2, said);
    assert.match(
      said,
      /--filter: "rcod" is no field: did you mean rcode\?\nwhodns: {3}failed and rcod=NXDOMAIN\nwhodns: {14}\^{4}\n/,
    );
    assert.match(said, /--server: "10\.0\.0\.0\/33" is nothing that server can be/);
  });

  test('bad selectors and types are refused, all at once', async () => {
    const flags = [
      'run',
      '--include-pods',
      'app in (',
      '--include-type',
      'NOPE',
      '--capture',
      'loud',
      '--exclude-domain',
      'a..b',
    ];
    const agent = spawn(process.execPath, [MAIN, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    agent.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    const code = await ended(agent);
    assert.equal(code, 2, said);
    for (const flag of ['--include-pods', '--include-type', '--capture', '--exclude-domain'])
      assert.ok(said.includes(flag), said);
  });
});
