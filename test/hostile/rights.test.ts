/**
 * The rights of the agent's process while it captures: what every thread of it holds, and what someone can still do who has taken it
 * over. Needs root; WHODNS_TEST_HOOK as in test/e2e/stage.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildPrograms, PROGRAMS } from '../../bench/machine.ts';
import type { ProcessRights } from '../../src/capture/rights.ts';
import { ask } from '../../src/control/client.ts';
import { CAPABILITIES, TO_INSPECT } from '../../src/tables/capabilities.ts';
import { nameOf, PATIENCE_MS, SERVER, Stage } from '../e2e/stage.ts';
import type { JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';
import { reportAttack } from './report.ts';

const ROOT = join(import.meta.dirname, '../..');
const STRANGER = 12345;
/** EPERM, EACCES, ENOSYS */
const REFUSED = new Set([1, 13, 38]);

const NONE = mask([]);
const INSPECTS = mask(TO_INSPECT);

function mask(names: readonly string[]): string {
  const bits = names.reduce((all, name) => all | (1n << BigInt(CAPABILITIES.indexOf(name as never))), 0n);
  return bits.toString(16).padStart(16, '0');
}

/** The lines on rights of all threads of a process: text -> how many threads. */
function threadRights(pid: number): Map<string, number> {
  const found = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    let status: string;
    try {
      status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
    } catch {
      continue; // it has ended
    }
    const lines = [
      ...status.matchAll(/^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):\s*(\w+)$/gm),
    ];
    const text = lines.map(([, name, value]) => `${name} ${value}`).join(', ');
    found.set(text, (found.get(text) ?? 0) + 1);
  }
  return found;
}

const rightsText = (held: string, bounding: string) =>
  `CapInh ${NONE}, CapPrm ${held}, CapEff ${held}, CapBnd ${bounding}, CapAmb ${NONE}, NoNewPrivs 1, Seccomp 2`;

const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );

const holds = (path: string, text: string) =>
  path.includes('out.jsonl') && readFileSync(path, 'utf8').includes(text);

let directory = '';
let intruder = '';
let program = '';
before(() => {
  buildPrograms();
  directory = mkdtempSync(join(tmpdir(), 'whodns-rights-'));
  const source = join(import.meta.dirname, 'intruder.c');
  const headers = ['-I', join(ROOT, 'node_modules/node-api-headers/include')];
  intruder = join(directory, 'intruder.node');
  program = join(directory, 'intruder');
  const flags = ['-O1', '-Wall', '-Wextra', '-Werror'];
  execFileSync('gcc', [...flags, '-fPIC', '-shared', ...headers, '-o', intruder, source]);
  execFileSync('gcc', [...flags, '-DALONE', '-o', program, source]);
});
after(() => rmSync(directory, { recursive: true, force: true }));

