/**
 * Protocol Buffers wire format (https://protobuf.dev/programming-guides/encoding), written straight into one growing
 * buffer: no message objects, no size pass. Lengths of nested messages are put in afterwards; they are always minimal.
 */
import { ByteWriter } from '../lib/byte-writer.ts';

/** Tag byte of a field with number below 16. */
export const TAG = {
  varint: (field: number): number => field << 3,
  fixed64: (field: number): number => (field << 3) | 1,
  bytes: (field: number): number => (field << 3) | 2,
  fixed32: (field: number): number => (field << 3) | 5,
} as const;

/** Strings up to this long are copied character by character, which is cheaper than the call into Buffer. */
const SHORT_TEXT = 64;
/** Bytes of the longest varint. */
const MAX_VARINT = 10;

const scratch = new ArrayBuffer(8);
const scratchBytes = new Uint8Array(scratch);
const scratchDouble = new Float64Array(scratch);
const scratchInteger = new BigUint64Array(scratch);

export class ProtobufWriter extends ByteWriter {
  /** @param value integer, at least -2^53; a negative one is written as int64 (two's complement, 10 bytes) */
  varint(value: number): void {
    this.reserve(MAX_VARINT);
    if (value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest > 0x7fn; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80);
      this.byte(Number(rest));
      return;
    }
    let rest = value;
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 0x80);
    for (; rest > 0x7f; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }

  /** @param value 0 to 2^64 - 1 */
  fixed64(value: bigint): void {
    scratchInteger[0] = value;
    this.#scratch();
  }

  /** @param value 0 to 2^32 - 1 */
  fixed32(value: number): void {
    this.reserve(4);
    this.position = this.bytes.writeUInt32LE(value, this.position);
  }

  double(value: number): void {
    scratchDouble[0] = value;
    this.#scratch();
  }

  /** Length and UTF-8 of the text; a lone surrogate becomes U+FFFD, as protobuf strings must be valid. */
  string(text: string): void {
    const { length } = text;
    this.reserve(3 * length + MAX_VARINT);
    if (length <= SHORT_TEXT && this.tryAscii(text, this.position + 1)) {
      this.bytes[this.position] = length;
      this.position += 1 + length;
      return;
    }
    const size = Buffer.byteLength(text);
    this.varint(size);
    this.bytes.write(text, this.position, size, 'utf8');
    this.position += size;
  }

  /** Puts ASCII text at a place, within what was reserved. False when it has other characters: then the place is spoilt. */
  tryAscii(text: string, at: number): boolean {
    const bytes = this.bytes;
    const { length } = text;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[at + i] = code;
    }
    return true;
  }

  /**
   * Begins a nested message whose length is not known yet.
   * @param expected bytes that its length will take most often @returns what `end` needs
   */
  begin(expected = 1): number {
    this.reserve(expected);
    const start = this.position;
    this.position += expected;
    return start;
  }

  /** Ends it: puts its length in front, moving the message where that takes another number of bytes. */
  end(start: number, expected = 1): void {
    const length = this.position - start - expected;
    const size = varintSize(length);
    if (size !== expected) {
      this.reserve(size);
      this.bytes.copyWithin(start + size, start + expected, this.position);
    }
    this.position = putVarint(this.bytes, start, length) + length;
  }

  #scratch(): void {
    this.reserve(8);
    const at = this.position;
    for (let i = 0; i < 8; i++) this.bytes[at + i] = scratchBytes[i] as number;
    this.position = at + 8;
  }
}

/** @param value integer from 0 to 2^31 - 1; @returns the place behind it */
export function putVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

/** Bytes of a varint. @param value integer from 0 to 2^53 - 1 */
export function varintSize(value: number): number {
  if (value <= 0x7f) return 1;
  if (value <= 0x3fff) return 2;
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}
