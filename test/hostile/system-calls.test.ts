/**
 * The agent makes no system call that its filter refuses: started under strace with all that it can be asked for, asked, told to open its
 * files again, and stopped. For a version of Node, libc or kernel that is new: what is found here is missing in native/syscalls.ts.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { tracedCalls } from '../../native/traced-calls.ts';
import { MAIN } from '../matrix/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const LIST = readFileSync(join(ROOT, 'native/syscalls.gen.h'), 'latin1');
/** native/seccomp.cc lets them through with some arguments, or says that there is no such call. */
const BY_ARGUMENT = ['bpf', 'clone', 'clone3', 'io_uring_setup', 'ioctl', 'socket', 'socketpair'];
/** It makes these for sure: that they are found shows that it was looked at. */
const SURE = ['bpf', 'epoll_pwait'];
const listed = [...LIST.matchAll(/#ifdef __NR_(\w+)/g)].map(([, name]) => name ?? '');

/** $1: directory; the rest: the agent. Asks until it captures, at most a minute. */
const SCRIPT = `
directory=$1
shift
"$@" 2>"$directory/errors" &
agent=$!
for i in $(seq 300); do grep -q 'capturing with' "$directory/errors" && break; sleep 0.2; done
for i in 1 2 3; do
  unshare -n sh -c 'ip link set lo up; dig @127.0.0.1 +tries=1 +time=1 one.test two.test' >/dev/null
  kill -HUP $agent
done
curl -sS --max-time 5 "http://$(sed -n 's/^whodns: health on //p' "$directory/errors")/metrics" >"$directory/metrics"
sleep 2
kill -TERM $agent
wait $agent
`;

it('no system call of the agent is refused', () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-calls-'));
  try {
    const agent = [process.execPath, MAIN, '--timeout', '500ms'];
    const output = ['--exporter', `otlp-file:${join(directory, 'out')}`, '--exporter', 'otlp', '--traces'];
    const files = ['--spool', join(directory, 'spool'), '--stats', join(directory, 'stats')];
    const listening = [
      '--health',
      '127.0.0.1:0',
      '--health-metrics',
      '--control',
      join(directory, 'control'),
    ];
    const looking = ['--detect', 'all', '--connections', '--trace-context', '--dnscache', 'enable'];
    const command = [...agent, ...output, ...files, ...listening, ...looking];
    const leftOut = listed.filter((name) => !SURE.includes(name));
    const { calls, status } = tracedCalls([...['sh', '-c', SCRIPT, 'sh', directory], ...command], leftOut);
    const said = readFileSync(join(directory, 'errors'), 'utf8');
    assert.equal(status, 3, said);
    assert.match(readFileSync(join(directory, 'metrics'), 'utf8'), /whodns_/);
    assert.match(readFileSync(join(directory, 'out'), 'utf8'), /one\.test/);
    for (const name of SURE) assert.ok(calls.has(name), [...calls].join(' '));
    const allowed = new Set([...listed, ...BY_ARGUMENT]);
    assert.deepEqual(
      [...calls].filter((name) => !allowed.has(name)),
      [],
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
