/** A process's identity as columns, and back: what is the same of many processes (host, image, labels) is one text for all of them. */
import type { Attributes, AttributeValue, ProcessIdentity } from '../model.ts';
import type { Database, Row, Value } from './database.ts';
import { insert, keep } from './known.ts';
import { PROCESS_COLUMNS } from './schema.ts';
import type { StoredProcess } from './types.ts';

/** What goes by message of an identity. */
export type SentProcess = Pick<
  ProcessIdentity,
  'pid' | 'startTime' | 'attribution' | 'executableName' | 'containerId' | 'workload' | 'resource'
>;

/** Attributes that are columns: of an identity, and of the resource it is given back with. */
const COLUMNS = {
  pid: 'process.pid',
  executable: 'process.executable.name',
  path: 'process.executable.path',
  parent_pid: 'process.parent_pid',
  parent: 'whodns.process.parent.executable.name',
  user_id: 'process.user.id',
  user: 'process.user.name',
  container_id: 'container.id',
  container: 'container.name',
  pod: 'k8s.pod.name',
  namespace: 'k8s.namespace.name',
  service: 'service.name',
  vpid: 'process.vpid',
} as const;
const IN_COLUMNS = new Set<string>([...Object.values(COLUMNS), 'process.creation.time']);
const COMMAND_ARGS = 'process.command_args';
const MAX_COMMAND = 1024;
const INSERT = `INSERT INTO processes(${PROCESS_COLUMNS}) VALUES (${PROCESS_COLUMNS.replace(/\w+/g, '?')})`;
const SELECT = 'SELECT p.*, r.json FROM processes p LEFT JOIN rests r ON r.id = p.rest WHERE p.id = ?';

export const UNKNOWN_PROCESS: SentProcess = {
  pid: 0,
  startTime: 0n,
  attribution: 'none',
  executableName: '',
  containerId: undefined,
  workload: '',
  resource: {},
};

/** Of `processes`; undefined: the attribute is in the text that many share. */
export function columnOf(attribute: string): string | undefined {
  return Object.entries(COLUMNS).find(([, name]) => name === attribute)?.[0];
}

export function processKey({ pid, startTime, attribution }: SentProcess): string {
  return attribution === 'none' ? '0' : `${pid}-${startTime}`;
}

/** @param rests ids of the texts that are in the database already @returns the id of the row */
export function insertProcess(database: Database, process: SentProcess, rests: Map<string, number>): number {
  const { resource, pid, executableName, workload, attribution, containerId } = process;
  const rest = JSON.stringify(
    Object.fromEntries(Object.entries(resource).filter(([name]) => !IN_COLUMNS.has(name))),
  );
  const restId =
    rests.get(rest) ?? keep(rests, rest, insert(database, 'INSERT INTO rests(json) VALUES (?)', rest));
  const text = (name: string): string => textOf(resource[name]);
  const number = (name: string): number | null =>
    typeof resource[name] === 'number' ? resource[name] : null;
  const created = Date.parse(text('process.creation.time')) * 1000;
  return insert(
    database,
    INSERT,
    processKey(process),
    pid,
    Number.isSafeInteger(created) ? created : null,
    executableName,
    text(COLUMNS.path),
    (text(COMMAND_ARGS) || text('process.command')).slice(0, MAX_COMMAND),
    number(COLUMNS.parent_pid),
    text(COLUMNS.parent),
    number(COLUMNS.user_id),
    text(COLUMNS.user),
    containerId ?? '',
    text(COLUMNS.container),
    text(COLUMNS.pod),
    text(COLUMNS.namespace),
    workload,
    text(COLUMNS.service),
    attribution,
    number(COLUMNS.vpid),
    restId,
  );
}

export function readProcess(database: Database, id: number): StoredProcess {
  const row = database.first(SELECT, id);
  return row === undefined ? processOf({}) : processOf(row);
}

/** Of a row of `processes` with the column `json`. What a damaged file gives is not trusted to be of its type. */
export function processOf(row: Row): StoredProcess {
  const text = (value: Value | undefined): string => (typeof value === 'string' ? value : '');
  const number = (value: Value | undefined): number => (typeof value === 'number' ? value : 0);
  const rest = parsed(text(row['json']));
  const attributes = Object.entries(COLUMNS).flatMap(([column, name]): [string, AttributeValue][] => {
    const value = row[column];
    return value === null || value === undefined || value === '' ? [] : [[name, value]];
  });
  const started = typeof row['started'] === 'number' ? row['started'] : undefined;
  const attribution = text(row['attribution']);
  return {
    key: text(row['key']) || '0',
    pid: number(row['pid']),
    started,
    executable: text(row['executable']),
    path: text(row['path']),
    command: text(row['command']),
    parentPid: number(row['parent_pid']),
    parent: text(row['parent']),
    userId: typeof row['user_id'] === 'number' ? row['user_id'] : undefined,
    user: text(row['user']),
    containerId: text(row['container_id']),
    container: text(row['container']),
    pod: text(row['pod']),
    namespace: text(row['namespace']),
    workload: text(row['workload']),
    service: text(row['service']),
    attribution:
      attribution === 'kernel' || attribution === 'proc' || attribution === 'unverified'
        ? attribution
        : 'none',
    resource: {
      ...rest,
      ...(attribution === 'none' ? {} : Object.fromEntries(attributes)),
      ...(started === undefined ? {} : { 'process.creation.time': new Date(started / 1000).toISOString() }),
    },
  };
}

export function parsed(json: string): Attributes {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Attributes) : {};
  } catch {
    return {}; // nothing, or damaged
  }
}

function textOf(value: AttributeValue | undefined): string {
  if (value === undefined) return '';
  return Array.isArray(value) ? value.join(' ') : String(value);
}
