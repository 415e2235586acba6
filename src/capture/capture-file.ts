/** Capture files, whichever container format they have. */
import { UserError } from '../lib/errors.ts';
import type { Packets } from './captured-packet.ts';
import type { FileBytes } from './file-bytes.ts';
import { packetsOfPcap } from './pcap-format.ts';
import { packetsOfPcapng } from './pcapng-format.ts';

const PCAPNG_MAGIC = 0x0a0d0d0a;

/** The packets of a capture file, whichever its format. Rejects with a UserError if it is no capture file. */
export async function openPackets(file: FileBytes, path: string): Promise<Packets> {
  const magic = await file.fill(4);
  if (magic === undefined) throw notACapture(path);
  if (magic.readUInt32BE(0) === PCAPNG_MAGIC) return packetsOfPcapng(file);
  for (const littleEndian of [true, false]) {
    const value = littleEndian ? magic.readUInt32LE(0) : magic.readUInt32BE(0);
    if (value === 0xa1b2c3d4) return packetsOfPcap(file, littleEndian, 1000n);
    if (value === 0xa1b23c4d) return packetsOfPcap(file, littleEndian, 1n);
  }
  throw notACapture(path, magic[0] === 0x1f && magic[1] === 0x8b);
}

function notACapture(path: string, gzip = false): UserError {
  return new UserError(`${path} is not a capture file`, {
    hint: gzip ? 'it is compressed: unpack it with gunzip first' : 'pcap and pcapng files are read',
  });
}
