/**
 * Which process: one interned identity per process (pid, start time) and effective user. Synchronous; the only input
 * and output is one look into /proc at first sight, for what the kernel's record left open and what the process publishes.
 */
import { LRUCache } from 'lru-cache';
import type { Owner, ProcessIdentity, ProcessKey, RawProcess } from '../model.ts';
import { currentCgroup, currentContext, currentExecutable, gatherFacts } from './facts.ts';
import { anonymous, isSame } from './identity.ts';
import { isAlive } from './proc.ts';
import type { ContextOutcome } from './process-context.ts';
import type { PublishedContext } from './process-context-payload.ts';
import { noCounts, type ProcessTableCounts } from './process-counts.ts';
import { describe, type ProcessFacts, type ResourceContext } from './resource.ts';
import type { WorkloadFacts } from './workload-facts.ts';

/** Processes of one pid, or users of one process, that are known at once; the oldest is forgotten. */
const MOST_VARIANTS = 8;
/** A program can rename itself or move between cgroups at will: so often it is looked at anew. */
const MOST_REFRESHES = 8;
/**
 * Sweeps after first sight at which a request makes a process be looked at again for a published identity: its SDK may start
 * after its first request, or publish anew. With a sweep every 10 s: after 10 s, 1 min, 6 min, 36 min, then once an hour.
 */
const FIRST_LOOK = 1;
const LOOK_GROWTH = 6;
const MOST_LOOK_SWEEPS = 360;
/** Short form of a container id, as docker ps shows it. */
const SHORT_ID = 12;

export interface ProcessTableOptions extends ResourceContext {
  /** pids known at once. Full: the least recently seen is forgotten, and read from /proc should it be seen again. */
  readonly maxProcesses?: number;
  /** The host's procfs: pids in it are those of the initial pid namespace. */
  readonly procRoot?: string;
  /** Keep arguments, secrets masked. */
  readonly commandArgs?: boolean;
  /** Read the identity that applications publish in their memory (process-context.ts); default true. */
  readonly processContext?: boolean;
  /** Is told of everything that is published, and when nothing learnt of a process counts any more. */
  readonly contexts?: ContextListener;
}

/** Who wants more of a process context than the identity in it (trace-context.ts). */
export interface ContextListener {
  published(process: ProcessKey, context: PublishedContext): void;
  forget(processes: readonly ProcessKey[]): void;
}

interface Entry {
  owner: Owner;
  facts: ProcessFacts;
  identity: ProcessIdentity;
  /** What its container's part of the identity was made from. */
  workload: WorkloadFacts | undefined;
  refreshes: number;
  /** Look for a published identity again in this generation, and by how much later next time. */
  nextLook: number;
  lookStep: number;
}

/** An identity and what it was made from. */
interface Joined {
  readonly identity: ProcessIdentity;
  readonly workload: WorkloadFacts | undefined;
}

interface Origin {
  readonly owner: Owner;
  readonly facts: ProcessFacts;
  readonly workload: WorkloadFacts;
  renewed: ProcessIdentity | undefined;
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
  readonly #procRoot: string;
  readonly #commandArgs: boolean;
  readonly #processContext: boolean;
  readonly #contexts: ContextListener | undefined;
  readonly #slots: LRUCache<number, Slot>;
  readonly #anonymous: ProcessIdentity;
  /** What identities of containers not reported yet were made from. */
  readonly #incomplete = new WeakMap<ProcessIdentity, Origin>();
  #generation = 0;
  /** pids still to be looked at in this round of sweeps. */
  #idle: number[] = [];

