/** The time that a question has, and that it takes from others. */

/** ms. */
export const QUESTION_MS = 4000;
/** After as long the loop has its turn: what is captured is kept meanwhile. */
const PIECE_MS = 20;

/** The time of the question was over before it was known what to look for. */
export class OutOfTime extends Error {}

export class Turns {
  readonly #end: number;
  #began = performance.now();

  constructor(ms = QUESTION_MS) {
    this.#end = this.#began + ms;
  }

  get isOver(): boolean {
    return performance.now() > this.#end;
  }

  /** Leaves the loop to others when it was held for long. */
  async take(): Promise<void> {
    if (performance.now() - this.#began < PIECE_MS) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#began = performance.now();
  }

  /** As `take`. @throws OutOfTime */
  async takeInTime(): Promise<void> {
    await this.take();
    if (this.isOver) throw new OutOfTime();
  }
}
