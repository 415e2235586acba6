/** Generated message -> bytes -> decoded -> the same message. The expected text is made here, not by src/dns. */
import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage } from '../../src/dns/message.ts';
import type { ResourceRecord } from '../../src/model.ts';
import {
  type EncodedMessage,
  type EncodedRecord,
  encodeMessage,
  type Labels,
  string,
  u16,
  u32,
} from './dns-encode.ts';

const u16s = fc.integer({ min: 0, max: 65_535 });
const u32s = fc.integer({ min: 0, max: 0xffff_ffff });
const octets = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });

const A63 = new Uint8Array(63).fill(97);

/** Labels of any octets that together keep to 255. */
const names: fc.Arbitrary<Labels> = fc.oneof(
  { weight: 20, arbitrary: fc.array(octets(1, 8), { maxLength: 4 }) },
  { weight: 1, arbitrary: octets(127, 127).map((all) => [...all].map((octet) => Uint8Array.of(octet))) },
  { weight: 1, arbitrary: octets(61, 61).map((last) => [A63, A63, A63, last]) },
);

function nameText(name: Labels): string {
  if (name.length === 0) return '.';
  return name.map((label) => [...label].map(octetInName).join('')).join('.');
}

function octetInName(octet: number): string {
  const character = String.fromCharCode(octet);
  if (character === '.' || character === '\\') return `\\${character}`;
  return octet > 32 && octet < 127 ? character : decimal(octet);
}

function decimal(octet: number): string {
  return `\\${String(octet).padStart(3, '0')}`;
}

function stringText(bytes: Uint8Array): string {
  const text = [...bytes].map((octet) => {
    const character = String.fromCharCode(octet);
    if (character === '"' || character === '\\') return `\\${character}`;
    return octet >= 32 && octet < 127 ? character : decimal(octet);
  });
  return `"${text.join('')}"`;
}

/** A record and what its data must read. */
interface Expected {
  readonly record: EncodedRecord;
  readonly data: string;
}

