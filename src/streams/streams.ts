/** From captured pieces to whole DNS messages, whatever the transport. The stage `streams` of the ledger. */
import type { Stage } from '../health.ts';
import { Fairness } from '../lib/fairness.ts';
import type { RawMessage } from '../model.ts';
import { type DatagramLimits, Datagrams } from './datagrams.ts';
import type { OnMessage } from './message.ts';
import { type OnLoss, type StreamLimits, TcpStreams } from './tcp.ts';

/**
 * Pieces in, messages out, synchronously. The stage's unit is the message: see TcpStreams for how pieces that hold several
 * messages, or parts of one, are counted. `extra` is what `in` has above the number of pieces.
 */
export class Streams {
  readonly #datagrams: Datagrams;
  readonly #tcp: TcpStreams;

  /** @param onLoss is told of bytes of answers that were not seen or given up */
  constructor(
    stage: Stage<'streams'>,
    limits: Partial<StreamLimits & DatagramLimits> = {},
    fairness = new Fairness(),
    onLoss?: OnLoss,
  ) {
    this.#datagrams = new Datagrams(stage, limits, fairness);
    this.#tcp = new TcpStreams(stage, limits, fairness, onLoss);
    stage.held = () => this.#datagrams.held + this.#tcp.held;
  }

  get extra(): number {
    return this.#tcp.extra;
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
    if (raw.transport === 'udp') this.#datagrams.accept(raw, emit);
    else this.#tcp.accept(raw, emit);
  }

  /** To be called about once a second with the current Unix ns, so that missing bytes are given up without traffic. */
  expire(now: bigint, emit: OnMessage): void {
    this.#datagrams.expire(now);
    this.#tcp.expire(now, emit);
  }

  /** The end of the capture: nothing is held afterwards. */
  close(emit: OnMessage): void {
    this.#datagrams.close();
    this.#tcp.close(emit);
  }
}
