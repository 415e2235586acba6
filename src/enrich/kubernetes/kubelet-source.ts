/**
 * Pods of this node from its kubelet's `/pods`, for an agent without rights at the API. The kubelet has no events: it is asked
 * every few seconds, and at once when a container was seen that is not known.
 */
import type { Log } from '../../lib/log.ts';
import type { Attributes, ContainerMetadata, KubernetesStats, PodMetadata } from '../../model.ts';
import type { MetadataChange, MetadataSource } from '../containers/metadata-source.ts';
import type { Access } from './access.ts';
import { API_LIMITS, ApiClient, type ApiLimits } from './api-client.ts';
import { readPod } from './api-pod.ts';
import { array, object } from './json.ts';
import { describePod, keptAnnotation, type PodRules } from './pod-metadata.ts';
import { PodStore } from './pod-store.ts';
import { SourceState } from './source-state.ts';

export interface KubeletSourceOptions {
  readonly access: Access;
  readonly nodeName: string;
  readonly clusterName: string | undefined;
  readonly rules: PodRules;
  readonly log: Log;
  /** Asked before each question; while not, the source rests and knows nothing. Default: always. */
  readonly isWanted?: () => boolean;
  readonly intervalMs?: number;
  readonly limits?: ApiLimits;
  readonly lingerMs?: number;
}

const INTERVAL_MS = 5000;
/** An unknown container makes it ask at once, but not more often than this. */
const LEAST_INTERVAL_MS = 250;
const MAX_INTERVAL_MS = 60_000;
/** At rest: how soon it is noticed that somebody wants it. */
const REST_MS = 1000;
const MAX_PODS = 4096;

export class KubeletSource implements MetadataSource {
  readonly name = 'kubelet';
  readonly annotates = true;
  readonly #options: KubeletSourceOptions;
  readonly #client: ApiClient;
  readonly #store: PodStore;
  readonly #state: SourceState;
  readonly #keep: (annotation: string) => boolean;
  readonly #abort = new AbortController();
  readonly #counts = { lists: 0, unread: 0 };
  #onChange: ((change: MetadataChange) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** performance.now() of the last question; -Infinity: none yet. */
  #asked = Number.NEGATIVE_INFINITY;
  /** When the timer will ask. */
  #due = Number.POSITIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #failures = 0;

  constructor(options: KubeletSourceOptions) {
    this.#options = options;
    this.#client = new ApiClient(options.access, options.limits ?? API_LIMITS);
    this.#state = new SourceState(options.log, 'kubelet');
    this.#keep = keptAnnotation(options.rules.podAnnotations);
    const place: Attributes = {
      'k8s.node.name': options.nodeName,
      ...(options.clusterName === undefined ? {} : { 'k8s.cluster.name': options.clusterName }),
    };
    this.#store = new PodStore({
      describe: (pod) =>
        describePod(pod, { namespace: undefined, place, grandOwner: undefined }, options.rules),
      onChange: (change) => this.#onChange?.(change),
      ...(options.lingerMs === undefined ? {} : { lingerMs: options.lingerMs }),
    });
  }

  get connected(): boolean {
    return this.#state.works;
  }

  get unreachable(): boolean {
    return this.#state.fails || !this.#isWanted();
  }

  start(onChange: (change: MetadataChange) => void): void {
    if (this.#onChange !== undefined) return;
    this.#onChange = onChange;
    this.#askIn(0);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    await this.#asking;
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

  seek(): void {
    this.#askIn(LEAST_INTERVAL_MS);
  }

  stats(): KubernetesStats {
    return {
      source: this.name,
      connected: this.connected,
      resting: !this.#isWanted(),
      pods: this.#store.size,
      namespaces: 0,
      lists: this.#counts.lists,
      watches: 0,
      events: 0,
      unread: this.#counts.unread,
      failures: this.#state.failures,
      changes: this.#store.counts,
    };
  }

  /** Asks so long after the last question, or earlier if that is planned. */
  #askIn(sinceLastMs: number): void {
    if (this.#onChange === undefined || this.#abort.signal.aborted || this.#asking !== undefined) return;
    const due = Math.max(this.#asked + sinceLastMs, performance.now());
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(
      () => {
        this.#asking = this.#turn().finally(() => {
          this.#asking = undefined;
          this.#due = Number.POSITIVE_INFINITY;
          this.#store.sweep();
          this.#askIn(this.#isWanted() ? this.#interval() : REST_MS);
        });
      },
      Math.max(due - performance.now(), 0),
    );
    this.#timer.unref();
  }

  #isWanted(): boolean {
    return this.#options.isWanted?.() ?? true;
  }

  #interval(): number {
    const { intervalMs = INTERVAL_MS } = this.#options;
    return Math.min(intervalMs * 2 ** Math.min(this.#failures, 8), Math.max(MAX_INTERVAL_MS, intervalMs));
  }

  async #turn(): Promise<void> {
    this.#asked = performance.now();
    if (this.#isWanted()) return this.#ask();
    this.#failures = 0;
    this.#state.reset();
    this.#store.replace([]);
  }

  async #ask(): Promise<void> {
    const answer = await this.#client.get({ path: '/pods', signal: this.#abort.signal });
    if (this.#abort.signal.aborted) return;
    const { kind, items } = object('value' in answer ? answer.value : undefined);
    // A kubelet without pods writes `null`.
    if ('reason' in answer || kind !== 'PodList' || !(items === null || Array.isArray(items))) {
      this.#failures++;
      this.#state.report(
        'reason' in answer ? answer : { reason: 'malformed', message: 'the answer is not a list of pods' },
      );
      return;
    }
    this.#failures = 0;
    this.#counts.lists++;
    const pods = array(items, MAX_PODS).flatMap((value) => {
      const phase = object(object(value)['status'])['phase'];
      if (phase === 'Succeeded' || phase === 'Failed') return [];
      const pod = readPod(value, this.#keep);
      if (pod === undefined) this.#counts.unread++;
      return pod ?? [];
    });
    this.#store.replace(pods);
    this.#state.report(undefined);
  }
}
