/** EDNS option codes as IANA lists them (registry "DNS EDNS0 Option Codes (OPT)", RFC 6891). */
export const EDNS_OPTIONS = {
  LLQ: 1,
  'Update-Lease': 2,
  NSID: 3,
  DAU: 5,
  DHU: 6,
  N3U: 7,
  'edns-client-subnet': 8,
  'EDNS-EXPIRE': 9,
  COOKIE: 10,
  'edns-tcp-keepalive': 11,
  Padding: 12,
  CHAIN: 13,
  'edns-key-tag': 14,
  'Extended-DNS-Error': 15,
  'EDNS-Client-Tag': 16,
  'EDNS-Server-Tag': 17,
  'Report-Channel': 18,
  ZONEVERSION: 19,
  'MQTYPE-Query': 20,
  'MQTYPE-Response': 21,
  'Umbrella-Ident': 20292,
  DeviceID: 26946,
} as const;

/** Extended DNS errors as IANA lists them (registry "Extended DNS Error Codes", RFC 8914). */
export const EXTENDED_ERRORS: Readonly<Record<number, string>> = {
  0: 'Other',
  1: 'Unsupported DNSKEY Algorithm',
  2: 'Unsupported DS Digest Type',
  3: 'Stale Answer',
  4: 'Forged Answer',
  5: 'DNSSEC Indeterminate',
  6: 'DNSSEC Bogus',
  7: 'Signature Expired',
  8: 'Signature Not Yet Valid',
  9: 'DNSKEY Missing',
  10: 'RRSIGs Missing',
  11: 'No Zone Key Bit Set',
  12: 'NSEC Missing',
  13: 'Cached Error',
  14: 'Not Ready',
  15: 'Blocked',
  16: 'Censored',
  17: 'Filtered',
  18: 'Prohibited',
  19: 'Stale NXDOMAIN Answer',
  20: 'Not Authoritative',
  21: 'Not Supported',
  22: 'No Reachable Authority',
  23: 'Network Error',
  24: 'Invalid Data',
  25: 'Signature Expired before Valid',
  26: 'Too Early',
  27: 'Unsupported NSEC3 Iterations Value',
  28: 'Unable to conform to policy',
  29: 'Synthesized',
  30: 'Invalid Query Type',
};

const OPTION_NAMES = new Map<number, string>(
  Object.entries(EDNS_OPTIONS).map(([name, code]) => [code, name] as const),
);

/** Name of an EDNS option, `OPT65001` when IANA lists none. */
export function ednsOptionName(code: number): string {
  return OPTION_NAMES.get(code) ?? `OPT${code}`;
}

/** Purpose of an extended DNS error, `EDE65001` when IANA lists none. */
export function extendedErrorName(code: number): string {
  return EXTENDED_ERRORS[code] ?? `EDE${code}`;
}
