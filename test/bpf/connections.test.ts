/** bpf/connect.h on the running kernel, with real connections in network namespaces of their own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { buildLoader, COUNTER, captureWhile, DROP } from './capture.ts';
import { connectionFaults, LEAST_SEEN, parseClaims } from './connections.ts';

const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync('/sys/kernel/btf/vmlinux') && 'this kernel has no BTF';
const CONNECT = 'python3 test/bpf/connect.py';
/** No port of this range is a DNS port here: the loader sees nothing but connections. */
const NO_DNS = ['--port', '1'];

describe('connections', { skip: missing }, () => {
  before(buildLoader);

  test('every way to connect, exactly once, with its owner', async () => {
    const { captured, output } = await captureWhile('tracepoint', CONNECT, ['--connections', ...NO_DNS]);
    const claims = parseClaims(output);
    assert.ok(claims.filter(({ seen }) => seen).length >= LEAST_SEEN);
    assert.deepEqual(connectionFaults(captured, claims), []);
    assert.ok((captured.counters[COUNTER.loopback] ?? 0) >= 5);
    const cookies = captured.connections.map(({ socket }) => socket);
    // One of the sockets connects twice.
    assert.equal(new Set(cookies).size, cookies.length - 1);
    assert.ok(!cookies.includes('0'));
  });

  test('nothing is seen unless it is asked for', async () => {
    const { captured } = await captureWhile('tracepoint', CONNECT, NO_DNS, 'everywhere');
    assert.deepEqual(captured.connections, []);
    assert.equal(captured.counters[COUNTER.connections], 0);
    assert.equal(captured.counters[COUNTER.loopback], 0);
  });

  test('the agent itself is left out', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-self-'));
    const [go, done] = [join(directory, 'go'), join(directory, 'done')];
    const wait = (file: string) => `until [ -e ${file} ]; do sleep 0.05; done`;
    // The shell becomes the program: its pid is known before it connects.
    const own = `ip link set lo up; ${wait(go)}; exec ${CONNECT}`;
    const self = spawn('unshare', ['-n', 'sh', '-ec', own], { stdio: ['ignore', 'pipe', 'inherit'] });
    self.on('close', () => writeFileSync(done, ''));
    try {
      const options = ['--connections', ...NO_DNS, '--self', String(self.pid)];
      const script = `touch ${go}; ${wait(done)}`;
      const { captured } = await captureWhile('tracepoint', script, options, 'everywhere');
      const own = captured.connections.filter(({ owner }) => owner.tgid === self.pid);
      assert.deepEqual(own, []);
      assert.ok((captured.counters[COUNTER.self] ?? 0) >= LEAST_SEEN - 1);
    } finally {
      self.kill('SIGKILL');
      rmSync(directory, { recursive: true });
    }
  });

  test('a full ring: what is not in it is counted', async () => {
    const many = `ip address add 192.0.2.1/32 dev lo; python3 -c '
import socket
for _ in range(3000):
    with socket.socket() as s:
        s.setblocking(False)
        s.connect_ex(("192.0.2.1", 9))'`;
    const options = ['--connections', ...NO_DNS, '--ring', '4096'];
    const { captured } = await captureWhile('tracepoint', many, options, 'everywhere');
    const seen = captured.counters[COUNTER.connections] ?? 0;
    // One sender has no more than its share of a ring that is more than half full.
    const reasons = [DROP.connectionRingFull, DROP.connectionSuppressed];
    const lost = reasons.reduce((sum, reason) => sum + (captured.drops[reason] ?? 0), 0);
    assert.ok(seen >= 3000);
    assert.ok(lost > 0);
    assert.equal(captured.connections.length, seen - lost);
  });
});
