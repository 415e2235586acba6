/** Capture files, whichever container format they have, compressed or not. */
import { UserError } from '../lib/errors.ts';
import type { Packets } from './captured-packet.ts';
import type { FileBytes } from './file-bytes.ts';
import { MODIFIED_RECORD_HEADER, packetsOfPcap } from './pcap-format.ts';
import { packetsOfPcapng } from './pcapng-format.ts';

const PCAPNG_MAGIC = 0x0a0d0d0a;
/** Formats that are known and not read, by their first bytes, and what makes them readable. */
const OTHERS: readonly (readonly [string, string])[] = [
  ['425a68', 'it is compressed: unpack it with bunzip2 first'],
  ['fd377a58', 'it is compressed: unpack it with unxz first'],
  ['504b0304', 'it is a zip archive: unpack it first'],
  ['736e6f6f', 'it is a snoop file: editcap of Wireshark converts it'],
];

/** The packets of a capture file, whichever its format. Rejects with a UserError if it is no capture file. */
export async function openPackets(file: FileBytes, name: string): Promise<Packets> {
  const magic = await file.fill(4);
  if (file.broken !== undefined) throw new UserError(`cannot read ${name}: ${file.broken}`);
  if (magic === undefined) throw notACapture(name, '');
  if (magic.readUInt32BE(0) === PCAPNG_MAGIC) return packetsOfPcapng(file);
  for (const littleEndian of [true, false]) {
    const value = littleEndian ? magic.readUInt32LE(0) : magic.readUInt32BE(0);
    if (value === 0xa1b2c3d4) return packetsOfPcap(file, littleEndian, 1000n);
    if (value === 0xa1b23c4d) return packetsOfPcap(file, littleEndian, 1n);
    if (value === 0xa1b2cd34) return packetsOfPcap(file, littleEndian, 1000n, MODIFIED_RECORD_HEADER);
  }
  throw notACapture(name, magic.toString('hex'));
}

function notACapture(name: string, magic: string): UserError {
  const hint = OTHERS.find(([start]) => magic.startsWith(start))?.[1];
  return new UserError(`${name} is not a capture file`, {
    hint: hint ?? 'pcap and pcapng files are read, plain or compressed with gzip or zstd',
  });
}
