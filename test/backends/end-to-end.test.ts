/**
 * Real resolvers, the real agent, the real collector, the real backends. Runs end-to-end-inside.ts in a network and mount
 * namespace of its own, so that port 53 of loopback and /etc/resolv.conf are ours; everything in it talks over that
 * loopback only.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { collectorProgram } from '../collector/build.ts';
import { jaegerProgram, prometheusProgram, sampleApplication, victoriaLogsProgram } from './build.ts';

/** A pod's resolver configuration: a name with fewer than five dots is tried with each search domain first. */
const RESOLV_CONF = `nameserver 127.0.0.1
search shop.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 attempts:1
`;

const ADDRESS = '192.0.2.80';
// With an address of each family resolvers ask for A and AAAA.
const SETUP = `ip link set lo up && ip address add ${ADDRESS}/32 dev lo && ip address add 2001:db8::80/128 dev lo &&
mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`;

test('from a resolver to VictoriaLogs, Jaeger and Prometheus', { timeout: 240_000 }, async () => {
  assert.equal(process.getuid?.(), 0, 'loading BPF programs and making namespaces needs root');
  // Built out here: there is no network inside.
  await Promise.all([
    collectorProgram(),
    victoriaLogsProgram(),
    jaegerProgram(),
    prometheusProgram(),
    sampleApplication(),
  ]);
  buildClients();
  const directory = mkdtempSync(join(tmpdir(), 'whodns-end-to-end-'));
  try {
    const resolvConf = join(directory, 'resolv.conf');
    writeFileSync(resolvConf, RESOLV_CONF);
    const inside = join(import.meta.dirname, 'end-to-end-inside.ts');
    // Without NODE_TEST_CONTEXT the inner run reports as text, not to this one.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const result = spawnSync(
      'unshare',
      ['-n', '-m', 'sh', '-c', SETUP, 'sh', resolvConf, process.execPath, '--test', inside],
      { encoding: 'utf8', env: { ...env, WORK: directory, ADDRESS } },
    );
    assert.equal(result.status, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /^# pass [1-9]|ℹ pass [1-9]/m);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
