/**
 * Containers of a CRI runtime (containerd, CRI-O, cri-dockerd): one list at the start, then events. Where the runtime offers
 * no GetContainerEvents, containerd's own events; where there are none either, a list now and then. In any case a container
 * that the kernel shows is looked for at once (`seek`).
 */
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { LRUCache } from 'lru-cache';
import type { ContainerMetadata, PodMetadata } from '../../model.ts';
import type { MetadataChange, MetadataSource } from '../containers/metadata-source.ts';
import {
  CriClient,
  type CriContainer,
  type CriImage,
  type CriSandbox,
  type CriVersion,
} from './cri-client.ts';
import { ofContainer, ofSandbox } from './cri-metadata.ts';
import { SandboxPods } from './cri-pods.ts';
import { speaksHttp2 } from './http2-probe.ts';
import { KnownContainers } from './known-containers.ts';
import { LookUps } from './look-ups.ts';
import { failureOf, NotOffered, pause, type RuntimeOptions, Sessions } from './session.ts';

/** Events can be lost on both sides (their buffers are bounded): so often the whole list is compared. */
const RELIST_MS = { withEvents: 300_000, without: 30_000 };
/** Images and sandboxes remembered. */
const MAX_IMAGES = 1024;
const MAX_SANDBOXES = 8192;
/** An image can be tagged anew. */
const IMAGE_MS = 300_000;

const CREATE = '/containers/create';
const DELETE = '/containers/delete';
const START = '/tasks/start';

