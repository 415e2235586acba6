/** Answers of servers: understood when they are right, undefined when they are not, never a throw. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { decodeExportResponse, decodeRetryDelay } from '../../src/otlp/decode.ts';
import { retryAfterMs } from '../../src/sinks/otlp/transport-http.ts';

const root = new protobuf.Root();
root.resolvePath = (_, target) => new URL(`../e2e/proto/${target}`, import.meta.url).pathname;
root.loadSync('opentelemetry/proto/collector/logs/v1/logs_service.proto');
const RESPONSE = root.lookupType('opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse');

function response(rejected: number, errorMessage: string): Uint8Array {
  const partialSuccess = { rejectedLogRecords: rejected, errorMessage };
  return RESPONSE.encode(RESPONSE.fromObject({ partialSuccess })).finish();
}

function status(type: string, seconds: number, nanos: number): Uint8Array {
  const { Writer } = protobuf;
  const duration = Writer.create().uint32(8).int64(seconds).uint32(16).int32(nanos).finish();
  const info = Writer.create().uint32(10).bytes(duration).finish();
  const any = Writer.create().uint32(10).string(type).uint32(18).bytes(info).finish();
  const other = Writer.create().uint32(10).string('type.googleapis.com/google.rpc.DebugInfo').finish();
  return Writer.create()
    .uint32(8)
    .int32(14)
    .uint32(18)
    .string('busy')
    .uint32(26)
    .bytes(other)
    .uint32(26)
    .bytes(any)
    .finish();
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

describe('answers of OTLP servers', () => {
  it('an empty one is full success', () => {
    assert.deepEqual(decodeExportResponse(new Uint8Array()), { rejected: 0, message: '' });
  });

  it('partial success', () => {
    fc.assert(
      fc.property(fc.nat(), fc.string({ unit: 'grapheme' }), (rejected, message) => {
        assert.deepEqual(decodeExportResponse(response(rejected, message)), { rejected, message });
      }),
    );
  });

  it('a negative count is none', () => {
    assert.deepEqual(decodeExportResponse(response(-5, 'x')), { rejected: 0, message: 'x' });
  });

  it('unknown fields are passed over', () => {
    const more = protobuf.Writer.create()
      .uint32(16)
      .int32(7)
      .uint32(29)
      .fixed32(1)
      .uint32(33)
      .fixed64(1)
      .finish();
    assert.deepEqual(decodeExportResponse(Buffer.concat([response(2, 'y'), more])), {
      rejected: 2,
      message: 'y',
    });
  });

  it('whatever else comes is told apart, not thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const answer = decodeExportResponse(bytes);
        assert.ok(answer === undefined || answer.rejected >= 0);
        const delay = decodeRetryDelay(bytes);
        assert.ok(delay === undefined || delay >= 0);
      }),
      { numRuns: 2000 },
    );
    assert.equal(decodeExportResponse(Buffer.from('<html>')), undefined);
    assert.equal(decodeExportResponse(response(1, 'cut').subarray(0, 5)), undefined);
  });

  it('RetryInfo in milliseconds', () => {
    assert.equal(decodeRetryDelay(status(RETRY_INFO, 2, 500_000_000)), 2500);
    assert.equal(decodeRetryDelay(status(RETRY_INFO, 0, 0)), 0);
    assert.equal(decodeRetryDelay(status(RETRY_INFO, -3, 0)), 0);
    assert.equal(decodeRetryDelay(status('type.googleapis.com/google.rpc.Help', 2, 0)), undefined);
    assert.equal(decodeRetryDelay(new Uint8Array()), undefined);
  });

  it('Retry-After as seconds or as a date', () => {
    const now = Date.parse('2026-11-21T09:00:00Z');
    assert.equal(retryAfterMs('7', now), 7000);
    assert.equal(retryAfterMs('Sat, 21 Nov 2026 09:00:30 GMT', now), 30_000);
    assert.equal(retryAfterMs('Sat, 21 Nov 2026 08:00:00 GMT', now), 0);
    for (const bad of ['', 'soon', '-1', '1.5', '99999999999', 'Sat, 21 Nov 2026'])
      assert.equal(retryAfterMs(bad, now), undefined, bad);
  });
});
