import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { bootTime, hostAttributes } from '../../src/enrich/host.ts';
import { parseStat } from '../../src/enrich/process/proc.ts';
import { parsePasswd, UserNames } from '../../src/enrich/process/users.ts';
import { readFile } from '../../src/lib/read-file.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'whodns-host-'));
after(() => rmSync(directory, { recursive: true }));

describe('enrich: host', () => {
  it('has name, type and distribution', () => {
    const attributes = hostAttributes('1.2.3');
    assert.equal(attributes['host.name'], hostname());
    assert.equal(attributes['os.type'], 'linux');
    assert.equal(attributes['telemetry.distro.name'], 'whodns');
    assert.equal(attributes['telemetry.distro.version'], '1.2.3');
  });

  it('has the machine id, the older file failing the first, and none rather than a wrong one', () => {
    const id = 'fdbf79e8af94cb7f9e8df36789187052';
    const root = path.join(directory, 'root');
    mkdirSync(path.join(root, 'etc'), { recursive: true });
    mkdirSync(path.join(root, 'var/lib/dbus'), { recursive: true });
    assert.equal('host.id' in hostAttributes('1', root), false);
    writeFileSync(path.join(root, 'etc/machine-id'), 'uninitialized\n');
    assert.equal('host.id' in hostAttributes('1', root), false);
    writeFileSync(path.join(root, 'var/lib/dbus/machine-id'), `${id}\n`);
    assert.equal(hostAttributes('1', root)['host.id'], id);
    const own = 'aa'.repeat(16);
    writeFileSync(path.join(root, 'etc/machine-id'), `${own}\n`);
    assert.equal(hostAttributes('1', root)['host.id'], own);
  });

  it('knows when it booted as /proc/stat has it', () => {
    const btime = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
    assert.ok(Math.abs(Number(bootTime() / 1_000_000n) / 1000 - btime) < 2);
  });
});

const HERE = statSync('/proc/self/ns/mnt').ino;

describe('enrich: user names', () => {
  it('are those of the passwd file, as id has them', () => {
    const users = UserNames.ofHost();
    for (const uid of [0, 1, 65534])
      assert.equal(
        users.name({ uid, mountNamespace: HERE }, '/'),
        execFileSync('id', ['-nu', String(uid)], { encoding: 'utf8' }).trim(),
      );
    assert.equal(users.name({ uid: 3_999_999_999, mountNamespace: HERE }, '/'), undefined);
  });

  it('are of nobody whose list may be another: in a mount namespace that is no unit of the host', () => {
    const users = new UserNames({ path: '/etc/passwd', mountNamespace: 1 });
    const root = (mountNamespace: number, cgroup: string) => users.name({ uid: 0, mountNamespace }, cgroup);
    assert.equal(root(1, '/'), 'root');
    assert.equal(root(2, '/'), undefined);
    assert.equal(root(2, '/user.slice/user-1000.slice/user@1000.service'), undefined);
    assert.equal(root(2, '/system.slice/systemd-resolved.service'), 'root');
    assert.equal(root(2, '/system.slice/system-x.slice/x@1.service'), 'root');
    assert.equal(root(2, '/system.slice/web.service/libpod-payload-1'), undefined);
    assert.equal(new UserNames().name({ uid: 0, mountNamespace: 1 }, '/'), undefined);
  });

  it('follow a change of the file, looked at every few seconds', () => {
    const file = path.join(directory, 'passwd');
    let now = 0;
    const users = new UserNames({ path: file, mountNamespace: HERE, now: () => now });
    const nameOf = (uid: number) => users.name({ uid, mountNamespace: HERE }, '/');
    assert.equal(nameOf(7), undefined);
    writeFileSync(file, 'anna:x:7:7::/:/bin/sh\n');
    assert.equal(nameOf(7), undefined);
    now += 5000;
    assert.equal(nameOf(7), 'anna');
    writeFileSync(`${file}.new`, 'emma:x:7:7::/:/bin/sh\n');
    renameSync(`${file}.new`, file);
    now += 4999;
    assert.equal(nameOf(7), 'anna');
    now += 1;
    assert.equal(nameOf(7), 'emma');
    rmSync(file);
    now += 5000;
    assert.equal(nameOf(7), undefined);
  });

  it('take damaged and hostile lines', () => {
    const text = 'a:x:1:1\n\n:x:2:2\nb:x\nc:x:-3:3\nd:x:1:1\ne:x:0x5:5\nf\x1b[31m:x:6:6\n+::::::\nlast:x:9:9';
    assert.deepEqual(
      [...parsePasswd(text)],
      [
        [1, 'a'],
        [6, 'f\x1b[31m'],
        [9, 'last'],
      ],
    );
    assert.equal(
      parsePasswd(Array.from({ length: 70_000 }, (_, i) => `u${i}:x:${i}:0`).join('\n')).size,
      65_536,
    );
  });
});

describe('enrich: reading /proc', () => {
  it('finds the fields behind any name', () => {
    const fields = Array.from({ length: 30 }, (_, i) => String(i + 3)).join(' ');
    for (const name of ['sh', 'a b', ') R 1 2', '((', 'x\n) 9 9'])
      assert.deepEqual(parseStat(Buffer.from(`12 (${name}) ${fields}`)), {
        parentPid: 4,
        tty: 7,
        startTicks: 22n,
      });
    for (const text of ['', '12', '12 (sh) R', '12 (sh) R x x'])
      assert.equal(parseStat(Buffer.from(text)), undefined);
    assert.equal(parseStat(undefined), undefined);
  });

  it('reads files of unknown size up to a bound', () => {
    const file = path.join(directory, 'file');
    const content = 'x'.repeat(100_000);
    writeFileSync(file, content);
    assert.equal(readFile(file, 1_000_000)?.toString(), content);
    assert.equal(readFile(file, 5000)?.length, 5000);
    assert.equal(readFile('/proc/self/stat', 4096)?.toString().split(' ')[0], String(process.pid));
    assert.equal(readFile(path.join(directory, 'none'), 10), undefined);
    assert.equal(readFile(directory, 10), undefined);
  });

  it('does not hang on a pipe', () => {
    const fifo = path.join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    assert.equal(readFile(fifo, 10)?.length, 0);
  });
});
