/**
 * The loss ledger. Every stage says what came in and what became of it, so that at any time
 *   in = out + sum(dropped by reason) + sum(filtered by reason) + held
 * holds for each stage. Anything else is a defect; the end-to-end tests assert it.
 */

import type { DropOf, FilterOf, StageName } from './tables/stages.ts';

/** One stage's counters. The hot path increments the public numbers directly. */
export class Stage<Name extends StageName> {
  readonly name: Name;
  in = 0;
  out = 0;
  readonly dropped = new Map<DropOf<Name>, number>();
  readonly filtered = new Map<FilterOf<Name>, number>();
  /** What the stage holds now (in flight). */
  held: () => number = () => 0;

  constructor(name: Name) {
    this.name = name;
  }

  /** Lost. Reasons are declared in tables/stages.ts. */
  drop(reason: DropOf<Name>, count = 1): void {
    if (count !== 0) this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + count);
  }

  /** Left out on purpose (not DNS, switched off, folded into another record). */
  filter(reason: FilterOf<Name>, count = 1): void {
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
  readonly name: StageName;
  readonly in: number;
  readonly out: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly filtered: Readonly<Record<string, number>>;
  readonly held: number;
  /** in - out - dropped - filtered - held: 0 or a defect. */
  readonly missing: number;
}

export class Ledger {
  readonly #stages = new Map<StageName, Stage<StageName>>();

  /** The stage of that name, made at first use. Stages appear in the order they were made. */
  stage<Name extends StageName>(name: Name): Stage<Name> {
    // Under each name stands the stage that was made for it.
    const known = this.#stages.get(name) as Stage<Name> | undefined;
    if (known !== undefined) return known;
    const stage = new Stage(name);
    this.#stages.set(name, stage as unknown as Stage<StageName>);
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
