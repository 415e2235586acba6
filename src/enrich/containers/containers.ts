/**
 * All metadata sources as one directory: what is known of a container and its pod. Facts are interned per container, so that
 * asking again costs one look-up; when a source learns something they are marked stale, and who holds them asks again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { type ContainerFacts, containerAttributes } from './container-facts.ts';
import type { MetadataChange, MetadataSource } from './metadata-source.ts';

/** Containers known at once. Full: the least recently asked for is forgotten, and asked for anew should it be seen again. */
const MAX_CONTAINERS = 8192;
/** Containers that are gone stay known so long: events of their last processes may still wait in the kernel's ring. */
const GRACE_MS = 10_000;
/** Records of a container that nobody has reported wait at most so long. */
export const WAIT_MS = 500;
/** A new runtime is looked for at most so often. */
const DISCOVER_MS = 10_000;
const READY_STEP_MS = 20;
/** Ids that runtimes with a socket give. */
const RUNTIME_ID = /^[0-9a-f]{64}$/;

export interface ContainersOptions {
  readonly sources: readonly MetadataSource[];
  /** Called when a container is seen that no source knows: sources that have come up since. */
  readonly discover?: () => Promise<readonly MetadataSource[]>;
  /** ms, monotonic; replaced in tests only. */
  readonly now?: () => number;
}

export interface ContainerCounts {
  /** Containers first seen in the kernel and not known then. */
  unknown: number;
  /** Of containers that went away. */
  forgotten: number;
  /** For want of room. */
  evicted: number;
  /** Lookups that had to wait (workload-hold.ts). */
  held: number;
  /** Of these: all that was waited for came; the time was over; the buffer was full; the run ended. */
  completed: number;
  timeout: number;
  overflow: number;
  flushed: number;
}

export type MetadataCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A container whose metadata changed, came or went. */
export type ContainerListener = (containerId: string) => void;

interface Known {
  /** From the cgroup path, else from the runtime. */
  podUid: string | undefined;
  facts: ContainerFacts;
  /** It is gone: what was known stands until it is forgotten. */
  leaving: boolean;
}

export class Containers {
  readonly counts: ContainerCounts = {
    unknown: 0,
    forgotten: 0,
    evicted: 0,
    held: 0,
    completed: 0,
    timeout: 0,
    overflow: 0,
    flushed: 0,
  };
  readonly #options: ContainersOptions;
  readonly #now: () => number;
  readonly #sources: MetadataSource[];
  readonly #known: LRUCache<string, Known>;
  /** Containers known, by the pod they are in. */
  readonly #ofPod = new Map<string, Set<string>>();
  /** Gone containers and when they are forgotten, oldest first. */
  readonly #leaving = new Map<string, number>();
  #listener: ContainerListener = () => {};
  #observer: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #started = false;
  #stopped = false;

