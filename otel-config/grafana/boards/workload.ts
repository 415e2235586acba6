import type { Board } from '../panels.ts';
import { durationBy, rateBy } from '../queries.ts';
import { matches, records, topRecords } from '../records.ts';

const METRIC = 'k8s_namespace_name=~"$namespace", service_name=~"$service"';
const WORKLOAD = [matches('service.name', '$service'), matches('k8s.namespace.name', '$namespace')];

/** One service or namespace. */
export const workload: Board = {
  uid: 'whodns-workload',
  title: 'DNS of one workload',
  description: 'What one service (or one namespace) asks, pod by pod, beside its traces.',
  variables: [
    {
      name: 'namespace',
      label: 'Namespace',
      query: 'label_values(whodns_queries_total, k8s_namespace_name)',
    },
    {
      name: 'service',
      label: 'Service',
      query: 'label_values(whodns_queries_total{k8s_namespace_name=~"$namespace"}, service_name)',
    },
  ],
  panels: [
    {
      kind: 'timeseries',
      title: 'Lookups by response code',
      description: 'No code: no answer in time.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: rateBy(['dns.response_code'], 'whodns.queries', METRIC),
          legend: '{{dns_response_code}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Lookups by pod and program',
      description: 'One pod asking far more than its siblings is usually a cache that does not work.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: rateBy(['k8s.pod.name', 'process.executable.name'], 'whodns.queries', METRIC),
          legend: '{{k8s_pod_name}} {{process_executable_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Duration',
      description: 'Quantiles of the time from the first request to the answer.',
      unit: 's',
      source: 'metrics',
      width: 12,
      queries: [0.5, 0.99].map((quantile) => ({
        expression: durationBy(quantile, ['service.name'], METRIC),
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
      queries: [
        {
          expression: rateBy(['k8s.pod.name', 'process.executable.name'], 'whodns.search.wasted', METRIC),
          legend: '{{k8s_pod_name}} {{process_executable_name}}',
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
          expression: rateBy(['whodns.unresolved'], 'whodns.connections', METRIC),
          legend: 'unresolved {{whodns_unresolved}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names',
      description: 'Names and results in the time range.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: topRecords(
            50,
            ['dns.question.name', 'dns.response_code'],
            records('whodns.query', ...WORKLOAD),
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
      source: 'records',
      width: 12,
      queries: [{ records: records('whodns.finding', ...WORKLOAD) }],
    },
    {
      kind: 'traces',
      title: 'Traces of the service',
      description: 'The same service.name as in the records: that is what joins the two.',
      unit: 'none',
      source: 'traces',
      width: 12,
      queries: [{ service: '$service' }],
    },
    {
      kind: 'logs',
      title: 'Lookups',
      description: 'Every lookup, newest first.',
      unit: 'none',
      source: 'records',
      width: 24,
      height: 10,
      queries: [{ records: records('whodns.query', ...WORKLOAD) }],
    },
  ],
};
