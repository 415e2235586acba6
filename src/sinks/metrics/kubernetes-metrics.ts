/** `whodns.kubernetes.*` (tables/metrics-kubernetes.ts): how well pods are known. */
import type { Meter } from '@opentelemetry/api';
import type { KubernetesStats } from '../../model.ts';
import { instrument } from './instruments.ts';

export interface PodsObserved {
  stats(): KubernetesStats;
}

export function observePods(meter: Meter, sources: readonly PodsObserved[]): void {
  const connected = instrument(meter, 'whodns.kubernetes.connected');
  const known = instrument(meter, 'whodns.kubernetes.pods');
  const namespaces = instrument(meter, 'whodns.kubernetes.namespaces');
  const requests = instrument(meter, 'whodns.kubernetes.requests');
  const events = instrument(meter, 'whodns.kubernetes.events');
  const unread = instrument(meter, 'whodns.kubernetes.unread');
  const changes = instrument(meter, 'whodns.kubernetes.pod.changes');
  meter.addBatchObservableCallback(
    (result) => {
      for (const source of sources) {
        const stats = source.stats();
        const at = { 'whodns.kubernetes.source': stats.source };
        if (!stats.resting) result.observe(connected, stats.connected ? 1 : 0, at);
        result.observe(known, stats.pods, at);
        result.observe(namespaces, stats.namespaces, at);
        result.observe(events, stats.events, at);
        result.observe(unread, stats.unread, at);
        const outcomes = { list: stats.lists, watch: stats.watches, ...stats.failures };
        for (const [outcome, count] of Object.entries(outcomes))
          result.observe(requests, count, { ...at, 'whodns.kubernetes.outcome': outcome });
        for (const [change, count] of Object.entries(stats.changes))
          result.observe(changes, count, { ...at, 'whodns.kubernetes.change': change });
      }
    },
    [connected, known, namespaces, requests, events, unread, changes],
  );
}
