/**
 * A bound that is fair: when it is full, the one who holds most gives way, not the oldest of all. Three levels: the workload
 * (cgroup) that holds most, in it the user, of his the process, of its own the oldest. So neither many processes nor many
 * cgroups of one user (fairness.ts) make a bigger share.
 *
 * As long as there is room only sums are kept: a few additions for each entry. Once it is full the holders are ranked by
 * weight, in lists by weight, which finds the largest in constant time and stays so until half is free again.
 */
import { Fairness, type HolderId } from './fairness.ts';

/** What is held: a class of its own extends it, so that it costs no object more. */
export class Holding {
  holder: Holder | undefined = undefined;
  heldWeight = 0;
  heldOlder: Holding | undefined = undefined;
  heldNewer: Holding | undefined = undefined;
}

/** A workload, a user in it, or a process of his. */
export class Holder {
  readonly parent: Holder | undefined;
  readonly key: number;
  /** Of all that it holds. */
  weight = 0;
  readonly children = new Map<number, Holder>();
  /** Of a process: whose it is, and what it holds. */
  owner: HolderId = UNKNOWN;
  oldest: Holding | undefined = undefined;
  newest: Holding | undefined = undefined;
  /** Children by weight, while ranked: each list a ring that begins with the one ranked longest. */
  readonly ranks: (Holder | undefined)[] = [];
  peak = 0;
  rankNext: Holder = this;
  rankPrevious: Holder = this;

  constructor(parent: Holder | undefined, key: number) {
    this.parent = parent;
    this.key = key;
  }
}

const UNKNOWN: HolderId = Object.freeze({ pid: 0, uid: 0, cgroupId: 0n });
/** Processes found without the three maps: a power of two. */
const RECENT = 256;
/** Processes that hold nothing are forgotten when there are so many more than at the last time. */
const SPARE = 1024;

export class FairBound<H extends Holding> {
  readonly limit: number;
  readonly fairness: Fairness;
  readonly #root = new Holder(undefined, 0);
  readonly #recent = new Array<Holder | undefined>(RECENT).fill(undefined);
  #isRanked = false;
  #processes = 0;
  #sweepAt = SPARE;

  /** @param limit weight at most: the caller makes room while `isFull` */
  constructor(limit: number, fairness: Fairness = new Fairness()) {
    this.limit = limit;
    this.fairness = fairness;
  }

  /** Of all that is held. */
  get weight(): number {
    return this.#root.weight;
  }

  get isFull(): boolean {
    return this.#root.weight >= this.limit;
  }

  /** Processes known, those that hold nothing now included. */
  get processes(): number {
    return this.#processes;
  }

  /** The process that something is to be held for. Valid until the next call. */
  holderOf(owner: HolderId): Holder {
    const slot = owner.pid & (RECENT - 1);
    const recent = this.#recent[slot];
    if (recent !== undefined && isSame(recent.owner, owner)) return recent;
    const holder = this.#find(owner);
    this.#recent[slot] = holder;
    return holder;
  }

  add(holding: H, holder: Holder, weight = 1): void {
    holding.holder = holder;
    holding.heldWeight = weight;
    this.#append(holding, holder);
    this.#weigh(holder, weight);
  }

  /** Nothing happens to what is not held. */
  remove(holding: H): void {
    const { holder, heldWeight } = holding;
    if (holder === undefined) return;
    this.#unlink(holding, holder);
    holding.holder = undefined;
    this.#weigh(holder, -heldWeight);
    if (this.#isRanked && this.#root.weight <= this.limit / 2) this.#unrank();
  }

  resize(holding: H, weight: number): void {
    const change = weight - holding.heldWeight;
    if (change === 0 || holding.holder === undefined) return;
    holding.heldWeight = weight;
    this.#weigh(holding.holder, change);
  }

  /** It is its holder's youngest from now on. */
  touch(holding: H): void {
    const { holder } = holding;
    if (holder === undefined || holder.newest === holding) return;
    this.#unlink(holding, holder);
    this.#append(holding, holder);
  }

  /** The oldest of what the largest holder holds; undefined: nothing is held. */
  largest(): H | undefined {
    if (!this.#isRanked) this.#rank();
    let holder: Holder | undefined = this.#root;
    while (holder !== undefined && holder.children.size > 0) holder = holder.ranks[holder.peak];
    return holder?.oldest as H | undefined;
  }

  /** Whether more for this owner would make it the largest: then it has no claim that another gives way. */
  isLargest({ cgroupId, uid, pid }: HolderId): boolean {
    if (!this.#isRanked) this.#rank();
    let holder = this.#root;
    for (const key of [Number(this.fairness.workloadOf(cgroupId)), uid, pid]) {
      const child = holder.children.get(key);
      if (child === undefined || child.weight < holder.peak) return false;
      holder = child;
    }
    return true;
  }

  #find(owner: HolderId): Holder {
    const workload = this.#child(this.#root, Number(this.fairness.workloadOf(owner.cgroupId)));
    const user = this.#child(workload, owner.uid);
    const known = user.children.get(owner.pid);
    if (known !== undefined) {
      known.owner = owner;
      return known;
    }
    if (this.#processes >= this.#sweepAt) {
      this.#sweep();
      return this.#find(owner);
    }
    this.#processes++;
    const process = this.#child(user, owner.pid);
    process.owner = owner;
    return process;
  }

  #child(parent: Holder, key: number): Holder {
    let child = parent.children.get(key);
    if (child === undefined) {
      child = new Holder(parent, key);
      parent.children.set(key, child);
    }
    return child;
  }

  #append(holding: Holding, holder: Holder): void {
    const { newest } = holder;
    holding.heldOlder = newest;
    holding.heldNewer = undefined;
    if (newest === undefined) holder.oldest = holding;
    else newest.heldNewer = holding;
    holder.newest = holding;
  }

