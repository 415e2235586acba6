/** The inspector against real processes: what it reads, what it refuses, and what becomes of requests when it cannot go on. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FairQueue } from '../../src/inspector/fair-queue.ts';
import { Inspector, type Target } from '../../src/inspector/inspector.ts';
import { Pauses } from '../../src/inspector/pauses.ts';
import { inodeOf, type Read, socketsOf } from '../../src/inspector/protocol.ts';
import { createLog } from '../../src/lib/log.ts';
import { targetOf } from './process-target.ts';

const messages: string[] = [];
const log = createLog('debug', (line) => messages.push(line));
const inspector = Inspector.start({ log });
after(() => inspector.close());

const own = targetOf(process.pid);

async function read(each: Read, target = own): Promise<Buffer | undefined> {
  return (await inspector.inspect(target, [each]))?.[0]?.bytes;
}

/** A process whose root is a directory that `prepare` fills. */
async function contained(t: TestContext, prepare: (root: string) => void): Promise<Target> {
  const root = mkdtempSync(join(tmpdir(), 'whodns-inspector-'));
  for (const name of ['etc', 'bin', 'proc', 'dev']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'bin/busybox'), readFileSync('/bin/busybox'), { mode: 0o755 });
  prepare(root);
  const script = `mount -t proc proc ${root}/proc; exec chroot ${root} /bin/busybox sh -c 'echo ready; read x'`;
  const child = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  t.after(async () => {
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
    rmSync(root, { recursive: true });
  });
  return targetOf(child.pid ?? 0);
}

describe('the inspector reads', { timeout: 60_000 }, () => {
  it('files, links and inodes of a process in one go', async () => {
    const results = await inspector.inspect(own, [
      { kind: 'file', name: 'cmdline', limit: 4096 },
      { kind: 'link', name: 'exe' },
      { kind: 'inode', name: 'exe' },
      { kind: 'file', name: 'net/udp', limit: 4096 },
      { kind: 'file', name: 'nothing', limit: 10 },
      { kind: 'file', name: 'cmdline', limit: 3 },
    ]);
    assert.ok(results !== undefined);
    const [cmdline, exe, inode, udp, nothing, cut] = results;
    assert.equal(cmdline?.bytes?.toString(), readFileSync('/proc/self/cmdline', 'utf8'));
    assert.equal(
      exe?.bytes?.toString(),
      execFileSync('readlink', [`/proc/${process.pid}/exe`], { encoding: 'utf8' }).trim(),
    );
    assert.equal(inodeOf(inode)?.inode, statSync('/proc/self/exe', { bigint: true }).ino);
    assert.match(udp?.bytes?.toString() ?? '', /local_address/);
    assert.deepEqual(nothing, { bytes: undefined, error: 2 });
    assert.equal(cut?.bytes?.length, 3);
  });

  it('the lines that are wanted of a file', async () => {
    const lines = await read({ kind: 'file', name: 'maps', limit: 65_536, needles: ['[stack]', '[vdso]'] });
    assert.deepEqual(
      lines
        ?.toString()
        .trim()
        .split('\n')
        .map((line) => line.replace(/.* /, ''))
        .sort(),
      ['[stack]', '[vdso]'],
    );
  });

  it('only of the process that was meant', async () => {
    assert.equal(await inspector.inspect({ ...own, startTime: own.startTime + 10_000_000n }, []), undefined);
    assert.equal(await inspector.inspect({ ...own, pid: 4_194_303 }, []), undefined);
    assert.deepEqual(await inspector.inspect(own, []), []);
    const namespace = statSync('/proc/self/ns/mnt').ino;
    assert.deepEqual(await inspector.inspect(own, [], { mountNamespace: namespace }), []);
    assert.equal(await inspector.inspect(own, [], { mountNamespace: namespace + 1 }), undefined);
  });

  it('which of many processes still exist', async () => {
    const gone = { ...own, pid: 4_194_303 };
    assert.deepEqual(await inspector.alive([own, gone, { ...own, startTime: 1n }, targetOf(1)]), [
      true,
      false,
      false,
      true,
    ]);
  });

  it('the sockets of a process', async () => {
    const result = await inspector.inspect(own, [{ kind: 'sockets', limit: 4096 }]);
    assert.ok((socketsOf(result?.[0])?.size ?? 0) > 0);
  });

  it('memory that is mapped and no file, else what file systems are named', async () => {
    const maps = readFileSync('/proc/self/maps', 'latin1').split('\n');
    const at = (wanted: RegExp) =>
      BigInt(`0x${/^[0-9a-f]+/.exec(maps.find((line) => wanted.test(line)) ?? '')?.[0]}`);
    const program = maps.find((line) => / r--p 00000000 .*node/.test(line)) ?? '';
    const [major = 0, minor = 0] = (program.split(' ')[3] ?? '')
      .split(':')
      .map((part) => Number.parseInt(part, 16));
    const first = { kind: 'memory', address: at(/ r--p 00000000 .*node/), length: 4 } as const;
    const results = await inspector.inspect(own, [
      { kind: 'memory', address: at(/\[stack\]/), length: 64 },
      first,
      { ...first, address: 4096n },
    ]);
    assert.deepEqual(
      results?.map(({ bytes, error }) => [bytes?.length, error]),
      [
        [64, 0],
        [undefined, 13],
        [undefined, 13],
      ],
    );
    const named = await inspector.inspect(own, [first], { devices: [{ major, minor }] });
    assert.equal(named?.[0]?.bytes?.toString('latin1'), '\x7fELF');
  });
});

