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

/** Workloads counted apart; beyond it that which gave way longest ago is counted with the others. */
const MAX_WORKLOADS = 256;
/** cgroups below a delegated one that are remembered. */
const MAX_DELEGATED = 16_384;

interface Counted {
  owner: HolderId;
  readonly counts: Map<string, number>;
}

export class Fairness {
  readonly #workloads = new Map<bigint, Counted>();
  readonly #delegated = new Map<bigint, bigint>();
  readonly #others = new Map<string, number>();

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
    const counted = known ?? { owner, counts: new Map<string, number>() };
    counted.owner = owner;
    counted.counts.set(reason, (counted.counts.get(reason) ?? 0) + count);
    if (known !== undefined) return;
    this.#workloads.set(workload, counted);
    if (this.#workloads.size <= MAX_WORKLOADS) return;
    for (const [oldest, { counts }] of this.#workloads) {
      for (const [name, times] of counts) this.#others.set(name, (this.#others.get(name) ?? 0) + times);
      this.#workloads.delete(oldest);
      return;
    }
  }

  /** Since the start, each workload once. */
  workloads(): readonly GaveWay[] {
    return Array.from(this.#workloads, ([cgroupId, { owner, counts }]) => ({
      cgroupId,
      owner,
      counts: Object.fromEntries(counts),
    }));
  }

  /** Of the workloads that are no longer counted apart. */
  others(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#others);
  }
}

/** FNV-1a, 31 bits: for owners that are known by a text. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 1;
}
