/** A domain in presentation form as the labels it has on the wire, to be compared with those of messages. */

/**
 * Labels in the order in which they are compared, the last one first; none of the root.
 *
 * @param domain in lower case and presentation form (RFC 4343 section 2.1): an escaped dot (`\.`) separates no labels
 */
export function labelsOf(domain: string): readonly Uint8Array[] {
  if (domain === '.') return [];
  const labels = domain.match(/(?:\\\d{3}|\\.|[^.\\])+/gsu) ?? [];
  return labels.map(octetsOf).reverse();
}

function octetsOf(label: string): Uint8Array {
  const parts = Array.from(label.matchAll(/\\(\d{3})|\\?(.)/gsu), ([, decimal, text = '']) =>
    decimal === undefined ? Buffer.from(text) : Buffer.from([Number(decimal)]),
  );
  return Uint8Array.from(Buffer.concat(parts));
}
