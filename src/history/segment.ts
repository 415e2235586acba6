/** One segment that is written to: what a batch brings becomes rows, all in one transaction. */
import { randomInt } from 'node:crypto';
import type { BatchReader } from './batch.ts';
import type { Database } from './database.ts';
import { Interned, minTtl, type Question } from './interned.ts';
import { insertProcess, type SentProcess, UNKNOWN_PROCESS } from './process-rows.ts';
import { CHUNK_BITS, MORE_CONFLICTING } from './schema.ts';
import type { SentEvent, SentLookup } from './sent-event.ts';

const LOOKUP =
  'INSERT INTO lookups(id, time, process, question, duration, ttl, more) VALUES (?, ?, ?, ?, ?, ?, ?)';
const CONNECTION = `INSERT INTO connections(id, time, process, address, port, local, local_port, names, scope, answered, expires)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const FINDING =
  'INSERT INTO findings(id, time, process, event, severity, body, attributes) VALUES (?, ?, ?, ?, ?, ?, ?)';
const CHUNK = `INSERT INTO chunks(chunk, first, last, results, types, servers, slowest) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT(chunk) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last),
  results = results | excluded.results, types = types | excluded.types, servers = servers | excluded.servers,
  slowest = max(slowest, excluded.slowest)`;
const LAST_ID =
  'SELECT max((SELECT ifnull(max(id), 0) FROM lookups), (SELECT ifnull(max(id), 0) FROM connections), (SELECT ifnull(max(id), 0) FROM findings))';

/** Pairs remembered; ids of questions are below this, and a pair is one safe integer. */
const MAX_ASKED = 65_536;
const MAX_QUESTIONS = 2 ** 26;

export class SegmentWriter {
  readonly database: Database;
  /** Numbers of processes of the sender -> what is known of them. */
  readonly #sent: ReadonlyMap<number, SentProcess>;
  readonly #processes = new Map<number, number>();
  readonly #rests = new Map<string, number>();
  #interned: Interned;
  #next: number;
  #chunk = -1;
  /** Of the chunk at hand: names and processes that are noted, and what is to be noted of its lookups. */
  readonly #names = new Set<number>();
  readonly #seen = new Set<number>();
  /** Processes and their questions that are in `asked`, for a while. */
  readonly #asked = new Set<number>();
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;
  #results = 0;
  #types = 0;
  #servers = 0;
  /** -1: none has a duration. */
  #slowest = -1;

  constructor(database: Database, sent: ReadonlyMap<number, SentProcess>) {
    this.database = database;
    this.#sent = sent;
    this.#interned = this.#createInterned();
    this.#next = database.number(LAST_ID) + 1;
  }

  /** Rows there are, all kinds. */
  get rows(): number {
    return this.#next - 1;
  }

  /** Nothing of it is kept when it throws. */
  write(lookups: BatchReader, count: number, events: readonly SentEvent[]): void {
    const next = this.#next;
    try {
      this.database.transaction(() => {
        const insert = this.database.statement(LOOKUP);
        for (let i = 0; i < count; i++) {
          lookups.next();
          this.#lookup(insert, lookups);
        }
        for (const event of events) this.#event(event);
        this.#noteChunk();
      });
    } catch (error) {
      this.forget();
      this.#next = next;
      throw error;
    }
  }

  /** What is remembered of the database: no one else writes to it, but a transaction may have been undone. */
  forget(): void {
    this.#interned = this.#createInterned();
    this.#processes.clear();
    this.#rests.clear();
    this.#asked.clear();
    this.#chunk = -1;
    this.#resetNotes();
  }

  /** The sender begins to count its processes again. */
  forgetProcesses(): void {
    this.#processes.clear();
  }

  #createInterned(): Interned {
    return new Interned(this.database, randomInt(2 ** 31), randomInt(2 ** 31));
  }

  #lookup(insert: ReturnType<Database['statement']>, lookup: BatchReader): void {
    const question = this.#interned.question(lookup);
    const process = this.#process(lookup.process);
    const { time, duration, hasResponse } = lookup;
    const ttl = hasResponse ? minTtl(lookup.answer) : null;
    insert.run(
      this.#id(time),
      time,
      process,
      question.id,
      duration < 0 ? null : duration,
      ttl,
      moreOf(lookup),
    );
    this.#noteLookup(question, process, duration);
  }

  #toldLookup(lookup: SentLookup): void {
    const question = this.#interned.toldQuestion(lookup);
    const process = this.#process(lookup.process);
    const { time, duration = null, ttl = null } = lookup;
    const insert = this.database.statement(LOOKUP);
    insert.run(this.#id(time), time, process, question.id, duration, ttl, moreOf(lookup));
    this.#noteLookup(question, process, duration ?? -1);
  }

  #noteLookup(question: Question, process: number, duration: number): void {
    const { id, name, resultBits, typeBits, serverBits } = question;
    this.#noteAsked(process, id);
    this.#results |= resultBits;
    this.#types |= typeBits;
    this.#servers |= serverBits;
    if (duration > this.#slowest) this.#slowest = duration;
    if (!this.#names.has(name)) {
      this.#names.add(name);
      this.#note('name', name);
    }
    this.#noteProcess(process);
  }

  #event(event: SentEvent): void {
    if (event.kind === 'lookup') {
      this.#toldLookup(event);
      return;
    }
    const process = this.#process(event.process);
    const id = this.#id(event.time);
    if (event.kind === 'finding') {
      const { time, severity, body } = event;
      this.database
        .statement(FINDING)
        .run(id, time, process, event.event, severity, body, JSON.stringify(event.attributes));
      return;
    }
    const {
      time,
      address,
      port,
      local,
      localPort,
      names,
      scope = null,
      answered = null,
      expires = null,
    } = event;
    const addressId = this.#interned.address(address);
    this.database
      .statement(CONNECTION)
      .run(id, time, process, addressId, port, local, localPort, names.join('\n'), scope, answered, expires);
  }

  #id(time: number): number {
    const id = this.#next++;
    const chunk = id >>> CHUNK_BITS;
    if (chunk !== this.#chunk) this.#beginChunk(chunk);
    if (time < this.#first) this.#first = time;
    if (time > this.#last) this.#last = time;
    return id;
  }

  #beginChunk(chunk: number): void {
    this.#noteChunk();
    this.#chunk = chunk;
    this.#names.clear();
    this.#seen.clear();
  }

  #noteChunk(): void {
    if (this.#first > this.#last) return;
    this.database
      .statement(CHUNK)
      .run(this.#chunk, this.#first, this.#last, this.#results, this.#types, this.#servers, this.#slowest);
    this.#resetNotes();
  }

  #resetNotes(): void {
    this.#first = Number.POSITIVE_INFINITY;
    this.#last = Number.NEGATIVE_INFINITY;
    this.#results = this.#types = this.#servers = 0;
    this.#slowest = -1;
  }

  #note(of: 'name' | 'process', id: number): void {
    this.database
      .statement(`INSERT OR IGNORE INTO ${of}_chunks(${of}, chunk) VALUES (?, ?)`)
      .run(id, this.#chunk);
  }

  #noteProcess(process: number): void {
    if (this.#seen.has(process)) return;
    this.#seen.add(process);
    this.#note('process', process);
  }

  #noteAsked(process: number, question: number): void {
    const pair = process * MAX_QUESTIONS + question;
    if (this.#asked.has(pair)) return;
    if (this.#asked.size >= MAX_ASKED) this.#asked.clear();
    this.#asked.add(pair);
    this.database
      .statement('INSERT OR IGNORE INTO asked(process, question) VALUES (?, ?)')
      .run(process, question);
  }

  #process(number: number): number {
    const known = this.#processes.get(number);
    if (known !== undefined) return known;
    const id = insertProcess(this.database, this.#sent.get(number) ?? UNKNOWN_PROCESS, this.#rests);
    this.#processes.set(number, id);
    return id;
  }
}

function moreOf({
  retries,
  reason,
  isConflicting,
}: Pick<SentLookup, 'retries' | 'reason' | 'isConflicting'>): number {
  return retries | (reason << 8) | (isConflicting ? MORE_CONFLICTING : 0);
}
