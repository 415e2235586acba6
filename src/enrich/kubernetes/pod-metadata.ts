/** What is kept of a pod -> `PodMetadata` with its resource attributes. Pure. */
import type { Attributes, PodMetadata } from '../../model.ts';
import type { ApiContainer, ApiPod } from './api-pod.ts';
import { parseImage, repositoryDigest } from './image.ts';
import { type GrandOwner, ownerAttributes } from './owners.ts';
import { containerService, OTEL_ANNOTATION, podService } from './service-identity.ts';

/** Which labels and annotations become attributes; a pattern is a key, or its beginning and `*`. */
export interface AllowLists {
  readonly podLabels: readonly string[];
  readonly podAnnotations: readonly string[];
  readonly namespaceLabels: readonly string[];
  readonly namespaceAnnotations: readonly string[];
}

export interface PodRules extends AllowLists {
  /** `app.kubernetes.io/*` labels count for `service.*`. */
  readonly wellKnownLabels: boolean;
}

export interface NamespaceMetadata {
  readonly name: string;
  readonly uid: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where the pod is. */
export interface Surroundings {
  /** undefined: not known (yet). */
  readonly namespace: NamespaceMetadata | undefined;
  /** `k8s.node.*` and `k8s.cluster.*`. */
  readonly place: Attributes;
  readonly grandOwner: GrandOwner | undefined;
  /** The pod's owner is not told: that there is none does not make its own name that of a service. */
  readonly ownersUnknown?: boolean;
}

const MAX_ATTRIBUTES = 64;
/** What decides whether a workload is captured (visibility/). */
const VISIBILITY = /^(?:whodns\/|kubearmor-visibility$)/;

/** Annotations that anything here reads. Others may be large, and say what is nobody's business. */
export function keptAnnotation(patterns: readonly string[]): (key: string) => boolean {
  return (key) => VISIBILITY.test(key) || key.startsWith(OTEL_ANNOTATION) || matches(key, patterns);
}

export function describePod(pod: ApiPod, around: Surroundings, rules: PodRules): PodMetadata {
  const owners = ownerAttributes(pod, around.grandOwner);
  const namespaceLabels = around.namespace?.labels ?? {};
  const namespaceAnnotations = around.namespace?.annotations ?? {};
  const service = podService(pod, around.ownersUnknown === true ? undefined : owners, rules.wellKnownLabels);
  const attributes: Attributes = {
    ...service,
    ...allowed('k8s.namespace.label.', namespaceLabels, rules.namespaceLabels),
    ...allowed('k8s.namespace.annotation.', namespaceAnnotations, rules.namespaceAnnotations),
    ...allowed('k8s.pod.label.', pod.labels, rules.podLabels),
    ...allowed('k8s.pod.annotation.', pod.annotations, rules.podAnnotations),
    ...around.place,
    ...(pod.nodeName === undefined ? {} : { 'k8s.node.name': pod.nodeName }),
    'k8s.namespace.name': pod.namespace,
    'k8s.pod.name': pod.name,
    'k8s.pod.uid': pod.uid,
    ...owners,
  };
  return {
    uid: pod.nodeUid,
    name: pod.name,
    namespace: pod.namespace,
    labels: pod.labels,
    annotations: pod.annotations,
    namespaceLabels,
    namespaceAnnotations,
    hostNetwork: pod.hostNetwork,
    containers: pod.containers.flatMap((container) => describeContainer(pod, container, service)),
    attributes,
  };
}

/** One for the container that is and, where it was restarted, one for the container before: its last queries come late. */
function describeContainer(
  pod: ApiPod,
  container: ApiContainer,
  service: Attributes,
): PodMetadata['containers'][number][] {
  const { name, kind, id, restartCount, previousId } = container;
  const shared = { ...imageAttributes(container), ...containerService(pod, container, service) };
  const run = (runId: string | undefined, restarts: number) => ({
    name,
    id: runId,
    kind,
    restartCount: restarts,
    attributes: { 'k8s.container.name': name, 'k8s.container.restart_count': restarts, ...shared },
  });
  const current = run(id, restartCount);
  if (previousId === undefined || previousId === id) return [current];
  return [current, run(previousId, Math.max(restartCount - 1, 0))];
}

function imageAttributes({ image, imageId }: ApiContainer): Attributes {
  const parsed = image === undefined ? undefined : parseImage(image);
  const digest = imageId === undefined ? undefined : repositoryDigest(imageId);
  return {
    ...(parsed === undefined ? {} : { 'container.image.name': parsed.name }),
    // A reference with neither tag nor digest means this tag.
    ...(parsed === undefined ? {} : { 'container.image.tags': [parsed.tag ?? 'latest'] }),
    ...(digest === undefined ? {} : { 'container.image.repo_digests': [digest] }),
  };
}

function allowed(
  prefix: string,
  pairs: Readonly<Record<string, string>>,
  patterns: readonly string[],
): Attributes {
  if (patterns.length === 0) return {};
  const found = Object.entries(pairs).filter(([key]) => matches(key, patterns));
  return Object.fromEntries(found.slice(0, MAX_ATTRIBUTES).map(([key, value]) => [prefix + key, value]));
}

function matches(key: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern,
  );
}
