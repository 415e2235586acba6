/** Classes and opcodes as IANA lists them (registries "DNS CLASSes" and "DNS OpCodes", RFC 6895). */
export const CLASSES = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

export const OPCODES = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5, DSO: 6 } as const;

const CLASS_NAMES = new Map<number, string>(
  Object.entries(CLASSES).map(([name, value]) => [value, name] as const),
);
const OPCODE_NAMES = new Map<number, string>(
  Object.entries(OPCODES).map(([name, value]) => [value, name] as const),
);

/** What a stranger writes is no name of a property. */
const OPCODE_NUMBERS = new Map<string, number>(Object.entries(OPCODES));

/** Mnemonic of a class, `CLASS7` when IANA lists none (RFC 3597 section 5). */
export function className(value: number): string {
  return CLASS_NAMES.get(value) ?? `CLASS${value}`;
}

/** Mnemonic of an opcode, `OPCODE7` when IANA lists none. */
export function opcodeName(value: number): string {
  return OPCODE_NAMES.get(value) ?? `OPCODE${value}`;
}

/** `NOTIFY`, `OPCODE7`; undefined: it is none (4 bits, RFC 1035 section 4.1.1). */
export function opcodeNumber(text: string): number | undefined {
  const digits = /^OPCODE(\d{1,2})$/.exec(text)?.[1];
  const opcode = digits === undefined ? OPCODE_NUMBERS.get(text) : Number(digits);
  return opcode === undefined || opcode > 0xf ? undefined : opcode;
}