describe('rights while capturing', () => {
  it('every thread has given up its own: under load, after SIGHUP, with all that listens and writes', async () => {
    const file = join(directory, 'out.jsonl');
    const options = [
      ...['--exporter', 'console', '--exporter', `otlp-file:${file}`, '--otlp-file-bytes', '1M'],
      ...['--exporter', 'otlp', '--traces', '--spool', join(directory, 'spool')],
      ...['--health', '127.0.0.1:0', '--health-metrics', '--connections', '--trace-context'],
      ...['--detect', 'all', '--dnscache', 'enable'],
      // The flood is of the same control group as the lookup behind it.
      ...['--cgroup-rate', '0'],
    ];
    const stage = await Stage.open(...options);
    try {
      const { pid } = stage.agent;
      const flood = stage.namespace.spawn(
        [join(PROGRAMS, 'flood'), SERVER, '53', '4000', '4'],
        ['ignore', 'ignore', 'inherit'],
      );
      const seen = new Map<string, number>();
      for (let i = 0; i < 30; i++) {
        if (i % 5 === 0) process.kill(pid, 'SIGHUP');
        for (const [text, threads] of threadRights(pid))
          seen.set(text, Math.max(seen.get(text) ?? 0, threads));
        await sleep(100);
      }
      await end(flood);
      assert.deepEqual([...seen.keys()], [rightsText(NONE, NONE)]);
      const inspector = childrenOf(pid);
      assert.equal(inspector.length, 1, 'one supervisor');
      const workers = inspector.flatMap(childrenOf);
      assert.ok(workers.length > 0, 'it has been asked');
      for (const process of [...inspector, ...workers])
        assert.deepEqual([...threadRights(process).keys()], [rightsText(INSPECTS, NONE)]);
      // What comes after all of that is captured, attributed and counted as before.
      const name = `after.${stage.zone}`;
      await stage.play('ask', name);
      const isRecord = (record: JsonRecord) =>
        record.event_name === 'whodns.query' && nameOf(record) === name;
      await stage.agent.expect((records) => records.some(isRecord), PATIENCE_MS);
      const stats = (await ask(join(stage.directory, 'control'), '/stats')) as {
        readonly rights: ProcessRights;
        readonly processes: readonly unknown[];
      };
      assert.deepEqual(stats.rights.agent.effective, []);
      assert.deepEqual(stats.rights.inspector?.effective, TO_INSPECT);
      assert.ok(stats.rights.agent.seccomp && stats.processes.length > 0, 'maps are read');
      const isWritten = () => readdirSync(directory).some((each) => holds(join(directory, each), name));
      for (let i = 0; i < 100 && !isWritten(); i++) await sleep(100);
      assert.ok(isWritten(), 'the file is written to, full ones are renamed');
      const threads = Math.max(...seen.values());
      reportAttack({
        attack: 'the rights of every thread of the agent while it captures',
        stranger: 'user',
        holds: 'no capability in any set, no_new_privs, a filter of system calls; the inspector has two',
        figure: `${threads} threads of the agent, ${workers.length + 1} processes of the inspector, all alike`,
      });
    } finally {
      await stage.close();
    }
  });

  it('whoever takes the process over gets nowhere: no program, no BPF, no other process, no file of others', async () => {
    const file = join(directory, 'private');
    writeFileSync(file, 'secret');
    chmodSync(file, 0o600);
    chownSync(file, STRANGER, STRANGER);
    const victim = spawn('sleep', ['120'], { stdio: 'ignore' });
    process.env.INTRUDER = `${intruder} ${victim.pid} ${file}`;
    const stage = await Stage.open(
      '--detector',
      join(import.meta.dirname, 'intruder-detector.mjs'),
      '--exporter',
      'console',
    );
    delete process.env.INTRUDER;
    try {
      // The same by root that has given up nothing, in namespaces of its own: what this kernel could do at all.
      const alone = execFileSync('unshare', ['--mount', '--net', program, String(victim.pid), file], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const possible = [...alone.matchAll(/^(\d+) (.*)$/gm)]
        .filter(([, errno]) => !REFUSED.has(Number(errno)))
        .map(([, , name]) => name);
      assert.ok(possible.includes('load a BPF program') && possible.includes('ptrace'), alone);
      const name = `intrude.${stage.zone}`;
      await stage.play('ask', name);
      const found = () => stage.agent.records.find(({ event_name }) => event_name === 'whodns.finding');
      await stage.agent.expect(() => found() !== undefined, 10_000);
      const texts = found()?.attributes['test.attempts'] as string[];
      const tried = texts.map((text) => /^(\d+) (.*)$/.exec(text) ?? []);
      assert.ok(tried.length > possible.length);
      assert.deepEqual(
        tried.filter(([, errno]) => !REFUSED.has(Number(errno))).map(([text]) => text),
        [],
      );
      // The agent is none the worse for it.
      await stage.play('ask', `behind.${stage.zone}`);
      await stage.recordOf(`behind.${stage.zone}`);
      reportAttack({
        attack: 'code that runs in the agent tries to get out',
        stranger: 'detector',
        holds:
          'BPF programs, ptrace, execve, fork, mounts, modules, namespaces, files of other users: all refused',
        figure: `0 of ${tried.length} attempts worked, ${possible.length} of which root can make on this kernel`,
      });
    } finally {
      await stage.close();
      victim.kill('SIGKILL');
    }
  });

  it('a user of its own with four ambient capabilities ends with none of its own either', async () => {
    const held = '+bpf,+perfmon,+sys_ptrace,+dac_read_search';
    const four = ['CAP_BPF', 'CAP_PERFMON', 'CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'];
    const rights = ['--bounding-set', '--inh-caps', '--ambient-caps'].flatMap((option) => [
      option,
      `-all,${held}`,
    ]);
    const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups', ...rights];
    const agent = spawn('setpriv', [...user, process.execPath, MAIN, '--exporter', 'none'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {},
    });
    try {
      let said = '';
      agent.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      for (let i = 0; i < 200 && agent.exitCode === null && !said.includes('capturing with'); i++)
        await sleep(100);
      assert.match(said, /capturing with/);
      // It lacks CAP_SETPCAP: the bounding set stays, and means nothing any more with no_new_privs.
      assert.deepEqual([...threadRights(agent.pid ?? 0).keys()], [rightsText(NONE, mask(four))]);
    } finally {
      await end(agent);
    }
    assert.equal(agent.exitCode, 0);
  });

  it('where it cannot filter system calls it does not start, and says how it would', () => {
    const outer = join(directory, 'outer-filter');
    execFileSync('gcc', ['-O1', '-o', outer, join(import.meta.dirname, 'outer-filter.c')]);
    const run = (...options: string[]) =>
      spawnSync(outer, [process.execPath, MAIN, '--exporter', 'none', '--duration', '500ms', ...options], {
        encoding: 'utf8',
        env: {},
        timeout: 60_000,
      });
    const refused = run();
    assert.equal(refused.status, 1, refused.stderr);
    assert.match(refused.stderr, /^whodns: cannot filter system calls: operation not permitted \(EPERM\)$/m);
    assert.match(refused.stderr, /--seccomp off/);
    const without = run('--seccomp', 'off');
    assert.equal(without.status, 0, without.stderr);
  });
});
