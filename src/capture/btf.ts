/**
 * Whether bytes are BTF (BPF Type Format, Documentation/bpf/btf.rst) that libbpf can be given: it reads the header and the sizes of what is
 * in a file, and trusts the rest. A reference past the last type, a bit field of no size or a structure within itself would end the process.
 * The rules are those of the kernel (kernel/bpf/btf.c) for what programs bring along.
 */

/** BTF_MAX_SIZE of kernel/bpf/btf.c; that of a kernel is 3 to 8 MB. */
export const MAX_BTF_BYTES = 16 * 1024 * 1024;

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Bits of `info` that mean nothing. */
const UNUSED_INFO = 0x60ff0000;
/** Structures within each other, arrays, and names of types. Of a kernel: some 20. */
const MAX_DEPTH = 64;
/** Members of a structure with those of all within it: libbpf looks through the unnamed ones for a name. Of a kernel: some 5,000. */
const MAX_MEMBERS = 1_000_000;

const KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

/** Words behind the first three of a type: so many, and so many for each of its `vlen` parts. */
const WORDS: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  [KIND.INT]: [1, 0],
  [KIND.PTR]: [0, 0],
  [KIND.ARRAY]: [3, 0],
  [KIND.STRUCT]: [0, 3],
  [KIND.UNION]: [0, 3],
  [KIND.ENUM]: [0, 2],
  [KIND.FWD]: [0, 0],
  [KIND.TYPEDEF]: [0, 0],
  [KIND.VOLATILE]: [0, 0],
  [KIND.CONST]: [0, 0],
  [KIND.RESTRICT]: [0, 0],
  [KIND.FUNC]: [0, 0],
  [KIND.FUNC_PROTO]: [0, 2],
  [KIND.VAR]: [1, 0],
  [KIND.DATASEC]: [0, 3],
  [KIND.FLOAT]: [0, 0],
  [KIND.DECL_TAG]: [1, 0],
  [KIND.TYPE_TAG]: [0, 0],
  [KIND.ENUM64]: [0, 3],
};
const REFERENCES: ReadonlySet<number> = new Set([
  KIND.PTR,
  KIND.TYPEDEF,
  KIND.VOLATILE,
  KIND.CONST,
  KIND.RESTRICT,
  KIND.FUNC,
  KIND.FUNC_PROTO,
  KIND.VAR,
  KIND.DECL_TAG,
  KIND.TYPE_TAG,
]);
/** Kinds that are what they refer to, by another name. */
const ALIASES: ReadonlySet<number> = new Set([
  KIND.TYPEDEF,
  KIND.VOLATILE,
  KIND.CONST,
  KIND.RESTRICT,
  KIND.TYPE_TAG,
]);

/** @returns what is wrong with them, after "the file "; undefined: nothing */
export function faultOfBtf(bytes: Uint8Array): string | undefined {
  if (bytes.length < HEADER_BYTES) return 'is too short for BTF';
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (header.getUint16(0, true) !== MAGIC) return `is no BTF${whatElse(bytes)}`;
  const [version, flags, headerBytes] = [header.getUint8(2), header.getUint8(3), header.getUint32(4, true)];
  if (version !== 1 || flags !== 0 || headerBytes !== HEADER_BYTES) return 'is BTF of an unknown version';
  const [typeOffset = 0, typeBytes = 0, nameOffset = 0, nameBytes = 0] = [8, 12, 16, 20].map((at) =>
    header.getUint32(at, true),
  );
  const room = bytes.length - HEADER_BYTES;
  if (typeOffset % 4 !== 0 || typeBytes % 4 !== 0) return damaged('its types are not aligned');
  if (typeOffset + typeBytes > nameOffset || nameOffset + nameBytes > room) return damaged('it is cut off');
  const names = bytes.subarray(HEADER_BYTES + nameOffset, HEADER_BYTES + nameOffset + nameBytes);
  if (names.length === 0 || names[0] !== 0 || names.at(-1) !== 0) return damaged('its names do not end');
  // A copy: aligned.
  const start = HEADER_BYTES + typeOffset;
  const types = new Uint8Array(bytes.subarray(start, start + typeBytes));
  const fault = new Types(new Uint32Array(types.buffer), nameBytes).fault();
  return fault === undefined ? undefined : damaged(fault);
}

function damaged(how: string): string {
  return `is damaged BTF: ${how}`;
}

/** What people take for it. */
function whatElse(bytes: Uint8Array): string {
  const starts = (...head: readonly number[]) => head.every((byte, index) => bytes[index] === byte);
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return ' but an xz archive';
  if (starts(0x1f, 0x8b)) return ' but a gzip archive';
  if (starts(0x7f, 0x45, 0x4c, 0x46)) return ' but an ELF file';
  if (starts(0xeb, 0x9f)) return ' of this byte order';
  return Buffer.from(bytes.subarray(257, 262)).toString('latin1') === 'ustar' ? ' but a tar archive' : '';
}

class Types {
  readonly #words: Uint32Array;
  readonly #nameBytes: number;
  /** Where each type begins, in words; type 0 is void. */
  readonly #at: number[] = [0];

  constructor(words: Uint32Array, nameBytes: number) {
    this.#words = words;
    this.#nameBytes = nameBytes;
  }

