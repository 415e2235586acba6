/**
 * The spool against a simple model: push, take, done, give back, close, SIGKILL (the files as they are, nothing closed) and open
 * again, in random order. And mutated spools: never an exception, never a request that was not pushed.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SealedRequest } from '../../src/sinks/delivery/request-store.ts';
import type { Spool } from '../../src/sinks/delivery/spool.ts';
import { drain, numbered, serialOf, type Workplace, workplace } from '../unit/spool-requests.ts';
import { mutate, Random } from './mutate.ts';

const SCALE = Number(process.env['FUZZ_COUNT'] ?? 1_000_000) / 1_000_000;
const RUNS = Math.ceil(1500 * SCALE);
const MUTATIONS = Math.ceil(2000 * SCALE);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121);
/** So small that requests of up to 3000 bytes spread over several segments; never reached by 60 of them. */
const BOUND = 200_000;

/** What a spool must hold: serials that wait in order, and those handed out. */
interface Model {
  next: number;
  readonly sizes: Map<number, number>;
  waiting: number[];
  out: number[];
}

interface Real {
  spool: Spool;
  readonly held: Map<number, SealedRequest>;
}

type Step = (model: Model, real: Real, work: Workplace) => Promise<void> | void;

function push(length: number): Step {
  return (model, { spool }) => {
    const serial = model.next++;
    assert.deepEqual(spool.push(numbered(serial, length, 1 + (serial % 3))), {
      droppedRecords: 0,
      damagedRecords: 0,
    });
    model.sizes.set(serial, length);
    model.waiting.push(serial);
  };
}

const take: Step = (model, { spool, held }) => {
  const request = spool.take();
  const expected = model.waiting.shift();
  assert.equal(request && serialOf(request), expected);
  if (request === undefined || expected === undefined) return;
  assert.ok(Buffer.from(numbered(expected, model.sizes.get(expected)).bytes).equals(request.bytes));
  held.set(expected, request);
  model.out.push(expected);
};

function settle(which: number, back: boolean): Step {
  return (model, { spool, held }) => {
    const [serial] = model.out.splice(which % Math.max(model.out.length, 1), 1);
    if (serial === undefined) return;
    const request = held.get(serial) as SealedRequest;
    held.delete(serial);
    if (!back) {
      spool.done(request);
      return;
    }
    spool.requeue(request);
    const place = model.waiting.findIndex((other) => other > serial);
    model.waiting.splice(place < 0 ? model.waiting.length : place, 0, serial);
  };
}

function reopen(how: 'close' | 'kill'): Step {
  return async (model, real, work) => {
    const before = join(work.directory, '..', 'before');
    // SIGKILL leaves the files as they are; the object of "before" is closed on a copy that nobody looks at again.
    if (how === 'kill') cpSync(work.directory, before, { recursive: true });
    await real.spool.close();
    if (how === 'kill') {
      rmSync(work.directory, { recursive: true });
      cpSync(before, work.directory, { recursive: true });
      rmSync(before, { recursive: true });
      rmSync(join(work.directory, 'lock')); // its holder, this process, is alive
    }
    real.spool = work.open(BOUND);
    real.held.clear();
    // At most what was under way comes again, in its old place.
    model.waiting = [...model.waiting, ...model.out].sort((a, b) => a - b);
    model.out = [];
    assert.deepEqual(real.spool.damage, { stretches: 0, bytes: 0, records: 0 });
  };
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 4, max: 3000 }).map((length) => push(length)) },
    { weight: 5, arbitrary: fc.constant(take) },
    { weight: 4, arbitrary: fc.nat(20).map((which) => settle(which, false)) },
    { weight: 2, arbitrary: fc.nat(20).map((which) => settle(which, true)) },
    { weight: 1, arbitrary: fc.constantFrom<'close' | 'kill'>('close', 'kill').map((how) => reopen(how)) },
  ),
  { minLength: 20, maxLength: 60 },
);

test(`the spool does what its model does, ${RUNS} random runs (FUZZ_SEED=${SEED})`, async () => {
  const seen = { steps: 0, max: 0 };
  await fc.assert(
    fc.asyncProperty(steps, async (run) => {
      const work = workplace();
      const model: Model = { next: 1, sizes: new Map(), waiting: [], out: [] };
      const real: Real = { spool: work.open(BOUND), held: new Map() };
      try {
        for (const step of run) {
          await step(model, real, work);
          const serials = [...model.waiting, ...model.out];
          const bytes = serials.reduce((sum, serial) => sum + (model.sizes.get(serial) ?? 0), 0);
          assert.equal(real.spool.heldBytes, bytes);
          assert.equal(
            real.spool.heldRecords,
            serials.reduce((sum, serial) => sum + 1 + (serial % 3), 0),
          );
          seen.steps++;
          seen.max = Math.max(seen.max, serials.length);
        }
        assert.deepEqual(drain(real.spool), model.waiting);
        for (const serial of model.out) real.spool.done(real.held.get(serial) as SealedRequest);
        assert.equal(real.spool.heldRecords, 0);
        await real.spool.close();
        assert.deepEqual(readdirSync(work.directory), []);
      } finally {
        await real.spool.close();
        work.remove();
      }
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: false },
  );
  assert.ok(seen.steps > RUNS * 5 && seen.max > 8, JSON.stringify(seen));
});

test(`${MUTATIONS} mutated spools (FUZZ_SEED=${SEED})`, async (context) => {
  const work = workplace();
  const spool = work.open();
  const pushed = new Map<number, SealedRequest>();
  for (let serial = 0; serial < 12; serial++) {
    const request = numbered(serial, 4 + serial * 37, 1 + serial);
    pushed.set(serial, request);
    spool.push(request);
  }
  for (let count = 0; count < 3; count++) spool.done(spool.take() as SealedRequest);
  await spool.close();
  const name = readdirSync(work.directory)[0] as string;
  const seed = readFileSync(join(work.directory, name));
  const random = new Random(SEED);
  const outcomes = { whole: 0, damaged: 0, requests: 0 };
  for (let i = 0; i < MUTATIONS; i++) {
    rmSync(work.directory, { recursive: true });
    mkdirSync(work.directory);
    writeFileSync(join(work.directory, name), mutate(random, [seed]));
    const opened = work.open();
    const held = opened.heldRecords;
    let records = 0;
    for (let request = opened.take(); request !== undefined; request = opened.take()) {
      const original = pushed.get(serialOf(request)) as SealedRequest;
      assert.ok(Buffer.from(original.bytes).equals(request.bytes));
      assert.equal(request.records, original.records);
      records += request.records;
      outcomes.requests++;
      opened.done(request);
    }
    const { droppedRecords, damagedRecords = 0 } = opened.push(numbered(1000));
    assert.equal(records + droppedRecords + damagedRecords, held);
    outcomes[opened.damage.stretches === 0 ? 'whole' : 'damaged']++;
    await opened.close();
  }
  work.remove();
  context.diagnostic(JSON.stringify(outcomes));
  assert.ok(outcomes.damaged > MUTATIONS / 2 && outcomes.requests > MUTATIONS * 3);
});
