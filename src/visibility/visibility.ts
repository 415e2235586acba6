/**
 * Keeps the kernel's map of levels as the workloads of the node and their annotations say, and judges in user space what the
 * kernel cannot: containers whose control group it does not see (cgroup v1), or that found no room in its map.
 */
import { LRUCache } from 'lru-cache';
import type { CaptureLevel } from '../capture/kernel.ts';
import type { CgroupMounts } from '../enrich/containers/cgroup-mounts.ts';
import type { Log } from '../lib/log.ts';
import type { ProcessIdentity } from '../model.ts';
import { CgroupTree, type WorkloadGroup } from './cgroup-tree.ts';
import { type Decision, decide, decideHost, type Level, type Policy, type Unknown } from './decide.ts';
import {
  type Directory,
  isKnown,
  type Known,
  type LevelChange,
  lookUp,
  nameOf,
  statusOf,
  subjectOf,
  type Workload,
  type WorkloadStatus,
} from './workload.ts';

/** The kernel's side (capture/kernel.ts). */
export interface LevelMap {
  /** @returns the groups that found no room */
  setLevels(changes: ReadonlyMap<bigint, CaptureLevel | undefined>): readonly bigint[];
}

export interface VisibilityOptions {
  readonly policy: Policy;
  readonly directory: Directory;
  readonly mounts: CgroupMounts;
  readonly kernel: LevelMap;
  readonly log: Log;
  readonly onChange: (change: LevelChange) => void;
}

export interface VisibilityCounts {
  /** Changes of a workload's level. */
  changes: number;
  /** Annotations with a value that nobody understands, each once. */
  unknownValues: number;
  /** Containers that the kernel's map has no room for now. */
  refused: number;
}

/** Metadata comes in bursts. */
const SETTLE_MS = 50;
/** Told apart, so that each is reported once; beyond it the oldest may be reported again. */
const MAX_REPORTED = 4096;
const NOTHING: Known = { container: undefined, pod: undefined, name: undefined };

export class Visibility {
  readonly counts: VisibilityCounts = { changes: 0, unknownValues: 0, refused: 0 };
  readonly #options: VisibilityOptions;
  readonly #tree: CgroupTree;
  readonly #host: Decision;
  /** Host processes can be told from containers by their control group. */
  readonly #hostEnforced: boolean;
  /** Key: mount path and group path. */
  #workloads = new Map<string, Workload>();
  #byContainer = new Map<string, Workload>();
  readonly #reported = new LRUCache<string, true>({ max: MAX_REPORTED });
  readonly #prompted = new LRUCache<string, true>({ max: MAX_REPORTED });
  #levels = new WeakMap<ProcessIdentity, Level>();
  #timer: NodeJS.Timeout | undefined;
  #warnedFull = false;
  #started = false;

  constructor(options: VisibilityOptions) {
    const { mounts, policy } = options;
    this.#options = options;
    this.#host = decideHost(policy);
    this.#hostEnforced = mounts.v2 !== undefined && mounts.v1 === undefined;
    const roots = [mounts.v2, mounts.v1].flatMap((mount) => (mount === undefined ? [] : [mount]));
    this.#tree = new CgroupTree({ mounts: roots, onChange: () => this.#apply() });
  }

