/**
 * Bytes of a batch (records as in bpf/event.h, each padded to 8 bytes) -> RawEvent. Runs for every message: one pass, no
 * look-ahead, texts from small caches. Bytes that cannot be are counted in the stage, never thrown.
 */

import type { Stage } from '../health.ts';
import { formatIPv4, formatIPv6, isV4Mapped } from '../lib/address.ts';
import { Envelope, hookIndex } from '../lookup/envelope.ts';
import { FIELD, FIELD_BITS } from '../lookup/fields.ts';
import type {
  Endpoint,
  RawConnection,
  RawEvent,
  RawExit,
  RawMessage,
  RawProcess,
  TraceContext,
} from '../model.ts';
import { LITTLE } from './byte-order.ts';
import {
  CONNECTION_EVENT as C,
  CONNECTION_FLAGS,
  EVENT_HEADER,
  EVENT_KIND,
  EXIT_EVENT,
  MESSAGE_FLAGS as F,
  HOOK_FAMILY,
  MESSAGE_EVENT as M,
  MESSAGE_DIRECTION,
  PROCESS_EVENT as P,
  PROCESS_FLAGS,
  TRACE_CONTEXT,
} from './layout.gen.ts';
import { ownerAt, taskName } from './owners.ts';
import { processCountAt } from './processes.ts';
import { Slots } from './slots.ts';
import { argumentTexts, pathText } from './strings.ts';

/** Why bytes of a batch became no event (drop reasons of the stage `wire`). */
export const WIRE_DROPS = {
  /** The batch ends, or claims to, in the middle of a record: what follows is lost, counted as one. */
  cut: 'cut',
  /** A record of no known kind. */
  kind: 'kind',
  /** A field with a value it cannot have. */
  field: 'field',
} as const;

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** Of a hook family its place in FIELD.DIALED_PORT. */
const HOOKS: readonly (number | undefined)[] = (() => {
  const hooks: number[] = [];
  hooks[HOOK_FAMILY.FENTRY] = hookIndex('fentry');
  hooks[HOOK_FAMILY.KPROBE] = hookIndex('kprobe');
  hooks[HOOK_FAMILY.TRACEPOINT] = hookIndex('tracepoint');
  return hooks;
})();

/** Halves of 64 bits. */
const LOW_WORD = LITTLE ? 0 : 4;
const HIGH_WORD = 4 - LOW_WORD;

/** What to add to CLOCK_MONOTONIC ns to have Unix ns. */
interface ClockOffset {
  readonly whole: bigint;
  readonly low: number;
  readonly high: number;
}

const addresses = new Slots(4096, (bytes, offset) =>
  isV4Mapped(bytes, offset) ? formatIPv4(bytes, offset + 12) : formatIPv6(bytes, offset),
);

/**
 * Decodes a batch. Every record adds one to `stage.in` and one to `stage.out` or `stage.dropped`.
 *
 * @param toUnix what to add to CLOCK_MONOTONIC nanoseconds to have Unix time.
 * @returns events in the order of the batch. A datagram is a view of `batch` and is used again for the next one: to be read at
 *   once. A piece of TCP is a copy, since stream reassembly does keep it.
 */
export function decodeBatch(batch: Uint8Array, toUnix: bigint, stage: Stage): (RawEvent | RawExit)[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const events: (RawEvent | RawExit)[] = [];
  const offset = {
    whole: toUnix,
    low: Number(BigInt.asUintN(32, toUnix)),
    high: Number(BigInt.asIntN(32, toUnix >> 32n)),
  };
  let at = 0;
  while (at < batch.length) {
    stage.in++;
    const left = batch.length - at;
    const size = left < EVENT_HEADER.SIZEOF ? 0 : view.getUint32(at + EVENT_HEADER.size, LITTLE);
    if (size < EVENT_HEADER.SIZEOF || size > left) {
      stage.drop(WIRE_DROPS.cut);
      break;
    }
    const event = decodeEvent(view, batch, at, size, offset, events.length);
    if (typeof event === 'string') {
      stage.drop(event);
    } else {
      stage.out++;
      events.push(event);
    }
    at += (size + 7) & ~7;
  }
  return events;
}

