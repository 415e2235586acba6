/** Pieces of DNS traffic made for tests. */
import { Stage } from '../../src/ledger.ts';
import type { RawMessage } from '../../src/model.ts';
import type { StreamMessage } from '../../src/streams/message.ts';
import { Streams } from '../../src/streams/streams.ts';

export function piece(payload: Uint8Array, fields: Partial<RawMessage> = {}): RawMessage {
  return {
    kind: 'message',
    time: 1_000_000_000_000n,
    hook: 'fentry',
    direction: 'request',
    transport: 'tcp',
    family: 4,
    networkNamespace: 1,
    socket: 9n,
    local: { address: '10.0.0.1', port: 40_000 },
    remote: { address: '10.0.0.2', port: 53 },
    localAny: false,
    dialed: undefined,
    owner: undefined,
    sequence: 0,
    streamStart: false,
    streamEnd: false,
    more: false,
    unreadable: false,
    length: payload.length,
    payload,
    ...fields,
  };
}

/** A message that looks like a request of `size` bytes, with `id` in its header and its size all over it. */
export function dnsBytes(id: number, size: number): Buffer {
  const bytes = Buffer.alloc(size, id & 0xff);
  bytes.writeUInt16BE(id, 0);
  bytes.set([1, 0, 0, 1, 0, 0, 0, 0, 0, 0], 2);
  return bytes;
}

/** With the length prefix of TCP. */
export function framed(...messages: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => [Buffer.of(message.length >> 8, message.length & 0xff), message]),
  );
}

export interface Received {
  readonly text: string;
  readonly length: number;
  readonly raw: StreamMessage['raw'];
}

/** Streams with a ledger, and copies of what they gave. */
export class Bench {
  readonly stage = new Stage('streams');
  readonly streams: Streams;
  readonly received: Received[] = [];
  readonly emit = ({ raw, payload, length }: StreamMessage): void => {
    this.received.push({ text: Buffer.from(payload).toString('hex'), length, raw });
  };

  constructor(limits: ConstructorParameters<typeof Streams>[1] = {}, maxPayload?: number) {
    this.streams = new Streams(this.stage, limits, undefined, undefined, maxPayload);
  }

  give(...pieces: readonly RawMessage[]): this {
    for (const one of pieces) this.streams.accept(one, this.emit);
    return this;
  }

  get texts(): string[] {
    return this.received.map(({ text }) => text);
  }
}
