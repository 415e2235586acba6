/** What does a DNS message cost: to frame and check, to write as text, to hash and compare? One core, no kernel. */
import { sameQuestions } from '../src/dns/compare.ts';
import { RECORD, RECORD_WORDS } from '../src/dns/frame.ts';
import { Message } from '../src/dns/message.ts';
import { ByteWriter } from '../src/lib/byte-writer.ts';
import { type EncodedRecord, encodeMessage, labels, string, u16, u32 } from '../test/unit/dns-encode.ts';
import type { Question } from './question.ts';
import { type Spread, show, spread } from './statistics.ts';

const CALLS = 200_000;
const ROUNDS = 7;
/** Bytes that a message may allocate: none, but for what the measurement itself does. */
const MAX_BYTES = 1;

interface MessageCost {
  readonly name: string;
  /** ns a message. */
  readonly parse: Spread;
  readonly write: Spread;
  readonly compare: Spread;
  /** Bytes allocated by the three together. */
  readonly bytes: number;
}

const of = (...octets: number[]) => Uint8Array.from(octets);
const name = (text: string) => ({ name: labels(text) });
const OPT: EncodedRecord = { name: [], type: 41, class: 1232, ttl: 0, rdata: [] };

function record(owner: string, type: number, ...rdata: EncodedRecord['rdata']): EncodedRecord {
  return { name: labels(owner), type, class: 1, ttl: 300, rdata };
}

function answer(
  owner: string,
  type: number,
  answers: readonly EncodedRecord[],
  authorities: readonly EncodedRecord[] = [],
): Buffer {
  const questions = [{ name: labels(owner), type, class: 1 }];
  return encodeMessage({ id: 7, flags: 0x8180, questions, answers, authorities, additionals: [OPT] });
}

const HOST = 'www.shop.example.com';
const SERVICE = [
  u16(1),
  of(0),
  Buffer.concat([u16(1), u16(6), string('h3'), string('h2')]),
  Buffer.concat([u16(4), u16(8), of(192, 0, 2, 1, 192, 0, 2, 2)]),
  Buffer.concat([u16(6), u16(16), of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)]),
];

export const USUAL_MESSAGES: Readonly<Record<string, Buffer>> = {
  'a question': encodeMessage({
    id: 7,
    flags: 0x0100,
    questions: [{ name: labels(HOST), type: 1, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [OPT],
  }),
  'one A': answer(HOST, 1, [record(HOST, 1, of(192, 0, 2, 80))]),
  'three CNAME and two A': answer(HOST, 1, [
    record(HOST, 5, name('www.edge.example.net')),
    record('www.edge.example.net', 5, name('eu.edge.example.net')),
    record('eu.edge.example.net', 5, name('a17.cdn.test')),
    record('a17.cdn.test', 1, of(192, 0, 2, 80)),
    record('a17.cdn.test', 1, of(192, 0, 2, 81)),
  ]),
  TXT: answer('example.com', 16, [
    record('example.com', 16, string('v=spf1 include:_spf.example.net include:mail.example.org -all')),
  ]),
  'NXDOMAIN with SOA': answer(
    'tpyo.example.com',
    1,
    [],
    [
      record(
        'example.com',
        6,
        name('ns1.example.com'),
        name('hostmaster.example.com'),
        ...[2_026_113_001, 7200, 900, 1_209_600, 300].map(u32),
      ),
    ],
  ),
  HTTPS: answer(HOST, 65, [record(HOST, 65, ...SERVICE)]),
};

/** CPU time of the thread, ns a call: what else the machine does is not in it, but for its caches. */
function perCall(call: () => void): Spread {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.threadCpuUsage();
    for (let i = 0; i < CALLS; i++) call();
    const { user, system } = process.threadCpuUsage(began); // microseconds
    times.push(((user + system) * 1000) / CALLS);
  }
  return spread(times);
}

function allocated(call: () => void): number {
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < CALLS; i++) call();
  return Math.max((process.memoryUsage().heapUsed - before) / CALLS, 0);
}

function measure(what: string, bytes: Buffer): MessageCost {
  // Where messages lie: at some place in a large buffer.
  const memory = new Uint8Array(65_536);
  memory.set(bytes, 1000);
  const message = new Message();
  const other = new Message().parse(bytes, 0, bytes.length, bytes.length);
  const out = new ByteWriter(65_536);
  const parse = () => void message.parse(memory, 1000, bytes.length, bytes.length);
  const write = () => {
    out.position = 0;
    message.writeName(out, message.questionWords[0] as number);
    const count = message.answerCount + message.authorityCount + message.additionalCount;
    for (let i = 0; i < count; i++) {
      message.writeName(out, message.records[i * RECORD_WORDS + RECORD.OWNER] as number);
      message.writeRdata(out, i);
    }
  };
  let sum = 0;
  const compare = () => {
    sum += message.hashName(sum) + message.digest(sum) + sameQuestions(message, other, 0xffff);
    sum |= 0;
  };
  for (const warm of [parse, write, compare]) for (let i = 0; i < CALLS / 10; i++) warm();
  return {
    name: what,
    parse: perCall(parse),
    write: perCall(write),
    compare: perCall(compare),
    bytes: allocated(() => {
      parse();
      write();
      compare();
    }),
  };
}

export const parse: Question<readonly MessageCost[]> = {
  name: 'parse',
  title: 'What does a DNS message cost?',
  async measure() {
    return Object.entries(USUAL_MESSAGES).map(([what, bytes]) => measure(what, bytes));
  },
  failures: (result) =>
    result
      .filter(({ bytes }) => bytes > MAX_BYTES)
      .map(
        (cost) => `${cost.name}: ${cost.bytes.toFixed(1)} bytes allocated a message, at most ${MAX_BYTES}`,
      ),
  page: (result) => [
    '| message | frame and check, ns | write all names and data, ns | hash and compare, ns | bytes allocated |',
    '|---|---|---|---|---|',
    ...result.map(
      (cost) =>
        `| ${cost.name} | ${show(cost.parse)} | ${show(cost.write)} | ${show(cost.compare)} | ${cost.bytes.toFixed(1)} |`,
    ),
  ],
};
