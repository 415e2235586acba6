/** What the source of pods says of itself (--kubernetes): part of METRICS. */
import type { MetricDefinition } from './metric.ts';

const SOURCE = ['whodns.kubernetes.source'] as const;

export const KUBERNETES_METRICS = {
  'whodns.kubernetes.connected': {
    kind: 'gauge',
    // As whodns.metadata.connected; unit 1 would be a ratio to Prometheus.
    unit: '{source}',
    description:
      '1: the list of pods is whole and kept up to date; 0: what was known last is told. Not of a kubelet that is not asked, since the API works.',
    attributes: SOURCE,
  },
  'whodns.kubernetes.pods': {
    kind: 'gauge',
    unit: '{pod}',
    description: 'Pods kept in memory, those included that went away less than half a minute ago.',
    attributes: SOURCE,
  },
  'whodns.kubernetes.namespaces': {
    kind: 'gauge',
    unit: '{namespace}',
    description: 'Namespaces kept in memory.',
    attributes: SOURCE,
  },
  'whodns.kubernetes.requests': {
    kind: 'sum',
    unit: '{request}',
    description:
      'Requests by what became of them: `list`, `watch`, or why they failed: `unauthorized`, `forbidden`, `not_found`, `gone`, `throttled`, `server_error`, `http_error`, `unreachable`, `timeout`, `credentials`, `malformed`, `truncated`, `too_large`.',
    attributes: [...SOURCE, 'whodns.kubernetes.outcome'],
  },
  'whodns.kubernetes.events': {
    kind: 'sum',
    unit: '{event}',
    description: 'Changes that watches reported, bookmarks included.',
    attributes: SOURCE,
  },
  'whodns.kubernetes.unread': {
    kind: 'sum',
    unit: '{object}',
    description: 'Objects that were not what they should be: passed over.',
    attributes: SOURCE,
  },
  'whodns.kubernetes.pod.changes': {
    kind: 'sum',
    unit: '{pod}',
    description:
      'Pods by what became of them: `added`, `changed`, `removed` after they went, `evicted` (went, forgotten early) and `refused` for want of room.',
    attributes: [...SOURCE, 'whodns.kubernetes.change'],
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
