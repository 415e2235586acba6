import type { Board, Link } from '../panels.ts';
import { durationBy, errorShareByService, greatest, orNone, prometheusName, rateBy } from '../queries.ts';
import { equal, matches, present, records } from '../records.ts';
import { AT_PLACE, placeVariables, RECORDS_AT_PLACE } from '../variables.ts';

const METRIC = `${AT_PLACE}, service_name=~"$service"`;
const SERVICE = [...RECORDS_AT_PLACE, matches('service.name', '$service')];
const TO_WORKLOAD: Link = {
  title: 'This workload',
  board: 'whodns-workload',
  set: { namespace: 'k8s.namespace.name', service: 'service.name' },
};

/** What is slow and what fails, and at which server. */
export const latency: Board = {
  uid: 'whodns-latency',
  title: 'DNS latency and errors',
  description: 'Where lookups are slow or fail: by service, by kind of error, by name server.',
  variables: placeVariables(
    {
      name: 'service',
      label: 'Service',
      query:
        'label_values(whodns_queries_total{k8s_cluster_name=~"$cluster", host_name=~"$host", k8s_namespace_name=~"$namespace"}, service_name)',
    },
    { name: 'slow', label: 'Slow from (s)', text: '0.5' },
  ),
  panels: [
    {
      kind: 'heatmap',
      title: 'Duration',
      description: 'Lookups per second by duration. A band at 5 s is a resolver that waited and asked again.',
      unit: 's',
      empty: 'No answers in the time range',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `sum by (le) (rate(${prometheusName('dns.lookup.duration')}_bucket{${METRIC}}[$__rate_interval]))`,
          legend: '{{le}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: '99th percentile by service',
      description: 'The ten slowest services. Alert DnsSlow fires at 0.5 s.',
      unit: 's',
      thresholds: [{ at: 0.5, color: 'red' }],
      empty: 'No answers in the time range',
      source: 'metrics',
      width: 12,
      links: [TO_WORKLOAD],
      queries: [
        {
          expression: `topk(10, ${durationBy(0.99, ['k8s.namespace.name', 'service.name'], METRIC)})`,
          legend: '{{service_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Errors',
      description:
        '`timeout` is no answer at all, `unknown` one that whodns itself may have lost (`whodns.outcome.reason` of the records); the others are what the server said.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'error.type',
            rateBy(['error.type'], 'whodns.queries', `${METRIC}, error_type!=""`),
          ),
          legend: '{{error_type}}',
        },
        {
          expression: orNone(
            'whodns.outcome',
            `${rateBy(['whodns.outcome'], 'whodns.queries', `${METRIC}, whodns_outcome!=""`)} > 0`,
          ),
          legend: '{{whodns_outcome}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Share of lookups without an answer',
      description:
        'The ten worst services. Alert DnsTimeouts fires at 5 %. Those whose answer whodns may have lost are not in it.',
      unit: 'percentunit',
      thresholds: [{ at: 0.05, color: 'red' }],
      source: 'metrics',
      width: 12,
      links: [TO_WORKLOAD],
      queries: [
        {
          expression: errorShareByService(METRIC, 'error_type="timeout"'),
          legend: '{{service_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Mean duration by name server',
      description: 'The ten slowest. From the records, since metrics do not name the server.',
      unit: 's',
      empty: 'No answers in the time range',
      source: 'records',
      width: 12,
      queries: [
        {
          records: {
            ...records('whodns.query', ...SERVICE),
            aggregate: { of: 'avg', field: 'dns.lookup.duration', by: ['server.address'], top: 10 },
          },
          legend: '{{server_address}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Lookups without an answer by name server',
      description: 'The ten with most. One server only: that server. All of them: the network.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: {
            ...records('whodns.query', ...SERVICE, equal('error.type', 'timeout')),
            aggregate: { of: 'count', by: ['server.address'], top: 10 },
          },
          legend: '{{server_address}}',
        },
      ],
    },
    {
      kind: 'logs',
      title: 'Slow lookups',
      description: 'Longer than the time above.',
      unit: 'none',
      empty: 'None so slow in the time range',
      source: 'records',
      width: 12,
      height: 10,
      queries: [
        {
          records: records('whodns.query', ...SERVICE, present('dns.lookup.duration'), {
            field: 'dns.lookup.duration',
            is: '>=',
            value: '$slow',
          }),
        },
      ],
    },
    {
      kind: 'logs',
      title: 'Lookups that failed',
      description: 'Without NXDOMAIN, which has a dashboard of its own.',
      unit: 'none',
      empty: 'None failed in the time range',
      source: 'records',
      width: 12,
      height: 10,
      queries: [
        {
          records: records('whodns.query', ...SERVICE, present('error.type'), {
            field: 'error.type',
            is: '!=',
            value: 'NXDOMAIN',
          }),
        },
      ],
    },
  ],
};
