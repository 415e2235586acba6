/** What devices are called, by network namespace and index: the zones of link-local addresses (RFC 4007). */

/** Devices remembered; the one told longest ago goes first, and is then known by its index. */
const MAX_DEVICES = 4096;
/** Whoever has a network namespace of his own may give any name: others than these are not shown. */
const PLAIN_NAME = /^[\w.:@+-]{1,15}$/;

const names = new Map<string, string>();

export function rememberInterface(networkNamespace: number, index: number, name: string): void {
  const key = `${networkNamespace} ${index}`;
  names.delete(key);
  if (!PLAIN_NAME.test(name)) return;
  names.set(key, name);
  const oldest = names.keys().next().value;
  if (names.size > MAX_DEVICES && oldest !== undefined) names.delete(oldest);
}

/** The zone of an address on that device (RFC 4007 section 11.2): its name, or its index. */
export function zoneText(networkNamespace: number, index: number): string {
  return names.get(`${networkNamespace} ${index}`) ?? String(index);
}
