/**
 * Bytes of a batch (records as in bpf/event.h, each padded to 8 bytes) -> RawEvent. Runs for every message: one pass, no
 * look-ahead, texts from small caches. Bytes that cannot be are counted in the stage, never thrown.
 */

import type { Stage } from '../ledger.ts';
import { formatIPv4, formatIPv6, isV4Mapped } from '../lib/address.ts';
import { Envelope } from '../lookup/envelope.ts';
import { FIELD_BITS } from '../lookup/fields.ts';
import type { RawConnection, RawEvent, RawExit, RawMessage, RawProcess, TraceContext } from '../model.ts';
import type { WireDrop } from '../tables/drops-streams.ts';
import { LITTLE } from './byte-order.ts';
import {
  connectionFamily,
  connectionLocal,
  connectionLocalPort,
  connectionNamespace,
  connectionOwner,
  connectionRemote,
  connectionRemotePort,
  isConnection,
} from './connection.ts';
import { learnInterface } from './interfaces.ts';
import {
  CONNECTION_EVENT,
  EVENT_HEADER,
  EVENT_KIND,
  EXIT_EVENT,
  MESSAGE_FLAGS as F,
  INTERFACE_EVENT,
  MESSAGE_EVENT,
  OWNER_EVENT,
  PROCESS_EVENT as P,
  PROCESS_FLAGS,
  TRACE_CONTEXT,
} from './layout.gen.ts';
import { isMessage, messageFlags, messageOwner, messagePayload, messageTrace } from './message.ts';
import { type ClockOffset, clockOffset, fillWords } from './message-words.ts';
import { type Owners, taskName } from './owners.ts';
import { processCountAt } from './processes.ts';
import { recordKind, recordSize, recordStep } from './record.ts';
import { Slots, WordSlots } from './slots.ts';
import { argumentTexts, pathText } from './strings.ts';

const addresses = new Slots(4096, (bytes, offset) =>
  isV4Mapped(bytes, offset) ? formatIPv4(bytes, offset + 12) : formatIPv6(bytes, offset),
);
const ipv4Addresses = new WordSlots(4096, formatIPv4);

/**
 * Decodes a batch. Every record adds one to `stage.in` and one to `stage.out` or `stage.dropped`; but for those that tell an
 * owner, which are a part of the records that name him.
 *
 * @param toUnix what to add to CLOCK_MONOTONIC nanoseconds to have Unix time.
 * @param owners what the ring has told so far; it learns what this batch tells.
 * @returns events in the order of the batch. A datagram is a view of `batch` and is used again for the next one: to be read at
 *   once. A piece of TCP is a copy, since stream reassembly does keep it.
 */
export function decodeBatch(
  batch: Uint8Array,
  toUnix: bigint,
  stage: Stage<'wire'>,
  owners: Owners,
): (RawEvent | RawExit)[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const events: (RawEvent | RawExit)[] = [];
  const batchOf = { view, bytes: batch, owners, toUnix, offset: clockOffset(toUnix) };
  let at = 0;
  while (at < batch.length) {
    const size = recordSize(view, at, batch.length);
    const event = size === 0 ? 'cut' : decodeEvent(batchOf, at, size, events.length);
    if (event !== undefined) stage.in++;
    if (typeof event === 'string') {
      stage.drop(event);
    } else if (event !== undefined) {
      stage.out++;
      events.push(event);
    }
    if (size === 0) break;
    at += recordStep(size);
  }
  return events;
}

interface Batch {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly owners: Owners;
  readonly toUnix: bigint;
  /** The same in two words. */
  readonly offset: ClockOffset;
}

/** A drop reason; undefined: a record that is no event. */
function decodeEvent(
  batch: Batch,
  at: number,
  size: number,
  index: number,
): RawEvent | RawExit | WireDrop | undefined {
  const { view, bytes, owners, toUnix } = batch;
  const kind = recordKind(view, at);
  if (kind === EVENT_KIND.MESSAGE) {
    if (size < MESSAGE_EVENT.SIZEOF) return 'cut';
    return isMessage(view, at, size) ? decodeMessage(batch, at, index) : 'field';
  }
  if (kind === EVENT_KIND.OWNER) {
    if (size < OWNER_EVENT.SIZEOF) return 'cut';
    owners.learn(view, bytes, at);
    return undefined;
  }
  if (kind === EVENT_KIND.INTERFACE) {
    if (size < INTERFACE_EVENT.SIZEOF) return 'cut';
    learnInterface(view, bytes, at);
    return undefined;
  }
  if (kind === EVENT_KIND.PROCESS) {
    return size < P.SIZEOF ? 'cut' : decodeProcess(batch, at, size);
  }
  if (kind === EVENT_KIND.CONNECTION) {
    if (size < CONNECTION_EVENT.SIZEOF) return 'cut';
    return isConnection(view, at, size) ? decodeConnection(batch, at) : 'field';
  }
  if (kind === EVENT_KIND.EXIT) {
    return size < EXIT_EVENT.SIZEOF ? 'cut' : decodeExit(view, at, toUnix);
  }
  return 'kind';
}

function decodeExit(view: DataView, at: number, toUnix: bigint): RawExit {
  return {
    kind: 'exit',
    count: processCountAt(view, at + EXIT_EVENT.process, at + EXIT_EVENT.counted, toUnix),
  };
}

