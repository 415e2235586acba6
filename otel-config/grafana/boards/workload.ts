import { TO_PROCESS } from '../links.ts';
import type { Board, Link } from '../panels.ts';
import { byWorkload, durationBy, greatest, orNone, rateBy, rateByResult } from '../queries.ts';
import { matches, records, topRecords } from '../records.ts';
import { AT_PLACE, placeVariables, RECORDS_AT_PLACE } from '../variables.ts';

const METRIC = `${AT_PLACE}, service_name=~"$service"`;
const WORKLOAD = [...RECORDS_AT_PLACE, matches('service.name', '$service')];
const TO_ONE_PROCESS: Link = {
  title: 'This process',
  board: 'whodns-process',
  set: { ...TO_PROCESS.set, pid: 'process.pid' },
};

/** One service or namespace. */
export const workload: Board = {
  uid: 'whodns-workload',
  title: 'DNS of one workload',
  description: 'What one service (or one namespace) asks, pod by pod, beside its traces.',
  variables: placeVariables({
    name: 'service',
    label: 'Service',
    query:
      'label_values(whodns_queries_total{k8s_cluster_name=~"$cluster", host_name=~"$host", k8s_namespace_name=~"$namespace"}, service_name)',
  }),
  panels: [
    {
      kind: 'timeseries',
      title: 'Lookups by result',
      description: 'The response code; `timeout`: no answer in time, `unknown`: whodns may have lost it.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [{ expression: orNone('result', rateByResult(METRIC)), legend: '{{result}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Lookups by pod and program',
      description:
        'The ten that ask most. One pod asking far more than its siblings is usually a cache that does not work.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      links: [TO_PROCESS],
      queries: [
        {
          expression: greatest(
            10,
            'workload',
            byWorkload(['process.executable.name'], (labels) => rateBy(labels, 'whodns.queries', METRIC)),
          ),
          legend: '{{place}} {{workload}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Duration',
      description:
        'Quantiles of the time from the first request to the answer; the five slowest services. Alert DnsSlow fires at 0.5 s.',
      unit: 's',
      thresholds: [{ at: 0.5, color: 'red' }],
      empty: 'No answers in the time range',
      source: 'metrics',
      width: 12,
      queries: [0.5, 0.99].map((quantile) => ({
        expression: `topk(5, ${durationBy(quantile, ['service.name'], METRIC)})`,
        legend: `{{service_name}} p${quantile * 100}`,
      })),
    },
    {
      kind: 'timeseries',
      title: 'Wasted by search domains',
      description:
        'Lookups that the search list made and that brought nothing. See "NXDOMAIN and search domains".',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      links: [TO_PROCESS],
      queries: [
        {
          expression: greatest(
            10,
            'workload',
            byWorkload(['process.executable.name'], (labels) =>
              rateBy(labels, 'whodns.search.wasted', METRIC),
            ),
          ),
          legend: '{{place}} {{workload}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Processes',
      description: 'Who asks in it. Requests per second as the kernel counts them.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      columns: {
        place: 'Namespace or host',
        workload: 'Pod or program',
        'process.executable.name': 'Program',
        'process.pid': 'Process id',
      },
      number: 'Requests/s',
      links: [TO_ONE_PROCESS],
      queries: [
        {
          expression: `topk(20, ${byWorkload(['process.executable.name', 'process.pid'], (labels) =>
            rateBy(labels, 'whodns.process.queries', METRIC),
          )})`,
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names',
      description: 'Names and results in the time range.',
      unit: 'short',
      empty: 'No lookups in the time range',
      source: 'records',
      width: 12,
      columns: {
        'dns.question.name': 'Name',
        'dns.response_code': 'Result',
        'process.executable.name': 'Program',
      },
      number: 'Lookups',
      links: [
        {
          title: 'Records of this name',
          board: 'whodns-process',
          set: { executable: 'process.executable.name', name: 'dns.question.name' },
        },
      ],
      queries: [
        {
          records: topRecords(
            50,
            ['dns.question.name', 'dns.response_code', 'process.executable.name'],
            records('whodns.query', ...WORKLOAD),
          ),
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Connections',
      description:
        'TCP connections begun (--connections). Unresolved true: no lookup that whodns saw had led to the address.',
      unit: 'cps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: orNone(
            'whodns.unresolved',
            rateBy(['whodns.unresolved'], 'whodns.connections', METRIC),
          ),
          legend: 'unresolved {{whodns_unresolved}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Connected to',
      description: 'Where to, and the names that had led there (--connections); no name: unresolved.',
      unit: 'short',
      empty: 'No connections in the time range (--connections)',
      source: 'records',
      width: 12,
      columns: {
        'whodns.connect.names': 'Names',
        'network.peer.address': 'Address',
        'network.peer.port': 'Port',
        'process.executable.name': 'Program',
      },
      number: 'Connections',
      links: [
        { title: 'Its processes', board: 'whodns-process', set: { executable: 'process.executable.name' } },
      ],
      queries: [
        {
          records: topRecords(
            50,
            ['whodns.connect.names', 'network.peer.address', 'network.peer.port', 'process.executable.name'],
            records('whodns.connect', ...WORKLOAD),
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
      queries: [{ records: records('whodns.finding', ...WORKLOAD) }],
    },
    {
      kind: 'traces',
      title: 'Traces of the service',
      description: 'The same service.name as in the records: that is what joins the two.',
      unit: 'none',
      empty: 'No traces of the service in the time range',
      source: 'traces',
      width: 12,
      queries: [{ service: '$service' }],
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
      queries: [{ records: records('whodns.query', ...WORKLOAD) }],
    },
  ],
};
