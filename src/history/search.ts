/** Rows that a question is about, the newest or the oldest first. */
import type { ConnectionEvent } from '../model.ts';
import type { Row, Value } from './database.ts';
import { addressOf, type Conditions, nameOf, plainGlob } from './plan.ts';
import { lookupRows, overSegments, type Part, type Segments } from './read.ts';
import { CONNECTION_ROWS } from './rows.ts';
import { SEGMENT_IDS } from './schema.ts';
import { Turns } from './turns.ts';
import type {
  CountQuery,
  SearchAnswer,
  SearchQuery,
  StoredConnection,
  StoredLookup,
  StoredRow,
} from './types.ts';

const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 10_000;
const LOOKUP_COLUMNS = 'l.id, l.time, l.process, l.question, l.duration, l.ttl, l.more';
/** Connections shown of one lookup, and after how long one is none of it: µs. */
const MAX_CONNECTED = 10;
const CONNECTED_WITHIN = 10 * 60 * 1e6;

export async function search(segments: Segments, query: SearchQuery & Conditions): Promise<SearchAnswer> {
  const turns = new Turns();
  const limit = Math.min(Math.max(Math.floor(query.limit ?? DEFAULT_LIMIT), 1), MAX_LIMIT);
  const isNewestFirst = query.after === undefined;
  const kinds = new Set(query.kinds ?? ['lookup']);
  const from = (query.after ?? -1) + 1;
  const to = (query.before ?? Number.MAX_SAFE_INTEGER) - 1;
  const last = lastId(segments);
  const rows: StoredRow[] = [];
  const connected: Record<number, readonly StoredConnection[]> = {};
  let searchedTo: number | undefined;
  await overSegments(
    segments,
    query,
    turns,
    isNewestFirst,
    async (part) => {
      const found: StoredRow[] = [];
      // One more than is given out says that there are more.
      const left = limit + 1 - rows.length;
      if (kinds.has('lookup')) {
        const order = `ORDER BY l.id ${isNewestFirst ? 'DESC' : 'ASC'} LIMIT ?`;
        const missing = (): number => left - found.length;
        for await (const piece of lookupRows(part, LOOKUP_COLUMNS, order, turns, isNewestFirst, missing)) {
          for (const row of piece) found.push(part.segment.lookup(row));
          searchedTo = oldest(found) ?? searchedTo;
        }
      }
      const range = {
        from: from - part.segment.base,
        to: to - part.segment.base,
        isNewestFirst,
        limit: left,
      };
      if (kinds.has('connection')) found.push(...connectionsOf(part, query, range));
      if (kinds.has('finding')) found.push(...findingsOf(part, query, range));
      found.sort((a, b) => (isNewestFirst ? b.id - a.id : a.id - b.id));
      const taken = found.slice(0, left);
      if (query.connections === true)
        for (const row of taken) if (row.kind === 'lookup') connected[row.id] = connectedAfter(part, row);
      rows.push(...taken);
      return rows.length > limit;
    },
    from,
    to,
  );
  const more = rows.length > limit;
  rows.length = Math.min(rows.length, limit);
  // Ids are in the order in which lookups ended; people read by when they began.
  if (isNewestFirst) rows.sort((a, b) => b.time - a.time);
  return {
    rows,
    connected,
    more,
    searchedTo: turns.isOver && !more ? (searchedTo ?? Date.now() * 1000) : undefined,
    last: isNewestFirst ? last : Math.max(rows.at(-1)?.id ?? query.after ?? 0, more ? 0 : last),
  };
}

/** Where the time is over before all was looked at: those found until then. */
export async function countLookups(segments: Segments, query: CountQuery & Conditions): Promise<number> {
  const turns = new Turns();
  let sum = 0;
  await overSegments(
    segments,
    query,
    turns,
    false,
    async (part) => {
      for await (const piece of lookupRows(part, 'count(*) AS n', '', turns, false, () => 1))
        for (const row of piece) sum += row['n'] as number;
      return false;
    },
    (query.after ?? -1) + 1,
    (query.before ?? Number.MAX_SAFE_INTEGER) - 1,
  );
  return sum;
}

function lastId(segments: Segments): number {
  const newest = segments.all().at(-1);
  if (newest === undefined) return 0;
  try {
    return newest.base + newest.lastId;
  } catch (error) {
    if (!segments.failed(newest, error)) throw error;
    return 0;
  }
}

function oldest(rows: readonly StoredRow[]): number | undefined {
  return rows.at(-1)?.time;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly isNewestFirst: boolean;
  readonly limit: number;
}

