/** The unit: systemd's own judgement of it, and the agent with the rights that it gives, and no other. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const UNIT = join(ROOT, 'deploy/systemd/whodns.service');
const text = readFileSync(UNIT, 'utf8');

function setting(name: string): string {
  const value = new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1];
  assert.ok(value, name);
  return value;
}

/** Names of system calls of a filter: groups of systemd resolved. */
function systemCalls(filter: string): Set<string> {
  const names = new Set<string>();
  for (const word of filter.split(' ')) {
    if (!word.startsWith('@')) names.add(word);
    else {
      const printed = execFileSync('systemd-analyze', ['syscall-filter', word], { encoding: 'utf8' });
      const words = printed
        .split('\n')
        .map((line) => line.trim())
        .slice(1);
      for (const inner of words.filter((each) => each !== '' && !each.startsWith('#')))
        for (const name of inner.startsWith('@') ? systemCalls(inner) : [inner]) names.add(name);
    }
  }
  return names;
}

/** Ends with what it has said when it captures, or when it has ended. */
async function untilCapturing(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    said += part;
    if (said.includes('capturing with')) child.kill('SIGTERM');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  await once(child, 'close');
  clearTimeout(timer);
  return said;
}

describe('systemd unit', () => {
  it('is a unit without unknown or bad settings', () => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-unit-'));
    try {
      const copy = join(directory, 'whodns.service');
      // The program is not installed here.
      writeFileSync(copy, text.replaceAll('/usr/lib/whodns/node', '/bin/true'));
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', copy], {
        encoding: 'utf8',
      });
      assert.deepEqual([status, stderr], [0, '']);
      writeFileSync(copy, `${text}ProtectEverything=yes\n`.replaceAll('/usr/lib/whodns/node', '/bin/true'));
      const bad = spawnSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8' });
      assert.match(bad.stderr, /Unknown key/, 'it would notice');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('is sandboxed', () => {
    const args = ['security', '--offline=true', '--threshold=26', UNIT];
    const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    assert.equal(status, 0, stdout.split('\n').slice(-2).join(''));
  });

  it('captures with its rights only, and without one of them not', async () => {
    const capabilities = setting('AmbientCapabilities').split(' ');
    assert.deepEqual(setting('CapabilityBoundingSet').split(' '), capabilities);
    const agent = (held: readonly string[]): ChildProcess => {
      const set = held.map((name) => `+${name.slice(4).toLowerCase()}`).join(',');
      const rights = [`--bounding-set=-all,${set}`, `--inh-caps=-all,${set}`, `--ambient-caps=-all,${set}`];
      const user = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'];
      const command = [process.execPath, join(ROOT, 'dist/main.js'), '--exporter', 'none'];
      return spawn('setpriv', [...user, ...rights, ...command], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {},
      });
    };
    assert.match(await untilCapturing(agent(capabilities)), /capturing with/);
    const lacking = await untilCapturing(agent(capabilities.filter((name) => name !== 'CAP_BPF')));
    assert.match(lacking, /not allowed|not permitted/);
  });

  it('says that it cannot open the socket of a container runtime; with the drop-in it can', () => {
    const dropIn = readFileSync(join(ROOT, 'deploy/systemd/runtime-sockets.conf'), 'utf8');
    assert.match(dropIn, /^\[Service\]\nDynamicUser=no\nUser=root$/m);
    const set = setting('AmbientCapabilities')
      .split(' ')
      .map((name) => `+${name.slice(4).toLowerCase()}`)
      .join(',');
    const directory = mkdtempSync(join(tmpdir(), 'whodns-runtime-'));
    const runtime = `
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind("/run/containerd/containerd.sock")
os.chmod("/run/containerd/containerd.sock", 0o660)
listening.listen()
if os.fork() == 0:
    os.close(1)
    listening.settimeout(60)
    listening.accept()
    open(sys.argv[1], "w")`;
    const asUser = (uid: number, connected: string) => {
      const ambient = uid === 0 ? [] : [`--ambient-caps=-all,${set}`];
      const rights = [`--bounding-set=-all,${set}`, `--inh-caps=-all,${set}`, ...ambient];
      const agent = [process.execPath, join(ROOT, 'dist/main.js'), '--exporter', 'none', '--duration', '2s'];
      const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...rights, ...agent];
      // Nothing of it is seen outside.
      const script =
        'mount -t tmpfs none /run && mkdir /run/containerd && python3 -c "$0" "$1" && shift && exec "$@"';
      const result = spawnSync('unshare', ['--mount', 'sh', '-c', script, runtime, connected, ...user], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH },
        timeout: 120_000,
      });
      assert.equal(result.status, 0, result.stderr);
      return { said: result.stderr, connected: existsSync(connected) };
    };
    try {
      const unit = asUser(65534, join(directory, 'user'));
      assert.match(unit.said, /containerd\.sock: this user may not open it/);
      assert.equal(unit.connected, false);
      const root = asUser(0, join(directory, 'root'));
      assert.doesNotMatch(root.said, /may not open it/);
      assert.equal(root.connected, true, 'uid 0 without capabilities opens it');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('lets every system call through that the agent makes', async () => {
    const allowed = systemCalls(setting('SystemCallFilter'));
    // The agent does without.
    const refused = new Set(/^SystemCallFilter=~(.*)$/m.exec(text)?.[1]?.split(' '));
    assert.ok(refused.has('io_uring_setup'));
    const directory = mkdtempSync(join(tmpdir(), 'whodns-strace-'));
    try {
      const log = join(directory, 'calls');
      const command = [
        process.execPath,
        join(ROOT, 'dist/main.js'),
        '--exporter',
        'none',
        '--duration',
        '3s',
      ];
      const child = spawn('strace', ['-f', '-c', '-S', 'name', '-U', 'name', '-o', log, ...command], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {},
      });
      const [code] = await once(child, 'close');
      assert.equal(code, 0);
      const made = readFileSync(log, 'utf8')
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => /^[a-z]\w+$/.test(line));
      assert.ok(made.includes('bpf'), made.join(' '));
      // systemd starts the program itself.
      assert.deepEqual(
        made.filter(
          (name) => !allowed.has(name) && !refused.has(name) && name !== 'syscall' && name !== 'total',
        ),
        [],
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
