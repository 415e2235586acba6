/**
 * Response codes as IANA lists them (registry "DNS RCODEs", RFC 6895), the EDNS extended ones (RFC 6891) included.
 * 16 is BADVERS in an OPT record and BADSIG in a TSIG record; only the former is a message's rcode, so it has that name.
 * 17 to 22 appear in TSIG and TKEY records, 23 in OPT.
 */
export const RCODES = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  DSOTYPENI: 11,
  BADVERS: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADMODE: 19,
  BADNAME: 20,
  BADALG: 21,
  BADTRUNC: 22,
  BADCOOKIE: 23,
} as const;

const NAMES = new Map<number, string>(Object.entries(RCODES).map(([name, rcode]) => [rcode, name] as const));

/** Mnemonic of a response code, `RCODE3841` when IANA lists none (after the manner of RFC 3597). */
export function rcodeName(rcode: number): string {
  return NAMES.get(rcode) ?? `RCODE${rcode}`;
}

/** `NXDOMAIN` in any case, `RCODE3841`, `3`; undefined: it is none (12 bits, RFC 6891 section 6.1.3). */
export function rcodeNumber(text: string): number | undefined {
  const name = text.toUpperCase();
  const digits = /^(?:RCODE)?(\d{1,4})$/.exec(name)?.[1];
  const rcode =
    (RCODES as Readonly<Record<string, number>>)[name] ?? (digits === undefined ? undefined : Number(digits));
  return rcode === undefined || rcode > 0xfff ? undefined : rcode;
}
