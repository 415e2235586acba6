/**
 * Bytes of a batch (records as in bpf/event.h, each padded to 8 bytes) -> RawEvent. Runs for every message: one pass, no
 * look-ahead, texts from small caches. Bytes that cannot be are counted in the stage, never thrown.
 */

import type { Stage } from '../health.ts';
import { formatIPv4, formatIPv6, isV4Mapped, needsZone } from '../lib/address.ts';
import type {
  HookFamily,
  RawConnection,
  RawEvent,
  RawExit,
  RawMessage,
  RawProcess,
  Unreachable,
} from '../model.ts';
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
import { Interfaces } from './interfaces.ts';
import {
  CONNECTION_EVENT,
  EVENT_HEADER,
  EVENT_KIND,
  EXIT_EVENT,
  MESSAGE_FLAGS as F,
  HOOK_FAMILY,
  INTERFACE_EVENT,
  MESSAGE_DIRECTION,
  MESSAGE_EVENT,
  OWNER_EVENT,
  PROCESS_EVENT as P,
  PROCESS_FLAGS,
  TRACE_CONTEXT,
  UNREACHABLE,
} from './layout.gen.ts';
import {
  isMessage,
  messageCaptured,
  messageDialed,
  messageDialedPort,
  messageDirection,
  messageFamily,
  messageFlags,
  messageFragment,
  messageInterface,
  messageLength,
  messageLocal,
  messageLocalPort,
  messageNamespace,
  messageOwner,
  messagePayload,
  messageProtocol,
  messageRemote,
  messageRemotePort,
  messageSequence,
  messageTrace,
} from './message.ts';
import { type Owners, taskName } from './owners.ts';
import { processCountAt } from './processes.ts';
import { recordHook, recordKind, recordSize, recordStep } from './record.ts';
import { Slots, WordSlots } from './slots.ts';
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
const ipv4Addresses = new WordSlots(4096, formatIPv4);

/**
 * Decodes a batch. Every record adds one to `stage.in` and one to `stage.out` or `stage.dropped`; but for those that tell an
 * owner, which are a part of the records that name him.
 *
 * @param toUnix what to add to CLOCK_MONOTONIC nanoseconds to have Unix time.
 * @param owners what the ring has told so far, as `interfaces`; they learn what this batch tells.
 * @returns events in the order of the batch. A UDP payload is a view of `batch`, to be read at once: the next batch lies in
 *   the same memory. A TCP payload is a copy, since stream reassembly does keep it.
 */
