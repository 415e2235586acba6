/** A pod as the API or the kubelet writes it -> what is kept of it. Pure; every field of the input may be anything. */
import { array, count, type JsonObject, object, strings, text, time } from './json.ts';

/** A pod has at most a few hundred containers in any cluster; the API bounds the object to 1.5 MB. */
const MAX_CONTAINERS = 256;
const MAX_OWNERS = 16;
const MAX_PAIRS = 256;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface ApiContainer {
  readonly name: string;
  readonly kind: 'container' | 'init' | 'ephemeral';
  readonly image: string | undefined;
  readonly imageId: string | undefined;
  /** Without the runtime's prefix; undefined until it was created. */
  readonly id: string | undefined;
  /** That prefix: `containerd`, `cri-o`, `docker`. */
  readonly runtime: string | undefined;
  readonly restartCount: number;
  /** The one that ran before under this name. */
  readonly previousId: string | undefined;
}

export interface ApiPod {
  /** The uid of the API object. */
  readonly uid: string;
  /** The uid the kubelet uses for cgroups and runtime labels: another one for a static pod. */
  readonly nodeUid: string;
  readonly name: string;
  readonly namespace: string;
  readonly nodeName: string | undefined;
  readonly created: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those `keep` names. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly owner: OwnerReference | undefined;
  readonly hostNetwork: boolean;
  readonly containers: readonly ApiContainer[];
}

/** @param keep which annotations are of use; the others can be large. @returns undefined: it has no uid or no name. */
export function readPod(value: unknown, keep: (annotation: string) => boolean): ApiPod | undefined {
  const { metadata, spec, status } = object(value);
  const { uid, name, namespace, labels, annotations, creationTimestamp } = object(metadata);
  const known = { uid: text(uid), name: text(name), namespace: text(namespace) };
  if (known.uid === undefined || known.name === undefined || known.namespace === undefined) return undefined;
  const owner = readOwner(metadata);
  return {
    uid: known.uid,
    nodeUid: nodeUid(object(annotations), owner) ?? known.uid,
    name: known.name,
    namespace: known.namespace,
    nodeName: text(object(spec)['nodeName']),
    created: time(creationTimestamp),
    labels: strings(labels, MAX_PAIRS),
    annotations: strings(annotations, MAX_PAIRS, keep),
    owner,
    hostNetwork: object(spec)['hostNetwork'] === true,
    containers: [
      ...containers('container', object(spec)['containers'], object(status)['containerStatuses']),
      ...containers('init', object(spec)['initContainers'], object(status)['initContainerStatuses']),
      ...containers(
        'ephemeral',
        object(spec)['ephemeralContainers'],
        object(status)['ephemeralContainerStatuses'],
      ),
    ],
  };
}

/** The owner that manages an object; there is at most one (metav1.OwnerReference, `controller`). @param metadata the object's */
export function readOwner(metadata: unknown): OwnerReference | undefined {
  for (const reference of array(object(metadata)['ownerReferences'], MAX_OWNERS)) {
    const { apiVersion, kind, name, uid, controller: manages } = object(reference);
    const found = { apiVersion: text(apiVersion), kind: text(kind), name: text(name), uid: text(uid) };
    if (manages !== true || found.kind === undefined || found.name === undefined) continue;
    return { apiVersion: found.apiVersion ?? '', kind: found.kind, name: found.name, uid: found.uid ?? '' };
  }
  return undefined;
}

/**
 * A static pod comes from a file of the kubelet, which makes its uid from the file's hash and shows the pod in the API
 * as a mirror with another uid (pkg/kubelet/pod/mirror_client.go: both annotations, owned by the node).
 */
function nodeUid(annotations: JsonObject, owner: OwnerReference | undefined): string | undefined {
  if (text(annotations['kubernetes.io/config.mirror']) === undefined || owner?.kind !== 'Node')
    return undefined;
  return text(annotations['kubernetes.io/config.hash']);
}

function containers(kind: ApiContainer['kind'], specs: unknown, statuses: unknown): ApiContainer[] {
  const byName = new Map<unknown, JsonObject>();
  for (const status of array(statuses, MAX_CONTAINERS)) byName.set(object(status)['name'], object(status));
  return array(specs, MAX_CONTAINERS).flatMap((spec) => {
    const { name, image } = object(spec);
    const known = text(name);
    if (known === undefined) return [];
    const status = byName.get(name) ?? {};
    return [
      {
        name: known,
        kind,
        image: text(image),
        imageId: text(status['imageID']),
        id: containerId(status['containerID'])?.id,
        runtime: containerId(status['containerID'])?.runtime,
        restartCount: count(status['restartCount']),
        previousId: containerId(object(object(status['lastState'])['terminated'])['containerID'])?.id,
      },
    ];
  });
}

/** `containerd://<id>` */
function containerId(value: unknown): { readonly runtime: string; readonly id: string } | undefined {
  const match = /^([a-z0-9.+-]{1,32}):\/\/([A-Za-z0-9_.-]{1,128})$/.exec(text(value) ?? '');
  return match === null ? undefined : { runtime: match[1] ?? '', id: match[2] ?? '' };
}
