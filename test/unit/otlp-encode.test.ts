/** The encoder against the published definitions and against the SDK's serializer: both decoded must be the same. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import type { Attributes, AttributeValue, LogEvent, ProcessIdentity } from '../../src/model.ts';
import type { SealedRequest } from '../../src/sinks/delivery/request-store.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import { LogsRequestEncoder } from '../../src/sinks/otlp/encode-request.ts';
import { identity, logEvent, TIME } from './sink-events.ts';

const SCOPE = { name: 'whodns', version: '0.1.0' };
const root = new protobuf.Root();
root.resolvePath = (_, target) => new URL(`../e2e/proto/${target}`, import.meta.url).pathname;
root.loadSync('opentelemetry/proto/collector/logs/v1/logs_service.proto');
const REQUEST = root.lookupType('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest');

interface Decoded {
  readonly resourceLogs: {
    readonly resource: { attributes: unknown[]; droppedAttributesCount?: number };
    readonly scopeLogs: { readonly scope: unknown; readonly logRecords: { attributes: unknown[] }[] }[];
  }[];
}

function decode(bytes: Uint8Array): Decoded {
  const options = { longs: String, enums: String, bytes: String, arrays: true };
  return REQUEST.toObject(REQUEST.decode(bytes), options) as Decoded;
}

function encodeAll(events: readonly LogEvent[], maxBytes = 3_500_000): SealedRequest[] {
  const encoder = new LogsRequestEncoder({ scope: SCOPE, maxBytes });
  const sealed = events.map((event) => encoder.add(event));
  return [...sealed, encoder.seal()].filter((request) => request !== undefined);
}

/** The same by the SDK: zero counters and empty fields it writes out loud are the defaults of proto3. */
function bySdk(events: readonly LogEvent[]): Decoded {
  const resources = new Map(
    events.map(({ process }) => [
      process,
      resourceFromAttributes(process.resource as Record<string, string>),
    ]),
  );
  const records = events.map(
    (event): ReadableLogRecord => ({
      hrTime: [Number(event.time / 1_000_000_000n), Number(event.time % 1_000_000_000n)],
      hrTimeObserved: [
        Number(event.observedTime / 1_000_000_000n),
        Number(event.observedTime % 1_000_000_000n),
      ],
      severityNumber: event.severity,
      body: event.body,
      eventName: event.eventName,
      // biome-ignore lint/style/noNonNullAssertion: made from the same list
      resource: resources.get(event.process)!,
      instrumentationScope: SCOPE,
      attributes: event.attributes as ReadableLogRecord['attributes'],
      droppedAttributesCount: 0,
    }),
  );
  const bytes = ProtobufLogsSerializer.serializeRequest(records);
  assert.ok(bytes);
  return decode(bytes);
}

function withoutDefaults(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, each: unknown) =>
      key === 'droppedAttributesCount' && each === 0 ? undefined : each,
    ),
  );
}

const text = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)), maxLength: 100 }),
  fc.nat(400).map((length) => 'a'.repeat(length)),
  fc.nat(20_000).map((length) => '日'.repeat(length)),
);
/** Below 2^53: what is above is no exact number in this program. */
const number = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value)),
);
const value: fc.Arbitrary<AttributeValue> = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.array(text, { maxLength: 5 }),
  fc.array(number, { maxLength: 5 }),
  fc.array(fc.boolean(), { maxLength: 5 }),
);
const key = fc.oneof(
  fc.constantFrom('dns.question.name', 'dns.id', 'server.port', 'whodns.flags', 'whodns.edns.do'),
  fc.string({ minLength: 1, maxLength: 200 }).filter((name) => name !== '__proto__'),
);
const attributes: fc.Arbitrary<Attributes> = fc.dictionary(key, value, { noNullPrototype: true });
const time = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });

function events(processes: readonly ProcessIdentity[]): fc.Arbitrary<LogEvent[]> {
  const event = fc.record({
    eventName: fc.constantFrom('whodns.query', 'whodns.finding'),
    time,
    observedTime: time,
    severity: fc.integer({ min: 1, max: 24 }),
    body: text,
    attributes,
    process: fc.constantFrom(...processes),
    lookup: fc.constant(undefined),
  });
  return fc.array(event, { minLength: 1, maxLength: 12 });
}