  fault(): string | undefined {
    for (let at = 0; at < this.#words.length; ) {
      const words = WORDS[this.#kindAt(at)];
      if (at + 3 > this.#words.length || words === undefined || (this.#word(at + 1) & UNUSED_INFO) !== 0)
        return `type ${this.#at.length} is of no known kind`;
      this.#at.push(at);
      at += 3 + words[0] + words[1] * (this.#word(at + 1) & 0xffff);
      if (at > this.#words.length) return `type ${this.#at.length - 1} is cut off`;
    }
    for (let id = 1; id < this.#at.length; id++) {
      const fault = this.#faultOf(id);
      if (fault !== undefined) return `type ${id} ${fault}`;
    }
    return this.#faultOfNesting();
  }

  #faultOf(id: number): string | undefined {
    const at = this.#at[id] as number;
    const [kind, length] = [this.#kindAt(at), this.#word(at + 1) & 0xffff];
    const [fixed, each] = WORDS[kind] as readonly [number, number];
    const size = this.#word(at + 2);
    if (!this.#isName(this.#word(at))) return 'has a name that is not there';
    if (REFERENCES.has(kind) && !this.#isType(size)) return 'refers to a type that is not there';
    if (kind === KIND.FUNC && this.#kindOf(size) !== KIND.FUNC_PROTO) return 'is a function without its kind';
    if (kind === KIND.INT && !isInteger(size, this.#word(at + 3))) return 'is an integer of no possible size';
    if ((kind === KIND.ENUM || kind === KIND.ENUM64) && ![1, 2, 4, 8].includes(size))
      return 'is an enumeration of no possible size';
    if (kind === KIND.ARRAY && !(this.#isType(this.#word(at + 3)) && this.#isType(this.#word(at + 4))))
      return 'is an array of a type that is not there';
    const isData = kind === KIND.DATASEC;
    for (let part = at + 3 + fixed, left = each === 0 ? 0 : length; left > 0; part += each, left--) {
      if (!isData && !this.#isName(this.#word(part))) return 'has a part whose name is not there';
      const hasType = kind === KIND.STRUCT || kind === KIND.UNION || kind === KIND.FUNC_PROTO;
      if ((isData || hasType) && !this.#isType(this.#word(isData ? part : part + 1)))
        return 'has a part of a type that is not there';
      if (kind === KIND.STRUCT || kind === KIND.UNION) {
        const fault = this.#faultOfMember(at, part);
        if (fault !== undefined) return fault;
      }
    }
    return undefined;
  }

  /** A bit field has a type whose size libbpf divides by. */
  #faultOfMember(at: number, member: number): string | undefined {
    const hasBits = this.#word(at + 1) >>> 31 === 1;
    const offset = this.#word(member + 2);
    const [bits, place] = hasBits ? [offset >>> 24, offset & 0xffffff] : [0, offset];
    if (place > this.#word(at + 2) * 8) return 'has a member outside of it';
    if (bits === 0) return undefined;
    let id = this.#word(member + 1);
    for (let left = MAX_DEPTH; left > 0 && ALIASES.has(this.#kindOf(id)); left--)
      id = this.#word((this.#at[id] as number) + 2);
    const isNumber = [KIND.INT, KIND.ENUM, KIND.ENUM64].some((kind) => kind === this.#kindOf(id));
    return isNumber && bits <= 128 ? undefined : 'has a bit field that is no number';
  }

  /** Each type after those that it holds: their depth, and how many members there are in all. */
  #faultOfNesting(): string | undefined {
    const count = this.#at.length;
    const depths = new Uint8Array(count);
    const members = new Float64Array(count);
    /** 0: not looked at; 1: what it holds is being looked at; 2: done. */
    const states = new Uint8Array(count);
    states[0] = 2;
    for (let first = 1; first < count; first++) {
      const stack = states[first] === 2 ? [] : [first];
      for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
        const held = this.#heldBy(id);
        if (states[id] === 0) {
          states[id] = 1;
          for (const each of held) {
            if (states[each] === 1) return `type ${each} is within itself`;
            if (states[each] === 0) stack.push(each);
          }
          continue;
        }
        stack.pop();
        if (states[id] === 2) continue;
        for (const each of held) {
          depths[id] = Math.max(depths[id] as number, (depths[each] as number) + 1);
          members[id] = (members[id] as number) + (members[each] as number) + 1;
        }
        if ((depths[id] as number) > MAX_DEPTH) return `type ${id} is too deep`;
        if ((members[id] as number) > MAX_MEMBERS) return `type ${id} has too many members`;
        states[id] = 2;
      }
    }
    return undefined;
  }

  /** Types that are part of its own bytes. */
  #heldBy(id: number): readonly number[] {
    const at = this.#at[id] as number;
    const kind = this.#kindAt(at);
    if (ALIASES.has(kind)) return [this.#word(at + 2)];
    if (kind === KIND.ARRAY) return [this.#word(at + 3)];
    if (kind !== KIND.STRUCT && kind !== KIND.UNION) return [];
    const held: number[] = [];
    const length = this.#word(at + 1) & 0xffff;
    for (let part = at + 3; part < at + 3 + length * 3; part += 3) held.push(this.#word(part + 1));
    return held;
  }

  #word(at: number): number {
    return this.#words[at] as number;
  }

  #kindAt(at: number): number {
    return ((this.#words[at + 1] ?? 0) >>> 24) & 0x1f;
  }

  #kindOf(id: number): number {
    return id === 0 ? 0 : this.#kindAt(this.#at[id] as number);
  }

  #isType(id: number): boolean {
    return id < this.#at.length;
  }

  #isName(offset: number): boolean {
    return offset < this.#nameBytes;
  }
}

/** @param data encoding, offset and number of bits, as btf_int_data */
function isInteger(size: number, data: number): boolean {
  const [offset, bits] = [(data >>> 16) & 0xff, data & 0xff];
  return [1, 2, 4, 8, 16].includes(size) && offset + bits <= size * 8;
}
