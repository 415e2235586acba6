import type { Board } from '../panels.ts';
import { durationBy, errorShareBy, LOST_RECORDS, rateBy, series, sumBy } from '../queries.ts';
import { present, records, topRecords } from '../records.ts';

/** Everything, from far: is DNS well, and who asks most. */
export const overview: Board = {
  uid: 'whodns-overview',
  title: 'DNS overview',
  description: 'Which services ask DNS, how often, with what result, and how long it takes.',
  variables: [],
  panels: [
    {
      kind: 'stat',
      title: 'Lookups',
      description: 'DNS lookups per second of all hosts.',
      thresholds: [],
      unit: 'reqps',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: rateBy([], 'whodns.queries') }],
    },
    {
      kind: 'stat',
      title: 'Failing',
      description: 'Share of lookups with an error: no answer, NXDOMAIN, SERVFAIL, REFUSED and the like.',
      thresholds: [
        { at: 0.05, color: 'orange' },
        { at: 0.25, color: 'red' },
      ],
      unit: 'percentunit',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: errorShareBy([], '', 'error_type!=""') }],
    },
    {
      kind: 'stat',
      title: '99th percentile',
      description:
        'One lookup in a hundred takes longer, from the first request to the answer. Alert DnsSlow fires at 0.5 s.',
      thresholds: [
        { at: 0.1, color: 'orange' },
        { at: 0.5, color: 'red' },
      ],
      unit: 's',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: durationBy(0.99, []) }],
    },
    {
      kind: 'stat',
      title: 'Lost by whodns',
      description:
        'Records lost in the time range, all hosts and stages. Anything but 0 is explained under "whodns itself".',
      thresholds: [{ at: 1, color: 'red' }],
      unit: 'short',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: `sum(increase(${series('whodns.dropped', LOST_RECORDS)}[$__range]))` }],
    },
    {
      kind: 'timeseries',
      title: 'Lookups by service',
      description: 'The ten services that ask most.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `topk(10, ${rateBy(['service.namespace', 'service.name'], 'whodns.queries')})`,
          legend: '{{service_namespace}} {{service_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Lookups by response code',
      description: 'No code: no answer in time.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        { expression: rateBy(['dns.response_code'], 'whodns.queries'), legend: '{{dns_response_code}}' },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Duration',
      description: 'Quantiles over all services.',
      unit: 's',
      source: 'metrics',
      width: 12,
      queries: [0.5, 0.9, 0.99].map((quantile) => ({
        expression: durationBy(quantile, []),
        legend: `p${quantile * 100}`,
      })),
    },
    {
      kind: 'timeseries',
      title: 'Lookups by record type',
      description: 'A and AAAA come in pairs from most resolvers.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        { expression: rateBy(['dns.question.type'], 'whodns.queries'), legend: '{{dns_question_type}}' },
      ],
    },
    {
      kind: 'table',
      title: 'Programs',
      description: 'The programs that ask most, with their pod where they have one.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: `topk(20, ${rateBy(
            ['host.name', 'process.executable.name', 'k8s.namespace.name', 'k8s.pod.name'],
            'whodns.queries',
          )})`,
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names',
      description: 'The names asked for most in the time range.',
      unit: 'short',
      source: 'records',
      width: 12,
      queries: [{ records: topRecords(20, ['dns.question.name'], records('whodns.query')) }],
    },
    {
      kind: 'timeseries',
      title: 'Findings by rule',
      description:
        'What the detections found (--detect), counted since each agent started: a step is something new. Alert DnsFinding says where.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        { expression: sumBy(['security_rule.name'], 'whodns.findings'), legend: '{{security_rule_name}}' },
      ],
    },
    {
      kind: 'logs',
      title: 'Findings',
      description:
        'Newest first; whodns.finding.record.uid is log.record.uid of the record that each rests on.',
      unit: 'none',
      source: 'records',
      width: 12,
      queries: [{ records: records('whodns.finding') }],
    },
    {
      kind: 'logs',
      title: 'Lookups that failed',
      description: 'Newest first; the details have the process, its container and the answer.',
      unit: 'none',
      source: 'records',
      width: 24,
      queries: [{ records: records('whodns.query', present('error.type')) }],
    },
  ],
};