export function decodeBatch(
  batch: Uint8Array,
  toUnix: bigint,
  stage: Stage,
  owners: Owners,
  interfaces = new Interfaces(),
): (RawEvent | RawExit)[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const events: (RawEvent | RawExit)[] = [];
  let at = 0;
  while (at < batch.length) {
    const size = recordSize(view, at, batch.length);
    const event =
      size === 0 ? WIRE_DROPS.cut : decodeEvent({ view, bytes: batch, owners, interfaces, toUnix }, at, size);
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
  readonly interfaces: Interfaces;
  readonly toUnix: bigint;
}

/** A drop reason; undefined: a record that is no event. */
function decodeEvent(batch: Batch, at: number, size: number): RawEvent | RawExit | string | undefined {
  const { view, bytes, owners, interfaces, toUnix } = batch;
  const kind = recordKind(view, at);
  if (kind === EVENT_KIND.MESSAGE) {
    if (size < MESSAGE_EVENT.SIZEOF) return WIRE_DROPS.cut;
    return isMessage(view, at, size) ? decodeMessage(batch, at) : WIRE_DROPS.field;
  }
  if (kind === EVENT_KIND.OWNER) {
    if (size < OWNER_EVENT.SIZEOF) return WIRE_DROPS.cut;
    owners.learn(view, bytes, at);
    return undefined;
  }
  if (kind === EVENT_KIND.INTERFACE) {
    if (size < INTERFACE_EVENT.SIZEOF) return WIRE_DROPS.cut;
    interfaces.learn(view, bytes, at);
    return undefined;
  }
  if (kind === EVENT_KIND.PROCESS) {
    return size < P.SIZEOF ? WIRE_DROPS.cut : decodeProcess(batch, at, size);
  }
  if (kind === EVENT_KIND.CONNECTION) {
    if (size < CONNECTION_EVENT.SIZEOF) return WIRE_DROPS.cut;
    return isConnection(view, at, size) ? decodeConnection(batch, at) : WIRE_DROPS.field;
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

function decodeMessage(batch: Batch, at: number): RawMessage {
  const { view, bytes } = batch;
  const flags = messageFlags(view, at);
  const family = messageFamily(view, at) === 4 ? 4 : 6;
  const tcp = messageProtocol(view, at) === IPPROTO_TCP;
  const start = messagePayload(view, at);
  const end = start + messageCaptured(view, at);
  const endpoint = (address: number, port: number) => ({
    address: addressText(view, bytes, family, address),
    port,
  });
  return {
    kind: 'message',
    time: view.getBigUint64(at + EVENT_HEADER.time, LITTLE) + batch.toUnix,
    hook: HOOKS[recordHook(view, at)] as HookFamily,
    direction: messageDirection(view, at) === MESSAGE_DIRECTION.REQUEST ? 'request' : 'response',
    transport: tcp ? 'tcp' : 'udp',
    family,
    networkNamespace: messageNamespace(view, at),
    socket: view.getBigUint64(at + MESSAGE_EVENT.socket, LITTLE),
    local: endpoint(messageLocal(view, at), messageLocalPort(view, at)),
    remote: endpoint(messageRemote(view, at), messageRemotePort(view, at)),
    localAny: (flags & F.LOCAL_ANY) !== 0,
    dialed:
      (flags & F.DIALED) === 0 ? undefined : endpoint(messageDialed(view, at), messageDialedPort(view, at)),
    owner: batch.owners.get(messageOwner(view, at), (flags & F.OWNER_CACHED) !== 0),
    sequence: messageSequence(view, at),
    streamStart: (flags & F.STREAM_START) !== 0,
    streamEnd: (flags & F.STREAM_END) !== 0,
    more: (flags & F.MORE) !== 0,
    unreadable: (flags & F.UNREADABLE) !== 0,
    ...((flags & F.FRAGMENT) === 0 ? {} : { fragment: messageFragment(view, at) }),
    ...((flags & F.UNREACHABLE) === 0 ? {} : { unreachable: unreachable(messageSequence(view, at)) }),
    ...zoneOf(batch, at),
    ...((flags & F.TRACE) === 0 ? {} : decodeTrace(bytes, messageTrace(view, at))),
    length: messageLength(view, at),
    payload: tcp ? bytes.slice(start, end) : bytes.subarray(start, end),
  };
}

function unreachable(what: number): Unreachable {
  if (what === UNREACHABLE.NETWORK) return 'network_unreachable';
  return what === UNREACHABLE.HOST ? 'host_unreachable' : 'connection_refused';
}

/** Of requests to addresses of link-local scope. */
function zoneOf({ view, bytes, interfaces }: Batch, at: number): Pick<RawMessage, 'zone'> {
  if (messageFamily(view, at) !== 6 || messageDirection(view, at) !== MESSAGE_DIRECTION.REQUEST) return {};
  if (!needsZone(bytes, messageRemote(view, at))) return {};
  const zone = interfaces.zone(messageNamespace(view, at), messageInterface(view, at));
  return zone === undefined ? {} : { zone };
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
): RawProcess | string {
  const owner = owners.get(view.getUint32(at + P.owner_id, LITTLE));
  const flags = view.getUint32(at + P.flags, LITTLE);
  const exeEnd = P.SIZEOF + view.getUint16(at + P.exe_bytes, LITTLE);
  const argsEnd = exeEnd + view.getUint16(at + P.args_bytes, LITTLE);
  const cwdEnd = argsEnd + view.getUint16(at + P.cwd_bytes, LITTLE);
  const cgroupEnd = cwdEnd + view.getUint16(at + P.cgroup_bytes, LITTLE);
  const environmentEnd = cgroupEnd + view.getUint16(at + P.environment_bytes, LITTLE);
  if (owner === undefined || environmentEnd > size) return WIRE_DROPS.field;
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
