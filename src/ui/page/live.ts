/** The stream of lookups: what came, newest last, bounded; what the agent said of itself; a new try when it breaks. */
import { batch, signal } from '@preact/signals';
import type { StoredLookup } from '../../history/types.ts';
import type { LiveBeat, LiveHello, LiveMessage } from '../protocol.ts';
import { connection, open, pathOf, Refused } from './ask.ts';
import { access } from './token.ts';

/** Rows kept on the page. */
const MAX_ROWS = 5000;
/** So many more may be there before the oldest go: they go in one piece. */
const SLACK = 500;
/** A stream that says nothing for so long is broken. The agent says something each second. */
const SILENT_MS = 6000;
const RETRY_MS = [500, 1000, 2000, 4000];

/** Newest last. The array is changed in place: `version` tells that it was. */
export const rows: StoredLookup[] = [];
export const version = signal(0);
/** Left out of this stream, since it began. */
export const skipped = signal(0);
export const hello = signal<LiveHello | undefined>(undefined);
export const beat = signal<LiveBeat | undefined>(undefined);
/** The filter of the stream is not one. */
export const filterProblem = signal<Refused | undefined>(undefined);

let abort: AbortController | undefined;

/** Begins a stream with this filter in place of the one that runs. */
export function follow(filter: string): void {
  abort?.abort();
  abort = new AbortController();
  batch(() => {
    rows.length = 0;
    skipped.value = 0;
    filterProblem.value = undefined;
    version.value++;
  });
  void run(filter, abort.signal);
}

async function run(filter: string, stop: AbortSignal): Promise<void> {
  for (let tries = 0; !stop.aborted; tries++) {
    try {
      await read(filter, stop, () => {
        tries = 0;
      });
    } catch (error) {
      if (stop.aborted || access.peek() === 'refused') return;
      if (error instanceof Refused && error.status === 400) {
        filterProblem.value = error;
        return;
      }
    }
    if (stop.aborted) return;
    connection.value = 'lost';
    await rest(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] ?? 4000, stop);
  }
}

async function read(filter: string, stop: AbortSignal, onOpen: () => void): Promise<void> {
  const quiet = new AbortController();
  let timer = setTimeout(() => quiet.abort(), SILENT_MS);
  try {
    const response = await open(pathOf('api/live', { filter }), AbortSignal.any([stop, quiet.signal]));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (reader === undefined) return;
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), SILENT_MS);
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(JSON.parse(line) as LiveMessage, onOpen);
    }
  } finally {
    clearTimeout(timer);
  }
}

function take(message: LiveMessage, onOpen: () => void): void {
  batch(() => {
    if (message.kind === 'hello') {
      onOpen();
      // Ids begin at one with each agent that keeps its history in memory.
      if (hello.peek() !== undefined && hello.peek()?.started !== message.started) {
        rows.length = 0;
        version.value++;
      }
      hello.value = message;
      connection.value = 'open';
    } else if (message.kind === 'beat') {
      beat.value = message;
    } else {
      add(message.rows);
      skipped.value += message.skipped;
      version.value++;
    }
  });
}

function add(more: readonly StoredLookup[]): void {
  const last = rows.at(-1)?.id ?? 0;
  // A new stream begins with the newest rows, of which some may be here.
  for (const row of more) if (row.id > last) rows.push(row);
  if (rows.length > MAX_ROWS + SLACK) rows.splice(0, rows.length - MAX_ROWS);
}

function rest(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
