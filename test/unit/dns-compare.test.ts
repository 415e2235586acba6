/** Messages compared by their bytes: names compressed or not, in any case, amid bytes of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerNames, sameName, sameQuestions } from '../../src/dns/compare.ts';
import { QUESTION, RECORD, RECORD_WORDS } from '../../src/dns/frame.ts';
import { decodeMessage, type Message } from '../../src/dns/message.ts';
import { type EncodedRecord, encodeMessage, type Labels, labels, string, u16, u32 } from './dns-encode.ts';

const HEAD = { id: 7, flags: 0x8180, authorities: [], additionals: [] };
const SEED = 0x1234_5678;

function asked(name: Labels | string, type = 1, recordClass = 1): Message {
  const questions = [{ name: typeof name === 'string' ? labels(name) : name, type, class: recordClass }];
  return decodeMessage(encodeMessage({ ...HEAD, questions, answers: [] }));
}

function record(owner: string, type: number, ...rdata: EncodedRecord['rdata']): EncodedRecord {
  return { name: labels(owner), type, class: 1, ttl: 60, rdata };
}

function told(answers: readonly EncodedRecord[], flags = 0x8180, compress = true): Message {
  const questions = [{ name: labels('www.a.test'), type: 1, class: 1 }];
  return decodeMessage(encodeMessage({ ...HEAD, flags, questions, answers }, compress));
}

const firstName = (message: Message) => message.questionWords[QUESTION.NAME] as number;
const compare = (a: Message, b: Message) => sameName(a, firstName(a), b, firstName(b));

test('names: the same bytes, another case, others', () => {
  const cases: readonly (readonly [Labels | string, Labels | string, 0 | 1 | 2])[] = [
    ['www.a.test', 'www.a.test', 2],
    ['www.a.test', 'WwW.a.TEST', 1],
    ['www.a.test', 'www.a.tesu', 0],
    ['www.a.test', 'a.test', 0],
    ['a.test', 'www.a.test', 0],
    ['www.a.test', 'ww.wa.test', 0],
    ['', '', 2],
    ['', 'a', 0],
    // A dot inside a label is not one between labels.
    ['a.b', [Buffer.from('a.b')], 0],
    // Octets that differ in the bit of case and are no letters.
    [[Buffer.from('@[`')], [Buffer.from('`{@')], 0],
    [[Buffer.from([0xc1])], [Buffer.from([0xe1])], 0],
    [[Buffer.from('Z')], [Buffer.from('z')], 1],
    [[Buffer.alloc(63, 65)], [Buffer.alloc(63, 97)], 1],
  ];
  for (const [one, other, match] of cases) {
    const [a, b] = [asked(one), asked(other)];
    assert.equal(compare(a, b), match, `${one} and ${other}`);
    assert.equal(compare(b, a), match);
    if (match > 0) assert.equal(a.hashName(SEED), b.hashName(SEED));
    else assert.notEqual(a.hashName(SEED), b.hashName(SEED), `${one} and ${other}`);
  }
});

test('a name is the same however it is compressed', () => {
  const answers = ['www.a.test', 'a.test', 'test', 'x.www.a.test'].map((owner) => record(owner, 1, u32(1)));
  const short = told(answers);
  const long = told(answers, 0x8180, false);
  assert.ok(short.captured < long.captured);
  for (let a = 0; a < answers.length; a++) {
    for (let b = 0; b < answers.length; b++) {
      const offset = (message: Message, i: number) =>
        message.records[i * RECORD_WORDS + RECORD.OWNER] as number;
      assert.equal(sameName(short, offset(short, a), long, offset(long, b)), a === b ? 2 : 0);
    }
  }
});

test('the hash depends on the seed; without a question it is the seed', () => {
  assert.notEqual(asked('a.test').hashName(1), asked('a.test').hashName(2));
  const none = decodeMessage(encodeMessage({ ...HEAD, questions: [], answers: [] }));
  assert.equal(none.hashName(99), 99);
});

test('questions: names, types and classes, in order', () => {
  const of = (...questions: (readonly [string, number, number])[]) =>
    decodeMessage(
      encodeMessage({
        ...HEAD,
        questions: questions.map(([name, type, recordClass]) => ({
          name: labels(name),
          type,
          class: recordClass,
        })),
        answers: [],
      }),
    );
  const one = of(['a.test', 1, 1]);
  assert.equal(sameQuestions(one, of(['a.test', 1, 1]), 0xffff), 2);
  assert.equal(sameQuestions(one, of(['A.test', 1, 1]), 0xffff), 1);
  assert.equal(sameQuestions(one, of(['a.test', 28, 1]), 0xffff), 0);
  assert.equal(sameQuestions(one, of(['a.test', 1, 3]), 0xffff), 0);
  assert.equal(sameQuestions(one, of(['a.test', 1, 0x8001]), 0xffff), 0);
  assert.equal(sameQuestions(one, of(['a.test', 1, 0x8001]), 0x7fff), 2);
  assert.equal(sameQuestions(one, of(['a.test', 1, 1], ['b.test', 1, 1]), 0xffff), 0);
  const two = of(['a.test', 1, 1], ['b.test', 1, 1]);
  assert.equal(sameQuestions(two, of(['a.test', 1, 1], ['B.test', 1, 1]), 0xffff), 1);
  assert.equal(sameQuestions(two, of(['b.test', 1, 1], ['a.test', 1, 1]), 0xffff), 0);
  assert.equal(sameQuestions(of(), of(), 0xffff), 2);
});

function answersQuestion(response: Message, request: Message): boolean {
  const names = new AnswerNames();
  names.read(response, SEED);
  return names.answer(request);
}

test('multicast: an answer to the name and type of a question, or to ANY', () => {
  const answer = told([record('printer.local', 33, u16(0), u16(0), u16(631), { name: labels('p.local') })]);
  assert.ok(answersQuestion(answer, asked('PRINTER.local', 33)));
  assert.ok(answersQuestion(answer, asked('printer.local', 255)));
  assert.ok(!answersQuestion(answer, asked('printer.local', 1)));
  assert.ok(!answersQuestion(answer, asked('other.local', 33)));
  assert.ok(!answersQuestion(told([]), asked('printer.local', 255)));
});

test('digest of an answer: neither order, nor TTLs, nor compression, nor owners; but response code, types and data', () => {
  const chain = [
    record('www.a.test', 5, { name: labels('b.a.test') }),
    record('b.a.test', 1, u32(1)),
    record('b.a.test', 1, u32(2)),
    record('a.test', 15, u16(5), { name: labels('mail.a.test') }),
    record(
      'a.test',
      6,
      { name: labels('ns.a.test') },
      { name: labels('x.a.test') },
      ...[1, 2, 3, 4, 5].map(u32),
    ),
    record('a.test', 16, string('text')),
  ];
  const digest = told(chain).digest(SEED);
  assert.equal(told([...chain].reverse()).digest(SEED), digest);
  assert.equal(told(chain, 0x8180, false).digest(SEED), digest);
  assert.equal(told(chain.map((one) => ({ ...one, ttl: 1 }))).digest(SEED), digest);
  assert.notEqual(told(chain, 0x8183).digest(SEED), digest);
  for (let i = 0; i < chain.length; i++) {
    const without = chain.filter((_, index) => index !== i);
    assert.notEqual(told(without).digest(SEED), digest);
    assert.notEqual(told([...without, record('b.a.test', 1, u32(9))]).digest(SEED), digest);
  }
  // The same octets as data of another type; the same name in another case (0x20 does not reach data).
  assert.notEqual(
    told([record('a.test', 65_400, u32(1))]).digest(SEED),
    told([record('a.test', 1, u32(1))]).digest(SEED),
  );
  const cname = (name: string) => told([record('a.test', 5, { name: labels(name) })]).digest(SEED);
  assert.notEqual(cname('b.test'), cname('B.test'));
});

test('multicast: 64 requests of a thousand names and an answer of a thousand are given up, soon', () => {
  const name = Array.from({ length: 4 }, (_, i) => Buffer.alloc(i === 3 ? 60 : 63, 97));
  const questions = Array.from({ length: 1000 }, () => ({ name, type: 1, class: 1 }));
  const request = decodeMessage(encodeMessage({ ...HEAD, questions, answers: [] }));
  const other = [...name.slice(0, 3), Buffer.alloc(60, 98)];
  const answers = Array.from({ length: 1000 }, () => ({ ...record('', 1, u32(1)), name: other }));
  const response = decodeMessage(encodeMessage({ ...HEAD, questions: [], answers }));
  const names = new AnswerNames();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 30; i++) {
    const began = performance.now();
    names.read(response, SEED);
    for (let candidate = 0; candidate < 64; candidate++) assert.equal(names.answer(request), false);
    best = Math.min(best, performance.now() - began);
  }
  assert.ok(best < 10, `${best} ms`);
});
