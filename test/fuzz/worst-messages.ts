/** Messages that cost a decoder most: each 64 KB, built to reach a bound. */
import { type EncodedRecord, encodeMessage, labels, u16, u32 } from '../unit/dns-encode.ts';

const HEAD = { id: 1, flags: 0x8180, questions: [], authorities: [], additionals: [] };
const SIZE = 65_000;

function answers(type: number, rdata: EncodedRecord['rdata'], count: number, name = labels('a')): Buffer {
  const record = { name, type, class: 1, ttl: 0, rdata };
  return encodeMessage({ ...HEAD, answers: Array.from({ length: count }, () => record) });
}

function whole(type: number, rdata: Uint8Array): Buffer {
  return answers(type, [rdata.subarray(0, SIZE)], 1);
}

function repeated(part: Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: Math.floor((SIZE - 20) / part.length) }, () => part));
}

const bitmap = Buffer.concat([
  Buffer.of(0),
  ...Array.from({ length: 256 }, (_, window) =>
    Buffer.concat([Buffer.of(window, 32), Buffer.alloc(32, 0xff)]),
  ),
]);
const parameters = Buffer.concat([
  Buffer.of(0, 1, 0),
  ...Array.from({ length: 16_000 }, (_, key) => Buffer.concat([u16(key + 100), u16(0)])),
]);
const parameter = (key: number, value: Buffer) =>
  Buffer.concat([Buffer.of(0, 1, 0), u16(key), u16(value.length), value]);
const longName = Array.from({ length: 4 }, (_, i) => Buffer.alloc(i === 3 ? 61 : 63, 0xff));
const pointers = (count: number) =>
  Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      Buffer.concat([u16(0xc00c + 64 * (i % 3)), u16(1), u16(1), u32(0), u16(4), u32(1)]),
    ),
  );

function bomb(): Buffer {
  const head = encodeMessage({ ...HEAD, questions: [{ name: longName, type: 1, class: 1 }], answers: [] });
  head.writeUInt16BE(4000, 6);
  return Buffer.concat([head, pointers(4000)]);
}

const rrsig = Buffer.concat([u16(1), Buffer.of(8, 2), u32(1), u32(1), u32(1), u16(1), Buffer.of(0, 1)]);
const naptr = Buffer.concat([u32(1), Buffer.of(0, 0, 0, 0)]);
const srv = [u16(1), u16(2), u16(3), { name: labels('a.b.c.d.e') }];

export const WORST_MESSAGES: Readonly<Record<string, Buffer>> = {
  'compressed names': bomb(),
  'a bit map of every type': answers(47, [bitmap], 7),
  'empty strings': whole(16, repeated(Buffer.of(0))),
  'strings of a control character': whole(16, repeated(Buffer.of(1, 7))),
  'strings of octets to escape': whole(
    16,
    repeated(Buffer.concat([Buffer.of(255), Buffer.alloc(255, 0xff)])),
  ),
  'service parameters': whole(65, parameters),
  'IPv6 hints': whole(65, parameter(6, Buffer.alloc(64_000, 0x11))),
  'IPv4 hints': whole(65, parameter(4, Buffer.alloc(64_000, 0xff))),
  'protocols of commas': whole(65, parameter(1, repeated(Buffer.of(5, 0x2c, 0x5c, 0x22, 0xff, 0)))),
  'mandatory keys': whole(
    65,
    parameter(0, Buffer.concat(Array.from({ length: 30_000 }, (_, i) => u16(i + 1)))),
  ),
  'EDNS options': ednsOptions(),
  signatures: answers(46, [rrsig], 2000),
  'naming pointers': answers(35, [naptr], 2500),
  services: answers(33, srv, 1500, longName),
  addresses: answers(28, [Buffer.alloc(16, 0x21)], 2000),
  questions: questions(),
  'unknown types': answers(65_400, [Buffer.alloc(20)], 1800),
  hexadecimal: whole(52, Buffer.alloc(SIZE, 0xab)),
  base64: whole(48, Buffer.alloc(SIZE, 0xab)),
  'URI of octets to escape': whole(256, Buffer.alloc(SIZE, 0xff)),
};

function ednsOptions(): Buffer {
  const rdata = repeated(Buffer.concat([u16(15), u16(3), u16(9), Buffer.of(0xff)]));
  const opt = { name: [], type: 41, class: 4096, ttl: 0, rdata: [rdata] };
  return encodeMessage({ ...HEAD, answers: [], additionals: [opt] });
}

function questions(): Buffer {
  const one = { name: longName, type: 1, class: 1 };
  return encodeMessage({ ...HEAD, questions: Array.from({ length: 10_000 }, () => one), answers: [] });
}
