/** From captured pieces to whole DNS messages, whatever the transport. The stage `streams` of the ledger. */
import type { Stage } from '../ledger.ts';
import { Fairness } from '../lib/fairness.ts';
import type { RawMessage } from '../model.ts';
import { AnswerFragments } from './answer-fragments.ts';
import { type DatagramLimits, Datagrams } from './datagrams.ts';
import type { OnMessage } from './message.ts';
import { type OnLoss, type StreamLimits, TcpStreams } from './tcp.ts';

const MAX_PAYLOAD = 65_535;

/**
 * Pieces in, messages out, synchronously. The stage's unit is the message: see TcpStreams for how pieces that hold several
 * messages, or parts of one, are counted. `extra` is what `in` has above the number of pieces.
 */
export class Streams {
  readonly #datagrams: Datagrams;
  readonly #fragments: AnswerFragments;
  readonly #tcp: TcpStreams;

  /**
   * @param onLoss is told of bytes of answers that were not seen or given up
   * @param maxPayload the copy limit: bytes kept of a message
   */
  constructor(
    stage: Stage<'streams'>,
    limits: Partial<StreamLimits & DatagramLimits> = {},
    fairness = new Fairness(),
    onLoss: OnLoss = () => {},
    maxPayload = MAX_PAYLOAD,
  ) {
    this.#datagrams = new Datagrams(stage, limits, fairness);
    this.#fragments = new AnswerFragments(stage, onLoss, maxPayload);
    this.#tcp = new TcpStreams(stage, limits, fairness, onLoss, maxPayload);
    stage.held = () => this.#datagrams.held + this.#fragments.held + this.#tcp.held;
  }

  get extra(): number {
    return this.#datagrams.extra + this.#tcp.extra;
  }

  /** TCP streams remembered and the bytes they hold, for the agent's own metrics. */
  get size(): number {
    return this.#tcp.size;
  }

  get heldBytes(): number {
    return this.#tcp.heldBytes;
  }

  /** Takes one piece; whole messages are given to `emit` before it returns. */
  accept(raw: RawMessage, emit: OnMessage): void {
    if (raw.fragment !== undefined) this.#fragments.accept(raw, emit);
    else if (raw.transport === 'udp') this.#datagrams.accept(raw, emit);
    else this.#tcp.accept(raw, emit);
  }

  /** To be called about once a second with the current Unix ns, so that missing bytes are given up without traffic. */
  expire(now: bigint, emit: OnMessage): void {
    this.#datagrams.expire(now);
    this.#fragments.expire(now);
    this.#tcp.expire(now, emit);
  }

  /** The end of the capture: nothing is held afterwards. */
  close(emit: OnMessage): void {
    this.#datagrams.close();
    this.#fragments.close();
    this.#tcp.close(emit);
  }
}