describe('OTLP encoder', () => {
  it('gives what the SDK gives, whatever the values are', () => {
    const some = fc
      .array(attributes, { minLength: 1, maxLength: 4 })
      .chain((list) => events(list.map((resource, pid) => identity({ pid, resource }))));
    fc.assert(
      fc.property(some, (list) => {
        const [request, ...more] = encodeAll(list, Number.MAX_SAFE_INTEGER);
        assert.ok(request);
        assert.equal(more.length, 0);
        assert.equal(request.records, list.length);
        const decoded = decode(request.bytes);
        assert.equal(request.resourceCount, decoded.resourceLogs.length);
        assert.deepEqual(withoutDefaults(decoded), withoutDefaults(bySdk(shortened(list))));
      }),
      { numRuns: 400 },
    );
  });

  it('gives what the SDK gives for real lookups, but keeps a whole double a double', () => {
    const other = identity({ pid: 1 });
    const list = [
      logEvent(),
      logEvent({ duration: 1_500_000n, process: other }),
      logEvent({ name: 'é.example', rcode: 3 }),
    ];
    const [request] = encodeAll(list);
    assert.ok(request);
    assert.deepEqual(withoutDefaults(decode(request.bytes)), withoutDefaults(bySdk(list)));
    const [whole] = encodeAll([logEvent({ duration: 2_000_000_000n })]);
    assert.ok(whole);
    const [record] = decode(whole.bytes).resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
    assert.deepEqual(
      record?.attributes.find((each) => (each as { key: string }).key === 'dns.lookup.duration'),
      { key: 'dns.lookup.duration', value: { doubleValue: 2 } },
    );
  });

  it('seals before a request grows too large; every record is in one, in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3000), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 500, max: 20_000 }),
        (sizes, maxBytes) => {
          const processes = [identity(), identity({ pid: 2 }), identity({ pid: 3 })];
          const list = sizes.map(
            (size, index): LogEvent => ({
              ...copyOf(logEvent()),
              attributes: { index, padding: 'x'.repeat(size) },
              process: processes[(index * 7) % 3] ?? identity(),
            }),
          );
          const requests = encodeAll(list, maxBytes);
          const seen: number[] = [];
          for (const { bytes, records } of requests) {
            assert.ok(bytes.length <= maxBytes || records === 1, `${bytes.length} ${records}`);
            const indexes = decode(bytes).resourceLogs.flatMap(({ scopeLogs }) =>
              scopeLogs.flatMap(({ logRecords }) =>
                logRecords.map(({ attributes: [first] }) =>
                  Number((first as { value: { intValue: string } }).value.intValue),
                ),
              ),
            );
            assert.equal(indexes.length, records);
            seen.push(...indexes.sort((a, b) => a - b));
          }
          assert.deepEqual(
            seen,
            sizes.map((_, index) => index),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it('goes on after a record that cannot be encoded', () => {
    const encoder = new LogsRequestEncoder({ scope: SCOPE, maxBytes: 1_000_000 });
    encoder.add(logEvent());
    const broken = { ...copyOf(logEvent()), attributes: { a: 'x', b: null as unknown as string } };
    assert.throws(() => encoder.add(broken));
    assert.equal(encoder.records, 1);
    encoder.add(logEvent());
    const request = encoder.seal();
    assert.ok(request);
    const [group] = decode(request.bytes).resourceLogs;
    assert.equal(group?.scopeLogs[0]?.logRecords.length, 2);
    assert.equal(encoder.seal(), undefined);
  });

  it('uses the memory of delivered requests again, and of no others', () => {
    const encoder = new LogsRequestEncoder({ scope: SCOPE, maxBytes: 1_000_000 });
    const step = fc.record({ records: fc.integer({ min: 1, max: 30 }), delivered: fc.boolean() });
    let reused = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const held: { request: SealedRequest; copy: Buffer }[] = [];
        const memory = new Set<ArrayBufferLike>();
        for (const { records, delivered } of steps) {
          for (let i = 0; i < records; i++) encoder.add(logEvent({ name: `host${i}.example.com` }));
          const request = encoder.seal();
          assert.ok(request);
          assert.ok(held.every((other) => other.request.bytes.buffer !== request.bytes.buffer));
          if (memory.has(request.bytes.buffer)) reused++;
          memory.add(request.bytes.buffer);
          const copy = Buffer.from(request.bytes);
          if (delivered) encoder.release(request);
          else held.push({ request, copy });
        }
        for (const { request, copy } of held) assert.ok(copy.equals(request.bytes));
        // What another has made, as a spool does, is not taken.
        encoder.release({ bytes: Buffer.from('of others'), records: 1, resourceCount: 1 });
        const records = held.flatMap(({ request }) => decode(request.bytes).resourceLogs);
        assert.equal(records.length, held.length);
      }),
      { numRuns: 100 },
    );
    assert.ok(reused > 20, `${reused}`);
  });

  it('bounds a resource and says how many attributes were left out', () => {
    const resource = Object.fromEntries(
      Array.from({ length: 6 }, (_, i) => [`list.${i}`, Array<string>(1000).fill('日'.repeat(5000))]),
    );
    const [request] = encodeAll([{ ...copyOf(logEvent()), process: identity({ resource }), time: TIME }]);
    assert.ok(request && request.bytes.length < 4 * 1024 * 1024);
    const [group] = decode(request.bytes).resourceLogs;
    assert.ok(group);
    const { attributes: kept, droppedAttributesCount } = group.resource;
    assert.equal(kept.length + (droppedAttributesCount ?? 0), 6);
    assert.ok((droppedAttributesCount ?? 0) > 0);
  });
});

/** Resource values as the encoder bounds them. */
function shortened(list: readonly LogEvent[]): LogEvent[] {
  const cut = (each: string | number | boolean) =>
    typeof each === 'string' && each.length > 4096 ? `${each.slice(0, 4095)}…` : each;
  const known = new Map<ProcessIdentity, ProcessIdentity>();
  return list.map((event) => {
    const resource = Object.fromEntries(
      Object.entries(event.process.resource).map(([name, each]) => [
        name,
        (typeof each === 'object' ? each.map(cut) : cut(each)) as AttributeValue,
      ]),
    );
    const process = known.get(event.process) ?? { ...event.process, resource };
    known.set(event.process, process);
    return { ...copyOf(event), process };
  });
}
