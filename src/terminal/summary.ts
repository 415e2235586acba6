/** What is said at the end of a run that someone has looked at: three lines. */
import type { HistoryQueries, TopRow } from '../history/types.ts';
import type { StageSnapshot } from '../ledger.ts';
import { displayWidth, shortenMiddle } from '../lib/display-width.ts';
import { forTerminal } from '../lib/escape.ts';
import { latencyText } from '../records/latency.ts';

interface Totals {
  readonly stages: readonly StageSnapshot[];
  /** Lost before the first stage, by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

const MAX_NAME = 60;
const MAX_PROCESSES = 10_000;
/** Servers that were asked less are no measure. */
const MIN_ASKED = 3;

/** To be called when all has been seen, before the history is closed; what it gives when all is out. */
export type Summary = () => Promise<(totals: StatsTotals) => readonly string[]>;

interface StatsTotals {
  readonly stages: readonly StageSnapshot[];
  readonly source: { readonly drops: Readonly<Record<string, number>> };
}

/** ms that someone waits for it. */
const MAX_WAIT_MS = 3000;

export function beginSummary(history: HistoryQueries): Summary {
  return async () => {
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, MAX_WAIT_MS, undefined).unref());
    const said = await Promise.race([describe(history).catch(() => undefined), late]);
    return ({ stages, source }) => [
      ...(said ?? ['nothing can be said of the lookups: the history did not answer']),
      losses({ stages, drops: source.drops }),
    ];
  };
}

/** Two lines without line breaks, safe for a terminal. */
async function describe(history: HistoryQueries): Promise<readonly string[]> {
  const [processes, failures, servers] = await Promise.all([
    history.top({ by: 'process', limit: MAX_PROCESSES }),
    history.top({ by: 'name', failed: true, sort: 'count', limit: 1 }),
    history.top({ by: 'server', sort: 'p99', limit: 20 }),
  ]);
  const worst = failures.rows[0];
  const [causes, causers] =
    worst === undefined
      ? []
      : await Promise.all([
          history.top({ by: 'failure', name: worst.label, failed: true, limit: 1 }),
          history.top({ by: 'process', name: worst.label, failed: true, limit: 1 }),
        ]);
  const failed = `${grouped(processes.failed)} failed${share(processes.failed, processes.count)}`;
  return [
    `${count(processes.count, 'lookup')} by ${count(processes.rows.length, 'process', 'processes')}, ${failed}`,
    `${failedMost(worst, causes?.rows[0], causers?.rows[0])}; ${slowest(servers.rows)}`,
  ];
}

function failedMost(
  name: TopRow | undefined,
  cause: TopRow | undefined,
  process: TopRow | undefined,
): string {
  if (name === undefined) return 'nothing failed';
  const why = cause === undefined ? '' : ` ${shown(cause.label)}`;
  const who = process === undefined || process.label === '' ? '' : ` (${shown(process.label)})`;
  return `failed most: ${shown(name.label)}${why}, ${count(name.failed, 'time')}${who}`;
}

function slowest(rows: readonly TopRow[]): string {
  const known = rows.filter((row) => row.p50 !== undefined);
  const asked = known.filter((row) => row.count >= MIN_ASKED);
  const [server] = (asked.length > 0 ? asked : known).toSorted((a, b) => (b.p50 ?? 0) - (a.p50 ?? 0));
  if (server === undefined) return 'no server answered';
  const [p50 = 0, p99 = 0] = [server.p50, server.p99];
  return `slowest server: ${shown(server.label)}, p50 ${latency(p50)}, p99 ${latency(p99)}`;
}

function losses({ stages, drops }: Totals): string {
  const lost = new Map<string, number>();
  const add = (reason: string, number: number) => {
    if (number > 0) lost.set(reason, (lost.get(reason) ?? 0) + number);
  };
  for (const [reason, number] of Object.entries(drops)) add(reason, number);
  for (const { name, dropped } of stages)
    for (const [reason, number] of Object.entries(dropped)) add(`${name} ${reason}`, number);
  const sum = [...lost.values()].reduce((all, number) => all + number, 0);
  if (sum === 0) return 'lost 0';
  const most = [...lost].sort(([, a], [, b]) => b - a).slice(0, 3);
  return `lost ${grouped(sum)}: ${most.map(([reason, number]) => `${forTerminal(reason)} ${grouped(number)}`).join(', ')}`;
}

function shown(text: string): string {
  const safe = forTerminal(text);
  return displayWidth(safe) <= MAX_NAME ? safe : shortenMiddle(safe, MAX_NAME);
}

/** @param time us */
function latency(time: number): string {
  return latencyText(time * 1000);
}

function share(part: number, whole: number): string {
  return part === 0 || whole === 0 ? '' : ` (${((100 * part) / whole).toFixed(1)} %)`;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${grouped(number)} ${number === 1 ? one : many}`;
}

/** `12 345`. */
function grouped(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ' ');
}
