import type { Board, Link } from '../panels.ts';
import { byWorkload, greatest, rateBy, sumBy } from '../queries.ts';
import { matches, records, topRecords } from '../records.ts';
import { AT_PLACE, placeVariables, RECORDS_AT_PLACE } from '../variables.ts';

const METRIC = `${AT_PLACE}, process_executable_name=~"$executable", process_pid=~"$pid"`;
const PROCESS = [
  ...RECORDS_AT_PLACE,
  matches('process.executable.name', '$executable'),
  matches('process.pid', '$pid'),
];
const NAMED = matches('dns.question.name', '$name');
const TO_ONE: Link = {
  title: 'This process alone',
  board: 'whodns-process',
  set: { host: 'host.name', executable: 'process.executable.name', pid: 'process.pid' },
};
const TO_WORKLOAD: Link = {
  title: 'Its workload and traces',
  board: 'whodns-workload',
  set: { namespace: 'k8s.namespace.name', service: 'service.name' },
};

/** One process, or all of one program on one host. */
export const process: Board = {
  uid: 'whodns-process',
  title: 'DNS of one process',
  description: 'Which names one process asks for. Process ids are those of the host.',
  variables: placeVariables(
    {
      name: 'executable',
      label: 'Program',
      query:
        'label_values(whodns_process_queries_total{k8s_cluster_name=~"$cluster", host_name=~"$host", k8s_namespace_name=~"$namespace"}, process_executable_name)',
    },
    {
      name: 'pid',
      label: 'Process id',
      query:
        'label_values(whodns_process_queries_total{host_name=~"$host", process_executable_name=~"$executable"}, process_pid)',
    },
    { name: 'name', label: 'Name (regular expression)', text: '.*' },
  ),
  panels: [
    {
      kind: 'timeseries',
      title: 'Requests by process',
      description:
        "The kernel's own count: exact whatever became of the records. TCP counts segments. The ten that ask most.",
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      links: [TO_ONE],
      queries: [
        {
          expression: greatest(
            10,
            'process.executable.name',
            rateBy(['host.name', 'process.executable.name', 'process.pid'], 'whodns.process.queries', METRIC),
          ),
          legend: '{{process_executable_name}} {{process_pid}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Processes',
      description: 'Requests since each process was first seen.',
      unit: 'short',
      empty: 'No process asked in the time range',
      source: 'metrics',
      width: 12,
      columns: {
        place: 'Namespace or host',
        workload: 'Pod or program',
        'process.executable.name': 'Program',
        'process.pid': 'Process id',
        'process.creation.time': 'Started',
      },
      number: 'Requests',
      links: [TO_ONE, TO_WORKLOAD],
      queries: [
        {
          expression: `topk(50, ${byWorkload(
            ['process.executable.name', 'process.pid', 'process.creation.time', 'service.name'],
            (labels) => sumBy(labels, 'whodns.process.queries', METRIC),
          )})`,
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names',
      description: 'What it asked for, of which server, with what result.',
      unit: 'short',
      empty: 'No lookups in the time range',
      source: 'records',
      width: 12,
      columns: {
        'dns.question.name': 'Name',
        'dns.question.type': 'Type',
        'dns.response_code': 'Result',
        'server.address': 'Server',
      },
      number: 'Lookups',
      links: [
        {
          title: 'Lookups of this name, and connections to it',
          board: 'whodns-process',
          set: { name: 'dns.question.name' },
        },
      ],
      queries: [
        {
          records: topRecords(
            50,
            ['dns.question.name', 'dns.question.type', 'dns.response_code', 'server.address'],
            records('whodns.query', ...PROCESS, NAMED),
          ),
        },
      ],
    },
    {
      kind: 'table',
      title: 'Connected to',
      description:
        'Where to, and the names that had led there (--connections); no name: unresolved. With a name chosen: what followed its lookups.',
      unit: 'short',
      empty: 'No connections in the time range (--connections)',
      source: 'records',
      width: 12,
      columns: {
        'whodns.connect.names': 'Names',
        'network.peer.address': 'Address',
        'network.peer.port': 'Port',
        'process.pid': 'Process id',
      },
      number: 'Connections',
      links: [{ title: 'This process alone', board: 'whodns-process', set: { pid: 'process.pid' } }],
      queries: [
        {
          records: topRecords(
            50,
            ['whodns.connect.names', 'network.peer.address', 'network.peer.port', 'process.pid'],
            records('whodns.connect', ...PROCESS, matches('whodns.connect.names', '(.*\\W)?$name(\\W.*)?')),
          ),
        },
      ],
    },
    {
      kind: 'table',
      title: 'Threads and parents',
      description: 'Who inside the process asked, and which program started it.',
      unit: 'short',
      empty: 'No lookups in the time range',
      source: 'records',
      width: 12,
      columns: {
        'process.executable.path': 'Program',
        'whodns.thread.name': 'Thread',
        'whodns.process.parent.executable.name': 'Parent',
        'process.pid': 'Process id',
      },
      number: 'Lookups',
      links: [{ title: 'This process alone', board: 'whodns-process', set: { pid: 'process.pid' } }],
      queries: [
        {
          records: topRecords(
            20,
            [
              'process.executable.path',
              'whodns.thread.name',
              'whodns.process.parent.executable.name',
              'process.pid',
            ],
            records('whodns.query', ...PROCESS, NAMED),
          ),
        },
      ],
    },
    {
      kind: 'logs',
      title: 'Findings',
      description: 'What the detections found (--detect), newest first.',
      unit: 'none',
      empty: 'No findings in the time range',
      source: 'records',
      width: 12,
      queries: [{ records: records('whodns.finding', ...PROCESS) }],
    },
    {
      kind: 'logs',
      title: 'Lookups',
      description:
        'Every lookup, newest first. From the details of one to its trace, and to the connections to its name.',
      unit: 'none',
      empty: 'No lookups in the time range',
      source: 'records',
      width: 24,
      height: 10,
      queries: [{ records: records('whodns.query', ...PROCESS, NAMED) }],
    },
  ],
};