function rr(
  type: number,
  rdata: fc.Arbitrary<{ rdata: EncodedRecord['rdata']; data: string }>,
): fc.Arbitrary<Expected> {
  return fc.record({ name: names, ttl: u32s, rdata }).map(({ name, ttl, rdata: { rdata: parts, data } }) => ({
    record: { name, type, class: 1, ttl, rdata: parts },
    data,
  }));
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const oneName = (type: number) =>
  rr(
    type,
    names.map((name) => ({ rdata: [{ name }], data: nameText(name) })),
  );

const records: fc.Arbitrary<Expected> = fc.oneof(
  rr(
    1,
    octets(4, 4).map((a) => ({ rdata: [a], data: a.join('.') })),
  ),
  ...[2, 5, 12, 39].map(oneName),
  rr(
    15,
    fc.tuple(u16s, names).map(([n, name]) => ({ rdata: [u16(n), { name }], data: `${n} ${nameText(name)}` })),
  ),
  rr(
    6,
    fc.tuple(names, names, fc.array(u32s, { minLength: 5, maxLength: 5 })).map(([m, r, n]) => ({
      rdata: [{ name: m }, { name: r }, ...n.map(u32)],
      data: `${nameText(m)} ${nameText(r)} ${n.join(' ')}`,
    })),
  ),
  rr(
    16,
    fc.array(octets(0, 60), { minLength: 1, maxLength: 4 }).map((texts) => ({
      rdata: texts.map(string),
      data: texts.map(stringText).join(' '),
    })),
  ),
  rr(
    33,
    fc.tuple(u16s, u16s, u16s, names).map(([a, b, c, name]) => ({
      rdata: [u16(a), u16(b), u16(c), { name }],
      data: `${a} ${b} ${c} ${nameText(name)}`,
    })),
  ),
  rr(
    43,
    fc.tuple(u16s, octets(1, 40)).map(([tag, digest]) => ({
      rdata: [u16(tag), Uint8Array.of(8, 2), digest],
      data: `${tag} 8 2 ${hex(digest)}`,
    })),
  ),
  rr(
    48,
    fc.tuple(u16s, octets(1, 70)).map(([flags, key]) => ({
      rdata: [u16(flags), Uint8Array.of(3, 13), key],
      data: `${flags} 3 13 ${Buffer.from(key).toString('base64')}`,
    })),
  ),
  rr(
    65_400,
    octets(0, 40).map((bytes) => ({
      rdata: [bytes],
      data: bytes.length === 0 ? '\\# 0' : `\\# ${bytes.length} ${hex(bytes)}`,
    })),
  ),
);

const messages = fc.record({
  id: u16s,
  flags: u16s,
  questions: fc.array(fc.record({ name: names, type: u16s, class: u16s }), { maxLength: 3 }),
  answers: fc.array(records, { maxLength: 5 }),
  authorities: fc.array(records, { maxLength: 3 }),
  additionals: fc.array(records, { maxLength: 3 }),
  compress: fc.boolean(),
});

test('a generated message decodes to itself', () => {
  fc.assert(
    fc.property(messages, ({ answers, authorities, additionals, compress, ...head }) => {
      const plain = (list: readonly Expected[]) => list.map(({ record }) => record);
      const message: EncodedMessage = {
        ...head,
        answers: plain(answers),
        authorities: plain(authorities),
        additionals: plain(additionals),
      };
      const decoded = decodeMessage(encodeMessage(message, compress));
      const shown = (list: readonly Expected[]): ResourceRecord[] =>
        list.map(({ record: { name, type, class: recordClass, ttl }, data }) => ({
          name: nameText(name),
          type,
          class: recordClass,
          ttl,
          data,
        }));
      assert.equal(decoded.malformed, undefined);
      assert.equal(decoded.id, head.id);
      assert.equal(decoded.response, head.flags >> 15 === 1);
      assert.equal(decoded.opcode, (head.flags >> 11) & 15);
      assert.equal(decoded.rcode, head.flags & 15);
      assert.equal(decoded.questionCount, head.questions.length);
      assert.deepEqual(
        decoded.questions,
        head.questions.map(({ name, type, class: c }) => ({ name: nameText(name), type, class: c })),
      );
      assert.deepEqual(decoded.answers, shown(answers));
      assert.deepEqual(decoded.authorities, shown(authorities));
      assert.deepEqual(decoded.additionals, shown(additionals));
    }),
    { numRuns: 1500 },
  );
});

test('every prefix of a generated message: cut, and what is read is a prefix of the whole', () => {
  fc.assert(
    fc.property(messages, fc.nat(), ({ answers, authorities, additionals, compress, ...head }, at) => {
      const plain = (list: readonly Expected[]) => list.map(({ record }) => record);
      const bytes = encodeMessage(
        {
          ...head,
          answers: plain(answers),
          authorities: plain(authorities),
          additionals: plain(additionals),
        },
        compress,
      );
      const whole = decodeMessage(bytes);
      const size = at % bytes.length;
      const part = decodeMessage(bytes.subarray(0, size), bytes.length);
      assert.equal(part.malformed?.reason, 'cut');
      assert.deepEqual(part.questions, whole.questions.slice(0, part.questions.length));
      assert.deepEqual(part.answers, whole.answers.slice(0, part.answers.length));
      assert.deepEqual(part.authorities, whole.authorities.slice(0, part.authorities.length));
      assert.deepEqual(part.additionals, whole.additionals.slice(0, part.additionals.length));
    }),
    { numRuns: 1500 },
  );
});

test('an IPv6 address reads as the URL parser of the platform writes it (RFC 5952)', () => {
  const groups = fc.array(fc.oneof(fc.constant(0), u16s, fc.constant(0)), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (parts) => {
      const record = { name: [], type: 28, class: 1, ttl: 0, rdata: parts.map(u16) };
      const message = {
        id: 0,
        flags: 0x8000,
        questions: [],
        answers: [record],
        authorities: [],
        additionals: [],
      };
      const text = decodeMessage(encodeMessage(message)).answers[0]?.data ?? '';
      assert.ok(isIPv6(text), text);
      const long = parts.map((part) => part.toString(16)).join(':');
      const url = (address: string) => new URL(`http://[${address}]/`).hostname.slice(1, -1);
      assert.equal(url(text), url(long));
      if (!text.includes('.')) assert.equal(text, url(long));
    }),
    { numRuns: 15000 },
  );
});
