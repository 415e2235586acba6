/** The cluster's namespaces: what their labels and annotations say of the pods in them. */
import { object, strings, text } from './json.ts';
import type { NamespaceMetadata } from './pod-metadata.ts';

const MAX_PAIRS = 256;
const MAX_NAMESPACES = 10_000;
/** Its uid stands for the cluster's (semantic conventions, `k8s.cluster.uid`). */
const CLUSTER_NAMESPACE = 'kube-system';

export function readNamespace(
  value: unknown,
  keep: (annotation: string) => boolean,
): NamespaceMetadata | undefined {
  const { name, uid, labels, annotations } = object(object(value)['metadata']);
  const known = text(name);
  if (known === undefined) return undefined;
  return {
    name: known,
    uid: text(uid),
    labels: strings(labels, MAX_PAIRS),
    annotations: strings(annotations, MAX_PAIRS, keep),
  };
}

export class Namespaces {
  readonly counts = { refused: 0 };
  readonly #byName = new Map<string, NamespaceMetadata>();
  /** Told the name of a namespace that is another now; undefined: the cluster's uid has become known. */
  readonly #onChange: (name: string | undefined) => void;

  constructor(onChange: (name: string | undefined) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#byName.size;
  }

  get clusterUid(): string | undefined {
    return this.#byName.get(CLUSTER_NAMESPACE)?.uid;
  }

  get(name: string): NamespaceMetadata | undefined {
    return this.#byName.get(name);
  }

  replace(namespaces: readonly NamespaceMetadata[]): void {
    const present = new Set(namespaces.map(({ name }) => name));
    for (const name of [...this.#byName.keys()]) if (!present.has(name)) this.#byName.delete(name);
    for (const namespace of namespaces) this.set(namespace);
  }

  set(namespace: NamespaceMetadata): void {
    const { name } = namespace;
    const before = this.#byName.get(name);
    if (before === undefined && this.#byName.size >= MAX_NAMESPACES) {
      this.counts.refused++;
      return;
    }
    const uid = this.clusterUid;
    this.#byName.set(name, namespace);
    if (this.clusterUid !== uid) this.#onChange(undefined);
    else if (JSON.stringify(before) !== JSON.stringify(namespace)) this.#onChange(name);
  }

  remove({ name }: NamespaceMetadata): void {
    this.#byName.delete(name);
  }
}