function decodeEvent(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  size: number,
  offset: ClockOffset,
  index: number,
): RawEvent | RawExit | string {
  const kind = view.getUint16(at + EVENT_HEADER.kind, LITTLE);
  if (kind === EVENT_KIND.MESSAGE) {
    return size < M.SIZEOF ? WIRE_DROPS.cut : decodeMessage(view, bytes, at, size, offset, index);
  }
  if (kind === EVENT_KIND.PROCESS) {
    return size < P.SIZEOF ? WIRE_DROPS.cut : decodeProcess(view, bytes, at, size, offset.whole);
  }
  if (kind === EVENT_KIND.CONNECTION) {
    return size < C.SIZEOF ? WIRE_DROPS.cut : decodeConnection(view, bytes, at, offset.whole);
  }
  if (kind === EVENT_KIND.EXIT) {
    return size < EXIT_EVENT.SIZEOF ? WIRE_DROPS.cut : decodeExit(view, at, offset.whole);
  }
  return WIRE_DROPS.kind;
}

function decodeExit(view: DataView, at: number, toUnix: bigint): RawExit {
  return {
    kind: 'exit',
    count: processCountAt(view, at + EXIT_EVENT.process, at + EXIT_EVENT.counted, toUnix),
  };
}

/** Messages of the batch at hand: views that the next batch uses again. */
const envelopes: Envelope[] = [];

function decodeMessage(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  size: number,
  offset: ClockOffset,
  index: number,
): RawMessage | string {
  const hook = view.getUint8(at + EVENT_HEADER.hook);
  const direction = view.getUint8(at + M.direction);
  const protocol = view.getUint8(at + M.protocol);
  const family = view.getUint8(at + M.family);
  const length = view.getUint32(at + M.length, LITTLE);
  const captured = view.getUint32(at + M.captured, LITTLE);
  const flags = view.getUint16(at + M.flags, LITTLE);
  const traced = (flags & F.TRACE) !== 0;
  const head = traced ? M.SIZEOF + TRACE_CONTEXT.SIZEOF : M.SIZEOF;
  if (
    HOOKS[hook] === undefined ||
    (direction !== MESSAGE_DIRECTION.REQUEST && direction !== MESSAGE_DIRECTION.RESPONSE) ||
    (protocol !== IPPROTO_UDP && protocol !== IPPROTO_TCP) ||
    (family !== 4 && family !== 6) ||
    captured > size - head ||
    captured > length
  ) {
    return WIRE_DROPS.field;
  }
  const envelope = envelopes[index] ?? newEnvelope(index);
  const { words } = envelope;
  putTime(view, at + EVENT_HEADER.time, offset, words);
  words[FIELD.SOCKET] = view.getInt32(at + M.socket + LOW_WORD, LITTLE);
  words[FIELD.SOCKET + 1] = view.getInt32(at + M.socket + HIGH_WORD, LITTLE);
  words[FIELD.NETWORK_NAMESPACE] = view.getInt32(at + M.net_ns, LITTLE);
  words[FIELD.PORTS] =
    view.getUint16(at + M.local_port, LITTLE) | (view.getUint16(at + M.remote_port, LITTLE) << 16);
  words[FIELD.BITS] =
    (direction === MESSAGE_DIRECTION.RESPONSE ? FIELD_BITS.RESPONSE : 0) |
    (protocol === IPPROTO_TCP ? FIELD_BITS.TCP : 0) |
    (family === 6 ? FIELD_BITS.IPV6 : 0) |
    bitsOf(flags);
  words[FIELD.DIALED_PORT] =
    view.getUint16(at + M.dialed_port, LITTLE) | ((HOOKS[hook] as number) << 16);
  words[FIELD.LENGTH] = length;
  words[FIELD.CAPTURED] = captured;
  words[FIELD.SEQUENCE] = view.getInt32(at + M.sequence, LITTLE);
  words[FIELD.INTERFACE] = 0;
  for (let i = 0; i < 4; i++) {
    words[FIELD.LOCAL + i] = view.getInt32(at + M.local_address + 4 * i, LITTLE);
    words[FIELD.REMOTE + i] = view.getInt32(at + M.remote_address + 4 * i, LITTLE);
    words[FIELD.DIALED + i] = view.getInt32(at + M.dialed_address + 4 * i, LITTLE);
  }
  const cached = (flags & F.OWNER_CACHED) !== 0;
  envelope.owner =
    (flags & (F.OWNER | F.OWNER_CACHED)) === 0 ? undefined : ownerAt(view, bytes, at + M.owner, cached);
  envelope.trace = traced ? decodeTrace(bytes, at + M.SIZEOF) : undefined;
  envelope.bytes = bytes;
  envelope.base = at + head;
  return protocol === IPPROTO_TCP ? { ...envelope.head(), payload: envelope.payload.slice() } : envelope;
}

