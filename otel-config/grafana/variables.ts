/** The variables that every board has: where a series or a record comes from. `All` takes those without the label too. */
import type { Variable } from './panels.ts';
import { type Filter, matches } from './records.ts';

const PLACE: readonly Variable[] = [
  { name: 'cluster', label: 'Cluster', query: 'label_values(whodns_ring_size_bytes, k8s_cluster_name)' },
  {
    name: 'namespace',
    label: 'Namespace',
    query: 'label_values(whodns_queries_total{k8s_cluster_name=~"$cluster"}, k8s_namespace_name)',
  },
  {
    name: 'host',
    label: 'Host',
    query: 'label_values(whodns_ring_size_bytes{k8s_cluster_name=~"$cluster"}, host_name)',
  },
];

export const PLACE_NAMES: readonly string[] = PLACE.map(({ name }) => name);

/** Of series that are about a host. */
export const ON_HOST = 'k8s_cluster_name=~"$cluster", host_name=~"$host"';
/** Of series that are about a workload. */
export const AT_PLACE = `${ON_HOST}, k8s_namespace_name=~"$namespace"`;
/** Of records. */
export const RECORDS_AT_PLACE: readonly Filter[] = [
  matches('k8s.cluster.name', '$cluster'),
  matches('k8s.namespace.name', '$namespace'),
  matches('host.name', '$host'),
];

/** With those of one board behind them. */
export const placeVariables = (...own: readonly Variable[]): readonly Variable[] => [...PLACE, ...own];
