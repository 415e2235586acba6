/** The process table against real processes: /proc and the processes themselves are the oracle. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { bootTime, hostAttributes } from '../../src/enrich/host.ts';
import { ProcessTable, type ProcessTableOptions } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import type { Owner, ProcessKey, RawProcess } from '../../src/model.ts';
import { identityOf, startInspector } from './process-target.ts';

const HOST = hostAttributes('9.9.9');
const BOOT = bootTime();
/** `mountNamespace` of the owners below. */
const USERS = new UserNames({ mountNamespace: 1 });
const directory = mkdtempSync(path.join(tmpdir(), 'whodns-enrich-'));
const children = new Set<ChildProcess>();
const inspector = startInspector();

after(() => {
  inspector.close();
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

function table(options: Partial<ProcessTableOptions> = {}): ProcessTable {
  return new ProcessTable({ host: HOST, users: USERS, bootTime: BOOT, inspector, ...options });
}

/** Resolves once the child has written its first byte: then it is past exec and set-up. */
async function start(
  command: string,
  args: string[],
  options: object = {},
): Promise<ChildProcess & { pid: number }> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
  children.add(child);
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout?.once('data', resolve);
  });
  return child as ChildProcess & { pid: number };
}

const SLEEPER = 'echo ready; while read -r line; do :; done';

async function stop(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  children.delete(child);
}

/** Start time in clock ticks, from the child's own stat file. */
function startTicks(pid: number): bigint {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '');
}

/** What the kernel would say of the process: any nanosecond within the tick. */
function ownerOf(pid: number, overrides: Partial<Owner> = {}): Owner {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const number = (field: string, column: number) =>
    Number(new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/).at(column));
  const comm = readFileSync(`/proc/${pid}/comm`, 'latin1').trimEnd();
  return {
    pid,
    tid: pid,
    parentPid: number('PPid', 0),
    vpid: number('NSpid', -1),
    uid: number('Uid', 1),
    gid: number('Gid', 1),
    pidNamespace: 1,
    mountNamespace: 1,
    networkNamespace: 1,
    startTime: startTicks(pid) * 10_000_000n + 1_234_567n,
    cgroupId: 1n,
    threadName: comm,
    processName: comm,
    cached: false,
    ...overrides,
  };
}

function announcement(owner: Owner, overrides: Partial<RawProcess> = {}): RawProcess {
  return {
    kind: 'process',
    time: 1n,
    owner,
    executablePath: '/usr/bin/told',
    executableDeleted: false,
    kernelThread: false,
    executableInode: 42n,
    args: ['told', '--password', 's3cret'],
    argsCut: false,
    workingDirectory: '/told',
    cgroupPath: '/system.slice/told.service',
    cgroupVersion: 2,
    tty: 0,
    environment: undefined,
    parentName: 'teller',
    ...overrides,
  };
}

/** An owner whose process does not exist: nothing can be read of it. */
const GONE: Owner = {
  ...ownerOf(process.pid),
  pid: 4_194_303,
  startTime: 77n,
  processName: 'gone',
  threadName: 'gone',
};

