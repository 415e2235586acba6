/** `whodns status` for a terminal: every workload of the node, what holds for it and who said so. */
import { shortenEnd, shortenMiddle } from '../lib/display-width.ts';
import { forTerminal } from '../lib/escape.ts';
import type { WorkloadStatus } from '../visibility/workload.ts';
import { textTable } from './text-table.ts';

const SHORT_ID = 12;
/** Names can be as long as Kubernetes lets them (253 characters): a table is for a terminal, --format json has all of it. */
const COLUMNS: readonly {
  readonly title: string;
  readonly max: number;
  readonly cut: (text: string, width: number) => string;
}[] = [
  { title: 'WORKLOAD', max: 60, cut: shortenMiddle },
  { title: 'CONTAINER', max: SHORT_ID, cut: shortenEnd },
  { title: 'LEVEL', max: 7, cut: shortenEnd },
  { title: 'DECIDED BY', max: 13, cut: shortenEnd },
  { title: 'BECAUSE OF', max: 50, cut: shortenEnd },
  { title: 'ENFORCED BY', max: 11, cut: shortenEnd },
];

export function visibilityTable(answer: unknown): string {
  const workloads = workloadsOf(answer);
  const rows = [COLUMNS.map(({ title }) => title), ...workloads.map(cells)];
  return `${[...textTable(rows), '', summary(workloads)].join('\n')}\n`;
}

function workloadsOf(answer: unknown): readonly Partial<WorkloadStatus>[] {
  const { workloads } = (answer ?? {}) as { workloads?: unknown };
  return Array.isArray(workloads)
    ? workloads.filter((each) => typeof each === 'object' && each !== null)
    : [];
}

/** Everything is escaped before it is measured and cut. */
function cells(status: Partial<WorkloadStatus>): string[] {
  const texts = [
    workloadName(status),
    status.containerId?.slice(0, SHORT_ID),
    status.level,
    status.origin,
    status.reason,
    status.enforcedBy,
  ];
  return COLUMNS.map(({ max, cut }, column) => cut(forTerminal(String(texts[column] ?? '')), max));
}

function workloadName({ kind, namespace, pod, container, cgroup }: Partial<WorkloadStatus>): string {
  if (kind === 'host') return 'host processes';
  const names = [namespace, pod, container].filter((part) => part !== undefined);
  return names.length === 0 ? (cgroup ?? '') : names.join('/');
}

function summary(workloads: readonly Partial<WorkloadStatus>[]): string {
  const containers = workloads.filter(({ kind }) => kind !== 'host');
  const of = (level: string) => containers.filter((each) => each.level === level).length;
  return `${containers.length} containers: ${of('on')} on, ${of('metrics')} metrics, ${of('off')} off`;
}
