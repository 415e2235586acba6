/** Where threads keep their contexts, in processes made to mislead; and the queue of those to be looked at. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gnuHash, sysvHash } from '../../src/enrich/process/elf-image.ts';
import { parseMaps } from '../../src/enrich/process/memory-map.ts';
import type { PublishedContext } from '../../src/enrich/process/process-context-payload.ts';
import { localDevices, ProcessMemory } from '../../src/enrich/process/process-memory.ts';
import { TraceContexts, type TracePlaces } from '../../src/enrich/process/trace-context.ts';
import { findTracePlace } from '../../src/enrich/process/trace-context-place.ts';
import type { Target } from '../../src/inspector/inspector.ts';
import type { ProcessKey, TracePlace } from '../../src/model.ts';
import { AT, BASE, type LibrarySpec, library, processOf } from './elf-process.ts';
import { startInspector, targetOf } from './process-target.ts';

const GLIBC =
  process.arch === 'arm64' ? { vector: 0, length: -16, step: 16 } : { vector: 8, length: -16, step: 16 };
const MUSL =
  process.arch === 'arm64' ? { vector: -8, length: 0, step: 8 } : { vector: 8, length: 0, step: 8 };
const fixedAt = (offset: bigint) => ({ offset, module: 0, vector: 0, length: 0, step: 0 });
const placeOf = (spec: LibrarySpec, options?: Parameters<typeof processOf>[1]) =>
  findTracePlace(processOf(library(spec), options));

/** Two words of memory behind the library. */
function pair(first: bigint, second: bigint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(first, 0);
  bytes.writeBigUInt64LE(second, 8);
  return bytes;
}

describe('the place of the variable', () => {
  it('is the offset that the dynamic linker wrote', async () =>
    assert.deepEqual(await placeOf({ words: [-64n, 0n] }), fixedAt(-64n)));

  it('is the module and offset that it wrote', async () =>
    assert.deepEqual(await placeOf({ relocation: 'module', words: [3n, 16n] }), {
      offset: 16n,
      module: 3,
      ...GLIBC,
    }));

  it('has the vector of the C library', async () => {
    const spec = { relocation: 'module', words: [3n, 16n] } as const;
    assert.deepEqual(await placeOf(spec, { libc: '/lib/ld-musl-x86_64.so.1' }), {
      offset: 16n,
      module: 3,
      ...MUSL,
    });
    assert.deepEqual(await placeOf(spec, { libc: '/usr/lib/ld-2.31.so' }), {
      offset: 16n,
      module: 3,
      ...GLIBC,
    });
  });

  it('is what a descriptor holds or points to', async () => {
    assert.deepEqual(await placeOf({ relocation: 'descriptor', words: [1n, -72n] }), fixedAt(-72n));
    const pointed = { relocation: 'descriptor', words: [1n, BASE + BigInt(AT.end)] } as const;
    assert.deepEqual(await placeOf(pointed, { more: pair(2n, 24n) }), { offset: 24n, module: 2, ...GLIBC });
  });

  it('is of this variable only', async () => {
    assert.equal(await placeOf({ symbol: 2 }), undefined);
    assert.equal(await placeOf({ symbol: 0, addend: 8n, value: 16n }), undefined);
    assert.deepEqual(await placeOf({ symbol: 0, addend: 16n, value: 16n }), fixedAt(-64n));
    assert.equal(await placeOf({ relocation: 'module', symbol: 0, words: [1n, 8n], value: 16n }), undefined);
  });

  it('of an executable follows from its headers', async () => {
    const auxiliary = pair(3n, BASE + 64n);
    const place = await placeOf({ value: 16n, relocation: 'module', words: [9n, 9n] }, { auxiliary });
    // The block has 32 bytes, aligned to 8.
    assert.deepEqual(place, fixedAt(process.arch === 'arm64' ? 32n : -16n));
    assert.equal(await placeOf({ value: 33n }, { auxiliary }), undefined);
  });

  for (const [what, spec] of [
    ['not resolved yet', { relocation: 'module', words: [0n, 16n] }],
    ['of a module that cannot be', { relocation: 'module', words: [1n << 40n, 16n] }],
    ['too far in its block', { relocation: 'module', words: [1n, 1n << 40n] }],
    ['too far away', { words: [1n << 40n, 0n] }],
    ['the thread pointer itself', { words: [0n, 0n] }],
  ] as const)
    it(`is none when it is ${what}`, async () => assert.equal(await placeOf(spec), undefined));
});

