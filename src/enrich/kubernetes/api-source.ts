/** Pods of this node and the cluster's namespaces, from the Kubernetes API. */
import type { Log } from '../../lib/log.ts';
import type { Attributes, ContainerMetadata, KubernetesStats, PodMetadata } from '../../model.ts';
import type { MetadataChange, MetadataSource } from '../containers/metadata-source.ts';
import type { Access } from './access.ts';
import { API_LIMITS, ApiClient, type ApiLimits } from './api-client.ts';
import { type ApiPod, readPod } from './api-pod.ts';
import { object, text } from './json.ts';
import { Namespaces, readNamespace } from './namespaces.ts';
import { OwnerLookup } from './owner-lookup.ts';
import { ownerPath } from './owners.ts';
import { describePod, keptAnnotation, type NamespaceMetadata, type PodRules } from './pod-metadata.ts';
import { PodStore } from './pod-store.ts';
import { type Pace, Reflector } from './reflector.ts';
import { SourceState } from './source-state.ts';

export interface ApiSourceOptions {
  readonly access: Access;
  readonly nodeName: string;
  readonly clusterName: string | undefined;
  readonly rules: PodRules;
  /** Ask who owns ReplicaSets and Jobs instead of reading it from their names. */
  readonly askOwners: boolean;
  readonly log: Log;
  readonly pace?: Pace;
  readonly limits?: ApiLimits;
  readonly lingerMs?: number;
}

const SWEEP_MS = 1000;
/** Pods wait so long for what surrounds them; after that they are described again when it comes. */
const SURROUNDINGS_MS = 2000;

