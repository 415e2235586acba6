/** What a runtime has told of its containers: bounded, with the changes told on. */
import { LRUCache } from 'lru-cache';
import type { ContainerMetadata } from '../../model.ts';
import type { MetadataChange } from '../containers/metadata-source.ts';

/** More than ten times what a kubelet runs on a node. Full: the least recently asked for is forgotten. */
const MAX_CONTAINERS = 8192;
/** Ids are never given twice: an answer that was on its way when the container was removed is known as old by them. */
const MAX_GONE = 4096;

interface Known {
  readonly container: ContainerMetadata;
  /** `now` when it was told first. */
  readonly since: number;
}

export class KnownContainers {
  readonly counts = { containers: 0, added: 0, removed: 0, evicted: 0 };
  /** Steps with each container that is added. */
  now = 0;
  onChange: (change: MetadataChange) => void = () => {};
  readonly #known: LRUCache<string, Known>;
  readonly #gone = new LRUCache<string, true>({ max: MAX_GONE });

  constructor(max = MAX_CONTAINERS) {
    this.#known = new LRUCache({
      max: max,
      dispose: (_known, _id, reason) => {
        if (reason === 'evict') this.counts.evicted++;
      },
    });
  }

  get(id: string): ContainerMetadata | undefined {
    return this.#known.get(id)?.container;
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** What repeats what is known changes nothing. */
  set(container: ContainerMetadata): void {
    const { id } = container;
    if (this.#gone.has(id)) return;
    const before = this.#known.peek(id);
    if (before !== undefined && JSON.stringify(before.container) === JSON.stringify(container)) return;
    if (before === undefined) this.counts.added++;
    this.#known.set(id, { container, since: before?.since ?? ++this.now });
    this.counts.containers = this.#known.size;
    this.onChange({ containerId: id });
  }

  /** The runtime has removed it. */
  gone(id: string): void {
    this.#gone.set(id, true);
    this.#remove(id);
  }

  /** After a whole list: what was told before it was asked for, at `began`, and is not in it. */
  keepOnly(ids: ReadonlySet<string>, began: number): void {
    for (const [id, { since }] of [...this.#known.entries()])
      if (since <= began && !ids.has(id)) this.#remove(id);
  }

  #remove(id: string): void {
    if (!this.#known.has(id)) return;
    this.onChange({ containerId: id, gone: true });
    this.#known.delete(id);
    this.counts.removed++;
    this.counts.containers = this.#known.size;
  }
}
