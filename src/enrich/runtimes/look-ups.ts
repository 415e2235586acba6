/** Containers to be looked up one by one: few at once, each once at a time, again soon where the runtime does not know it yet. */

/** Events and the kernel are ahead of the runtime's own directory: containerd lists a sandbox only when all of it is set up. */
const AGAIN_MS = [20, 50, 100, 200, 400] as const;
const MAX_AT_ONCE = 8;
const MAX_WAITING = 4096;

interface LookUp {
  attempt: number;
  timer: NodeJS.Timeout | undefined;
  /** Asked for again while it was under way. */
  again: boolean;
}

export class LookUps {
  readonly counts = { lookUps: 0, lookUpsUnknown: 0, lookUpsFailed: 0, lookUpsRefused: 0 };
  readonly #lookUp: (id: string) => Promise<boolean>;
  readonly #pending = new Map<string, LookUp>();
  readonly #queue = new Set<string>();
  #running = 0;
  #stopped = false;

  /** @param lookUp resolves to whether the runtime knows the container; rejects when it could not be asked. */
  constructor(lookUp: (id: string) => Promise<boolean>) {
    this.#lookUp = lookUp;
  }

  add(id: string): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      pending.again = true;
      return;
    }
    if (this.#stopped || this.#pending.size >= MAX_WAITING) {
      this.counts.lookUpsRefused++;
      return;
    }
    this.#pending.set(id, { attempt: 0, timer: undefined, again: false });
    this.#queue.add(id);
    this.#next();
  }

  delete(id: string): void {
    clearTimeout(this.#pending.get(id)?.timer);
    this.#pending.delete(id);
    this.#queue.delete(id);
  }

  clear(): void {
    for (const id of [...this.#pending.keys()]) this.delete(id);
  }

  stop(): void {
    this.#stopped = true;
    this.clear();
  }

  #next(): void {
    for (const id of this.#queue) {
      if (this.#running >= MAX_AT_ONCE) return;
      this.#queue.delete(id);
      const pending = this.#pending.get(id);
      if (pending !== undefined) void this.#run(id, pending);
    }
  }

  async #run(id: string, pending: LookUp): Promise<void> {
    this.#running++;
    this.counts.lookUps++;
    pending.again = false;
    const outcome = await this.#lookUp(id).then(
      (isKnown) => (isKnown ? 'known' : 'unknown'),
      () => 'failed' as const,
    );
    this.#running--;
    if (this.#pending.get(id) === pending) this.#done(id, pending, outcome);
    this.#next();
  }

  #done(id: string, pending: LookUp, outcome: 'known' | 'unknown' | 'failed'): void {
    const wait = outcome === 'known' ? (pending.again ? 0 : undefined) : AGAIN_MS[pending.attempt];
    if (wait === undefined) {
      this.#pending.delete(id);
      if (outcome === 'unknown') this.counts.lookUpsUnknown++;
      if (outcome === 'failed') this.counts.lookUpsFailed++;
      return;
    }
    pending.attempt++;
    pending.timer = setTimeout(() => {
      this.#queue.add(id);
      this.#next();
    }, wait).unref();
  }
}
