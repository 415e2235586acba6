/** Asks the API who owns a pod's ReplicaSet or Job, once an owner, a few at a time: for owners whose name does not tell. */
import { LRUCache } from 'lru-cache';
import type { ApiClient } from './api-client.ts';
import { readOwner } from './api-pod.ts';
import { object } from './json.ts';
import { type GrandOwner, grandOwner } from './owners.ts';

const MAX_OWNERS = 4096;
const AT_ONCE = 4;
const RETRY_MS = 60_000;

export class OwnerLookup {
  readonly counts = { asked: 0, failed: 0 };
  readonly #client: ApiClient;
  readonly #onFound: (ownerUid: string) => void;
  readonly #known = new LRUCache<string, GrandOwner>({ max: MAX_OWNERS });
  /** Asked, or failed not long ago. */
  readonly #tried = new LRUCache<string, true>({ max: MAX_OWNERS, ttl: RETRY_MS });
  readonly #waiting: { readonly uid: string; readonly path: string }[] = [];
  readonly #abort = new AbortController();
  #busy = 0;

  constructor(client: ApiClient, onFound: (ownerUid: string) => void) {
    this.#client = client;
    this.#onFound = onFound;
  }

  /** undefined: not known yet; it is asked for. @param path of the owner's API object */
  get(uid: string, path: string): GrandOwner | undefined {
    const known = this.#known.get(uid);
    if (known !== undefined || this.#tried.has(uid) || this.#waiting.length >= MAX_OWNERS) return known;
    this.#tried.set(uid, true);
    this.#waiting.push({ uid, path });
    this.#next();
    return undefined;
  }

  stop(): void {
    this.#abort.abort();
    this.#waiting.length = 0;
  }

  #next(): void {
    while (this.#busy < AT_ONCE) {
      const wanted = this.#waiting.shift();
      if (wanted === undefined) return;
      this.#busy++;
      void this.#ask(wanted.uid, wanted.path).finally(() => {
        this.#busy--;
        this.#next();
      });
    }
  }

  async #ask(uid: string, path: string): Promise<void> {
    this.counts.asked++;
    const answer = await this.#client.get({ path, signal: this.#abort.signal });
    const { metadata } = object('value' in answer ? answer.value : undefined);
    // Another of the same name may have taken its place.
    if (object(metadata)['uid'] !== uid) {
      this.counts.failed++;
      return;
    }
    this.#known.set(uid, grandOwner(readOwner(metadata)));
    this.#onFound(uid);
  }
}
