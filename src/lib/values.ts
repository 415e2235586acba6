/** Parsers of option values: text in, value or a reason out. The reason completes "VALUE <reason>". */

export type Parsed<T> = { readonly value: T } | { readonly problem: string };
export type Parser<T> = (text: string) => Parsed<T>;

/** Whole number in `[least, most]`. */
export function integer(min: number, max: number): Parser<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value) || value < min || value > max) {
      return { problem: `is not a whole number from ${min} to ${max}` };
    }
    return { value };
  };
}

/** Whole number of bytes, optionally with the suffix K, M or G (1024). */
export function bytes(min: number, max: number): Parser<number> {
  return (text) => {
    const match = /^(\d{1,12})([KMG]?)i?B?$/i.exec(text);
    const factor = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[match?.[2]?.toUpperCase() ?? ''] ?? 1;
    const value = match === null ? Number.NaN : Number(match[1]) * factor;
    if (Number.isNaN(value) || value < min || value > max) {
      return { problem: `is not a size from ${min} to ${max} bytes (suffixes K, M and G are 1024-based)` };
    }
    return { value };
  };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Duration with a unit (`250ms`, `5s`, `10m`, `1h`), as milliseconds; without one it is in seconds. */
export function duration(leastMs: number, mostMs: number): Parser<number> {
  return (text) => {
    const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(text);
    const value = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] ?? 's'] ?? Number.NaN);
    if (Number.isNaN(value)) return { problem: 'is not a duration such as 500ms, 5s, 10m or 1h' };
    if (value < leastMs || value > mostMs) return { problem: `is not between ${leastMs}ms and ${mostMs}ms` };
    return { value };
  };
}

/** The result tells its choices: shells complete them. */
export function oneOf<const T extends string>(
  ...choices: readonly T[]
): Parser<T> & { readonly choices: readonly T[] } {
  const parse: Parser<T> = (text) => {
    const value = choices.find((choice) => choice === text);
    return value === undefined ? { problem: `is not one of ${choices.join(', ')}` } : { value };
  };
  return Object.assign(parse, { choices });
}

/** Enumerations of environment variables are read in any case (OpenTelemetry specification, "Enum"). */
export function caseless<T>(parse: Parser<T>): Parser<T> {
  return (text) => parse(text.toLowerCase());
}

/** Boolean environment variables: only "true" (any case) is true; "false" and empty are false; else a problem (specification, "Boolean"). */
export const boolean: Parser<boolean> = (text) => {
  const lower = text.toLowerCase();
  if (lower === 'true') return { value: true };
  if (lower === 'false' || lower === '') return { value: false };
  return { problem: 'is not true or false' };
};

/** Comma-separated list of one parser's values; empty elements are ignored. */
export function list<T>(parse: Parser<T>): Parser<readonly T[]> {
  return (text) => {
    const values: T[] = [];
    for (const element of text.split(',').map((part) => part.trim())) {
      if (element === '') continue;
      const parsed = parse(element);
      if ('problem' in parsed) return parsed;
      values.push(parsed.value);
    }
    return values.length === 0 ? { problem: 'is an empty list' } : { value: values };
  };
}
