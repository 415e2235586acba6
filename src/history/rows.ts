/** Rows of one segment as they are given out, in pieces that leave others their turn. */
import type { UnknownReason } from '../model.ts';
import { opcodeName } from '../tables/classes.ts';
import { rcodeName } from '../tables/rcodes.ts';
import { typeName } from '../tables/rrtypes.ts';
import { REASONS } from './batch.ts';
import type { Database, Row, Value } from './database.ts';
import type { Plan } from './plan.ts';
import { parsed, readProcess } from './process-rows.ts';
import {
  CHUNK_BITS,
  labelsOf,
  MORE_CONFLICTING,
  NOT_FAILED,
  outcomeOf,
  reversed,
  SEGMENT_IDS,
  UNREADABLE,
} from './schema.ts';
import type { StoredAnswer, StoredConnection, StoredFinding, StoredLookup, StoredProcess } from './types.ts';

/** Chunks that are read in one go: the first few, for the newest rows are often enough, then more. */
const FIRST_CHUNKS = 4;
const MAX_CHUNKS = 64;
const OPCODE_SHIFT = 16;

/** What is the same of many lookups. */
export interface QuestionRow {
  readonly name: string;
  readonly domain: string;
  readonly type: string;
  readonly result: number;
  readonly failed: boolean;
  readonly server: StoredLookup['server'];
  readonly answers: readonly StoredAnswer[];
  readonly answerCount: number;
}

export interface Span {
  readonly low: number;
  readonly high: number;
}

/** A segment that is read. Ids in it count from 1; given out they are its number's. */
export class Segment {
  readonly number: number;
  readonly database: Database;
  readonly #questions = new Map<number, QuestionRow>();
  readonly #processes = new Map<number, StoredProcess>();

  constructor(number: number, database: Database) {
    this.number = number;
    this.database = database;
  }

  get base(): number {
    return this.number * SEGMENT_IDS;
  }

  /** The greatest id, of all kinds. */
  get lastId(): number {
    const greatest = (table: string): number => this.database.number(`SELECT max(id) FROM ${table}`);
    return Math.max(greatest('lookups'), greatest('connections'), greatest('findings'));
  }

  /** Ids of the chunks with times in the window; undefined: none. */
  span(since: number | undefined, until: number | undefined): Span | undefined {
    const row = this.database.first(
      'SELECT min(chunk) AS low, max(chunk) AS high FROM chunks WHERE last >= ? AND first < ?',
      since ?? Number.MIN_SAFE_INTEGER,
      until ?? Number.MAX_SAFE_INTEGER,
    );
    if (typeof row?.['low'] !== 'number' || typeof row['high'] !== 'number') return undefined;
    return { low: row['low'] << CHUNK_BITS, high: ((row['high'] + 1) << CHUNK_BITS) - 1 };
  }

  /** The parts of a span to look at one after the other. */
  *parts({ low, high }: Span, plan: Plan, isNewestFirst: boolean): Generator<Span> {
    const { chunks } = plan;
    if (chunks !== undefined) {
      const wanted = chunks.filter((chunk) => chunk >= low >>> CHUNK_BITS && chunk <= high >>> CHUNK_BITS);
      for (const [first, last] of runsOf(wanted, isNewestFirst))
        yield {
          low: Math.max(first << CHUNK_BITS, low),
          high: Math.min(((last + 1) << CHUNK_BITS) - 1, high),
        };
      return;
    }
    let size = FIRST_CHUNKS << CHUNK_BITS;
    for (let from = low, to = high; from <= to; size = Math.min(size * 4, MAX_CHUNKS << CHUNK_BITS)) {
      if (isNewestFirst) {
        yield { low: Math.max(from, to - size + 1), high: to };
        to -= size;
      } else {
        yield { low: from, high: Math.min(to, from + size - 1) };
        from += size;
      }
    }
  }

  question(id: number): QuestionRow {
    const known = this.#questions.get(id);
    if (known !== undefined) return known;
    const row = this.database.first(
      `SELECT q.type, q.result, n.reversed, n.labels, s.address, s.port, s.tcp, a.records, a.count
        FROM questions q LEFT JOIN names n ON n.id = q.name LEFT JOIN servers s ON s.id = q.server
        LEFT JOIN answers a ON a.id = q.answers WHERE q.id = ?`,
      id,
    );
    return this.#keep(this.#questions, id, questionOf(row ?? {}));
  }

  process(id: number): StoredProcess {
    return this.#processes.get(id) ?? this.#keep(this.#processes, id, readProcess(this.database, id));
  }