export class CriSource implements MetadataSource {
  readonly name = 'cri';
  readonly tells = 'containers';
  readonly annotates = true;
  readonly #options: RuntimeOptions;
  readonly #known = new KnownContainers();
  readonly #pods: SandboxPods;
  readonly #sandboxes = new LRUCache<string, CriSandbox>({ max: MAX_SANDBOXES });
  readonly #images = new LRUCache<string, CriImage>({ max: MAX_IMAGES, ttl: IMAGE_MS });
  readonly #lookUps = new LookUps((id) => this.#lookUp(id));
  readonly #sessions = new Sessions(
    (ready, signal) => this.#session(ready, signal),
    (error) => this.#options.notice(`${this.#options.path}: ${failureOf(error)}`),
  );
  readonly #events = { criEvents: 0, containerdEvents: 0 };
  #client: CriClient | undefined;
  #version: CriVersion | undefined;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#pods = new SandboxPods(options.rules);
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
      ...this.#events,
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

  pod(uid: string): PodMetadata | undefined {
    return this.#pods.get(uid);
  }

  seek(containerId: string): void {
    if (this.connected && !this.#known.has(containerId)) this.#lookUps.add(containerId);
  }

  async #session(ready: () => void, stop: AbortSignal): Promise<void> {
    await speaksHttp2(this.#options.path, stop);
    const client = new CriClient(this.#options.path);
    const over = new AbortController();
    const signal = AbortSignal.any([stop, over.signal]);
    try {
      this.#version = await client.version().catch(refused);
      this.#client = client;
      // First the events, then the list: what happens between the two is in both.
      const events = this.#followEvents(client, signal);
      events.catch(() => {});
      await this.#list(client);
      ready();
      const silent = events.then((offered) =>
        offered ? undefined : this.#relist(client, signal, 'without'),
      );
      await Promise.race([silent, this.#relist(client, signal, 'withEvents')]);
    } finally {
      over.abort();
      this.#client = undefined;
      this.#lookUps.clear();
      client.close();
    }
  }

  /** Until a list cannot be had. */
  async #relist(client: CriClient, signal: AbortSignal, which: keyof typeof RELIST_MS): Promise<void> {
    while (!signal.aborted) {
      await pause(RELIST_MS[which], signal);
      if (!signal.aborted) await this.#list(client);
    }
  }

  /** @returns false: not offered. Else it resolves when the stream is over. */
  async #followEvents(client: CriClient, signal: AbortSignal): Promise<boolean> {
    const told = await consume(client.containerEvents(), signal, ({ containerId, containerEventType }) => {
      this.#events.criEvents++;
      this.#event(containerId, containerEventType === 'CONTAINER_DELETED_EVENT');
    });
    if (told !== 'unimplemented') return told === 'some' || signal.aborted;
    if (this.#version?.runtimeName !== 'containerd') return false;
    const topics = [CREATE, START, DELETE];
    const events = await consume(client.containerdEvents(topics), signal, ({ topic, event }) => {
      this.#events.containerdEvents++;
      const id = event?.value?.id ?? '';
      if (id !== '') this.#event(id, topic === DELETE);
    });
    return events !== 'unimplemented';
  }

  #event(id: string, isGone: boolean): void {
    if (!isGone) {
      this.#lookUps.add(id);
      return;
    }
    this.#lookUps.delete(id);
    this.#known.gone(id);
    if (this.#sandboxes.delete(id)) this.#pods.delete(id);
  }

  async #list(client: CriClient): Promise<void> {
    // In this order: the sandbox of every container listed is older than it.
    const began = this.#known.now;
    const containers = await client.containers();
    const sandboxes = await client.sandboxes();
    for (const sandbox of sandboxes) this.#learnSandbox(sandbox);
    for (const container of containers) await this.#learn(client, container);
    this.#known.keepOnly(new Set([...containers, ...sandboxes].map(({ id }) => id)), began);
    this.#pods.keepOnly((id) => this.#known.has(id));
  }

  /** @returns whether the runtime knows it. */
  async #lookUp(id: string): Promise<boolean> {
    const client = this.#client;
    if (client === undefined) return true;
    const container = (await client.containers(id)).find((found) => found.id === id);
    if (container !== undefined) await this.#learn(client, container);
    else {
      const sandbox = (await client.sandboxes(id)).find((found) => found.id === id);
      if (sandbox === undefined) return false;
      this.#learnSandbox(sandbox);
    }
    return true;
  }

  #learnSandbox(told: CriSandbox): void {
    if (this.#version === undefined) return;
    const sandbox = this.#pods.trimmed(told);
    this.#sandboxes.set(sandbox.id, sandbox);
    this.#known.set(ofSandbox(sandbox, { version: this.#version, labels: this.#options.labels }));
    if (!this.#known.has(sandbox.id)) return;
    const podUid = this.#pods.set(sandbox);
    if (podUid !== undefined) this.#known.onChange({ podUid });
  }

  async #learn(client: CriClient, container: CriContainer): Promise<void> {
    const version = this.#version;
    if (version === undefined) return;
    let sandbox = this.#sandboxes.get(container.podSandboxId);
    if (sandbox === undefined && container.podSandboxId !== '') {
      sandbox = (await client.sandboxes(container.podSandboxId))[0];
      if (sandbox !== undefined) this.#learnSandbox(sandbox);
    }
    const image = await this.#image(client, container.imageRef || (container.image?.image ?? ''));
    this.#known.set(ofContainer(container, { version, sandbox, image, labels: this.#options.labels }));
  }

  async #image(client: CriClient, reference: string): Promise<CriImage | undefined> {
    if (reference === '') return undefined;
    const known = this.#images.get(reference);
    if (known !== undefined) return known;
    // Without its image a container still has its name.
    const image = await client.image(reference).catch(() => null);
    if (image === null) return undefined;
    this.#images.set(reference, image);
    return image;
  }
}

function refused(error: ServiceError): never {
  if (error.code === status.UNIMPLEMENTED) throw new NotOffered(error.details);
  throw error;
}

/** Resolves when the stream ends; whether it was offered, and had events. Rejects when the connection is lost. */
function consume<Message>(
  stream: ClientReadableStream<Message>,
  signal: AbortSignal,
  onMessage: (message: Message) => void,
): Promise<'unimplemented' | 'none' | 'some'> {
  return new Promise((resolve, reject) => {
    let any = false;
    const cancel = () => stream.cancel();
    signal.addEventListener('abort', cancel);
    if (signal.aborted) cancel();
    stream.on('data', (message: Message) => {
      any = true;
      onMessage(message);
    });
    stream.on('error', (error: ServiceError) => {
      signal.removeEventListener('abort', cancel);
      if (signal.aborted) resolve(any ? 'some' : 'none');
      else if (error.code === status.UNIMPLEMENTED) resolve('unimplemented');
      else reject(error);
    });
    stream.on('end', () => {
      signal.removeEventListener('abort', cancel);
      resolve(any ? 'some' : 'none');
    });
  });
}
