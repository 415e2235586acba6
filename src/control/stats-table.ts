/** `whodns stats` for a terminal: what came in and what became of it, what was lost and why, who asks most. */
import { shortenMiddle } from '../lib/display-width.ts';
import { forTerminal } from '../lib/escape.ts';
import { textTable } from './text-table.ts';

/** Processes shown; --format json has all. */
const MAX_PROCESSES = 20;
const MAX_NAME = 40;

interface Stage {
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly held: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly filtered: Readonly<Record<string, number>>;
}

interface Process {
  readonly pid: number;
  readonly name?: string;
  readonly udpRequests: number;
  readonly tcpRequests: number;
  readonly requestBytes: number;
}

/** The answer of an agent, perhaps of another version: what is not there is left out. */
interface Stats {
  readonly stages?: readonly Stage[];
  readonly source?: {
    readonly hook?: string;
    readonly counters?: Readonly<Record<string, number>>;
    readonly drops?: Readonly<Record<string, number>>;
    readonly missedRuns?: number;
    readonly ring?: { readonly used: number; readonly size: number };
  };
  /** Counts by result; `requests`, `waiting` and `hanging` are none. */
  readonly inspector?: Readonly<Record<string, number>>;
  readonly processes?: readonly Process[];
}

export function statsTable(answer: unknown): string {
  const { stages = [], source = {}, inspector, processes = [] } = (answer ?? {}) as Stats;
  const parts = [stagesPart(stages), sourcePart(source), inspectorPart(inspector), processesPart(processes)];
  return `${parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function total(counts: Readonly<Record<string, number>> = {}): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Reasons with a count, the largest first. */
function reasons(counts: Readonly<Record<string, number>> = {}): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${forTerminal(reason)} ${count}`)
    .join(', ');
}

function stagesPart(stages: readonly Stage[]): string[] {
  if (stages.length === 0) return [];
  const rows = stages.map((stage) => [
    forTerminal(String(stage.name)),
    String(stage.in),
    String(stage.out),
    String(total(stage.dropped)),
    String(total(stage.filtered)),
    String(stage.held),
    [reasons(stage.dropped), reasons(stage.filtered)].filter((text) => text !== '').join('; '),
  ]);
  return textTable([['STAGE', 'IN', 'OUT', 'DROPPED', 'FILTERED', 'HELD', 'WHY'], ...rows], [1, 2, 3, 4, 5]);
}

function sourcePart({ hook, counters, drops, missedRuns = 0, ring }: NonNullable<Stats['source']>): string[] {
  const rows = [
    ['hooks', forTerminal(hook ?? 'none')],
    ['seen', reasons(counters) || 'nothing'],
    ['lost', reasons(drops) || 'nothing'],
    ['missed runs', String(missedRuns)],
    ...(ring === undefined ? [] : [['ring', `${ring.used} of ${ring.size} bytes used`]]),
  ];
  return ['KERNEL', ...textTable(rows)];
}

function inspectorPart(stats: Stats['inspector']): string[] {
  if (stats === undefined) return [];
  const { requests = 0, waiting = 0, hanging = 0, ...results } = stats;
  const rows = [
    ['requests', `${requests}, ${waiting} waiting`],
    ['results', reasons(results) || 'nothing'],
    ['hanging', `${hanging} of 8`],
  ];
  return ['INSPECTOR', ...textTable(rows)];
}

function processesPart(processes: readonly Process[]): string[] {
  if (processes.length === 0) return [];
  const requests = ({ udpRequests, tcpRequests }: Process) => Number(udpRequests) + Number(tcpRequests);
  const sorted = [...processes].sort((a, b) => requests(b) - requests(a)).slice(0, MAX_PROCESSES);
  const rows = sorted.map((process) => [
    String(process.pid),
    shortenMiddle(forTerminal(process.name ?? ''), MAX_NAME),
    String(requests(process)),
    String(process.tcpRequests),
    String(process.requestBytes),
  ]);
  const lines = textTable([['PID', 'PROCESS', 'REQUESTS', 'BY TCP', 'BYTES'], ...rows], [0, 2, 3, 4]);
  const more = processes.length - sorted.length;
  return more > 0 ? [...lines, `and ${more} processes more (--json has all)`] : lines;
}
