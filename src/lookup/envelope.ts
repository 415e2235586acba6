/**
 * Where a message was seen: when, by whom, from where to where. A view of words (fields.ts) that lie in a batch's piece, in the slab
 * of requests in flight or in a copy; what is asked for is decoded then. One view serves for many messages: `at` moves it.
 */
import { addressText, needsZone, putAddress } from '../lib/address-words.ts';
import { zoneText } from '../lib/interface-names.ts';
import type {
  Direction,
  Endpoint,
  HookFamily,
  Owner,
  RawMessage,
  TraceContext,
  Transport,
  Unreachable,
} from '../model.ts';
import { FIELD, FIELD_BITS, MESSAGE_WORDS } from './fields.ts';

const HOOKS: readonly HookFamily[] = ['fentry', 'kprobe', 'tracepoint', 'pcap'];
/** By enum unreachable of bpf/event.h. */
const UNREACHABLE: readonly Unreachable[] = [
  'connection_refused',
  'connection_refused',
  'host_unreachable',
  'network_unreachable',
];
/** In the place of a later fragment, as in IPv4: more follow. */
const MORE_FRAGMENTS = 0x2000;
const HIGH = 0x1_0000_0000;
const NOTHING = new Uint8Array(0);

/** A message's head without its payload, as it is kept. */
export type RawHead = Omit<RawMessage, 'payload'>;

export class Envelope implements RawMessage {
  readonly kind = 'message';
  words: Int32Array;
  at: number;
  owner: Owner | undefined = undefined;
  trace: TraceContext | undefined = undefined;
  /** The payload begins at `bytes[base]`. */
  bytes: Uint8Array = NOTHING;
  base = 0;

  constructor(words = new Int32Array(MESSAGE_WORDS), at = 0) {
    this.words = words;
    this.at = at;
  }

  /** A message that came whole in one piece is its own piece (streams/message.ts). */
  get raw(): this {
    return this;
  }

  /** Unix ns. */
  get time(): bigint {
    return this.#big(FIELD.TIME);
  }

  get hook(): HookFamily {
    return HOOKS[(this.words[this.at + FIELD.DIALED_PORT] as number) >>> 16] ?? 'pcap';
  }

  get direction(): Direction {
    return this.has(FIELD_BITS.RESPONSE) ? 'response' : 'request';
  }

  get transport(): Transport {
    return this.has(FIELD_BITS.TCP) ? 'tcp' : 'udp';
  }

  get family(): 4 | 6 {
    return this.has(FIELD_BITS.IPV6) ? 6 : 4;
  }

  get networkNamespace(): number {
    return (this.words[this.at + FIELD.NETWORK_NAMESPACE] as number) >>> 0;
  }

  get socket(): bigint {
    return this.#big(FIELD.SOCKET);
  }

