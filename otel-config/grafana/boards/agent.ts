import type { Board } from '../panels.ts';
import { greatest, increaseOf, LOST_RECORDS, orNone, orZero, rateBy, series, sumBy } from '../queries.ts';
import { records } from '../records.ts';
import { ON_HOST as HOST, placeVariables, RECORDS_AT_PLACE } from '../variables.ts';

/** Does whodns itself see everything and get rid of it? */
export const agent: Board = {
  uid: 'whodns-agent',
  title: 'whodns itself',
  description: 'What was captured, what was lost, where and why. All counts are exact.',
  variables: placeVariables(),
  panels: [
    {
      kind: 'stat',
      title: 'Agents',
      description: 'Those that report, one on each host.',
      thresholds: [],
      unit: 'short',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: orZero(`count(${series('whodns.ring.size', HOST)})`) }],
    },
    {
      kind: 'stat',
      title: 'Lost',
      description: 'Records lost in the time range, as WhodnsLosesRecords counts them.',
      thresholds: [{ at: 1, color: 'red' }],
      unit: 'short',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: increaseOf('whodns.dropped', `${HOST}, ${LOST_RECORDS}`) }],
    },
    {
      kind: 'stat',
      title: 'Fullest ring',
      description:
        'The kernel ring of the host where it is fullest. Alert WhodnsRingNearlyFull fires at 50 %.',
      thresholds: [
        { at: 0.25, color: 'orange' },
        { at: 0.5, color: 'red' },
      ],
      unit: 'percentunit',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [
        {
          expression: orZero(
            `max(${series('whodns.ring.used', HOST)} / ${series('whodns.ring.size', HOST)})`,
          ),
        },
      ],
    },
    {
      kind: 'stat',
      title: 'Skipped program runs',
      description:
        'Times the kernel did not run a capture program because it was running already on that CPU.',
      thresholds: [{ at: 1, color: 'orange' }],
      unit: 'short',
      source: 'metrics',
      width: 6,
      height: 4,
      queries: [{ expression: increaseOf('whodns.kernel.missed_runs', HOST) }],
    },
    {
      kind: 'timeseries',
      title: 'Lost by stage and reason',
      description:
        'The ten greatest. What each reason means and costs: docs/runbook.md. Not only records: answers, details and findings too.',
      unit: 'recps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'whodns.stage',
            rateBy(['host.name', 'whodns.stage', 'whodns.reason'], 'whodns.dropped', HOST),
          ),
          legend: '{{host_name}} {{whodns_stage}} {{whodns_reason}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Left out on purpose',
      description: 'The ten greatest: not DNS, folded into another record, or switched off.',
      unit: 'recps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'whodns.stage',
            rateBy(['whodns.stage', 'whodns.reason'], 'whodns.filtered', HOST),
          ),
          legend: '{{whodns_stage}} {{whodns_reason}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Held by stage',
      description:
        'The ten greatest: requests waiting for an answer, records waiting for export. What only grows will be lost.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(10, 'whodns.stage', sumBy(['host.name', 'whodns.stage'], 'whodns.held', HOST)),
          legend: '{{host_name}} {{whodns_stage}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Kernel ring',
      description:
        'Share in use, of the ten hosts where it is greatest. User space is woken at a quarter. Alert WhodnsRingNearlyFull fires at 50 %.',
      unit: 'percentunit',
      thresholds: [{ at: 0.5, color: 'red' }],
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: orNone(
            'host.name',
            `topk(10, max by (host_name) (${series('whodns.ring.used', HOST)} / ${series('whodns.ring.size', HOST)}))`,
          ),
          legend: '{{host_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Kernel events',
      description: 'What the kernel programs saw, by kind: the ten most frequent.',
      unit: 'cps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'whodns.kernel.event',
            rateBy(['whodns.kernel.event'], 'whodns.kernel.events', HOST),
          ),
          legend: '{{whodns_kernel_event}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Bytes a batch',
      description: 'Small batches at a high rate mean wake-ups cost more than records.',
      unit: 'bytes',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'host.name',
            `${rateBy(['host.name'], 'whodns.batch.bytes', HOST)} / ${rateBy(['host.name'], 'whodns.batches', HOST)}`,
          ),
          legend: '{{host_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Waiting for export',
      description: 'Records in memory and in the spool. Grows while the destination is away.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'host.name',
            sumBy(['host.name', 'otel.component.name'], 'otel.sdk.processor.log.queue.size', HOST),
          ),
          legend: '{{host_name}} {{otel_component_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Spool',
      description: 'Bytes on disk (--spool). At --spool-bytes the oldest are dropped.',
      unit: 'bytes',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(10, 'host.name', sumBy(['host.name'], 'whodns.spool.size', HOST)),
          legend: '{{host_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Memory',
      description: 'Resident memory of the agent; the kernel ring counts twice in it.',
      unit: 'bytes',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(10, 'host.name', sumBy(['host.name'], 'process.memory.usage', HOST)),
          legend: '{{host_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'CPU',
      description: 'Seconds of CPU time a second: 1 is one CPU.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(10, 'host.name', rateBy(['host.name', 'cpu.mode'], 'process.cpu.time', HOST)),
          legend: '{{host_name}} {{cpu_mode}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Sources of names connected',
      description:
        'The Kubernetes API (or kubelet) and container runtimes, the ten lowest. 0: what was known last is told, and alert WhodnsMetadataGone fires.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: orNone(
            'whodns.kubernetes.source',
            `bottomk(10, ${sumBy(['host.name', 'whodns.kubernetes.source'], 'whodns.kubernetes.connected', HOST)})`,
          ),
          legend: '{{host_name}} {{whodns_kubernetes_source}}',
        },
        {
          expression: orNone(
            'whodns.metadata.source',
            `bottomk(10, ${sumBy(['host.name', 'whodns.metadata.source'], 'whodns.metadata.connected', HOST)})`,
          ),
          legend: '{{host_name}} {{whodns_metadata_source}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Pods known',
      description: 'Pods of the node in memory.',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(10, 'host.name', sumBy(['host.name'], 'whodns.kubernetes.pods', HOST)),
          legend: '{{host_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Kubernetes requests',
      description: '`list` and `watch` are as should be; the others say why a request failed.',
      unit: 'reqps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'whodns.kubernetes.source',
            rateBy(
              ['whodns.kubernetes.source', 'whodns.kubernetes.outcome'],
              'whodns.kubernetes.requests',
              HOST,
            ),
          ),
          legend: '{{whodns_kubernetes_source}} {{whodns_kubernetes_outcome}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Container metadata',
      description:
        'What the runtimes reported. Source `containers`: lookups that waited for their container; `timeout` went out without its name.',
      unit: 'cps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'whodns.metadata.source',
            rateBy(['whodns.metadata.source', 'whodns.metadata.event'], 'whodns.metadata.events', HOST),
          ),
          legend: '{{whodns_metadata_source}} {{whodns_metadata_event}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'DNS cache',
      description: 'Questions kept, and the names and addresses in all their trees (--dnscache).',
      unit: 'short',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(10, 'host.name', sumBy(['host.name'], 'whodns.dnscache.trees', HOST)),
          legend: '{{host_name}} questions',
        },
        {
          expression: greatest(10, 'host.name', sumBy(['host.name'], 'whodns.dnscache.nodes', HOST)),
          legend: '{{host_name}} nodes',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'DNS cache asked, removed, refused',
      description:
        'Many `miss`: connections to addresses that no lookup led to. `evicted`, `full`: it is too small.',
      unit: 'cps',
      source: 'metrics',
      width: 12,
      queries: [
        {
          expression: greatest(
            10,
            'whodns.dnscache.result',
            rateBy(['whodns.dnscache.result'], 'whodns.dnscache.lookups', HOST),
          ),
          legend: '{{whodns_dnscache_result}}',
        },
        {
          expression: greatest(
            10,
            'whodns.reason',
            rateBy(['whodns.reason'], 'whodns.dnscache.removed', HOST),
          ),
          legend: '{{whodns_reason}}',
        },
        {
          expression: greatest(
            10,
            'whodns.reason',
            rateBy(['whodns.reason'], 'whodns.dnscache.refused', HOST),
          ),
          legend: '{{whodns_reason}}',
        },
      ],
    },
    {
      kind: 'logs',
      title: 'Changes of who is captured',
      description: 'Containers switched on, off or to metrics by annotations and flags, and what said so.',
      unit: 'none',
      empty: 'None in the time range',
      source: 'records',
      width: 24,
      queries: [{ records: records('whodns.visibility', ...RECORDS_AT_PLACE) }],
    },
  ],
};