  constructor(options: ContainersOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#sources = [...options.sources];
    this.#known = new LRUCache({
      max: MAX_CONTAINERS,
      dispose: (known, id, reason) => {
        if (reason === 'set') return;
        if (reason === 'evict') this.counts.evicted++;
        this.#leaving.delete(id);
        this.#unlink(id, known.podUid);
      },
    });
  }

  get sources(): readonly MetadataSource[] {
    return this.#sources;
  }

  /** Containers known. */
  get size(): number {
    return this.#known.size;
  }

  /**
   * @param listener told of every container that was asked for and of which something was learnt.
   * @param observer told that any source learnt or forgot anything.
   */
  start(listener: ContainerListener = () => {}, observer: () => void = () => {}): void {
    this.#listener = listener;
    this.#observer = observer;
    this.#started = true;
    for (const source of this.#sources) source.start((change) => this.#changed(source, change));
  }

  /** Annotations of pods are known, or will be. */
  get annotated(): boolean {
    return this.#sources.some(({ annotates }) => annotates === true);
  }

  /** Resolves when all sources that can be reached are connected, or after `ms`. */
  async ready(ms: number): Promise<void> {
    const deadline = this.#now() + ms;
    const isAwaited = ({ connected, unreachable }: MetadataSource) => !connected && unreachable !== true;
    while (this.#sources.some(isAwaited) && this.#now() < deadline) await sleep(READY_STEP_MS);
  }

  /** By name of the source, those of the same name summed; and the own ones. */
  allCounts(): MetadataCounts {
    const sums: Record<string, Record<string, number>> = { containers: { ...this.counts } };
    for (const { name, connected, counts } of this.#sources) {
      sums[name] ??= {};
      const sum = sums[name];
      for (const [word, count] of Object.entries({ ...counts, connected: connected ? 1 : 0 }))
        sum[word] = (sum[word] ?? 0) + count;
    }
    return sums;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#sources.map((source) => source.stop()));
  }

  /** The same object until something is learnt of the container. */
  find(containerId: string, podUid: string | undefined): ContainerFacts {
    const known = this.#known.get(containerId);
    if (known === undefined) return this.#add(containerId, podUid);
    if (known.facts.stale) this.#refresh(containerId, known);
    return known.facts;
  }

  /** ms that a record of this container may wait for what is still missing; 0: nothing will come, or not in time. */
  timeoutMs(containerId: string): number {
    const known = this.#known.peek(containerId);
    if (known === undefined || known.leaving || known.facts.complete) return 0;
    return Math.max(known.facts.firstSeen + WAIT_MS - this.#now(), 0);
  }

  #add(containerId: string, podUid: string | undefined, leaving = false): ContainerFacts {
    const { facts, uid } = this.#facts(containerId, podUid, this.#now());
    this.#known.set(containerId, { podUid: uid, facts, leaving });
    if (uid !== undefined) this.#link(containerId, uid);
    if (!leaving && !this.#isReported(containerId, uid)) {
      this.counts.unknown++;
      for (const source of this.#sources) if (source.connected) source.seek?.(containerId);
      void this.#discover(containerId);
    }
    return facts;
  }

  #refresh(containerId: string, known: Known): void {
    const { facts, uid } = this.#facts(containerId, known.podUid, known.facts.firstSeen);
    known.facts = facts;
    if (known.podUid !== undefined || uid === undefined) return;
    known.podUid = uid;
    this.#link(containerId, uid);
  }

  #facts(
    containerId: string,
    podUid: string | undefined,
    firstSeen: number,
  ): { readonly facts: ContainerFacts; readonly uid: string | undefined } {
    const container = this.container(containerId);
    const uid = podUid ?? container?.pod?.uid;
    const pod = uid === undefined ? undefined : this.pod(uid);
    const isTold = container !== undefined && container.partial !== true;
    const isNamed = isTold || pod?.containers.some(({ id }) => id === containerId) === true;
    const complete =
      (isNamed || !this.#mayLearn('containers') || !RUNTIME_ID.test(containerId)) &&
      (uid === undefined || this.#ofCluster(uid) !== undefined || !this.#mayLearn('pods'));
    const attributes = containerAttributes(containerId, uid, container, pod);
    return { facts: { ...attributes, complete, firstSeen, stale: false }, uid };
  }

  /** As the first source has it that knows it. */
  container(id: string): ReturnType<MetadataSource['container']> {
    for (const source of this.#sources) {
      const container = source.container(id);
      if (container !== undefined) return container;
    }
    return undefined;
  }

  /** As the cluster has it now, else as a runtime was told when the pod began. */
  pod(uid: string): ReturnType<MetadataSource['pod']> {
    return this.#ofCluster(uid) ?? firstPod(this.#sources, uid);
  }

  #ofCluster(uid: string): ReturnType<MetadataSource['pod']> {
    return firstPod(
      this.#sources.filter(({ tells }) => tells !== 'containers'),
      uid,
    );
  }

  #isReported(containerId: string, podUid: string | undefined): boolean {
    if (this.container(containerId) !== undefined) return true;
    const pod = podUid === undefined ? undefined : this.pod(podUid);
    return pod?.containers.some(({ id }) => id === containerId) === true;
  }

  /** A source is connected that may tell soon what it does not know now. */
  #mayLearn(what: 'containers' | 'pods'): boolean {
    return this.#sources.some(({ connected, tells }) => connected && (tells ?? what) === what);
  }

  #changed(source: MetadataSource, change: MetadataChange): void {
    if (this.#stopped) return;
    this.#observer();
    const { containerId, podUid, gone } = change;
    const ids = podUid === undefined ? [] : [...(this.#ofPod.get(podUid) ?? [])];
    if (containerId !== undefined) ids.push(containerId);
    // A pod that one source gives up another may know: the kubelet rests when the API is there again.
    const isElsewhere =
      podUid !== undefined &&
      firstPod(
        this.#sources.filter((other) => other !== source),
        podUid,
      ) !== undefined;
    for (const id of ids) {
      if (gone === true && !isElsewhere) this.#leave(id, source);
      else this.#renew(id);
    }
  }

  #renew(id: string): void {
    const known = this.#known.peek(id);
    if (known === undefined) return;
    known.leaving = false;
    this.#leaving.delete(id);
    known.facts.stale = true;
    this.#listener(id);
  }

  /** What is known now stands for the time of grace, for processes not seen yet too. */
  #leave(id: string, source: MetadataSource): void {
    let known = this.#known.peek(id);
    if (known === undefined) {
      if (source.container(id) === undefined) return;
      this.#add(id, undefined, true);
      known = this.#known.peek(id);
    } else if (known.facts.stale) this.#refresh(id, known);
    if (known === undefined) return;
    known.leaving = true;
    if (this.#leaving.has(id)) return;
    this.#leaving.set(id, this.#now() + GRACE_MS);
    this.#timer ??= setTimeout(() => this.#forget(), GRACE_MS).unref();
    this.#listener(id);
  }

  #forget(): void {
    this.#timer = undefined;
    for (const [id, due] of this.#leaving) {
      if (due > this.#now()) {
        this.#timer = setTimeout(() => this.#forget(), due - this.#now()).unref();
        return;
      }
      this.counts.forgotten++;
      this.#known.delete(id);
    }
  }

  #link(containerId: string, podUid: string): void {
    const ids = this.#ofPod.get(podUid);
    if (ids === undefined) this.#ofPod.set(podUid, new Set([containerId]));
    else ids.add(containerId);
  }

  #unlink(containerId: string, podUid: string | undefined): void {
    if (podUid === undefined) return;
    const ids = this.#ofPod.get(podUid);
    if (ids?.delete(containerId) === true && ids.size === 0) this.#ofPod.delete(podUid);
  }

  async #discover(containerId: string): Promise<void> {
    const { discover } = this.#options;
    const now = this.#now();
    if (discover === undefined || !this.#started || now - this.#lookedAt < DISCOVER_MS) return;
    this.#lookedAt = now;
    for (const source of await discover()) {
      if (this.#stopped) return;
      this.#sources.push(source);
      source.start((change) => this.#changed(source, change));
      source.seek?.(containerId);
    }
  }
}

function firstPod(sources: readonly MetadataSource[], uid: string): ReturnType<MetadataSource['pod']> {
  for (const source of sources) {
    const pod = source.pod(uid);
    if (pod !== undefined) return pod;
  }
  return undefined;
}