  constructor(options: ProcessTableOptions) {
    this.#context = options;
    this.#procRoot = options.procRoot ?? '/proc';
    this.#commandArgs = options.commandArgs ?? false;
    this.#processContext = options.processContext ?? true;
    this.#contexts = options.contexts;
    this.#slots = new LRUCache({
      max: options.maxProcesses ?? 16_384,
      dispose: (slot, _pid, reason) => {
        if (reason !== 'evict') return;
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
    const slot = this.#slot(event.owner.pid);
    const known = find(slot, event.owner);
    // Other users of the same process have the old facts; they are made anew when seen.
    for (let i = slot.entries.length - 1; i >= 0; i--) {
      const entry = slot.entries[i] as Entry;
      if (entry !== known && entry.owner.startTime === event.owner.startTime) slot.entries.splice(i, 1);
    }
    this.#contexts?.forget([event.owner]);
    const facts = this.#gather(event.owner, event);
    if (known === undefined) this.#add(slot, event.owner, facts);
    else this.#replace(known, event.owner, facts);
  }

  /** The same object for the same process as long as nothing is learnt of it that changes its metadata. */
  identify(owner: Owner | undefined): ProcessIdentity {
    if (owner === undefined) {
      this.counts.anonymous++;
      return this.#anonymous;
    }
    const slot = this.#slot(owner.pid);
    const entry = find(slot, owner) ?? this.#learn(slot, owner);
    if (entry.owner.processName !== owner.processName || entry.owner.cgroupId !== owner.cgroupId)
      this.#reconsider(entry, owner);
    if (this.#generation >= entry.nextLook) this.#lookAgain(entry);
    if (entry.workload?.stale === true) this.#replace(entry, entry.owner, entry.facts);
    return entry.identity;
  }

  /** Of the executable; undefined: the process is not known, or has none. */
  nameOf({ pid, startTime }: ProcessKey): string | undefined {
    const entry = this.#slots.peek(pid)?.entries.find(({ owner }) => owner.startTime === startTime);
    return entry?.identity.executableName;
  }

  /** A new round of looking for processes that have exited, every ten seconds or so (see FIRST_LOOK). */
  beginSweep(): void {
    this.#generation++;
    if (this.#idle.length > 0) return;
    for (const pid of this.#slots.rkeys()) this.#idle.push(pid);
    this.#idle.reverse();
  }

  /** An incomplete identity with what was learnt of its container since; of the same program, should the process run another now. */
  current(identity: ProcessIdentity): ProcessIdentity {
    const origin = this.#incomplete.get(identity);
    if (origin === undefined || !origin.workload.stale) return identity;
    const { owner, facts } = origin;
    const entry = this.#slots
      .peek(owner.pid)
      ?.entries.find((other) => other.facts === facts && other.owner.uid === owner.uid);
    if (entry !== undefined) {
      if (entry.workload?.stale === true) this.#replace(entry, entry.owner, facts);
      return entry.identity;
    }
    origin.renewed = this.current(origin.renewed ?? this.#join(owner, facts).identity);
    return origin.renewed;
  }

  /**
   * Goes on with the round: forgets those of the next `limit` pids that have exited. What was seen in this round or the one
   * before is not looked at. Records in flight keep their identity.
   * @returns the processes forgotten
   */
  sweep(limit: number): { readonly pid: number; readonly startTime: bigint }[] {
    const gone: { pid: number; startTime: bigint }[] = [];
    for (let i = 0; i < limit; i++) {
      const pid = this.#idle.pop();
      if (pid === undefined) break;
      const slot = this.#slots.peek(pid);
      if (slot === undefined || !this.#isIdle(slot)) continue;
      const exited = slot.entries.filter(({ owner }) => !isAlive(this.#procRoot, pid, owner.startTime));
      for (const { owner } of exited) gone.push({ pid, startTime: owner.startTime });
      if (exited.length === slot.entries.length) this.#slots.delete(pid);
      else for (const entry of exited) slot.entries.splice(slot.entries.indexOf(entry), 1);
    }
    this.counts.exited += gone.length;
    this.#contexts?.forget(gone);
    return gone;
  }

  #isIdle(slot: Slot): boolean {
    return slot.generation < this.#generation - 1;
  }

  #slot(pid: number): Slot {
    let slot = this.#slots.get(pid);
    if (slot === undefined) {
      slot = { entries: [], generation: this.#generation };
      this.#slots.set(pid, slot);
    } else slot.generation = this.#generation;
    return slot;
  }

  /** A process, or a user of a process, not seen before: its announcement was lost, or it changed its user. */
  #learn(slot: Slot, owner: Owner): Entry {
    const sibling = slot.entries.find((entry) => entry.owner.startTime === owner.startTime);
    if (sibling === undefined) return this.#add(slot, owner, this.#gather(owner, undefined));
    this.counts.refreshed++;
    return this.#add(slot, owner, sibling.facts, false);
  }

  #add(slot: Slot, owner: Owner, facts: ProcessFacts, isNew = true): Entry {
    const joined = this.#join(owner, facts);
    const nextLook = this.#processContext ? this.#generation + FIRST_LOOK : Number.POSITIVE_INFINITY;
    const entry = { owner, facts, ...joined, refreshes: 0, nextLook, lookStep: FIRST_LOOK };
    slot.entries.unshift(entry);
    if (slot.entries.length > MOST_VARIANTS) {
      slot.entries.pop();
      this.counts.evicted++;
    }
    if (isNew) this.counts[facts.announced ? 'kernel' : facts.fromProc ? 'proc' : 'bare']++;
    return entry;
  }

  #replace(entry: Entry, owner: Owner, facts: ProcessFacts): void {
    entry.owner = owner;
    entry.facts = facts;
    const { identity, workload } = this.#join(owner, facts);
    entry.workload = workload;
    if (isSame(identity, entry.identity)) return;
    entry.identity = identity;
    this.counts.refreshed++;
  }

  /** The leader has another name (exec whose announcement was lost, or prctl), or the process another cgroup. */
  #reconsider(entry: Entry, owner: Owner): void {
    if (entry.refreshes >= MOST_REFRESHES) return;
    entry.refreshes++;
    const before = entry.owner;
    entry.owner = owner;
    if (before.processName !== owner.processName) {
      const now = currentExecutable(owner, this.#procRoot);
      // Both: paths of the kernel's walk and of /proc may differ under chroot, inodes under overlayfs.
      const { executablePath, executableInode } = entry.facts;
      if (now !== undefined && now.inode !== executableInode && now.path !== executablePath) {
        this.#replace(entry, owner, this.#gather(owner, undefined));
        return;
      }
    }
    if (before.cgroupId !== owner.cgroupId) {
      const cgroup = currentCgroup(owner, this.#procRoot);
      if (cgroup !== undefined) this.#replace(entry, owner, { ...entry.facts, ...cgroup });
    }
  }

  /** A process keeps what it published until it publishes something else: it may be busy, or read too late. */
  #lookAgain(entry: Entry): void {
    entry.lookStep = Math.min(entry.lookStep * LOOK_GROWTH, MOST_LOOK_SWEEPS);
    entry.nextLook = this.#generation + entry.lookStep;
    const found = currentContext(entry.owner, this.#procRoot);
    if (found === undefined) return;
    this.#noteContext(entry.owner, found.outcome);
    const { published } = found;
    if (published !== undefined) this.#replace(entry, entry.owner, { ...entry.facts, published });
  }

  #noteContext(owner: Owner, outcome: ContextOutcome): void {
    if (outcome.kind === 'busy') this.counts.contextBusy++;
    else if (outcome.kind === 'invalid') this.counts.contextInvalid++;
    if (outcome.kind !== 'read') return;
    this.counts.contextRead++;
    this.#contexts?.published(owner, outcome.context);
  }

  #gather(owner: Owner, record: RawProcess | undefined): ProcessFacts {
    const { facts, service, context } = gatherFacts(owner, record, {
      procRoot: this.#procRoot,
      commandArgs: this.#commandArgs,
      processContext: this.#processContext,
    });
    this.#noteContext(owner, context);
    if (service === 'unreadable') this.counts.environmentUnreadable++;
    if (service === 'invalid') this.counts.resourceAttributesInvalid++;
    return facts;
  }

  #join(owner: Owner, facts: ProcessFacts): Joined {
    const { resource, executableName, container, workload } = describe(owner, facts, this.#context);
    const identity: ProcessIdentity = {
      pid: owner.pid,
      startTime: owner.startTime,
      // Without a record the owner itself still is the kernel's word.
      attribution: facts.fromProc && !facts.announced ? 'proc' : 'kernel',
      executableName,
      containerId: container?.id,
      workload: workload?.name ?? container?.id.slice(0, SHORT_ID) ?? '',
      resource,
      ...(workload?.complete === false ? { incomplete: true as const } : {}),
    };
    if (workload?.complete === false)
      this.#incomplete.set(identity, { owner, facts, workload, renewed: undefined });
    return { identity, workload };
  }
}

function find(slot: Slot, owner: Owner): Entry | undefined {
  return slot.entries.find(
    (entry) => entry.owner.startTime === owner.startTime && entry.owner.uid === owner.uid,
  );
}
