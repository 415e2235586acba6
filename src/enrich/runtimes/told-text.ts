/** Strings that a runtime tells, of any length and content: bounded, and valid Unicode. Sinks escape them for their medium. */

const MAX_CHARACTERS = 1024;
/** Tags and digests of one image. */
const MAX_VALUES = 16;

export function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_CHARACTERS).toWellFormed() : '';
}

export function texts(values: unknown): readonly string[] {
  if (!Array.isArray(values)) return [];
  return values
    .slice(0, MAX_VALUES)
    .map(text)
    .filter((value) => value !== '');
}

/** The labels that are asked for, in that order. */
export function allowed(labels: unknown, keys: readonly string[]): Readonly<Record<string, string>> {
  if (typeof labels !== 'object' || labels === null) return {};
  const found = keys.flatMap((key) => {
    const value: unknown = Object.hasOwn(labels, key) ? (labels as Record<string, unknown>)[key] : undefined;
    return typeof value === 'string' ? [[key, text(value)] as const] : [];
  });
  return Object.fromEntries(found);
}
