/** `whodns top`: asks a history twice a second and shows what it says, until its user leaves. */

import { parseFilter } from '../../filter/parse.ts';
import type { HistoryQueries, Narrowing } from '../../history/types.ts';
import type { Input } from './keys.ts';
import { type Data, render } from './render.ts';
import { Screen, type TerminalInput, type TerminalOutput } from './screen.ts';
import { after, questionOf, type Shown, START, type State, topBy, WINDOWS } from './state.ts';

export interface TopOptions {
  readonly history: HistoryQueries;
  readonly input: TerminalInput;
  readonly output: TerminalOutput;
  /** Messages lost so far; undefined: not known. */
  readonly lost: () => Promise<number | undefined>;
  /** To leave. */
  readonly stopped: Promise<unknown>;
  /** A filter to begin with. */
  readonly filter?: string | undefined;
}

const REFRESH_MS = 500;
const MAX_ROWS = 500;
const NOTHING: Data = {
  kind: 'top',
  top: [],
  lookups: [],
  count: 0,
  failed: 0,
  seconds: 0,
  lost: undefined,
  note: 'waiting for the first lookups',
};

/** Resolves when its user has left. */
export async function showTop(options: TopOptions): Promise<void> {
  await new Top(options).run();
}

class Top {
  readonly #options: TopOptions;
  readonly #screen: Screen;
  readonly #left = Promise.withResolvers<void>();
  #state: State;
  #data = NOTHING;
  #shown: Shown = { rows: [], top: 0, fits: 0, first: 0, tabs: [], sorts: [] };
  #isAsking = false;
  /** The state has changed while it was asked: once more. */
  #isStale = false;

  constructor(options: TopOptions) {
    this.#options = options;
    this.#state = { ...START, filter: options.filter ?? '' };
    this.#screen = new Screen(options.input, options.output, {
      input: (input) => this.#take(input),
      resize: () => this.#draw(),
    });
  }

  async run(): Promise<void> {
    this.#screen.open();
    const timer = setInterval(() => {
      if (!this.#state.isPaused) void this.#ask();
    }, REFRESH_MS);
    try {
      this.#draw();
      void this.#ask();
      await Promise.race([this.#left.promise, this.#options.stopped]);
    } finally {
      clearInterval(timer);
      this.#screen.close();
    }
  }

  #take(input: Input): void {
    const before = this.#state;
    this.#state = after(before, input, this.#shown, problemOf);
    if (this.#state.isLeft) this.#left.resolve();
    this.#draw();
    if (isOtherQuestion(before, this.#state)) void this.#ask();
  }

  #draw(): void {
    const { lines, shown } = render(this.#state, this.#data, this.#screen.size);
    this.#shown = shown;
    this.#screen.draw(lines);
  }

  /** One question at a time: a history that is slow is not asked faster. */
  async #ask(): Promise<void> {
    this.#isStale = this.#isAsking;
    if (this.#isAsking) return;
    this.#isAsking = true;
    const state = this.#state;
    let data: Data;
    try {
      data = await this.#answer(state);
    } catch (error) {
      data = { ...NOTHING, note: (error as Error).message };
    }
    this.#isAsking = false;
    // What belongs to where the user is no more is not shown.
    if (!isOtherQuestion(state, this.#state)) {
      this.#data = data;
      this.#draw();
    }
    if (this.#isStale) void this.#ask();
  }

  async #answer(state: State): Promise<Data> {
    const { history, lost } = this.#options;
    const now = Date.now() * 1000;
    const narrowing: Narrowing = questionOf(state, now);
    const isLookups = state.levels.length === 2;
    const [top, found, lostNow, status] = await Promise.all([
      history.top({ ...narrowing, by: topBy(state), sort: state.sort, limit: MAX_ROWS }),
      isLookups ? history.search({ ...narrowing, limit: MAX_ROWS }) : undefined,
      lost(),
      history.status(),
    ]);
    const since = Math.max(narrowing.since ?? 0, status.oldest ?? now);
    const length =
      WINDOWS[state.window] === 0 ? now - since : Math.min(now - since, now - (narrowing.since ?? 0));
    return {
      kind: isLookups ? 'lookups' : 'top',
      top: top.rows,
      lookups: (found?.rows ?? []).flatMap((row) => (row.kind === 'lookup' ? [row] : [])),
      count: top.count,
      failed: top.failed,
      seconds: Math.max(length / 1_000_000, 1),
      lost: lostNow,
      note: top.searchedTo === undefined ? '' : 'not all of this time could be looked at: it took too long',
    };
  }
}

function isOtherQuestion(a: State, b: State): boolean {
  return (
    a.tab !== b.tab ||
    a.levels !== b.levels ||
    a.sort !== b.sort ||
    a.window !== b.window ||
    a.filter !== b.filter
  );
}

function problemOf(filter: string): string | undefined {
  const parsed = parseFilter(filter);
  return 'problem' in parsed ? parsed.problem.message : undefined;
}