  #unlink(holding: Holding, holder: Holder): void {
    const { heldOlder, heldNewer } = holding;
    if (heldOlder === undefined) holder.oldest = heldNewer;
    else heldOlder.heldNewer = heldNewer;
    if (heldNewer === undefined) holder.newest = heldOlder;
    else heldNewer.heldOlder = heldOlder;
    holding.heldOlder = undefined;
    holding.heldNewer = undefined;
  }

  #weigh(process: Holder, change: number): void {
    const isRanked = this.#isRanked;
    for (let holder: Holder | undefined = process; holder !== undefined; holder = holder.parent) {
      if (isRanked && holder.parent !== undefined) move(holder.parent, holder, holder.weight + change);
      holder.weight += change;
    }
  }

  #rank(): void {
    this.#isRanked = true;
    rankChildren(this.#root);
  }

  #unrank(): void {
    this.#isRanked = false;
    clearRanks(this.#root);
  }

  /** Forgets processes that hold nothing, and users and workloads without processes. */
  #sweep(): void {
    this.#recent.fill(undefined);
    this.#processes = prune(this.#root);
    this.#sweepAt = 2 * this.#processes + SPARE;
  }
}

function isSame(a: HolderId, b: HolderId): boolean {
  return a === b || (a.pid === b.pid && a.uid === b.uid && a.cgroupId === b.cgroupId);
}

/** From the list of its weight into that of another; weight 0 is in none. */
function move(parent: Holder, child: Holder, weight: number): void {
  const { ranks } = parent;
  if (child.weight > 0) {
    const next = child.rankNext;
    if (next === child) ranks[child.weight] = undefined;
    else {
      next.rankPrevious = child.rankPrevious;
      child.rankPrevious.rankNext = next;
      if (ranks[child.weight] === child) ranks[child.weight] = next;
    }
  }
  if (weight > 0) link(parent, child, weight);
  // Not further than the child went down.
  while (parent.peak > 0 && ranks[parent.peak] === undefined) parent.peak--;
}

function link(parent: Holder, child: Holder, weight: number): void {
  const { ranks } = parent;
  // Without holes, which would make it a dictionary.
  while (ranks.length <= weight) ranks.push(undefined);
  const first = ranks[weight];
  if (first === undefined) {
    ranks[weight] = child;
    child.rankNext = child;
    child.rankPrevious = child;
  } else {
    child.rankNext = first;
    child.rankPrevious = first.rankPrevious;
    first.rankPrevious.rankNext = child;
    first.rankPrevious = child;
  }
  if (weight > parent.peak) parent.peak = weight;
}

function rankChildren(parent: Holder): void {
  for (const child of parent.children.values()) {
    if (child.weight > 0) link(parent, child, child.weight);
    rankChildren(child);
  }
}

function clearRanks(parent: Holder): void {
  parent.ranks.length = 0;
  parent.peak = 0;
  for (const child of parent.children.values()) {
    child.rankNext = child;
    child.rankPrevious = child;
    clearRanks(child);
  }
}

/** @returns processes left */
function prune(parent: Holder): number {
  let left = 0;
  for (const [key, child] of parent.children) {
    if (child.weight === 0) parent.children.delete(key);
    else left += child.children.size === 0 ? 1 : prune(child);
  }
  return left;
}