  get local(): Endpoint {
    return { address: this.#address(FIELD.LOCAL), port: this.localPort };
  }

  get remote(): Endpoint {
    return { address: this.#address(FIELD.REMOTE), port: this.remotePort };
  }

  get dialed(): Endpoint | undefined {
    if (!this.has(FIELD_BITS.DIALED)) return undefined;
    return { address: this.#address(FIELD.DIALED), port: this.dialedPort };
  }

  get localPort(): number {
    return (this.words[this.at + FIELD.PORTS] as number) & 0xffff;
  }

  get remotePort(): number {
    return (this.words[this.at + FIELD.PORTS] as number) >>> 16;
  }

  get dialedPort(): number {
    return (this.words[this.at + FIELD.DIALED_PORT] as number) & 0xffff;
  }

  get localAny(): boolean {
    return this.has(FIELD_BITS.LOCAL_ANY);
  }

  get sequence(): number {
    return (this.words[this.at + FIELD.SEQUENCE] as number) >>> 0;
  }

  get streamStart(): boolean {
    return this.has(FIELD_BITS.STREAM_START);
  }

  get streamEnd(): boolean {
    return this.has(FIELD_BITS.STREAM_END);
  }

  get more(): boolean {
    return this.has(FIELD_BITS.MORE);
  }

  get unreadable(): boolean {
    return this.has(FIELD_BITS.UNREADABLE);
  }

  /** Only the first fragment has ports; of a later one the local port is its place (bpf/event.h, MESSAGE_FRAGMENT). */
  get fragment(): RawMessage['fragment'] {
    if (!this.has(FIELD_BITS.FRAGMENT)) return undefined;
    const isFirst = this.remotePort !== 0;
    const place = isFirst ? MORE_FRAGMENTS : this.localPort;
    return {
      datagram: this.sequence,
      offset: (place & ~MORE_FRAGMENTS) * 8,
      more: (place & MORE_FRAGMENTS) !== 0,
      skipped: isFirst ? this.interface : 0,
    };
  }

  get unreachable(): Unreachable | undefined {
    if (!this.has(FIELD_BITS.UNREACHABLE) || !this.has(FIELD_BITS.RESPONSE)) return undefined;
    return UNREACHABLE[this.sequence] ?? 'connection_refused';
  }

  /** Index of the device; 0: not known. */
  get interface(): number {
    return this.words[this.at + FIELD.INTERFACE] as number;
  }

  /** Of requests to addresses of link-local scope: the link, by its device's name or index. */
  get zone(): string | undefined {
    if (this.interface === 0 || !this.#needsZone()) return undefined;
    return zoneText(this.networkNamespace, this.interface);
  }

  #needsZone(): boolean {
    const { words, at } = this;
    return this.has(FIELD_BITS.IPV6) && !this.has(FIELD_BITS.RESPONSE) && needsZone(words, at + FIELD.REMOTE);
  }

  get length(): number {
    return this.words[this.at + FIELD.LENGTH] as number;
  }

  get captured(): number {
    return this.words[this.at + FIELD.CAPTURED] as number;
  }

  /** A view of the bytes where they lie. */
  get payload(): Uint8Array {
    return this.bytes.subarray(this.base, this.base + this.captured);
  }

  has(bit: number): boolean {
    return ((this.words[this.at + FIELD.BITS] as number) & bit) !== 0;
  }

  /** Unix ns as a number: exact to 256 ns. */
  get timeNumber(): number {
    const { words, at } = this;
    return (words[at + FIELD.TIME + 1] as number) * HIGH + ((words[at + FIELD.TIME] as number) >>> 0);
  }

  /** Words, owner and trace of another; not its bytes. */
  copy(from: Envelope): this {
    copyWords(from.words, from.at, this.words, this.at);
    this.owner = from.owner;
    this.trace = from.trace;
    return this;
  }

  /** The same from an object: of a capture file, or what came out of a stream. Its payload is not taken. */
  fill(raw: RawHead): this {
    const { words, at } = this;
    putBig(words, at + FIELD.TIME, raw.time);
    putBig(words, at + FIELD.SOCKET, raw.socket);
    words[at + FIELD.NETWORK_NAMESPACE] = raw.networkNamespace;
    words[at + FIELD.PORTS] = raw.local.port | (raw.remote.port << 16);
    words[at + FIELD.BITS] =
      (raw.direction === 'response' ? FIELD_BITS.RESPONSE : 0) |
      (raw.transport === 'tcp' ? FIELD_BITS.TCP : 0) |
      (raw.family === 6 ? FIELD_BITS.IPV6 : 0) |
      (raw.localAny ? FIELD_BITS.LOCAL_ANY : 0) |
      (raw.dialed === undefined ? 0 : FIELD_BITS.DIALED) |
      (raw.streamStart ? FIELD_BITS.STREAM_START : 0) |
      (raw.streamEnd ? FIELD_BITS.STREAM_END : 0) |
      (raw.more ? FIELD_BITS.MORE : 0) |
      (raw.unreadable ? FIELD_BITS.UNREADABLE : 0);
    words[at + FIELD.DIALED_PORT] = (raw.dialed?.port ?? 0) | (HOOKS.indexOf(raw.hook) << 16);
    words[at + FIELD.LENGTH] = raw.length;
    words[at + FIELD.CAPTURED] = raw.length;
    words[at + FIELD.SEQUENCE] = raw.sequence;
    words[at + FIELD.INTERFACE] = raw.interface ?? 0;
    putAddress(words, at + FIELD.LOCAL, raw.local.address);
    putAddress(words, at + FIELD.REMOTE, raw.remote.address);
    putAddress(words, at + FIELD.DIALED, raw.dialed?.address ?? '::');
    this.owner = raw.owner;
    this.trace = raw.trace;
    return this;
  }

  /** An object of its own, which may be kept; without the payload. */
  head(): RawHead {
    const head: RawHead = {
      kind: this.kind,
      time: this.time,
      hook: this.hook,
      direction: this.direction,
      transport: this.transport,
      family: this.family,
      networkNamespace: this.networkNamespace,
      socket: this.socket,
      local: this.local,
      remote: this.remote,
      localAny: this.localAny,
      dialed: this.dialed,
      owner: this.owner,
      sequence: this.sequence,
      streamStart: this.streamStart,
      streamEnd: this.streamEnd,
      more: this.more,
      unreadable: this.unreadable,
      length: this.length,
    };
    // Few have one: the others keep their shape.
    if (this.trace === undefined && !this.#needsZone()) return head;
    const trace = this.trace === undefined ? {} : { trace: this.trace };
    return { ...head, ...trace, ...(this.#needsZone() ? { interface: this.interface } : {}) };
  }

  #big(field: number): bigint {
    const { words, at } = this;
    const high = BigInt(words[at + field + 1] as number);
    return BigInt.asUintN(64, (high << 32n) | BigInt((words[at + field] as number) >>> 0));
  }

  #address(field: number): string {
    return addressText(this.words, this.at + field);
  }
}

/** Index of a hook family in FIELD.DIALED_PORT. */
export function hookIndex(hook: HookFamily): number {
  return HOOKS.indexOf(hook);
}

export function copyWords(from: Int32Array, fromAt: number, to: Int32Array, toAt: number): void {
  for (let i = 0; i < MESSAGE_WORDS; i++) to[toAt + i] = from[fromAt + i] as number;
}

/** ns from `a` to `b`, two FIELD.TIME: exact below 2^53. */
export function nsBetween(a: Int32Array, aAt: number, b: Int32Array, bAt: number): number {
  return (
    ((b[bAt + 1] as number) - (a[aAt + 1] as number)) * HIGH +
    (((b[bAt] as number) >>> 0) - ((a[aAt] as number) >>> 0))
  );
}

function putBig(words: Int32Array, at: number, value: bigint): void {
  words[at] = Number(BigInt.asIntN(32, value));
  words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
}
