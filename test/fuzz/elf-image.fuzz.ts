/** Mutated libraries in memory: a place or none, never an exception, in a bounded number of reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findTracePlace } from '../../src/enrich/process/trace-context-place.ts';
import { AT, library, processOf } from '../unit/elf-process.ts';
import { mutate, Random } from './mutate.ts';

const COUNT = Math.ceil(Number(process.env['FUZZ_COUNT'] ?? 1_000_000) / 50);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);
const MAX_READS = 3000;
const SEEDS = [
  library(),
  library({ relocation: 'module', words: [1n, 16n] }),
  library({ relocation: 'descriptor', words: [1n, -8n] }),
];
/** Where something stands: a mutation of the zeros between says nothing. */
const TABLES = [
  [0, 64 + 3 * 56],
  [AT.dynamic, 5 * 16],
  [AT.hash, 32],
  [AT.symbols + 24, 24],
  [AT.relocations, 24],
  [AT.got, 16],
] as const;

test(`${COUNT} mutated libraries, seed ${SEED}`, async () => {
  const random = new Random(SEED);
  let found = 0;
  for (let i = 0; i < COUNT; i++) {
    const file = Buffer.from(random.of(SEEDS));
    const [at, size] = random.of(TABLES);
    mutatedInto(random, file, at, size);
    const view = processOf(file, { more: Buffer.alloc(4096, i) });
    try {
      if ((await findTracePlace(view)) !== undefined) found++;
    } catch (error) {
      assert.fail(`${file.toString('hex')}: ${error}`);
    }
    assert.ok(view.reads < MAX_READS, `${view.reads} reads: ${file.toString('hex')}`);
  }
  // Neither all nor nothing.
  assert.ok(found > COUNT / 100 && found < COUNT * 0.99, `${found} found`);
});

function mutatedInto(random: Random, file: Buffer, at: number, size: number): void {
  const changed = mutate(random, [file.subarray(at, at + size)]);
  file.set(changed.subarray(0, Math.min(changed.length, size)), at);
}
