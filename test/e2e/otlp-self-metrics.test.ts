/** What the agent says of itself: the conventions' otel.sdk.* metrics from the ledger, the SDK and the real agent. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ledger } from '../../src/ledger.ts';
import { MetricsSink } from '../../src/sinks/metrics/sink.ts';
import { SDK_METRICS } from '../../src/tables/metrics-self.ts';
import { ended } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';
import { metricExporter, SCOPE } from './otlp-sinks.ts';
import { attributes, type Metric, type NumberPoint, Receiver } from './receiver.ts';

const ROOT = join(import.meta.dirname, '../..');
const CAPTURE = join(ROOT, 'test/golden/pcaps/edns-opts.pcap');

function latest(receiver: Receiver): Map<string, Metric> {
  const last = receiver.resourceMetrics.at(-1);
  assert.ok(last);
  return new Map(last.scopeMetrics.flatMap(({ metrics }) => metrics.map((metric) => [metric.name, metric])));
}

/** Values by `attribute=value,...` of the attributes named. */
function values(metric: Metric | undefined, ...names: readonly string[]): Record<string, number> {
  assert.ok(metric, 'the metric is there');
  const number = (point: NumberPoint) => Number(point.asInt ?? point.asDouble);
  const points = (metric.sum ?? metric.gauge)?.dataPoints ?? [];
  return Object.fromEntries(
    points.map((point) => {
      const at = attributes(point.attributes);
      const key = names.flatMap((name) => (at[name] === undefined ? [] : [`${name}=${String(at[name])}`]));
      return [key.join(','), number(point)];
    }),
  );
}

test('queues and losses of the ledger, under the names of the conventions', async (t) => {
  const receiver = await Receiver.http();
  t.after(() => receiver.stop());
  const ledger = new Ledger();
  const sink = new MetricsSink({
    exporter: await metricExporter('http/protobuf', receiver.url),
    ledger,
    notices: { warn: () => {}, info: () => {} },
    source: {
      stats: () => ({
        hook: 'fentry',
        counters: {},
        drops: {},
        missedRuns: 0,
        batches: 0,
        batchBytes: 0,
        ring: undefined,
      }),
      processes: () => [],
      forget: () => {},
    },
    scope: SCOPE,
    hostAttributes: {},
    ownAttributes: { 'service.name': 'agent-1', team: 'blue' },
    queues: [
      { sink: 'otlp', items: 'log', capacity: 100 },
      { sink: 'otlp-file', items: 'log', capacity: 300 },
    ],
    intervalMs: 60_000,
    timeoutMs: 5000,
  });
  t.after(() => sink.close(100));
  ledger.stage('sink:fan-out').in = 20;
  const otlp = ledger.stage('sink:otlp');
  otlp.in = 20;
  otlp.out = 6;
  otlp.drop('failed', 3);
  otlp.drop('rejected', 1);
  otlp.drop('queue_full', 4);
  otlp.drop('closed', 1);
  otlp.drop('shutdown', 1);
  otlp.held = () => 4;

  await sink.flush();
  const metrics = latest(receiver);
  assert.deepEqual(values(metrics.get('otel.sdk.log.created')), { '': 20 });
  const component = 'otel.component.name';
  assert.deepEqual(values(metrics.get('otel.sdk.processor.log.queue.size'), component), {
    [`${component}=batching_log_processor/0`]: 4,
    [`${component}=batching_log_processor/1`]: 0,
  });
  assert.deepEqual(values(metrics.get('otel.sdk.processor.log.queue.capacity'), component), {
    [`${component}=batching_log_processor/0`]: 100,
    [`${component}=batching_log_processor/1`]: 300,
  });
  const processed = metrics.get('otel.sdk.processor.log.processed');
  assert.deepEqual(values(processed, component, 'error.type'), {
    [`${component}=batching_log_processor/0`]: 10,
    [`${component}=batching_log_processor/0,error.type=queue_full`]: 4,
    [`${component}=batching_log_processor/0,error.type=already_shutdown`]: 2,
    [`${component}=batching_log_processor/0,error.type=spool_damaged`]: 0,
    [`${component}=batching_log_processor/1`]: 0,
    [`${component}=batching_log_processor/1,error.type=queue_full`]: 0,
    [`${component}=batching_log_processor/1,error.type=already_shutdown`]: 0,
    [`${component}=batching_log_processor/1,error.type=spool_damaged`]: 0,
  });
  assert.equal(metrics.get('otel.sdk.processor.span.processed'), undefined, 'no spans, no metric');

  const rss = values(metrics.get('process.memory.usage'))[''] ?? 0;
  assert.ok(rss > 20e6 && rss < 2e9, `${rss} bytes`);
  const cpu = values(metrics.get('process.cpu.time'), 'cpu.mode');
  const { user, system } = process.cpuUsage();
  assert.ok((cpu['cpu.mode=user'] ?? 0) > 0.05 && (cpu['cpu.mode=user'] ?? 0) <= user / 1e6);
  assert.ok((cpu['cpu.mode=system'] ?? -1) >= 0 && (cpu['cpu.mode=system'] ?? 0) <= system / 1e6);

  const resource = attributes(receiver.resourceMetrics.at(-1)?.resource.attributes ?? []);
  assert.equal(resource['service.name'], 'agent-1');
  assert.equal(resource['team'], 'blue');

  // The SDK tells of a collection and of an export with the next one.
  await sink.flush();
  const second = latest(receiver);
  for (const name of [
    'otel.sdk.metric_reader.collection.duration',
    'otel.sdk.exporter.metric_data_point.exported',
    'otel.sdk.exporter.operation.duration',
  ]) {
    const metric = second.get(name);
    assert.ok(metric, name);
    assert.equal(metric.unit, SDK_METRICS[name]?.unit);
  }
});

