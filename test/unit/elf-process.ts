/**
 * A process in memory as hand-made as can be: an executable without, and a library with, the variable of OTEP 4947, mapped at
 * addresses of its own. For what real programs (test/e2e/trace-context.test.ts) do not do.
 */

import { gnuHash } from '../../src/enrich/process/elf-image.ts';
import type { Mapping } from '../../src/enrich/process/memory-map.ts';
import { type ProcessView, SYMBOL } from '../../src/enrich/process/trace-context-place.ts';

export const BASE = 0x7000_0000_0000n;
/** Where the library keeps its tables, from its start. */
export const AT = {
  dynamic: 0x200,
  hash: 0x300,
  symbols: 0x400,
  strings: 0x500,
  relocations: 0x600,
  got: 0x800,
  end: 0x1000,
} as const;
const MACHINE = process.arch === 'arm64' ? 183 : 62;
const TYPES =
  process.arch === 'arm64'
    ? { descriptor: 1031, offset: 1030, module: 1028 }
    : { descriptor: 36, offset: 18, module: 16 };

export interface LibrarySpec {
  readonly relocation?: keyof typeof TYPES;
  /** The two words that the dynamic linker wrote. */
  readonly words?: readonly [bigint, bigint];
  readonly addend?: bigint;
  readonly symbol?: number;
  readonly value?: bigint;
}

export function library(spec: LibrarySpec = {}): Buffer {
  const { relocation = 'offset', words = [-64n, 0n], addend = 0n, symbol = 1, value = 16n } = spec;
  const file = Buffer.alloc(AT.end);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(MACHINE, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(3, 56);
  segment(file, 0, 1, 0, AT.end);
  segment(file, 1, 2, AT.dynamic, 8 * 16);
  segment(file, 2, 7, AT.got, 32);
  const tags = [
    [0x6ffffef5, AT.hash],
    [5, AT.strings],
    [6, AT.symbols],
    [7, AT.relocations],
    [8, 24],
  ] as const;
  tags.forEach(([tag, at], index) => {
    file.writeBigUInt64LE(BigInt(tag), AT.dynamic + 16 * index);
    file.writeBigUInt64LE(BigInt(at), AT.dynamic + 16 * index + 8);
  });
  hashTable(file);
  file.writeUInt32LE(1, AT.symbols + 24);
  file.writeUInt8(0x16, AT.symbols + 28);
  file.writeUInt16LE(5, AT.symbols + 30);
  file.writeBigUInt64LE(value, AT.symbols + 32);
  file.write(`\0${SYMBOL}\0`, AT.strings, 'latin1');
  file.writeBigUInt64LE(BigInt(AT.got), AT.relocations);
  file.writeUInt32LE(TYPES[relocation], AT.relocations + 8);
  file.writeUInt32LE(symbol, AT.relocations + 12);
  file.writeBigInt64LE(addend, AT.relocations + 16);
  for (const [index, word] of words.entries())
    file.writeBigUInt64LE(BigInt.asUintN(64, word), AT.got + 8 * index);
  return file;
}

function segment(file: Buffer, index: number, type: number, at: number, size: number): void {
  const header = 64 + 56 * index;
  file.writeUInt32LE(type, header);
  for (const field of [8, 16]) file.writeBigUInt64LE(BigInt(at), header + field);
  for (const field of [32, 40]) file.writeBigUInt64LE(BigInt(size), header + field);
  file.writeBigUInt64LE(8n, header + 48);
}

/** One bucket, symbols from 1 on, a filter that lets everything through. */
function hashTable(file: Buffer): void {
  for (const [index, word] of [1, 1, 1, 6].entries()) file.writeUInt32LE(word, AT.hash + 4 * index);
  file.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, AT.hash + 16);
  file.writeUInt32LE(1, AT.hash + 24);
  file.writeUInt32LE((gnuHash(SYMBOL) | 1) >>> 0, AT.hash + 28);
}

export interface Counted {
  reads: number;
}

interface Surroundings {
  /** The dynamic linker's name. */
  readonly libc?: string;
  readonly more?: Buffer;
  readonly auxiliary?: Buffer;
}

/** A process that has `file` mapped, and `more` behind it. */
export function processOf(
  file: Buffer,
  {
    libc = '/lib/ld-linux-x86-64.so.2',
    more = Buffer.alloc(0),
    auxiliary = Buffer.alloc(0),
  }: Surroundings = {},
): ProcessView & Counted {
  const bytes = Buffer.concat([file, more]);
  const mapping = (start: bigint, size: number, name: string): Mapping => ({
    start,
    end: start + BigInt(size),
    permissions: 'r--p',
    offset: 0n,
    device: 'fe:00',
    name,
  });
  const view = {
    mappings: [mapping(BASE, bytes.length, '/lib/libtracer.so'), mapping(BASE * 2n, 4096, libc)],
    auxiliary,
    reads: 0,
    async read(address: bigint, length: number): Promise<Buffer | undefined> {
      view.reads++;
      const at = address - BASE;
      if (at < 0n || at + BigInt(length) > BigInt(bytes.length)) return undefined;
      return Buffer.from(bytes.subarray(Number(at), Number(at) + length));
    },
  };
  return view;
}
