/** Names of images (distribution reference grammar: `[registry[:port]/]path[:tag][@digest]`). */

export interface ImageReference {
  readonly name: string;
  readonly tag: string | undefined;
}

/** undefined: an id or digest, not a name. */
export function parseReference(reference: string): ImageReference | undefined {
  if (/^(?:[a-z0-9]+:)?[0-9a-f]{64}$/.test(reference)) return undefined;
  const at = reference.indexOf('@');
  const named = at < 0 ? reference : reference.slice(0, at);
  // A colon before the last slash is the port of the registry.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  if (name === '' || name === '<none>') return undefined;
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  return { name, tag: tag === '' || tag === '<none>' ? undefined : tag };
}

export interface ImageNames {
  readonly imageName: string | undefined;
  readonly imageTags: readonly string[];
}

/**
 * What the image is called: as the container's creator called it, else by its first tag, else by its first digest. The tags are
 * those under that name.
 */
export function imageNames(
  asked: readonly string[],
  repoTags: readonly string[],
  repoDigests: readonly string[],
): ImageNames {
  const tagged = repoTags.map(parseReference).filter((reference) => reference !== undefined);
  const candidates = [...asked, ...repoTags, ...repoDigests];
  const chosen = candidates.map(parseReference).find((reference) => reference !== undefined);
  if (chosen === undefined) return { imageName: undefined, imageTags: [] };
  const tags = tagged.filter(({ name }) => isSameName(name, chosen.name)).map(({ tag }) => tag);
  if (tags.length === 0) tags.push(chosen.tag);
  return { imageName: chosen.name, imageTags: tags.filter((tag) => tag !== undefined) };
}

/** `nginx` and `docker.io/library/nginx` are the same: runtimes show the one or the other. */
function isSameName(a: string, b: string): boolean {
  return a === b || familiar(a) === familiar(b);
}

function familiar(name: string): string {
  return name.replace(/^docker\.io\/(?:library\/)?/, '');
}
