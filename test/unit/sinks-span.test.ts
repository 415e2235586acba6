/** Lookups as spans, and the span that a record belongs to. Against the real collector: test/collector/spans.test.ts. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import protobuf from 'protobufjs';
import type { LogEvent, TraceContext } from '../../src/model.ts';
import { ProtobufWriter } from '../../src/otlp/encode.ts';
import { spanName, writeSpan } from '../../src/otlp/encode-span.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import { LogsRequestEncoder } from '../../src/sinks/otlp/encode-request.ts';
import { JsonLinesEncoder } from '../../src/sinks/otlp/json.ts';
import { lookup, recordOf, type Spec, TIME } from './sink-events.ts';

const TIMEOUT_NS = 5_000_000_000n;
const root = new protobuf.Root();
root.resolvePath = (_, target) => join(import.meta.dirname, '../e2e/proto', target);
root.loadSync('opentelemetry/proto/collector/logs/v1/logs_service.proto', { keepCase: true });
const LogsRequest = root.lookupType('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest');
// The fields of Span in opentelemetry-proto 1.x that are written, with their numbers.
protobuf.parse(
  `syntax = "proto3"; package test;
   message Span {
     bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
     fixed64 start = 7; fixed64 end = 8; repeated opentelemetry.proto.common.v1.KeyValue attributes = 9;
     uint32 dropped_attributes_count = 10; Status status = 15; fixed32 flags = 16;
   }
   message Status { string message = 2; int32 code = 3; }`,
  root,
  { keepCase: true },
);
const Span = root.lookupType('test.Span');

function spanOf(event: LogEvent): Record<string, unknown> {
  const writer = new ProtobufWriter(16);
  writeSpan(writer, event, TIMEOUT_NS);
  const decoded = Span.decode(writer.bytes.subarray(0, writer.position));
  const { attributes, ...rest } = Span.toObject(decoded, { longs: String, bytes: String });
  return { ...rest, attributes: (attributes as unknown[]).length };
}

const event = (spec: Spec = {}, traces = true): LogEvent =>
  recordOf(lookup(spec), { nxdomainError: true, traces });
const PUBLISHED: TraceContext = {
  traceId: new Uint8Array(16).fill(0xab),
  spanId: new Uint8Array(8).fill(0xcd),
  flags: 1,
};

describe('a lookup as a span', () => {
  it('is a client span from request to answer', () => {
    const { attributes, ...span } = spanOf(event());
    const { trace_id: traceId, span_id: spanId, ...rest } = span;
    assert.equal(Buffer.from(String(traceId), 'base64').length, 16);
    assert.equal(Buffer.from(String(spanId), 'base64').length, 8);
    assert.deepEqual(rest, {
      name: 'DNS A',
      kind: 3,
      start: String(TIME),
      end: String(TIME + 12_300_000n),
      flags: 0x101,
    });
    assert.equal(attributes, Object.keys(event().attributes).length);
  });

  it('ends with the time-out and is an error then', () => {
    const span = spanOf(event({ outcome: 'timeout' }));
    assert.equal(span['end'], String(TIME + TIMEOUT_NS));
    assert.deepEqual(span['status'], { code: 2, message: 'timeout' });
  });

  it('is an error when the answer is one', () =>
    assert.deepEqual(spanOf(event({ rcode: 2, answers: [] }))['status'], { code: 2, message: 'SERVFAIL' }));

  it('is a child of the span that the thread published', () => {
    const span = spanOf(event({ raw: { trace: PUBLISHED } }));
    assert.equal(span['trace_id'], Buffer.from(PUBLISHED.traceId).toString('base64'));
    assert.equal(span['parent_span_id'], Buffer.from(PUBLISHED.spanId).toString('base64'));
    assert.notEqual(span['span_id'], span['parent_span_id']);
    assert.equal(span['flags'], 0x301);
  });

  for (const [type, name] of [
    [28, 'DNS AAAA'],
    [12, 'DNS PTR'],
    [65, 'DNS HTTPS'],
    [65_280, 'DNS'],
    [0xfff0, 'DNS'],
  ] as const)
    it(`type ${type} is called ${name}`, () =>
      assert.equal(spanName(event({ type, name: 'secret.example.com' })), name));

  it('without a question is called DNS', () =>
    assert.equal(spanName(event({ request: { questions: [] } })), 'DNS'));

  it('has few names whatever is asked', () => {
    const names = new Set<string>();
    for (let type = 0; type < 65_536; type++) names.add(spanName(event({ type, name: `n${type}.example` })));
    assert.ok(names.size < 120, `${names.size} names`);
  });
});

describe('the span a record belongs to', () => {
  it('is its own with traces, the published one without, none without either', () => {
    assert.equal(event({}, false).trace, undefined);
    assert.deepEqual(event({ raw: { trace: PUBLISHED } }, false).trace, PUBLISHED);
    const own = event({ raw: { trace: PUBLISHED } });
    assert.deepEqual(own.trace?.traceId, PUBLISHED.traceId);
    assert.notDeepEqual(own.trace?.spanId, PUBLISHED.spanId);
  });

  it('is none for a lookup whose end was not seen', () => {
    assert.equal(event({ outcome: 'sent' }).trace, undefined);
    assert.throws(() => spanOf(event({ outcome: 'sent' })), /without a span/);
  });

  it('goes out with it, as protobuf and as JSON, and so does the number of attributes left out', () => {
    const event_ = { ...copyOf(event({ raw: { trace: PUBLISHED } }, false)), droppedAttributes: 7 };
    const encoder = new LogsRequestEncoder({ scope: { name: 'whodns', version: '0' }, maxBytes: 1_000_000 });
    encoder.add(event_);
    const decoded = LogsRequest.decode(encoder.seal()?.bytes ?? new Uint8Array());
    const { resource_logs: groups } = LogsRequest.toObject(decoded, { bytes: Buffer }) as {
      resource_logs: { scope_logs: { log_records: Record<string, unknown>[] }[] }[];
    };
    const record = groups[0]?.scope_logs[0]?.log_records[0];
    const ids = { trace_id: Buffer.from(PUBLISHED.traceId), span_id: Buffer.from(PUBLISHED.spanId) };
    assert.deepEqual(
      { trace_id: record?.['trace_id'], span_id: record?.['span_id'], flags: record?.['flags'] },
      { ...ids, flags: 1 },
    );
    assert.equal(record?.['dropped_attributes_count'], 7);

    const json = new JsonLinesEncoder({ name: 'whodns', version: '0' }, 1_000_000);
    json.add(event_);
    const text = Buffer.from(json.seal()?.bytes ?? []).toString();
    assert.match(text, new RegExp(`"traceId":"${'ab'.repeat(16)}","spanId":"${'cd'.repeat(8)}","flags":1`));
    assert.match(text, /"droppedAttributesCount":7/);
  });

  it('differs from lookup to lookup', () => {
    const ids = new Set(
      Array.from({ length: 5000 }, () => Buffer.from(event().trace?.traceId ?? []).toString('hex')),
    );
    assert.equal(ids.size, 5000);
  });
});
