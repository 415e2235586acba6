import type { Board } from '../panels.ts';
import { errorShareBy, rateBy, records, topRecords } from '../queries.ts';

const METRIC = 'service_name=~"$service"';
const MISSING = 'dns_response_code="NXDOMAIN"';
const STREAM = 'service_name=~".+", service_name=~"$service"';
/** Names that end in a search domain after something that already was a name: `api.example.com.default.svc.cluster.local`. */
const SEARCHED = `| ${MISSING} | dns_question_name=~"(?i).+\\\\..+\\\\.($search)"`;

/** Lookups for names that do not exist, most of them made by the resolver's search list. */
export const nxdomain: Board = {
  uid: 'whodns-nxdomain',
  title: 'NXDOMAIN and search domains',
  description:
    'Lookups for names that do not exist. With ndots:5 a name with fewer dots is tried with every search domain first: up to four wasted lookups, times two for AAAA, for each useful one.',
  variables: [
    { name: 'service', label: 'Service', query: 'label_values(whodns_queries_total, service_name)' },
    {
      name: 'search',
      label: 'Search domains (regular expression)',
      text: 'svc[.]cluster[.]local|cluster[.]local|ec2[.]internal|internal|localdomain|lan',
    },
  ],
  panels: [
    {
      kind: 'stat',
      title: 'Wasted',
      description: 'Share of lookups answered NXDOMAIN.',
      unit: 'percentunit',
      source: 'prometheus',
      width: 6,
      height: 4,
      queries: [{ expression: errorShareBy([], METRIC, MISSING) }],
    },
    {
      kind: 'stat',
      title: 'NXDOMAIN',
      description: 'Lookups per second for names that do not exist.',
      unit: 'reqps',
      source: 'prometheus',
      width: 6,
      height: 4,
      queries: [{ expression: rateBy([], 'whodns.queries', `${METRIC}, ${MISSING}`) }],
    },
    {
      kind: 'stat',
      title: 'Made by search domains',
      description: 'Lookups in the time range for a complete name with a search domain behind it.',
      unit: 'short',
      source: 'loki',
      width: 12,
      height: 4,
      queries: [{ expression: `sum(count_over_time(${records(STREAM, SEARCHED)} [$__range]))` }],
    },
    {
      kind: 'timeseries',
      title: 'Share of NXDOMAIN by service',
      description: 'Alert DnsSearchDomainWaste fires at half.',
      unit: 'percentunit',
      source: 'prometheus',
      width: 12,
      queries: [{ expression: errorShareBy(['service.name'], METRIC, MISSING), legend: '{{service_name}}' }],
    },
    {
      kind: 'timeseries',
      title: 'NXDOMAIN by program',
      description: 'The ten programs that ask most for names that do not exist.',
      unit: 'reqps',
      source: 'prometheus',
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
      title: 'Names tried with a search domain',
      description: 'Write these with a dot at the end, or lower ndots for the pods that ask.',
      unit: 'short',
      source: 'loki',
      width: 12,
      queries: [{ expression: topRecords(50, ['service.name', 'dns.question.name'], STREAM, SEARCHED) }],
    },
    {
      kind: 'table',
      title: 'Other names that do not exist',
      description: 'Typing errors, names that are gone, and software that tries random names.',
      unit: 'short',
      source: 'loki',
      width: 12,
      queries: [
        {
          expression: topRecords(
            50,
            ['service.name', 'dns.question.name'],
            STREAM,
            `| ${MISSING} | dns_question_name!~"(?i).+\\\\..+\\\\.($search)"`,
          ),
        },
      ],
    },
  ],
};
