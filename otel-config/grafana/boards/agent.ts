import type { Board } from '../panels.ts';
import { prometheusName, rateBy, series } from '../queries.ts';

const HOST = 'host_name=~"$host"';

/** Does whodns itself see everything and get rid of it? */
export const agent: Board = {
  uid: 'whodns-agent',
  title: 'whodns itself',
  description: 'What was captured, what was lost, where and why. All counts are exact.',
  variables: [{ name: 'host', label: 'Host', query: 'label_values(whodns_ring_size_bytes, host_name)' }],
  panels: [
    {
      kind: 'stat',
      title: 'Agents',
      description: 'Hosts that report.',
      unit: 'short',
      source: 'prometheus',
      width: 6,
      height: 4,
      queries: [{ expression: `count(count by (host_name) (${series('whodns.ring.size', HOST)}))` }],
    },
    {
      kind: 'stat',
      title: 'Lost',
      description: 'Records lost in the time range.',
      unit: 'short',
      source: 'prometheus',
      width: 6,
      height: 4,
      queries: [{ expression: `sum(increase(${series('whodns.dropped', HOST)}[$__range]))` }],
    },
    {
      kind: 'stat',
      title: 'Fullest ring',
      description: 'The kernel ring of the host where it is fullest.',
      unit: 'percentunit',
      source: 'prometheus',
      width: 6,
      height: 4,
      queries: [
        { expression: `max(${series('whodns.ring.used', HOST)} / ${series('whodns.ring.size', HOST)})` },
      ],
    },
    {
      kind: 'stat',
      title: 'Skipped program runs',
      description:
        'Times the kernel did not run a capture program because it was running already on that CPU.',
      unit: 'short',
      source: 'prometheus',
      width: 6,
      height: 4,
      queries: [{ expression: `sum(increase(${series('whodns.kernel.missed_runs', HOST)}[$__range]))` }],
    },
    {
      kind: 'timeseries',
      title: 'Lost by stage and reason',
      description:
        'Stage `kernel`: the ring was full. Stage of a sink: the destination was too slow or away.',
      unit: 'rps',
      source: 'prometheus',
      width: 12,
      queries: [
        {
          expression: rateBy(['host.name', 'whodns.stage', 'whodns.reason'], 'whodns.dropped', HOST),
          legend: '{{host_name}} {{whodns_stage}} {{whodns_reason}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Left out on purpose',
      description: 'Not DNS, folded into another record, or switched off.',
      unit: 'rps',
      source: 'prometheus',
      width: 12,
      queries: [
        {
          expression: rateBy(['whodns.stage', 'whodns.reason'], 'whodns.filtered', HOST),
          legend: '{{whodns_stage}} {{whodns_reason}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Held by stage',
      description:
        'Requests waiting for an answer, records waiting for export. What only grows will be lost.',
      unit: 'short',
      source: 'prometheus',
      width: 12,
      queries: [
        {
          expression: `sum by (host_name, whodns_stage) (${series('whodns.held', HOST)})`,
          legend: '{{host_name}} {{whodns_stage}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Kernel ring',
      description: 'Share in use. User space is woken at a quarter.',
      unit: 'percentunit',
      source: 'prometheus',
      width: 12,
      queries: [
        {
          expression: `max by (host_name) (${series('whodns.ring.used', HOST)} / ${series('whodns.ring.size', HOST)})`,
          legend: '{{host_name}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Kernel events',
      description: 'What the kernel programs saw, by kind.',
      unit: 'cps',
      source: 'prometheus',
      width: 12,
      queries: [
        {
          expression: rateBy(['whodns.kernel.event'], 'whodns.kernel.events', HOST),
          legend: '{{whodns_kernel_event}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Bytes a batch',
      description: 'Small batches at a high rate mean wake-ups cost more than records.',
      unit: 'bytes',
      source: 'prometheus',
      width: 12,
      queries: [
        {
          expression: `sum by (host_name) (rate(${prometheusName('whodns.batch.bytes')}{${HOST}}[$__rate_interval])) / sum by (host_name) (rate(${series('whodns.batches', HOST)}[$__rate_interval]))`,
          legend: '{{host_name}}',
        },
      ],
    },
  ],
};
