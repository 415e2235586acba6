/** Messages with records of every type that is rendered, and every EDNS option that is shown in words: where mutations begin. */
import { type EncodedRecord, encodeMessage, labels, string, u16, u32 } from '../unit/dns-encode.ts';

const HEAD = { id: 7, flags: 0x8580, authorities: [], additionals: [] };
const of = (...octets: number[]) => Uint8Array.from(octets);
const name = (text: string) => ({ name: labels(text) });
const value = (key: number, ...parts: Uint8Array[]) => {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([u16(key), u16(bytes.length), bytes]);
};
const soaNumbers = [u32(2_026_113_001), u32(7200), u32(900), u32(1_209_600), u32(300)];
const types = [of(0, 6, 0x40, 1, 0, 0x08, 0, 3), of(1, 1, 0x40), of(0x80, 1, 0xff)];
const signature = [
  u16(1),
  of(13, 2),
  u32(300),
  u32(0xffff_ffff),
  u32(1_764_460_800),
  u16(4711),
  name('host.test'),
];
const parameters = [
  value(0, u16(1), u16(4)),
  value(1, string('h2'), string('h3,"\\\x07')),
  value(2),
  value(3, u16(8443)),
  value(4, of(192, 0, 2, 1, 192, 0, 2, 2)),
  value(5, Buffer.alloc(17, 0xec)),
  value(6, of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
  value(7, Buffer.from('/q{?dns}')),
  value(8),
  value(667, Buffer.from('"\\\xff', 'latin1')),
];

const RDATA: readonly (readonly [type: number, ...EncodedRecord['rdata']])[] = [
  [1, of(192, 0, 2, 255)],
  [2, name('ns.host.test')],
  [5, name('www.host.test')],
  [6, name('ns.host.test'), name('a\\b.c d.test'), ...soaNumbers],
  [12, name('1.2.0.192.in-addr.arpa')],
  [13, string('INTEL'), string('Linux "6"')],
  [14, name('a.host.test'), name('b.host.test')],
  [15, u16(10), name('mail.host.test')],
  [16, string('v=spf1 -all'), string(''), string(of(0, 34, 92, 255))],
  [17, name('admin.host.test'), name('.')],
  [18, u16(1), name('afs.host.test')],
  [28, of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1)],
  [28, of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1)],
  [33, u16(1), u16(2), u16(5060), name('sip.host.test')],
  [35, u16(100), u16(50), string('u'), string('E2U+sip'), string('!^.*$!sip:a@b!'), name('.')],
  [36, u16(1), name('kx.host.test')],
  [39, name('other.test')],
  [43, u16(4711), of(13, 2), Buffer.alloc(32, 0xd5)],
  [44, of(4, 2), Buffer.alloc(32, 0xf1)],
  [46, ...signature, Buffer.alloc(64, 0x51)],
  [47, name('next.host.test'), ...types],
  [48, u16(257), of(3, 13), Buffer.alloc(65, 0xe7)],
  [50, of(1, 0), u16(10), string(of(0xaa, 0xbb)), string(Buffer.alloc(20, 0x5a)), ...types],
  [51, of(1, 0), u16(0), of(0)],
  [52, of(3, 1, 1), Buffer.alloc(32, 0xce)],
  [65, u16(1), name('svc.host.test'), ...parameters],
  [64, u16(0), name('alias.test')],
  [256, u16(10), u16(1), Buffer.from('https://host.test/"a"')],
  [257, of(128), string('issue'), Buffer.from('ca.test; policy=ev')],
  [65_400, Buffer.alloc(9, 0x77)],
];

const options = [
  value(8, u16(1), of(24, 0), of(198, 51, 100)),
  value(8, u16(2), of(56, 48), of(0x20, 1, 0xd, 0xb8, 0, 0, 1)),
  value(8, u16(0), of(0, 0)),
  value(10, Buffer.alloc(8, 0xc0)),
  value(10, Buffer.alloc(24, 0xc1)),
  value(11, u16(305)),
  value(12, Buffer.alloc(40)),
  value(15, u16(22), Buffer.from('no "one"\u00e4 at 192.0.2.1\0')),
  value(15, u16(6)),
  value(18, of(2, 101, 114, 4, 116, 101, 115, 116, 0)),
  value(65_001, of(1, 2, 3)),
];

const question = (text: string, type: number) => [{ name: labels(text), type, class: 1 }];

function record(owner: string, type: number, rdata: EncodedRecord['rdata'], recordClass = 1): EncodedRecord {
  return { name: labels(owner), type, class: recordClass, ttl: 300, rdata };
}

const opt = record('.', 41, options, 1232);

export const TYPE_MESSAGES: readonly Buffer[] = [
  ...RDATA.flatMap(([type, ...rdata]) => {
    const answers = [record('host.test', type, rdata), record('host.test', type, rdata, 0x8001)];
    const questions = question('host.test', type);
    const additionals = [record('ns.host.test', 1, [u32(1)]), opt];
    return [
      encodeMessage({ ...HEAD, questions, answers }),
      encodeMessage({ ...HEAD, questions, answers, additionals }, false),
    ];
  }),
  encodeMessage({
    ...HEAD,
    questions: question('HoSt.test', 255),
    answers: RDATA.map(([type, ...rdata]) => record('host.test', type, rdata)),
    additionals: [opt],
  }),
  encodeMessage({ ...HEAD, flags: 0x0100, questions: question('', 2), answers: [], additionals: [opt] }),
  encodeMessage({
    ...HEAD,
    flags: 0x2800,
    questions: question('zone.test', 6),
    answers: [record('a.zone.test', 1, [], 255)],
  }),
  encodeMessage({
    ...HEAD,
    questions: [],
    answers: [record('.', 41, [], 255), record('host.test', 41, options)],
    additionals: [opt, opt],
  }),
];
