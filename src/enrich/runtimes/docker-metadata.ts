/** Answers of the Docker Engine API as ContainerMetadata. Pure; everything in them is hostile and bounded here. */
import type { ContainerMetadata } from '../../model.ts';
import { imageNames } from './image-reference.ts';
import { allowed, text, texts } from './told-text.ts';

export interface DockerVersion {
  readonly name: string;
  readonly version: string | undefined;
}

type Json = Readonly<Record<string, unknown>>;

export function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

/** GET /version. Podman answers it too. */
export function versionOf(answer: unknown): DockerVersion {
  const { Version: version, Components: components } = objectOf(answer);
  const engine = text(objectOf(Array.isArray(components) ? components[0] : undefined)['Name']);
  return { name: /podman/i.test(engine) ? 'podman' : 'docker', version: text(version) || undefined };
}

/** An element of GET /containers/json. */
export interface ListedContainer {
  readonly id: string;
  readonly image: string;
  readonly imageId: string;
  readonly names: readonly string[];
  readonly labels: Json;
}

export function listedOf(value: unknown): ListedContainer | undefined {
  const { Id: id, Image: image, ImageID: imageId, Names: names, Labels: labels } = objectOf(value);
  if (!isId(id)) return undefined;
  return { id, image: text(image), imageId: text(imageId), names: texts(names), labels: objectOf(labels) };
}

/** What Docker and Podman put among the labels of a container in an event about it (moby daemon/events.go, podman pkg/domain/entities/events.go). */
const NO_LABELS = new Set([
  ...['image', 'name', 'oldName', 'exitCode', 'signal', 'execID', 'execDuration'],
  ...['containerExitCode', 'podId', 'comment', 'container'],
]);

export interface ContainerEvent {
  readonly action: string;
  /** As far as the event tells: `image` is what was asked for, there is no id of it. */
  readonly container: ListedContainer;
}

/** A line of GET /events. Name and image come after the labels: no label can stand for them. */
export function eventOf(value: unknown): ContainerEvent | undefined {
  const { Action: action, Actor: actor } = objectOf(value);
  const { ID: id, Attributes: told } = objectOf(actor);
  if (!isId(id)) return undefined;
  const attributes = objectOf(told);
  const labels = Object.fromEntries(Object.entries(attributes).filter(([key]) => !NO_LABELS.has(key)));
  const names = texts([attributes['name']]);
  return {
    action: text(action),
    container: { id, image: text(attributes['image']), imageId: '', names, labels },
  };
}

export function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** @param image answer to GET /images/ID/json. */
export function ofListed(
  { id, image: asked, imageId, names, labels }: ListedContainer,
  version: DockerVersion,
  image: unknown,
  keys: readonly string[],
): ContainerMetadata {
  // Names of links to it have further slashes.
  const own = names.find((name) => name.lastIndexOf('/') === 0) ?? names[0] ?? '';
  const name = own.replace(/^\//, '');
  // cri-dockerd (core/labels.go)
  const sandbox = labels['io.kubernetes.docker.type'] === 'podsandbox';
  const restarts = Number.parseInt(text(labels['annotation.io.kubernetes.container.restartCount']), 10);
  return {
    id,
    name,
    ...imageOf(asked, imageId, image),
    labels: allowed(labels, keys),
    runtimeName: version.name,
    runtimeVersion: version.version,
    sandbox,
    pod: podOf(labels, sandbox ? 'POD' : name),
    restartCount: Number.isSafeInteger(restarts) && restarts >= 0 ? restarts : undefined,
  };
}

/** @param asked what the container was made from; @param image answer to GET /images/ID/json or /images/NAME/json. */
export function imageOf(
  asked: string,
  imageId: string,
  image: unknown,
): Pick<ContainerMetadata, 'imageName' | 'imageTags' | 'imageId' | 'imageRepoDigests'> {
  const { Id: id, RepoTags: tags, RepoDigests: digests } = objectOf(image);
  const imageRepoDigests = texts(digests);
  return {
    ...imageNames([asked], texts(tags), imageRepoDigests),
    imageId: imageId || text(id) || undefined,
    imageRepoDigests,
  };
}

function podOf(labels: Json, name: string): ContainerMetadata['pod'] {
  const uid = text(labels['io.kubernetes.pod.uid']);
  const podName = text(labels['io.kubernetes.pod.name']);
  if (uid === '' || podName === '') return undefined;
  return {
    uid,
    name: podName,
    namespace: text(labels['io.kubernetes.pod.namespace']),
    container: text(labels['io.kubernetes.container.name']) || name,
  };
}
