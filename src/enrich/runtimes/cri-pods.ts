/**
 * Pods as the runtime was told of them when their sandboxes were made: the kubelet gives a sandbox the labels and annotations of
 * its pod (kuberuntime_sandbox.go, generatePodSandboxConfig). What is changed later the runtime never hears of.
 */
import { LRUCache } from 'lru-cache';
import type { PodMetadata } from '../../model.ts';
import { strings } from '../kubernetes/json.ts';
import { describePod, keptAnnotation, type PodRules } from '../kubernetes/pod-metadata.ts';
import type { CriSandbox } from './cri-client.ts';
import { text } from './told-text.ts';

/** A node has some hundred pods. Full: the least recently asked for is forgotten. */
const MAX_PODS = 8192;
const MAX_PAIRS = 256;
/** Labels that the kubelet adds to those of the pod (pkg/kubelet/types/labels.go). */
const KUBELET_LABEL = /^io\.kubernetes\.(?:pod|container)\./;

interface Known {
  readonly sandboxId: string;
  /** ns; a pod whose sandbox died gets another. */
  readonly created: number;
  readonly pod: PodMetadata;
}

export class SandboxPods {
  readonly #rules: PodRules;
  readonly #keep: (annotation: string) => boolean;
  readonly #pods = new LRUCache<string, Known>({ max: MAX_PODS });

  constructor(rules: PodRules) {
    this.#rules = rules;
    this.#keep = keptAnnotation(rules.podAnnotations);
  }

  get(uid: string): PodMetadata | undefined {
    return this.#pods.get(uid)?.pod;
  }

  /** Without the annotations that nobody reads: they can be large. */
  trimmed(sandbox: CriSandbox): CriSandbox {
    const { id, metadata, createdAt, labels, annotations } = sandbox;
    return {
      id,
      metadata,
      createdAt,
      labels: strings(labels, MAX_PAIRS),
      annotations: strings(annotations, MAX_PAIRS, this.#keep),
    };
  }

  /** @param sandbox a trimmed one @returns the uid of the pod if that made something known */
  set({ id, metadata, createdAt, labels, annotations }: CriSandbox): string | undefined {
    const uid = text(metadata?.uid);
    const name = text(metadata?.name);
    const namespace = text(metadata?.namespace);
    if (uid === '' || name === '') return undefined;
    const before = this.#pods.peek(uid);
    const created = Number(createdAt);
    if (before !== undefined && (before.sandboxId === id || before.created > created)) return undefined;
    const own = Object.entries(labels).filter(([key]) => !KUBELET_LABEL.test(key));
    const pod = {
      ...{ uid, nodeUid: uid, name, namespace, annotations, labels: Object.fromEntries(own) },
      // Not told.
      ...{ nodeName: undefined, created: undefined, owner: undefined, hostNetwork: false, containers: [] },
    };
    const around = { namespace: undefined, place: {}, grandOwner: undefined, ownersUnknown: true };
    this.#pods.set(uid, { sandboxId: id, created, pod: describePod(pod, around, this.#rules) });
    return uid;
  }

  /** Forgets the pods whose sandboxes are gone. */
  keepOnly(isThere: (sandboxId: string) => boolean): void {
    for (const [uid, { sandboxId }] of [...this.#pods.entries()])
      if (!isThere(sandboxId)) this.#pods.delete(uid);
  }

  delete(sandboxId: string): void {
    this.keepOnly((id) => id !== sandboxId);
  }
}
