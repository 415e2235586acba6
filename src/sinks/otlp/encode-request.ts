/**
 * Log events -> ExportLogsServiceRequest (collector/logs/v1/logs_service.proto), or ExportTraceServiceRequest, whose field
 * numbers are the same down to the record (trace/v1/trace.proto). Each is encoded when it comes, so that
 * nothing of the event stays alive. Records stand one after the other in one buffer; sealing copies them into one of the request's
 * own, grouped by process, in the order they came.
 */
import { LRUCache } from 'lru-cache';
import type { LogEvent, ProcessIdentity } from '../../model.ts';
import { ProtobufWriter, TAG, varintSize } from '../../otlp/encode.ts';
import { encodeResource, encodeScope, writeLogRecord } from '../../otlp/encode-record.ts';
import type { RequestEncoder } from '../delivery/delivery.ts';
import { RequestBuffers } from '../delivery/request-buffers.ts';
import type { SealedRequest } from '../delivery/request-store.ts';

const REQUEST = { resourceLogs: TAG.bytes(1) } as const;
const RESOURCE_LOGS = { resource: TAG.bytes(1), scopeLogs: TAG.bytes(2) } as const;
const SCOPE_LOGS = { scope: TAG.bytes(1), logRecords: TAG.bytes(2) } as const;

/** Tags and lengths around the records of one process: three tags, four lengths of at most 4 bytes. */
const GROUP_OVERHEAD = 24;
/** Bytes of a record's length: most have some hundred bytes. */
const RECORD_LENGTH = 2;
const FIRST_CAPACITY = 64 * 1024;
/** Resources are kept encoded for some thousand processes; one of 1 KB costs 5 us to encode. */
const RESOURCES_BYTES = 8 * 1024 * 1024;
/** Of the cache's entry. */
const RESOURCE_OVERHEAD = 256;

interface Group {
  readonly process: ProcessIdentity;
  readonly resource: Uint8Array;
  /** Bytes of its records. */
  size: number;
  /** While sealing: where its next records go. */
  cursor: number;
}

export interface EncoderOptions {
  readonly scope: { readonly name: string; readonly version: string };
  /** Bytes of a request; a single record that is larger makes a request of its own. */
  readonly maxBytes: number;
  /** Writes one record, without tag and length; default: a LogRecord. */
  readonly write?: ((writer: ProtobufWriter, event: LogEvent) => void) | undefined;
}

