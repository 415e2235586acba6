import type { Board } from '../panels.ts';
import { errorShareBy, rateBy } from '../queries.ts';
import { absent, equal, matches, records, topRecords } from '../records.ts';

const METRIC = 'service_name=~"$service"';
const MISSING = 'dns_response_code="NXDOMAIN"';
const SERVICE = matches('service.name', '$service');

const wastedShareBy = (labels: readonly string[]) =>
  `${rateBy(labels, 'whodns.search.wasted', METRIC)} / ${rateBy(labels, 'whodns.queries', METRIC)}`;

/** Lookups for names that do not exist, most of them made by the resolver's search list. */
export const nxdomain: Board = {
  uid: 'whodns-nxdomain',
  title: 'NXDOMAIN and search domains',
  description:
    'Lookups for names that do not exist. With ndots:5 a name with fewer dots is tried with every search domain first: up to four wasted lookups, times two for AAAA, for each useful one.',
  variables: [
    { name: 'service', label: 'Service', query: 'label_values(whodns_queries_total, service_name)' },
  ],
  panels: [
    {
      kind: 'stat',
      title: 'Wasted by search domains',
      description:
        'Share of lookups that the search list of resolv.conf made and that brought nothing. Alert DnsSearchDomainWaste fires at 30 %.',
      thresholds: [
        { at: 0.1, color: 'orange' },
        { at: 0.3, color: 'red' },
      ],
      unit: 'percentunit',
      source: 'metrics',
      width: 8,
      height: 4,
      queries: [{ expression: wastedShareBy([]) }],
    },
    {
      kind: 'stat',
      title: 'NXDOMAIN',
      description: 'Share of lookups answered NXDOMAIN, whatever made them.',
      thresholds: [{ at: 0.2, color: 'orange' }],
      unit: 'percentunit',
      source: 'metrics',
      width: 8,
      height: 4,
      queries: [{ expression: errorShareBy([], METRIC, MISSING) }],
    },
    {
      kind: 'stat',
      title: 'Wasted lookups',
      description: 'Lookups per second that the search list made and that brought nothing.',
      thresholds: [],
      unit: 'reqps',
      source: 'metrics',
      width: 8,
      height: 4,
      queries: [{ expression: rateBy([], 'whodns.search.wasted', METRIC) }],
    },
    {
      kind: 'timeseries',
      title: 'Share wasted by service',
      description: 'Alert DnsSearchDomainWaste fires at 30 %.',
      unit: 'percentunit',
      source: 'metrics',
      width: 12,
      queries: [{ expression: wastedShareBy(['service.name']), legend: '{{service_name}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Share of NXDOMAIN by service',
      description: 'Alert DnsNamesMissing fires where it is 20 % more than what search domains waste.',
      unit: 'percentunit',
      source: 'metrics',
      width: 12,
      queries: [{ expression: errorShareBy(['service.name'], METRIC, MISSING), legend: '{{service_name}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Wasted by program',
      description: 'The ten programs whose search lists waste most.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `topk(10, ${rateBy(['k8s.namespace.name', 'process.executable.name'], 'whodns.search.wasted', METRIC)})`,
          legend: '{{k8s_namespace_name}} {{process_executable_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'NXDOMAIN by program',
      description: 'The ten programs that ask most for names that do not exist.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `topk(10, ${rateBy(['k8s.namespace.name', 'process.executable.name'], 'whodns.queries', `${METRIC}, ${MISSING}`)})`,
          legend: '{{k8s_namespace_name}} {{process_executable_name}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names that cost most',
      description:
        'Lookups in vain by the name that the program asked its resolver for. Write it with a dot at the end, or lower ndots for the pods that ask.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: {
            ...records('whodns.query', SERVICE),
            aggregate: {
              of: 'sum',
              field: 'whodns.search.wasted',
              by: ['service.name', 'whodns.search.base'],
              top: 50,
            },
          },
        },
      ],
    },
    {
      kind: 'table',
      title: 'Other names that do not exist',
      description: 'Typing errors, names that are gone, and software that tries random names.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [
        {
          records: topRecords(
            50,
            ['service.name', 'dns.question.name'],
            records(
              'whodns.query',
              SERVICE,
              equal('dns.response_code', 'NXDOMAIN'),
              absent('whodns.search.base'),
            ),
          ),
        },
      ],
    },
  ],
};
