/**
 * How help shows the options of `run`: groups, in each the common ones first; the rest with --help-all. Every setting that
 * has a flag is in exactly one place (test/unit/cli.test.ts).
 */
import type { OPTIONS } from './options.ts';

type Key = keyof typeof OPTIONS;

export interface OptionGroup {
  readonly title: string;
  readonly common: readonly Key[];
  readonly further: readonly Key[];
}

export const OPTION_GROUPS: readonly OptionGroup[] = [
  {
    title: 'Capture:',
    common: ['hook', 'ports', 'durationMs', 'timeoutMs', 'connections', 'scope'],
    further: [
      'btf',
      'emit',
      'commandArgs',
      'processContext',
      'traceContext',
      'searchFolding',
      'nxdomainError',
    ],
  },
  {
    title: 'Filter:',
    common: ['filter', 'onlyFailed', 'onlyPids'],
    further: [
      'onlyContainers',
      'onlyServers',
      'includeDomains',
      'excludeDomains',
      'includeTypes',
      'excludeTypes',
      'includeExecutables',
      'excludeExecutables',
      'includeUsers',
      'excludeUsers',
      'capture',
      'captureHost',
    ],
  },
  {
    title: 'Output:',
    common: ['exporters', 'format', 'columns', 'ui', 'health', 'control', 'configFile'],
    further: [
      'wide',
      'healthMetrics',
      'readyFd',
      'logFormat',
      'hostName',
      'stats',
      'otlpFileBytes',
      'otlpFileBackups',
    ],
  },
  {
    title: 'History:',
    common: ['history'],
    further: ['historyBytes', 'historyAgeMs'],
  },
  {
    title: 'Search:',
    common: [
      'searchIn',
      'since',
      'until',
      'processName',
      'user',
      'pod',
      'rcode',
      'questionType',
      'minLatencyMs',
      'localPort',
      'onlyFindings',
      'limit',
      'follow',
      'searchFormat',
    ],
    further: [],
  },
  {
    title: 'OTLP (and OTEL_EXPORTER_OTLP_*):',
    common: ['traces', 'spool'],
    further: ['spoolBytes', 'queueBytes', 'concurrentRequests', 'retryForMs', 'metricQuestionName'],
  },
  {
    title: 'Containers and Kubernetes:',
    common: ['containerRuntime', 'kubernetes', 'clusterName', 'includeNamespaces', 'includePods'],
    further: [
      'excludeNamespaces',
      'excludePods',
      'containerLabels',
      'nodeName',
      'kubeconfig',
      'kubeletUrl',
      'kubeletTlsVerify',
      'kubernetesOwners',
      'podLabels',
      'podAnnotations',
      'namespaceLabels',
      'namespaceAnnotations',
      'wellKnownLabels',
    ],
  },
  {
    title: 'Detection:',
    common: ['detect', 'dnsCache'],
    further: ['detectors', 'detectSet', 'detectCooldownMs', 'detectPauseMs'],
  },
  {
    title: 'Limits:',
    common: ['ringBytes', 'cgroupRate'],
    further: ['cgroupBurst', 'cgroupRateFor', 'maxPayload', 'maxInFlight', 'seccomp'],
  },
];

/** Group of a setting and whether it is a common one; undefined: it has no flag. */
export function placeOf(key: Key): { readonly title: string; readonly isCommon: boolean } | undefined {
  const group = OPTION_GROUPS.find(({ common, further }) => common.includes(key) || further.includes(key));
  return group === undefined ? undefined : { title: group.title, isCommon: group.common.includes(key) };
}
