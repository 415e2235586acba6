/** Mutated process contexts: a context or undefined, never an exception, bounded, and quickly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProcessContext } from '../../src/enrich/process/process-context-payload.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { mutate, Random } from './mutate.ts';

const COUNT = Math.ceil(Number(process.env['FUZZ_COUNT'] ?? 1_000_000) / 5);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);

const SEEDS = [
  contextBytes({
    'service.name': 'checkout',
    'service.instance.id': 'a-b-c',
    n: 1,
    d: 0.5,
    list: ['x', 'y'],
  }),
  contextBytes({ 'service.name': 'Prüfstand' }, { 'threadlocal.schema_version': 'tlsdesc_v1_dev' }),
  contextBytes(Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`key.${i}`, `value ${i}`]))),
];

test(`${COUNT} mutated process contexts, seed ${SEED}`, () => {
  const random = new Random(SEED);
  let accepted = 0;
  for (let i = 0; i < COUNT; i++) {
    const bytes = mutate(random, SEEDS);
    let decoded: ReturnType<typeof decodeProcessContext>;
    try {
      decoded = decodeProcessContext(bytes);
    } catch (error) {
      assert.fail(`${Buffer.from(bytes).toString('hex')}: ${error}`);
    }
    if (decoded === undefined) continue;
    accepted++;
    for (const attributes of [decoded.resource, decoded.attributes]) {
      assert.ok(Object.keys(attributes).length <= 128);
      for (const value of Object.values(attributes)) {
        const texts = typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
        assert.ok(texts.every((text) => String(text).isWellFormed() && String(text).length <= 1024));
      }
    }
  }
  // Neither all nor nothing: the mutations reach behind the first check and change something.
  assert.ok(accepted > COUNT / 100 && accepted < COUNT * 0.99, `${accepted} accepted`);
});
