/**
 * The tables of one segment. What repeats is kept once: names, servers, sets of answers, and with them questions (a name, its type, its
 * result, its server and its answers), so that a lookup is six numbers. Which lookups there are of a name or a process is kept by
 * chunks of 1024 ids: a row for each chunk in which there is one costs a fifth of an index over the lookups. A chunk has bits for its
 * results, types and servers, and its longest duration: what is rare in all of a history is in few chunks. `asked`: which process asked
 * which question at all.
 */
import type { Outcome } from '../model.ts';

/** `user_version`: of another one nothing is read. */
export const VERSION = 2;
/** Ids of one chunk, as bits. */
export const CHUNK_BITS = 10;
/** Ids of a segment count from its number times this: they are unique in the whole history. */
export const SEGMENT_IDS = 2 ** 32;

/** A question's result: the response code, or where there is none this. */
export const UNREADABLE = 9999;
const FIRST_OUTCOME = 10_000;
/** Their places are in files: only ever added to. */
export const OUTCOMES: readonly Outcome[] = [
  'answered',
  'timeout',
  'unknown',
  'sent',
  'connection_refused',
  'host_unreachable',
  'network_unreachable',
];

export function outcomeCode(outcome: Outcome): number {
  return FIRST_OUTCOME + OUTCOMES.indexOf(outcome);
}

export function outcomeOf(result: number): Outcome {
  return result < FIRST_OUTCOME ? 'answered' : (OUTCOMES[result - FIRST_OUTCOME] ?? 'unknown');
}

/** Results that are no failure: NOERROR, and where it was not seen (LookupView.failed). */
export const NOT_FAILED: readonly number[] = [0, UNREADABLE, outcomeCode('unknown'), outcomeCode('sent')];

/** `more` of a lookup: retries, index of REASONS + 1 << 8, MORE_CONFLICTING. */
export const MORE_CONFLICTING = 1 << 12;

/** Of a chunk's `results`, `types` and `servers`: the bit of a value. Several share one, which costs time and changes no answer. */
export function chunkBits(value: unknown): number {
  return typeof value === 'number' ? 1 << Math.abs(value % 31) : 0;
}

/** Columns of a process that are also attributes of its resource. */
export const PROCESS_COLUMNS =
  'key, pid, started, executable, path, command, parent_pid, parent, user_id, user, container_id, container, pod, namespace, workload, service, attribution, vpid, rest';

export const SCHEMA = `
CREATE TABLE processes(id INTEGER PRIMARY KEY, key TEXT, pid INTEGER, started INTEGER, executable TEXT, path TEXT, command TEXT,
  parent_pid INTEGER, parent TEXT, user_id INTEGER, user TEXT, container_id TEXT, container TEXT, pod TEXT, namespace TEXT,
  workload TEXT, service TEXT, attribution TEXT, vpid INTEGER, rest INTEGER);
CREATE INDEX processes_executable ON processes(executable);
CREATE INDEX processes_pid ON processes(pid);
CREATE TABLE rests(id INTEGER PRIMARY KEY, json TEXT);
CREATE TABLE names(id INTEGER PRIMARY KEY, reversed TEXT NOT NULL UNIQUE, labels INTEGER);
CREATE TABLE servers(id INTEGER PRIMARY KEY, address TEXT, port INTEGER, tcp INTEGER);
CREATE TABLE answers(id INTEGER PRIMARY KEY, records TEXT, count INTEGER);
CREATE TABLE addresses(id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE);
CREATE TABLE questions(id INTEGER PRIMARY KEY, name INTEGER, type INTEGER, result INTEGER, server INTEGER, answers INTEGER);
CREATE INDEX questions_name ON questions(name);
CREATE TABLE resolved(address INTEGER, question INTEGER, PRIMARY KEY(address, question)) WITHOUT ROWID;
CREATE TABLE lookups(id INTEGER PRIMARY KEY, time INTEGER, process INTEGER, question INTEGER, duration INTEGER, ttl INTEGER,
  more INTEGER);
CREATE TABLE asked(process INTEGER, question INTEGER, PRIMARY KEY(process, question)) WITHOUT ROWID;
CREATE TABLE chunks(chunk INTEGER PRIMARY KEY, first INTEGER, last INTEGER, results INTEGER, types INTEGER, servers INTEGER,
  slowest INTEGER);
CREATE TABLE name_chunks(name INTEGER, chunk INTEGER, PRIMARY KEY(name, chunk)) WITHOUT ROWID;
CREATE TABLE process_chunks(process INTEGER, chunk INTEGER, PRIMARY KEY(process, chunk)) WITHOUT ROWID;
CREATE TABLE connections(id INTEGER PRIMARY KEY, time INTEGER, process INTEGER, address INTEGER, port INTEGER, local TEXT,
  local_port INTEGER, names TEXT, scope TEXT, answered INTEGER, expires INTEGER);
CREATE INDEX connections_address ON connections(address);
CREATE INDEX connections_process ON connections(process, address, time);
CREATE TABLE findings(id INTEGER PRIMARY KEY, time INTEGER, process INTEGER, event TEXT, severity INTEGER, body TEXT,
  attributes TEXT);
PRAGMA user_version = ${VERSION};
`;

/** `www.example.com` <-> `com.example.www`; a dot inside a label is `\\.`. The root is `.` both ways. */
export function reversed(name: string): string {
  if (name === '.' || !name.includes('.')) return name;
  return labelsOf(name).reverse().join('.');
}

export function labelsOf(name: string): string[] {
  if (!name.includes('\\')) return name.split('.');
  return name.match(/(?:\\.|[^.\\])+/g) ?? [name];
}