describe('enrich: a real process, from /proc alone', { timeout: 60_000 }, () => {
  it('is described as it is', async () => {
    const child = await start('/bin/sh', ['-c', SLEEPER, 'zero', 'one two'], {
      cwd: directory,
      env: { OTEL_SERVICE_NAME: 'shop', OTEL_RESOURCE_ATTRIBUTES: 'service.version=1.2,team=a%20b' },
    });
    const before = Date.now();
    const identity = await identityOf(table({ commandArgs: true }), ownerOf(child.pid));
    const executable = execFileSync('readlink', [`/proc/${child.pid}/exe`], { encoding: 'utf8' }).trim();
    assert.equal(identity.attribution, 'proc');
    assert.equal(identity.executableName, path.basename(executable));
    assert.equal(identity.containerId, undefined);
    const created = Date.parse(String(identity.resource['process.creation.time']));
    assert.ok(Math.abs(created - before) < 2000, `${created} ${before}`);
    const { 'process.linux.cgroup': cgroup, 'process.creation.time': _, ...resource } = identity.resource;
    assert.ok(readFileSync(`/proc/${child.pid}/cgroup`, 'utf8').split('\n').includes(String(cgroup)));
    assert.deepEqual(resource, {
      ...HOST,
      'process.pid': child.pid,
      'process.vpid': child.pid,
      'process.parent_pid': process.pid,
      'process.executable.name': path.basename(executable),
      'process.executable.path': executable,
      'process.command': '/bin/sh',
      'process.args_count': 5,
      'process.command_args': ['/bin/sh', '-c', SLEEPER, 'zero', 'one two'],
      'process.working_directory': directory,
      'process.interactive': false,
      'process.user.id': 0,
      'process.user.name': 'root',
      'whodns.process.parent.executable.name': readFileSync('/proc/self/comm', 'utf8').trim(),
      'service.name': 'shop',
      'service.version': '1.2',
      team: 'a b',
    });
    await stop(child);
  });

  it('has no arguments unless asked for, and the user it runs as', async () => {
    const child = await start('/bin/sh', ['-c', SLEEPER], { uid: 65534, gid: 65534 });
    const { resource } = await identityOf(table(), ownerOf(child.pid));
    assert.equal('process.command_args' in resource, false);
    assert.equal(resource['process.user.id'], 65534);
    assert.equal(resource['process.user.name'], 'nobody');
    assert.equal(resource['service.name'], `unknown_service:${resource['process.executable.name']}`);
    await stop(child);
  });

  it('is known to have a terminal', async () => {
    const child = await start('script', ['-qec', `/bin/sh -c 'echo pid $$; ${SLEEPER}'`, '/dev/null']);
    const found = /^(\d+)$/m.exec(
      readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().replace(' ', '\n'),
    );
    assert.equal(
      (await identityOf(table(), ownerOf(Number(found?.[1])))).resource['process.interactive'],
      true,
    );
    await stop(child);
  });

  it('carries hostile names, arguments and directories unharmed', async () => {
    const name = 'a\nb\x1b[31m) R 1 (c';
    const program = path.join(directory, name);
    copyFileSync('/bin/sleep', program);
    chmodSync(program, 0o755);
    const child = spawn(program, ['60'], { cwd: directory, argv0: 'x\n\x1b]0;evil\x07', stdio: 'ignore' });
    children.add(child);
    await new Promise((resolve) => child.once('spawn', resolve));
    const { resource, executableName } = await identityOf(table(), ownerOf(child.pid ?? 0));
    assert.equal(executableName, name);
    assert.equal(resource['process.executable.path'], program);
    assert.equal(resource['process.command'], 'x\n\x1b]0;evil\x07');
    assert.equal(resource['service.name'], `unknown_service:${name}`);
    await stop(child);
  });

  it('has bytes that are no UTF-8 replaced, not lost', async () => {
    const child = await start('/bin/sh', [
      '-c',
      `exec "$(printf '/bin/sh')" -c '${SLEEPER}' "$(printf 'b\\377d')"`,
    ]);
    const { resource } = await identityOf(table({ commandArgs: true }), ownerOf(child.pid));
    assert.deepEqual((resource['process.command_args'] as string[]).at(-1), 'b\ufffdd');
    await stop(child);
  });

  it('keeps the path of an executable that was deleted, and of one that only looks so', async () => {
    for (const [name, remove] of [
      ['deleted', true],
      ['odd (deleted)', false],
    ] as const) {
      const program = path.join(directory, name);
      copyFileSync('/bin/sleep', program);
      chmodSync(program, 0o755);
      const child = spawn(program, ['60'], { stdio: 'ignore' });
      children.add(child);
      await new Promise((resolve) => child.once('spawn', resolve));
      if (remove) unlinkSync(program);
      assert.equal(
        (await identityOf(table(), ownerOf(child.pid ?? 0))).resource['process.executable.path'],
        program,
      );
      await stop(child);
    }
  });
});

