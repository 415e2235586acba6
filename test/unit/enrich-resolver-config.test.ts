/** resolv.conf of other mount namespaces: what it says, and what a container may have put in its place. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  parseResolvConf,
  type ResolverConfig,
  ResolverConfigs,
} from '../../src/enrich/process/resolver-config.ts';
import type { Owner } from '../../src/model.ts';
import { OWNER } from './correlate-events.ts';
import { startInspector, targetOf } from './process-target.ts';

describe('resolv.conf', () => {
  it('is read as resolv.conf(5) has it', () => {
    const text = `# comment
domain old.example
search A.Example. b.example	c.example ; rest
nameserver 10.0.0.1
nameserver fe80::1%eth0
nameserver 2001:DB8:0:0::53 # comment
nameserver ::ffff:1.2.3.4
nameserver not-an-address
 nameserver 10.9.9.9
options timeout:1 ndots:5
options rotate`;
    assert.deepEqual(parseResolvConf(text), {
      servers: ['10.0.0.1', 'fe80::1', '2001:db8::53', '::ffff:102:304'],
      search: ['a.example', 'b.example', 'c.example'],
      ndots: 5,
    });
  });
  it('hostile: bounded in every part', () => {
    const many = parseResolvConf(
      `search ${'x.example '.repeat(5000)}\n${'nameserver 10.0.0.1\n'.repeat(5000)}options ndots:999 ndots:-1 ndots:1e9\n`,
    );
    assert.deepEqual([many.search.length, many.servers.length, many.ndots], [32, 16, 15]);
    assert.deepEqual(parseResolvConf('\0\0\0'), { servers: [], search: [], ndots: 1 });
  });
});

/** A process with a root of its own, in which `prepare` made the files. */
const cleanUp: (() => Promise<void>)[] = [];
const inspector = startInspector();
after(async () => {
  inspector.close();
  for (const each of cleanUp) await each();
});

/** What is known once the file has been read. */
async function read(configs: ResolverConfigs, owner: Owner): Promise<ResolverConfig | undefined> {
  configs.of(owner);
  await configs.pending(owner);
  return configs.of(owner);
}

