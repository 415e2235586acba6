/** Comparisons of numbers, texts and addresses, whatever they are of. */
import { parseAddress } from '../lib/address.ts';
import type { Comparison, FilterValue } from './ast.ts';
import { wildcard } from './wildcard.ts';

export type Predicate<T> = (subject: T) => boolean;

/** Compiled regular expressions. */
export type Matchers = ReadonlyMap<Comparison, Predicate<string>>;

/** Of a number that is known. */
export function numberTest({ operator, values }: Comparison): Predicate<number> {
  const numbers = values.flatMap((value) => (value.kind === 'number' ? [value.number] : []));
  const [first = Number.NaN] = numbers;
  if (operator === '<') return (number) => number < first;
  if (operator === '<=') return (number) => number <= first;
  if (operator === '>') return (number) => number > first;
  if (operator === '>=') return (number) => number >= first;
  return numbers.length === 1 ? (number) => number === first : (number) => numbers.includes(number);
}

/** Of a text that is known. */
export function textTest(comparison: Comparison, matchers: Matchers): Predicate<string> {
  const regex = matchers.get(comparison);
  if (regex !== undefined) return regex;
  return anyOf(
    comparison.values.flatMap((value) => {
      if (value.kind !== 'text') return [];
      const { text, isPattern } = value;
      return isPattern ? [wildcard(text)] : [(other: string) => other === text];
    }),
  );
}

/** Of an address in presentation form. */
export function addressTest({ values }: Comparison): Predicate<string> {
  const blocks = addressBlocks(values);
  return (text) => {
    const bytes = parseAddress(text);
    if (bytes === undefined) return false;
    const words = new Int32Array(4);
    new Uint8Array(words.buffer).set(bytes);
    return blocks.some((block) => isInBlock(block, words, 0));
  };
}

/** Four words of the first address and of the bits that count, as they lie in memory (lib/address-words.ts). */
export interface AddressBlock {
  readonly first: Int32Array;
  readonly mask: Int32Array;
}

export function addressBlocks(values: readonly FilterValue[]): AddressBlock[] {
  return values.flatMap((value) => {
    if (value.kind !== 'address') return [];
    const bits = Array.from(value.bytes, (_, i) => 0xff00 >> Math.min(Math.max(value.prefix - i * 8, 0), 8));
    return [{ first: wordsOf(value.bytes), mask: wordsOf(bits) }];
  });
}

export function isInBlock({ first, mask }: AddressBlock, words: Int32Array, at: number): boolean {
  for (let i = 0; i < 4; i++)
    if (((words[at + i] as number) & (mask[i] as number)) !== first[i]) return false;
  return true;
}

export function anyOf<T>(tests: readonly Predicate<T>[]): Predicate<T> {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (subject) => tests.some((test) => test(subject));
}

function wordsOf(bytes: readonly number[]): Int32Array {
  return new Int32Array(Uint8Array.from(bytes, (byte) => byte & 0xff).buffer);
}
