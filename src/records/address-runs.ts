/** Attributes of an address, and of its port, as bytes: most lookups are of few servers and few local addresses. */
import { addressText, hashAddress, isSameAddress } from '../lib/address-words.ts';
import type { ProtobufWriter } from '../otlp/encode.ts';
import type { RecordAttributeName } from '../tables/attributes.ts';
import { AttributeKey, KeptRun } from './attribute-writer.ts';

/** A power of two. Addresses that fall on the same slot drive each other out, which costs writing them attribute by attribute. */
const SLOTS = 512;
/** Four words of the address and the port. */
const WORDS = 5;
const PORT = 4;
/** Bytes of the longest run: two keys of 21 characters, an address of 45, a port, tags and lengths. */
const MAX_RUN = 128;

export class AddressRuns {
  readonly #address: AttributeKey;
  readonly #port: AttributeKey | undefined;
  readonly #keys = new Int32Array(SLOTS * WORDS);
  readonly #runs = new Array<KeptRun | undefined>(SLOTS).fill(undefined);

  /** @param port undefined: the address alone */
  constructor(address: RecordAttributeName, port?: RecordAttributeName) {
    this.#address = new AttributeKey(address);
    this.#port = port === undefined ? undefined : new AttributeKey(port);
  }

  /** @param words the address lies at `at`, four words (lookup/fields.ts); @param port 0 where none is asked for */
  write(writer: ProtobufWriter, words: Int32Array, at: number, port: number): void {
    const slot = (hashAddress(words, at) ^ port) & (SLOTS - 1);
    const keys = this.#keys;
    const key = slot * WORDS;
    const known = this.#runs[slot];
    if (known !== undefined && keys[key + PORT] === port && isSameAddress(words, at, keys, key)) {
      known.write(writer);
      return;
    }
    const start = writer.position;
    this.#address.text(writer, addressText(words, at));
    this.#port?.integer(writer, port);
    const run = known ?? new KeptRun(MAX_RUN);
    run.keep(writer, start);
    this.#runs[slot] = run;
    for (let i = 0; i < 4; i++) keys[key + i] = words[at + i] as number;
    keys[key + PORT] = port;
  }
}
