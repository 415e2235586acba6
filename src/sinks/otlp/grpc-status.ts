/** Statuses of gRPC, and what a call that ended without one is taken for (grpc/doc: statuscodes.md, PROTOCOL-HTTP2.md). */
import { constants, type IncomingHttpHeaders } from 'node:http2';
import { decodeRetryDelay } from '../../otlp/decode.ts';

/** In the order of their numbers. */
const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type StatusName = (typeof NAMES)[number];

/** How a call ended. */
export interface GrpcStatus {
  readonly name: StatusName;
  readonly details: string;
  /** The server never said so: the connection or the stream ended before it answered. */
  readonly isTransport: boolean;
  /** ms that the server wants to be left alone (google.rpc.RetryInfo). */
  readonly retryMs: number | undefined;
}

/** OTLP specification, "OTLP/gRPC Response", "Failures". RESOURCE_EXHAUSTED only together with RetryInfo. */
const RETRYABLE: ReadonlySet<StatusName> = new Set([
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/** "HTTP2 Transport Mapping", "Errors"; what is not here is INTERNAL. */
const OF_RESET: ReadonlyMap<number, StatusName> = new Map([
  [constants.NGHTTP2_REFUSED_STREAM, 'UNAVAILABLE'],
  [constants.NGHTTP2_CANCEL, 'CANCELLED'],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'RESOURCE_EXHAUSTED'],
  [constants.NGHTTP2_INADEQUATE_SECURITY, 'PERMISSION_DENIED'],
]);

/** grpc/doc/http-grpc-status-mapping.md; what is not here is UNKNOWN. */
const OF_HTTP: ReadonlyMap<number, StatusName> = new Map([
  [400, 'INTERNAL'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'UNIMPLEMENTED'],
  [429, 'UNAVAILABLE'],
  [502, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
  [504, 'UNAVAILABLE'],
]);

const MAX_SHOWN = 500;

/**
 * Whether the request may be sent again. Where the transport ended the call (RST_STREAM, or GOAWAY with the request under way, as a
 * proxy or a server under load sends them), no collector has judged the request.
 */
export function isRetryable({ name, isTransport, retryMs }: GrpcStatus): boolean {
  if (isTransport) return name !== 'PERMISSION_DENIED';
  return RETRYABLE.has(name) || (name === 'RESOURCE_EXHAUSTED' && retryMs !== undefined);
}

/** What the transport says of a call. */
export function transportStatus(name: StatusName, details: string): GrpcStatus {
  return { name, details, isTransport: true, retryMs: undefined };
}

/** Of a stream that ended with an error code of HTTP/2 (RFC 9113 section 7). */
export function resetStatus(code: number): GrpcStatus {
  return transportStatus(OF_RESET.get(code) ?? 'INTERNAL', `stream closed with HTTP/2 error ${code}`);
}

/** Of an answer without a status: from a server or proxy that knows no gRPC. */
export function httpStatus(code: number): GrpcStatus {
  const name = OF_HTTP.get(code) ?? 'UNKNOWN';
  return {
    name,
    details: `HTTP status ${code} without a gRPC status`,
    isTransport: false,
    retryMs: undefined,
  };
}

/** The status in trailers, or in headers that are all there is; undefined: there is none. */
export function statusOf(headers: IncomingHttpHeaders): GrpcStatus | undefined {
  const code = single(headers['grpc-status']);
  if (code === undefined) return undefined;
  const details = single(headers['grpc-status-details-bin']);
  return {
    name: (/^\d{1,2}$/.test(code) ? NAMES[Number(code)] : undefined) ?? 'UNKNOWN',
    details: percentDecoded(single(headers['grpc-message']) ?? '').slice(0, MAX_SHOWN),
    isTransport: false,
    retryMs: details === undefined ? undefined : decodeRetryDelay(Buffer.from(details, 'base64')),
  };
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/** `grpc-message` is percent-encoded UTF-8; what is not stays as it is. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