  /** The kernel programs must run by now. */
  start(): void {
    this.#started = true;
    this.#tree.start();
    this.#setRoot();
    this.#apply();
  }

  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    this.#tree.stop();
  }

  /** A metadata source learnt or forgot something. */
  metadataChanged(): void {
    if (this.#started) this.#timer ??= setTimeout(() => this.#apply(), SETTLE_MS).unref();
  }

  /** A process was seen: of a container that is not known yet, perhaps. */
  seen({ containerId }: ProcessIdentity): void {
    if (containerId === undefined || this.#byContainer.has(containerId) || this.#prompted.has(containerId))
      return;
    this.#prompted.set(containerId, true);
    this.#tree.prompt();
  }

  /**
   * Whether records of a process that came through the kernel are wanted. What the kernel judges is; the rest is judged
   * here.
   */
  levelOf(process: ProcessIdentity): Level {
    let level = this.#levels.get(process);
    if (level === undefined) {
      level = this.#judge(process);
      this.#levels.set(process, level);
    }
    return level;
  }

  /** What was decided for a process, wherever it is enforced. */
  decisionFor({ containerId, attribution, resource }: ProcessIdentity): Level {
    // It is not known whose it is, or that is somebody's word who may want to be out of sight.
    if (attribution === 'none' || attribution === 'unverified') return 'on';
    if (containerId === undefined) return this.#host.level;
    const workload = this.#byContainer.get(containerId);
    if (workload !== undefined) return workload.decision.level;
    const uid = resource['k8s.pod.uid'];
    const known = lookUp(this.#options.directory, containerId, typeof uid === 'string' ? uid : undefined);
    return this.#decide(known).level;
  }

  /** The host first, then containers by name. */
  status(): WorkloadStatus[] {
    if (!this.#started) this.#look();
    const host: WorkloadStatus = {
      kind: 'host',
      namespace: undefined,
      pod: undefined,
      container: undefined,
      containerId: undefined,
      cgroup: '/',
      ...this.#host,
      enforcedBy: this.#hostEnforced ? 'kernel' : 'agent',
    };
    const containers = [...this.#byContainer.values()].flatMap((workload) => {
      const known = this.#known(workload.group);
      return known.container?.sandbox === true ? [] : [statusOf(workload, known)];
    });
    const key = (status: WorkloadStatus) =>
      [status.namespace, status.pod, status.container, status.containerId]
        .map((part) => part ?? '\uffff')
        .join('\0');
    return [host, ...containers.sort((a, b) => (key(a) < key(b) ? -1 : 1))];
  }

  #judge(process: ProcessIdentity): Level {
    const { containerId } = process;
    const isEnforced =
      containerId === undefined ? this.#hostEnforced : this.#byContainer.get(containerId)?.enforced === true;
    return isEnforced ? 'on' : this.decisionFor(process);
  }

  /** Nothing is enforced, so nobody keeps looking: looks once. */
  #look(): void {
    this.#tree.refresh();
    this.#decideAll([]);
  }

  #setRoot(): void {
    if (!this.#hostEnforced) return;
    const root = this.#tree.roots().find(({ mount }) => mount.version === 2);
    if (root !== undefined) this.#options.kernel.setLevels(new Map([[root.id, this.#host.level]]));
  }

  /** Decides anew for every group and tells the kernel what is different. */
  #apply(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#started) return;
    const before = this.#workloads;
    const changes: LevelChange[] = [];
    this.#decideAll(changes);
    this.#tellKernel(before);
    for (const change of changes) this.#report(change);
  }

  #decideAll(changes: LevelChange[]): void {
    const before = this.#workloads;
    this.#workloads = new Map();
    this.#byContainer = new Map();
    this.#levels = new WeakMap();
    for (const group of this.#tree.workloads()) {
      const key = `${group.mount.path}\0${group.path}`;
      const old = before.get(key);
      const workload = this.#consider(group, old?.group.id === group.id ? old : undefined, changes);
      this.#workloads.set(key, workload);
      if (group.containerId !== undefined && !this.#byContainer.has(group.containerId))
        this.#byContainer.set(group.containerId, workload);
    }
  }

  #consider(group: WorkloadGroup, old: Workload | undefined, changes: LevelChange[]): Workload {
    const known = this.#known(group);
    // A pod is forgotten before its last processes are gone, and all are while a source connects anew: what held stands.
    const before = !isKnown(known) && old?.known === true ? old : undefined;
    const decision = before?.decision ?? this.#decide(known);
    const previous = old?.decision.level ?? this.#options.policy.default;
    if (group.kind === 'container' && known.container?.sandbox !== true && decision.level !== previous) {
      const { containerId, podUid } = group;
      changes.push({ name: nameOf(known, group), known, containerId, podUid, previous, decision });
    }
    const isSame = old?.decision.level === decision.level;
    return {
      group,
      decision,
      known: isKnown(known) || before !== undefined,
      enforced: isSame && old?.enforced === true,
    };
  }

  #known({ containerId, podUid, kind }: WorkloadGroup): Known {
    if (kind === 'pods') return NOTHING;
    return lookUp(this.#options.directory, containerId, podUid);
  }

  #decide(known: Known): Decision {
    return decide(this.#options.policy, subjectOf(known), (unknown) => this.#reportUnknown(known, unknown));
  }

  #tellKernel(before: ReadonlyMap<string, Workload>): void {
    const changes = new Map<bigint, CaptureLevel | undefined>();
    for (const [key, { group }] of before)
      if (group.mount.version === 2 && this.#workloads.get(key)?.group.id !== group.id)
        changes.set(group.id, undefined);
    const pending = new Map<bigint, Workload>();
    for (const workload of this.#workloads.values()) {
      if (workload.group.mount.version !== 2 || workload.enforced) continue;
      changes.set(workload.group.id, workload.decision.level);
      pending.set(workload.group.id, workload);
    }
    if (changes.size === 0) return;
    const refused = new Set(this.#options.kernel.setLevels(changes));
    for (const [id, workload] of pending) workload.enforced = !refused.has(id);
    this.counts.refused = refused.size;
    if (refused.size > 0 && !this.#warnedFull) {
      this.#warnedFull = true;
      this.#options.log.warn(
        `visibility: the kernel's map has no room for ${refused.size} control groups; their records are left out by the agent`,
      );
    }
  }

  #report(change: LevelChange): void {
    const { name, previous, decision } = change;
    this.counts.changes++;
    this.#options.log.info(
      `visibility: ${name}: ${previous} -> ${decision.level} (${decision.origin}: ${decision.reason})`,
    );
    this.#options.onChange(change);
  }

  #reportUnknown(known: Known, { origin, key, value }: Unknown): void {
    const pod = known.pod;
    const owner = origin === 'namespace' ? pod?.namespace : `${pod?.namespace}/${pod?.name}`;
    const told = JSON.stringify([origin, owner, key, value]);
    if (this.#reported.has(told)) return;
    this.#reported.set(told, true);
    this.counts.unknownValues++;
    this.#options.log.warn(
      `visibility: ${origin === 'namespace' ? 'namespace' : 'pod'} ${owner}: ${key}: "${value}" is not on, off or metrics: ignored`,
    );
  }
}