describe('a file made to hurt', () => {
  const changed = (change: (file: Buffer) => void): Buffer => {
    const file = library();
    change(file);
    return file;
  };

  for (const [what, file] of [
    ['of another machine', changed((f) => f.writeUInt16LE(8, 18))],
    ['of 32 bits', changed((f) => f.writeUInt8(1, 4))],
    ['with 65535 program headers', changed((f) => f.writeUInt16LE(65535, 56))],
    ['with its program headers at the end of all memory', changed((f) => f.fill(0xff, 32, 40))],
    ['with segments that overflow', changed((f) => f.fill(0xff, 64 + 16, 64 + 24))],
    ['without a hash bucket', changed((f) => f.writeUInt32LE(0, AT.hash))],
    ['without a filter', changed((f) => f.writeUInt32LE(0, AT.hash + 8))],
    ['with tables outside of itself', changed((f) => f.fill(0xff, AT.dynamic + 8, AT.dynamic + 16))],
    ['with a bucket before the first symbol', changed((f) => f.writeUInt32LE(0, AT.hash + 24))],
    ['cut', library().subarray(0, 100)],
    ['empty', Buffer.alloc(0)],
  ] as const)
    it(`${what} has no place`, async () => assert.equal(await findTracePlace(processOf(file)), undefined));

  it('with a chain that never ends is left after a bounded number of reads', async () => {
    const hash = (gnuHash('otel_thread_ctx_v1') & ~1) >>> 0;
    const view = processOf(
      changed((f) => {
        f.writeUInt32LE(1, AT.strings); // the name is not there any more
        for (let at = AT.hash + 28; at < AT.symbols; at += 4) f.writeUInt32LE(hash, at);
      }),
      { more: Buffer.alloc(65536, Buffer.from(new Uint32Array([hash]).buffer)) },
    );
    assert.equal(await findTracePlace(view), undefined);
    assert.ok(view.reads < 2000, `${view.reads} reads`);
  });

  it('with a relocation table of 2^60 bytes is left after a bounded number of reads', async () => {
    const view = processOf(
      changed((f) => {
        f.writeBigUInt64LE(1n << 60n, AT.dynamic + 4 * 16 + 8);
        f.writeUInt32LE(99, AT.relocations + 8);
      }),
      { more: Buffer.alloc(1 << 20) },
    );
    assert.equal(await findTracePlace(view), undefined);
    assert.ok(view.reads < 1000, `${view.reads} reads`);
  });
});

it('hashes as the ABI has it', () => {
  // Values of the functions in glibc's elf/dl-hash.h and dl-new-hash.h for these names.
  assert.equal(gnuHash('printf'), 0x156b2bb8);
  assert.equal(gnuHash(''), 5381);
  assert.equal(sysvHash('printf'), 0x077905a6);
});

