/** `--traces` into the real collector: one span a lookup, equal to its record, the two naming each other. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MAIN } from '../matrix/program.ts';
import { startCollector } from './collector.ts';
import { plain as flatAttributes, type KeyValue, readLines } from './otlp-json.ts';
import { run } from './program-cache.ts';
import { waitUntil } from './running-program.ts';

const CAPTURES = join(import.meta.dirname, '../golden/pcaps');
const FILE_SINK = join(import.meta.dirname, 'file-sink.yaml');
const CLIENT = 3;
const ERROR = 2;
const TIMEOUT_NS = 5_000_000_000n;

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly flags?: number;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
  readonly status: { readonly code?: number; readonly message?: string };
}
interface Entry<T> {
  readonly resource: object;
  readonly scope: string;
  readonly item: T;
}
interface Record_ {
  readonly traceId: string;
  readonly spanId: string;
  readonly timeUnixNano: string;
  readonly attributes: readonly KeyValue[];
}
interface Group {
  readonly resource: { readonly attributes?: readonly KeyValue[] };
  readonly [scopes: string]: unknown;
}

function entries<T>(sink: string, groups: string, scopes: string, items: string): Entry<T>[] {
  return readLines(sink).flatMap((line) => {
    const all = (JSON.parse(line) as Readonly<Record<string, readonly Group[] | undefined>>)[groups] ?? [];
    return all.flatMap(({ resource, [scopes]: inner }) =>
      (inner as readonly Readonly<Record<string, unknown>>[]).flatMap((scope) =>
        (scope[items] as readonly T[]).map((item) => ({
          resource: flatAttributes(resource.attributes ?? []),
          scope: (scope['scope'] as { name: string }).name,
          item,
        })),
      ),
    );
  });
}

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-spans-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function replayed(
  protocol: string,
  capture: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly spans: readonly Entry<Span>[]; readonly records: readonly Entry<Record_>[] }> {
  const work = mkdtempSync(join(directory, 'run-'));
  const collector = await startCollector(['agent', FILE_SINK], work);
  try {
    const endpoint = protocol === 'grpc' ? `http://${collector.grpcEndpoint}` : collector.httpEndpoint;
    const variables = {
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      ...env,
    };
    await run(
      [
        process.execPath,
        MAIN,
        'replay',
        join(CAPTURES, capture),
        '--exporter',
        'otlp',
        '--traces',
        '--port',
        '53',
        '--port',
        '8053',
      ],
      {
        env: variables,
      },
    );
    const records = () => entries<Record_>(collector.sink, 'resourceLogs', 'scopeLogs', 'logRecords');
    const spans = () => entries<Span>(collector.sink, 'resourceSpans', 'scopeSpans', 'spans');
    await waitUntil(() => records().length > 0 && spans().length >= records().length, 20_000);
    return { spans: spans(), records: records() };
  } finally {
    await collector.stop();
  }
}

for (const [protocol, capture] of [
  ['grpc', 'edns-opts.pcap'],
  ['http/protobuf', 'dns_udp_8053.pcap'],
  ['grpc', 'dns-badvers.pcap'],
] as const) {
  test(`${protocol}, ${capture}: a span for each record, with its ids, times, attributes and resource`, async () => {
    const { spans, records } = await replayed(protocol, capture);
    assert.ok(records.length > 0);
    assert.equal(spans.length, records.length);
    for (const { item: record, resource } of records) {
      const found = spans.filter(({ item }) => item.spanId === record.spanId);
      assert.equal(found.length, 1);
      const { item: span, resource: own, scope } = found[0] as Entry<Span>;
      assert.match(span.traceId, /^[0-9a-f]{32}$/);
      assert.match(span.spanId, /^[0-9a-f]{16}$/);
      assert.equal(span.traceId, record.traceId);
      assert.equal(span.parentSpanId ?? '', '');
      assert.equal(span.kind, CLIENT);
      assert.equal(scope, 'whodns');
      assert.deepEqual(own, resource);
      const attributes = flatAttributes(record.attributes);
      assert.deepEqual(flatAttributes(span.attributes), attributes);
      assert.equal(span.name, `DNS ${attributes['dns.question.type']}`);
      assert.equal(span.startTimeUnixNano, record.timeUnixNano);
      const duration = attributes['dns.lookup.duration'];
      const took = BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano);
      const expected = duration === undefined ? TIMEOUT_NS : BigInt(Math.round(Number(duration) * 1e9));
      assert.equal(took, expected);
      const error = attributes['error.type'];
      assert.deepEqual(span.status, error === undefined ? {} : { code: ERROR, message: error });
    }
    const ids = new Set(spans.map(({ item }) => item.traceId));
    assert.equal(ids.size, spans.length, 'each has its own trace');
  });
}

test('the limits of spans are theirs, not the records', async () => {
  const { spans, records } = await replayed('grpc', 'edns-opts.pcap', {
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '3',
    OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: '4',
  });
  for (const { item } of spans) {
    assert.equal(item.attributes.length, 3);
    assert.ok((item.droppedAttributesCount ?? 0) > 5);
  }
  assert.ok(
    spans.some(({ item }) => String(flatAttributes(item.attributes)['dns.question.name']).length > 4),
  );
  for (const { item } of records)
    assert.ok(String(flatAttributes(item.attributes)['dns.question.name']).length <= 4);
});
