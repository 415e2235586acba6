/** Five numbers or so, honestly: minimum, median, maximum. */

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly runs: number;
}

/** @param values at least one */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new Error('no values');
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? min;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? min) + upper) / 2;
  return { min, median, max, runs: sorted.length };
}

/** `median (min to max)`, or the value alone if all agree. */
export function show({ min, median, max }: Spread, digits = 0): string {
  const text = (value: number) => value.toFixed(digits);
  return text(min) === text(max) ? text(median) : `${text(median)} (${text(min)} to ${text(max)})`;
}

/** 1234567 -> 1 234 567 */
export function thousands(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
}
