/**
 * Log events -> ExportLogsServiceRequest (collector/logs/v1/logs_service.proto), or ExportTraceServiceRequest, whose field
 * numbers are the same down to the record (trace/v1/trace.proto). Each is encoded when it comes, so that
 * nothing of the event stays alive. Records stand one after the other in one buffer; sealing copies them into a buffer of
 * exactly the request's size, grouped by process, in the order they came.
 */
import { LRUCache } from 'lru-cache';
import type { LogEvent, ProcessIdentity } from '../model.ts';
import type { RequestEncoder } from './delivery.ts';
import { PROCESSES_KEPT } from './limits.ts';
import { ProtobufWriter, TAG, varintSize } from './otlp-encode.ts';
import { encodeResource, encodeScope, writeLogRecord } from './otlp-encode-record.ts';
import type { SealedRequest } from './request-store.ts';

const REQUEST = { resourceLogs: TAG.bytes(1) } as const;
const RESOURCE_LOGS = { resource: TAG.bytes(1), scopeLogs: TAG.bytes(2) } as const;
const SCOPE_LOGS = { scope: TAG.bytes(1), logRecords: TAG.bytes(2) } as const;

/** Tags and lengths around the records of one process: three tags, four lengths of at most 4 bytes. */
const GROUP_OVERHEAD = 24;
const FIRST_CAPACITY = 64 * 1024;

interface Group {
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
  readonly #resources = new LRUCache<ProcessIdentity, Uint8Array>({ max: PROCESSES_KEPT });
  readonly #writer = new ProtobufWriter(FIRST_CAPACITY);
  readonly #groups = new Map<ProcessIdentity, Group>();
  /** Neighbouring records of one process: who, and where they end. */
  #runGroups: Group[] = [];
  #runEnds: number[] = [];
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
    const record = writer.begin();
    this.#write(writer, event);
    writer.end(record);
    const size = writer.position - start;
    const resource = this.#resourceOf(event.process);
    const added = this.#groups.has(event.process) ? 0 : this.#groupSize(resource);
    let sealed: SealedRequest | undefined;
    if (this.#records > 0 && start + this.#overhead + size + added > this.#maxBytes) {
      sealed = this.seal();
      writer.bytes.copyWithin(0, start, start + size);
    }
    this.#append(event.process, resource, size);
    return sealed;
  }

  seal(): SealedRequest | undefined {
    if (this.#records === 0) return undefined;
    const bytes = Buffer.allocUnsafeSlow(this.#layOut());
    this.#copyRecords(bytes);
    const sealed = { bytes, records: this.#records, resourceCount: this.#groups.size };
    this.#groups.clear();
    this.#runGroups = [];
    this.#runEnds = [];
    this.#records = 0;
    this.#end = 0;
    this.#overhead = 0;
    return sealed;
  }

  #append(process: ProcessIdentity, resource: Uint8Array, size: number): void {
    let group = this.#groups.get(process);
    if (group === undefined) {
      group = { resource, size: 0, cursor: 0 };
      this.#groups.set(process, group);
      this.#overhead += this.#groupSize(resource);
    }
    group.size += size;
    this.#end += size;
    this.#records++;
    const last = this.#runGroups.length - 1;
    if (this.#runGroups[last] === group) {
      this.#runEnds[last] = this.#end;
    } else {
      this.#runGroups.push(group);
      this.#runEnds.push(this.#end);
    }
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
    for (const [index, group] of this.#runGroups.entries()) {
      const end = this.#runEnds[index] as number;
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
