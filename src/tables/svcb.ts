/** Service parameter keys as IANA lists them (registry "Service Parameter Keys (SvcParamKeys)", RFC 9460 section 14.3). */
export const SVCB_KEYS = {
  mandatory: 0,
  alpn: 1,
  'no-default-alpn': 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
  ohttp: 8,
  'tls-supported-groups': 9,
  docpath: 10,
} as const;

const NAMES = new Map<number, string>(Object.entries(SVCB_KEYS).map(([name, key]) => [key, name] as const));

/** Name of a service parameter key, `key667` when IANA lists none (RFC 9460 section 2.1). */
export function svcbKeyName(key: number): string {
  return NAMES.get(key) ?? `key${key}`;
}
