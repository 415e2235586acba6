/**
 * Keeps a copy of one list of the API: the whole list once, then the watch's changes from that version on; again from the
 * version reached when the watch breaks, from the start when the server no longer has that version (Kubernetes documentation,
 * "Efficient detection of changes"). The informer of the client library does the same, but keeps whole objects, knows them by
 * name and not by uid, reads no list in pages, and has no bound on any of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiClient, type Failure, httpReason } from './api-client.ts';
import { array, count, object, text } from './json.ts';

export interface ReflectorOptions<T> {
  readonly client: ApiClient;
  readonly path: string;
  readonly fieldSelector?: string;
  /** Only `metadata` is sent. */
  readonly metadataOnly?: true;
  /** undefined: not such an object. */
  readonly read: (value: unknown) => T | undefined;
  /** The whole list: what is not in it is gone. */
  readonly onList: (items: readonly T[]) => void;
  readonly onSet: (item: T) => void;
  readonly onRemove: (item: T) => void;
  /** A failure, or undefined when it works (again). */
  readonly onState: (failure: Failure | undefined) => void;
  readonly pace?: Pace;
}

export interface Pace {
  readonly firstPauseMs: number;
  readonly mostPauseMs: number;
  /** The server ends a watch after this time, plus up to the same. */
  readonly watchSeconds: number;
}

const PACE: Pace = { firstPauseMs: 250, mostPauseMs: 30_000, watchSeconds: 300 };
const PAGE = 500;
const MAX_ITEMS = 10_000;
/** A watch that ended sooner has not proved that all is well. */
const STEADY_MS = 5_000;
const PARTIAL = 'application/json;as=PartialObjectMetadata%;g=meta.k8s.io;v=v1,application/json';

export class Reflector<T> {
  readonly counts = { lists: 0, watches: 0, events: 0, unread: 0 };
  readonly #options: ReflectorOptions<T>;
  readonly #pace: Pace;
  readonly #abort = new AbortController();
  readonly #listed = Promise.withResolvers<void>();
  /** undefined: the list has to be read (again). */
  #version: string | undefined;
  /** The first list may come from the server's cache, which spares etcd when all nodes start at once. */
  #fresh = true;
  #pauseMs = 0;
  #running: Promise<void> | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#pace = options.pace ?? PACE;
  }

  /** The first list has come, or the first attempt has failed. */
  get attempted(): Promise<void> {
    return this.#listed.promise;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const failure = this.#version === undefined ? await this.#list() : await this.#watch();
      this.#listed.resolve();
      if (this.#abort.signal.aborted) return;
      if (failure === undefined) continue;
      this.#options.onState(failure);
      await this.#pause(failure);
    }
  }

  async #list(): Promise<Failure | undefined> {
    const items: T[] = [];
    let next = '';
    do {
      const query = {
        ...this.#selector(),
        ...(this.#fresh ? { resourceVersion: '0' } : { limit: String(PAGE) }),
        ...(next === '' ? {} : { continue: next }),
      };
      const answer = await this.#options.client.get(this.#request(query, 'List'));
      if ('reason' in answer) return answer;
      const { metadata, items: found } = object(answer.value);
      const version = text(object(metadata)['resourceVersion']);
      if (version === undefined || !(found === null || Array.isArray(found)))
        return { reason: 'malformed', message: 'the answer is not a list' };
      for (const value of array(found, MAX_ITEMS - items.length))
        this.#read(value, (item) => items.push(item));
      next = text(object(metadata)['continue']) ?? '';
      this.#version = next === '' || items.length >= MAX_ITEMS ? version : undefined;
    } while (this.#version === undefined);
    this.#fresh = false;
    this.counts.lists++;
    this.#options.onList(items);
    return undefined;
  }

  async #watch(): Promise<Failure | undefined> {
    const { watchSeconds, firstPauseMs } = this.#pace;
    const query = {
      ...this.#selector(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version ?? '',
      // Not all nodes' watches end at once.
      timeoutSeconds: String(Math.round(watchSeconds * (1 + Math.random()))),
    };
    const started = performance.now();
    const failure = await this.#options.client.watch(
      this.#request(query, ''),
      () => {
        this.counts.watches++;
        this.#options.onState(undefined);
      },
      (value) => this.#event(value),
    );
    const isSteady = performance.now() - started >= STEADY_MS;
    if (isSteady) this.#pauseMs = 0;
    if (failure === undefined && !isSteady) await this.#sleep(firstPauseMs);
    // What the server may have refused is this version: it forgets old ones. One that it has not reached (its store was restored)
    // it does not refuse, but says nothing.
    const isOfVersion = ['gone', 'server_error', 'http_error', 'malformed', 'too_large', 'timeout'];
    if (failure !== undefined && isOfVersion.includes(failure.reason)) this.#version = undefined;
    return failure;
  }

  #event(value: unknown): Failure | undefined {
    const { type, object: subject } = object(value);
    if (type === 'ERROR') {
      const { code, message } = object(subject);
      return { reason: httpReason(count(code)), message: text(message) ?? 'the watch reported an error' };
    }
    this.counts.events++;
    const version = text(object(object(subject)['metadata'])['resourceVersion']);
    if (type === 'ADDED' || type === 'MODIFIED') this.#read(subject, this.#options.onSet);
    else if (type === 'DELETED') this.#read(subject, this.#options.onRemove);
    else if (type !== 'BOOKMARK') this.counts.unread++;
    if (version !== undefined) this.#version = version;
    return undefined;
  }

  #read(value: unknown, take: (item: T) => void): void {
    const item = this.#options.read(value);
    if (item === undefined) this.counts.unread++;
    else take(item);
  }

  #request(query: Readonly<Record<string, string>>, kind: 'List' | '') {
    const { path, metadataOnly } = this.#options;
    const accept = metadataOnly ? { accept: PARTIAL.replace('%', kind) } : {};
    return { path, query, signal: this.#abort.signal, ...accept };
  }

  #selector(): Readonly<Record<string, string>> {
    const { fieldSelector } = this.#options;
    return fieldSelector === undefined ? {} : { fieldSelector };
  }

  /** Twice as long each time, not the same on every node, and never shorter than the server wants. */
  async #pause({ retryAfterMs, reason }: Failure): Promise<void> {
    const { firstPauseMs, mostPauseMs } = this.#pace;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, firstPauseMs), mostPauseMs);
    // The list is read anew at once the first time: that is the answer to `gone`.
    if (reason === 'gone' && this.#pauseMs === firstPauseMs) return;
    const pause = this.#pauseMs * (0.5 + Math.random() / 2);
    await this.#sleep(Math.max(pause, retryAfterMs ?? 0));
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }
}