/** Messages of the batch at hand: views that the next batch uses again. */
const envelopes: Envelope[] = [];

function decodeMessage({ view, bytes, owners, offset }: Batch, at: number, index: number): RawMessage {
  const envelope = envelopes[index] ?? newEnvelope(index);
  const flags = messageFlags(view, at);
  fillWords(view, at, offset, envelope.words);
  envelope.owner = owners.get(messageOwner(view, at), (flags & F.OWNER_CACHED) !== 0);
  envelope.trace = (flags & F.TRACE) === 0 ? undefined : decodeTrace(bytes, messageTrace(view, at));
  envelope.bytes = bytes;
  envelope.base = messagePayload(view, at);
  return envelope.has(FIELD_BITS.TCP) ? { ...envelope.head(), payload: envelope.payload.slice() } : envelope;
}

function newEnvelope(index: number): Envelope {
  const envelope = new Envelope();
  envelopes[index] = envelope;
  return envelope;
}

/** A record that is not valid (OTEP 4947) and ids of zeros (W3C Trace Context) are none. */
function decodeTrace(bytes: Uint8Array, at: number): TraceContext | undefined {
  if (bytes[at + TRACE_CONTEXT.valid] !== 1) return undefined;
  // A copy: the batch is not kept.
  const id = (from: number, length: number) => Uint8Array.from(bytes.subarray(at + from, at + from + length));
  const traceId = id(TRACE_CONTEXT.trace_id, 16);
  const spanId = id(TRACE_CONTEXT.span_id, 8);
  if (!traceId.some(Boolean) || !spanId.some(Boolean)) return undefined;
  return { traceId, spanId, flags: bytes[at + TRACE_CONTEXT.flags] as number };
}

/** 4 bytes where the family is 4, else 16. */
function addressText(view: DataView, bytes: Uint8Array, family: number, at: number): string {
  return (family === 4 ? ipv4Addresses : addresses).text(view, bytes, at);
}

function decodeConnection({ view, bytes, owners, toUnix }: Batch, at: number): RawConnection {
  const family = connectionFamily(view, at) === 4 ? 4 : 6;
  const text = (address: number) => addressText(view, bytes, family, address);
  return {
    kind: 'connection',
    time: view.getBigUint64(at + EVENT_HEADER.time, LITTLE) + toUnix,
    family,
    networkNamespace: connectionNamespace(view, at),
    socket: view.getBigUint64(at + CONNECTION_EVENT.socket, LITTLE),
    local: { address: text(connectionLocal(view, at)), port: connectionLocalPort(view, at) },
    remote: { address: text(connectionRemote(view, at)), port: connectionRemotePort(view, at) },
    owner: owners.get(connectionOwner(view, at)),
  };
}

function decodeProcess(
  { view, bytes, owners, toUnix }: Batch,
  at: number,
  size: number,
): RawProcess | WireDrop {
  const owner = owners.get(view.getUint32(at + P.owner_id, LITTLE));
  const flags = view.getUint32(at + P.flags, LITTLE);
  const exeEnd = P.SIZEOF + view.getUint16(at + P.exe_bytes, LITTLE);
  const argsEnd = exeEnd + view.getUint16(at + P.args_bytes, LITTLE);
  const cwdEnd = argsEnd + view.getUint16(at + P.cwd_bytes, LITTLE);
  const cgroupEnd = cwdEnd + view.getUint16(at + P.cgroup_bytes, LITTLE);
  const environmentEnd = cgroupEnd + view.getUint16(at + P.environment_bytes, LITTLE);
  if (owner === undefined || environmentEnd > size) return 'field';
  const piece = (from: number, to: number) => bytes.subarray(at + from, at + to);
  return {
    kind: 'process',
    time: view.getBigUint64(at + EVENT_HEADER.time, LITTLE) + toUnix,
    owner,
    executablePath: pathText(piece(P.SIZEOF, exeEnd), (flags & PROCESS_FLAGS.EXE_CUT) !== 0),
    executableDeleted: (flags & PROCESS_FLAGS.EXE_DELETED) !== 0,
    kernelThread: (flags & PROCESS_FLAGS.KERNEL_THREAD) !== 0,
    executableInode: view.getBigUint64(at + P.exe_inode, LITTLE),
    args: argumentTexts(piece(exeEnd, argsEnd)),
    argsCut: (flags & PROCESS_FLAGS.ARGS_CUT) !== 0,
    workingDirectory: pathText(piece(argsEnd, cwdEnd), (flags & PROCESS_FLAGS.CWD_CUT) !== 0),
    cgroupPath: pathText(piece(cwdEnd, cgroupEnd), (flags & PROCESS_FLAGS.CGROUP_CUT) !== 0),
    cgroupVersion: (flags & PROCESS_FLAGS.CGROUP_V1) === 0 ? 2 : 1,
    environment:
      (flags & PROCESS_FLAGS.ENVIRONMENT) === 0 ? undefined : argumentTexts(piece(cgroupEnd, environmentEnd)),
    tty: view.getUint32(at + P.tty, LITTLE),
    parentName: taskName(view, bytes, at + P.parent_comm),
  };
}
