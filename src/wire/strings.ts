/** The strings of process records: bytes as the kernel holds them, hostile until escaped. */

// ignoreBOM keeps a leading U+FEFF: it is part of the name
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** A NUL-padded task name (TASK_COMM_LEN 16), one character a byte. */
export function commText(bytes: Uint8Array, offset: number): string {
  let text = '';
  for (let i = offset; i < offset + 16; i++) {
    const byte = bytes[i] as number;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/**
 * Path from its NUL-terminated components, leaf first (bpf/process.h); one empty component is the root. '' = unknown.
 * When the kernel reached its bound (`cut`), the components nearest the root are missing: the text then has no leading
 * slash, so that a part is never taken for the whole.
 */
export function pathText(bytes: Uint8Array, cut: boolean): string {
  const components = utf8.decode(bytes).split('\0');
  // each component ends with NUL: what follows the last one is nothing, or a piece of a component
  components.pop();
  if (components.length === 0) return '';
  return (cut ? '' : '/') + components.reverse().join('/');
}

/** Arguments as in /proc/PID/cmdline, or variables as in environ: NUL-terminated; a last one without NUL was cut, or was rewritten by the process. */
export function argumentTexts(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return [];
  const texts = utf8.decode(bytes).split('\0');
  if (texts.at(-1) === '') texts.pop();
  return texts;
}
