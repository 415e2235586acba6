/** What a destination received, judged record by record: which lookup (the load generator numbers its names) and which uid. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import type { LogsRequest } from './otlp-json.ts';

/** bench/load.c: every query its own name. */
const NAME = /^n([0-9a-f]{8})\.bench\.test$/;
const CHUNK = 1 << 20;

interface OfProcess {
  readonly lookups: Set<number>;
  readonly uids: Set<string>;
  records: number;
}

export class Arrivals {
  readonly #byPid = new Map<number, OfProcess>();

  note(pid: number, name: string, uid: string): void {
    const serial = NAME.exec(name)?.[1];
    if (serial === undefined) return; // what others on this machine asked
    let of = this.#byPid.get(pid);
    if (of === undefined) {
      of = { lookups: new Set(), uids: new Set(), records: 0 };
      this.#byPid.set(pid, of);
    }
    of.records++;
    of.lookups.add(Number.parseInt(serial, 16));
    of.uids.add(uid);
  }

  /** Different lookups of that process. */
  lookups(pid: number): ReadonlySet<number> {
    return this.#byPid.get(pid)?.lookups ?? new Set();
  }

  /** Records that came more than once, by log.record.uid. */
  duplicates(pid: number): number {
    const of = this.#byPid.get(pid);
    return of === undefined ? 0 : of.records - of.uids.size;
  }

  /** Different uids that name the same lookup: an agent that made two records of one. */
  doubled(pid: number): number {
    const of = this.#byPid.get(pid);
    return of === undefined ? 0 : of.uids.size - of.lookups.size;
  }
}

/** Follows the file that the collector writes; a line is read when it is whole. */
export class FileArrivals {
  readonly arrivals = new Arrivals();
  readonly #path: string;
  #at = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  read(): void {
    if (!existsSync(this.#path)) return;
    const fd = openSync(this.#path, 'r');
    const chunk = Buffer.alloc(CHUNK);
    for (let count = readSync(fd, chunk, 0, CHUNK, this.#at); count > 0; ) {
      this.#at += count;
      this.#take(chunk.subarray(0, count));
      count = readSync(fd, chunk, 0, CHUNK, this.#at);
    }
    closeSync(fd);
  }

  #take(bytes: Buffer): void {
    let text = Buffer.concat([this.#rest, bytes]);
    for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10)) {
      this.#line(text.toString('utf8', 0, end));
      text = text.subarray(end + 1);
    }
    this.#rest = Buffer.from(text);
  }

  #line(line: string): void {
    // A collector killed while it wrote leaves half a line; the next one goes on behind it.
    const request = parse(line) ?? parse(line.slice(line.lastIndexOf('{"resourceLogs"')));
    for (const { resource, scopeLogs } of request?.resourceLogs ?? []) {
      const value = resource.attributes?.find(({ key }) => key === 'process.pid')?.value.intValue;
      for (const record of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
        const text = (key: string) =>
          record.attributes.find((attribute) => attribute.key === key)?.value.stringValue ?? '';
        this.arrivals.note(Number(value), text('dns.question.name'), text('log.record.uid'));
      }
    }
  }
}

function parse(line: string): LogsRequest | undefined {
  try {
    return JSON.parse(line) as LogsRequest;
  } catch {
    return undefined;
  }
}
