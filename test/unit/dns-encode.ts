/** DNS messages made for tests: the inverse of src/dns, written on its own. Names are lists of labels (octets). */

export type Labels = readonly Uint8Array[];

export interface EncodedRecord {
  readonly name: Labels;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly rdata: (Uint8Array | { readonly name: Labels })[];
}

export interface EncodedMessage {
  readonly id: number;
  readonly flags: number;
  readonly questions: readonly { readonly name: Labels; readonly type: number; readonly class: number }[];
  readonly answers: readonly EncodedRecord[];
  readonly authorities: readonly EncodedRecord[];
  readonly additionals: readonly EncodedRecord[];
}

/** `www.example.com` as labels; no escapes. '' or '.' is the root. */
export function labels(name: string): Labels {
  return name === '' || name === '.' ? [] : name.split('.').map((label) => Buffer.from(label, 'latin1'));
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
}

/** A character-string. */
export function string(text: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

/** Bytes of a message. `compress`: names end in a pointer to an earlier occurrence of the same suffix, where there is one. */
export function encodeMessage(message: EncodedMessage, compress = true): Buffer {
  const writer = new Writer(compress);
  const { id, flags, questions, answers, authorities, additionals } = message;
  const counts = [questions, answers, authorities, additionals].map((section) => u16(section.length));
  writer.bytes(u16(id), u16(flags), ...counts);
  for (const question of questions) {
    writer.name(question.name);
    writer.bytes(u16(question.type), u16(question.class));
  }
  for (const record of [...answers, ...authorities, ...additionals]) writer.record(record);
  return writer.done();
}

class Writer {
  #parts: Uint8Array[] = [];
  #size = 0;
  readonly #suffixes = new Map<string, number>();
  readonly #compress: boolean;

  constructor(compress: boolean) {
    this.#compress = compress;
  }

  bytes(...parts: Uint8Array[]): void {
    for (const part of parts) {
      this.#parts.push(part);
      this.#size += part.length;
    }
  }

  name(name: Labels): void {
    const texts = name.map((label) => `${label.length} ${Buffer.from(label).toString('latin1')}`);
    for (let i = 0; i < name.length; i++) {
      const suffix = texts.slice(i).join('');
      const known = this.#suffixes.get(suffix);
      if (known !== undefined && this.#compress) {
        this.bytes(u16(0xc000 | known));
        return;
      }
      if (this.#size < 0x4000 && known === undefined) this.#suffixes.set(suffix, this.#size);
      const label = name[i] as Uint8Array;
      this.bytes(Uint8Array.of(label.length), label);
    }
    this.bytes(Uint8Array.of(0));
  }

  record(record: EncodedRecord): void {
    this.name(record.name);
    this.bytes(u16(record.type), u16(record.class), u32(record.ttl));
    const length = new Uint8Array(2);
    this.bytes(length);
    const start = this.#size;
    for (const part of record.rdata) {
      if (part instanceof Uint8Array) this.bytes(part);
      else this.name(part.name);
    }
    length.set(u16(this.#size - start));
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
