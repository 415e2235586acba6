/** The classic capture file format (draft-ietf-opsawg-pcap). */
import { MAX_PACKET, type Packets, u32 } from './captured-packet.ts';
import type { FileBytes } from './file-bytes.ts';

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** The "modified" format of old patched libpcaps: interface, protocol and packet type behind each record's header. */
export const MODIFIED_RECORD_HEADER = 24;

/**
 * @param tick ns of one unit of the second timestamp field
 * @param recordHeader bytes before each packet
 */
export async function* packetsOfPcap(
  file: FileBytes,
  littleEndian: boolean,
  tick: bigint,
  recordHeader = RECORD_HEADER,
): Packets {
  const header = await file.fill(FILE_HEADER);
  if (header === undefined) return { offset: file.offset, reason: 'the file header is cut' };
  // The upper bits of the field tell the length of frame check sequences.
  const linkType = u32(header, 20, littleEndian) & 0xffff;
  file.pass(FILE_HEADER);
  while (file.peek(1) !== undefined || !(await file.atEnd())) {
    const start = file.offset;
    const record = file.peek(recordHeader) ?? (await file.fill(recordHeader));
    if (record === undefined) return { offset: start, reason: 'the last record header is cut' };
    const captured = u32(record, 8, littleEndian);
    if (captured > MAX_PACKET) return { offset: start, reason: `a record claims ${captured} bytes` };
    const time =
      BigInt(u32(record, 0, littleEndian)) * 1_000_000_000n + BigInt(u32(record, 4, littleEndian)) * tick;
    file.pass(recordHeader);
    const bytes = file.peek(captured) ?? (await file.fill(captured));
    if (bytes === undefined) return { offset: start, reason: 'the last packet is cut' };
    file.pass(captured);
    yield { time, linkType, bytes };
  }
  return undefined;
}
