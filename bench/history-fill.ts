/**
 * A history as a busy host fills one in a week: programs that stay and jobs that are gone after some lookups, names that everyone asks for
 * and names that hardly anyone does, containers, failures, and connections behind the answers.
 */
import { HistorySink } from '../src/history/sink.ts';
import { Ledger } from '../src/ledger.ts';
import { FIELD } from '../src/lookup/fields.ts';
import type { LookupView } from '../src/lookup/view.ts';
import type { LogEvent, ProcessIdentity, RawConnection, Resolution } from '../src/model.ts';
import { toConnectionLog } from '../src/records/connection-record.ts';
import { LookupRecord } from '../src/records/lookup-record.ts';
import { RCODES } from '../src/tables/rcodes.ts';
import { viewOf } from '../test/unit/message-bytes.ts';
import { identity, lookup, record, type Spec } from '../test/unit/sink-events.ts';

export const NAMES = 20_000;
export const PROCESSES = 2000;
/** Of the processes that stay; one of four is in a container. */
export const EXECUTABLES = 40;
/** One lookup of so many is a job's, and one of so many has a connection behind it. */
const JOB_EVERY = 8;
const CONNECTED_EVERY = 64;
/** Lookups of one job. */
const JOB_LOOKUPS = 8;
export const FIRST_JOB = 1_000_000;
/** Lookups between two readings of the processor's time. */
const CHUNK = 100;
const SECOND = 1_000_000_000n;
const WEEK_NS = 7 * 86_400e9;
/** What an operator who keeps so many gives them. */
const GIVEN_BYTES = 70;
const MIN_BYTES = 256 * 1024 * 1024;
/** The rarest of all names is asked for once in some hundred thousand lookups. */
export const RARE = NAMES - 1;
export const UNREACHED = NAMES - 2;

export function nameOf(i: number): string {
  return `host${i}.zone${i % 500}.example.com`;
}

export function addressOf(i: number): string {
  return `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
}

/** Of the connections to a name's address. */
export function localPortOf(i: number): number {
  return 32_768 + (i % 28_000);
}

/** Half of all lookups are for a fiftieth of the names. */
function skewed(random: number, count: number): number {
  return Math.floor(count * random ** 5.6);
}

function processOf(pid: number, name: string, container?: string): ProcessIdentity {
  const { resource } = identity();
  const inContainer = container === undefined ? {} : { 'container.name': container };
  return identity({
    pid,
    startTime: BigInt(pid),
    executableName: name,
    workload: container ?? '',
    resource: { ...resource, ...inContainer, 'process.pid': pid, 'process.executable.name': name },
  });
}

/** One of 20 names is not there; one that is rare is never answered. */
function answerTo(i: number): Spec {
  const name = nameOf(i);
  if (i === UNREACHED) return { name, outcome: 'timeout' };
  if (i % 20 === 7) return { name, rcode: RCODES.NXDOMAIN, answers: [] };
  return { name, answers: [record(name, 1, addressOf(i))] };
}

interface Next {
  readonly view: LookupView;
  readonly name: number;
  /** Unix ns. */
  readonly time: number;
}

/** Lookups in the order that they come in: each is read first, as a lookup's bytes are in the processor's cache when the pipeline hands it over. */
class Source {
  readonly #stay = Array.from({ length: PROCESSES }, (_, i) =>
    processOf(1000 + i, `service${i % EXECUTABLES}`, i % 4 === 0 ? `web-${i % 100}` : undefined),
  );
  readonly #views = Array.from({ length: NAMES }, (_, i) => viewOf(lookup(answerTo(i))));
  readonly #begin: number;
  readonly #stepNs: number;
  #job = identity();
  #seed: number;
  #count: number;
  /** Sum of what was read: what is not used may be left out by the compiler. */
  read = 0;

  /** @param begin Unix ns of the first of all @param from there were so many before */
  constructor(begin: number, stepNs: number, from: number) {
    this.#begin = begin;
    this.#stepNs = stepNs;
    this.#count = from;
    this.#seed = from + 1;
  }

  next(): Next {
    const count = this.#count++;
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    const name = skewed(this.#seed / 2 ** 32, NAMES);
    const view = this.#views[name] as LookupView;
    const job = Math.floor(count / (JOB_EVERY * JOB_LOOKUPS));
    if (count % (JOB_EVERY * JOB_LOOKUPS) === 0) this.#job = processOf(FIRST_JOB + job, `job${job % 200}`);
    const stays = this.#stay[(name * 7) % PROCESSES] as ProcessIdentity;
    view.process = count % JOB_EVERY === 0 ? this.#job : stays;
    const { words, at } = view.request.raw;
    const time = this.#begin + count * this.#stepNs;
    words[at + FIELD.TIME] = time;
    words[at + FIELD.TIME + 1] = Math.floor(time / 2 ** 32);
    for (const { message } of [view.request, view.answer])
      for (let byte = 0; byte < message.captured; byte++) this.read += message.bytes[byte] as number;
    return { view, name, time };
  }
}

export interface Filled {
  /** ns of the main thread's processor time a lookup. */
  readonly mainNs: number;
  /** Lookups a second that the thread kept. */
  readonly rate: number;
  readonly bytes: number;
  readonly lookups: number;
  readonly connections: number;
}

/**
 * Keeps so many lookups in the directory, the newest of now, the oldest of a week ago.
 * @param rows of all @param from those before it are there
 */
export async function fillHistory(
  directory: string,
  rows: number,
  say: (line: string) => void,
  from = 0,
): Promise<Filled> {
  const sink = await HistorySink.open({
    place: directory,
    maxBytes: Math.max(rows * GIVEN_BYTES, MIN_BYTES),
    maxAgeMs: 7 * 86_400_000,
    maxRows: 0,
    ledger: new Ledger(),
    notices: { warn: say, info: say },
  });
  const step = WEEK_NS / rows;
  const source = new Source(Date.now() * 1e6 - rows * step, step, from);
  const event = new LookupRecord({ nxdomainError: true });
  let mainNs = 0;
  const began = performance.now();
  for (let done = from; done < rows; done += CHUNK) {
    const lookups = Array.from({ length: Math.min(CHUNK, rows - done) }, () => source.next());
    const before = process.threadCpuUsage();
    for (const { view } of lookups) sink.accept(event.of(view, 0n));
    const { user, system } = process.threadCpuUsage(before);
    mainNs += (user + system) * 1000;
    for (let i = 0; i < lookups.length; i++)
      if ((done + i) % CONNECTED_EVERY === 0) sink.accept(connectionAfter(lookups[i] as Next));
    await sink.room();
  }
  await sink.flush();
  const seconds = (performance.now() - began) / 1000;
  const { bytes, lookups, connections } = await sink.queries.status();
  await sink.close(60_000);
  return { mainNs: mainNs / (rows - from), rate: (rows - from) / seconds, bytes, lookups, connections };
}

/** Of who asked, a second later. */
function connectionAfter({ view, name, time }: Next): LogEvent {
  const begun = BigInt(Math.floor(time)) + SECOND;
  const connection: RawConnection = {
    kind: 'connection',
    time: begun,
    family: 4,
    networkNamespace: 4026531840,
    socket: 7n,
    local: { address: '10.255.0.7', port: localPortOf(name) },
    remote: { address: addressOf(name), port: 443 },
    owner: undefined,
  };
  const resolution: Resolution = {
    names: [nameOf(name)],
    scope: 'process',
    answered: begun - SECOND,
    expires: begun + 299n * SECOND,
  };
  const event = { kind: 'connection', time: begun, connection, process: view.process, resolution } as const;
  return toConnectionLog(event, begun, () => '');
}