/** Only what a connection has narrows it: no connection has a response code. */
function connectionsOf(part: Part, query: Conditions, range: Range): StoredConnection[] {
  const { type, rcode, server, minLatency, failed, expression, matcher } = query;
  if ([type, rcode, server, minLatency, failed].some((each) => each !== undefined)) return [];
  const sql: string[] = [];
  const values: Value[] = [];
  const add = (text: string, ...given: Value[]): void => {
    sql.push(text);
    values.push(...given);
  };
  const { name, suffix, address, port, localPort } = query;
  if (address !== undefined)
    add('c.address IN (SELECT id FROM addresses WHERE address = ?)', addressOf(address));
  if (port !== undefined) add('c.port = ?', port);
  if (localPort !== undefined) add('c.local_port = ?', localPort);
  const named = 'char(10) || c.names || char(10)';
  if (name !== undefined) add(`instr(${named}, char(10) || ? || char(10)) > 0`, nameOf(name));
  if (suffix !== undefined) {
    const domain = nameOf(suffix.replace(/^\*\./, ''));
    const below = `${named} GLOB '*.' || ? || char(10) || '*'`;
    if (suffix.startsWith('*.')) add(`(${below})`, plainGlob(domain));
    else add(`(${below} OR instr(${named}, char(10) || ? || char(10)) > 0)`, plainGlob(domain), domain);
  }
  const most = matcher === undefined && expression === undefined ? range.limit : MAX_LIMIT;
  const rows = eventRows(part, CONNECTION_ROWS, sql, values, query, { ...range, limit: most });
  const found = rows.map((row) => part.segment.connection(row));
  if (most === range.limit) return found;
  const isMeant = (connection: StoredConnection): boolean =>
    (matcher === undefined || connection.names.some(matcher)) &&
    (expression === undefined || expression.predicate.connection(connectionEvent(connection)));
  return found.filter(isMeant).slice(0, range.limit);
}

/** As the filter of what is captured has it: only what a filter reads is there. */
function connectionEvent({ process, remote, local, names, time }: StoredConnection): ConnectionEvent {
  const resolution = {
    names,
    scope: 'host' as const,
    answered: 0n,
    expires: 0n,
  };
  return {
    kind: 'connection',
    time: BigInt(time) * 1000n,
    connection: {
      kind: 'connection',
      time: 0n,
      family: remote.address.includes(':') ? 6 : 4,
      networkNamespace: 0,
      socket: 0n,
      local,
      remote,
      owner: undefined,
    },
    process: {
      pid: process.pid,
      startTime: 0n,
      attribution: process.attribution,
      executableName: process.executable,
      containerId: process.containerId || undefined,
      workload: process.workload,
      resource: process.resource,
    },
    resolution: names.length === 0 ? undefined : resolution,
  };
}

function findingsOf(part: Part, query: Conditions, range: Range): StoredRow[] {
  const { type, rcode, server, minLatency, failed, filter, name, suffix, matcher, address } = query;
  if (
    [type, rcode, server, minLatency, failed, filter, name, suffix, matcher, address].some(
      (each) => each !== undefined,
    )
  )
    return [];
  const rows = eventRows(part, 'SELECT c.* FROM findings c', [], [], query, range);
  return rows.map((row) => part.segment.finding(row));
}

function eventRows(
  { segment, plan }: Part,
  select: string,
  sql: readonly string[],
  values: readonly Value[],
  { since, until }: Conditions,
  { from, to, isNewestFirst, limit }: Range,
): readonly Row[] {
  if (plan.isEmptyOfProcesses) return [];
  const where = ['c.id BETWEEN ? AND ?', 'c.time >= ?', 'c.time < ?', ...sql, ...plan.eventConditions];
  return segment.database.once(
    `${select} WHERE ${where.join(' AND ')} ORDER BY c.id ${isNewestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
    [
      Math.max(from, 0),
      Math.min(to, SEGMENT_IDS),
      since ?? Number.MIN_SAFE_INTEGER,
      until ?? Number.MAX_SAFE_INTEGER,
      ...values,
      limit,
    ],
  );
}

/** What the process connected to soon after, by an address of the answer. */
function connectedAfter({ segment }: Part, lookup: StoredLookup): readonly StoredConnection[] {
  const addresses = lookup.answers.flatMap(({ type, data }) =>
    type === 'A' || type === 'AAAA' ? [data] : [],
  );
  if (addresses.length === 0) return [];
  const { pid, key } = lookup.process;
  const rows = segment.database.all(
    `${CONNECTION_ROWS} WHERE c.process IN (SELECT id FROM processes WHERE pid = ? AND key = ?)
      AND c.address IN (SELECT d.id FROM json_each(?) j JOIN addresses d ON d.address = j.value)
      AND c.time >= ? AND c.time < ? ORDER BY c.id LIMIT ?`,
    pid,
    key,
    JSON.stringify(addresses),
    lookup.time,
    lookup.time + CONNECTED_WITHIN,
    MAX_CONNECTED,
  );
  return rows.map((row) => segment.connection(row));
}
