/**
 * The pods of this node by the uid of their cgroups. Bounded. A pod that went away is remembered for a while: a force-deleted
 * pod's processes outlive its API object, and the last queries of any pod come after its end.
 */
import type { ContainerMetadata, PodMetadata } from '../../model.ts';
import type { MetadataChange } from '../containers/metadata-source.ts';
import type { ApiContainer, ApiPod } from './api-pod.ts';
import { parseImage, repositoryDigest } from './image.ts';

export interface PodStoreOptions {
  readonly describe: (pod: ApiPod) => PodMetadata;
  readonly onChange: (change: MetadataChange) => void;
  /** Default 4096; the kubelet's default is 110 pods. */
  readonly max?: number;
  readonly lingerMs?: number;
}

interface Entry {
  readonly pod: ApiPod;
  readonly metadata: PodMetadata;
}

const MAX_PODS = 4096;
const LINGER_MS = 30_000;

export class PodStore {
  readonly counts = { added: 0, changed: 0, removed: 0, evicted: 0, refused: 0 };
  readonly #options: PodStoreOptions;
  readonly #entries = new Map<string, Entry>();
  /** Container id -> uid of its pod. */
  readonly #containers = new Map<string, string>();
  /** Uid -> when it went away (performance.now()), oldest first. */
  readonly #gone = new Map<string, number>();

  constructor(options: PodStoreOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  pod(uid: string): PodMetadata | undefined {
    return this.#entries.get(uid)?.metadata;
  }

  *pods(): Generator<PodMetadata> {
    for (const { metadata } of this.#entries.values()) yield metadata;
  }

  container(id: string): ContainerMetadata | undefined {
    const entry = this.#entries.get(this.#containers.get(id) ?? '');
    if (entry === undefined) return undefined;
    const found = entry.pod.containers.find((one) => one.id === id || one.previousId === id);
    return found === undefined ? undefined : describeContainer(id, found, entry.pod);
  }

  /** The whole list: what is not in it has gone. */
  replace(pods: readonly ApiPod[]): void {
    const present = new Set(pods.map(({ uid }) => uid));
    for (const { pod } of [...this.#entries.values()]) if (!present.has(pod.uid)) this.remove(pod);
    for (const pod of pods) this.set(pod);
  }

  set(pod: ApiPod): void {
    const before = this.#entries.get(pod.nodeUid);
    if (before === undefined && !this.#makeRoom()) {
      this.counts.refused++;
      return;
    }
    // A mirror claims another uid by annotations, which anyone may write: a pod of that uid itself stands.
    if (before !== undefined && isMirror(pod) && !isMirror(before.pod)) {
      this.counts.refused++;
      return;
    }
    this.#gone.delete(pod.nodeUid);
    const metadata = this.#options.describe(pod);
    this.#index(before?.pod, pod);
    if (before === undefined) this.counts.added++;
    else if (JSON.stringify(metadata) === JSON.stringify(before.metadata)) {
      this.#entries.set(pod.nodeUid, { pod, metadata: before.metadata });
      return;
    } else this.counts.changed++;
    this.#entries.set(pod.nodeUid, { pod, metadata });
    this.#options.onChange({ podUid: pod.nodeUid });
  }

  /** Begins to forget it. */
  remove({ uid, nodeUid }: ApiPod): void {
    // A mirror that was made anew has the same cgroup uid: the removal of the old one is not its end.
    if (this.#entries.get(nodeUid)?.pod.uid !== uid || this.#gone.has(nodeUid)) return;
    this.#gone.set(nodeUid, performance.now());
  }

  /** What surrounds these pods has changed. */
  refresh(concerns: (pod: ApiPod) => boolean): void {
    for (const [uid, { pod, metadata }] of this.#entries) {
      if (!concerns(pod)) continue;
      const now = this.#options.describe(pod);
      if (JSON.stringify(now) === JSON.stringify(metadata)) continue;
      this.counts.changed++;
      this.#entries.set(uid, { pod, metadata: now });
      this.#options.onChange({ podUid: uid });
    }
  }

  /** Forgets what went away long enough ago; to be called now and then. */
  sweep(): void {
    const before = performance.now() - (this.#options.lingerMs ?? LINGER_MS);
    for (const [uid, since] of this.#gone) {
      if (since > before) return;
      this.counts.removed++;
      this.#forget(uid);
    }
  }

  #makeRoom(): boolean {
    if (this.#entries.size < (this.#options.max ?? MAX_PODS)) return true;
    const [oldest] = this.#gone.keys();
    if (oldest === undefined) return false;
    this.counts.evicted++;
    this.#forget(oldest);
    return true;
  }

  #forget(uid: string): void {
    const entry = this.#entries.get(uid);
    this.#gone.delete(uid);
    this.#entries.delete(uid);
    if (entry !== undefined) this.#index(entry.pod, undefined);
    this.#options.onChange({ podUid: uid, gone: true });
  }

  #index(before: ApiPod | undefined, now: ApiPod | undefined): void {
    for (const id of idsOf(before))
      if (this.#containers.get(id) === before?.nodeUid) this.#containers.delete(id);
    for (const id of idsOf(now)) if (now !== undefined) this.#containers.set(id, now.nodeUid);
  }
}

function isMirror({ uid, nodeUid }: ApiPod): boolean {
  return uid !== nodeUid;
}

function idsOf(pod: ApiPod | undefined): string[] {
  return (pod?.containers ?? []).flatMap(({ id, previousId }) =>
    [id, previousId].filter((known) => known !== undefined),
  );
}

function describeContainer(id: string, container: ApiContainer, pod: ApiPod): ContainerMetadata {
  const { name, image, imageId, restartCount, runtime } = container;
  const parsed = image === undefined ? undefined : parseImage(image);
  const digest = imageId === undefined ? undefined : repositoryDigest(imageId);
  return {
    id,
    name,
    imageName: parsed?.name,
    imageId,
    imageTags: parsed === undefined ? [] : [parsed.tag ?? 'latest'],
    imageRepoDigests: digest === undefined ? [] : [digest],
    labels: {},
    runtimeName: runtime ?? '',
    runtimeVersion: undefined,
    sandbox: false,
    pod: { uid: pod.nodeUid, name: pod.name, namespace: pod.namespace, container: name },
    restartCount: id === container.id ? restartCount : Math.max(restartCount - 1, 0),
  };
}