export class LogsRequestEncoder implements RequestEncoder {
  readonly #maxBytes: number;
  readonly #write: (writer: ProtobufWriter, event: LogEvent) => void;
  readonly #scope: Uint8Array;
  readonly #resources = new LRUCache<ProcessIdentity, Uint8Array>({
    maxSize: RESOURCES_BYTES,
    sizeCalculation: ({ length }) => length + RESOURCE_OVERHEAD,
  });
  readonly #writer = new ProtobufWriter(FIRST_CAPACITY);
  readonly #buffers = new RequestBuffers();
  /** Of the request being built. */
  readonly #groups = new Map<ProcessIdentity, Group>();
  /** The group of the record before. */
  #last: Group | undefined;
  /** Neighbouring records of one process: whose, and where they end. The arrays are used again. */
  readonly #runGroups: Group[] = [];
  readonly #runEnds: number[] = [];
  #runs = 0;
  #records = 0;
  /** Bytes of complete records. */
  #end = 0;
  /** Upper bound of what the groups add. */
  #overhead = 0;

  constructor({ scope, maxBytes, write = writeLogRecord }: EncoderOptions) {
    this.#write = write;
    this.#scope = encodeScope(scope);
    this.#maxBytes = maxBytes;
  }

  get records(): number {
    return this.#records;
  }

  add(event: LogEvent): SealedRequest | undefined {
    const writer = this.#writer;
    const start = this.#end;
    writer.position = start; // behind it may lie the half of a record that could not be encoded
    writer.reserve(1);
    writer.byte(SCOPE_LOGS.logRecords);
    const record = writer.begin(RECORD_LENGTH);
    this.#write(writer, event);
    writer.end(record, RECORD_LENGTH);
    const size = writer.position - start;
    let sealed: SealedRequest | undefined;
    if (this.#records > 0 && start + this.#overhead + size + this.#added(event.process) > this.#maxBytes) {
      sealed = this.seal();
      writer.bytes.copyWithin(0, start, start + size);
    }
    this.#append(event.process, size);
    return sealed;
  }

  seal(): SealedRequest | undefined {
    if (this.#records === 0) return undefined;
    const bytes = this.#buffers.take(this.#layOut());
    this.#copyRecords(bytes);
    const sealed = { bytes, records: this.#records, resourceCount: this.#groups.size };
    this.#groups.clear();
    this.#last = undefined;
    this.#runs = 0;
    this.#records = 0;
    this.#end = 0;
    this.#overhead = 0;
    return sealed;
  }

  release({ bytes }: SealedRequest): void {
    this.#buffers.release(bytes);
  }

  /** Bytes that a record of this process adds to the request besides its own. */
  #added(process: ProcessIdentity): number {
    if (this.#last?.process === process || this.#groups.has(process)) return 0;
    return this.#groupSize(this.#resourceOf(process));
  }

  #append(process: ProcessIdentity, size: number): void {
    const last = this.#last;
    const group = last?.process === process ? last : this.#groupOf(process);
    group.size += size;
    this.#end += size;
    this.#records++;
    if (group !== last) {
      this.#runGroups[this.#runs++] = group;
      this.#last = group;
    }
    this.#runEnds[this.#runs - 1] = this.#end;
  }

  #groupOf(process: ProcessIdentity): Group {
    const known = this.#groups.get(process);
    if (known !== undefined) return known;
    const resource = this.#resourceOf(process);
    const group = { process, resource, size: 0, cursor: 0 };
    this.#groups.set(process, group);
    this.#overhead += this.#groupSize(resource);
    return group;
  }

  #resourceOf(process: ProcessIdentity): Uint8Array {
    let resource = this.#resources.get(process);
    if (resource === undefined) {
      resource = encodeResource(process.resource);
      this.#resources.set(process, resource);
    }
    return resource;
  }

  #groupSize(resource: Uint8Array): number {
    return resource.length + this.#scope.length + GROUP_OVERHEAD;
  }

  #scopeLogsSize(group: Group): number {
    return delimited(this.#scope.length) + group.size;
  }

  #resourceLogsSize(group: Group): number {
    return delimited(group.resource.length) + delimited(this.#scopeLogsSize(group));
  }

  /** @returns the request's size */
  #layOut(): number {
    let size = 0;
    for (const group of this.#groups.values()) size += delimited(this.#resourceLogsSize(group));
    return size;
  }

  #copyRecords(target: Buffer): void {
    let at = 0;
    for (const group of this.#groups.values()) {
      at = header(target, at, REQUEST.resourceLogs, this.#resourceLogsSize(group));
      at = header(target, at, RESOURCE_LOGS.resource, group.resource.length);
      target.set(group.resource, at);
      at += group.resource.length;
      at = header(target, at, RESOURCE_LOGS.scopeLogs, this.#scopeLogsSize(group));
      at = header(target, at, SCOPE_LOGS.scope, this.#scope.length);
      target.set(this.#scope, at);
      at += this.#scope.length;
      group.cursor = at;
      at += group.size;
    }
    const records = this.#writer.bytes;
    let from = 0;
    for (let run = 0; run < this.#runs; run++) {
      const group = this.#runGroups[run] as Group;
      const end = this.#runEnds[run] as number;
      records.copy(target, group.cursor, from, end);
      group.cursor += end - from;
      from = end;
    }
  }
}

/** Size of a field with tag and length. */
function delimited(length: number): number {
  return 1 + varintSize(length) + length;
}

/** Tag and length. @returns where the content begins */
function header(target: Uint8Array, start: number, tag: number, length: number): number {
  let at = start;
  target[at++] = tag;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80;
  target[at++] = rest;
  return at;
}