describe('the inspector reads below another root', { timeout: 60_000 }, () => {
  const conf = { kind: 'rootFile', path: '/etc/resolv.conf', limit: 1000 } as const;

  it('a file, through links of that root only', async (t) => {
    const target = await contained(t, (root) => {
      writeFileSync(join(root, 'etc/real'), 'inside\n');
      symlinkSync('/etc/real', join(root, 'etc/resolv.conf'));
      symlinkSync('../../../../../../etc/shadow', join(root, 'etc/shadow'));
      symlinkSync('/proc/1/root/etc/shadow', join(root, 'etc/magic'));
      symlinkSync('/proc/self/environ', join(root, 'etc/environ'));
      symlinkSync('loop', join(root, 'etc/loop'));
    });
    assert.equal((await read(conf, target))?.toString(), 'inside\n');
    for (const name of ['shadow', 'magic', 'loop', 'environ'])
      assert.equal(await read({ ...conf, path: `/etc/${name}` }, target), undefined, name);
  });

  it('nothing but regular files, and no more than asked for', async (t) => {
    const target = await contained(t, (root) => {
      execFileSync('mkfifo', [join(root, 'etc/resolv.conf')]);
      execFileSync('mknod', [join(root, 'dev/zero'), 'c', '1', '5']);
      writeFileSync(join(root, 'etc/sparse'), '');
      truncateSync(join(root, 'etc/sparse'), 2 ** 40);
    });
    const paths = ['/etc/resolv.conf', '/dev/zero', '/etc', '/etc/sparse'];
    const started = performance.now();
    const results = await inspector.inspect(
      target,
      paths.map((path) => ({ ...conf, path })),
    );
    assert.deepEqual(
      results?.map(({ bytes }) => bytes?.length),
      [undefined, undefined, undefined, 1000],
    );
    // As executables they are only looked at.
    const inodes = await inspector.inspect(
      target,
      paths.map((path) => ({ kind: 'rootInode', path })),
    );
    assert.ok(inodes?.every((result) => inodeOf(result) !== undefined));
    assert.ok(performance.now() - started < 900);
  });
});

describe('what the inspector may', { timeout: 60_000 }, () => {
  it('is reading: two capabilities, no way to more, a filter, one descriptor', async () => {
    await inspector.inspect(own, []);
    const supervisor = inspector.pid ?? 0;
    const workers = execFileSync('pgrep', ['-P', String(supervisor)], { encoding: 'utf8' })
      .trim()
      .split('\n');
    for (const pid of [String(supervisor), ...workers]) {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
      // CAP_DAC_READ_SEARCH is 2, CAP_SYS_PTRACE 19.
      for (const set of ['CapPrm', 'CapEff']) assert.equal(field(set), '0000000000080004', set);
      for (const set of ['CapInh', 'CapBnd', 'CapAmb']) assert.equal(field(set), '0000000000000000', set);
      assert.deepEqual([field('NoNewPrivs'), field('Seccomp')], ['1', '2']);
      const resident = Number(field('VmRSS'));
      assert.ok(resident < 2048, `${resident} KiB`);
      if (pid !== String(supervisor))
        assert.deepEqual(readdirSync(`/proc/${pid}/fd`).sort(), ['0', '1', '2', '3']);
    }
  });
});

