import { TO_PROCESS, TO_WORKLOAD } from '../links.ts';
import type { Board } from '../panels.ts';
import {
  byWorkload,
  durationBy,
  errorShare,
  greatest,
  increaseOf,
  LOST_RECORDS,
  ofService,
  orNone,
  orZero,
  rateBy,
  rateByResult,
  sumBy,
} from '../queries.ts';
import { present, records, topRecords } from '../records.ts';
import { AT_PLACE, ON_HOST, placeVariables, RECORDS_AT_PLACE } from '../variables.ts';

/** Everything, from far: is DNS well, and who asks most. */
export const overview: Board = {
  uid: 'whodns-overview',
  title: 'DNS overview',
  description: 'Which services ask DNS, how often, with what result, and how long it takes.',
  variables: placeVariables(),
  panels: [
    {
      kind: 'stat',
      title: 'Lookups',
      description: 'DNS lookups per second.',
      thresholds: [],
      unit: 'reqps',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: orZero(rateBy([], 'whodns.queries', AT_PLACE)) }],
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
      queries: [{ expression: errorShare(AT_PLACE, 'error_type!=""') }],
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
      empty: 'no answers',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: durationBy(0.99, [], AT_PLACE) }],
    },
    {
      kind: 'stat',
      title: 'Lost by whodns',
      description:
        'Records lost in the time range, all stages. Anything but 0 is explained under "whodns itself".',
      thresholds: [{ at: 1, color: 'red' }],
      unit: 'short',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: increaseOf('whodns.dropped', `${ON_HOST}, ${LOST_RECORDS}`) }],
    },
    {
      kind: 'timeseries',
      title: 'Lookups by service',
      description: 'The ten services that ask most.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      links: [TO_WORKLOAD],
      queries: [
        {
          expression: greatest(
            10,
            'service.name',
            ofService(rateBy(['k8s.namespace.name', 'service.name'], 'whodns.queries', AT_PLACE)),
          ),
          legend: '{{service_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Lookups by result',
      description: 'The response code; `timeout`: no answer in time, `unknown`: whodns may have lost it.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [{ expression: orNone('result', rateByResult(AT_PLACE)), legend: '{{result}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Duration',
      description: 'Quantiles over all services.',
      unit: 's',
      empty: 'No answers in the time range',
      source: 'metrics',
      width: 12,
      queries: [0.5, 0.9, 0.99].map((quantile) => ({
        expression: durationBy(quantile, [], AT_PLACE),
        legend: `p${quantile * 100}`,
      })),
    },
    {
      kind: 'timeseries',
      title: 'Lookups by record type',
      description: 'The ten most frequent. A and AAAA come in pairs from most resolvers.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'dns.question.type',
            rateBy(['dns.question.type'], 'whodns.queries', AT_PLACE),
          ),
          legend: '{{dns_question_type}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Who asks most',
      description: 'By pod where there is one, else by program and host.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      columns: { place: 'Namespace or host', workload: 'Pod or program', 'service.name': 'Service' },
      number: 'Lookups/s',
      links: [TO_WORKLOAD, TO_PROCESS],
      queries: [
        {
          expression: `topk(20, ${byWorkload(['service.name', 'process.executable.name'], (labels) =>
            rateBy(labels, 'whodns.queries', AT_PLACE),
          )})`,
        },
      ],
    },
    {
      kind: 'table',
      title: 'Names',
      description: 'The names asked for most in the time range, and by which service.',
      unit: 'short',
      empty: 'No lookups in the time range',
      source: 'records',
      width: 12,
      columns: { 'dns.question.name': 'Name', 'service.name': 'Service', 'k8s.namespace.name': 'Namespace' },
      number: 'Lookups',
      links: [{ ...TO_WORKLOAD, set: { service: 'service.name' } }],
      queries: [
        {
          records: topRecords(
            20,
            ['dns.question.name', 'service.name', 'k8s.namespace.name'],
            records('whodns.query', ...RECORDS_AT_PLACE),
          ),
        },
      ],
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
        {
          expression: greatest(
            10,
            'security_rule.name',
            sumBy(['security_rule.name'], 'whodns.findings', AT_PLACE),
          ),
          legend: '{{security_rule_name}}',
        },
      ],
    },
    {
      kind: 'logs',
      title: 'Findings',
      description:
        'Newest first; whodns.finding.record.uid is log.record.uid of the record that each rests on.',
      unit: 'none',
      empty: 'No findings in the time range',
      source: 'records',
      width: 12,
      queries: [{ records: records('whodns.finding', ...RECORDS_AT_PLACE) }],
    },
    {
      kind: 'logs',
      title: 'Lookups that failed',
      description: 'Newest first; the details have the process, its container and the answer.',
      unit: 'none',
      empty: 'None failed in the time range',
      source: 'records',
      width: 24,
      queries: [{ records: records('whodns.query', ...RECORDS_AT_PLACE, present('error.type')) }],
    },
  ],
};