function newEnvelope(index: number): Envelope {
  const envelope = new Envelope();
  envelopes[index] = envelope;
  return envelope;
}

function bitsOf(flags: number): number {
  return (
    ((flags & F.LOCAL_ANY) === 0 ? 0 : FIELD_BITS.LOCAL_ANY) |
    ((flags & F.DIALED) === 0 ? 0 : FIELD_BITS.DIALED) |
    ((flags & F.STREAM_START) === 0 ? 0 : FIELD_BITS.STREAM_START) |
    ((flags & F.STREAM_END) === 0 ? 0 : FIELD_BITS.STREAM_END) |
    ((flags & F.MORE) === 0 ? 0 : FIELD_BITS.MORE) |
    ((flags & F.UNREADABLE) === 0 ? 0 : FIELD_BITS.UNREADABLE)
  );
}

/** Adds the offset of the clocks in two words, without a BigInt. */
function putTime(view: DataView, at: number, offset: ClockOffset, words: Int32Array): void {
  const low = view.getUint32(at + LOW_WORD, LITTLE) + offset.low;
  words[FIELD.TIME] = low | 0;
  words[FIELD.TIME + 1] =
    (view.getUint32(at + HIGH_WORD, LITTLE) + offset.high + (low > 0xffff_ffff ? 1 : 0)) | 0;
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

function endpoint(view: DataView, bytes: Uint8Array, address: number, port: number): Endpoint {
  return { address: addresses.text(view, bytes, address), port: view.getUint16(port, LITTLE) };
}

function decodeConnection(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  toUnix: bigint,
): RawConnection | string {
  const family = view.getUint8(at + C.family);
  if (family !== 4 && family !== 6) return WIRE_DROPS.field;
  const owned = (view.getUint8(at + C.flags) & CONNECTION_FLAGS.OWNER) !== 0;
  return {
    kind: 'connection',
    time: view.getBigUint64(at + EVENT_HEADER.time, LITTLE) + toUnix,
    family,
    networkNamespace: view.getUint32(at + C.net_ns, LITTLE),
    socket: view.getBigUint64(at + C.socket, LITTLE),
    local: endpoint(view, bytes, at + C.local_address, at + C.local_port),
    remote: endpoint(view, bytes, at + C.remote_address, at + C.remote_port),
    owner: owned ? ownerAt(view, bytes, at + C.owner, false) : undefined,
  };
}

function decodeProcess(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  size: number,
  toUnix: bigint,
): RawProcess | string {
  const flags = view.getUint32(at + P.flags, LITTLE);
  const exeEnd = P.SIZEOF + view.getUint16(at + P.exe_bytes, LITTLE);
  const argsEnd = exeEnd + view.getUint16(at + P.args_bytes, LITTLE);
  const cwdEnd = argsEnd + view.getUint16(at + P.cwd_bytes, LITTLE);
  const cgroupEnd = cwdEnd + view.getUint16(at + P.cgroup_bytes, LITTLE);
  const environmentEnd = cgroupEnd + view.getUint16(at + P.environment_bytes, LITTLE);
  if (environmentEnd > size) return WIRE_DROPS.field;
  const piece = (from: number, to: number) => bytes.subarray(at + from, at + to);
  return {
    kind: 'process',
    time: view.getBigUint64(at + EVENT_HEADER.time, LITTLE) + toUnix,
    owner: ownerAt(view, bytes, at + P.owner, false),
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
