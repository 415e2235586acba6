/**
 * Who is captured: the levels and what each says. Pure.
 *
 * The nearest level that says something wins: container, pod, namespace, then the default of the configuration. Before all of
 * them stands the fence of the configuration (include, exclude): what lies outside is off, whatever annotations say.
 */
import { matchesGlob } from '../lib/glob.ts';
import { type LabelSelector, type Labels, matchesSelector } from '../lib/label-selector.ts';

export type Level = 'on' | 'off' | 'metrics';

/** Annotation of a namespace or pod; with `.NAME` appended, on a pod, of its container NAME. */
export const ANNOTATION = 'whodns/capture';
/** docs.kubearmor.io, "Visibility": read where our own key is absent. */
export const KUBEARMOR_ANNOTATION = 'kubearmor-visibility';

/** Which level made a decision. */
export type Origin = 'configuration' | 'default' | 'host' | 'namespace' | 'pod' | 'container';

export interface Policy {
  /** Global default. */
  readonly default: Level;
  /** Processes in no container; undefined: the default. */
  readonly host: Level | undefined;
  /** Names, with `*` and `?`. Empty = not asked. */
  readonly includeNamespaces: readonly string[];
  readonly excludeNamespaces: readonly string[];
  readonly includePods: readonly LabelSelector[];
  readonly excludePods: readonly LabelSelector[];
}

/** A container, or a pod as a whole. undefined = not known (yet), or there is none. */
export interface Subject {
  readonly namespace: string | undefined;
  readonly labels: Labels | undefined;
  readonly annotations: Labels | undefined;
  readonly namespaceAnnotations: Labels | undefined;
  /** Name in the pod. */
  readonly container: string | undefined;
}

export interface Decision {
  readonly level: Level;
  readonly origin: Origin;
  /** What said so: a flag, or `key: value` of an annotation. Hostile text in it. */
  readonly reason: string;
}

/** A level that says something nobody understands: reported, and taken as saying nothing. */
export interface Unknown {
  readonly origin: Origin;
  readonly key: string;
  readonly value: string;
}

const MAX_SHOWN = 64;

export function decideHost(policy: Policy): Decision {
  return policy.host === undefined
    ? { level: policy.default, origin: 'default', reason: '--capture' }
    : { level: policy.host, origin: 'host', reason: '--capture-host' };
}

/** @param onUnknown called for each value that is ignored */
export function decide(policy: Policy, subject: Subject, onUnknown: (unknown: Unknown) => void): Decision {
  const fence = fenced(policy, subject);
  if (fence !== undefined) return { level: 'off', origin: 'configuration', reason: fence };
  const { annotations, namespaceAnnotations, container } = subject;
  return (
    (container === undefined
      ? undefined
      : own('container', annotations, `${ANNOTATION}.${container}`, onUnknown)) ??
    said('pod', annotations, onUnknown) ??
    said('namespace', namespaceAnnotations, onUnknown) ?? {
      level: policy.default,
      origin: 'default',
      reason: '--capture',
    }
  );
}

/**
 * Which flag puts the subject outside. What is not known is not excluded, but neither included: who asked for some
 * namespaces only does not get others while the API server is slow.
 */
function fenced(policy: Policy, { namespace, labels }: Subject): string | undefined {
  const isNamed = (patterns: readonly string[]) =>
    namespace !== undefined && patterns.some((pattern) => matchesGlob(pattern, namespace));
  const isSelected = (selectors: readonly LabelSelector[]) =>
    labels !== undefined && selectors.some((selector) => matchesSelector(selector, labels));
  if (isNamed(policy.excludeNamespaces)) return '--exclude-namespace';
  if (isSelected(policy.excludePods)) return '--exclude-pods';
  if (policy.includeNamespaces.length > 0 && !isNamed(policy.includeNamespaces)) return '--include-namespace';
  if (policy.includePods.length > 0 && !isSelected(policy.includePods)) return '--include-pods';
  return undefined;
}

function said(
  origin: Origin,
  annotations: Labels | undefined,
  onUnknown: (unknown: Unknown) => void,
): Decision | undefined {
  if (annotations === undefined) return undefined;
  if (Object.hasOwn(annotations, ANNOTATION)) return own(origin, annotations, ANNOTATION, onUnknown);
  return kubearmor(origin, annotations);
}

function own(
  origin: Origin,
  annotations: Labels | undefined,
  key: string,
  onUnknown: (unknown: Unknown) => void,
): Decision | undefined {
  if (annotations === undefined || !Object.hasOwn(annotations, key)) return undefined;
  const value = annotations[key]?.trim() ?? '';
  if (value === 'on' || value === 'off' || value === 'metrics')
    return { level: value, origin, reason: `${key}: ${value}` };
  onUnknown({ origin, key, value: shortened(value) });
  return undefined;
}

/** A comma list of what is to be seen; `none` is nothing. Lists without either are about files, processes and so on. */
function kubearmor(origin: Origin, annotations: Labels): Decision | undefined {
  if (!Object.hasOwn(annotations, KUBEARMOR_ANNOTATION)) return undefined;
  const value = annotations[KUBEARMOR_ANNOTATION] ?? '';
  const items = value.split(',').map((item) => item.trim());
  const reason = `${KUBEARMOR_ANNOTATION}: ${shortened(value)}`;
  if (items.includes('dns')) return { level: 'on', origin, reason };
  return items.includes('none') ? { level: 'off', origin, reason } : undefined;
}

function shortened(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN).toWellFormed()}…`;
}
