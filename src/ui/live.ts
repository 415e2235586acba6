/**
 * Lookups as they end, to one page. The history is asked for what is new some times a second, so that nothing is done for a lookup when it
 * comes; a page that reads slowly is asked about less often, and what it would have to catch up on is left out and counted.
 */
import type { ServerResponse } from 'node:http';
import type { HistoryQueries, Narrowing, StoredLookup } from '../history/types.ts';
import type { LiveBeat, LiveHello, LiveMessage } from './protocol.ts';
import { slim } from './questions.ts';

const EVERY_MS = 250;
const BEAT_MS = 1000;
/** Rows of one message. */
const MAX_ROWS = 500;
/** Answers of the history in one round: some milliseconds of the event loop. */
const MAX_PAGES = 3;
/** The page begins with so many of the past. */
const FIRST_ROWS = 200;

export interface LiveParts {
  readonly history: Pick<HistoryQueries, 'count' | 'search'>;
  readonly hello: LiveHello;
  readonly beat: () => LiveBeat;
  readonly narrowing: Narrowing;
  readonly onError: (error: unknown) => void;
}

export class LiveStream {
  readonly #response: ServerResponse;
  readonly #parts: LiveParts;
  #after = 0;
  #skipped = 0;
  #lastBeat = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(response: ServerResponse, parts: LiveParts) {
    this.#response = response;
    this.#parts = parts;
    response.once('close', () => this.close());
  }

  /** Resolves when the page is gone. Never rejects. */
  async run(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#response.once('close', resolve));
    try {
      this.#send(this.#parts.hello);
      await this.#first();
      this.#schedule();
    } catch (error) {
      this.#fail(error);
    }
    await closed;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#response.destroy();
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#round().then(
        () => {
          if (!this.#isClosed) this.#schedule();
        },
        (error) => this.#fail(error),
      );
    }, EVERY_MS);
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#parts.onError(error);
    this.close();
  }

  async #first(): Promise<void> {
    const { history, narrowing } = this.#parts;
    const { rows, last } = await history.search({ ...narrowing, limit: FIRST_ROWS });
    const first = lookupsOf(rows);
    this.#after = Math.max(last, first.at(-1)?.id ?? 0);
    this.#send({ kind: 'rows', rows: first, skipped: 0 });
  }

  async #round(): Promise<void> {
    const now = performance.now();
    // Nothing is sent to who does not read: after a while the server closes the connection.
    if (this.#response.writableNeedDrain) return;
    await this.#news();
    if (now - this.#lastBeat < BEAT_MS || this.#isClosed) return;
    this.#lastBeat = now;
    this.#send(this.#parts.beat());
  }

  async #news(): Promise<void> {
    const found: StoredLookup[] = [];
    let isBehind = false;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { rows, more, last } = await this.#parts.history.search({
        ...this.#parts.narrowing,
        after: this.#after,
        limit: MAX_ROWS,
      });
      found.push(...lookupsOf(rows));
      this.#after = Math.max(this.#after, rows.at(-1)?.id ?? 0, more ? 0 : last);
      isBehind = more;
      if (!more) break;
    }
    if (isBehind) await this.#jump(found);
    if (found.length === 0) return;
    const skipped = this.#skipped + Math.max(found.length - MAX_ROWS, 0);
    this.#skipped = 0;
    this.#send({ kind: 'rows', rows: found.slice(-MAX_ROWS), skipped });
  }

  /** Too far behind to look at each: on with the newest ones. What lies between is counted. */
  async #jump(found: StoredLookup[]): Promise<void> {
    const { history, narrowing } = this.#parts;
    const { rows, last } = await history.search({ ...narrowing, limit: MAX_ROWS });
    const fresh = lookupsOf(rows).filter(({ id }) => id > this.#after);
    const before = fresh[0]?.id ?? last + 1;
    this.#skipped += await history.count({ ...narrowing, after: this.#after, before });
    // Some may have come since the history said which is the last.
    this.#after = Math.max(last, this.#after, fresh.at(-1)?.id ?? 0);
    found.push(...fresh);
  }

  #send(message: LiveMessage): void {
    if (!this.#isClosed) this.#response.write(`${JSON.stringify(message)}\n`);
  }
}

/** In the order in which they ended, which is that of the ids. */
function lookupsOf(rows: readonly { readonly kind: string }[]): StoredLookup[] {
  const lookups = (rows as readonly StoredLookup[]).filter(({ kind }) => kind === 'lookup').map(slim);
  return lookups.sort((a, b) => a.id - b.id);
}
