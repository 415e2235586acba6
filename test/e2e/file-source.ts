/** Pods from a JSON file, read again when it changes: a metadata source that a test can write to. */
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import type { MetadataChange, MetadataSource } from '../../src/enrich/containers/metadata-source.ts';
import type { ContainerMetadata, PodMetadata } from '../../src/model.ts';

export interface FilePod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly namespaceAnnotations: Readonly<Record<string, string>>;
  readonly containers: readonly { readonly name: string; readonly id: string }[];
}

export class FileSource implements MetadataSource {
  readonly name = 'file';
  readonly tells = 'pods';
  readonly annotates = true;
  connected = false;
  readonly #path: string;
  readonly #pods = new Map<string, PodMetadata>();
  #watcher: FSWatcher | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  start(onChange: (change: MetadataChange) => void): void {
    this.#read(onChange);
    this.connected = true;
    this.#watcher = watch(this.#path, () => this.#read(onChange));
  }

  async stop(): Promise<void> {
    this.#watcher?.close();
  }

  container(): ContainerMetadata | undefined {
    return undefined;
  }

  pod(uid: string): PodMetadata | undefined {
    return this.#pods.get(uid);
  }

  #read(onChange: (change: MetadataChange) => void): void {
    const text = readFileSync(this.#path, 'utf8');
    if (text === '') return; // in the middle of being written
    for (const pod of JSON.parse(text) as FilePod[]) {
      this.#pods.set(pod.uid, {
        labels: {},
        ...pod,
        namespaceLabels: {},
        hostNetwork: false,
        containers: pod.containers.map((each) => ({
          ...each,
          kind: 'container',
          restartCount: 0,
          attributes: {},
        })),
        attributes: { 'k8s.pod.uid': pod.uid, 'k8s.pod.name': pod.name, 'k8s.namespace.name': pod.namespace },
      });
      onChange({ podUid: pod.uid });
    }
  }
}
