/** Fields of a filter that are of a lookup. */
import { RECORD, RECORD_WORDS } from '../dns/frame.ts';
import type { Message } from '../dns/message.ts';
import { labelsOf } from '../lib/domain-labels.ts';
import { FIELD, FIELD_BITS } from '../lookup/fields.ts';
import type { LookupView } from '../lookup/view.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import type { Comparison, FilterValue } from './ast.ts';
import {
  type AddressBlock,
  addressBlocks,
  anyOf,
  isInBlock,
  type Matchers,
  numberTest,
  type Predicate,
  textTest,
} from './predicate.ts';

/** Where an address of an answer is put to be compared. Not state: it is written before it is read. */
const words = new Int32Array(4);
const bytes = new Uint8Array(words.buffer);
/** ::ffff:0:0 (RFC 4291 section 2.5.5.2). */
const MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** The field is none of the process. */
export function lookupComparison(comparison: Comparison, matchers: Matchers): Predicate<LookupView> {
  const { field, values } = comparison;
  switch (field) {
    case 'name':
      return nameComparison(comparison, matchers);
    case 'domain': {
      const tests = values.flatMap((value) =>
        value.kind === 'domain' ? [isBelow(labelsOf(value.domain), 0)] : [],
      );
      return anyQuestion(anyQuestionOf(tests));
    }
    case 'type': {
      const test = numberTest(comparison);
      return anyQuestion((asked, question) => test(asked.typeAsked(question)));
    }
    case 'rcode': {
      const test = numberTest(comparison);
      // Negative: the header could not be read.
      return ({ hasResponse, answer }) =>
        hasResponse && answer.message.rcode >= 0 && test(answer.message.rcode);
    }
    case 'outcome': {
      const outcomes = values.flatMap((value) => (value.kind === 'text' ? [value.text] : []));
      return ({ outcome }) => outcomes.includes(outcome);
    }
    case 'failed': {
      const wanted = values.some((value) => value.kind === 'boolean' && value.boolean);
      return (lookup) => lookup.failed === wanted;
    }
    case 'latency': {
      const test = numberTest(comparison);
      return ({ durationNs }) => durationNs >= 0 && test(durationNs);
    }
    case 'retries': {
      const test = numberTest(comparison);
      return ({ retries }) => test(retries);
    }
    case 'port': {
      const test = numberTest(comparison);
      return ({ request: { raw } }) => test(raw.has(FIELD_BITS.DIALED) ? raw.dialedPort : raw.remotePort);
    }
    case 'server': {
      const blocks = addressBlocks(values);
      return ({ request: { raw } }) =>
        isInAny(blocks, raw.words, raw.at + (raw.has(FIELD_BITS.DIALED) ? FIELD.DIALED : FIELD.REMOTE));
    }
    case 'transport': {
      const tcp = values.some((value) => value.kind === 'text' && value.text === 'tcp');
      const udp = values.some((value) => value.kind === 'text' && value.text === 'udp');
      return ({ request: { raw } }) => (raw.has(FIELD_BITS.TCP) ? tcp : udp);
    }
    case 'answer':
      return answerComparison(comparison, matchers);
    default:
      throw new Error(`no lookup has ${field}`);
  }
}

type QuestionTest = (asked: Message, question: number) => boolean;

/** Several questions: no name hides behind another. */
function anyQuestion(test: QuestionTest): Predicate<LookupView> {
  return ({ asked }) => {
    for (let question = 0; question < asked.questionsRead; question++) if (test(asked, question)) return true;
    return false;
  };
}

function anyQuestionOf(tests: readonly QuestionTest[]): QuestionTest {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (asked, question) => tests.some((test) => test(asked, question));
}

/** @param least labels below the domain at least @param most at most */
function isBelow(
  domain: readonly Uint8Array[],
  least: number,
  most = Number.POSITIVE_INFINITY,
): QuestionTest {
  return (asked, question) => {
    const labels = asked.labelsAskedBelow(question, domain);
    return labels >= least && labels <= most;
  };
}

function nameComparison(comparison: Comparison, matchers: Matchers): Predicate<LookupView> {
  if (comparison.operator === '~') {
    const regex = textTest(comparison, matchers);
    return anyQuestion((asked, question) => regex(asked.nameAsked(question).toLowerCase()));
  }
  return anyQuestion(anyQuestionOf(comparison.values.map((value) => nameTest(value))));
}

/** `*.example` too is compared by labels. */
function nameTest(value: FilterValue): QuestionTest {
  if (value.kind !== 'text') return () => false;
  const { text, isPattern } = value;
  if (!isPattern) return isBelow(labelsOf(text), 0, 0);
  if (/^\*\.[^*?]+$/.test(text)) return isBelow(labelsOf(text.slice(2)), 1);
  const matches = textTest({ kind: 'compare', field: 'name', operator: '=', values: [value] }, new Map());
  return (asked, question) => matches(asked.nameAsked(question).toLowerCase());
}

function answerComparison(comparison: Comparison, matchers: Matchers): Predicate<LookupView> {
  const blocks = addressBlocks(comparison.values);
  const texts = comparison.values.some(({ kind }) => kind !== 'address')
    ? textTest(comparison, matchers)
    : undefined;
  const isAddress: Predicate<LookupView> = ({ hasResponse, answer }) =>
    hasResponse && hasAddress(answer.message, blocks);
  const isText: Predicate<LookupView> = ({ hasResponse, answer }) =>
    hasResponse &&
    texts !== undefined &&
    answer.message.answers.some(({ data }) => texts(data) || texts(data.toLowerCase()));
  if (texts === undefined) return isAddress;
  return blocks.length === 0 ? isText : anyOf([isAddress, isText]);
}

function hasAddress(message: Message, blocks: readonly AddressBlock[]): boolean {
  const { records, base, answerCount } = message;
  for (let record = 0; record < answerCount; record++) {
    const word = record * RECORD_WORDS;
    const type = records[word + RECORD.TYPE] as number;
    const start = records[word + RECORD.START] as number;
    const length = (records[word + RECORD.END] as number) - start;
    if (type === RR_TYPES.A && length === 4) bytes.set(MAPPED);
    else if (type !== RR_TYPES.AAAA || length !== 16) continue;
    bytes.set(message.bytes.subarray(base + start, base + start + length), 16 - length);
    if (isInAny(blocks, words, 0)) return true;
  }
  return false;
}

function isInAny(blocks: readonly AddressBlock[], from: Int32Array, at: number): boolean {
  for (const block of blocks) if (isInBlock(block, from, at)) return true;
  return false;
}
