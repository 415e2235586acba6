/** Bytes written one after the other into one growing buffer: no object and no string for each. */

/** Runs up to this long are copied byte by byte, which is cheaper than a call into the runtime. */
const SHORT_RUN = 12;
/** Digits of the largest integer that a double holds exactly. */
const MAX_DIGITS = 16;

const ZERO = 0x30;
const HEX = new TextEncoder().encode('0123456789abcdef');
const BASE64 = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;

export class ByteWriter {
  /** The memory written to; another one after it has grown. */
  bytes: Buffer;
  /** Bytes written; set it back to undo. */
  position = 0;

  /** @param capacity bytes to begin with; it grows as needed */
  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `count` more bytes. Each method below does so itself but `byte`. */
  reserve(count: number): void {
    const needed = this.position + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.position);
    this.bytes = larger;
  }

  /** Within what was reserved. */
  byte(value: number): void {
    this.bytes[this.position++] = value;
  }

  /** @param text of ASCII characters only */
  ascii(text: string): void {
    const { length } = text;
    this.reserve(length);
    const { bytes, position } = this;
    for (let i = 0; i < length; i++) bytes[position + i] = text.charCodeAt(i);
    this.position = position + length;
  }

  raw(source: Uint8Array): void {
    const { length } = source;
    this.reserve(length);
    const { bytes, position } = this;
    if (length <= SHORT_RUN) for (let i = 0; i < length; i++) bytes[position + i] = source[i] as number;
    else bytes.set(source, position);
    this.position = position + length;
  }

  /** The bytes start..end of `source`. */
  range(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(length);
    const { bytes, position } = this;
    if (length <= SHORT_RUN) {
      for (let i = 0; i < length; i++) bytes[position + i] = source[start + i] as number;
    } else {
      bytes.set(source.subarray(start, end), position);
    }
    this.position = position + length;
  }

  /** @param value integer from 0 to 2^53 - 1, written in decimal digits */
  decimal(value: number): void {
    this.reserve(MAX_DIGITS);
    let size = 1;
    for (let limit = 10; value >= limit; limit *= 10) size++;
    const { bytes, position } = this;
    let at = position + size;
    let rest = value;
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 10)) bytes[--at] = ZERO + (rest % 10);
    while (at > position) {
      const tenth = (rest / 10) | 0;
      bytes[--at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    this.position = position + size;
  }

  /** The bytes start..end of `source` in lower-case hexadecimal. */
  hex(source: Uint8Array, start: number, end: number): void {
    this.reserve(2 * (end - start));
    const { bytes } = this;
    let at = this.position;
    for (let i = start; i < end; i++) {
      const octet = source[i] as number;
      bytes[at] = HEX[octet >> 4] as number;
      bytes[at + 1] = HEX[octet & 15] as number;
      at += 2;
    }
    this.position = at;
  }

  /** The bytes start..end of `source` in base64 with padding (RFC 4648 section 4). */
  base64(source: Uint8Array, start: number, end: number): void {
    this.reserve(4 * Math.ceil((end - start) / 3));
    const { bytes } = this;
    let at = this.position;
    for (let i = start; i < end; i += 3) {
      const left = end - i;
      const second = left > 1 ? (source[i + 1] as number) : 0;
      const third = left > 2 ? (source[i + 2] as number) : 0;
      const group = ((source[i] as number) << 16) | (second << 8) | third;
      bytes[at] = BASE64[group >> 18] as number;
      bytes[at + 1] = BASE64[(group >> 12) & 63] as number;
      bytes[at + 2] = left > 1 ? (BASE64[(group >> 6) & 63] as number) : PADDING;
      bytes[at + 3] = left > 2 ? (BASE64[group & 63] as number) : PADDING;
      at += 4;
    }
    this.position = at;
  }

  /** What was written from `start` on, each byte a character. */
  latin1(start = 0): string {
    return this.bytes.toString('latin1', start, this.position);
  }
}