async function contained(prepare: (root: string) => void): Promise<Owner> {
  const root = mkdtempSync(join(tmpdir(), 'whodns-root-'));
  mkdirSync(join(root, 'etc'));
  mkdirSync(join(root, 'bin'));
  writeFileSync(join(root, 'bin/busybox'), readFileSync('/bin/busybox'), { mode: 0o755 });
  prepare(root);
  const child = spawn(
    'unshare',
    ['--mount', 'chroot', root, '/bin/busybox', 'sh', '-c', 'echo ready; read x'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  await once(child.stdout, 'data');
  cleanUp.push(async () => {
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
    rmSync(root, { recursive: true });
  });
  const pid = child.pid ?? 0;
  const mountNamespace = Number(statSync(`/proc/${pid}/ns/mnt`).ino);
  return { ...OWNER, ...targetOf(pid), parentPid: 0, mountNamespace };
}

describe('resolv.conf of a process', () => {
  it('is that of its own root', async () => {
    const owner = await contained((root) =>
      writeFileSync(join(root, 'etc/resolv.conf'), 'nameserver 192.0.2.77\n'),
    );
    const configs = new ResolverConfigs(inspector);
    assert.deepEqual((await read(configs, owner))?.servers, ['192.0.2.77']);
    assert.equal(
      await read(configs, { ...owner, startTime: 1n, mountNamespace: 4 }),
      undefined,
      'another process',
    );
  });

  it('is read again after a while, and then both hold once', async () => {
    let path = '';
    const owner = await contained((root) => {
      path = join(root, 'etc/resolv.conf');
      writeFileSync(path, 'nameserver 192.0.2.1\n');
    });
    const configs = new ResolverConfigs(inspector);
    await read(configs, owner);
    writeFileSync(path, 'nameserver 192.0.2.2\n');
    assert.deepEqual((await read(configs, owner))?.servers, ['192.0.2.1']);
    for (let i = 0; i < 3; i++) configs.sweep();
    assert.deepEqual((await read(configs, owner))?.servers, ['192.0.2.1'], 'it is not waited for');
    for (let i = 0; i < 100 && configs.of(owner)?.servers.length === 1; i++) await sleep(20);
    assert.deepEqual(configs.of(owner)?.servers, ['192.0.2.2', '192.0.2.1']);
    assert.deepEqual((await configs.again(owner))?.servers, ['192.0.2.2', '192.0.2.1']);
  });

  it('the number of a namespace that is gone may be that of another: cgroup and network tell them apart', async () => {
    const first = await contained((root) =>
      writeFileSync(join(root, 'etc/resolv.conf'), 'nameserver 192.0.2.1\n'),
    );
    const second = await contained((root) =>
      writeFileSync(join(root, 'etc/resolv.conf'), 'nameserver 192.0.2.2\n'),
    );
    const configs = new ResolverConfigs(inspector);
    // As if the second were known by the number that the first has now.
    assert.deepEqual((await read(configs, { ...second, cgroupId: 5n }))?.servers, ['192.0.2.2']);
    assert.deepEqual((await read(configs, { ...first, cgroupId: 6n }))?.servers, ['192.0.2.1']);
    assert.equal(
      await read(configs, { ...first, mountNamespace: second.mountNamespace, cgroupId: 6n, parentPid: 0 }),
      undefined,
    );
    assert.equal(
      await read(configs, {
        ...first,
        mountNamespace: second.mountNamespace,
        networkNamespace: 9,
        parentPid: 0,
      }),
      undefined,
    );
  });

  it('links stay within its root', async () => {
    const outside = join(mkdtempSync(join(tmpdir(), 'whodns-outside-')), 'resolv.conf');
    writeFileSync(outside, 'nameserver 192.0.2.66\n');
    const absolute = await contained((root) => symlinkSync(outside, join(root, 'etc/resolv.conf')));
    assert.equal(await read(new ResolverConfigs(inspector), absolute), undefined, 'not the file of the host');
    const upwards = await contained((root) =>
      symlinkSync(`../../../../../../..${outside}`, join(root, 'etc/resolv.conf')),
    );
    assert.equal(await read(new ResolverConfigs(inspector), upwards), undefined);
    rmSync(join(outside, '..'), { recursive: true });
    const inside = await contained((root) => {
      mkdirSync(join(root, 'run'));
      writeFileSync(join(root, 'run/stub.conf'), 'nameserver 127.0.0.53\n');
      symlinkSync('/run/stub.conf', join(root, 'etc/resolv.conf'));
    });
    assert.deepEqual((await read(new ResolverConfigs(inspector), inside))?.servers, ['127.0.0.53']);
  });

  it('anything but a file is none', async () => {
    const cases: ((path: string) => void)[] = [
      (path) => mkdirSync(path),
      (path) => symlinkSync(path, path),
      (path) => symlinkSync('resolv.conf', path),
      (path) => symlinkSync('/proc/self/mem', path),
    ];
    for (const make of cases) {
      const owner = await contained((root) => make(join(root, 'etc/resolv.conf')));
      assert.equal(await read(new ResolverConfigs(inspector), owner), undefined);
    }
    const pipe = await contained(() => {});
    const { root } = { root: `/proc/${pipe.pid}/root` };
    const made = spawn('mkfifo', [`${root}/etc/resolv.conf`]);
    await once(made, 'close');
    assert.equal(await read(new ResolverConfigs(inspector), pipe), undefined, 'a FIFO does not hold it up');
  });

  it('the file of the host is known before any process is seen', async () => {
    const mountNamespace = Number(statSync('/proc/self/ns/mnt').ino);
    const configs = new ResolverConfigs(inspector);
    await configs.start();
    const config = configs.of({ ...OWNER, pid: 0x3fffff, mountNamespace });
    const expected = parseResolvConf(readFileSync('/etc/resolv.conf', 'latin1'));
    assert.deepEqual(config, expected);
  });
});
