/** OTLP/JSON lines: decoded with the published definitions, shared by records and metrics, on a device that is full. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import protobuf from 'protobufjs';
import { Ledger } from '../../src/ledger.ts';
import { UserError } from '../../src/lib/errors.ts';
import type { DeliverySink } from '../../src/sinks/delivery/delivery.ts';
import { MemoryStore } from '../../src/sinks/delivery/request-store.ts';
import { MetricsSink } from '../../src/sinks/metrics/sink.ts';
import { createOtlpFileMetricExporter, createOtlpFileSink } from '../../src/sinks/otlp/file-sink.ts';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import type { Notices } from '../../src/sinks/sink.ts';
import { identity, logEvent, TIME } from '../unit/sink-events.ts';
import { attributes, type ResourceLogs } from './receiver.ts';

const SCOPE = { name: 'whodns', version: '0.1.0' };

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-otlp-file-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

const root = new protobuf.Root();
root.resolvePath = (_, target) => new URL(`proto/${target}`, import.meta.url).pathname;
root.loadSync([
  'opentelemetry/proto/collector/logs/v1/logs_service.proto',
  'opentelemetry/proto/collector/metrics/v1/metrics_service.proto',
]);

/** The line as the published message: an unknown field or a value of the wrong type is an error. */
function decode(line: string, type: string): Record<string, unknown> {
  const message = root.lookupType(`opentelemetry.proto.collector.${type}`);
  const json = JSON.parse(line) as object;
  assertKnown(json, message);
  const binary = message.encode(message.fromObject(json)).finish();
  return message.toObject(message.decode(binary), {
    longs: String,
    enums: String,
    bytes: String,
    arrays: true,
  });
}

function assertKnown(json: unknown, type: protobuf.Type): void {
  for (const [key, value] of Object.entries(json as object)) {
    const field = type.fields[key];
    assert.ok(field, `${type.name} has no field ${key}`);
    field.resolve();
    for (const item of field.repeated ? (value as unknown[]) : [value]) {
      if (field.resolvedType instanceof protobuf.Type) assertKnown(item, field.resolvedType);
      else if (/64$/.test(field.type)) assert.equal(typeof item, 'string', `${type.name}.${key} is a string`);
      else if (field.resolvedType instanceof protobuf.Enum) assert.equal(typeof item, 'number');
    }
  }
}

function fileSink(file: LinesFile, ledger: Ledger, notices: Notices, batchSize = 2048): DeliverySink {
  const store = new MemoryStore({ maxBytes: 64_000_000, maxRecords: 100_000 });
  return createOtlpFileSink({
    file,
    scope: SCOPE,
    ledger,
    notices,
    store,
    limits: { batchSize, delayMs: 1000 },
  });
}

const noNotices = { warn: () => {}, info: () => {} };

test('a line is an ExportLogsServiceRequest; the file is appended to', async (t) => {
  const path = join(temporary(t), 'out.jsonl');
  writeFileSync(path, '{"resourceLogs":[]}\n');
  const ledger = new Ledger();
  const sink = fileSink(LinesFile.open(path), ledger, noNotices);
  sink.accept(logEvent({ duration: 2_000_000_000n }));
  sink.accept(
    logEvent({ process: identity({ resource: { 'process.pid': 1, 'process.command': 'a\ud800b' } }) }),
  );
  await sink.close(1000);
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.equal(lines.length, 3);
  const { resourceLogs } = decode(lines[1] ?? '', 'logs.v1.ExportLogsServiceRequest') as {
    resourceLogs: ResourceLogs[];
  };
  assert.equal(resourceLogs.length, 2);
  const [scopeLogs] = resourceLogs[0]?.scopeLogs ?? [];
  assert.equal(scopeLogs?.scope.name, 'whodns');
  const [record] = scopeLogs?.logRecords ?? [];
  assert.equal(record?.timeUnixNano, String(TIME));
  assert.equal(record?.eventName, 'whodns.query');
  const decoded = attributes(record?.attributes ?? []);
  assert.equal(decoded['dns.lookup.duration'], 2, 'a whole number of seconds is a double all the same');
  assert.equal(decoded['dns.id'], 'int:4242');
  assert.deepEqual(decoded['dns.answers'], ['192.0.2.1']);
  const [stage] = ledger.snapshot();
  assert.deepEqual([stage?.name, stage?.out, stage?.missing], ['sink:otlp-file', 2, 0]);
});

test('records and metrics share a file, line by line', async (t) => {
  const path = join(temporary(t), 'out.jsonl');
  const file = LinesFile.open(path);
  const ledger = new Ledger();
  const logs = fileSink(file, ledger, noNotices, 3);
  const source = {
    stats: () => ({
      hook: 'pcap' as const,
      counters: { requests: 1 },
      drops: {},
      missedRuns: 0,
      batches: 0,
      batchBytes: 0,
      ring: undefined,
    }),
    processes: () => [],
    forget: () => {},
  };
  const metrics = new MetricsSink({
    exporter: createOtlpFileMetricExporter(file),
    ledger,
    notices: noNotices,
    source,
    scope: SCOPE,
    hostAttributes: {},
    intervalMs: 60_000,
    timeoutMs: 1000,
  });
  for (let i = 0; i < 20; i++) {
    logs.accept(logEvent());
    metrics.accept(logEvent());
    if (i % 5 === 0) await metrics.flush();
  }
  await Promise.all([logs.close(1000), metrics.close(1000)]);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const isMetrics = (line: string): boolean => line.startsWith('{"resourceMetrics"');
  for (const line of lines) {
    decode(
      line,
      isMetrics(line) ? 'metrics.v1.ExportMetricsServiceRequest' : 'logs.v1.ExportLogsServiceRequest',
    );
  }
  assert.equal(lines.filter(isMetrics).length, 5);
  assert.equal(lines.filter((line) => !isMetrics(line)).length, 7);
});

test('a path that cannot be written is said at once', (t) => {
  const directory = temporary(t);
  mkdirSync(join(directory, 'sub'));
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  for (const path of [join(directory, 'missing', 'out'), join(directory, 'sub'), join(directory, 'fifo')]) {
    assert.throws(
      () => LinesFile.open(path),
      (error) => error instanceof UserError && error.message.startsWith(`cannot write to ${path}: `),
    );
  }
});

test('a full device: one warning, every record counted, the agent goes on', async () => {
  const ledger = new Ledger();
  const lines: string[] = [];
  const notices = { warn: (m: string) => lines.push(m), info: (m: string) => lines.push(m) };
  const file = LinesFile.open('/dev/full');
  const sink = fileSink(file, ledger, notices, 5);
  for (let i = 0; i < 12; i++) sink.accept(logEvent());
  await sink.flush();
  const [stage] = ledger.snapshot();
  assert.deepEqual(stage?.dropped, { failed: 12 });
  assert.equal(stage.missing, 0);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^otlp-file: 5 records lost: \/dev\/full: ENOSPC/);
  await sink.close(100);
  assert.equal(lines[1], 'otlp-file: 7 records lost until the end');
});
