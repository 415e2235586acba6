/**
 * Tells a packet that a capture holds twice (taken on the device `any`, on a mirrored port) from one that was sent twice.
 * Its copies have the same addresses, identification and bytes, within a short time. Datagrams only: of a TCP segment the
 * sequence number tells.
 */
import type { IpPayload } from './ip-packet.ts';

/** Packets remembered; a newer one takes the place of an older one. A power of two. */
const SLOTS = 16_384;
/** An identification is used again after 65 535 packets, a program asks again after a quarter of a second at the soonest. */
const IDENTIFIED_NS = 200_000_000;
/** Of a datagram's header: devices that compute the checksum show it to some captures unfinished. */
const CHECKSUM = 6;
/** Without identification (IPv6; IPv4 of unconnected sockets) equal datagrams may be a program's haste. */
const UNIDENTIFIED_NS = 2_000_000;

const SEED = (Math.random() * 0x1_0000_0000) | 0;

export class SeenPackets {
  readonly #first = new Int32Array(SLOTS);
  readonly #second = new Int32Array(SLOTS);
  /** ns since the first packet. */
  readonly #times = new Float64Array(SLOTS).fill(Number.NEGATIVE_INFINITY);
  #start: bigint | undefined;

  isRepeated(packet: IpPayload, time: bigint): boolean {
    this.#start ??= time;
    const now = Number(time - this.#start);
    const { identification, bytes, source, destination } = packet;
    let first = SEED ^ identification;
    let second = SEED + bytes.length;
    for (const text of [source, destination]) {
      for (let i = 0; i < text.length; i++) first = Math.imul(first ^ text.charCodeAt(i), 0x01000193);
      first = Math.imul(first ^ 0x2f, 0x01000193);
    }
    for (let i = 0; i < bytes.length; i++) {
      if (i === CHECKSUM) i += 2;
      const byte = bytes[i] ?? 0;
      first = Math.imul(first ^ byte, 0x01000193);
      second = Math.imul(second ^ byte, 0x5bd1e995) ^ (second >>> 13);
    }
    const slot = (first ^ (first >>> 15)) & (SLOTS - 1);
    const isSame = this.#first[slot] === first && this.#second[slot] === (second | 0);
    // Blocks without a time (Simple Packet Block) all have the same.
    const unidentified = time === 0n ? -1 : UNIDENTIFIED_NS;
    const limit = identification === 0 ? unidentified : IDENTIFIED_NS;
    if (isSame && Math.abs(now - (this.#times[slot] as number)) <= limit) return true;
    this.#first[slot] = first;
    this.#second[slot] = second;
    this.#times[slot] = now;
    return false;
  }
}
