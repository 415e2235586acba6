/**
 * What does a lookup cost from the captured bytes to the bytes of its record? Parser, requests in flight, record, request encoder and
 * series, as the pipeline has them one after the other; no kernel, no streams, nothing is sent.
 */
import { Session } from 'node:inspector/promises';
import { Message } from '../src/dns/message.ts';
import { Stage } from '../src/ledger.ts';
import { Envelope } from '../src/lookup/envelope.ts';
import { FIELD } from '../src/lookup/fields.ts';
import { InFlight } from '../src/lookup/inflight.ts';
import type { LookupView } from '../src/lookup/view.ts';
import type { ProcessIdentity } from '../src/model.ts';
import { LookupRecord } from '../src/records/lookup-record.ts';
import type { SealedRequest } from '../src/sinks/delivery/request-store.ts';
import { LookupSeries } from '../src/sinks/metrics/lookup-series.ts';
import { ProcessSeries } from '../src/sinks/metrics/process-series.ts';
import { LogsRequestEncoder } from '../src/sinks/otlp/encode-request.ts';
import { type EncodedRecord, encodeMessage, labels, string, u32 } from '../test/unit/dns-encode.ts';
import { identity, lookup, TIME } from '../test/unit/sink-events.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread } from './statistics.ts';

/** Different lookups of a workload, each asked again and again. */
const DIFFERENT = 4096;
const LOOKUPS = 200_000;
const ROUNDS = 7;
/** Bytes of the heap that a lookup may allocate. */
export const MAX_ALLOCATED = 200;
const REQUEST_RECORDS = 2048;
const SCOPE = { name: 'whodns', version: '0.0.0' };

interface Messages {
  readonly request: Buffer;
  readonly answer: Buffer;
}

const OPT: EncodedRecord = { name: [], type: 41, class: 1232, ttl: 0, rdata: [] };

function record(name: string, type: number, ...rdata: EncodedRecord['rdata']): EncodedRecord {
  return { name: labels(name), type, class: 1, ttl: 300, rdata };
}

function messages(
  name: string,
  type: number,
  answers: readonly EncodedRecord[],
  { flags = 0x8180, authorities = [] }: { flags?: number; authorities?: readonly EncodedRecord[] } = {},
): Messages {
  const questions = [{ name: labels(name), type, class: 1 }];
  const common = { id: 0, questions, additionals: [OPT] };
  return {
    request: encodeMessage({ ...common, flags: 0x0100, answers: [], authorities: [] }),
    answer: encodeMessage({ ...common, flags, answers, authorities }),
  };
}

const address = (i: number) => Uint8Array.of(192, 0, i >> 8, i & 255);
const address6 = (i: number) => Uint8Array.of(32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i >> 8, i & 255);

function oneAddress(i: number): Messages {
  const name = `host${i}.shop.example.com`;
  return messages(name, 1, [record(name, 1, address(i))]);
}

/** Aliases with addresses, a name that does not exist, a text, an address. */
function mixed(i: number): Messages {
  const name = `www${i}.service.example.org`;
  const [edge, pop] = ['edge.cdn.example.net', 'pop7.cdn.example.net'];
  switch (i % 4) {
    case 0:
      return messages(name, 28, [
        record(name, 5, { name: labels(edge) }),
        record(edge, 5, { name: labels(pop) }),
        record(pop, 28, address6(i)),
        record(pop, 28, address6(i + 1)),
      ]);
    case 1: {
      const timers = [2_026_113_001, 7200, 900, 1_209_600, 300].map(u32);
      const [server, mailbox] = [{ name: labels('ns1.example.org') }, { name: labels('admin.example.org') }];
      const authorities = [record('example.org', 6, server, mailbox, ...timers)];
      return messages(name, 1, [], { flags: 0x8183, authorities });
    }
    case 2:
      return messages(name, 16, [record(name, 16, string('v=spf1 include:_spf.example.net -all'))]);
    default:
      return messages(name, 1, [record(name, 1, address(i))]);
  }
}

/** Where the messages of one thread are seen. */
interface Thread {
  readonly request: Envelope;
  readonly answer: Envelope;
}

export interface Workload {
  readonly name: string;
  readonly processes: number;
  readonly names: number;
  readonly messages: (index: number) => Messages;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'one process, few names', processes: 1, names: 16, messages: oneAddress },
  { name: 'many names', processes: 1, names: DIFFERENT, messages: oneAddress },
  { name: '1 000 processes', processes: 1000, names: DIFFERENT, messages: oneAddress },
  { name: 'mix: aliases, NXDOMAIN, TXT, AAAA', processes: 8, names: DIFFERENT, messages: mixed },
];

/** The stages between the ring and the network, one after the other. */
export class Core {
  readonly #workload: Workload;
  readonly #messages: readonly Messages[];
  readonly #processes: readonly ProcessIdentity[];
  readonly #threads: readonly Thread[];
  readonly #message = new Message();
  readonly #record = new LookupRecord({ nxdomainError: true });
  readonly #encoder = new LogsRequestEncoder({ scope: SCOPE, maxBytes: 3_500_000 });
  readonly #series = new LookupSeries(0n, false);
  readonly #counts = new ProcessSeries({ processes: () => [], forget: () => undefined }, 0n);
  readonly #inFlight: InFlight;
  readonly #observed = TIME + 1_000_000_000n;
  #asked = 0;
  lookups = 0;
  requests = 0;
  requestBytes = 0;

