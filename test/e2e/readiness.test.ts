/** The real agent under a service manager's protocol: READY, STATUS, WATCHDOG, RELOADING, STOPPING; `--ready-fd`; messages as JSON. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { waitUntil } from '../collector/running-program.ts';
import { MAIN } from '../matrix/program.ts';

const LIMIT_MS = 120_000;
let directory = '';
const children: ChildProcess[] = [];

before(() => {
  buildClients();
  directory = mkdtempSync(join(tmpdir(), 'whodns-readiness-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'close');
  }
});
after(() => rmSync(directory, { recursive: true }));

interface Started {
  readonly child: ChildProcess;
  readonly stderr: () => string;
  /** What it wrote on descriptor 3; undefined: not closed yet. */
  readonly told: () => string | undefined;
  readonly ended: Promise<number | null>;
}

function agent(args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const child = spawn(process.execPath, [MAIN, 'run', '--exporter', 'none', ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  let told = '';
  let isClosed = false;
  child.stderr?.on('data', (text) => (stderr += String(text)));
  child.stdio[3]?.on('data', (text) => (told += String(text))).on('end', () => (isClosed = true));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, stderr: () => stderr, told: () => (isClosed ? told : undefined), ended };
}

async function manager(path: string): Promise<() => readonly string[]> {
  const child = spawn(join(CLIENTS, 'notified'), [path], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  let text = '';
  child.stdout.on('data', (more) => (text += String(more)));
  assert.ok(await waitUntil(() => text.includes('listening\n'), 10_000));
  return () => text.split('\n').slice(1, -1);
}

for (const kind of ['path', 'abstract name']) {
  test(`a service manager hears everything in order: socket by ${kind}`, async () => {
    const name = `whodns-${randomBytes(6).toString('hex')}`;
    const socket = kind === 'path' ? join(directory, name) : `@${name}`;
    const heard = await manager(socket);
    const { child, stderr, ended } = agent([], { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1500000' });
    assert.ok(await waitUntil(() => heard().length > 0, LIMIT_MS), stderr());
    assert.match(String(heard()[0]), /^READY=1\|STATUS=capturing with the \w+ hooks$/);
    assert.match(stderr(), /capturing with/, 'not before');
    const beats = () => heard().filter((line) => line === 'WATCHDOG=1').length;
    assert.ok(await waitUntil(() => beats() >= 4, 10_000), 'a third of the watchdog time apart');
    // A process that hangs sends none.
    child.kill('SIGSTOP');
    await sleep(300);
    const before = beats();
    await sleep(2000);
    assert.equal(beats(), before);
    child.kill('SIGCONT');
    assert.ok(await waitUntil(() => beats() > before, 10_000));

    const now = Number(process.hrtime.bigint() / 1000n);
    child.kill('SIGHUP');
    assert.ok(await waitUntil(() => heard().some((line) => line.startsWith('RELOADING=1')), 10_000));
    const reloading = heard().findIndex((line) => line.startsWith('RELOADING=1'));
    const time = Number(/^RELOADING=1\|MONOTONIC_USEC=(\d+)$/.exec(String(heard()[reloading]))?.[1]);
    assert.ok(Math.abs(time - now) < 30_000_000, `${time}, now ${now}`);
    assert.ok(
      await waitUntil(
        () =>
          heard()
            .slice(reloading)
            .some((l) => l.startsWith('READY=1|')),
        10_000,
      ),
    );

    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    assert.ok(await waitUntil(() => heard().some((line) => line.startsWith('STOPPING=1|STATUS=')), 5000));
  });
}

test('the watchdog of another process is none, and its variables are not handed on', async () => {
  const socket = join(directory, 'other');
  const heard = await manager(socket);
  const { child, stderr } = agent([], { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000', WATCHDOG_PID: '1' });
  assert.ok(await waitUntil(() => heard().length > 0, LIMIT_MS), stderr());
  await sleep(1000);
  assert.deepEqual(
    heard().filter((line) => line.startsWith('WATCHDOG')),
    [],
  );
  const task = `/proc/${child.pid}/task/${child.pid}/children`;
  for (const pid of readFileSync(task, 'utf8').trim().split(' '))
    assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'latin1'), /NOTIFY_SOCKET|WATCHDOG/);
});

for (const [what, socket] of [
  ['is not there', '/nonexistent/notify'],
  ['is longer than an address', `/${'x'.repeat(200)}`],
  ['is of another kind', 'vsock:2:1234'],
  ['is a directory', tmpdir()],
] as const) {
  test(`a NOTIFY_SOCKET that ${what} is a warning`, async () => {
    const { child, stderr, ended } = agent([], { NOTIFY_SOCKET: socket });
    assert.ok(await waitUntil(() => stderr().includes('capturing with'), LIMIT_MS), stderr());
    assert.match(stderr(), /warning: NOTIFY_SOCKET: .*: E[A-Z]+; the service manager will not hear/);
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
  });
}

test('a manager that goes away does not end the agent', async () => {
  const socket = join(directory, 'gone');
  const heard = await manager(socket);
  const { child, stderr, ended } = agent([], { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000' });
  assert.ok(await waitUntil(() => heard().length > 1, LIMIT_MS), stderr());
  children[0]?.kill('SIGKILL');
  await sleep(1000);
  child.kill('SIGHUP');
  await sleep(300);
  child.kill('SIGTERM');
  assert.equal(await ended, 0, stderr());
});

test('--ready-fd says it once, when the agent captures, and is closed', async () => {
  const { stderr, told } = agent(['--ready-fd', '3']);
  assert.ok(await waitUntil(() => told() !== undefined, LIMIT_MS), stderr());
  assert.equal(told(), 'READY=1\n');
  assert.match(stderr(), /capturing with/);
});

test('--ready-fd: an agent that does not start closes it without a word', async () => {
  const { told, ended } = agent(['--ready-fd', '3', '--hook', 'none-such']);
  assert.equal(await ended, 2);
  assert.equal(told(), '');
});

test('--ready-fd: a descriptor that is not open is an error', async () => {
  const { stderr, ended } = agent(['--ready-fd', '99']);
  assert.equal(await ended, 1);
  assert.match(stderr(), /--ready-fd 99: no such descriptor is open\n {2}whoever starts/);
});

test('messages as JSON: every line is one object, errors too', async () => {
  const { child, stderr, ended } = agent(['--log-format', 'json'], { OTEL_LOG_LEVEL: 'debug' });
  assert.ok(await waitUntil(() => stderr().includes('capturing with'), LIMIT_MS), stderr());
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  const messages = stderr()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>);
  const capturing = messages.find(({ message = '' }) => message.startsWith('capturing with'));
  assert.equal(capturing?.level, 'info');
  assert.ok(Math.abs(Date.parse(String(capturing?.time)) - Date.now()) < LIMIT_MS);

  const failed = agent(['--log-format', 'json', '--ready-fd', '99']);
  assert.equal(await failed.ended, 1);
  const [only] = failed
    .stderr()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  assert.ok(only && 'message' in only);
  assert.match(String(only.message), /no such descriptor is open\nwhoever starts/);
});
