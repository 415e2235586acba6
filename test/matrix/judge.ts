/** Compares what the servers logged with what the agent recorded. */
import type { JsonRecord } from './agent.ts';
import type { Transport } from './clients.ts';

/** One request that reached a server, with everything its record must say. */
export interface Expectation {
  readonly name: string;
  readonly type: string;
  readonly pid: number;
  readonly executable: string;
  readonly server: string;
  readonly transport: Transport;
  readonly responseCode: string;
  readonly addresses: readonly string[];
}

export interface Cell {
  /** Requests the server logged. */
  readonly requests: number;
  /** Of them, those with exactly one record that is right in every field. */
  readonly right: number;
  /** What was missed, wrong or too much; a line each, equal ones once. */
  readonly faults: readonly string[];
}

/** How faults begin that say what was not seen, all else being right. */
export const NO_RECORD = 'no record of';
export const NO_ANSWER = 'no answer in the record of';

/** `records`: those of this client, found by the name asked. Each record answers for one request at most. */
export function judge(
  expectations: readonly Expectation[],
  records: readonly JsonRecord[],
  hook: string,
): Cell {
  const left = [...records];
  const faults = new Set<string>();
  let right = 0;
  for (const expected of expectations) {
    const found = left.findIndex((record) => identity(record) === identityOf(expected));
    const record = left[found];
    if (record === undefined) {
      faults.add(`${NO_RECORD} ${expected.type} by pid of ${expected.executable} to ${expected.server}`);
      continue;
    }
    left.splice(found, 1);
    const wrong = differences(expected, record, hook);
    if (wrong.length > 0 && isUnanswered(expected, record, hook)) {
      faults.add(`${NO_ANSWER} ${expected.type} by ${expected.executable} to ${expected.server}`);
      continue;
    }
    if (wrong.length === 0) right += 1;
    for (const difference of wrong) faults.add(difference);
  }
  for (const record of left) faults.add(`too much: ${describe(record)}`);
  return { requests: expectations.length, right, faults: [...faults] };
}

function identity(record: JsonRecord): string {
  const { attributes, resource } = record;
  return [
    attributes['dns.question.name'],
    attributes['dns.question.type'],
    attributes['server.address'],
    resource['process.pid'],
  ].join(' ');
}

function identityOf(expected: Expectation): string {
  return [expected.name, expected.type, expected.server, expected.pid].join(' ');
}

function differences(expected: Expectation, record: JsonRecord, hook: string): string[] {
  const { attributes, resource } = record;
  const answers = attributes['dns.answers'];
  const pairs: readonly (readonly [what: string, is: unknown, shouldBe: unknown])[] = [
    ['event_name', record.event_name, 'whodns.query'],
    ['process.executable.path', resource['process.executable.path'], expected.executable],
    ['process.executable.name', resource['process.executable.name'], expected.executable.replace(/.*\//, '')],
    ['dns.response_code', attributes['dns.response_code'], expected.responseCode],
    [
      'dns.answers',
      (Array.isArray(answers) ? [...answers] : []).sort().join(),
      [...expected.addresses].sort().join(),
    ],
    ['network.transport', attributes['network.transport'], expected.transport],
    ['network.type', attributes['network.type'], expected.server.includes(':') ? 'ipv6' : 'ipv4'],
    ['server.port', attributes['server.port'], 53],
    ['whodns.hook', attributes['whodns.hook'], hook],
    ['whodns.attribution', attributes['whodns.attribution'], 'kernel'],
  ];
  return pairs
    .filter(([, is, shouldBe]) => is !== shouldBe)
    .map(
      ([what, is, shouldBe]) =>
        `${expected.type}: ${what} is ${JSON.stringify(is)}, not ${JSON.stringify(shouldBe)}`,
    );
}

/** The record says honestly that it knows no answer, and is right in all else. */
function isUnanswered(expected: Expectation, record: JsonRecord, hook: string): boolean {
  if (record.attributes['error.type'] !== 'timeout') return false;
  const answered = { 'dns.response_code': expected.responseCode, 'dns.answers': expected.addresses };
  const completed = { ...record, attributes: { ...record.attributes, ...answered } };
  return differences(expected, completed, hook).length === 0;
}

function describe({ attributes, resource }: JsonRecord): string {
  const asked = `${attributes['dns.question.type']} by ${resource['process.executable.path']}`;
  return `${asked} to ${attributes['server.address']} (${attributes['dns.response_code'] ?? attributes['error.type']})`;
}
