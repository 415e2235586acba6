/**
 * Which process: one interned identity per process (pid, start time) and effective user. Synchronous: what the kernel's record says is
 * there at once. What it leaves open, and what the process publishes, the inspector is asked for at first sight; until it has answered
 * the identity is `awaited`, and `current` gives what came of it.
 */
import { FairMap } from '../../lib/fair-map.ts';
import type { Fairness } from '../../lib/fairness.ts';
import type { Owner, ProcessIdentity, ProcessKey, RawProcess } from '../../model.ts';
import type { Claim } from '../containers/cgroup-claims.ts';
import type { ContainerFacts } from '../containers/container-facts.ts';
import type { Asked } from './facts.ts';
import { anonymous, isSame } from './identity.ts';
import { Look } from './look.ts';
import { type ContextListener, Looks, type Take } from './looks.ts';
import { noCounts, type ProcessTableCounts } from './process-counts.ts';
import { describe, type ProcessFacts, type ResourceContext } from './resource.ts';

/** Processes of one pid, or users of one process, that are known at once; the oldest is forgotten. */
const MAX_VARIANTS = 8;
/** A program can rename itself or move between cgroups at will: so often it is looked at anew. */
const MAX_REFRESHES = 8;
/**
 * Sweeps after first sight at which a request makes a process be looked at again for a published identity: its SDK may start
 * after its first request, or publish anew. With a sweep every 10 s: after 10 s, 1 min, 6 min, 36 min, then once an hour.
 */
const FIRST_LOOK = 1;
const LOOK_GROWTH = 6;
const MAX_LOOK_SWEEPS = 360;
/** Short form of a container id, as docker ps shows it. */
const SHORT_ID = 12;

export interface ProcessTableOptions extends ResourceContext {
  /**
   * pids known at once. Full: the least recently seen of the user who has most is forgotten, and looked at again should it be seen
   * again.
   */
  readonly maxProcesses?: number;
  readonly fairness?: Fairness;
  /** undefined: nobody is asked, the kernel's record is all there is. */
  readonly inspector?: Asked | undefined;
  /** Keep arguments, secrets masked. */
  readonly commandArgs?: boolean;
  /** Read the identity that applications publish in their memory (process-context.ts); default true. */
  readonly processContext?: boolean;
  /** Is told of everything that is published, and when nothing learnt of a process counts any more. */
  readonly contexts?: ContextListener;
}

interface Entry {
  owner: Owner;
  facts: ProcessFacts;
  identity: ProcessIdentity;
  /** What is under way, and the identity that lookups have meanwhile. */
  look: Look | undefined;
  awaited: ProcessIdentity | undefined;
  /** What its container's part of the identity was made from. */
  workload: ContainerFacts | undefined;
  claim: Claim | undefined;
  refreshes: number;
  /** Look for a published identity again in this generation, and by how much later next time. */
  nextLook: number;
  lookStep: number;
}

/** An identity and what it was made from. */
interface Joined {
  readonly identity: ProcessIdentity;
  readonly workload: ContainerFacts | undefined;
  readonly claim: Claim | undefined;
}

interface Origin {
  readonly owner: Owner;
  readonly facts: ProcessFacts;
  readonly workload: ContainerFacts;
  renewed: ProcessIdentity | undefined;
}

interface Awaited {
  readonly owner: Owner;
  readonly look: Look;
  settled: ProcessIdentity | undefined;
}

interface Slot {
  /** Newest first. */
  readonly entries: Entry[];
  /** `sweep` during which it was last seen. */
  generation: number;
}

export class ProcessTable {
  readonly counts: ProcessTableCounts = noCounts();
  readonly #context: ResourceContext;
  readonly #looks: Looks;
  readonly #looksAgain: boolean;
  readonly #contexts: ContextListener | undefined;
  readonly #slots: FairMap<number, Slot>;
  readonly #anonymous: ProcessIdentity;
  /** What identities of containers not reported yet were made from. */
  readonly #incomplete = new WeakMap<ProcessIdentity, Origin>();
  /** What awaited identities wait for. */
  readonly #awaited = new WeakMap<ProcessIdentity, Awaited>();
  #generation = 0;
  /** pids still to be looked at in this round of sweeps. */
  #idle: number[] = [];

