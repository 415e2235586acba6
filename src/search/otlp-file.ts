/**
 * Reads OTLP/JSON lines (`--exporter otlp-file:PATH`, the Collector's file exporter) into a history: one ExportLogsServiceRequest a line.
 * https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
 */
import type { FileBytes } from '../capture/file-bytes.ts';
import type { SentProcess } from '../history/process-rows.ts';
import type { SentEvent } from '../history/sent-event.ts';
import { Store } from '../history/store.ts';
import type { Log } from '../lib/log.ts';
import type { Attributes } from '../model.ts';
import { eventOf, processOf, valuesOf } from './record-event.ts';

const NEWLINE = 0x0a;
/** A longer line is left out. */
const MAX_LINE = 64 * 1024 * 1024;
/** Events of one transaction, and distinct processes numbered before the count begins again. */
const MAX_EVENTS = 1000;
const MAX_PROCESSES = 65_536;

export interface OtlpFileOptions {
  /** Empty; this process's alone. */
  readonly directory: string;
  readonly maxBytes: number;
  readonly log: Log;
  /** True: no more is read. */
  readonly isStopped: () => boolean;
}

/** Rejects where the directory cannot be written to, or the file not be read any more. */
export async function readOtlpFile(bytes: FileBytes, options: OtlpFileOptions): Promise<void> {
  const { directory, maxBytes, log, isStopped } = options;
  const warn = (message: string): void => log.warn(message);
  const store = new Store({
    place: directory,
    maxBytes,
    maxAgeMs: Number.POSITIVE_INFINITY,
    maxRows: 0,
    warn,
  });
  const records = new Records(store);
  const bad: number[] = [];
  try {
    let number = 0;
    for await (const line of linesOf(bytes)) {
      number++;
      if (isStopped()) break;
      if (line === undefined || !(isBlank(line) || records.add(line))) bad.push(number);
    }
    records.flush();
  } finally {
    store.close();
  }
  if (bad.length > 0)
    warn(`${bad.length} lines are no OTLP/JSON, the first of them line ${bad[0]}: left out`);
  if (bytes.broken !== undefined) warn(`the file ends early: ${bytes.broken}`);
  if (records.foreign > 0) warn(`${records.foreign} records are not of whodns: left out`);
}

class Records {
  /** Records of others. */
  foreign = 0;
  readonly #store: Store;
  readonly #numbers = new Map<string, number>();
  #unsent = new Map<number, SentProcess>();
  #isFirst = true;
  #events: SentEvent[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  /** @returns false: it is no line of such a file */
  add(line: Buffer): boolean {
    const request = parsed(line);
    if (request === undefined) return false;
    for (const resourceLogs of list(request, 'resourceLogs')) {
      const { attributes } = object(object(resourceLogs)['resource']);
      const resource = Object.fromEntries(valuesOf(attributes));
      const key = JSON.stringify(resource);
      for (const scopeLogs of list(resourceLogs, 'scopeLogs'))
        for (const record of list(scopeLogs, 'logRecords')) this.#record(object(record), resource, key);
    }
    return true;
  }

  flush(): void {
    this.#store.learn(this.#unsent, this.#isFirst);
    this.#store.write(new ArrayBuffer(0), 0, this.#events);
    this.#unsent = new Map();
    this.#isFirst = false;
    this.#events = [];
  }

  #record(record: Readonly<Record<string, unknown>>, resource: Attributes, key: string): void {
    const attribution = valuesOf(record['attributes']).get('whodns.attribution');
    const said = typeof attribution === 'string' ? attribution : undefined;
    const event = eventOf(record, this.#number(resource, `${said} ${key}`, said));
    if (event === undefined) this.foreign++;
    else this.#events.push(event);
    if (this.#events.length >= MAX_EVENTS) this.flush();
  }

  #number(resource: Attributes, key: string, attribution: string | undefined): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#numbers.size >= MAX_PROCESSES) {
      this.flush();
      this.#numbers.clear();
      this.#isFirst = true;
    }
    const number = this.#numbers.size;
    this.#numbers.set(key, number);
    this.#unsent.set(number, processOf(resource, attribution));
    return number;
  }
}

/** Without their ends; undefined: one that is too long. */
async function* linesOf(bytes: FileBytes): AsyncGenerator<Buffer | undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (end: Buffer): Buffer | undefined => {
    const line = length > MAX_LINE ? undefined : Buffer.concat([...parts, end]);
    parts = [];
    length = 0;
    return line;
  };
  for (let chunk = await bytes.next(); chunk !== undefined; chunk = await bytes.next()) {
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      yield take(chunk.subarray(start, at));
      start = at + 1;
    }
    const rest = chunk.subarray(start);
    length += rest.length;
    if (length <= MAX_LINE) parts.push(rest);
    else parts = [];
  }
  yield take(Buffer.alloc(0));
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

function parsed(line: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined; // said by line
  }
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function list(value: unknown, name: string): readonly unknown[] {
  const found = object(value)[name];
  return Array.isArray(found) ? found : [];
}
