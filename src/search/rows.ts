/** Rows of a history as texts. What is hostile in them is escaped for the medium, not here. */
import type { StoredConnection, StoredProcess, StoredRow } from '../history/types.ts';
import { latencyText } from '../records/latency.ts';

export const COLUMNS = [
  'time',
  'pid',
  'process',
  'parent',
  'user',
  'container',
  'type',
  'name',
  'result',
  'latency',
  'answers',
  'server',
] as const;
export type Column = (typeof COLUMNS)[number];
export type Texts = Readonly<Record<Column, string>>;

const SHOWN_ANSWERS = 8;

export function textsOf(row: StoredRow): Texts {
  const common = { time: localTime(row.time), ...processTexts(row.process) };
  const none = { type: '', name: '', result: '', latency: '', answers: '', server: '' };
  switch (row.kind) {
    case 'finding':
      return { ...common, ...none, result: row.event, answers: row.body };
    case 'connection':
      return {
        ...common,
        ...none,
        type: 'TCP',
        name: `${row.names[0] ?? ''}${row.names.length > 1 ? ` +${row.names.length - 1}` : ''}`,
        result: 'connect',
        answers: `${endpoint(row.remote)}${fromPort(row)} (${ageText(row)})`,
      };
    case 'lookup': {
      const { server, duration, retries, conflicting, answers, answerCount, rcode, outcome } = row;
      const notes = [
        ...(conflicting ? ['conflicting'] : []),
        ...(retries > 0 ? [retries === 1 ? '1 retry' : `${retries} retries`] : []),
        ...(rcode === 'NOERROR' && answerCount === 0 ? ['no data'] : []),
      ];
      return {
        ...common,
        type: row.type || '?',
        name: row.name || '?',
        result: outcome === 'answered' ? rcode || 'unreadable' : outcome,
        latency: duration === undefined ? '' : latencyText(duration * 1000),
        answers: [answersText(answers, answerCount), notes.length > 0 ? `(${notes.join(', ')})` : '']
          .filter((part) => part !== '')
          .join(' '),
        server: `${server.port === 53 ? server.address : endpoint(server)}${server.transport === 'tcp' ? '/tcp' : ''}`,
      };
    }
  }
}

/** `203.0.113.66:443 from port 41215, 12ms later`. @param time of the lookup, Unix µs */
export function connectedText(connection: StoredConnection, time: number): string {
  const later = latencyText(Math.max(connection.time - time, 0) * 1000);
  return `connected to ${endpoint(connection.remote)}${fromPort(connection)}, ${later} later`;
}

/** How old the answer was that named the destination, and whether it still held. */
function ageText({ names, answered, expires, time }: StoredConnection): string {
  if (names.length === 0 || answered === undefined) return 'unresolved';
  const age = latencyText(Math.max(time - answered, 0) * 1000);
  return `answer ${age} old${expires !== undefined && time > expires ? ', expired' : ''}`;
}

function fromPort({ local }: StoredConnection): string {
  return local.port === 0 ? '' : ` from port ${local.port}`;
}

function processTexts(
  process: StoredProcess,
): Pick<Texts, 'pid' | 'process' | 'parent' | 'user' | 'container'> {
  const { pid, executable, parent, parentPid, user, userId, workload, container, containerId, pod } = process;
  return {
    pid: pid === 0 ? '?' : String(pid),
    process: executable || '?',
    parent: parentPid === 0 ? parent : `${parent || '?'}[${parentPid}]`,
    user: user || (userId === undefined ? '' : String(userId)),
    container: workload || pod || container || containerId.slice(0, 12),
  };
}

function answersText(
  answers: readonly { readonly type: string; readonly data: string }[],
  count: number,
): string {
  const addresses = answers.filter(({ type }) => type === 'A' || type === 'AAAA');
  const chosen = (addresses.length > 0 ? addresses : answers).map(({ data }) => data);
  const shown = chosen.slice(0, SHOWN_ANSWERS);
  const more = (addresses.length > 0 ? chosen.length : count) - shown.length;
  return [...shown, ...(more > 0 ? [`+${more}`] : [])].join(', ');
}

function endpoint({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `2026-01-31 09:25:34.853`. @param time Unix µs */
function localTime(time: number): string {
  const date = new Date(time / 1000);
  if (Number.isNaN(date.getTime())) return '?';
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const millis = String(date.getMilliseconds()).padStart(3, '0');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}
