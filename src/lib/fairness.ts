/**
 * Whose share of a bound something counts against, and how often a workload had to give way. One object for all bounds of a
 * run, so that `whodns stats` and the record `whodns.suppressed` say it once for each workload.
 */

/** As the kernel tells it (model.ts, Owner). `cgroupId` 0n: unknown. */
export interface HolderId {
  readonly pid: number;
  readonly uid: number;
  readonly cgroupId: bigint;
}

/** What one workload had to give up since the start. */
export interface GaveWay {
  readonly cgroupId: bigint;
  /** The process that had to last. */
  readonly owner: HolderId;
  /** By what was full, for example `requests_full`. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What a workload had to give up since it was last told, at one bound. */
export interface Untold {
  /** The process that had to last; undefined: of several workloads that are no longer counted apart. */
  readonly owner: HolderId | undefined;
  readonly cgroupId: bigint;
  /** What was full, for example `requests_full`. */
  readonly bound: string;
  readonly count: number;
}

/** Workloads counted apart; beyond it that which gave way longest ago is counted with the others. */
const MAX_WORKLOADS = 256;
/** cgroups below a delegated one that are remembered. */
const MAX_DELEGATED = 16_384;

interface Count {
  total: number;
  told: number;
}

interface Counted {
  owner: HolderId;
  readonly counts: Map<string, Count>;
}

export class Fairness {
  readonly #workloads = new Map<bigint, Counted>();
  readonly #delegated = new Map<bigint, bigint>();
  readonly #others = new Map<string, Count>();

  /** The cgroup was made below `root`, which belongs to a user: whoever may make cgroups has one share, not one each. */
  delegate(cgroupId: bigint, root: bigint): void {
    if (cgroupId === root) return;
    if (this.#delegated.size >= MAX_DELEGATED) {
      for (const oldest of this.#delegated.keys()) {
        this.#delegated.delete(oldest);
        break;
      }
    }
    this.#delegated.set(cgroupId, root);
  }

  /** The cgroup whose share it is. */
  workloadOf(cgroupId: bigint): bigint {
    return this.#delegated.size === 0 ? cgroupId : (this.#delegated.get(cgroupId) ?? cgroupId);
  }

  /** Who stands for an owner that is not known: its address in its network namespace. */
  unknown(networkNamespace: number, address: string, port = 0): HolderId {
    return { cgroupId: BigInt(-1 - networkNamespace), uid: textHash(address), pid: port };
  }

  /** Something of this owner was given up in favour of others. */
  gaveWay(owner: HolderId, reason: string, count = 1): void {
    if (count === 0) return;
    const workload = this.workloadOf(owner.cgroupId);
    const known = this.#workloads.get(workload);
    const counted = known ?? { owner, counts: new Map<string, Count>() };
    counted.owner = owner;
    add(counted.counts, reason, count, 0);
    if (known !== undefined) return;
    this.#workloads.set(workload, counted);
    if (this.#workloads.size <= MAX_WORKLOADS) return;
    for (const [oldest, { counts }] of this.#workloads) {
      for (const [name, { total, told }] of counts) add(this.#others, name, total, told);
      this.#workloads.delete(oldest);
      return;
    }
  }

  /** Since the start, each workload once. */
  workloads(): readonly GaveWay[] {
    return Array.from(this.#workloads, ([cgroupId, { owner, counts }]) => ({
      cgroupId,
      owner,
      counts: totals(counts),
    }));
  }

  /** Of the workloads that are no longer counted apart. */
  others(): Readonly<Record<string, number>> {
    return totals(this.#others);
  }

  /** What was not told yet, which it is with this call. At most so many; the others stay for the next time. */
  untold(max: number): readonly Untold[] {
    const found: Untold[] = [];
    const tell = (cgroupId: bigint, owner: HolderId | undefined, counts: Map<string, Count>): void => {
      for (const [bound, count] of counts) {
        if (count.total === count.told || found.length >= max) continue;
        found.push({ owner, cgroupId, bound, count: count.total - count.told });
        count.told = count.total;
      }
    };
    tell(0n, undefined, this.#others);
    for (const [cgroupId, { owner, counts }] of this.#workloads) tell(cgroupId, owner, counts);
    return found;
  }
}

function add(counts: Map<string, Count>, reason: string, total: number, told: number): void {
  const count = counts.get(reason);
  if (count === undefined) {
    counts.set(reason, { total, told });
    return;
  }
  count.total += total;
  count.told += told;
}

function totals(counts: ReadonlyMap<string, Count>): Record<string, number> {
  return Object.fromEntries(Array.from(counts, ([reason, { total }]) => [reason, total]));
}

/** FNV-1a, 31 bits: for owners that are known by a text. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 1;
}