describe('enrich: the kernel record', { timeout: 60_000 }, () => {
  it('is believed first; /proc fills what it leaves open', async () => {
    const child = await start('/bin/sh', ['-c', SLEEPER], {
      cwd: directory,
      env: { OTEL_SERVICE_NAME: 'shop' },
    });
    const processes = table({ commandArgs: true });
    const owner = ownerOf(child.pid);
    processes.announce(announcement(owner, { workingDirectory: '' }));
    const identity = await identityOf(processes, owner);
    assert.equal(identity.attribution, 'kernel');
    assert.equal(identity.resource['process.executable.path'], '/usr/bin/told');
    assert.deepEqual(identity.resource['process.command_args'], ['told', '--password', '****']);
    assert.equal(identity.resource['process.linux.cgroup'], '0::/system.slice/told.service');
    assert.equal(identity.resource['whodns.process.parent.executable.name'], 'teller');
    assert.equal(identity.resource['process.working_directory'], directory);
    assert.equal(identity.resource['service.name'], 'shop');
    await stop(child);
  });

  it('is enough when the process is gone', async () => {
    const processes = table();
    processes.announce(announcement(GONE));
    const { attribution, resource, executableName } = await identityOf(processes, GONE);
    assert.equal(attribution, 'kernel');
    assert.equal(executableName, 'told');
    assert.equal(resource['process.command'], 'told');
    assert.equal(resource['process.args_count'], 3);
    assert.equal(resource['service.name'], 'unknown_service:told');
    assert.deepEqual(processes.counts.environmentUnreadable, 1);
  });

  it('names the container and its pod, and no host user for it', async () => {
    const id = 'ab'.repeat(32);
    const uid = '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff';
    const cgroupPath = `/kubepods.slice/kubepods-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`;
    const processes = table();
    processes.announce(announcement(GONE, { cgroupPath }));
    const identity = await identityOf(processes, GONE);
    assert.equal(identity.containerId, id);
    assert.equal(identity.workload, id.slice(0, 12));
    assert.equal(identity.resource['container.id'], id);
    assert.equal(identity.resource['container.runtime.name'], 'containerd');
    assert.equal(identity.resource['k8s.pod.uid'], uid);
    assert.equal(identity.resource['process.user.id'], 0);
    assert.equal('process.user.name' in identity.resource, false);
  });

  it('says no more than it knows: cut arguments, kernel threads, nothing at all', async () => {
    const processes = table();
    processes.announce(announcement(GONE, { argsCut: true }));
    assert.equal('process.args_count' in (await identityOf(processes, GONE)).resource, false);
    const thread = { ...GONE, pid: 4_194_302 };
    processes.announce(
      announcement(thread, {
        kernelThread: true,
        executablePath: '',
        args: [],
        workingDirectory: '',
        cgroupPath: '',
      }),
    );
    const { resource } = await identityOf(processes, thread);
    assert.equal(resource['service.name'], 'unknown_service');
    for (const name of [
      'process.executable.name',
      'process.command',
      'process.args_count',
      'process.linux.cgroup',
    ])
      assert.equal(name in resource, false);
    const bare = await identityOf(processes, { ...GONE, pid: 4_194_301 });
    assert.equal(bare.executableName, '');
    assert.equal(bare.resource['process.pid'], 4_194_301);
    assert.equal('process.interactive' in bare.resource, false);
  });

  it('after an exec makes a new identity; the same record again does not', async () => {
    const processes = table();
    processes.announce(announcement(GONE));
    const first = await identityOf(processes, GONE);
    processes.announce(announcement(GONE));
    assert.equal(await identityOf(processes, GONE), first);
    processes.announce(announcement(GONE, { executablePath: '/usr/bin/other' }));
    const second = await identityOf(processes, GONE);
    assert.notEqual(second, first);
    assert.equal(second.executableName, 'other');
    assert.equal(first.executableName, 'told');
  });
});