describe('memory of a process', () => {
  it('is not read of files on file systems that others answer for', () => {
    const mounts = [
      '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
      '40 27 0:44 / /home/u/fuse rw shared:1 - fuse.sshfs u@h: rw',
      '41 27 0:45 / /mnt/a\\040-\\040ext4 rw - nfs4 server:/ rw',
      '42 27 0:46 / /tmp rw - tmpfs tmpfs rw',
      '43 27 0:44 / /home/u/again rw - ext4 lie rw',
      'rubbish',
    ].join('\n');
    assert.deepEqual([...localDevices(mounts)], ['fe:00', '00:2e']);
  });

  it('is read where it is mapped, and nowhere else', async () => {
    const inspector = startInspector();
    const own = targetOf(process.pid);
    const memory = await ProcessMemory.open(inspector, own);
    assert.ok(memory);
    const image = memory.mappings.find(({ name, offset }) => name.endsWith('/node') && offset === 0n);
    assert.ok(image);
    assert.equal((await memory.read(image.start, 4))?.toString('latin1'), '\x7fELF');
    assert.equal(await memory.read(0x10n, 4), undefined);
    assert.equal(await memory.read(1n << 63n, 4), undefined);
    assert.equal(await memory.read(image.start, 1 << 20), undefined);
    assert.equal(
      await ProcessMemory.open(inspector, { ...own, startTime: 1n }),
      undefined,
      'another start time',
    );
    inspector.close();
  });

  it('reads no mapping out of a name', () =>
    assert.deepEqual(
      parseMaps('00400000-00401000 r--p 00000000 fe:00 12   /bin/a b (deleted)\nx\n7f-80 r--p 0\n').map(
        ({ name }) => name,
      ),
      ['/bin/a b (deleted)'],
    ));
});

describe('processes that publish', () => {
  class Table implements TracePlaces {
    readonly entries = new Map<number, TracePlace>();
    room = 2;
    add({ pid }: ProcessKey, place: TracePlace): boolean {
      if (this.entries.size >= this.room) return false;
      this.entries.set(pid, place);
      return true;
    }
    remove(keys: readonly ProcessKey[]): void {
      for (const { pid } of keys) this.entries.delete(pid);
    }
  }
  const published = (schema: unknown): PublishedContext => ({
    resource: {},
    attributes: { 'threadlocal.schema_version': schema as string },
  });
  const key = (pid: number): Target => ({ pid, startTime: 1n, cgroupId: 1n, uid: 0 });
  const tls = published('tls_v1');
  const open = (file: Buffer) => async () => processOf(file);

  it('are looked at once, and told to the kernel', async () => {
    const table = new Table();
    const contexts = new TraceContexts(table, open(library()));
    for (let i = 0; i < 3; i++) contexts.published(key(1), tls);
    await contexts.idle;
    contexts.published(key(1), tls);
    await contexts.idle;
    assert.deepEqual([...table.entries], [[1, fixedAt(-64n)]]);
    assert.deepEqual(contexts.counts, { found: 1, missing: 0, unreadable: 0, skipped: 0 });
  });

  it('are not looked at when they publish in other ways', async () => {
    const contexts = new TraceContexts(new Table(), () => assert.fail('looked at'));
    for (const schema of ['go_pprof_labels_v1', 'tls_v2', '', undefined, 1])
      contexts.published(key(1), published(schema));
    await contexts.idle;
  });

  it('are forgotten when they exit or run another program, also while they are looked at', async () => {
    const table = new Table();
    const gate = Promise.withResolvers<void>();
    const contexts = new TraceContexts(table, async () => {
      await gate.promise;
      return processOf(library());
    });
    contexts.published(key(1), tls);
    contexts.published(key(2), tls);
    contexts.forget([key(1), key(2), key(3)]);
    gate.resolve();
    await contexts.idle;
    assert.equal(table.entries.size, 0);
    contexts.published(key(1), tls);
    await contexts.idle;
    assert.equal(table.entries.size, 1);
    contexts.forget([key(1)]);
    assert.equal(table.entries.size, 0);
  });

  it('are counted when they cannot be read, have no variable, or find no room', async () => {
    const table = new Table();
    const none = new TraceContexts(table, async () => undefined);
    none.published(key(1), tls);
    await none.idle;
    assert.equal(none.counts.unreadable, 1);
    const without = new TraceContexts(table, open(Buffer.alloc(0)));
    without.published(key(1), tls);
    await without.idle;
    assert.equal(without.counts.missing, 1);
    const many = new TraceContexts(table, open(library()));
    for (let pid = 1; pid <= 300; pid++) many.published(key(pid), tls);
    await many.idle;
    assert.equal(many.counts.found, 2);
    assert.equal(many.counts.found + many.counts.skipped, 300);
  });
});
