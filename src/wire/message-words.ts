/** A message record as the words of an envelope (lookup/fields.ts): no object, no BigInt. */
import { hookIndex } from '../lookup/envelope.ts';
import { FIELD, FIELD_BITS } from '../lookup/fields.ts';
import { LITTLE } from './byte-order.ts';
import { MESSAGE_FLAGS as F, HOOK_FAMILY, MESSAGE_DIRECTION } from './layout.gen.ts';
import {
  messageCaptured,
  messageDialed,
  messageDialedPort,
  messageDirection,
  messageFamily,
  messageFlags,
  messageInterface,
  messageLength,
  messageLocal,
  messageLocalPort,
  messageNamespace,
  messageProtocol,
  messageRemote,
  messageRemotePort,
  messageSequence,
  messageSkipped,
  messageSocketHigh,
  messageSocketLow,
} from './message.ts';
import { recordHook, recordTimeHigh, recordTimeLow } from './record.ts';

const IPPROTO_TCP = 6;
/** The third word of ::ffff:0:0/96, as it lies in memory. */
const V4_MAPPED = LITTLE ? 0xffff_0000 | 0 : 0x0000_ffff;

/** By HOOK_FAMILY. */
const HOOKS = new Int32Array(Math.max(...Object.values(HOOK_FAMILY)) + 1);
HOOKS[HOOK_FAMILY.FENTRY] = hookIndex('fentry');
HOOKS[HOOK_FAMILY.KPROBE] = hookIndex('kprobe');
HOOKS[HOOK_FAMILY.TRACEPOINT] = hookIndex('tracepoint');

/** What to add to CLOCK_MONOTONIC ns to have Unix ns, as two words. */
export interface ClockOffset {
  readonly low: number;
  readonly high: number;
}

export function clockOffset(toUnix: bigint): ClockOffset {
  return { low: Number(BigInt.asUintN(32, toUnix)), high: Number(BigInt.asIntN(32, toUnix >> 32n)) };
}

/** Writes the words of the record at `at`, which `isMessage` has looked at. */
export function fillWords(view: DataView, at: number, offset: ClockOffset, words: Int32Array): void {
  const flags = messageFlags(view, at);
  const family = messageFamily(view, at);
  const low = recordTimeLow(view, at) + offset.low;
  words[FIELD.TIME] = low | 0;
  words[FIELD.TIME + 1] = (recordTimeHigh(view, at) + offset.high + (low > 0xffff_ffff ? 1 : 0)) | 0;
  words[FIELD.SOCKET] = messageSocketLow(view, at) | 0;
  words[FIELD.SOCKET + 1] = messageSocketHigh(view, at) | 0;
  words[FIELD.NETWORK_NAMESPACE] = messageNamespace(view, at) | 0;
  words[FIELD.PORTS] = messageLocalPort(view, at) | (messageRemotePort(view, at) << 16);
  words[FIELD.BITS] =
    (messageDirection(view, at) === MESSAGE_DIRECTION.RESPONSE ? FIELD_BITS.RESPONSE : 0) |
    (messageProtocol(view, at) === IPPROTO_TCP ? FIELD_BITS.TCP : 0) |
    (family === 6 ? FIELD_BITS.IPV6 : 0) |
    bitsOf(flags);
  const hook = HOOKS[recordHook(view, at)] as number;
  words[FIELD.DIALED_PORT] = ((flags & F.DIALED) === 0 ? 0 : messageDialedPort(view, at)) | (hook << 16);
  words[FIELD.LENGTH] = messageLength(view, at);
  words[FIELD.CAPTURED] = messageCaptured(view, at);
  words[FIELD.SEQUENCE] = messageSequence(view, at) | 0;
  words[FIELD.INTERFACE] =
    (flags & F.FRAGMENT) === 0 ? messageInterface(view, at) | 0 : messageSkipped(view, at);
  putAddress(view, messageLocal(view, at), family, words, FIELD.LOCAL);
  putAddress(view, messageRemote(view, at), family, words, FIELD.REMOTE);
  if ((flags & F.DIALED) !== 0) putAddress(view, messageDialed(view, at), family, words, FIELD.DIALED);
}

function bitsOf(flags: number): number {
  return (
    ((flags & F.LOCAL_ANY) === 0 ? 0 : FIELD_BITS.LOCAL_ANY) |
    ((flags & F.DIALED) === 0 ? 0 : FIELD_BITS.DIALED) |
    ((flags & F.STREAM_START) === 0 ? 0 : FIELD_BITS.STREAM_START) |
    ((flags & F.STREAM_END) === 0 ? 0 : FIELD_BITS.STREAM_END) |
    ((flags & F.MORE) === 0 ? 0 : FIELD_BITS.MORE) |
    ((flags & F.UNREADABLE) === 0 ? 0 : FIELD_BITS.UNREADABLE) |
    ((flags & F.FRAGMENT) === 0 ? 0 : FIELD_BITS.FRAGMENT) |
    ((flags & F.UNREACHABLE) === 0 ? 0 : FIELD_BITS.UNREACHABLE)
  );
}

/** 4 bytes where the family is 4, else 16; in network order as they lie. */
function putAddress(view: DataView, from: number, family: number, words: Int32Array, to: number): void {
  if (family === 4) {
    words[to] = 0;
    words[to + 1] = 0;
    words[to + 2] = V4_MAPPED;
    words[to + 3] = view.getInt32(from, LITTLE);
    return;
  }
  for (let i = 0; i < 4; i++) words[to + i] = view.getInt32(from + 4 * i, LITTLE);
}
