import { TO_PROCESS, TO_WORKLOAD } from '../links.ts';
import type { Board, Link } from '../panels.ts';
import {
  byWorkload,
  errorShare,
  errorShareByService,
  greatest,
  ofService,
  orZero,
  rateBy,
  share,
} from '../queries.ts';
import { absent, equal, matches, records, topRecords } from '../records.ts';
import { AT_PLACE, placeVariables, RECORDS_AT_PLACE } from '../variables.ts';

const METRIC = `${AT_PLACE}, service_name=~"$service"`;
const MISSING = 'dns_response_code="NXDOMAIN"';
const SERVICE = [...RECORDS_AT_PLACE, matches('service.name', '$service')];
const BY_SERVICE = ['service.name', 'k8s.namespace.name'];

/** Of records, which may have no namespace. */
const TO_SERVICE: Link = { ...TO_WORKLOAD, set: { service: 'service.name' } };

/** Lookups for names that do not exist, most of them made by the resolver's search list. */
export const nxdomain: Board = {
  uid: 'whodns-nxdomain',
  title: 'NXDOMAIN and search domains',
  description:
    'Lookups for names that do not exist. With ndots:5 a name with fewer dots is tried with every search domain first: up to four wasted lookups, times two for AAAA, for each useful one.',
  variables: placeVariables({
    name: 'service',
    label: 'Service',
    query:
      'label_values(whodns_queries_total{k8s_cluster_name=~"$cluster", host_name=~"$host", k8s_namespace_name=~"$namespace"}, service_name)',
  }),
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
      queries: [
        {
          expression: share(rateBy([], 'whodns.search.wasted', METRIC), rateBy([], 'whodns.queries', METRIC)),
        },
      ],
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
      queries: [{ expression: errorShare(METRIC, MISSING) }],
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
      queries: [{ expression: orZero(rateBy([], 'whodns.search.wasted', METRIC)) }],
    },
    {
      kind: 'timeseries',
      title: 'Share wasted by service',
      description: 'The ten greatest. Alert DnsSearchDomainWaste fires at 30 %.',
      unit: 'percentunit',
      thresholds: [{ at: 0.3, color: 'orange' }],
      source: 'metrics',
      width: 12,
      links: [TO_WORKLOAD],
      queries: [
        {
          expression: greatest(
            10,
            'service.name',
            ofService(
              `${rateBy(BY_SERVICE, 'whodns.search.wasted', METRIC)} / ${rateBy(BY_SERVICE, 'whodns.queries', METRIC)}`,
            ),
          ),
          legend: '{{service_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Share of NXDOMAIN by service',
      description:
        'The ten greatest. Alert DnsNamesMissing fires where it is 20 % more than what search domains waste.',
      unit: 'percentunit',
      source: 'metrics',
      width: 12,
      links: [TO_WORKLOAD],
      queries: [{ expression: errorShareByService(METRIC, MISSING), legend: '{{service_name}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Wasted by pod and program',
      description: 'The ten whose search lists waste most.',
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
      kind: 'timeseries',
      title: 'NXDOMAIN by pod and program',
      description: 'The ten that ask most for names that do not exist.',
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
              rateBy(labels, 'whodns.queries', `${METRIC}, ${MISSING}`),
            ),
          ),
          legend: '{{place}} {{workload}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names that cost most',
      description:
        'Lookups in vain by the name that the program asked its resolver for. Write it with a dot at the end, or lower ndots for the pods that ask.',
      unit: 'short',
      empty: 'Nothing wasted in the time range',
      columns: {
        'whodns.search.base': 'Name',
        'service.name': 'Service',
        'k8s.namespace.name': 'Namespace',
      },
      number: 'Wasted',
      links: [TO_SERVICE],
      source: 'records',
      width: 12,
      queries: [
        {
          records: {
            ...records('whodns.query', ...SERVICE),
            aggregate: {
              of: 'sum',
              field: 'whodns.search.wasted',
              by: [...BY_SERVICE, 'whodns.search.base'],
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
      empty: 'None in the time range',
      columns: { 'dns.question.name': 'Name', 'service.name': 'Service', 'k8s.namespace.name': 'Namespace' },
      number: 'Lookups',
      links: [TO_SERVICE],
      source: 'records',
      width: 12,
      queries: [
        {
          records: topRecords(
            50,
            [...BY_SERVICE, 'dns.question.name'],
            records(
              'whodns.query',
              ...SERVICE,
              equal('dns.response_code', 'NXDOMAIN'),
              absent('whodns.search.base'),
            ),
          ),
        },
      ],
    },
  ],
};
