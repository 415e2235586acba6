/**
 * Real resolvers, the real agent, the real collector, the real backends. Runs end-to-end-inside.ts in a network and mount
 * namespace of its own, so that port 53 of loopback and /etc/resolv.conf are ours; everything in it talks over that
 * loopback only.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { collectorProgram } from '../collector/build.ts';
import { jaegerProgram, prometheusProgram, sampleApplication, victoriaLogsProgram } from './build.ts';
import { runInside } from './inside.ts';

/** A pod's resolver configuration: a name with fewer than five dots is tried with each search domain first. */
const RESOLV_CONF = `nameserver 127.0.0.1
search shop.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 attempts:1
`;

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
  runInside(join(import.meta.dirname, 'end-to-end-inside.ts'), RESOLV_CONF);
});
