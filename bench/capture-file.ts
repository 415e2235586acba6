/** Writes a capture of lookups and their answers (pcap, LINKTYPE_RAW: IPv4 without a link layer). */
import { closeSync, openSync, writeSync } from 'node:fs';
import { encodeMessage, labels } from '../test/unit/dns-encode.ts';

const LINKTYPE_RAW = 101;
const RECORD = 16;
const IP_UDP = 28;
const CLIENTS = 16;
const NAMES = 10_000;
const FLUSH_BYTES = 1 << 20;

export function writeCapture(path: string, lookups: number): void {
  const file = openSync(path, 'w');
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(LINKTYPE_RAW, 20);
  let pending: Buffer[] = [header];
  let bytes = 0;
  const put = (packet: Buffer) => {
    pending.push(packet);
    bytes += packet.length;
    if (bytes < FLUSH_BYTES) return;
    writeSync(file, Buffer.concat(pending));
    pending = [];
    bytes = 0;
  };
  const messages = Array.from({ length: NAMES }, (_, i) => lookup(`n${i}.bench.test`));
  for (let i = 0; i < lookups; i++) {
    const { request, answer } = messages[i % NAMES] as ReturnType<typeof lookup>;
    const client = { host: 2 + (i % CLIENTS), port: 20_000 + ((i / CLIENTS) & 0x3fff) };
    const time = i * 50;
    request.writeUInt16BE(i & 0xffff, 0);
    answer.writeUInt16BE(i & 0xffff, 0);
    put(packet(request, client, false, time));
    put(packet(answer, client, true, time + 20));
  }
  writeSync(file, Buffer.concat(pending));
  closeSync(file);
}

function lookup(name: string): { readonly request: Buffer; readonly answer: Buffer } {
  const question = { name: labels(name), type: 1, class: 1 };
  const common = { id: 0, questions: [question], authorities: [], additionals: [] };
  const address = { name: labels(name), type: 1, class: 1, ttl: 60, rdata: [Uint8Array.of(192, 0, 2, 1)] };
  return {
    request: encodeMessage({ ...common, flags: 0x0100, answers: [] }),
    answer: encodeMessage({ ...common, flags: 0x8180, answers: [address] }),
  };
}

/** @param time us since the first */
function packet(
  message: Buffer,
  { host, port }: { readonly host: number; readonly port: number },
  isAnswer: boolean,
  time: number,
): Buffer {
  const length = IP_UDP + message.length;
  const bytes = Buffer.alloc(RECORD + length);
  bytes.writeUInt32LE(1_790_000_000 + Math.floor(time / 1e6), 0);
  bytes.writeUInt32LE(time % 1e6, 4);
  bytes.writeUInt32LE(length, 8);
  bytes.writeUInt32LE(length, 12);
  const ip = bytes.subarray(RECORD);
  const [client, server] = [
    [10, 0, 0, host],
    [10, 0, 0, 1],
  ] as const;
  ip[0] = 0x45;
  ip.writeUInt16BE(length, 2);
  ip[8] = 64;
  ip[9] = 17;
  ip.set(isAnswer ? server : client, 12);
  ip.set(isAnswer ? client : server, 16);
  ip.writeUInt16BE(checksum(ip.subarray(0, 20)), 10);
  ip.writeUInt16BE(isAnswer ? 53 : port, 20);
  ip.writeUInt16BE(isAnswer ? port : 53, 22);
  // Checksum 0: there is none (RFC 768).
  ip.writeUInt16BE(8 + message.length, 24);
  message.copy(ip, IP_UDP);
  return bytes;
}

/** RFC 1071 */
function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
