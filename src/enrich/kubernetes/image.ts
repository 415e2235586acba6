/** Image references: `name[:tag][@digest]` (github.com/distribution/reference, reference.go). */

export interface ImageReference {
  /** As written: no registry is added. */
  readonly name: string;
  readonly tag: string | undefined;
  /** `sha256:...` */
  readonly digest: string | undefined;
}

const REFERENCE =
  /^((?:[\w.-]+(?::\d{1,5})?\/|\[[0-9a-fA-F:]+\](?::\d{1,5})?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(\w[\w.-]{0,127}))?(?:@([A-Za-z0-9+._-]{1,32}:[0-9a-fA-F]{32,128}))?$/;
const MAX_CHARACTERS = 512;
/** A bare digest, which container runtimes give where an image has no name, would read as a name. */
const BARE_ID = /^(?:sha256:)?[0-9a-f]{64}$/;

/** undefined: not a reference that names an image. */
export function parseImage(text: string): ImageReference | undefined {
  if (text.length > MAX_CHARACTERS || BARE_ID.test(text)) return undefined;
  const match = REFERENCE.exec(text);
  if (match === null) return undefined;
  return { name: match[1] ?? '', tag: match[2], digest: match[3] };
}

/** What `service.version` is by the image (semantic conventions, k8s-attributes.md): tag and digest, else the one there is. */
export function imageVersion({ tag, digest }: ImageReference): string | undefined {
  return tag !== undefined && digest !== undefined ? `${tag}@${digest}` : (digest ?? tag);
}

/**
 * A status's `imageID` as one of `container.image.repo_digests`: `repository@sha256:...`, with the registry and the folder
 * that Docker Hub's short names stand for; undefined where it is a bare id.
 */
export function repositoryDigest(imageId: string): string | undefined {
  const image = parseImage(imageId.replace(/^docker-pullable:\/\//, ''));
  if (image?.digest === undefined) return undefined;
  return `${qualified(image.name)}@${image.digest}`;
}

/** github.com/distribution/reference, normalize.go (splitDockerDomain). */
function qualified(name: string): string {
  const slash = name.indexOf('/');
  const domain = slash < 0 ? '' : name.slice(0, slash);
  if (/[.:]/.test(domain) || domain === 'localhost') {
    return domain === 'index.docker.io' ? qualified(name.slice(slash + 1)) : name;
  }
  return slash < 0 ? `docker.io/library/${name}` : `docker.io/${name}`;
}
