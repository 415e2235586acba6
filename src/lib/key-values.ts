/** `key1=value1,key2=value2`, percent-encoded: how OTEL_RESOURCE_ATTRIBUTES and its kin are written. */

/** As the JavaScript SDK has it; the specification sets no bound. */
export const MAX_CHARACTERS = 255;
const MAX_PAIRS = 64;

/**
 * Keys and values in their order, the last of a repeated key. undefined: some part is not well-formed or above a bound
 * (255 characters each, 64 pairs): the whole is to be discarded (OpenTelemetry specification, resource/sdk.md).
 */
export function keyValues(text: string): Map<string, string> | undefined {
  const found = new Map<string, string>();
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const pair = part.split('=');
    if (pair.length !== 2 || found.size === MAX_PAIRS) return undefined;
    const key = percentDecoded(pair[0] ?? '');
    const value = percentDecoded(pair[1] ?? '');
    if (key === undefined || value === undefined || key === '') return undefined;
    if (key.length > MAX_CHARACTERS || value.length > MAX_CHARACTERS) return undefined;
    found.set(key, value);
  }
  return found;
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return undefined;
  }
}
