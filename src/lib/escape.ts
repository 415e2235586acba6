/**
 * Nothing that came from the network, a process or a file reaches a terminal raw.
 * Control characters (C0, DEL, C1), bidirectional overrides, line separators and lone surrogates become visible escapes.
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\p{Cs}/gu;

/** Text safe for one line of a terminal. */
export function forTerminal(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/**
 * JSON leaves DEL, C1 controls, bidirectional overrides, zero-width and line separators as they are; a terminal obeys
 * some of them. All can be written as \uXXXX in JSON without a change of meaning. Lone surrogates and C0 JSON.stringify
 * escapes itself (ECMA-262, QuoteJSONString).
 */
const UNSAFE_IN_JSON = /[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** JSON text of one line, without line break, that holds no character a terminal obeys. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(
    UNSAFE_IN_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
