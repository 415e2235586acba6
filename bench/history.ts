/**
 * What does keeping a history cost, and how fast is it searched? Lookups as they come from the pipeline, kept on disk by the thread that
 * keeps them, as fast as it takes them; then the four questions that must be quick, each cold and warm.
 *
 * Alone, without the page: `node bench/history.ts ROWS` (10 million take minutes and 1 GB of disk below $TMPDIR).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHistory } from '../src/history/reader.ts';
import { HistorySink } from '../src/history/sink.ts';
import type { SearchQuery } from '../src/history/types.ts';
import { Ledger } from '../src/ledger.ts';
import { FIELD } from '../src/lookup/fields.ts';
import type { LookupView } from '../src/lookup/view.ts';
import { LookupRecord } from '../src/records/lookup-record.ts';
import { RCODES } from '../src/tables/rcodes.ts';
import { viewOf } from '../test/unit/message-bytes.ts';
import { identity, lookup, record } from '../test/unit/sink-events.ts';
import type { Question } from './question.ts';

const ROWS = 1_000_000;
/** Lookups between two readings of the processor's time. */
const CHUNK = 100;
const INTERVAL_NS = 50_000;
const QUICK_ROWS = 100_000;
const NAMES = 20_000;
const PROCESSES = 2000;
const GIBIBYTE = 1024 ** 3;
/** What was asked for. */
const MAX_MAIN_NS = 3000;
const MIN_RATE = 20_000;
const MAX_BYTES = 70;
const MAX_SEARCH_MS = 200;
const ASKED = 5;

interface HistoryCost {
  readonly rows: number;
  /** ns of the main thread's processor time a lookup. */
  readonly mainNs: number;
  /** Lookups a second that the thread kept. */
  readonly rate: number;
  readonly bytes: number;
  readonly lost: number;
  /** ms of each question: the first time, and the median of the others. */
  readonly questions: readonly { readonly name: string; readonly first: number; readonly median: number }[];
}

/** Half of all lookups are for a fiftieth of the names. */
function skewed(random: number, count: number): number {
  return Math.floor(count * random ** 5.6);
}

function views(): LookupView[] {
  const processes = Array.from({ length: PROCESSES }, (_, i) => {
    const name = `service${i % 40}`;
    const { resource } = identity();
    return identity({
      pid: 1000 + i,
      startTime: BigInt(i),
      executableName: name,
      resource: { ...resource, 'process.pid': 1000 + i, 'process.executable.name': name },
    });
  });
  return Array.from({ length: NAMES }, (_, i) => {
    const name = `host${i}.zone${i % 500}.example.com`;
    const answers = [record(name, 1, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)];
    const isMissing = i % 20 === 7;
    return viewOf(
      lookup({
        name,
        process: processes[(i * 7) % PROCESSES] as (typeof processes)[number],
        ...(isMissing ? { rcode: RCODES.NXDOMAIN, answers: [] } : { answers }),
      }),
    );
  });
}

/** Lookups in the order that they come in: each is read first, as a lookup's bytes are in the processor's cache when the pipeline hands it over. */
class Source {
  readonly #all = views();
  readonly #next: LookupView[] = [];
  #seed = 1;
  /** Sum of what was read: what is not used may be left out by the compiler. */
  read = 0;

  /** @param time Unix ns of the first */
  next(count: number, time: number): readonly LookupView[] {
    const next = this.#next;
    next.length = 0;
    for (let i = 0; i < count; i++) {
      this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
      const view = this.#all[skewed(this.#seed / 2 ** 32, NAMES)] as LookupView;
      const { words, at } = view.request.raw;
      const now = time + i * INTERVAL_NS;
      words[at + FIELD.TIME] = now;
      words[at + FIELD.TIME + 1] = Math.floor(now / 2 ** 32);
      for (const { message } of [view.request, view.answer])
        for (let byte = 0; byte < message.captured; byte++) this.read += message.bytes[byte] as number;
      next.push(view);
    }
    return next;
  }
}

interface Filled {
  readonly mainNs: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly lookups: number;
}

