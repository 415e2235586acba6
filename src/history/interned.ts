/** What repeats in a segment, each text or set under one number. The maps are a memory of what is there, bounded, and may forget. */

import { registeredDomain } from '../detect/domain.ts';
import { RECORD, RECORD_WORDS } from '../dns/frame.ts';
import type { Message } from '../dns/message.ts';
import { addressText } from '../lib/address-words.ts';
import { isAddressType, typeName } from '../tables/rrtypes.ts';
import type { BatchReader } from './batch.ts';
import type { Database } from './database.ts';
import { insert, keep } from './known.ts';
import { chunkBits, labelsOf, outcomeCode, reversed, UNREADABLE } from './schema.ts';
import type { SentLookup } from './sent-event.ts';

/** Records kept of one set of answers. */
export const MAX_ANSWERS = 32;
/** Characters kept of one record: a TXT record can have 64 KB. */
const MAX_DATA = 1024;
/** Opcodes other than QUERY stand above the type. */
const OPCODE_SHIFT = 16;

export class Interned {
  readonly #database: Database;
  readonly #names = new Map<string, number>();
  readonly #servers = new Map<string, number>();
  readonly #addresses = new Map<string, number>();
  readonly #questions = new Map<string, Question>();

  readonly #seedA: number;
  readonly #seedB: number;

  /** @param seedA @param seedB of the hashes of answers: no one can make two that are taken for the same */
  constructor(database: Database, seedA: number, seedB: number) {
    this.#database = database;
    this.#seedA = seedA;
    this.#seedB = seedB;
  }

  /** Of the lookup that the reader is at. */
  question(lookup: BatchReader): Question {
    const { asked, answer, hasResponse, words, serverPort, isTcp } = lookup;
    const name = asked.questionsRead === 0 ? '' : asked.nameAt(12).toLowerCase();
    const opcode = Math.max(asked.opcode, 0);
    const type = asked.questionsRead === 0 ? -1 : asked.questionType;
    const result = !hasResponse ? outcomeCode(lookup.outcome) : answer.rcode < 0 ? UNREADABLE : answer.rcode;
    const server = this.#server(addressText(words, lookup.server), serverPort, isTcp);
    // What it answers in any order and without its TTLs, twice 32 bits.
    const answers = hasResponse ? `${answer.digest(this.#seedA)} ${answer.digest(this.#seedB)}` : '';
    const key = `${name} ${type} ${opcode} ${result} ${server} ${answers} ${lookup.records}`;
    const known = this.#questions.get(key);
    if (known !== undefined) return known;
    const made = this.#newQuestion(
      { name, type: questionCode(type, opcode), result, server },
      hasResponse ? answerLines(answer.answers) : [],
      hasResponse ? Math.max(lookup.records, answer.answerCount) : 0,
    );
    return keep(this.#questions, key, made);
  }

  /** Of a lookup that was read from a record. */
  toldQuestion({ name, type, result, server: from, answers, answerCount }: SentLookup): Question {
    const server = this.#server(from.address, from.port, from.isTcp);
    const lines = answerLines(answers);
    const texts = lines.map((line) => `${line.type} ${line.data}`).join('\n');
    const key = `= ${name} ${type} ${result} ${server} ${answerCount} ${texts}`;
    const known = this.#questions.get(key);
    if (known !== undefined) return known;
    return keep(this.#questions, key, this.#newQuestion({ name, type, result, server }, lines, answerCount));
  }

  name(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const database = this.#database;
    const key = reversed(name);
    const found = database.number('SELECT id FROM names WHERE reversed = ?', key);
    if (found !== 0) return keep(this.#names, name, found);
    const domain = registeredDomain(name);
    const labels = domain === '' ? 0 : labelsOf(domain).length;
    return keep(
      this.#names,
      name,
      insert(database, 'INSERT INTO names(reversed, labels) VALUES (?, ?)', key, labels),
    );
  }

  address(address: string): number {
    const known = this.#addresses.get(address);
    if (known !== undefined) return known;
    const database = this.#database;
    const found = database.number('SELECT id FROM addresses WHERE address = ?', address);
    const id = found !== 0 ? found : insert(database, 'INSERT INTO addresses(address) VALUES (?)', address);
    return keep(this.#addresses, address, id);
  }

  #server(address: string, port: number, isTcp: boolean): number {
    const key = `${address} ${port} ${isTcp ? 1 : 0}`;
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const values = [address, port, isTcp ? 1 : 0] as const;
    const database = this.#database;
    const found = database.number(
      'SELECT id FROM servers WHERE address = ? AND port = ? AND tcp = ?',
      ...values,
    );
    const id =
      found !== 0
        ? found
        : insert(database, 'INSERT INTO servers(address, port, tcp) VALUES (?, ?, ?)', ...values);
    return keep(this.#servers, key, id);
  }

  #newQuestion(
    { name, type, result, server }: NewQuestion,
    records: readonly AnswerLine[],
    count: number,
  ): Question {
    const database = this.#database;
    const answers =
      count === 0
        ? null
        : insert(
            database,
            'INSERT INTO answers(records, count) VALUES (?, ?)',
            records.map(({ type: each, data }) => `${typeName(each)} ${data}`).join('\n'),
            count,
          );
    const nameId = this.name(name);
    const id = insert(
      database,
      'INSERT INTO questions(name, type, result, server, answers) VALUES (?, ?, ?, ?, ?)',
      nameId,
      type,
      result,
      server,
      answers,
    );
    for (const { type: each, data } of records)
      if (isAddressType(each))
        database
          .statement('INSERT OR IGNORE INTO resolved(address, question) VALUES (?, ?)')
          .run(this.address(data), id);
    return {
      id,
      name: nameId,
      resultBits: chunkBits(result),
      typeBits: chunkBits(type),
      serverBits: chunkBits(server),
    };
  }
}

interface NewQuestion {
  readonly name: string;
  readonly type: number;
  readonly result: number;
  /** Id. */
  readonly server: number;
}

interface AnswerLine {
  readonly type: number;
  readonly data: string;
}

/** As `questions.type`. @param type -1: there is none */
export function questionCode(type: number, opcode: number): number {
  return type | (opcode << OPCODE_SHIFT);
}

export interface Question {
  readonly id: number;
  /** Id of its name. */
  readonly name: number;
  /** Of its chunk. */
  readonly resultBits: number;
  readonly typeBits: number;
  readonly serverBits: number;
}

/** The lowest TTL of the answer section; null: there is none. */
export function minTtl({ answerCount, records }: Message): number | null {
  let min = Number.POSITIVE_INFINITY;
  for (let i = 0; i < answerCount; i++)
    min = Math.min(min, (records[i * RECORD_WORDS + RECORD.TTL] as number) >>> 0);
  return answerCount === 0 ? null : min;
}

/** Sorted: the order of a set of records means nothing (RFC 2181 section 5), servers change it from answer to answer. */
function answerLines(answers: readonly AnswerLine[]): readonly AnswerLine[] {
  const chain = answers.filter(({ type }) => !isAddressType(type));
  const addresses = answers.filter(({ type }) => isAddressType(type));
  addresses.sort((a, b) => (a.data < b.data ? -1 : 1));
  return [...chain, ...addresses]
    .slice(0, MAX_ANSWERS)
    .map(({ type, data }) => ({ type, data: data.slice(0, MAX_DATA) }));
}
