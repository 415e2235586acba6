/**
 * Where a process keeps its threads' contexts: OTEP 4947, "Thread-Local Variable Resolution". The variable
 * `otel_thread_ctx_v1` is defined and exported by the executable or by one of its libraries. Of the executable's own the offset
 * follows from its headers; of a library's the dynamic linker has written down what it decided, where the library itself reads it:
 * in the words that its relocations name. Formats: "ELF Handling For Thread-Local Storage" (Drepper), the psABIs of
 * x86-64 and AArch64, TLSDESC (Oliva); vectors as in glibc's and musl's sources.
 */
import type { TracePlace } from '../../model.ts';
import { ElfImage, type Relocation, type Segment, type ThreadSymbol } from './elf-image.ts';
import type { Mapping } from './memory-map.ts';
import type { Memory } from './process-memory.ts';

export const SYMBOL = 'otel_thread_ctx_v1';
/** Files of a process looked into. */
const MAX_FILES = 1024;
const MAX_RELOCATIONS = 64;
/** glibc's and musl's first thread-local blocks are far smaller. */
const MAX_OFFSET = 1n << 31n;
const MAX_MODULE = 1n << 16n;
/** Auxiliary vector: address of the executable's program headers. */
const AT_PHDR = 3n;

/** The dynamic linker of the GNU C library, by its names; musl's is whatever else. */
const GLIBC = /\/ld-(linux|2\.\d)[^/]*$/;

interface Machine {
  /** Relocation types by what they make the dynamic linker write. */
  readonly descriptor: number;
  readonly offset: number;
  readonly module: number;
  /** Offset of a variable of the executable from the thread pointer. */
  readonly own: (tls: Segment, value: bigint) => bigint;
  readonly glibc: Vector;
  readonly musl: Vector;
}

type Vector = Pick<TracePlace, 'vector' | 'length' | 'step'>;

/** What is left of `value` above a multiple of a power of two. */
const modulo = (value: bigint, alignment: bigint): bigint => BigInt.asUintN(64, value) & (alignment - 1n);

const MACHINES: Readonly<Record<string, Machine>> = {
  x64: {
    descriptor: 36, // R_X86_64_TLSDESC
    offset: 18, // R_X86_64_TPOFF64
    module: 16, // R_X86_64_DTPMOD64
    // Variant II: the block ends at the thread pointer.
    own: ({ address, size, alignment }, value) => value - size - modulo(-address - size, alignment),
    glibc: { vector: 8, length: -16, step: 16 },
    musl: { vector: 8, length: 0, step: 8 },
  },
  arm64: {
    descriptor: 1031, // R_AARCH64_TLSDESC
    offset: 1030, // R_AARCH64_TLS_TPREL
    module: 1028, // R_AARCH64_TLS_DTPMOD
    // Variant I: the block follows two words at the thread pointer.
    own: ({ address, alignment }, value) => value + 16n + modulo(address - 16n, alignment),
    glibc: { vector: 0, length: -16, step: 16 },
    musl: { vector: -8, length: 0, step: 8 },
  },
};

/** What is read of a process: ProcessMemory. */
export interface ProcessView extends Memory {
  readonly mappings: readonly Mapping[];
  readonly auxiliary: Buffer;
}

/** undefined: no file exports the variable, or not in a way that can be followed. */
export async function findTracePlace(view: ProcessView): Promise<TracePlace | undefined> {
  const machine = MACHINES[process.arch];
  if (machine === undefined) return undefined;
  const headers = auxiliaryValue(view.auxiliary, AT_PHDR);
  for (const { start } of view.mappings.filter(isFileStart).slice(0, MAX_FILES)) {
    const image = await ElfImage.read(view, start);
    const symbol = await image?.threadSymbol(SYMBOL);
    if (image === undefined || symbol === undefined) continue;
    const isExecutable = headers !== undefined && image.holds(headers);
    const place = isExecutable
      ? ownPlace(image, symbol, machine)
      : await libraryPlace(view, image, symbol, machine);
    if (place !== undefined) return place;
  }
  return undefined;
}

function isFileStart({ name, offset, permissions }: Mapping): boolean {
  return offset === 0n && permissions.startsWith('r') && name.startsWith('/');
}

function auxiliaryValue(pairs: Buffer, wanted: bigint): bigint | undefined {
  for (let at = 0; at + 16 <= pairs.length; at += 16)
    if (pairs.readBigUInt64LE(at) === wanted) return pairs.readBigUInt64LE(at + 8);
  return undefined;
}

function ownPlace({ tls }: ElfImage, { value }: ThreadSymbol, machine: Machine): TracePlace | undefined {
  if (tls === undefined) return undefined;
  const alignment = tls.alignment === 0n ? 1n : tls.alignment;
  if ((alignment & (alignment - 1n)) !== 0n || value > tls.size) return undefined;
  return fixed(machine.own({ ...tls, alignment }, value));
}

async function libraryPlace(
  view: ProcessView,
  image: ElfImage,
  symbol: ThreadSymbol,
  machine: Machine,
): Promise<TracePlace | undefined> {
  const types = new Set([machine.descriptor, machine.offset, machine.module]);
  for (const relocation of await image.relocations(types, MAX_RELOCATIONS)) {
    // Symbol 0: the linker bound it to this file's own definition, of which the addend is the offset.
    if (relocation.symbol !== symbol.index && relocation.symbol !== 0) continue;
    const words = await wordsAt(view, relocation.address);
    if (words === undefined) continue;
    const place = await placeOf(view, relocation, words, symbol, machine);
    if (place !== undefined) return place;
  }
  return undefined;
}

async function placeOf(
  view: ProcessView,
  { type, symbol: index, addend }: Relocation,
  [first, second]: readonly [bigint, bigint],
  symbol: ThreadSymbol,
  machine: Machine,
): Promise<TracePlace | undefined> {
  const isNamed = index === symbol.index;
  if (type === machine.module) {
    return isNamed || second === symbol.value ? dynamic(view, first, second, machine) : undefined;
  }
  if (!isNamed && addend !== symbol.value) return undefined;
  if (type === machine.offset) return fixed(BigInt.asIntN(64, first));
  // A descriptor: a function and its argument, which is an offset or the address of a module and an offset.
  const pair = await wordsAt(view, second);
  return pair === undefined ? fixed(BigInt.asIntN(64, second)) : dynamic(view, pair[0], pair[1], machine);
}

function fixed(offset: bigint): TracePlace | undefined {
  const isPlausible = offset !== 0n && offset < MAX_OFFSET && offset > -MAX_OFFSET;
  return isPlausible ? { offset, module: 0, vector: 0, length: 0, step: 0 } : undefined;
}

function dynamic(
  { mappings }: ProcessView,
  module: bigint,
  offset: bigint,
  machine: Machine,
): TracePlace | undefined {
  if (module === 0n || module > MAX_MODULE || offset >= MAX_OFFSET) return undefined;
  const isGlibc = mappings.some(({ name }) => GLIBC.test(name));
  return { offset, module: Number(module), ...(isGlibc ? machine.glibc : machine.musl) };
}

async function wordsAt(view: ProcessView, address: bigint): Promise<readonly [bigint, bigint] | undefined> {
  const bytes = await view.read(address, 16);
  return bytes === undefined ? undefined : [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
}
