/** The OPT record and its options (RFC 6891). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ednsLine } from '../../src/dns/line.ts';
import { decodeMessage } from '../../src/dns/message.ts';
import type { DnsMessage } from '../../src/model.ts';
import { type EncodedRecord, encodeMessage, labels, string, u16 } from './dns-encode.ts';

function opt(options: Uint8Array[], { ttl = 0, size = 1232, name = '.' } = {}): EncodedRecord {
  return { name: labels(name), type: 41, class: size, ttl, rdata: options };
}

function option(code: number, value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'hex') : value;
  return Buffer.concat([u16(code), u16(bytes.length), bytes]);
}

function decode(additionals: EncodedRecord[], answers: EncodedRecord[] = []): DnsMessage {
  return decodeMessage(
    encodeMessage({ id: 1, flags: 0x8180, questions: [], answers, authorities: [], additionals }),
  );
}

test('version, size, DO bit, extended rcode; the record itself is not among the additional ones', () => {
  const message = decode([opt([], { ttl: 0x01_05_8000, size: 4096 })]);
  assert.deepEqual(message.edns, {
    version: 5,
    udpSize: 4096,
    do: true,
    extendedRcode: 1,
    options: [],
    clientSubnet: undefined,
    clientSubnetScope: undefined,
    extendedErrors: [],
  });
  assert.equal(message.rcode, 16);
  assert.deepEqual(message.additionals, []);
});

test('client subnet: address and source prefix, the scope beside it; only the octets of the prefix are sent', () => {
  for (const [hex, subnet, scope] of [
    ['0001180001020300'.slice(0, 14), '1.2.3.0/24', 0],
    ['00012018c0000201', '192.0.2.1/32', 24],
    ['00010000', '0.0.0.0/0', 0],
    ['00010020', '0.0.0.0/0', 32],
    ['00000000', '0/0', 0],
    ['0002380020010db8000100', '2001:db8:1::/56', 0],
    ['00028080' + 'ff'.repeat(16), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128', 128],
  ] as const) {
    const { edns } = decode([opt([option(8, hex)])]);
    assert.deepEqual([edns?.clientSubnet, edns?.clientSubnetScope], [subnet, scope]);
    assert.equal(edns?.options[0]?.data, `${subnet}/${scope}`);
  }
});

test('client subnet: of several the first that is well-formed counts, with its own scope', () => {
  const options = [option(8, '0001ff'), option(8, '00012018c0000201'), option(8, '00012020c6336401')];
  const { edns, malformed } = decode([opt(options)]);
  assert.deepEqual([edns?.clientSubnet, edns?.clientSubnetScope], ['192.0.2.1/32', 24]);
  assert.equal(malformed?.reason, 'opt_option');
});

test('client subnet that breaks RFC 7871 is kept in hex and marked', () => {
  for (const hex of [
    '0001',
    '00012100010203',
    '0003180001020300'.slice(0, 14),
    '000118000102',
    '00011700010203',
    '000118000102030405',
    '00012021c0000201',
    '0002818120010db800000000000000000000000100',
    '000000ff01',
    '00ff0000',
  ]) {
    const message = decode([opt([option(8, hex)])]);
    assert.equal(message.malformed?.reason, 'opt_option', hex);
    assert.equal(message.edns?.clientSubnet, undefined, hex);
    assert.equal(message.edns?.clientSubnetScope, undefined, hex);
    assert.equal(message.edns?.options[0]?.data, hex);
  }
});

test('extended errors, several, with and without text', () => {
  const blocked = Buffer.concat([u16(15), Buffer.from('nein ü\0')]);
  const { edns, malformed } = decode([opt([option(15, blocked), option(15, '0016')])]);
  assert.deepEqual(edns?.extendedErrors, [
    { code: 15, text: 'nein ü' },
    { code: 22, text: '' },
  ]);
  assert.equal(edns?.options[0]?.data, '15 (Blocked) "nein \\195\\188\\000"');
  assert.equal(malformed, undefined);
  assert.equal(decode([opt([option(15, '00')])]).malformed?.reason, 'opt_option');
});

test('other options in words', () => {
  const agent = Buffer.concat([string('agent'), string('test'), Buffer.of(0)]);
  const options = [
    option(10, '0102030405060708'),
    option(11, '04d2'),
    option(12, '0000'),
    option(3, '6162'),
    option(18, agent),
  ];
  const { edns, malformed } = decode([opt(options)]);
  assert.equal(malformed, undefined);
  assert.ok(edns !== undefined);
  assert.equal(
    ednsLine(edns),
    'version: 0; flags:; udp: 1232; COOKIE: 0102030405060708; edns-tcp-keepalive: 123.4s; Padding: 2 bytes; NSID: 6162; Report-Channel: agent.test',
  );
});

test('an option longer than the record: those before it are kept', () => {
  const bad = Buffer.concat([option(3, '61'), u16(12), u16(9), Buffer.of(0)]);
  const { edns, malformed } = decode([opt([bad])]);
  assert.deepEqual(edns?.options, [{ code: 3, data: '61' }]);
  assert.equal(malformed?.reason, 'opt_option');
});

test('a second OPT record, one among the answers, one with a name', () => {
  assert.equal(decode([opt([]), opt([])]).malformed?.reason, 'opt_duplicate');
  const misplaced = decode([], [opt([])]);
  assert.equal(misplaced.malformed?.reason, 'opt_misplaced');
  assert.equal(misplaced.edns, undefined);
  assert.equal(misplaced.answers.length, 1);
  assert.equal(decode([opt([], { name: 'a.test' })]).malformed?.reason, 'opt_misplaced');
});