  constructor(options: ProcessTableOptions) {
    this.#context = options;
    const { commandArgs = false, processContext = true, inspector, contexts } = options;
    this.#looks = new Looks({ commandArgs, processContext, inspector, contexts, counts: this.counts });
    this.#looksAgain = processContext && inspector !== undefined;
    this.#contexts = contexts;
    this.#slots = new FairMap(options.maxProcesses ?? 16_384, {
      fairness: options.fairness,
      reason: 'processes_full',
      onEvict: (_pid, slot) => {
        this.counts.evicted++;
        this.#contexts?.forget(slot.entries.map(({ owner }) => owner));
      },
    });
    this.#anonymous = anonymous(options.host);
  }

  /** pids known. */
  get size(): number {
    return this.#slots.size;
  }

  /** The kernel's record of a process seen for the first time, or for the first time after an exec. Precedes its messages. */
  announce(event: RawProcess): void {
    const slot = this.#slot(event.owner);
    const known = find(slot, event.owner);
    // Other users of the same process have the old facts; they are made anew when seen.
    for (let i = slot.entries.length - 1; i >= 0; i--) {
      const entry = slot.entries[i] as Entry;
      if (entry.owner.startTime !== event.owner.startTime) continue;
      // It runs another program now: what was asked about the one before would be told of this one.
      this.#finish(slot, entry.look, undefined);
      if (entry !== known) slot.entries.splice(i, 1);
    }
    this.#contexts?.forget([event.owner]);
    const { facts } = this.#looks.told(event);
    if (known !== undefined) this.#replace(known, event.owner, facts);
    const entry = known ?? this.#add(slot, event.owner, facts);
    if (known === undefined) this.counts.kernel++;
    this.#look(slot, entry, this.#looks.first(event.owner, event));
  }

  /** The same object for the same process as long as nothing is learnt of it that changes its metadata. */
  identify(owner: Owner | undefined): ProcessIdentity {
    if (owner === undefined) {
      this.counts.anonymous++;
      return this.#anonymous;
    }
    const slot = this.#slot(owner);
    const entry = find(slot, owner) ?? this.#learn(slot, owner);
    if (entry.look === undefined) {
      if (isElsewhere(entry.owner, owner)) this.#reconsider(slot, entry, owner);
      else if (this.#generation >= entry.nextLook) this.#lookAgain(slot, entry);
    }
    if (entry.workload?.stale === true) this.#replace(entry, entry.owner, entry.facts);
    return entry.awaited ?? entry.identity;
  }

  /** Resolves when the look that an awaited identity waits for has been taken; undefined: it waits for none. */
  pending(identity: ProcessIdentity): Promise<void> | undefined {
    const awaited = identity.awaited === true ? this.#awaited.get(identity) : undefined;
    return awaited === undefined || awaited.look.isDone ? undefined : awaited.look.finished;
  }

  /** Its identity as far as it is known; nothing is read or remembered for it. */
  known({ pid, uid, cgroupId }: Pick<Owner, 'pid' | 'uid' | 'cgroupId'>): ProcessIdentity | undefined {
    // The pid may be another process's by now.
    const entries = this.#slots.peek(pid)?.entries.filter(({ owner }) => owner.cgroupId === cgroupId);
    return (entries?.find(({ owner }) => owner.uid === uid) ?? entries?.[0])?.identity;
  }

  /** What is known of a process, as the last of its users; undefined: nothing. Does not count as seeing it. */
  peek({ pid, startTime }: ProcessKey): ProcessIdentity | undefined {
    return this.#slots.peek(pid)?.entries.find(({ owner }) => owner.startTime === startTime)?.identity;
  }

  /** Of the executable; undefined: the process is not known, or has none. */
  nameOf(process: ProcessKey): string | undefined {
    return this.peek(process)?.executableName;
  }

  /** A new round of looking for processes that have exited, every ten seconds or so (see FIRST_LOOK). */
  beginSweep(): void {
    this.#generation++;
    if (this.#idle.length > 0) return;
    for (const pid of this.#slots.keys()) this.#idle.push(pid);
    this.#idle.reverse();
  }

  /**
   * An awaited or incomplete identity with what was learnt of its process or container since; of the same program, should the process
   * run another now.
   */
  current(identity: ProcessIdentity): ProcessIdentity {
    const awaited = identity.awaited === true ? this.#awaited.get(identity) : undefined;
    if (awaited === undefined) return this.#completed(identity);
    if (!awaited.look.isDone) return identity;
    awaited.settled ??= this.#settled(awaited);
    return this.#completed(awaited.settled);
  }

  #settled({ owner, look }: Awaited): ProcessIdentity {
    const entry = this.#entryOf(owner, look.facts);
    return entry?.identity ?? this.#join(owner, look.facts).identity;
  }

  #entryOf({ pid, uid }: Owner, facts: ProcessFacts): Entry | undefined {
    return this.#slots.peek(pid)?.entries.find((entry) => entry.facts === facts && entry.owner.uid === uid);
  }

  #completed(identity: ProcessIdentity): ProcessIdentity {
    const origin = this.#incomplete.get(identity);
    if (origin === undefined || !origin.workload.stale) return identity;
    const { owner, facts } = origin;
    const entry = this.#entryOf(owner, facts);
    if (entry !== undefined) {
      if (entry.workload?.stale === true) this.#replace(entry, entry.owner, facts);
      return entry.identity;
    }
    origin.renewed = this.#completed(origin.renewed ?? this.#join(owner, facts).identity);
    return origin.renewed;
  }

  /**
   * Goes on with the round: forgets those of the next `limit` pids that have exited. What was seen in this round or the one
   * before is not looked at. Records in flight keep their identity.
   * @returns the processes forgotten
   */
  async sweep(limit: number): Promise<readonly ProcessKey[]> {
    const asked: Owner[] = [];
    for (let i = 0; i < limit; i++) {
      const pid = this.#idle.pop();
      if (pid === undefined) break;
      const slot = this.#slots.peek(pid);
      if (slot !== undefined && this.#isIdle(slot)) asked.push(...slot.entries.map(({ owner }) => owner));
    }
    const gone = await this.#looks.exited(asked);
    for (const owner of gone) this.#forget(owner);
    this.counts.exited += gone.length;
    if (gone.length > 0) this.#contexts?.forget(gone);
    return gone;
  }

  #forget({ pid, startTime, uid }: Owner): void {
    const entries = this.#slots.peek(pid)?.entries ?? [];
    const index = entries.findIndex(({ owner }) => owner.startTime === startTime && owner.uid === uid);
    if (index >= 0) entries.splice(index, 1);
    if (entries.length === 0) this.#slots.delete(pid);
  }

  #isIdle(slot: Slot): boolean {
    return slot.generation < this.#generation - 1;
  }

  #slot({ pid, uid, cgroupId }: Owner): Slot {
    let slot = this.#slots.get(pid);
    if (slot === undefined) {
      slot = { entries: [], generation: this.#generation };
      // All processes of a user are one owner: the least recently seen of them goes.
      this.#slots.set(pid, slot, { pid: 0, uid, cgroupId });
    } else slot.generation = this.#generation;
    return slot;
  }

  /** A process, or a user of a process, not seen before: its announcement was lost, or it changed its user. */
  #learn(slot: Slot, owner: Owner): Entry {
    const sibling = slot.entries.find((entry) => entry.owner.startTime === owner.startTime);
    if (sibling !== undefined) {
      this.counts.refreshed++;
      const entry = this.#add(slot, owner, sibling.facts);
      if (sibling.look !== undefined) this.#await(entry, sibling.look);
      return entry;
    }
    const entry = this.#add(slot, owner, this.#looks.told(undefined).facts);
    this.#look(slot, entry, this.#looks.first(owner, undefined));
    return entry;
  }

  #add(slot: Slot, owner: Owner, facts: ProcessFacts): Entry {
    const nextLook = this.#looksAgain ? this.#generation + FIRST_LOOK : Number.POSITIVE_INFINITY;
    const entry: Entry = {
      owner,
      facts,
      ...this.#join(owner, facts),
      look: undefined,
      awaited: undefined,
      refreshes: 0,
      nextLook,
      lookStep: FIRST_LOOK,
    };
    slot.entries.unshift(entry);
    if (slot.entries.length > MAX_VARIANTS) {
      slot.entries.pop();
      this.counts.evicted++;
    }
    return entry;
  }

  #replace(entry: Entry, owner: Owner, facts: ProcessFacts): void {
    entry.owner = owner;
    entry.facts = facts;
    const { identity, workload, claim } = this.#join(owner, facts);
    entry.workload = workload;
    entry.claim = claim;
    if (isSame(identity, entry.identity)) return;
    entry.identity = identity;
    this.counts.refreshed++;
  }

  /** The leader has another name (exec whose announcement was lost, or prctl), or the process another cgroup or root. */
  #reconsider(slot: Slot, entry: Entry, owner: Owner): void {
    if (entry.refreshes >= MAX_REFRESHES) return;
    entry.refreshes++;
    const before = entry.owner;
    entry.owner = owner;
    // Whose passwd file its user is named in.
    if (before.mountNamespace !== owner.mountNamespace) this.#replace(entry, owner, entry.facts);
    if (before.processName !== owner.processName || before.cgroupId !== owner.cgroupId)
      this.#look(slot, entry, this.#looks.changed(before, owner, entry.facts));
  }

  #lookAgain(slot: Slot, entry: Entry): void {
    entry.lookStep = Math.min(entry.lookStep * LOOK_GROWTH, MAX_LOOK_SWEEPS);
    entry.nextLook = this.#generation + entry.lookStep;
    this.#look(slot, entry, this.#looks.again(entry.owner, entry.facts));
  }

  #look(slot: Slot, entry: Entry, take: Take | undefined): void {
    const named = this.#userContainer(entry);
    if (take === undefined && named === undefined) return;
    const look = new Look(entry.facts);
    this.#await(entry, look);
    void Promise.all([take?.(), named]).then(([facts]) =>
      this.#finish(slot, look, facts ?? (named && look.facts)),
    );
  }

  /** Resolves when the container that its user put it into has a name, if it can be known; undefined: nothing is asked for. */
  #userContainer({ owner, claim }: Entry): Promise<void> | undefined {
    if (claim?.given === undefined || owner.uid === 0) return undefined;
    return this.#context.userContainers?.ask(owner, claim.given, claim.container.id);
  }

  #await(entry: Entry, look: Look): void {
    entry.look = look;
    entry.awaited = { ...entry.identity, awaited: true };
    this.#awaited.set(entry.awaited, { owner: entry.owner, look, settled: undefined });
  }

  #finish(slot: Slot, look: Look | undefined, facts: ProcessFacts | undefined): void {
    if (look === undefined || look.isDone) return;
    for (const entry of slot.entries.filter((each) => each.look === look)) {
      entry.look = undefined;
      entry.awaited = undefined;
      if (facts !== undefined) this.#replace(entry, entry.owner, facts);
    }
    look.finish(facts ?? look.facts);
  }

  #join(owner: Owner, facts: ProcessFacts): Joined {
    const { resource, executableName, container, claim, workload } = describe(owner, facts, this.#context);
    const identity: ProcessIdentity = {
      pid: owner.pid,
      startTime: owner.startTime,
      // Without a record the owner itself still is the kernel's word.
      attribution:
        claim?.verified === false ? 'unverified' : facts.fromProc && !facts.announced ? 'proc' : 'kernel',
      executableName,
      containerId: container?.id,
      workload: workload?.name ?? container?.id.slice(0, SHORT_ID) ?? '',
      resource,
      ...(workload?.complete === false ? { incomplete: true as const } : {}),
    };
    if (workload?.complete === false)
      this.#incomplete.set(identity, { owner, facts, workload, renewed: undefined });
    return { identity, workload, claim };
  }
}

function find(slot: Slot, owner: Owner): Entry | undefined {
  return slot.entries.find(
    (entry) => entry.owner.startTime === owner.startTime && entry.owner.uid === owner.uid,
  );
}

function isElsewhere(before: Owner, now: Owner): boolean {
  return (
    before.processName !== now.processName ||
    before.cgroupId !== now.cgroupId ||
    before.mountNamespace !== now.mountNamespace
  );
}
