/**
 * The loss ledger. Every stage says what came in and what became of it, so that at any time
 *   in = out + sum(dropped by reason) + sum(filtered by reason) + held
 * holds for each stage. Anything else is a defect; the end-to-end tests assert it.
 */

import type { KERNEL_DROPS } from './tables/drops-kernel.ts';
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

/** Of the kernel's counters what stands for a record; what a workload over its share loses is told on its resource. */
const RING_LOSSES: readonly (keyof typeof KERNEL_DROPS)[] = ['ring_full', 'connection_ring_full'];

/**
 * Records that were lost in the kernel's ring or on the way to where they go, by `STAGE/REASON`. Not those that nobody waited for any more
 * (`closed`). @param drops of the source
 */
export function lostRecords(
  stages: readonly StageSnapshot[],
  drops: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  const lost = new Map<string, number>();
  for (const reason of RING_LOSSES)
    if ((drops[reason] ?? 0) > 0) lost.set(`kernel/${reason}`, drops[reason] ?? 0);
  for (const { name, dropped } of stages)
    if (name === 'wire' || name.startsWith('sink:'))
      for (const [reason, count] of Object.entries(dropped))
        if (reason !== 'closed' && count > 0) lost.set(`${name}/${reason}`, count);
  return lost;
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
