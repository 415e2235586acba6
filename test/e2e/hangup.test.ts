/** SIGHUP: files are opened anew (logrotate); a terminal that hangs up ends the agent in order, unless nohup was asked. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { end } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';

const PATIENCE_MS = 20_000;
/** Runs argv[2:] with a terminal of its own, which hangs up when the program captures; prints its exit code, 124 if it lives on. */
const TERMINAL = `
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said = lambda: os.read(terminal, 4096) if sys.argv[1] == "-" else open(sys.argv[1], "rb").read()
text = b""
while b"capturing with" not in text:
    text = text[-100:] + said()
    time.sleep(0.05)
time.sleep(0.2)
os.close(terminal)
for _ in range(30):
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        break
    time.sleep(0.1)
else:
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    print(124)
print(os.waitstatus_to_exitcode(status))
`;

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-hangup-'));
});
after(() => rmSync(directory, { recursive: true }));

async function capturing(agent: ChildProcess): Promise<void> {
  let said = '';
  agent.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const deadline = performance.now() + PATIENCE_MS;
  while (!said.includes('capturing with')) {
    assert.ok(agent.exitCode === null && performance.now() < deadline, said);
    await sleep(50);
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, what);
    await sleep(50);
  }
}

const holds = (path: string, name: string): boolean =>
  existsSync(path) && readFileSync(path, 'utf8').includes(`"${name}"`);

/** Nobody listens there: each is a record all the same, when its time is over. */
function ask(name: string): void {
  const script = `ip link set lo up; dig @127.0.0.1 +tries=1 +time=1 ${name} >/dev/null || true`;
  execFileSync('unshare', ['-n', 'sh', '-c', script]);
}

test('SIGHUP after a rename: the old file has what came before, the new one is there at once', async () => {
  const path = join(directory, 'out.jsonl');
  const argv = [MAIN, '--exporter', `otlp-file:${path}`, '--timeout', '100ms'];
  const agent = spawn(process.execPath, argv, {
    env: { ...process.env, OTEL_BLRP_SCHEDULE_DELAY: '100' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    await capturing(agent);
    ask('before.test');
    await until(() => holds(path, 'before.test'), 'no record');
    renameSync(path, `${path}.1`);
    agent.kill('SIGHUP');
    await until(() => existsSync(path), 'not opened anew');
    ask('behind.test');
    await until(() => holds(path, 'behind.test'), 'no record after the signal');
    await end(agent);
    assert.equal(agent.exitCode, 0);
    assert.ok(holds(`${path}.1`, 'before.test') && !holds(`${path}.1`, 'behind.test'));
    assert.ok(!holds(path, 'before.test'));
  } finally {
    agent.kill('SIGKILL');
  }
});

function inTerminal(said: string, argv: readonly string[]): string[] {
  const output = execFileSync('python3', ['-c', TERMINAL, said, ...argv], {
    cwd: directory,
    encoding: 'utf8',
    timeout: PATIENCE_MS * 2,
  });
  return output.trim().split('\n');
}

test('a terminal that hangs up: the end, in order', () => {
  const stats = join(directory, 'stats.json');
  const agent = [process.execPath, MAIN, '--exporter', 'none', '--stats', stats];
  assert.deepEqual(inTerminal('-', agent), ['0']);
  assert.ok(existsSync(stats));
});

test('under nohup it goes on', () => {
  const agent = ['nohup', process.execPath, MAIN, '--exporter', 'none'];
  const output = join(directory, 'nohup.out');
  execFileSync('touch', [output]);
  assert.deepEqual(inTerminal(output, agent), ['124', '0']);
});