describe('an inspector that cannot go on', { timeout: 60_000 }, () => {
  it('is missed, and that is said once', async () => {
    const said: string[] = [];
    const missing = Inspector.start({
      log: createLog('warn', (line) => said.push(line)),
      program: '/nonexistent',
    });
    assert.equal(await missing.inspect(own, []), undefined);
    assert.equal(await missing.inspect(own, []), undefined);
    assert.equal(missing.stats().unavailable, 2);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /no inspector/);
  });

  it('when its supervisor is killed, what waits fails', async () => {
    const killed = Inspector.start({ log });
    await killed.inspect(own, []);
    process.kill(killed.pid ?? 0, 'SIGKILL');
    assert.equal(await killed.inspect(own, []), undefined);
    assert.equal(await killed.alive([own]), undefined);
  });

  it('a worker that is stopped is left behind, and others go on', async () => {
    const stopped = Inspector.start({ log });
    await stopped.inspect(own, []);
    const worker = execFileSync('pgrep', ['-P', String(stopped.pid)], { encoding: 'utf8' }).trim();
    process.kill(Number(worker), 'SIGSTOP');
    const first = stopped.inspect({ ...own, cgroupId: 5n }, []);
    const started = performance.now();
    assert.deepEqual(await stopped.inspect(own, []), [], 'another worker takes over');
    assert.ok(performance.now() - started < 700);
    assert.equal(await first, undefined);
    assert.equal(await stopped.inspect({ ...own, cgroupId: 5n }, []), undefined, 'left alone for a while');
    assert.deepEqual(
      await stopped.inspect(
        { ...own, pid: process.ppid, startTime: targetOf(process.ppid).startTime, cgroupId: 5n },
        [],
      ),
      [],
    );
    while (stopped.stats().hanging > 0) await sleep(10);
    const { timeout, paused, answered, requests } = stopped.stats();
    assert.deepEqual(
      { timeout, paused, answered, requests },
      { timeout: 1, paused: 1, answered: 3, requests: 5 },
    );
    stopped.close();
  });

  it('ends with the program, workers and all', async () => {
    const ended = Inspector.start({ log });
    await ended.inspect(own, []);
    const supervisor = ended.pid ?? 0;
    ended.close();
    for (let i = 0; i < 100 && isThere(supervisor); i++) await sleep(10);
    assert.equal(isThere(supervisor), false);
  });
});

function isThere(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}

describe('what waits', () => {
  const item = (cgroupId: bigint, name: string) => ({ cgroupId, name });

  it('takes turns by workload, and the one with most gives way', () => {
    const queue = new FairQueue<ReturnType<typeof item>>(4, 3);
    for (const name of ['a1', 'a2', 'a3']) assert.equal(queue.push(item(1n, name)), undefined);
    assert.equal(queue.push(item(1n, 'a4'))?.name, 'a4', 'a workload has its bound');
    assert.equal(queue.push(item(2n, 'b1')), undefined);
    assert.equal(queue.push(item(3n, 'c1'))?.name, 'a3', 'full: the newest of the one with most');
    assert.equal(queue.size, 4);
    const order = Array.from({ length: 5 }, () => queue.shift()?.name);
    assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', undefined]);
  });

  it('is refused by those who made one hang: longer each time, workloads from the second time on', () => {
    const pauses = new Pauses();
    const origin = { pid: 1, startTime: 1n, cgroupId: 7n, uid: 1000 };
    const sibling = { ...origin, pid: 2 };
    const sameUser = { ...sibling, cgroupId: 8n };
    pauses.strike(origin, 0);
    assert.deepEqual([pauses.isPaused(origin, 9999), pauses.isPaused(origin, 10_001)], [true, false]);
    assert.equal(pauses.isPaused(sibling, 1), false);
    pauses.strike(origin, 20_000);
    assert.deepEqual(
      [39_999, 40_001].map((now) => pauses.isPaused(origin, now)),
      [true, false],
    );
    assert.deepEqual(
      [sibling, sameUser].map((other) => pauses.isPaused(other, 20_999)),
      [true, true],
    );
    assert.equal(pauses.isPaused(sibling, 21_001), false);
    assert.equal(pauses.isPaused({ ...sibling, uid: 1001 }, 20_999), false, 'another user');
    for (let i = 0; i < 20; i++) pauses.strike(origin, 50_000);
    assert.equal(pauses.isPaused(sibling, 50_000 + 60_001), false, 'no longer than a minute');
  });
});
