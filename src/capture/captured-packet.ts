/** What every container format of capture files gives. */
/** One packet of a capture file. `bytes` is a view that is valid until the next packet is asked for. */
export interface CapturedPacket {
  /** Unix ns; 0n where the file has none (Simple Packet Block). */
  readonly time: bigint;
  /** LINKTYPE_ value. */
  readonly linkType: number;
  readonly bytes: Uint8Array;
}

/** Where a capture file stops being readable, and why. */
export interface Damage {
  /** Byte offset in the file. */
  readonly offset: number;
  readonly reason: string;
}

/** Packets until the end of the file, then what was wrong with it, undefined if nothing. */
export type Packets = AsyncGenerator<CapturedPacket, Damage | undefined, undefined>;

/** Snapshot lengths go to 262 144 (libpcap's MAXIMUM_SNAPLEN); a longer record is damage, not a packet. */
export const MAX_PACKET = 1024 * 1024;

export function u16(bytes: Buffer, offset: number, littleEndian: boolean): number {
  return littleEndian ? bytes.readUInt16LE(offset) : bytes.readUInt16BE(offset);
}

export function u32(bytes: Buffer, offset: number, littleEndian: boolean): number {
  return littleEndian ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
}
