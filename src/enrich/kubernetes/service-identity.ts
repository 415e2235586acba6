/**
 * `service.*` of a pod by the rules of the semantic conventions (non-normative/k8s-attributes.md, "Service attributes").
 * Each takes the first that is there. What the application says of itself comes before all of them (resource.ts). Pure.
 */
import type { Attributes } from '../../model.ts';
import { isMeasured } from '../process/claimed-attributes.ts';
import type { ApiContainer, ApiPod } from './api-pod.ts';
import { imageVersion, parseImage } from './image.ts';

export const OTEL_ANNOTATION = 'resource.opentelemetry.io/';

const MAX_ATTRIBUTES = 64;
/** From the top to the bottom of the owner chain, as the conventions order them. */
const OWNERS = [
  'k8s.deployment.name',
  'k8s.replicaset.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.job.name',
] as const;

/**
 * Annotations `resource.opentelemetry.io/KEY` as the attributes KEY. What is measured is not taken on a pod's word: who may
 * write a pod's annotations could else pose as another pod.
 */
export function annotatedAttributes(annotations: Readonly<Record<string, string>>): Attributes {
  const taken = Object.entries(annotations)
    .filter(([key, value]) => key.startsWith(OTEL_ANNOTATION) && value !== '')
    .map(([key, value]) => [key.slice(OTEL_ANNOTATION.length), value] as const)
    .filter(([key]) => key !== '' && !isMeasured(key))
    .slice(0, MAX_ATTRIBUTES);
  return Object.fromEntries(taken);
}

/**
 * What all containers of the pod share.
 * @param owners `k8s.deployment.name` and its kin; undefined: nobody knows
 * @param wellKnownLabels whether `app.kubernetes.io/*` count
 */
export function podService(
  pod: ApiPod,
  owners: Attributes | undefined,
  wellKnownLabels: boolean,
): Attributes {
  const label = (name: string) => (wellKnownLabels && pod.labels[`app.kubernetes.io/${name}`]) || undefined;
  const owner = OWNERS.map((name) => owners?.[name]).find((name) => name !== undefined);
  const name = label('instance') ?? label('name') ?? owner ?? (owners === undefined ? undefined : pod.name);
  const version = label('version');
  return {
    ...(name === undefined ? {} : { 'service.name': name }),
    'service.namespace': pod.namespace,
    ...(version === undefined ? {} : { 'service.version': version }),
    ...annotatedAttributes(pod.annotations),
  };
}

/** What only this container has, where the pod says nothing. */
export function containerService(pod: ApiPod, container: ApiContainer, ofPod: Attributes): Attributes {
  const image = container.image === undefined ? undefined : parseImage(container.image);
  const version = ofPod['service.version'] ?? (image === undefined ? undefined : imageVersion(image));
  const instance = ofPod['service.instance.id'] ?? `${pod.namespace}.${pod.name}.${container.name}`;
  return {
    ...(version === undefined ? {} : { 'service.version': version }),
    'service.instance.id': instance,
  };
}
