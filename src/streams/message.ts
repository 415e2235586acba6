import { Envelope, type RawHead } from '../lookup/envelope.ts';
import type { RawMessage } from '../model.ts';

export type { RawHead };

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
  if (raw instanceof Envelope) return raw.head();
  const { payload, ...head } = raw;
  return head;
}