  lookup(row: Row): StoredLookup {
    const question = this.question(row['question'] as number);
    const { result } = question;
    const more = numberOf(row['more']);
    return {
      kind: 'lookup',
      id: this.base + numberOf(row['id']),
      time: numberOf(row['time']),
      process: this.process(row['process'] as number),
      name: question.name,
      domain: question.domain,
      type: question.type,
      outcome: outcomeOf(result),
      reason: reasonOf(more),
      rcode: rcodeText(result),
      failed: question.failed,
      conflicting: (more & MORE_CONFLICTING) !== 0,
      server: question.server,
      duration: optional(row['duration']),
      retries: more & 0xff,
      answers: question.answers,
      answerCount: question.answerCount,
      ttl: optional(row['ttl']),
    };
  }

  /** Of a row of `connections c` with the column `address` as text. */
  connection(row: Row): StoredConnection {
    const text = (name: string): string => (typeof row[name] === 'string' ? row[name] : '');
    const names = text('names');
    const scope = text('scope');
    return {
      kind: 'connection',
      id: this.base + numberOf(row['id']),
      time: numberOf(row['time']),
      process: this.process(row['process'] as number),
      remote: { address: text('address'), port: numberOf(row['port']) },
      local: { address: text('local'), port: numberOf(row['local_port']) },
      names: names === '' ? [] : names.split('\n'),
      scope: scope === '' ? undefined : (scope as StoredConnection['scope']),
      answered: optional(row['answered']),
      expires: optional(row['expires']),
    };
  }

  finding(row: Row): StoredFinding {
    return {
      kind: 'finding',
      id: this.base + numberOf(row['id']),
      time: numberOf(row['time']),
      process: this.process(row['process'] as number),
      event: String(row['event']),
      severity: numberOf(row['severity']),
      body: String(row['body']),
      attributes: parsed(String(row['attributes'])),
    };
  }

  /** A memory, bounded. */
  #keep<T>(map: Map<number, T>, id: number, value: T): T {
    if (map.size >= 20_000) map.clear();
    map.set(id, value);
    return value;
  }
}

/** First and last of chunks that follow each other: few in the first of them, more in those that come later. */
function* runsOf(chunks: readonly number[], isNewestFirst: boolean): Generator<readonly [number, number]> {
  const ordered = isNewestFirst ? [...chunks].reverse() : chunks;
  let most = FIRST_CHUNKS;
  for (let i = 0; i < ordered.length; ) {
    const begin = ordered[i] as number;
    let end = begin;
    let next = i + 1;
    while (next - i < most && Math.abs((ordered[next] ?? Number.NaN) - end) === 1)
      end = ordered[next++] as number;
    yield isNewestFirst ? [end, begin] : [begin, end];
    most = Math.min(most * 2, MAX_CHUNKS);
    i = next;
  }
}

export const CONNECTION_ROWS =
  'SELECT c.*, a.address FROM connections c LEFT JOIN addresses a ON a.id = c.address';

function questionOf(row: Row): QuestionRow {
  const key = typeof row['reversed'] === 'string' ? row['reversed'] : '';
  const name = reversed(key);
  const labels = numberOf(row['labels']);
  const type = numberOf(row['type']);
  const opcode = type < 0 ? 0 : type >> OPCODE_SHIFT;
  const result = numberOf(row['result']);
  const records = typeof row['records'] === 'string' ? row['records'] : '';
  return {
    name,
    domain: labels === 0 ? name : labelsOf(name).slice(-labels).join('.'),
    type: type < 0 ? '' : opcode > 0 ? opcodeName(opcode) : typeName(type & 0xffff),
    result,
    failed: !NOT_FAILED.includes(result),
    server: {
      address: typeof row['address'] === 'string' ? row['address'] : '',
      port: numberOf(row['port']),
      transport: row['tcp'] === 1 ? 'tcp' : 'udp',
    },
    answers: records === '' ? [] : records.split('\n').map(answerOf),
    answerCount: numberOf(row['count']),
  };
}

function answerOf(line: string): StoredAnswer {
  const space = line.indexOf(' ');
  return { type: line.slice(0, space), data: line.slice(space + 1) };
}

/** Response code, '' where there is none. */
export function rcodeText(result: number): string {
  return result >= 0 && result < UNREADABLE ? rcodeName(result) : '';
}

/** What a lookup came to, in one word: the response code, else the outcome. */
export function resultText(result: number): string {
  return result === UNREADABLE ? 'unreadable' : rcodeText(result) || outcomeOf(result);
}

function reasonOf(more: number): UnknownReason | undefined {
  return REASONS[((more >> 8) & 15) - 1];
}

export function numberOf(value: Value | undefined): number {
  return typeof value === 'number' ? value : 0;
}

function optional(value: Value | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
