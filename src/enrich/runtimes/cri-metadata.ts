/** CRI's messages as ContainerMetadata. Pure; everything in them is hostile and bounded here. */
import type { ContainerMetadata } from '../../model.ts';
import type { CriContainer, CriImage, CriSandbox, CriVersion } from './cri-client.ts';
import { imageNames } from './image-reference.ts';
import { allowed, text, texts } from './told-text.ts';

export interface CriParts {
  readonly version: CriVersion;
  readonly sandbox: CriSandbox | undefined;
  readonly image: CriImage | undefined;
  /** Labels that are taken. */
  readonly labels: readonly string[];
}

/** What runtimes and cAdvisor call the container that holds a pod's namespaces. */
const SANDBOX_NAME = 'POD';

export function ofContainer(container: CriContainer, parts: CriParts): ContainerMetadata {
  const { version, sandbox, image, labels } = parts;
  const name = text(container.metadata?.name ?? container.labels['io.kubernetes.container.name'] ?? '');
  const asked = [container.image?.userSpecifiedImage ?? '', container.image?.image ?? ''].filter(Boolean);
  const tags = texts(image?.repoTags ?? []);
  const digests = texts(image?.repoDigests ?? []);
  return {
    id: container.id,
    name,
    ...imageNames(texts(asked), tags, digests),
    imageId: text(image?.id ?? '') || undefined,
    imageRepoDigests: digests,
    labels: allowed(container.labels, labels),
    ...runtimeOf(version),
    sandbox: false,
    pod: podOf(sandbox, container.labels, name),
    restartCount: container.metadata?.attempt ?? 0,
  };
}

export function ofSandbox(
  sandbox: CriSandbox,
  { version, labels }: Pick<CriParts, 'version' | 'labels'>,
): ContainerMetadata {
  return {
    id: sandbox.id,
    name: SANDBOX_NAME,
    imageName: undefined,
    imageId: undefined,
    imageTags: [],
    imageRepoDigests: [],
    labels: allowed(sandbox.labels, labels),
    ...runtimeOf(version),
    sandbox: true,
    pod: podOf(sandbox, sandbox.labels, SANDBOX_NAME),
    restartCount: undefined,
  };
}

/** The sandbox knows its pod; the labels are the kubelet's (pkg/kubelet/types/labels.go). */
function podOf(
  sandbox: CriSandbox | undefined,
  labels: Readonly<Record<string, string>>,
  container: string,
): ContainerMetadata['pod'] {
  const uid = text(sandbox?.metadata?.uid || (labels['io.kubernetes.pod.uid'] ?? ''));
  const name = text(sandbox?.metadata?.name || (labels['io.kubernetes.pod.name'] ?? ''));
  const namespace = text(sandbox?.metadata?.namespace || (labels['io.kubernetes.pod.namespace'] ?? ''));
  return uid === '' || name === '' ? undefined : { uid, name, namespace, container };
}

function runtimeOf({
  runtimeName,
  runtimeVersion,
}: CriVersion): Pick<ContainerMetadata, 'runtimeName' | 'runtimeVersion'> {
  return { runtimeName: text(runtimeName), runtimeVersion: text(runtimeVersion) || undefined };
}
