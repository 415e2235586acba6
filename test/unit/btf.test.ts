/** What is taken for BTF (src/capture/btf.ts): each rule broken once, and the kernel's own. What libbpf does with such files: test/native/btf.test.ts. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { faultOfBtf } from '../../src/capture/btf.ts';

type Words = readonly number[];

const NAMES = Buffer.from('\0int\0task\0');
const info = (kind: number, length = 0, flag = 0): number => ((flag << 31) | (kind << 24) | length) >>> 0;
const INT: Words = [1, info(1), 4, 32];
/** A structure with members [type, offset word]. */
const struct = (size: number, members: readonly Words[], flag = 0): Words => [
  ...[5, info(4, members.length, flag), size],
  ...members.flatMap(([type = 0, place = 0]) => [1, type, place]),
];

interface Parts {
  readonly types: readonly Words[];
  readonly names?: Buffer;
  /** Words of the header that are other than they should be. */
  readonly header?: Readonly<Record<number, number>>;
}

function btf({ types, names = NAMES, header = {} }: Parts): Buffer {
  const words = Uint32Array.from(types.flat());
  const head = [0x0001eb9f, 24, 0, words.byteLength, words.byteLength, names.length];
  for (const [at, word] of Object.entries(header)) head[Number(at)] = word;
  return Buffer.concat([Buffer.from(Uint32Array.from(head).buffer), Buffer.from(words.buffer), names]);
}

const deep = (count: number): readonly Words[] => [
  INT,
  ...Array.from({ length: count }, (_, index) => struct(4, [[index + 1, 0]])),
];
/** Each has the one before it twice. */
const doubled = (count: number): readonly Words[] => [
  INT,
  ...Array.from({ length: count }, (_, index) =>
    struct(4, [
      [index + 1, 0],
      [index + 1, 0],
    ]),
  ),
];

const REFUSED: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
  nothing: [new Uint8Array(0), /too short/],
  'a text': [Buffer.from('BTF of this kernel, as it was asked for\n'), /^is no BTF$/],
  'an xz archive': [
    Buffer.from('fd377a585a000004e6d6b44600000000000000000000000000', 'hex'),
    /an xz archive/,
  ],
  'a gzip archive': [gzipSync(btf({ types: [INT] })), /a gzip archive/],
  'other compressed bytes': [deflateSync(btf({ types: deep(9) })), /^is no BTF$/],
  'an object file': [readFileSync(process.execPath).subarray(0, 4096), /an ELF file/],
  'another byte order': [
    Buffer.from('eb9f01000000001800000000000000000000000000000000', 'hex'),
    /byte order/,
  ],
  'another version': [btf({ types: [INT], header: { 0: 0x0002eb9f } }), /unknown version/],
  flags: [btf({ types: [INT], header: { 0: 0x0101eb9f } }), /unknown version/],
  'a longer header': [btf({ types: [INT], header: { 1: 28 } }), /unknown version/],
  'types at no word': [btf({ types: [INT], header: { 2: 1 } }), /not aligned/],
  'types behind the names': [btf({ types: [INT], header: { 3: 20 } }), /cut off/],
  'more names than there are': [btf({ types: [INT], header: { 5: 0xffffffff } }), /cut off/],
  'no names': [btf({ types: [INT], header: { 5: 0 } }), /names do not end/],
  'names without an end': [btf({ types: [INT], names: Buffer.from('\0int') }), /names do not end/],
  'an unknown kind': [btf({ types: [[1, info(31), 4]] }), /type 1 is of no known kind/],
  'bits that mean nothing': [btf({ types: [[1, info(1) | 0x10000, 4, 32]] }), /no known kind/],
  'half a type': [btf({ types: [INT, [1, info(1)]] }), /type 2 is of no known kind/],
  'members that are not there': [btf({ types: [[5, info(4, 65535), 4]] }), /type 1 is cut off/],
  'a name beyond the names': [btf({ types: [[10, info(1), 4, 32]] }), /type 1 has a name/],
  'a pointer beyond the types': [btf({ types: [[0, info(2), 2]] }), /type 1 refers to a type/],
  'an array beyond the types': [btf({ types: [INT, [0, info(3), 0, 9, 1, 4]] }), /type 2 is an array/],
  'a member beyond the types': [btf({ types: [struct(4, [[7, 0]])] }), /type 1 has a part of a type/],
  'a member outside': [btf({ types: [INT, struct(4, [[1, 33]])] }), /type 2 has a member outside/],
  'a parameter beyond the types': [btf({ types: [[0, info(13, 1), 0, 1, 9]] }), /a part of a type/],
  'an enumerator beyond the names': [btf({ types: [[0, info(6, 1), 4, 99, 0]] }), /a part whose name/],
  'a function that is no function': [btf({ types: [INT, [1, info(12), 1]] }), /without its kind/],
  'a variable beyond the types': [btf({ types: [[1, info(14), 9, 0]] }), /refers to a type/],
  'an integer of no size': [btf({ types: [[1, info(1), 0, 0]] }), /an integer of no possible size/],
  'an enumeration of no size': [btf({ types: [[0, info(6, 0), 0]] }), /no possible size/],
  'a bit field of a pointer to void': [
    btf({ types: [[0, info(2), 0], struct(8, [[1, (3 << 24) | 1]], 1)] }),
    /type 2 has a bit field that is no number/,
  ],
  'a name of itself': [btf({ types: [[1, info(8), 1]] }), /type 1 is within itself/],
  'a bit field of a name of itself': [
    btf({ types: [[1, info(8), 1], struct(8, [[1, (3 << 24) | 1]], 1)] }),
    /no number/,
  ],
  'a structure within itself': [btf({ types: [struct(4, [[2, 0]]), struct(4, [[1, 0]])] }), /within itself/],
  'structures in structures': [btf({ types: deep(100) }), /too deep/],
  'a billion members': [btf({ types: doubled(30) }), /too many members/],
};

describe('BTF of a file', () => {
  for (const [name, [bytes, says]] of Object.entries(REFUSED))
    it(`refused: ${name}`, () => assert.match(faultOfBtf(bytes) ?? 'taken', says));

  it('taken: what breaks none of the rules, at any address', () => {
    const pointer: Words = [0, info(2), 3];
    const list = struct(8, [
      [2, 0],
      [1, 32],
    ]);
    const bytes = btf({ types: [INT, pointer, list, struct(8, [[1, (3 << 24) | 1]], 1), ...deep(20)] });
    for (const offset of [0, 1, 2, 3]) {
      const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset);
      assert.equal(faultOfBtf(shifted), undefined);
    }
  });

  const own = '/sys/kernel/btf/vmlinux';
  it("taken: this kernel's own", { skip: !existsSync(own) && 'this kernel has no BTF' }, () => {
    const bytes = readFileSync(own);
    assert.equal(faultOfBtf(bytes), undefined);
    for (const length of [bytes.length - 1, 1_000_000, 25, 24, 23])
      assert.match(faultOfBtf(bytes.subarray(0, length)) ?? 'taken', /cut off|too short/);
  });
});
