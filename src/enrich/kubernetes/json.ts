/** Reading parsed JSON that nobody vouches for: a value of another type than expected counts as absent. */

export type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: JsonObject = Object.freeze({});
/** Names and label values have at most 253 characters (Kubernetes, apimachinery/pkg/util/validation); paths and images more. */
const MAX_CHARACTERS = 1024;

/** `value` as an object; an empty one if it is none. */
export function object(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : NOTHING;
}

/** Its first `most` elements. */
export function array(value: unknown, max: number): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, max) : [];
}

/** A string that is not empty and not absurdly long. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_CHARACTERS ? value : undefined;
}

export function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** RFC 3339 time as Unix milliseconds. */
export function time(value: unknown): number | undefined {
  const milliseconds = Date.parse(text(value) ?? '');
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}

/** The first `most` pairs of a map of strings whose key is `wanted`. Values that are too long are left out. */
export function strings(
  value: unknown,
  max: number,
  wanted: (key: string) => boolean = () => true,
): Readonly<Record<string, string>> {
  const found: [string, string][] = [];
  for (const [key, entry] of Object.entries(object(value))) {
    if (found.length === max) break;
    // An empty value is one: a label may be a mere mark.
    if (
      typeof entry === 'string' &&
      entry.length <= MAX_CHARACTERS &&
      key.length <= MAX_CHARACTERS &&
      wanted(key)
    )
      found.push([key, entry]);
  }
  return Object.fromEntries(found);
}
