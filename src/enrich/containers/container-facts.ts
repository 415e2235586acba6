/** Container and pod metadata as OpenTelemetry resource attributes. Pure. */
import type { Attributes, AttributeValue, ContainerMetadata, PodMetadata } from '../../model.ts';

/** Short form of a container id, as docker ps shows it. */
const SHORT_ID = 12;
/** What the runtime and the API say: an application's word on it is not taken (claimed-attributes.ts). */
const MEASURED = /^(?:k8s|container)\./;

/** What the sources say of one container, from which identities are made. Interned by workloads.ts. */
export interface ContainerFacts {
  /** `container.*` and `k8s.*`: they stand. */
  readonly measured: Attributes;
  /** `service.*` and whatever a pod's annotations add: the application's own words come before them. */
  readonly advised: Attributes;
  /** Pod or container name, for people. */
  readonly name: string;
  /** Every source that could say something has done so. */
  readonly complete: boolean;
  /** performance.now() at which the kernel showed the container first. */
  readonly firstSeen: number;
  /** Something was learnt since: ask again. */
  stale: boolean;
}

type Known = Record<string, AttributeValue | undefined>;

export function containerAttributes(
  containerId: string,
  podUid: string | undefined,
  container: ContainerMetadata | undefined,
  pod: PodMetadata | undefined,
): Pick<ContainerFacts, 'measured' | 'advised' | 'name'> {
  const inPod = pod?.containers.find(({ id }) => id === containerId);
  const measured = { ...ofContainer(container), ...ofPod(podUid, container, pod, inPod) };
  // Where the pod names the container it says all of this itself, as the collector's k8s_attributes would.
  const advised: Known = pod === undefined || inPod !== undefined ? {} : advisedByPod(measured, container);
  for (const [name, value] of Object.entries({ ...pod?.attributes, ...inPod?.attributes }))
    (MEASURED.test(name) ? measured : advised)[name] = value;
  return {
    measured: defined(measured),
    advised: defined(advised),
    name: pod?.name ?? container?.pod?.name ?? container?.name ?? containerId.slice(0, SHORT_ID),
  };
}

function ofContainer(container: ContainerMetadata | undefined): Known {
  if (container === undefined) return {};
  const labels = Object.entries(container.labels).map(([key, value]) => [`container.label.${key}`, value]);
  return {
    'container.name': container.name,
    'container.image.name': container.imageName,
    'container.image.id': container.imageId,
    'container.image.tags': several(container.imageTags),
    'container.image.repo_digests': several(container.imageRepoDigests),
    'container.runtime.name': container.runtimeName,
    'container.runtime.version': container.runtimeVersion,
    ...Object.fromEntries(labels),
  };
}

function ofPod(
  podUid: string | undefined,
  container: ContainerMetadata | undefined,
  pod: PodMetadata | undefined,
  inPod: PodMetadata['containers'][number] | undefined,
): Known {
  const told = container?.pod;
  if (podUid === undefined && told === undefined && pod === undefined) return {};
  // The pause container is none of the pod's containers.
  const isSandbox = container?.sandbox === true;
  return {
    'k8s.pod.uid': podUid ?? told?.uid,
    'k8s.pod.name': pod?.name ?? told?.name,
    'k8s.namespace.name': pod?.namespace ?? told?.namespace,
    'k8s.container.name': isSandbox ? undefined : (told?.container ?? inPod?.name),
    'k8s.container.restart_count': isSandbox ? undefined : (container?.restartCount ?? inPod?.restartCount),
  };
}

/**
 * Semantic conventions, non-normative/k8s-attributes.md: what of `service.*` differs between the containers of a pod. Only with
 * the pod's own metadata, whose annotations would come first.
 */
function advisedByPod(measured: Known, container: ContainerMetadata | undefined): Known {
  const parts = [
    measured['k8s.namespace.name'],
    measured['k8s.pod.name'],
    measured['k8s.container.name'],
  ].filter((part) => part !== undefined);
  return {
    'service.instance.id': parts.length === 3 ? parts.join('.') : undefined,
    'service.version': container === undefined ? undefined : imageVersion(container),
  };
}

/** `<tag>@<digest>`, else `<digest>`, else `<tag>` (same page). Of several tags or digests none is the one that was meant. */
function imageVersion({ imageTags, imageRepoDigests, sandbox }: ContainerMetadata): string | undefined {
  if (sandbox) return undefined;
  const tag = imageTags.length === 1 ? imageTags[0] : undefined;
  const digests = new Set(imageRepoDigests.map((digest) => digest.slice(digest.indexOf('@') + 1)));
  const [digest] = digests.size === 1 ? digests : [];
  return tag !== undefined && digest !== undefined ? `${tag}@${digest}` : (digest ?? tag);
}

function several(values: readonly string[]): readonly string[] | undefined {
  return values.length === 0 ? undefined : values;
}

function defined(known: Known): Attributes {
  return Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, AttributeValue] => entry[1] !== undefined),
  );
}
