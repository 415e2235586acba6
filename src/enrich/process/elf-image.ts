/**
 * An ELF file as a process has it mapped, 64 bit and of this machine: what the dynamic linker reads of it (elf(5), System V
 * ABI), from memory, so that it is the file in use and not what has its name now. Everything in it is hostile: numbers are checked
 * where they are used, walks are bounded, what makes no sense is undefined.
 */
import type { Memory } from './process-memory.ts';

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 24;
const DYNAMIC_BYTES = 16;
const MAX_PROGRAM_HEADERS = 64;
const MAX_DYNAMIC = 256;
/** Symbols of one hash bucket. Tables are made for two or so. */
const MAX_CHAIN = 256;
/** Relocations looked at: those of the largest libraries in use are some 300 000. */
const MAX_RELOCATION_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = RELOCATION_BYTES * 2048;
const USER_SPACE = 1n << 57n;

const PT = { load: 1, dynamic: 2, tls: 7 } as const;
const DT = {
  pltRelSize: 2n,
  hash: 4n,
  stringTable: 5n,
  symbolTable: 6n,
  rela: 7n,
  relaSize: 8n,
  jmpRel: 23n,
  gnuHash: 0x6ffffef5n,
} as const;
const STT_TLS = 6;
const MACHINE = { x64: 62, arm64: 183 } as Readonly<Record<string, number>>;

export interface Segment {
  readonly address: bigint;
  readonly size: bigint;
  readonly alignment: bigint;
}

export interface ThreadSymbol {
  readonly index: number;
  /** Offset in its module's thread-local block. */
  readonly value: bigint;
}

export interface Relocation {
  readonly type: number;
  readonly symbol: number;
  readonly addend: bigint;
  /** Where in the process's memory. */
  readonly address: bigint;
}

export class ElfImage {
  /** Template of the thread-local block, at link-time addresses. */
  readonly tls: Segment | undefined;
  readonly #memory: Memory;
  /** What to add to an address of the file. */
  readonly #bias: bigint;
  readonly #end: bigint;
  readonly #dynamic: ReadonlyMap<bigint, bigint>;

  private constructor(memory: Memory, bias: bigint, parts: Parts, dynamic: ReadonlyMap<bigint, bigint>) {
    this.#memory = memory;
    this.#bias = bias;
    this.#end = parts.end;
    this.tls = parts.tls;
    this.#dynamic = dynamic;
  }

  /** @param base where the file's first byte is mapped. undefined: no dynamically linked ELF file of this machine. */
  static async read(memory: Memory, base: bigint): Promise<ElfImage | undefined> {
    const header = await memory.read(base, HEADER_BYTES);
    if (header === undefined || !isOfThisMachine(header)) return undefined;
    const count = header.readUInt16LE(56);
    if (count === 0 || count > MAX_PROGRAM_HEADERS || header.readUInt16LE(54) !== PROGRAM_HEADER_BYTES)
      return undefined;
    const headers = await memory.read(base + header.readBigUInt64LE(32), count * PROGRAM_HEADER_BYTES);
    const parts = headers === undefined ? undefined : segments(headers);
    if (parts === undefined) return undefined;
    const bias = base - parts.start;
    const { dynamic } = parts;
    const entries =
      dynamic.size > MAX_DYNAMIC * DYNAMIC_BYTES ? MAX_DYNAMIC : Number(dynamic.size) / DYNAMIC_BYTES;
    const table = await memory.read(bias + dynamic.address, Math.floor(entries) * DYNAMIC_BYTES);
    return table === undefined ? undefined : new ElfImage(memory, bias, parts, dynamicEntries(table));
  }

  holds(address: bigint): boolean {
    return address >= this.#bias && address < this.#bias + this.#end;
  }

  /** A thread-local symbol that this file defines and exports. */
  async threadSymbol(name: string): Promise<ThreadSymbol | undefined> {
    const candidates = this.#dynamic.has(DT.gnuHash) ? this.#gnuCandidates(name) : this.#sysvCandidates(name);
    const wanted = Buffer.from(`${name}\0`, 'latin1');
    for await (const index of candidates) {
      const symbol = await this.#at(DT.symbolTable, BigInt(index) * BigInt(SYMBOL_BYTES), SYMBOL_BYTES);
      if (symbol === undefined) return undefined;
      const text = await this.#at(DT.stringTable, BigInt(symbol.readUInt32LE(0)), wanted.length);
      if (text === undefined || !text.equals(wanted)) continue;
      const isDefined = symbol.readUInt16LE(6) !== 0;
      if (!isDefined || (symbol.readUInt8(4) & 15) !== STT_TLS) continue;
      return { index, value: symbol.readBigUInt64LE(8) };
    }
    return undefined;
  }

  /** The relocations of the wanted types, at most `most`. */
  async relocations(types: ReadonlySet<number>, max: number): Promise<Relocation[]> {
    const found: Relocation[] = [];
    for (const [table, size] of [
      [DT.jmpRel, DT.pltRelSize],
      [DT.rela, DT.relaSize],
    ] as const) {
      const length = Number(this.#dynamic.get(size) ?? 0n);
      const end = Math.min(length - (length % RELOCATION_BYTES), MAX_RELOCATION_BYTES);
      for (let at = 0; at < end && found.length < max; at += CHUNK_BYTES) {
        const chunk = await this.#at(table, BigInt(at), Math.min(CHUNK_BYTES, end - at));
        if (chunk === undefined) break;
        this.#collect(chunk, types, max, found);
      }
    }
    return found;
  }

  #collect(chunk: Buffer, types: ReadonlySet<number>, max: number, found: Relocation[]): void {
    for (let at = 0; at < chunk.length && found.length < max; at += RELOCATION_BYTES) {
      const type = chunk.readUInt32LE(at + 8);
      if (!types.has(type)) continue;
      found.push({
        type,
        symbol: chunk.readUInt32LE(at + 12),
        addend: chunk.readBigInt64LE(at + 16),
        address: this.#bias + chunk.readBigUInt64LE(at),
      });
    }
  }

