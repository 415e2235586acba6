/** Every metric that leaves this program, as data: names, units, attributes. docs/metrics.md is made from it. */

import type { MetricDefinition } from './metric.ts';
import { KUBERNETES_METRICS } from './metrics-kubernetes.ts';
import { SELF_METRICS } from './metrics-self.ts';

export type { MetricDefinition } from './metric.ts';

/** Whose lookups they are; what is not known of a process is left out. */
export const WORKLOAD_ATTRIBUTES = [
  'process.executable.name',
  'service.name',
  'service.namespace',
  'container.id',
  'container.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.container.name',
] as const;

/** Which service a duration belongs to: fewer than above, each series has a dozen buckets. */
export const SERVICE_ATTRIBUTES = ['service.name', 'service.namespace', 'k8s.namespace.name'] as const;

/** One process, as long as it asks. */
export const PROCESS_ATTRIBUTES = ['process.pid', 'process.creation.time', ...WORKLOAD_ATTRIBUTES] as const;

const LOOKUP_ATTRIBUTES = [
  'dns.question.type',
  'dns.op_code',
  'dns.response_code',
  'error.type',
  'network.transport',
  'whodns.outcome',
] as const;

export const METRICS = {
  'whodns.queries': {
    kind: 'sum',
    unit: '{query}',
    description: 'DNS lookups by workload; retries are part of their lookup.',
    attributes: [...WORKLOAD_ATTRIBUTES, ...LOOKUP_ATTRIBUTES],
  },
  'whodns.transmissions': {
    kind: 'sum',
    unit: '{transmission}',
    description:
      'Requests sent for the lookups of `whodns.queries`, retries included: what the name servers count.',
    attributes: [...WORKLOAD_ATTRIBUTES, ...LOOKUP_ATTRIBUTES],
  },
  'dns.lookup.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Time from the first request to the answer; lookups without an answer are not in it.',
    attributes: [...SERVICE_ATTRIBUTES, ...LOOKUP_ATTRIBUTES, 'dns.question.name (on request)'],
  },
  'whodns.findings': {
    kind: 'sum',
    unit: '{finding}',
    description: 'Findings of the detections by rule and workload; repeated ones are in `whodns.filtered`.',
    attributes: [...WORKLOAD_ATTRIBUTES, 'security_rule.name'],
  },
  'whodns.search.wasted': {
    kind: 'sum',
    unit: '{query}',
    description: 'Lookups of the search list of resolv.conf that brought nothing, by workload.',
    attributes: [...WORKLOAD_ATTRIBUTES],
  },
  'whodns.process.queries': {
    kind: 'sum',
    unit: '{query}',
    description:
      'Requests sent by each process, counted in the kernel: exact, whatever was lost later. TCP counts segments.',
    attributes: [...PROCESS_ATTRIBUTES, 'network.transport'],
  },
  'whodns.connections': {
    kind: 'sum',
    unit: '{connection}',
    description:
      'TCP connections begun, by workload (--connections); `whodns.unresolved` tells whether no lookup had led to the address.',
    attributes: [...WORKLOAD_ATTRIBUTES, 'whodns.unresolved'],
  },
  'whodns.dropped': {
    kind: 'sum',
    unit: '{record}',
    description:
      'Lost against our will, by stage of the pipeline and reason. Stage `kernel`: before user space.',
    attributes: ['whodns.stage', 'whodns.reason'],
  },
  'whodns.filtered': {
    kind: 'sum',
    unit: '{record}',
    description: 'Left out on purpose, by stage of the pipeline and reason.',
    attributes: ['whodns.stage', 'whodns.reason'],
  },
  'whodns.held': {
    kind: 'gauge',
    unit: '{record}',
    description: 'What each stage holds now: requests waiting for an answer, records waiting for export.',
    attributes: ['whodns.stage'],
  },
  'whodns.kernel.events': {
    kind: 'sum',
    unit: '{event}',
    description: 'What the kernel programs saw, by kind of event (enum counter of bpf/event.h).',
    attributes: ['whodns.kernel.event'],
  },
  'whodns.kernel.missed_runs': {
    kind: 'sum',
    unit: '{run}',
    description: 'Times the kernel did not run a program because it was running already on that CPU.',
    attributes: [],
  },
  'whodns.ring.used': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes waiting in the kernel ring buffer.',
    attributes: [],
  },
  'whodns.ring.size': {
    kind: 'gauge',
    unit: 'By',
    description: 'Size of the kernel ring buffer.',
    attributes: [],
  },
  'whodns.spool.size': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes of the spool on disk (--spool).',
    attributes: [],
  },
  'whodns.spool.damaged': {
    kind: 'sum',
    unit: 'By',
    description: 'Bytes of the spool that were found damaged and skipped (--spool).',
    attributes: [],
  },
  'whodns.batches': {
    kind: 'sum',
    unit: '{batch}',
    description: 'Batches handed over by the kernel reader.',
    attributes: [],
  },
  'whodns.batch.bytes': {
    kind: 'sum',
    unit: 'By',
    description: 'Bytes of the batches handed over by the kernel reader.',
    attributes: [],
  },
  ...KUBERNETES_METRICS,
  'whodns.metadata.connected': {
    kind: 'gauge',
    unit: '{source}',
    description: 'Container runtimes that are connected, by API.',
    attributes: ['whodns.metadata.source'],
  },
  'whodns.metadata.events': {
    kind: 'sum',
    unit: '{event}',
    description:
      'What the sources of container metadata did; source `containers`: lookups that waited for their container, and what became of them.',
    attributes: ['whodns.metadata.source', 'whodns.metadata.event'],
  },
  ...SELF_METRICS,
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof METRICS;

/** Bucket bounds in seconds that the semantic conventions advise for dns.lookup.duration. */
export const DURATION_BOUNDS = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
] as const;