describe('enrich: identities', { timeout: 60_000 }, () => {
  it('are one object for a process, whatever thread asks', async () => {
    const processes = table();
    const owner = ownerOf(process.pid);
    const identity = await identityOf(processes, owner);
    assert.equal(await identityOf(processes, { ...owner, tid: 5, threadName: 'other' }), identity);
    assert.equal(await identityOf(processes, { ...owner }), identity);
    assert.equal(processes.size, 1);
  });

  it('of nobody are one object with the host only', async () => {
    const processes = table();
    const identity = await identityOf(processes, undefined);
    assert.equal(await identityOf(processes, undefined), identity);
    assert.equal(identity.attribution, 'none');
    assert.deepEqual(identity.resource, { ...HOST, 'service.name': 'unknown_service' });
  });

  it('never mix two processes with the same pid', async () => {
    const processes = table();
    const now = ownerOf(process.pid);
    const earlier = { ...now, startTime: now.startTime - 20_000_000n, processName: 'earlier' };
    const old = await identityOf(processes, earlier);
    const live = await identityOf(processes, now);
    assert.equal(old.executableName, '', 'nothing of the living process');
    assert.equal(old.resource['service.name'], 'unknown_service');
    assert.notEqual(live.executableName, '');
    assert.equal(await identityOf(processes, earlier), old);
    assert.equal(await identityOf(processes, now), live);
  });

  it('never mix them when the kernel really gives a pid again', async () => {
    // In a pid namespace of its own ns_last_pid is ours to set: the second process gets the first one's pid at once.
    const script = `
      mount -t proc proc /proc
      echo 499 > /proc/sys/kernel/ns_last_pid
      OTEL_SERVICE_NAME=first sleep 60 & first=$!
      read -r line
      kill $first; wait $first 2>/dev/null
      sleep 0.05
      echo 499 > /proc/sys/kernel/ns_last_pid
      OTEL_SERVICE_NAME=second sleep 61 & second=$!
      echo "$first $second"
      read -r line`;
    const helper = path.join(directory, 'reuse.sh');
    writeFileSync(helper, script);
    const child = spawn('unshare', ['--pid', '--fork', '--kill-child', '--mount', '--', 'bash', helper], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.add(child);
    const init = await waitFor(() => childrenOf(child.pid ?? 0)[0]);
    const sleepsAs500 = () =>
      childrenOf(init).find(
        (pid) => inside(pid) === 500 && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n',
      );
    const host = await waitFor(sleepsAs500);
    const nested = startInspector(`/proc/${init}/root/proc`);
    const processes = table({ inspector: nested, commandArgs: true });
    const first = { ...ownerOf(host), pid: 500 };
    const firstIdentity = await identityOf(processes, first);
    assert.equal(firstIdentity.resource['service.name'], 'first');
    const printed = new Promise<string>((resolve) =>
      child.stdout.once('data', (data) => resolve(String(data))),
    );
    child.stdin.write('go\n');
    assert.equal((await printed).trim(), '500 500');
    const again = await waitFor(sleepsAs500);
    const second = { ...ownerOf(again), pid: 500 };
    // The first one's late message, now that another process has its pid: nothing of that one may be read.
    const late = await identityOf(table({ inspector: nested }), first);
    assert.equal(late.resource['service.name'], 'unknown_service');
    assert.equal(await identityOf(processes, first), firstIdentity);
    const secondIdentity = await identityOf(processes, second);
    assert.equal(secondIdentity.resource['service.name'], 'second');
    assert.deepEqual(secondIdentity.resource['process.command_args'], ['sleep', '61']);
    assert.equal(await identityOf(processes, first), firstIdentity);
    nested.close();
    await stop(child);
  });

  it('follow a change of user, and keep one object for each', async () => {
    const processes = table();
    const owner = ownerOf(process.pid);
    const root = await identityOf(processes, owner);
    const nobody = await identityOf(processes, { ...owner, uid: 65534 });
    assert.equal(root.resource['process.user.name'], 'root');
    assert.equal(nobody.resource['process.user.name'], 'nobody');
    assert.equal(nobody.executableName, root.executableName);
    assert.equal(await identityOf(processes, owner), root);
    assert.equal(await identityOf(processes, { ...owner, uid: 65534 }), nobody);
  });

  it('follow an exec whose announcement was lost', async () => {
    const child = await start('/bin/sh', ['-c', 'echo ready; read -r line; exec sleep 60'], { cwd: '/' });
    const processes = table();
    const before = await identityOf(processes, ownerOf(child.pid));
    child.stdin?.write('go\n');
    await waitFor(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n' || undefined);
    const identity = await identityOf(processes, ownerOf(child.pid));
    assert.notEqual(identity, before);
    assert.equal(identity.executableName, 'sleep');
    assert.equal(identity.resource['process.command'], 'sleep');
    await stop(child);
  });

  it('stay the same when a program only renames itself, and cost a bounded number of looks', async () => {
    const processes = table();
    const owner = ownerOf(process.pid);
    const identity = await identityOf(processes, owner);
    const started = performance.now();
    const before = inspector.stats().requests;
    for (let i = 0; i < 100_000; i++)
      processes.identify({ ...owner, processName: `w${i}`, cgroupId: BigInt(i) });
    assert.ok(performance.now() - started < 1000);
    for (let i = 0; i < 20; i++)
      assert.equal(
        (await identityOf(processes, { ...owner, processName: `x${i}`, cgroupId: BigInt(i) })).executableName,
        identity.executableName,
      );
    assert.equal(inspector.stats().requests - before, 8);
  });

  it('are bounded: the least recently seen is forgotten and counted', async () => {
    const processes = table({ maxProcesses: 10 });
    for (let pid = 1; pid <= 25; pid++) await identityOf(processes, { ...GONE, pid: 4_190_000 + pid });
    assert.equal(processes.size, 10);
    assert.equal(processes.counts.evicted, 15);
    for (let i = 0n; i < 100n; i++) await identityOf(processes, { ...GONE, startTime: i });
    assert.equal(processes.size, 10);
  });

  it('are forgotten some time after exit, not before', async () => {
    const child = await start('/bin/sh', ['-c', SLEEPER]);
    const processes = table();
    const [mine, its] = [ownerOf(process.pid), ownerOf(child.pid)];
    const identity = await identityOf(processes, mine);
    await identityOf(processes, its);
    const sweep = () => {
      processes.beginSweep();
      return processes.sweep(256);
    };
    const sweeps = async (count: number) => {
      const gone: ProcessKey[] = [];
      for (let i = 0; i < count; i++) gone.push(...(await sweep()));
      return gone.map(({ pid, startTime }) => ({ pid, startTime }));
    };
    assert.deepEqual(await sweeps(5), [], 'both live');
    await stop(child);
    await identityOf(processes, its);
    assert.deepEqual(await sweeps(1), [], 'seen just now');
    assert.deepEqual(await sweeps(3), [{ pid: its.pid, startTime: its.startTime }]);
    assert.equal(processes.size, 1);
    assert.equal(await identityOf(processes, mine), identity);
    assert.equal(processes.counts.exited, 1);
  });
});

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** pid of a process inside its own pid namespace. */
function inside(pid: number): number {
  return Number(/^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

async function waitFor<T>(look: () => T | undefined): Promise<T> {
  const deadline = performance.now() + 5000;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error('waited 5 s in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
