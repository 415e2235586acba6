/** What was typed behind `whodns search`, and its flags, as a question. */
import { isIP } from 'node:net';
import type { Config } from '../config/config.ts';
import type { SearchQuery, StoredRow } from '../history/types.ts';
import { EXIT, UserError } from '../lib/errors.ts';
import { timeOf } from '../tables/options-search.ts';

/** @param now Unix ms @throws UserError (exit code 2) */
export function queryOf(what: string | undefined, config: Config, now: number): SearchQuery {
  const { since, until, minLatencyMs, localPort, processName, questionType, rcode, user, pod } = config;
  const found = what === undefined ? {} : meantBy(what);
  const isConnection = found.port !== undefined || localPort !== undefined;
  const isAddress = 'address' in found;
  if (config.onlyFindings && what !== undefined)
    throw wrong(`--findings and "${what}" exclude each other: a finding is not found by name or address`);
  const kinds: StoredRow['kind'][] = config.onlyFindings
    ? ['finding']
    : isConnection
      ? ['connection']
      : isAddress
        ? ['lookup', 'connection']
        : ['lookup'];
  const { single, rest } = singleOf(config);
  const filter = filterOf(rest);
  if (config.onlyFindings && filter !== undefined)
    throw wrong(
      '--findings is narrowed by --process, --user, --pod, --since, --until, and by one --pid or --container',
    );
  return {
    ...found,
    ...single,
    kinds,
    limit: config.limit,
    connections: true,
    ...(since === undefined ? {} : { since: timeOf(since, now) ?? 0 }),
    ...(until === undefined ? {} : { until: timeOf(until, now) ?? 0 }),
    ...(minLatencyMs === undefined ? {} : { minLatency: minLatencyMs * 1000 }),
    ...(localPort === undefined ? {} : { localPort }),
    ...(processName === undefined ? {} : { process: processName }),
    ...(questionType === undefined ? {} : { type: questionType }),
    ...(rcode === undefined ? {} : { rcode }),
    ...(user === undefined ? {} : { user }),
    ...(pod === undefined ? {} : { pod }),
    ...(filter === undefined ? {} : { filter }),
  };
}

type Meant = Pick<SearchQuery, 'name' | 'suffix' | 'pattern' | 'address' | 'port'>;

/** @throws UserError (exit code 2) */
export function meantBy(what: string): Meant {
  const pattern = /^\/(.*)\/i?$/s.exec(what)?.[1];
  if (pattern !== undefined) {
    if (pattern === '') throw wrong('the regular expression is empty');
    return { pattern };
  }
  if (isIP(what) !== 0) return { address: what };
  const endpoint = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(what);
  if (endpoint !== null) {
    const address = endpoint[1] ?? endpoint[2] ?? '';
    const port = Number(endpoint[3]);
    if (isIP(address) === 0 || port === 0 || port > 65_535)
      throw wrong(`"${what}" is not an address with a port: 203.0.113.66:443, [2001:db8::1]:443`);
    return { address, port };
  }
  if (what === '' || /\s/.test(what)) throw wrong(`"${what}" is neither a name nor an address`);
  if (what.startsWith('*.')) return { suffix: what };
  if (/[*?]/.test(what)) return { pattern: globPattern(what) };
  return { name: what };
}

function globPattern(glob: string): string {
  const plain = glob.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  return `^${plain.replaceAll('*', '.*').replaceAll('?', '.')}$`;
}

type Shorts = Pick<Config, 'filter' | 'onlyFailed' | 'onlyPids' | 'onlyContainers' | 'onlyServers'>;

/** One process id or container is a condition of its own, which findings have too; several are a filter. */
function singleOf(config: Shorts): {
  readonly single: Pick<SearchQuery, 'pid' | 'container'>;
  readonly rest: Shorts;
} {
  const { onlyPids, onlyContainers } = config;
  const [pid] = onlyPids;
  const [container] = onlyContainers;
  const hasPid = pid !== undefined && onlyPids.length === 1;
  const hasContainer = container !== undefined && onlyContainers.length === 1;
  return {
    single: { ...(hasPid ? { pid } : {}), ...(hasContainer ? { container } : {}) },
    rest: {
      ...config,
      onlyPids: hasPid ? [] : onlyPids,
      onlyContainers: hasContainer ? [] : onlyContainers,
    },
  };
}

function filterOf({ filter, onlyFailed, onlyPids, onlyContainers, onlyServers }: Shorts): string | undefined {
  const quoted = (texts: readonly (string | number)[]): string => texts.map(quote).join(', ');
  const parts = [
    filter === undefined ? '' : `(${filter})`,
    onlyFailed ? 'failed' : '',
    onlyPids.length === 0 ? '' : `pid in (${quoted(onlyPids)})`,
    onlyContainers.length === 0 ? '' : `container in (${quoted(onlyContainers)})`,
    onlyServers.length === 0 ? '' : `server in (${quoted(onlyServers)})`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? undefined : parts.join(' and ');
}

/** A word where it is one: quoted, no character of it would match others. */
function quote(text: string | number): string {
  return /^[\w.:/*?-]+$/.test(String(text)) ? String(text) : JSON.stringify(String(text));
}

function wrong(message: string): UserError {
  return new UserError(message, {
    exitCode: EXIT.usage,
    hint: "a name, '*.example', /regex/, an address or ADDRESS:PORT; see whodns search --help",
  });
}
