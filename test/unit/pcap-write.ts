/** Capture files and packets made for tests. */
import { u16, u32 } from './dns-encode.ts';

export interface Frame {
  readonly bytes: Uint8Array;
  /** ns */
  readonly time?: bigint;
  /** Bytes there were; more than were captured. */
  readonly length?: number;
}

/** A pcap file. */
export function pcap(linkType: number, frames: readonly Frame[], { nano = false, big = false } = {}): Buffer {
  const w32 = (value: number) => ordered(u32(value), big);
  const w16 = (value: number) => ordered(u16(value), big);
  const parts: Uint8Array[] = [
    w32(nano ? 0xa1b23c4d : 0xa1b2c3d4),
    w16(2),
    w16(4),
    w32(0),
    w32(0),
    w32(65_535),
    w32(linkType),
  ];
  for (const { bytes, time = 0n, length = bytes.length } of frames) {
    const fraction = Number(time % 1_000_000_000n) / (nano ? 1 : 1000);
    parts.push(
      w32(Number(time / 1_000_000_000n)),
      w32(Math.floor(fraction)),
      w32(bytes.length),
      w32(length),
      bytes,
    );
  }
  return Buffer.concat(parts);
}

function ordered(bytes: Uint8Array, big: boolean): Uint8Array {
  return big ? bytes : bytes.reverse();
}

/** Writers of pcapng blocks in one byte order. */
export class Pcapng {
  readonly #big: boolean;

  constructor(big: boolean) {
    this.#big = big;
  }

  w32(value: number): Uint8Array {
    return ordered(u32(value), this.#big);
  }

  w16(value: number): Uint8Array {
    return ordered(u16(value), this.#big);
  }

  block(type: number, ...body: Uint8Array[]): Buffer {
    const inner = padded(Buffer.concat(body));
    const length = this.w32(inner.length + 12);
    return Buffer.concat([this.w32(type), length, inner, length]);
  }

  section(): Buffer {
    return this.block(0x0a0d0d0a, this.w32(0x1a2b3c4d), this.w16(1), this.w16(0), Buffer.alloc(8, 0xff));
  }

  option(code: number, value: Uint8Array): Buffer {
    return padded(Buffer.concat([this.w16(code), this.w16(value.length), value]));
  }

  interface(linkType: number, snapLength: number, ...options: Uint8Array[]): Buffer {
    return this.block(
      1,
      this.w16(linkType),
      this.w16(0),
      this.w32(snapLength),
      ...options,
      this.option(0, new Uint8Array(0)),
    );
  }

  enhanced(interfaceNumber: number, ticks: bigint, bytes: Uint8Array): Buffer {
    const high = this.w32(Number(ticks >> 32n));
    const low = this.w32(Number(ticks & 0xffff_ffffn));
    const size = this.w32(bytes.length);
    const comment = this.option(1, Buffer.from('comment'));
    return this.block(6, this.w32(interfaceNumber), high, low, size, size, padded(bytes), comment);
  }

  simple(bytes: Uint8Array): Buffer {
    return this.block(3, this.w32(bytes.length), bytes);
  }

  /** The obsolete Packet Block. */
  packet(interfaceNumber: number, ticks: bigint, bytes: Uint8Array): Buffer {
    const low = this.w32(Number(ticks & 0xffff_ffffn));
    const size = this.w32(bytes.length);
    return this.block(
      2,
      this.w16(interfaceNumber),
      this.w16(0),
      this.w32(Number(ticks >> 32n)),
      low,
      size,
      size,
      bytes,
    );
  }
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

export function udp(source: number, destination: number, payload: Uint8Array): Buffer {
  return Buffer.concat([u16(source), u16(destination), u16(payload.length + 8), u16(0), payload]);
}

export function tcp(
  source: number,
  destination: number,
  sequence: number,
  flags: number,
  payload: Uint8Array,
): Buffer {
  const options = Buffer.of(1, 1, 1, 0);
  const header = [
    u16(source),
    u16(destination),
    u32(sequence),
    u32(0),
    Buffer.of(6 << 4, flags),
    u16(1000),
    u32(0),
    options,
  ];
  return Buffer.concat([...header, payload]);
}

export interface Ipv4Fields {
  readonly protocol?: number;
  readonly options?: Uint8Array;
  readonly identification?: number;
  /** In bytes. */
  readonly fragmentOffset?: number;
  readonly more?: boolean;
}

/** From 10.0.0.1 to 10.0.0.2. */
export function ipv4(payload: Uint8Array, fields: Ipv4Fields = {}): Buffer {
  const {
    protocol = 17,
    options = new Uint8Array(0),
    identification = 1,
    fragmentOffset = 0,
    more = false,
  } = fields;
  const header = 20 + options.length;
  const place = (more ? 0x2000 : 0) | (fragmentOffset / 8);
  return Buffer.concat([
    Buffer.of(0x40 | (header / 4), 0),
    u16(header + payload.length),
    u16(identification),
    u16(place),
    Buffer.of(64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2),
    options,
    payload,
  ]);
}

/** From 2001:db8::1 to 2001:db8::2. `extensions` come first and say what follows them. */
export function ipv6(payload: Uint8Array, next = 17, extensions: Uint8Array = new Uint8Array(0)): Buffer {
  const address = (last: number) =>
    Buffer.from(`20010db80000000000000000000000${String(last).padStart(2, '0')}`, 'hex');
  const size = u16(extensions.length + payload.length);
  return Buffer.concat([
    Buffer.of(0x60, 0, 0, 0),
    size,
    Buffer.of(next, 64),
    address(1),
    address(2),
    extensions,
    payload,
  ]);
}
