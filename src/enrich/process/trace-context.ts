/**
 * Tells the kernel programs where processes keep the contexts of their threads (OTEP 4947), so that a request carries
 * the trace id of the span it was made in. Only processes are looked into that say by their process context that they publish
 * thread contexts. One after the other and never in anybody's way: a process that cannot be read keeps only others' turns.
 */
import type { Target } from '../../inspector/inspector.ts';
import type { ProcessKey, TracePlace } from '../../model.ts';
import type { PublishedContext } from './process-context-payload.ts';
import { findTracePlace, type ProcessView } from './trace-context-place.ts';

/** Of `threadlocal.schema_version`: the OTEP's own, and its name while it was a draft. Others are read otherwise (Go, Node.js). */
const SCHEMAS: readonly unknown[] = ['tls_v1', 'tlsdesc_v1_dev'];
const MAX_WAITING = 256;

/** The kernel's side: capture/kernel.ts. */
export interface TracePlaces {
  /** False: no room. */
  add(key: ProcessKey, place: TracePlace): boolean;
  remove(keys: readonly ProcessKey[]): void;
}

export interface TraceContextCounts {
  /** Processes whose variable was found. */
  found: number;
  /** It publishes thread contexts, but exports no variable that can be followed (yet). */
  missing: number;
  unreadable: number;
  /** Not looked at: too many waited, or the kernel's table is full. */
  skipped: number;
}

type OpenView = (target: Target) => Promise<ProcessView | undefined>;

export class TraceContexts {
  readonly counts: TraceContextCounts = { found: 0, missing: 0, unreadable: 0, skipped: 0 };
  readonly #places: TracePlaces;
  readonly #open: OpenView;
  readonly #found = new Set<string>();
  readonly #waiting = new Map<string, Target>();
  #working: Promise<void> | undefined;
  /** What is being looked at; forgotten meanwhile = undefined. */
  #current: string | undefined;

  /** @param open ProcessMemory.open */
  constructor(places: TracePlaces, open: OpenView) {
    this.#places = places;
    this.#open = open;
  }

  /** Nothing waits any more. For tests. */
  get idle(): Promise<void> {
    return this.#working ?? Promise.resolve();
  }

  /** What a process publishes was read, for the first time or again. */
  published({ pid, startTime, cgroupId, uid }: Target, context: PublishedContext): void {
    if (!SCHEMAS.includes(context.attributes['threadlocal.schema_version'])) return;
    const id = idOf({ pid, startTime });
    if (this.#found.has(id) || this.#current === id || this.#waiting.has(id)) return;
    if (this.#waiting.size >= MAX_WAITING) {
      this.counts.skipped++;
      return;
    }
    this.#waiting.set(id, { pid, startTime, cgroupId, uid });
    this.#working ??= this.#work();
  }

  /** Processes that are gone, or run another program now. */
  forget(keys: readonly ProcessKey[]): void {
    const known = keys.filter((key) => {
      const id = idOf(key);
      this.#waiting.delete(id);
      if (this.#current === id) this.#current = undefined;
      return this.#found.delete(id);
    });
    if (known.length > 0) this.#places.remove(known);
  }

  async #work(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const [id, target] = next;
      this.#waiting.delete(id);
      this.#current = id;
      const place = await this.#look(target);
      if (this.#current === id && place !== undefined) this.#add(id, target, place);
    }
    this.#current = undefined;
    this.#working = undefined;
  }

  async #look(target: Target): Promise<TracePlace | undefined> {
    const view = await this.#open(target);
    if (view === undefined) {
      this.counts.unreadable++;
      return undefined;
    }
    const place = await findTracePlace(view);
    if (place === undefined) this.counts.missing++;
    return place;
  }

  #add(id: string, { pid, startTime }: ProcessKey, place: TracePlace): void {
    if (!this.#places.add({ pid, startTime }, place)) {
      this.counts.skipped++;
      return;
    }
    this.#found.add(id);
    this.counts.found++;
  }
}

function idOf({ pid, startTime }: ProcessKey): string {
  return `${pid}/${startTime}`;
}
