/** Containers of the Docker Engine API (dockerd, Podman): one list at the start, then events. */
import { LRUCache } from 'lru-cache';
import type { ContainerMetadata, PodMetadata } from '../../model.ts';
import type { MetadataChange, MetadataSource } from '../containers/metadata-source.ts';
import { DockerClient } from './docker-client.ts';
import {
  type DockerVersion,
  eventOf,
  imageOf,
  type ListedContainer,
  listedOf,
  objectOf,
  ofListed,
  versionOf,
} from './docker-metadata.ts';
import { KnownContainers } from './known-containers.ts';
import { LookUps } from './look-ups.ts';
import { failureOf, pause, type RuntimeOptions, Sessions } from './session.ts';

/** An event can be lost: so often the whole list is compared. */
const RELIST_MS = 300_000;
const MAX_IMAGES = 1024;
/** Containers known from events alone, whose image is to be asked for. */
const MAX_PARTIAL = 1024;
const IMAGE_MS = 300_000;
/** Docker destroys a container, Podman removes it. */
const ENDS = ['destroy', 'remove'];
/** What begins a container or changes its name, and what ends it. */
const EVENTS = ['create', 'start', 'rename', ...ENDS];

export class DockerSource implements MetadataSource {
  readonly name = 'docker';
  readonly tells = 'containers';
  readonly #options: RuntimeOptions;
  readonly #client: DockerClient;
  readonly #known = new KnownContainers();
  readonly #images = new LRUCache<string, Readonly<Record<string, unknown>>>({
    max: MAX_IMAGES,
    ttl: IMAGE_MS,
  });
  /** What they were made from, by id of the container. */
  readonly #partial = new LRUCache<string, string>({ max: MAX_PARTIAL });
  readonly #lookUps = new LookUps((id) => this.#lookUp(id));
  readonly #sessions = new Sessions(
    (ready, signal) => this.#session(ready, signal),
    (error) => this.#options.notice(`${this.#options.path}: ${failureOf(error)}`),
  );
  #events = 0;
  #version: DockerVersion = { name: 'docker', version: undefined };

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#client = new DockerClient(options.path);
  }

  get connected(): boolean {
    return this.#sessions.connected;
  }

  get unreachable(): boolean {
    return this.#sessions.unreachable;
  }

  get counts(): Readonly<Record<string, number>> {
    return {
      ...this.#sessions.counts,
      ...this.#known.counts,
      ...this.#lookUps.counts,
      events: this.#events,
    };
  }

  start(onChange: (change: MetadataChange) => void): void {
    this.#known.onChange = onChange;
    this.#sessions.start();
  }

  async stop(): Promise<void> {
    this.#lookUps.stop();
    await this.#sessions.stop();
  }

  container(id: string): ContainerMetadata | undefined {
    return this.#known.get(id);
  }

  pod(): PodMetadata | undefined {
    return undefined;
  }

  seek(containerId: string): void {
    if (this.connected && !this.#known.has(containerId)) this.#lookUps.add(containerId);
  }

  async #session(ready: () => void, stop: AbortSignal): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([stop, over.signal]);
    try {
      this.#version = versionOf(await this.#client.get('/version'));
      const opened = Promise.withResolvers<void>();
      const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: EVENTS }));
      const events = this.#client
        .follow(`/events?filters=${filters}`, signal, opened.resolve, (event) => this.#event(event))
        .catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
      await Promise.race([opened.promise, events]);
      await this.#list();
      ready();
      await Promise.race([events, this.#relist(signal)]);
    } finally {
      over.abort();
      this.#lookUps.clear();
    }
  }

  async #relist(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(RELIST_MS, signal);
      if (!signal.aborted) await this.#list();
    }
  }

  #event(value: unknown): void {
    const event = eventOf(value);
    if (event === undefined) return;
    this.#events++;
    const { action, container } = event;
    if (ENDS.includes(action)) {
      this.#lookUps.delete(container.id);
      this.#partial.delete(container.id);
      this.#known.gone(container.id);
      return;
    }
    // It may be gone before it can be asked about.
    this.#learnPart(container);
    this.#lookUps.add(container.id);
  }

  async #list(): Promise<void> {
    const began = this.#known.now;
    const listed = await this.#listed('');
    for (const container of listed) await this.#learn(container);
    this.#known.keepOnly(new Set(listed.map(({ id }) => id)), began);
  }

  async #lookUp(id: string): Promise<boolean> {
    const filters = encodeURIComponent(JSON.stringify({ id: [id] }));
    const [container] = await this.#listed(`&filters=${filters}`);
    if (container?.id !== id) return this.#completed(id);
    await this.#learn(container);
    return true;
  }

  /** Until it can be looked up, and where it is gone by then. */
  #learnPart(container: ListedContainer): void {
    const known = this.#known.get(container.id);
    if (known !== undefined && known.partial !== true) return;
    this.#partial.set(container.id, container.image);
    const told = ofListed(container, this.#version, undefined, this.#options.labels);
    this.#known.set({ ...told, partial: true });
  }

  /** Of one that is gone there is what its events said; its image is still there. */
  async #completed(id: string): Promise<boolean> {
    const asked = this.#partial.get(id);
    const known = this.#known.get(id);
    if (asked === undefined || known === undefined) return false;
    const image = await this.#client.get(`/images/${encodeURIComponent(asked)}/json`).catch(() => undefined);
    const { partial: _, ...told } = known;
    this.#known.set({ ...told, ...imageOf(asked, '', image) });
    this.#partial.delete(id);
    return true;
  }

  async #listed(query: string): Promise<ListedContainer[]> {
    const answer = await this.#client.get(`/containers/json?all=1${query}`);
    if (!Array.isArray(answer)) return [];
    return answer.map(listedOf).filter((container) => container !== undefined);
  }

  async #learn(container: ListedContainer): Promise<void> {
    const image = await this.#image(container.imageId);
    this.#partial.delete(container.id);
    this.#known.set(ofListed(container, this.#version, image, this.#options.labels));
  }

  async #image(id: string): Promise<unknown> {
    if (id === '') return undefined;
    const known = this.#images.get(id);
    if (known !== undefined) return known;
    // Without its image a container still has its name; an image may be removed while it is in use.
    const answer = await this.#client.get(`/images/${encodeURIComponent(id)}/json`).catch(() => undefined);
    if (answer === undefined) return undefined;
    const { RepoTags, RepoDigests } = objectOf(answer);
    this.#images.set(id, { RepoTags, RepoDigests });
    return this.#images.get(id);
  }
}
