import type { Board } from '../panels.ts';
import { rateBy, series } from '../queries.ts';
import { matches, records, topRecords } from '../records.ts';

const METRIC = 'host_name=~"$host", process_executable_name=~"$executable", process_pid=~"$pid"';
const PROCESS = [
  matches('host.name', '$host'),
  matches('process.executable.name', '$executable'),
  matches('process.pid', '$pid'),
];

/** One process, or all of one program on one host. */
export const process: Board = {
  uid: 'whodns-process',
  title: 'DNS of one process',
  description: 'Which names one process asks for. Process ids are those of the host.',
  variables: [
    { name: 'host', label: 'Host', query: 'label_values(whodns_process_queries_total, host_name)' },
    {
      name: 'executable',
      label: 'Program',
      query: 'label_values(whodns_process_queries_total{host_name=~"$host"}, process_executable_name)',
    },
    {
      name: 'pid',
      label: 'Process id',
      query:
        'label_values(whodns_process_queries_total{host_name=~"$host", process_executable_name=~"$executable"}, process_pid)',
    },
  ],
  panels: [
    {
      kind: 'timeseries',
      title: 'Requests by process',
      description: "The kernel's own count: exact whatever became of the records. TCP counts segments.",
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `topk(20, ${rateBy(['process.executable.name', 'process.pid'], 'whodns.process.queries', METRIC)})`,
          legend: '{{process_executable_name}} {{process_pid}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Processes',
      description: 'Requests since each process was first seen.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `topk(50, sum by (host_name, process_executable_name, process_pid, process_creation_time, service_name, k8s_pod_name) (${series('whodns.process.queries', METRIC)}))`,
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names',
      description: 'What it asked for, of which server, with what result.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: topRecords(
            50,
            ['dns.question.name', 'dns.question.type', 'dns.response_code', 'server.address'],
            records('whodns.query', ...PROCESS),
          ),
        },
      ],
    },
    {
      kind: 'table',
      title: 'Threads and parents',
      description: 'Who inside the process asked, and which program started it.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: topRecords(
            20,
            ['process.executable.path', 'whodns.thread.name', 'whodns.process.parent.executable.name'],
            records('whodns.query', ...PROCESS),
          ),
        },
      ],
    },
    {
      kind: 'table',
      title: 'Connected to',
      description: 'Where to, and the names that had led there (--connections); no name: unresolved.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: topRecords(
            50,
            ['whodns.connect.names', 'network.peer.address', 'network.peer.port'],
            records('whodns.connect', ...PROCESS),
          ),
        },
      ],
    },
    {
      kind: 'logs',
      title: 'Findings',
      description: 'What the detections found (--detect), newest first.',
      unit: 'none',
      source: 'records',
      width: 12,
      queries: [{ records: records('whodns.finding', ...PROCESS) }],
    },
    {
      kind: 'logs',
      title: 'Lookups',
      description: 'Every lookup, newest first.',
      unit: 'none',
      source: 'records',
      width: 24,
      height: 10,
      queries: [{ records: records('whodns.query', ...PROCESS) }],
    },
  ],
};
