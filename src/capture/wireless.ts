/** IEEE 802.11 data frames and the headers that capturing puts before them. Encrypted frames hold nothing to read. */
import { llc } from './ether.ts';

const DATA = 2;
const CONTROL = { toDistribution: 1, fromDistribution: 2, protected: 0x40, order: 0x80 };
const SUBTYPE = { noData: 4, qos: 8 };
const AGGREGATED = 0x80;
/** Radiotap: the flag field, and its bit for padding between header and data. */
const RADIOTAP = { flags: 2, timer: 1, more: 0x8000_0000, padded: 0x20 };
const MAX_PRESENT_WORDS = 16;
const AVS_COOKIE = 0x8021_1001;

/**
 * IEEE Std 802.11, section 9.2: of an aggregated frame the first one.
 * @param padded the header was filled up to a multiple of four
 */
export function ieee80211(frame: Uint8Array, at: number, padded: boolean): number {
  const control = frame[at] ?? 0;
  const flags = frame[at + 1] ?? 0;
  const subtype = control >> 4;
  if (((control >> 2) & 3) !== DATA || (subtype & SUBTYPE.noData) !== 0) return -1;
  if ((flags & CONTROL.protected) !== 0) return -1;
  const isBridged = (flags & 3) === (CONTROL.toDistribution | CONTROL.fromDistribution);
  const isQos = (subtype & SUBTYPE.qos) !== 0;
  let header = isBridged ? 30 : 24;
  const isAggregated = isQos && ((frame[at + header] ?? 0) & AGGREGATED) !== 0;
  if (isQos) header += (flags & CONTROL.order) !== 0 ? 6 : 2;
  if (padded) header = Math.ceil(header / 4) * 4;
  // Addresses and length of the aggregated frame.
  return llc(frame, at + header + (isAggregated ? 14 : 0));
}

/** https://www.radiotap.org: the fields present are told by bits, 31 says that a further word of them follows. */
export function radiotap(frame: Uint8Array, at: number): number {
  if (at + 8 > frame.length) return -1;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const length = view.getUint16(at + 2, true);
  const present = view.getUint32(at + 4, true);
  let fields = at + 4;
  for (let words = 0; fields + 4 <= frame.length; words++) {
    if (words === MAX_PRESENT_WORDS) return -1;
    const isLast = (view.getUint32(fields, true) & RADIOTAP.more) === 0;
    fields += 4;
    if (isLast) break;
  }
  // The timer is aligned to its own eight bytes, from the header's start.
  if ((present & RADIOTAP.timer) !== 0) fields = at + Math.ceil((fields - at) / 8) * 8 + 8;
  const flags = (present & RADIOTAP.flags) === 0 ? 0 : (frame[fields] ?? 0);
  return ieee80211(frame, at + length, (flags & RADIOTAP.padded) !== 0);
}

/** Prism: code and length in the byte order of the host; some drivers write an AVS header instead. */
export function prism(frame: Uint8Array, at: number): number {
  if (at + 8 > frame.length) return -1;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(at) === AVS_COOKIE) return avs(frame, at);
  const little = view.getUint32(at + 4, true);
  return ieee80211(frame, at + (little <= frame.length ? little : view.getUint32(at + 4)), false);
}

/** AVS: magic number and length in network order. */
export function avs(frame: Uint8Array, at: number): number {
  if (at + 8 > frame.length) return -1;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return ieee80211(frame, at + view.getUint32(at + 4), false);
}
