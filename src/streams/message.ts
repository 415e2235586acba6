import type { RawMessage } from '../model.ts';

/** A captured piece without its bytes: what a DnsEvent keeps. */
export type RawHead = Omit<RawMessage, 'payload'>;

/** One whole DNS message, without the length prefix of TCP. */
export interface StreamMessage {
  /**
   * Where it was seen: of a request the piece that began it (when and by whom it was asked), of a response the piece
   * that completed it (when the answer was there).
   */
  readonly raw: RawHead;
  /** What was captured of it. Valid during the call only: it may lie in the memory of a batch. */
  readonly payload: Uint8Array;
  /** Bytes there were; more than `payload.length` when the copy was cut. */
  readonly length: number;
}

export type OnMessage = (message: StreamMessage) => void;

/** A copy without the payload, so that no batch is kept in memory by a message in flight. */
export function withoutPayload(raw: RawMessage): RawHead {
  const head: RawHead = {
    kind: raw.kind,
    time: raw.time,
    hook: raw.hook,
    direction: raw.direction,
    transport: raw.transport,
    family: raw.family,
    networkNamespace: raw.networkNamespace,
    socket: raw.socket,
    local: raw.local,
    remote: raw.remote,
    localAny: raw.localAny,
    dialed: raw.dialed,
    owner: raw.owner,
    sequence: raw.sequence,
    streamStart: raw.streamStart,
    streamEnd: raw.streamEnd,
    more: raw.more,
    unreadable: raw.unreadable,
    length: raw.length,
  };
  // Few have one: the others keep their shape.
  const { trace, zone, unreachable } = raw;
  if (trace === undefined && zone === undefined && unreachable === undefined) return head;
  return {
    ...head,
    ...(trace === undefined ? {} : { trace }),
    ...(zone === undefined ? {} : { zone }),
    ...(unreachable === undefined ? {} : { unreachable }),
  };
}
