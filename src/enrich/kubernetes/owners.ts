/** Who owns a pod: from its owner reference, and by their names the owners' owners. Pure. */
import type { Attributes } from '../../model.ts';
import type { ApiPod, OwnerReference } from './api-pod.ts';

/** An owner that the API named, or `none`: the owner belongs to nothing we know. */
export type GrandOwner = { readonly kind: 'Deployment' | 'CronJob'; readonly name: string } | 'none';

/** The label a Deployment puts on its ReplicaSets' pods (apps/v1, DefaultDeploymentUniqueLabelKey). */
const TEMPLATE_HASH = 'pod-template-hash';
/** A CronJob's job is named by its scheduled time in minutes (pkg/controller/cronjob/utils.go, getJobName). */
const CRON_JOB = /^(.+)-(\d{8})$/;
const MINUTE_MS = 60_000;
/** A job's pods are made soon after the scheduled time; later ones are its retries. As the collector's k8s_attributes has it. */
const MAX_SKEW_MINUTES = 24 * 60;

/** `k8s.deployment.name` and its kin. @param known what the API says of the owner's owner; undefined: its name has to tell. */
export function ownerAttributes(pod: ApiPod, known: GrandOwner | undefined): Attributes {
  const owner = pod.owner;
  if (owner === undefined) return {};
  const grand = grandAttributes(known ?? guess(pod, owner));
  if (isOf(owner, 'apps', 'ReplicaSet')) return { 'k8s.replicaset.name': owner.name, ...grand };
  if (isOf(owner, 'apps', 'StatefulSet')) return { 'k8s.statefulset.name': owner.name };
  if (isOf(owner, 'apps', 'DaemonSet')) return { 'k8s.daemonset.name': owner.name };
  if (isOf(owner, 'batch', 'Job')) return { 'k8s.job.name': owner.name, ...grand };
  return {};
}

/** Path of the owner's API object, if it may have an owner of its own. */
export function ownerPath({ namespace, owner }: ApiPod): string | undefined {
  if (owner === undefined) return undefined;
  const place = `namespaces/${encodeURIComponent(namespace)}`;
  const name = encodeURIComponent(owner.name);
  if (isOf(owner, 'apps', 'ReplicaSet')) return `/apis/apps/v1/${place}/replicasets/${name}`;
  if (isOf(owner, 'batch', 'Job')) return `/apis/batch/v1/${place}/jobs/${name}`;
  return undefined;
}

/** @param owner the controller of a ReplicaSet or Job */
export function grandOwner(owner: OwnerReference | undefined): GrandOwner {
  if (owner !== undefined && isOf(owner, 'apps', 'Deployment'))
    return { kind: 'Deployment', name: owner.name };
  if (owner !== undefined && isOf(owner, 'batch', 'CronJob')) return { kind: 'CronJob', name: owner.name };
  return 'none';
}

/** Other API groups have kinds of the same name, which are other things. */
function isOf({ apiVersion, kind }: OwnerReference, group: string, wanted: string): boolean {
  return kind === wanted && apiVersion.startsWith(`${group}/`);
}

function guess(pod: ApiPod, owner: OwnerReference): GrandOwner {
  if (isOf(owner, 'apps', 'ReplicaSet')) {
    const suffix = `-${pod.labels[TEMPLATE_HASH] ?? ''}`;
    const name = suffix !== '-' && owner.name.endsWith(suffix) ? owner.name.slice(0, -suffix.length) : '';
    return name === '' ? 'none' : { kind: 'Deployment', name };
  }
  const [, name, minutes] = CRON_JOB.exec(owner.name) ?? [];
  if (!isOf(owner, 'batch', 'Job') || name === undefined || pod.created === undefined) return 'none';
  const skew = Math.abs(Math.floor(pod.created / MINUTE_MS) - Number(minutes));
  return skew > MAX_SKEW_MINUTES ? 'none' : { kind: 'CronJob', name };
}

function grandAttributes(owner: GrandOwner): Attributes {
  if (owner === 'none') return {};
  return owner.kind === 'Deployment'
    ? { 'k8s.deployment.name': owner.name }
    : { 'k8s.cronjob.name': owner.name };
}
