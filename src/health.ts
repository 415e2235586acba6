/**
 * The loss ledger. Every stage says what came in and what became of it, so that at any time
 *   in = out + sum(dropped by reason) + sum(filtered by reason) + held
 * holds for each stage. Anything else is a defect; the end-to-end tests assert it.
 */

/** One stage's counters. The hot path increments the public numbers directly. */
export class Stage {
  readonly name: string;
  in = 0;
  out = 0;
  readonly dropped = new Map<string, number>();
  readonly filtered = new Map<string, number>();
  /** What the stage holds now (in flight). */
  held: () => number = () => 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Lost against our will. `reason` is a low-cardinality word from tables/drops.ts. */
  drop(reason: string, count = 1): void {
    if (count !== 0) this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + count);
  }

  /** Left out on purpose (not DNS, switched off, folded into another record). */
  filter(reason: string, count = 1): void {
    if (count !== 0) this.filtered.set(reason, (this.filtered.get(reason) ?? 0) + count);
  }

  snapshot(): StageSnapshot {
    const dropped = Object.fromEntries(this.dropped);
    const filtered = Object.fromEntries(this.filtered);
    const held = this.held();
    const gone = sum(this.dropped) + sum(this.filtered);
    return {
      name: this.name,
      in: this.in,
      out: this.out,
      dropped,
      filtered,
      held,
      missing: this.in - this.out - gone - held,
    };
  }
}

export interface StageSnapshot {
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly filtered: Readonly<Record<string, number>>;
  readonly held: number;
  /** in - out - dropped - filtered - held: 0 or a defect. */
  readonly missing: number;
}

export class Ledger {
  readonly #stages = new Map<string, Stage>();

  /** The stage of that name, made at first use. Stages appear in the order they were made. */
  stage(name: string): Stage {
    let stage = this.#stages.get(name);
    if (stage === undefined) {
      stage = new Stage(name);
      this.#stages.set(name, stage);
    }
    return stage;
  }

  snapshot(): StageSnapshot[] {
    return [...this.#stages.values()].map((stage) => stage.snapshot());
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