/** Keeps so many lookups in the directory, the newest of now. */
export async function fillHistory(
  directory: string,
  rows: number,
  say: (line: string) => void,
): Promise<Filled> {
  const sink = await HistorySink.open({
    place: directory,
    maxBytes: 8 * GIBIBYTE,
    maxAgeMs: 86_400_000,
    maxRows: 0,
    ledger: new Ledger(),
    notices: { warn: say, info: say },
  });
  const source = new Source();
  const event = new LookupRecord({ nxdomainError: true });
  const begin = Date.now() * 1_000_000 - rows * INTERVAL_NS;
  let mainNs = 0;
  const began = performance.now();
  for (let done = 0; done < rows; ) {
    const lookups = source.next(Math.min(CHUNK, rows - done), begin + done * INTERVAL_NS);
    const before = process.threadCpuUsage();
    for (const view of lookups) sink.accept(event.of(view, 0n));
    const { user, system } = process.threadCpuUsage(before);
    mainNs += (user + system) * 1000;
    done += lookups.length;
    await sink.room();
  }
  await sink.flush();
  const seconds = (performance.now() - began) / 1000;
  const { bytes, lookups } = await sink.queries.status();
  await sink.close(60_000);
  return { mainNs, seconds, bytes, lookups };
}

export async function measureHistory(rows: number, say: (line: string) => void): Promise<HistoryCost> {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-bench-history-'));
  try {
    const { mainNs, seconds, bytes, lookups } = await fillHistory(directory, rows, say);
    const questions = await askAll(directory, say);
    return {
      rows,
      mainNs: mainNs / rows,
      rate: lookups / seconds,
      bytes: bytes / lookups,
      lost: rows - lookups,
      questions,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function askAll(directory: string, say: (line: string) => void): Promise<HistoryCost['questions']> {
  const cases: readonly (readonly [string, SearchQuery])[] = [
    ['a name that is asked for often', { name: 'host1.zone1.example.com' }],
    ['a name that is rare', { name: `host${NAMES - 1}.zone${(NAMES - 1) % 500}.example.com` }],
    ['a name that was never asked for', { name: 'nothing.example.com' }],
    ['a suffix', { suffix: '*.zone499.example.com' }],
    ['an address', { address: `10.0.${((NAMES - 3) >> 8) & 255}.${(NAMES - 3) & 255}` }],
    ['a process', { process: 'service7' }],
    ['a process id', { pid: 1000 + PROCESSES - 1 }],
  ];
  const found: { name: string; first: number; median: number }[] = [];
  for (const [name, query] of cases) {
    const history = readHistory(directory, say);
    const times: number[] = [];
    for (let i = 0; i < ASKED; i++) {
      const began = performance.now();
      await history.search(query);
      times.push(performance.now() - began);
    }
    history.close();
    const [first = 0, ...others] = times;
    others.sort((a, b) => a - b);
    found.push({ name, first, median: others[others.length >> 1] ?? first });
  }
  return found;
}

export const history: Question<HistoryCost> = {
  name: 'history',
  title: 'What does a history cost, and how fast is it searched?',
  measure: ({ quick, say }) => measureHistory(quick ? QUICK_ROWS : ROWS, say),
  failures: ({ mainNs, rate, bytes, lost, questions }) => [
    ...(mainNs > MAX_MAIN_NS
      ? [`${mainNs.toFixed(0)} ns a lookup in the main thread, at most ${MAX_MAIN_NS}`]
      : []),
    ...(rate < MIN_RATE ? [`${rate.toFixed(0)} lookups/s kept, at least ${MIN_RATE}`] : []),
    ...(bytes > MAX_BYTES ? [`${bytes.toFixed(1)} bytes a lookup on disk, at most ${MAX_BYTES}`] : []),
    ...(lost > 0 ? [`${lost} lookups were lost`] : []),
    ...questions
      .filter(({ median }) => median > MAX_SEARCH_MS)
      .map(({ name, median }) => `${name}: ${median.toFixed(0)} ms, at most ${MAX_SEARCH_MS}`),
  ],
  page: ({ rows, mainNs, rate, bytes, questions }) => [
    `${rows.toLocaleString('en')} lookups of ${NAMES.toLocaleString('en')} names by ${PROCESSES.toLocaleString('en')} processes, half of them for a fiftieth of the names, kept in a directory.`,
    '',
    '| | |',
    '|---|---|',
    `| main thread | ${mainNs.toFixed(0)} ns a lookup |`,
    `| kept | ${rate.toFixed(0)} lookups/s |`,
    `| on disk | ${bytes.toFixed(1)} bytes a lookup |`,
    '',
    '| search by | first time | then |',
    '|---|---|---|',
    ...questions.map(
      ({ name, first, median }) => `| ${name} | ${first.toFixed(1)} ms | ${median.toFixed(1)} ms |`,
    ),
  ],
};

if (import.meta.main) {
  const result = await measureHistory(Number(process.argv[2] ?? ROWS), (line) => console.error(line));
  console.log(history.page(result).join('\n'));
  for (const failure of history.failures(result)) console.log(`not met: ${failure}`);
}