  constructor(workload: Workload) {
    this.#workload = workload;
    this.#messages = Array.from({ length: workload.names }, (_, i) => workload.messages(i));
    this.#processes = Array.from({ length: workload.processes }, (_, i) => {
      const name = `p${i % 32}`;
      const { resource } = identity();
      return identity({
        pid: 1000 + i,
        executableName: name,
        resource: { ...resource, 'process.pid': 1000 + i, 'process.executable.name': name },
      });
    });
    this.#threads = this.#processes.map((_, i) => threadOf(1000 + i));
    this.#inFlight = new InFlight({
      timeoutNs: 5_000_000_000n,
      emit: 'lookup',
      stage: new Stage('correlate'),
      answers: new Stage('answers'),
      onLookup: (view) => this.#finished(view),
    });
  }

  run(count: number): void {
    const { names } = this.#workload;
    for (let i = 0; i < count; i++) {
      const number = this.#asked++;
      const { request, answer } = this.#messages[(number * 5) % names] as Messages;
      const who = (number * 7) % this.#processes.length;
      const at = this.#threads[who] as Thread;
      stamp(at.request, request, number, 0);
      stamp(at.answer, answer, number, 700_000);
      this.#message.parse(request, 0, request.length, request.length);
      this.#inFlight.request(at.request, this.#message, this.#processes[who] as ProcessIdentity);
      this.#message.parse(answer, 0, answer.length, answer.length);
      this.#inFlight.response(at.answer, this.#message);
    }
  }

  #finished(view: LookupView): void {
    this.lookups++;
    const record = this.#record.of(view, this.#observed);
    this.#sealed(this.#encoder.add(record));
    if (this.#encoder.records >= REQUEST_RECORDS) this.#sealed(this.#encoder.seal());
    this.#series.add(record);
    this.#counts.remember(view.process);
  }

  #sealed(request: SealedRequest | undefined): void {
    if (request === undefined) return;
    this.requests++;
    this.requestBytes += request.bytes.length;
    this.#encoder.release(request);
  }
}

function threadOf(tid: number): Thread {
  const { request, response } = lookup();
  const owner = request.raw.owner && { ...request.raw.owner, pid: tid, tid };
  if (response === undefined) throw new Error('a lookup without an answer');
  return {
    request: new Envelope().fill({ ...request.raw, owner }),
    answer: new Envelope().fill({ ...response.raw, owner: undefined }),
  };
}

/** The next lookup: id, port and time of its own. */
function stamp({ words, at }: Envelope, bytes: Buffer, number: number, ns: number): void {
  bytes[0] = number >> 8;
  bytes[1] = number;
  words[at + FIELD.PORTS] = (32_768 + ((number >> 16) & 0x3fff)) | (53 << 16);
  const time = number * 1_000_000 + ns;
  words[at + FIELD.TIME] = time;
  words[at + FIELD.TIME + 1] = 0x18d0_0000 + Math.floor(time / 0x1_0000_0000);
  words[at + FIELD.LENGTH] = bytes.length;
  words[at + FIELD.CAPTURED] = bytes.length;
}

/** Bytes of the heap, collected or not, that `run` allocates. */
export async function allocatedBy(run: () => void): Promise<number> {
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 512,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  run();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  return sizeOf(profile.head);
}

interface Node {
  readonly selfSize: number;
  readonly children: readonly Node[];
}

function sizeOf({ selfSize, children }: Node): number {
  return children.reduce((sum, child) => sum + sizeOf(child), selfSize);
}

interface CoreCost {
  readonly name: string;
  /** ns of the thread's processor time a lookup. */
  readonly time: Spread;
  /** Bytes allocated a lookup. */
  readonly allocated: number;
  /** Bytes of the request a lookup. */
  readonly bytes: number;
}

async function measure(workload: Workload): Promise<CoreCost> {
  const run = new Core(workload);
  run.run(LOOKUPS);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.threadCpuUsage();
    run.run(LOOKUPS);
    const { user, system } = process.threadCpuUsage(before);
    times.push(((user + system) * 1000) / LOOKUPS);
  }
  const allocated = (await allocatedBy(() => run.run(LOOKUPS))) / LOOKUPS;
  return { name: workload.name, time: spread(times), allocated, bytes: run.requestBytes / run.lookups };
}

export const core: Question<readonly CoreCost[]> = {
  name: 'core',
  title: 'What does a lookup cost from captured bytes to the bytes of its record?',
  async measure() {
    const costs: CoreCost[] = [];
    for (const workload of WORKLOADS) costs.push(await measure(workload));
    return costs;
  },
  failures: (result) =>
    result
      .filter(({ allocated }) => allocated > MAX_ALLOCATED)
      .map(
        ({ name, allocated }) => `${name}: ${allocated.toFixed(0)} bytes a lookup, at most ${MAX_ALLOCATED}`,
      ),
  page: (result) => [
    'Parser, requests in flight, record, encoder of requests and series, one after the other on one thread: no kernel, nothing is sent.',
    '',
    '| workload | ns a lookup | bytes allocated | bytes of its record |',
    '|---|---|---|---|',
    ...result.map(
      ({ name, time, allocated, bytes }) =>
        `| ${name} | ${show(time)} | ${allocated.toFixed(0)} | ${bytes.toFixed(0)} |`,
    ),
  ],
};
