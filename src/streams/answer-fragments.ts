/**
 * Answers that come in IP fragments, seen before the kernel joins them: joined here, as of the time of the fragment that came last.
 * What the kernel would not give to a program is no answer: incomplete, of another length than its header says, with a wrong checksum.
 */
import type { Stage } from '../ledger.ts';
import type { RawMessage } from '../model.ts';
import { type FragmentDrop, type FragmentLimits, FragmentTable, type Reassembled } from './fragments.ts';
import { type OnMessage, withoutPayload } from './message.ts';
import type { OnLoss } from './tcp.ts';
import { payloadLength, UDP_HEADER } from './udp-checksum.ts';

/** Of the smallest IPv4 packets that a host must take whole (576 bytes, RFC 791) 64 KB are 119. */
const LIMITS: FragmentLimits = { maxDatagrams: 256, maxFragments: 128, maxAge: 10_000_000_000n };

const NOTHING = new Uint8Array(0);

/** The ledger: every fragment comes `in`; an answer goes `out` once, its further fragments are filtered as `joined`. */
export class AnswerFragments {
  readonly #stage: Stage<'streams'>;
  readonly #onLoss: OnLoss;
  readonly #maxPayload: number;
  readonly #table: FragmentTable<RawMessage>;
  #emit: OnMessage = () => {};
  #held = 0;
  /** What is given up now has waited too long: the kernel had not all of it either. */
  #expiring = false;

  /** @param maxPayload bytes kept of an answer */
  constructor(stage: Stage<'streams'>, onLoss: OnLoss, maxPayload: number) {
    this.#stage = stage;
    this.#onLoss = onLoss;
    this.#maxPayload = maxPayload;
    this.#table = new FragmentTable<RawMessage>(
      (datagram, first) => this.#giveOut(datagram, first),
      LIMITS,
      (reason, parts, first) => this.#drop(reason, parts, first),
    );
  }

  /** Fragments that wait for others. */
  get held(): number {
    return this.#held;
  }

  /** Takes one fragment; an answer that it completes is given to `emit` before it returns. */
  accept(raw: RawMessage, emit: OnMessage): void {
    const { fragment } = raw;
    if (fragment === undefined) return;
    this.#stage.in++;
    this.#emit = emit;
    this.expire(raw.time);
    const isFirst = fragment.offset === 0;
    const before = isFirst ? fragment.skipped : 0;
    const room = Math.max(this.#maxPayload + UDP_HEADER + before - fragment.offset, 0);
    const payload = raw.payload.subarray(0, room);
    const fate = this.#table.accept(
      {
        key: String(fragment.datagram),
        offset: fragment.offset,
        length: before + raw.length,
        more: fragment.more,
        bytes: before === 0 ? payload : Buffer.concat([new Uint8Array(before), payload]),
        time: raw.time,
      },
      { ...withoutPayload(raw), fragment, payload: NOTHING },
    );
    if (fate === 'waits') this.#held++;
    else if (fate === 'duplicate') this.#stage.filter('retransmission');
    else if (fate !== 'complete') this.#stage.drop(fate, 1);
  }

  /** Drops what has been waited for too long. `now` is Unix ns. */
  expire(now: bigint): void {
    this.#expiring = true;
    this.#table.expire(now);
    this.#expiring = false;
  }

  /** The end of the capture. */
  close(): void {
    this.#table.close();
  }

  #giveOut({ bytes, length, time, complete, parts }: Reassembled, first: RawMessage): void {
    if (!complete || length === undefined) {
      this.#held -= parts;
      this.#stage.drop('fragments_unfinished', parts);
      if (!this.#expiring) this.#onLoss(withoutPayload(first), 'fragments', time);
      return;
    }
    this.#held -= parts - 1;
    const { fragment, dialed, remote, local } = first;
    const datagram = bytes.subarray(fragment?.skipped ?? 0);
    const all = length - (fragment?.skipped ?? 0);
    const answer = payloadLength(datagram, all, (dialed ?? remote).address, local.address);
    if (answer === undefined) {
      this.#stage.filter('refused', parts);
      return;
    }
    this.#stage.filter('joined', parts - 1);
    this.#stage.out++;
    const end = UDP_HEADER + Math.min(answer, this.#maxPayload);
    const raw = { ...withoutPayload(first), time, length: answer };
    this.#emit({ raw, payload: datagram.subarray(UDP_HEADER, end), length: answer });
  }

  #drop(reason: FragmentDrop, parts: number, first: RawMessage): void {
    this.#held -= parts;
    // Of a server that was asked, but no answer: its first fragment was not for anyone here.
    if (reason === 'fragment_no_first') {
      this.#stage.filter('other_fragment', parts);
      return;
    }
    this.#stage.drop(reason, parts);
    // Overlapping ones the kernel does not take either (RFC 5722).
    if (reason === 'fragment_count' && first.fragment?.offset === 0)
      this.#onLoss(withoutPayload(first), 'fragments', first.time);
  }
}
