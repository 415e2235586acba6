/** Bytes in names and back: base32 (RFC 4648) in labels of 50 characters, as DNS tunnels do it. */

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const LABEL = 50;

export function base32(bytes: Uint8Array): string {
  let bits = 0;
  let held = 0;
  let text = '';
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >>> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET[(held << (5 - bits)) & 31];
}

export function fromBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const character of text.toLowerCase()) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) throw new Error(`not base32: ${character}`);
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >>> bits) & 255);
    }
    held &= (1 << bits) - 1;
  }
  return Buffer.from(bytes);
}

/** The name that carries `bytes` below `domain`. */
export function nameOf(bytes: Uint8Array, domain: string): string {
  const text = base32(bytes);
  const labels: string[] = [];
  for (let i = 0; i < text.length; i += LABEL) labels.push(text.slice(i, i + LABEL));
  return [...labels, domain].join('.');
}

/** What a name below `domain` carries. */
export function bytesOf(name: string, domain: string): Buffer {
  return fromBase32(name.slice(0, -domain.length - 1).replaceAll('.', ''));
}
