/** One event as the texts of a table row. Everything is escaped for a terminal here. */
import { forTerminal } from '../lib/escape.ts';
import type {
  ConnectionEvent,
  Endpoint,
  LogEvent,
  Lookup,
  ProcessIdentity,
  ResourceRecord,
} from '../model.ts';
import { OPCODES, opcodeName } from '../tables/classes.ts';
import { RCODES, rcodeName } from '../tables/rcodes.ts';
import { isAddressType, typeName } from '../tables/rrtypes.ts';
import { latencyText } from './latency.ts';

/** How a row ended: decides its colour. */
export type Tone = 'good' | 'notice' | 'bad' | 'plain';

export interface Cells {
  readonly time: string;
  readonly pid: string;
  readonly process: string;
  /** Container or pod; '' for a process of the host. */
  readonly workload: string;
  readonly type: string;
  readonly name: string;
  readonly result: string;
  readonly latency: string;
  readonly answers: string;
  readonly server: string;
  readonly tone: Tone;
}

/** No cell is ever wider: longer text is cut before it is measured. */
const CELL_CHARACTERS = 1024;
const SHOWN_RECORDS = 8;
export const LIST_SEPARATOR = ', ';

/** The row of any event; one that is neither lookup nor connection (a finding) shows its body in place of the answers. */
export function cellsOf(event: LogEvent): Cells {
  const { process, lookup, connection } = event;
  const common = {
    time: localTime(event.time),
    pid: process.attribution === 'none' ? '?' : String(process.pid),
    process: safe(process.executableName) || '?',
    workload: safe(process.workload),
  };
  if (connection !== undefined) return { ...common, ...connectionCells(connection) };
  if (lookup === undefined) {
    const empty = { type: '', name: '', result: '', latency: '', server: '' };
    return { ...common, ...empty, answers: safe(event.body), tone: event.severity >= 13 ? 'bad' : 'plain' };
  }
  const { opcode } = lookup.request.message;
  const { questions } = lookup.asked ?? lookup.request.message;
  const [question] = questions;
  const more = questions.length > 1 ? ` +${questions.length - 1}` : '';
  return {
    ...common,
    type:
      opcode > OPCODES.QUERY ? opcodeName(opcode) : question === undefined ? '?' : typeName(question.type),
    name: question === undefined ? '?' : `${safe(question.name)}${more}`,
    result: resultOf(lookup),
    latency: lookup.duration === undefined ? '' : latencyText(Number(lookup.duration)),
    answers: answersOf(lookup),
    server: serverOf(lookup),
    tone: toneOf(lookup),
  };
}

/** The name it goes to, if one is known, the destination in place of the answers, and how old what named it is. */
function connectionCells({
  time,
  connection,
  resolution,
}: ConnectionEvent): Omit<Cells, 'time' | 'pid' | 'process' | 'workload'> {
  const destination = { type: 'TCP', latency: '', server: '' };
  const answers = withPort(connection.remote);
  if (resolution === undefined)
    return {
      ...destination,
      name: '',
      result: 'connect',
      answers: `${answers} (unresolved)`,
      tone: 'notice',
    };
  const more = resolution.names.length - 1;
  const notes = [`answer ${latencyText(Math.max(Number(time - resolution.answered), 0))} ago`];
  if (time > resolution.expires) notes.push('expired');
  return {
    ...destination,
    name: `${safe(resolution.names[0] ?? '')}${more > 0 ? ` +${more}` : ''}`,
    result: 'connect',
    answers: `${answers} (${notes.join(', ')})`,
    tone: 'plain',
  };
}

/** Of a resource attribute, '' where the process has none. */
export function processText({ resource }: ProcessIdentity, attribute: string): string {
  const value = resource[attribute];
  return value === undefined ? '' : safe(Array.isArray(value) ? value.join(' ') : String(value));
}

function resultOf({ outcome, response }: Lookup): string {
  if (outcome !== 'answered' || response === undefined) return outcome;
  // Negative: the header could not be read (dns/message.ts).
  return response.message.rcode < 0 ? 'damaged' : rcodeName(response.message.rcode);
}

function toneOf({ outcome, response }: Lookup): Tone {
  if (outcome === 'sent' || outcome === 'unknown') return 'plain';
  if (response === undefined) return 'bad';
  if (response.message.rcode === RCODES.NOERROR) return 'good';
  return response.message.rcode === RCODES.NXDOMAIN ? 'notice' : 'bad';
}

/** Addresses, else the data of the first records; with what is wrong with the answer, and how often it was asked for. */
function answersOf({ request, response, retries, conflictsWith, answerMessages = 0 }: Lookup): string {
  const notes: string[] = [];
  if (conflictsWith !== undefined) notes.push('conflicting');
  if (retries > 0) notes.push(retries === 1 ? '1 retry' : `${retries} retries`);
  if (answerMessages > 1) notes.push(`${answerMessages} messages`);
  if (response?.message.truncated) notes.push('truncated');
  const malformed = response?.message.malformed ?? request.message.malformed;
  if (malformed !== undefined) notes.push(`malformed: ${malformed.reason}`);
  const isQuery = request.message.opcode <= OPCODES.QUERY;
  if (request.message.opcode === OPCODES.UPDATE) {
    const { answers, authorities } = request.message;
    notes.push(`${answers.length} prerequisites`, `${authorities.length} updates`);
  }
  const records = response === undefined || !isQuery ? [] : shownRecords(response.message.answers);
  if (isQuery && response?.message.rcode === RCODES.NOERROR && records.length === 0) notes.push('no data');
  const shown = records.slice(0, SHOWN_RECORDS).map(safe);
  if (records.length > SHOWN_RECORDS) shown.push(`+${records.length - SHOWN_RECORDS}`);
  const note = notes.length === 0 ? '' : `(${notes.join(', ')})`;
  return [shown.join(LIST_SEPARATOR), note].filter((part) => part !== '').join(' ');
}

function shownRecords(answers: readonly ResourceRecord[]): readonly string[] {
  const addresses = answers.filter((record) => isAddressType(record.type)).map((record) => record.data);
  return addresses.length > 0 ? addresses : answers.map((record) => record.data);
}

function serverOf({ request }: Lookup): string {
  const server = request.raw.dialed ?? request.raw.remote;
  const shown = server.port === 53 ? server.address : withPort(server);
  return request.raw.transport === 'tcp' ? `${shown}/tcp` : shown;
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
export function withPort({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Local time of day with milliseconds. @param time Unix ns */
function localTime(time: bigint): string {
  const date = new Date(Number(time / 1_000_000n));
  const two = (value: number): string => String(value).padStart(2, '0');
  const millis = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}

function safe(text: string): string {
  return forTerminal(text.length > CELL_CHARACTERS ? text.slice(0, CELL_CHARACTERS).toWellFormed() : text);
}
