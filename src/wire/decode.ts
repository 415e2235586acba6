/**
 * Bytes of a batch (records as in bpf/event.h, each padded to 8 bytes) -> RawEvent. Runs for every message: one pass, no
 * look-ahead, texts from small caches. Bytes that cannot be are counted in the stage, never thrown.
 */

import type { Stage } from '../health.ts';
import { formatIPv4, formatIPv6, isV4Mapped } from '../lib/address.ts';
import type {
  Endpoint,
  HookFamily,
  RawConnection,
  RawEvent,
  RawExit,
  RawMessage,
  RawProcess,
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

/** In the place of a fragment (bpf/event.h, MESSAGE_FRAGMENT). */
const MORE_FRAGMENTS = 0x2000;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

const HOOKS: readonly (HookFamily | undefined)[] = (() => {
  const hooks: HookFamily[] = [];
  hooks[HOOK_FAMILY.FENTRY] = 'fentry';
  hooks[HOOK_FAMILY.KPROBE] = 'kprobe';
  hooks[HOOK_FAMILY.TRACEPOINT] = 'tracepoint';
  return hooks;
})();

const addresses = new Slots(4096, (bytes, offset) =>
  isV4Mapped(bytes, offset) ? formatIPv4(bytes, offset + 12) : formatIPv6(bytes, offset),
);

/**
 * Decodes a batch. Every record adds one to `stage.in` and one to `stage.out` or `stage.dropped`.
 *
 * @param toUnix what to add to CLOCK_MONOTONIC nanoseconds to have Unix time.
 * @returns events in the order of the batch. A UDP payload is a view of `batch`, to be read at once: the next batch lies in
 *   the same memory. A TCP payload is a copy, since stream reassembly does keep it.
 */
export function decodeBatch(batch: Uint8Array, toUnix: bigint, stage: Stage): (RawEvent | RawExit)[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const events: (RawEvent | RawExit)[] = [];
  let at = 0;
  while (at < batch.length) {
    stage.in++;
    const left = batch.length - at;
    const size = left < EVENT_HEADER.SIZEOF ? 0 : view.getUint32(at + EVENT_HEADER.size, LITTLE);
    if (size < EVENT_HEADER.SIZEOF || size > left) {
      stage.drop(WIRE_DROPS.cut);
      break;
    }
    const event = decodeEvent(view, batch, at, size, toUnix);
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
  toUnix: bigint,
): RawEvent | RawExit | string {
  const kind = view.getUint16(at + EVENT_HEADER.kind, LITTLE);
  if (kind === EVENT_KIND.MESSAGE) {
    return size < M.SIZEOF ? WIRE_DROPS.cut : decodeMessage(view, bytes, at, size, toUnix);
  }
  if (kind === EVENT_KIND.PROCESS) {
    return size < P.SIZEOF ? WIRE_DROPS.cut : decodeProcess(view, bytes, at, size, toUnix);
  }
  if (kind === EVENT_KIND.CONNECTION) {
    return size < C.SIZEOF ? WIRE_DROPS.cut : decodeConnection(view, bytes, at, toUnix);
  }
  if (kind === EVENT_KIND.EXIT) {
    return size < EXIT_EVENT.SIZEOF ? WIRE_DROPS.cut : decodeExit(view, at, toUnix);
  }
  return WIRE_DROPS.kind;
}

function decodeExit(view: DataView, at: number, toUnix: bigint): RawExit {
  return {
    kind: 'exit',
    count: processCountAt(view, at + EXIT_EVENT.process, at + EXIT_EVENT.counted, toUnix),
  };
}

function decodeMessage(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  size: number,
  toUnix: bigint,
): RawMessage | string {
  const hook = HOOKS[view.getUint8(at + EVENT_HEADER.hook)];
  const direction = view.getUint8(at + M.direction);
  const protocol = view.getUint8(at + M.protocol);
  const family = view.getUint8(at + M.family);
  const length = view.getUint32(at + M.length, LITTLE);
  const captured = view.getUint32(at + M.captured, LITTLE);
  const flags = view.getUint16(at + M.flags, LITTLE);
  const traced = (flags & F.TRACE) !== 0;
  const head = traced ? M.SIZEOF + TRACE_CONTEXT.SIZEOF : M.SIZEOF;
  if (
    hook === undefined ||
    (direction !== MESSAGE_DIRECTION.REQUEST && direction !== MESSAGE_DIRECTION.RESPONSE) ||
    (protocol !== IPPROTO_UDP && protocol !== IPPROTO_TCP) ||
    (family !== 4 && family !== 6) ||
    captured > size - head ||
    captured > length
  ) {
    return WIRE_DROPS.field;
  }
  const start = at + head;
  const tcp = protocol === IPPROTO_TCP;
  const cached = (flags & F.OWNER_CACHED) !== 0;
  return {
    kind: 'message',
    time: view.getBigUint64(at + EVENT_HEADER.time, LITTLE) + toUnix,
    hook,
    direction: direction === MESSAGE_DIRECTION.REQUEST ? 'request' : 'response',
    transport: tcp ? 'tcp' : 'udp',
    family,
    networkNamespace: view.getUint32(at + M.net_ns, LITTLE),
    socket: view.getBigUint64(at + M.socket, LITTLE),
    local: endpoint(view, bytes, at + M.local_address, at + M.local_port),
    remote: endpoint(view, bytes, at + M.remote_address, at + M.remote_port),
    localAny: (flags & F.LOCAL_ANY) !== 0,
    dialed:
      (flags & F.DIALED) === 0 ? undefined : endpoint(view, bytes, at + M.dialed_address, at + M.dialed_port),
    owner:
      (flags & (F.OWNER | F.OWNER_CACHED)) === 0 ? undefined : ownerAt(view, bytes, at + M.owner, cached),
    sequence: view.getUint32(at + M.sequence, LITTLE),
    streamStart: (flags & F.STREAM_START) !== 0,
    streamEnd: (flags & F.STREAM_END) !== 0,
    more: (flags & F.MORE) !== 0,
    unreadable: (flags & F.UNREADABLE) !== 0,
    ...((flags & F.FRAGMENT) === 0 ? {} : { fragment: decodeFragment(view, at) }),
    ...(traced ? decodeTrace(bytes, at + M.SIZEOF) : {}),
    length,
    payload: tcp ? bytes.slice(start, start + captured) : bytes.subarray(start, start + captured),
  };
}

function decodeFragment(view: DataView, at: number): NonNullable<RawMessage['fragment']> {
  const isFirst = view.getUint16(at + M.remote_port, LITTLE) !== 0;
  const place = isFirst ? MORE_FRAGMENTS : view.getUint16(at + M.local_port, LITTLE);
  return {
    datagram: view.getUint32(at + M.sequence, LITTLE),
    offset: (place & ~MORE_FRAGMENTS) * 8,
    more: (place & MORE_FRAGMENTS) !== 0,
    skipped: view.getUint8(at + M.skipped) * 8,
  };
}

/** A record that is not valid (OTEP 4947) and ids of zeros (W3C Trace Context) are none. */
function decodeTrace(bytes: Uint8Array, at: number): Pick<RawMessage, 'trace'> {
  if (bytes[at + TRACE_CONTEXT.valid] !== 1) return {};
  // A copy: the batch is not kept.
  const id = (from: number, length: number) => Uint8Array.from(bytes.subarray(at + from, at + from + length));
  const traceId = id(TRACE_CONTEXT.trace_id, 16);
  const spanId = id(TRACE_CONTEXT.span_id, 8);
  if (!traceId.some(Boolean) || !spanId.some(Boolean)) return {};
  return { trace: { traceId, spanId, flags: bytes[at + TRACE_CONTEXT.flags] as number } };
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
