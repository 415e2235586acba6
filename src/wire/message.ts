/**
 * A message record (EVENT_KIND.MESSAGE, struct message_event), read where it lies (record.ts). Only for records that
 * `isMessage` has looked at: then every offset given here is inside the record.
 */
import { LITTLE } from './byte-order.ts';
import {
  MESSAGE_ADDRESSES as A,
  EVENT_HEADER,
  MESSAGE_FLAGS as F,
  HOOK_FAMILY,
  MESSAGE_EVENT as M,
  MESSAGE_DIRECTION,
  TRACE_CONTEXT,
} from './layout.gen.ts';

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** Whether the record of `size` bytes is whole and says nothing that cannot be. */
export function isMessage(view: DataView, at: number, size: number): boolean {
  if (size < M.SIZEOF) return false;
  const hook = view.getUint8(at + EVENT_HEADER.hook);
  const direction = messageDirection(view, at);
  const protocol = messageProtocol(view, at);
  const family = messageFamily(view, at);
  const flags = messageFlags(view, at);
  const captured = size - headBytes(view, at);
  return (
    (hook === HOOK_FAMILY.FENTRY || hook === HOOK_FAMILY.KPROBE || hook === HOOK_FAMILY.TRACEPOINT) &&
    (direction === MESSAGE_DIRECTION.REQUEST || direction === MESSAGE_DIRECTION.RESPONSE) &&
    (protocol === IPPROTO_UDP || protocol === IPPROTO_TCP) &&
    (family === 4 || family === 6) &&
    ((flags & F.ADDRESSES) !== 0 || (family === 4 && (flags & F.DIALED) === 0)) &&
    captured >= 0 &&
    captured <= messageLength(view, at)
  );
}

/** MESSAGE_FLAGS, a bit set. */
export function messageFlags(view: DataView, at: number): number {
  return view.getUint16(at + M.flags, LITTLE);
}

/** MESSAGE_DIRECTION. */
export function messageDirection(view: DataView, at: number): number {
  return view.getUint8(at + M.direction);
}

/** IPPROTO_UDP 17 or IPPROTO_TCP 6. */
export function messageProtocol(view: DataView, at: number): number {
  return view.getUint8(at + M.protocol);
}

/** 4 or 6. */
export function messageFamily(view: DataView, at: number): number {
  return view.getUint8(at + M.family);
}

/** Id of the owner (owner.ts); 0: not known. */
export function messageOwner(view: DataView, at: number): number {
  return view.getUint32(at + M.owner_id, LITTLE);
}

/** Identity of the socket, the lower 32 bits; all 64 zero: unknown. */
export function messageSocketLow(view: DataView, at: number): number {
  return view.getUint32(at + M.socket + (LITTLE ? 0 : 4), LITTLE);
}

/** Identity of the socket, the upper 32 bits. */
export function messageSocketHigh(view: DataView, at: number): number {
  return view.getUint32(at + M.socket + (LITTLE ? 4 : 0), LITTLE);
}

/** Payload bytes there were. */
export function messageLength(view: DataView, at: number): number {
  return view.getUint32(at + M.length, LITTLE);
}

/** TCP: sequence number of the first payload byte. */
export function messageSequence(view: DataView, at: number): number {
  return view.getUint32(at + M.sequence, LITTLE);
}

/** With MESSAGE_FLAGS.FRAGMENT, of the first: bytes before its UDP header in what IP carries. */
export function messageSkipped(view: DataView, at: number): number {
  return view.getUint8(at + M.skipped) * 8;
}

/** Inode of the network namespace. */
export function messageNamespace(view: DataView, at: number): number {
  return view.getUint32(at + M.net_ns, LITTLE);
}

/** Index of the device; 0 at the socket hooks. */
export function messageInterface(view: DataView, at: number): number {
  return view.getUint32(at + M.interface, LITTLE);
}

export function messageLocalPort(view: DataView, at: number): number {
  return view.getUint16(at + M.local_port, LITTLE);
}

export function messageRemotePort(view: DataView, at: number): number {
  return view.getUint16(at + M.remote_port, LITTLE);
}

/** With MESSAGE_FLAGS.DIALED: the port that the program connected or sent to. */
export function messageDialedPort(view: DataView, at: number): number {
  return view.getUint16(at + M.dialed_port, LITTLE);
}

/** Offset of the local address: 4 bytes in network order where the family is 4, else 16. */
export function messageLocal(view: DataView, at: number): number {
  return address(view, at, M.local_ipv4, A.local_address);
}

/** Offset of the remote address, as `messageLocal`. */
export function messageRemote(view: DataView, at: number): number {
  return address(view, at, M.remote_ipv4, A.remote_address);
}

/** With MESSAGE_FLAGS.DIALED: offset of the address that the program connected or sent to, as `messageLocal`. */
export function messageDialed(view: DataView, at: number): number {
  return address(view, at, M.remote_ipv4, A.dialed_address);
}

/** Offset of the struct trace_context; 0: there is none. */
export function messageTrace(view: DataView, at: number): number {
  return (messageFlags(view, at) & F.TRACE) === 0 ? 0 : at + headBytes(view, at) - TRACE_CONTEXT.SIZEOF;
}

/** Offset of the payload, which ends where the record does. */
export function messagePayload(view: DataView, at: number): number {
  return at + headBytes(view, at);
}

/** Payload bytes that were captured. */
export function messageCaptured(view: DataView, at: number): number {
  return view.getUint32(at + EVENT_HEADER.size, LITTLE) - headBytes(view, at);
}

function headBytes(view: DataView, at: number): number {
  const flags = messageFlags(view, at);
  return (
    M.SIZEOF +
    ((flags & F.ADDRESSES) === 0 ? 0 : A.SIZEOF) +
    ((flags & F.TRACE) === 0 ? 0 : TRACE_CONTEXT.SIZEOF)
  );
}

/** Behind the event addresses are of 16 bytes, IPv4 as ::ffff:a.b.c.d. */
function address(view: DataView, at: number, short: number, long: number): number {
  if ((messageFlags(view, at) & F.ADDRESSES) === 0) return at + short;
  return at + M.SIZEOF + long + (messageFamily(view, at) === 4 ? 12 : 0);
}
