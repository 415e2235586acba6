/** IP addresses: bytes to presentation form. */

/** Four bytes at `offset` as dotted decimal. */
export function formatIPv4(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/**
 * Sixteen bytes at `offset` in the canonical form of RFC 5952: lower case, no leading zeros, the longest run of two or
 * more zero groups (the first of equals) as `::`, v4-mapped addresses in mixed notation (section 5).
 */
export function formatIPv6(bytes: Uint8Array, offset: number): string {
  let best = -1;
  let bestLength = 1;
  for (let group = 0; group < 8; ) {
    let run = group;
    while (run < 8 && bytes[offset + 2 * run] === 0 && bytes[offset + 2 * run + 1] === 0) run++;
    if (run - group > bestLength) {
      best = group;
      bestLength = run - group;
    }
    group = run === group ? group + 1 : run;
  }
  if (best === 0 && bestLength === 5 && bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff) {
    return `::ffff:${formatIPv4(bytes, offset + 12)}`;
  }
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === best) {
      text += '::';
      group += bestLength - 1;
      continue;
    }
    const value = ((bytes[offset + 2 * group] ?? 0) << 8) | (bytes[offset + 2 * group + 1] ?? 0);
    if (group > 0 && group !== best + bestLength) text += ':';
    text += value.toString(16);
  }
  return text;
}

/** Whether the sixteen bytes at `offset` are a v4-mapped address (::ffff:0:0/96, RFC 4291 section 2.5.5.2). */
export function isV4Mapped(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}