export class KubernetesApiSource implements MetadataSource {
  readonly name = 'kubernetes';
  readonly annotates = true;
  readonly #options: ApiSourceOptions;
  readonly #client: ApiClient;
  readonly #store: PodStore;
  readonly #namespaces: Namespaces;
  readonly #owners: OwnerLookup | undefined;
  readonly #podReflector: Reflector<ApiPod>;
  readonly #namespaceReflector: Reflector<NamespaceMetadata>;
  readonly #states: Readonly<Record<'pods' | 'namespaces' | 'node', SourceState>>;
  readonly #abort = new AbortController();
  #place: Attributes;
  #onChange: ((change: MetadataChange) => void) | undefined;
  #listed = false;
  #sweeper: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: ApiSourceOptions) {
    this.#options = options;
    const { log, rules, lingerMs } = options;
    this.#client = new ApiClient(options.access, options.limits ?? API_LIMITS);
    this.#place = placeAttributes(options);
    this.#states = {
      pods: new SourceState(log, 'Kubernetes API: pods'),
      namespaces: new SourceState(log, 'Kubernetes API: namespaces'),
      node: new SourceState(log, 'Kubernetes API: node'),
    };
    this.#namespaces = new Namespaces((name) => this.#surroundingsChanged(name));
    this.#store = new PodStore({
      describe: (pod) => this.#describe(pod),
      onChange: (change) => this.#onChange?.(change),
      ...(lingerMs === undefined ? {} : { lingerMs }),
    });
    if (options.askOwners)
      this.#owners = new OwnerLookup(this.#client, (uid) =>
        this.#store.refresh((pod) => pod.owner?.uid === uid),
      );
    this.#podReflector = this.#reflectPods(keptAnnotation(rules.podAnnotations));
    this.#namespaceReflector = this.#reflectNamespaces(keptAnnotation(rules.namespaceAnnotations));
  }

  get connected(): boolean {
    return this.#listed && this.#states.pods.works;
  }

  get unreachable(): boolean {
    return this.#states.pods.fails;
  }

  start(onChange: (change: MetadataChange) => void): void {
    if (this.#onChange !== undefined) return;
    this.#onChange = onChange;
    this.#sweeper = setInterval(() => this.#store.sweep(), SWEEP_MS);
    this.#sweeper.unref();
    void this.#begin();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  container(id: string): ContainerMetadata | undefined {
    return this.#store.container(id);
  }

  pod(uid: string): PodMetadata | undefined {
    return this.#store.pod(uid);
  }

  pods(): Iterable<PodMetadata> {
    return this.#store.pods();
  }

  stats(): KubernetesStats {
    const counts = [this.#podReflector.counts, this.#namespaceReflector.counts];
    const total = (name: keyof (typeof counts)[0]) => counts.reduce((sum, one) => sum + one[name], 0);
    const failures: Record<string, number> = {};
    for (const state of Object.values(this.#states))
      for (const [reason, times] of Object.entries(state.failures))
        failures[reason] = (failures[reason] ?? 0) + times;
    return {
      source: this.name,
      connected: this.connected,
      resting: false,
      pods: this.#store.size,
      namespaces: this.#namespaces.size,
      lists: total('lists'),
      watches: total('watches'),
      events: total('events'),
      unread: total('unread'),
      failures,
      changes: this.#store.counts,
    };
  }

  async #begin(): Promise<void> {
    this.#namespaceReflector.start();
    const timer = new Promise((resolve) => setTimeout(resolve, SURROUNDINGS_MS).unref());
    await Promise.race([Promise.all([this.#namespaceReflector.attempted, this.#readNode()]), timer]);
    if (!this.#abort.signal.aborted) this.#podReflector.start();
  }

  async #stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#sweeper);
    this.#owners?.stop();
    await Promise.all([this.#podReflector.stop(), this.#namespaceReflector.stop()]);
  }

  #reflectPods(keep: (annotation: string) => boolean): Reflector<ApiPod> {
    return new Reflector<ApiPod>({
      client: this.#client,
      path: '/api/v1/pods',
      // A pod that has ended runs nothing, but may stay in the API for days.
      fieldSelector: `spec.nodeName=${this.#options.nodeName},status.phase!=Succeeded,status.phase!=Failed`,
      read: (value) => readPod(value, keep),
      onList: (pods) => {
        this.#store.replace(pods);
        this.#listed = true;
        if (this.#place['k8s.node.uid'] === undefined) void this.#readNode();
      },
      onSet: (pod) => this.#store.set(pod),
      onRemove: (pod) => this.#store.remove(pod),
      onState: (failure) => this.#states.pods.report(failure),
      ...(this.#options.pace === undefined ? {} : { pace: this.#options.pace }),
    });
  }

  #reflectNamespaces(keep: (annotation: string) => boolean): Reflector<NamespaceMetadata> {
    return new Reflector<NamespaceMetadata>({
      client: this.#client,
      path: '/api/v1/namespaces',
      metadataOnly: true,
      read: (value) => readNamespace(value, keep),
      onList: (namespaces) => this.#namespaces.replace(namespaces),
      onSet: (namespace) => this.#namespaces.set(namespace),
      onRemove: (namespace) => this.#namespaces.remove(namespace),
      onState: (failure) => this.#states.namespaces.report(failure),
      ...(this.#options.pace === undefined ? {} : { pace: this.#options.pace }),
    });
  }

  /** A node keeps its uid as long as it is registered: asked once, and again after an outage if that failed. */
  async #readNode(): Promise<void> {
    const path = `/api/v1/nodes/${encodeURIComponent(this.#options.nodeName)}`;
    const answer = await this.#client.get({ path, signal: this.#abort.signal });
    if (this.#abort.signal.aborted) return;
    this.#states.node.report('reason' in answer ? answer : undefined);
    if ('reason' in answer) return;
    const uid = text(object(object(answer.value)['metadata'])['uid']);
    if (uid === undefined || uid === this.#place['k8s.node.uid']) return;
    this.#place = { ...this.#place, 'k8s.node.uid': uid };
    this.#store.refresh(() => true);
  }

  #surroundingsChanged(name: string | undefined): void {
    const uid = this.#namespaces.clusterUid;
    if (uid !== undefined) this.#place = { ...this.#place, 'k8s.cluster.uid': uid };
    this.#store.refresh((pod) => name === undefined || pod.namespace === name);
  }

  #describe(pod: ApiPod): PodMetadata {
    const path = this.#owners === undefined ? undefined : ownerPath(pod);
    return describePod(
      pod,
      {
        namespace: this.#namespaces.get(pod.namespace),
        place: this.#place,
        grandOwner: path === undefined ? undefined : this.#owners?.get(pod.owner?.uid ?? '', path),
      },
      this.#options.rules,
    );
  }
}

function placeAttributes({ nodeName, clusterName }: ApiSourceOptions): Attributes {
  return {
    'k8s.node.name': nodeName,
    ...(clusterName === undefined ? {} : { 'k8s.cluster.name': clusterName }),
  };
}
