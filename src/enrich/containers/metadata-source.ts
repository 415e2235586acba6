/** Where the metadata of containers and pods comes from: one implementation per origin (CRI, Docker, Kubernetes API, kubelet). */
import type { ContainerMetadata, PodMetadata } from '../../model.ts';

export interface MetadataChange {
  readonly containerId?: string;
  readonly podUid?: string;
  /** It went away; what was known of it is forgotten after this call. */
  readonly gone?: true;
}

/**
 * Answers synchronously from its cache (bounded; events keep it fresh). An origin that cannot be reached is no error: it
 * tries again with growing pauses, and says so in `connected` and its counts.
 */
export interface MetadataSource {
  /** `cri`, `docker`, `kubernetes`, `kubelet`: metric attribute, so of low cardinality. */
  readonly name: string;
  /** What a record may wait for; undefined: both. */
  readonly tells?: 'containers' | 'pods';
  /** Pods have their annotations, which may say who is not to be captured. */
  readonly annotates?: true;
  /** Has its first whole list and its events: what it does not know now it may know soon. */
  readonly connected: boolean;
  /** Its last attempt to connect failed: not worth waiting for at the start. */
  readonly unreachable?: boolean;
  /** What it did and met, by low-cardinality words, for the program's own metrics. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Returns at once; connects and reconnects by itself. */
  start(onChange: (change: MetadataChange) => void): void;
  /** Idempotent. */
  stop(): Promise<void>;
  container(id: string): ContainerMetadata | undefined;
  pod(uid: string): PodMetadata | undefined;
  /** The kernel has seen this container: look now instead of waiting for the event. The change is told as any other. */
  seek?(containerId: string): void;
}