test('the real agent: what was made is what was exported, seen by the record queue and by the exporter', {
  timeout: 120_000,
}, async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  const agent = spawn(process.execPath, [MAIN, 'replay', CAPTURE, '--exporter', 'otlp'], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRIC_EXPORT_INTERVAL: '100',
      OTEL_SERVICE_NAME: 'agent-2',
    },
  });
  assert.equal(await ended(agent), 0);
  const made = receiver.records.length;
  assert.ok(made > 0);
  const metrics = latest(receiver);
  assert.deepEqual(values(metrics.get('otel.sdk.log.created')), { '': made });
  const type = 'otel.component.type';
  const processed = metrics.get('otel.sdk.processor.log.processed');
  const lost = (error: string) => `${type}=batching_log_processor,error.type=${error}`;
  assert.deepEqual(values(processed, type, 'error.type'), {
    [`${type}=batching_log_processor`]: made,
    [lost('queue_full')]: 0,
    [lost('already_shutdown')]: 0,
    [lost('spool_damaged')]: 0,
  });
  const exported = metrics.get('otel.sdk.exporter.log.exported');
  assert.deepEqual(values(exported, type, 'error.type'), { [`${type}=otlp_grpc_log_exporter`]: made });
  const port = attributes(exported?.sum?.dataPoints[0]?.attributes ?? [])['server.port'];
  assert.equal(port, `int:${new URL(receiver.url).port}`);
  const inflight = values(metrics.get('otel.sdk.exporter.log.inflight'), type);
  assert.deepEqual(inflight, { [`${type}=otlp_grpc_log_exporter`]: 0 });
});

for (const protocol of ['grpc', 'http/protobuf'] as const)
  test(`${protocol}: what a partial success rejects is exported with an error, the rest without`, {
    timeout: 120_000,
  }, async (t) => {
    const receiver = await (protocol === 'grpc' ? Receiver.grpc() : Receiver.http());
    t.after(() => receiver.stop());
    receiver.reply = (signal) => (signal === 'logs' ? { rejected: 3, message: 'three too many' } : {});
    const agent = spawn(process.execPath, [MAIN, 'replay', CAPTURE, '--exporter', 'otlp'], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'ignore'],
      env: {
        ...process.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_METRIC_EXPORT_INTERVAL: '100',
      },
    });
    await ended(agent);
    const requests = receiver.requests.filter(({ signal }) => signal === 'logs').length;
    const metrics = latest(receiver);
    const exported = values(metrics.get('otel.sdk.exporter.log.exported'), 'error.type');
    assert.deepEqual(exported, {
      '': receiver.records.length - 3 * requests,
      'error.type=rejected': 3 * requests,
    });
    assert.deepEqual(values(metrics.get('otel.sdk.exporter.log.inflight')), { '': 0 });
  });