  /** Symbols that may have the name, by the GNU hash table: header of four words, Bloom filter, buckets, chains. */
  async *#gnuCandidates(name: string): AsyncGenerator<number> {
    const header = await this.#at(DT.gnuHash, 0n, 16);
    if (header === undefined) return;
    const [buckets, first, words, shift] = [0, 4, 8, 12].map((at) => header.readUInt32LE(at)) as Four;
    if (buckets === 0 || words === 0) return;
    const hash = gnuHash(name);
    const filter = await this.#at(DT.gnuHash, 16n + 8n * BigInt((hash >>> 6) % words), 8);
    const bits = (1n << BigInt(hash & 63)) | (1n << BigInt((hash >>> (shift & 31)) & 63));
    if (filter === undefined || (filter.readBigUInt64LE() & bits) !== bits) return;
    const table = 16n + 8n * BigInt(words);
    const bucket = await this.#at(DT.gnuHash, table + 4n * BigInt(hash % buckets), 4);
    const start = bucket?.readUInt32LE() ?? 0;
    if (start < first) return;
    const chains = table + 4n * BigInt(buckets);
    for (let index = start; index < start + MAX_CHAIN; index++) {
      const link = (await this.#at(DT.gnuHash, chains + 4n * BigInt(index - first), 4))?.readUInt32LE();
      if (link === undefined) return;
      // Bit 0 ends the chain.
      if ((link | 1) === (hash | 1)) yield index;
      if ((link & 1) === 1) return;
    }
  }

  /** The same by the hash table of the System V ABI: two numbers, buckets, chains. */
  async *#sysvCandidates(name: string): AsyncGenerator<number> {
    const header = await this.#at(DT.hash, 0n, 8);
    const buckets = header?.readUInt32LE(0) ?? 0;
    if (buckets === 0) return;
    let at = 8n + 4n * BigInt(sysvHash(name) % buckets);
    for (let steps = 0; steps < MAX_CHAIN; steps++) {
      const index = (await this.#at(DT.hash, at, 4))?.readUInt32LE() ?? 0;
      if (index === 0) return;
      yield index;
      at = 8n + 4n * BigInt(buckets) + 4n * BigInt(index);
    }
  }

  /**
   * Bytes of a table of the dynamic section. Some linkers (glibc's) write the address in memory over the file's: it is the
   * one or the other by where it lies.
   */
  async #at(table: bigint, offset: bigint, length: number): Promise<Buffer | undefined> {
    const given = this.#dynamic.get(table);
    if (given === undefined) return undefined;
    const address = this.holds(given) ? given : given + this.#bias;
    return this.holds(address) ? this.#memory.read(address + offset, length) : undefined;
  }
}

type Four = [number, number, number, number];

interface Parts {
  /** Link-time address of the file's first byte, and of the end of all segments. */
  readonly start: bigint;
  readonly end: bigint;
  readonly dynamic: Segment;
  readonly tls: Segment | undefined;
}

function isOfThisMachine(header: Buffer): boolean {
  const isElf64 =
    header.readUInt32BE(0) === 0x7f454c46 && header.readUInt8(4) === 2 && header.readUInt8(5) === 1;
  const type = header.readUInt16LE(16);
  return isElf64 && (type === 2 || type === 3) && header.readUInt16LE(18) === MACHINE[process.arch];
}

/** undefined: nothing of the file is loaded from its start, or it has no dynamic section. */
function segments(headers: Buffer): Parts | undefined {
  let start: bigint | undefined;
  let end = 0n;
  let dynamic: Segment | undefined;
  let tls: Segment | undefined;
  for (let at = 0; at < headers.length; at += PROGRAM_HEADER_BYTES) {
    const type = headers.readUInt32LE(at);
    const offset = headers.readBigUInt64LE(at + 8);
    const segment = {
      address: headers.readBigUInt64LE(at + 16),
      size: headers.readBigUInt64LE(at + 40),
      alignment: headers.readBigUInt64LE(at + 48),
    };
    if (segment.address + segment.size > USER_SPACE) return undefined;
    if (type === PT.load) {
      if (offset < 4096n) start ??= segment.address - offset;
      if (segment.address + segment.size > end) end = segment.address + segment.size;
    } else if (type === PT.dynamic) dynamic ??= segment;
    else if (type === PT.tls) tls ??= segment;
  }
  return start === undefined || dynamic === undefined ? undefined : { start, end, dynamic, tls };
}

function dynamicEntries(table: Buffer): ReadonlyMap<bigint, bigint> {
  const entries = new Map<bigint, bigint>();
  for (let at = 0; at < table.length; at += DYNAMIC_BYTES) {
    const tag = table.readBigUInt64LE(at);
    if (tag === 0n) break;
    if (!entries.has(tag)) entries.set(tag, table.readBigUInt64LE(at + 8));
  }
  return entries;
}

export function gnuHash(name: string): number {
  let hash = 5381;
  for (const byte of Buffer.from(name, 'latin1')) hash = (Math.imul(hash, 33) + byte) >>> 0;
  return hash;
}

export function sysvHash(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name, 'latin1')) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf0000000;
    hash = (hash ^ (high >>> 24)) & 0x0fffffff;
  }
  return hash >>> 0;
}
