/** What every series of /metrics says of its host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../src/ledger.ts';
import { createScraped } from '../../src/sinks/metrics/prometheus.ts';
import { MetricsSink } from '../../src/sinks/metrics/sink.ts';

const SOURCE = {
  stats: () => ({
    hook: 'pcap' as const,
    counters: { message: 3 },
    drops: {},
    missedRuns: 0,
    batches: 0,
    batchBytes: 0,
    ring: undefined,
  }),
  processes: () => [],
  forget: () => {},
};

async function scrapeOf(hostAttributes: Readonly<Record<string, string>>): Promise<string[]> {
  const { exporter, scrape } = createScraped();
  const sink = new MetricsSink({
    name: 'prometheus',
    exporter,
    ledger: new Ledger(),
    notices: { warn: () => {}, info: () => {} },
    source: SOURCE,
    scope: { name: 'whodns', version: '0.1.0' },
    hostAttributes,
    intervalMs: 60_000,
    timeoutMs: 1000,
  });
  const text = await scrape();
  await sink.close(1000);
  return text.split('\n').filter((line) => line.startsWith('whodns_'));
}

test('every series names its host, node and cluster, and nothing else of the resource', async () => {
  const lines = await scrapeOf({
    'host.name': 'node-7',
    'host.id': 'fdbf79e8',
    'k8s.node.name': 'node-7',
    'k8s.cluster.name': 'east',
  });
  assert.ok(lines.length > 3);
  for (const line of lines) {
    for (const label of ['host_name="node-7"', 'k8s_node_name="node-7"', 'k8s_cluster_name="east"'])
      assert.ok(line.includes(label), line);
    assert.doesNotMatch(line, /host_id|service_name|os_type/);
  }
});

test('a host name cannot break out of its label', async () => {
  const lines = await scrapeOf({ 'host.name': 'a",b="\\\n} 1' });
  for (const line of lines) assert.ok(line.includes('host_name="a\\",b=\\"\\\\\\n} 1"'), line);
});
