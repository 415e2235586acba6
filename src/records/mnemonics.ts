/** Names of numbers of the DNS (types, classes, response codes) as bytes: as text and as a whole attribute. */
import type { RecordAttributeName } from '../tables/attributes.ts';
import { attributeRun } from './attribute-writer.ts';

/** A power of two. Numbers that fall on the same slot drive each other out, which costs the making of the bytes. */
const SLOTS = 1024;

export interface Mnemonic {
  readonly number: number;
  readonly text: Uint8Array;
  readonly attribute: Uint8Array;
}

export class Mnemonics {
  readonly #attribute: RecordAttributeName;
  readonly #nameOf: (number: number) => string;
  readonly #slots = new Array<Mnemonic | undefined>(SLOTS).fill(undefined);

  constructor(attribute: RecordAttributeName, nameOf: (number: number) => string) {
    this.#attribute = attribute;
    this.#nameOf = nameOf;
  }

  /** @param number 0 to 65 535 */
  of(number: number): Mnemonic {
    const slot = (number ^ (number >>> 10)) & (SLOTS - 1);
    const known = this.#slots[slot];
    if (known !== undefined && known.number === number) return known;
    const name = this.#nameOf(number);
    const made = {
      number,
      text: Uint8Array.from(Buffer.from(name)),
      attribute: attributeRun(this.#attribute, name),
    };
    this.#slots[slot] = made;
    return made;
  }
}
