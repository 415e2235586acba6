/** pcapng (draft-ietf-opsawg-pcapng): blocks, of which those with packets and interfaces are read. */
import { type CapturedPacket, type Damage, MAX_PACKET, type Packets, u16, u32 } from './captured-packet.ts';
import type { FileBytes } from './file-bytes.ts';

const BLOCK = { section: 0x0a0d0d0a, interface: 1, packet: 2, simplePacket: 3, enhancedPacket: 6 };
const OPTION = { end: 0, timeResolution: 9, timeOffset: 14 };
/** Interfaces of a section; a file with more is damaged. */
const MAX_INTERFACES = 4096;
/** Longest header before the bytes of a packet, and generous options after them. */
const MAX_BLOCK = MAX_PACKET + 64 * 1024;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  /** Timestamp units in a second. */
  readonly resolution: bigint;
  /** Seconds to add. */
  readonly offset: bigint;
}

interface Section {
  littleEndian: boolean;
  interfaces: Interface[];
}

export async function* packetsOfPcapng(file: FileBytes): Packets {
  const section: Section = { littleEndian: true, interfaces: [] };
  while (file.peek(1) !== undefined || !(await file.atEnd())) {
    const start = file.offset;
    const damage = (reason: string): Damage => ({ offset: start, reason });
    const head = await file.fill(12);
    if (head === undefined) return damage('the last block is cut');
    if (head.readUInt32BE(0) === BLOCK.section) {
      const order = byteOrder(head);
      if (order === undefined) return damage('a section has no byte-order magic');
      section.littleEndian = order;
      section.interfaces = [];
    }
    const type = u32(head, 0, section.littleEndian);
    const length = u32(head, 4, section.littleEndian);
    if (length < 12 || length % 4 !== 0) return damage(`a block claims ${length} bytes`);
    if (!isRead(type)) {
      if (!(await file.skip(length))) return damage('the last block is cut');
      continue;
    }
    if (length > MAX_BLOCK) return damage(`a block claims ${length} bytes`);
    const block = await file.fill(length);
    if (block === undefined) return damage('the last block is cut');
    if (u32(block, length - 4, section.littleEndian) !== length) {
      return damage('the two lengths of a block differ');
    }
    file.pass(length);
    const found = readBlock(section, type, block.subarray(8, length - 4));
    if (typeof found === 'string') return damage(found);
    if (found !== undefined) yield found;
  }
  return undefined;
}

/** Whether the section is little endian; undefined if the byte-order magic is wrong. */
function byteOrder(head: Buffer): boolean | undefined {
  if (head.readUInt32LE(8) === 0x1a2b3c4d) return true;
  return head.readUInt32BE(8) === 0x1a2b3c4d ? false : undefined;
}

function isRead(type: number): boolean {
  return (
    type === BLOCK.interface ||
    type === BLOCK.packet ||
    type === BLOCK.simplePacket ||
    type === BLOCK.enhancedPacket ||
    type === BLOCK.section
  );
}

/** A packet, or what is wrong with the block; undefined for a block without a packet. `body` is without the frame. */
function readBlock(section: Section, type: number, body: Buffer): CapturedPacket | string | undefined {
  if (type === BLOCK.section) {
    return body.length < 16 || u16(body, 4, section.littleEndian) !== 1
      ? 'a section of an unknown version'
      : undefined;
  }
  if (type === BLOCK.interface) return readInterface(section, body);
  if (type === BLOCK.simplePacket) return readSimplePacket(section, body);
  if (body.length < 20) return 'a packet block is too short';
  const { littleEndian } = section;
  // The obsolete Packet Block has a 16-bit interface number and a drop count where the Enhanced one has 32 bits.
  const number = type === BLOCK.packet ? u16(body, 0, littleEndian) : u32(body, 0, littleEndian);
  const description = section.interfaces[number];
  if (description === undefined) return `a packet of interface ${number}, which is not described`;
  const captured = u32(body, 12, littleEndian);
  if (captured > body.length - 20) return 'a packet is longer than its block';
  const ticks = (BigInt(u32(body, 4, littleEndian)) << 32n) | BigInt(u32(body, 8, littleEndian));
  const time = (ticks * 1_000_000_000n) / description.resolution + description.offset * 1_000_000_000n;
  return { time, linkType: description.linkType, bytes: body.subarray(20, 20 + captured) };
}

function readSimplePacket(section: Section, body: Buffer): CapturedPacket | string {
  const description = section.interfaces[0];
  if (description === undefined) return 'a packet of interface 0, which is not described';
  if (body.length < 4) return 'a packet block is too short';
  const original = u32(body, 0, section.littleEndian);
  const limit = description.snapLength === 0 ? original : Math.min(original, description.snapLength);
  if (limit > body.length - 4) return 'a packet is longer than its block';
  return { time: 0n, linkType: description.linkType, bytes: body.subarray(4, 4 + limit) };
}

function readInterface(section: Section, body: Buffer): string | undefined {
  if (body.length < 8) return 'an interface block is too short';
  if (section.interfaces.length >= MAX_INTERFACES) return `more than ${MAX_INTERFACES} interfaces`;
  const { littleEndian } = section;
  let resolution = 1_000_000n;
  let offset = 0n;
  for (let at = 8; at + 4 <= body.length; ) {
    const code = u16(body, at, littleEndian);
    const length = u16(body, at + 2, littleEndian);
    if (code === OPTION.end) break;
    if (at + 4 + length > body.length) return 'an interface option is longer than its block';
    if (code === OPTION.timeResolution && length === 1) resolution = timeResolution(body[at + 4] as number);
    if (code === OPTION.timeOffset && length === 8) {
      offset = littleEndian ? body.readBigInt64LE(at + 4) : body.readBigInt64BE(at + 4);
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  const linkType = u16(body, 0, littleEndian);
  section.interfaces.push({ linkType, snapLength: u32(body, 4, littleEndian), resolution, offset });
  return undefined;
}

/** if_tsresol: a negative power of 10, or of 2 if the top bit is set. */
function timeResolution(value: number): bigint {
  return value < 0x80 ? 10n ** BigInt(value) : 2n ** BigInt(value & 0x7f);
}
