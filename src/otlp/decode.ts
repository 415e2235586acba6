/**
 * What a server answers: the partial success of an export (collector/<signal>/v1) and the delay it asks for
 * (google.rpc.Status with google.rpc.RetryInfo). A server is not trusted: bytes that are no such message give undefined.
 */

export interface PartialSuccess {
  /** Records, data points or spans that the server took and threw away; never negative. */
  readonly rejected: number;
  readonly message: string;
}

/** A field of a message: a number (varint), bytes (length-delimited), or undefined (fixed size, of no interest here). */
interface Field {
  readonly number: number;
  readonly value: bigint | Uint8Array | undefined;
}

const MAX_FIELDS = 1000;
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/**
 * ExportLogsServiceResponse, ExportMetricsServiceResponse and ExportTraceServiceResponse are alike: field 1 is the partial
 * success, with the count in field 1 and the text in field 2.
 * @returns undefined when the bytes are no such message
 */
export function decodeExportResponse(bytes: Uint8Array): PartialSuccess | undefined {
  const partial = embedded(fields(bytes), 1);
  if (partial === undefined) return fields(bytes) === undefined ? undefined : { rejected: 0, message: '' };
  const inner = fields(partial);
  if (inner === undefined) return undefined;
  const rejected = BigInt.asIntN(64, numeric(inner, 1));
  const message = embedded(inner, 2);
  return {
    rejected: Number(rejected < 0n ? 0n : rejected),
    message: message === undefined ? '' : Buffer.from(message).toString('utf8'),
  };
}

/** ms of the RetryInfo in a google.rpc.Status (`grpc-status-details-bin`); undefined when there is none. */
export function decodeRetryDelay(bytes: Uint8Array): number | undefined {
  for (const { number, value } of fields(bytes) ?? []) {
    if (number !== 3 || !(value instanceof Uint8Array)) continue;
    const any = fields(value);
    const type = embedded(any, 1);
    if (type === undefined || Buffer.from(type).toString('latin1') !== RETRY_INFO) continue;
    const duration = fields(embedded(fields(embedded(any, 2) ?? EMPTY), 1) ?? EMPTY) ?? [];
    const seconds = BigInt.asIntN(64, numeric(duration, 1));
    const nanos = BigInt.asIntN(32, numeric(duration, 2));
    return Math.max(Number(seconds) * 1000 + Number(nanos) / 1e6, 0);
  }
  return undefined;
}

const EMPTY = new Uint8Array(0);

/** The last field of that number, as the last one wins. */
function embedded(list: readonly Field[] | undefined, number: number): Uint8Array | undefined {
  const found = list?.findLast((field) => field.number === number)?.value;
  return found instanceof Uint8Array ? found : undefined;
}

function numeric(list: readonly Field[], number: number): bigint {
  const found = list.findLast((field) => field.number === number)?.value;
  return typeof found === 'bigint' ? found : 0n;
}

/** All fields of a message; undefined when it is malformed. */
function fields(bytes: Uint8Array): readonly Field[] | undefined {
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined || found.length >= MAX_FIELDS) return undefined;
    const number = Number(tag >> 3n);
    let value: Field['value'];
    switch (tag & 7n) {
      case 0n:
        value = varint();
        if (value === undefined) return undefined;
        break;
      case 1n:
        at += 8;
        break;
      case 2n: {
        const length = varint();
        if (length === undefined || length > BigInt(bytes.length - at)) return undefined;
        value = bytes.subarray(at, at + Number(length));
        at += Number(length);
        break;
      }
      case 5n:
        at += 4;
        break;
      default:
        return undefined;
    }
    if (number === 0 || at > bytes.length) return undefined;
    found.push({ number, value });
  }
  return found;
}
