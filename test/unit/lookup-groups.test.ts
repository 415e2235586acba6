/** Which lookups are one look-up of the program: `whodns.lookup.id` and `whodns.lookup.final`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { uuidText } from '../../src/lib/uuid.ts';
import type { LookupView } from '../../src/lookup/view.ts';
import { MS, SECOND, type Spec, setUp } from './correlate-events.ts';

const server = (last: number): Spec => ({ remote: { address: `10.0.0.${last}`, port: 53 } });
const ONE = server(53);
const TWO = server(54);
const REFUSED = { message: { rcode: 5 } };

/** What each says of its look-up: a letter for each id, `!` for the final one, `-` for none. */
function told(lookups: readonly LookupView[]): string {
  const ids = [
    ...new Set(lookups.filter((each) => each.hasLookupId).map(({ lookupId }) => uuidText(lookupId))),
  ];
  return lookups
    .map(({ hasLookupId, lookupId, isFinal }) => {
      const letter = hasLookupId ? String.fromCharCode(97 + ids.indexOf(uuidText(lookupId))) : '-';
      return `${letter}${isFinal ? '!' : ''}`;
    })
    .join(' ');
}

describe('look-ups', () => {
  it('most are one lookup, which is answered: nothing is said', () => {
    const { ask, reply, lookups } = setUp();
    ask();
    reply({ at: MS });
    ask({ at: 2n * MS });
    reply({ at: 3n * MS, message: { rcode: 3 } });
    assert.equal(told(lookups), '- -');
  });

  it('musl asks all servers at once with one message: the first refuses, the second answers', () => {
    const { ask, reply, lookups, answers } = setUp();
    ask(ONE);
    ask(TWO);
    reply({ at: 5n * MS, ...ONE, ...REFUSED });
    reply({ at: 20n * MS, ...TWO });
    assert.equal(told(lookups), 'a a!');
    assert.deepEqual([answers.out, answers.snapshot().filtered], [2, {}]);
  });

  it('two answer well: the first is final', () => {
    const { ask, reply, lookups } = setUp();
    ask(ONE);
    ask(TWO);
    reply({ at: 5n * MS, ...TWO });
    reply({ at: 20n * MS, ...ONE, message: { rcode: 3 } });
    assert.equal(told(lookups), 'a! a');
  });

  it('one is dead: its time-out has the id too', () => {
    const { ask, reply, lookups, end } = setUp();
    ask(ONE);
    ask(TWO);
    reply({ at: 5n * MS, ...TWO });
    end();
    assert.equal(told(lookups), 'a! a');
    assert.equal(lookups[1]?.outcome, 'timeout');
  });

  const next: readonly (readonly [string, Spec])[] = [
    ['the same message (glibc)', {}],
    ['another id (c-ares)', { id: 8 }],
    ['another id of another thread (Go)', { id: 8, owner: { tid: 101 } }],
  ];
  for (const [what, spec] of next) {
    it(`the next server is asked when one fails, with ${what}`, () => {
      const { ask, reply, lookups } = setUp();
      ask(ONE);
      reply({ at: 5n * MS, ...ONE, message: { rcode: 2 } });
      ask({ at: 6n * MS, ...TWO, ...spec });
      reply({ at: 7n * MS, ...TWO, ...spec });
      assert.equal(told(lookups), 'a a!');
    });

    it(`the next server is asked when one is silent, with ${what}`, () => {
      const { ask, reply, lookups, end } = setUp();
      ask(ONE);
      ask({ at: 2n * SECOND, ...TWO, ...spec });
      reply({ at: 2n * SECOND + MS, ...TWO, ...spec });
      end();
      assert.equal(told(lookups), 'a! a');
    });
  }

  it('a truncated answer is not final: that by TCP is', () => {
    const { ask, reply, lookups } = setUp();
    ask();
    reply({ at: MS, message: { truncated: true } });
    ask({ at: 2n * MS, id: 9, transport: 'tcp' });
    reply({ at: 3n * MS, id: 9, transport: 'tcp' });
    assert.equal(told(lookups), 'a a!');
  });

  it('what a program asks again after a failure of all servers is another look-up', () => {
    const { ask, reply, lookups } = setUp();
    for (let i = 0; i < 3; i++) {
      const at = BigInt(i) * SECOND;
      ask({ at, id: 10 + i, ...ONE });
      reply({ at: at + MS, id: 10 + i, ...ONE, ...REFUSED });
      ask({ at: at + 2n * MS, id: 10 + i, ...TWO });
      reply({ at: at + 3n * MS, id: 10 + i, ...TWO, ...REFUSED });
    }
    assert.equal(told(lookups), 'a a b b c c');
  });

  it('what is asked after the answer is another look-up', () => {
    const { ask, reply, lookups } = setUp();
    ask(ONE);
    reply({ at: MS, ...ONE, ...REFUSED });
    ask({ at: 2n * MS, ...TWO });
    reply({ at: 3n * MS, ...TWO });
    ask({ at: SECOND, id: 8, ...TWO });
    reply({ at: SECOND + MS, id: 8, ...TWO, ...REFUSED });
    assert.equal(told(lookups), 'a a! b');
  });

  const others: readonly (readonly [string, Spec])[] = [
    ['another process', { owner: { pid: 200, tid: 200, startTime: 9n } }],
    ['another question', { name: 'other.example' }],
    ['another type', { type: 28 }],
    ['another thread at the same time', { id: 8, owner: { tid: 101 } }],
  ];
  for (const [what, spec] of others) {
    it(`${what} is another look-up`, () => {
      const { ask, reply, lookups } = setUp();
      ask(ONE);
      ask({ ...TWO, ...spec });
      reply({ at: MS, ...ONE, ...REFUSED });
      reply({ at: 2n * MS, ...TWO, ...spec, ...REFUSED });
      assert.equal(told(lookups), 'a b');
    });
  }

  it('without processes (a capture file) an address asks', () => {
    const { ask, reply, lookups } = setUp();
    ask({ owner: null, ...ONE });
    ask({ owner: null, ...TWO });
    ask({ owner: null, ...TWO, local: { address: '10.0.0.3', port: 40_000 } });
    reply({ at: MS, ...ONE, ...REFUSED });
    reply({ at: 2n * MS, ...TWO });
    reply({ at: 3n * MS, ...TWO, local: { address: '10.0.0.3', port: 40_000 } });
    assert.equal(told(lookups), 'a a! -');
  });

  it('a hundred servers at once are one look-up with one final answer, and hold nothing', () => {
    const { ask, reply, lookups, stage } = setUp();
    for (let i = 0; i < 100; i++) ask(server(i));
    for (let i = 0; i < 100; i++) reply({ at: MS, ...server(i) });
    assert.equal(new Set(lookups.map(({ lookupId }) => uuidText(lookupId))).size, 1);
    assert.ok(lookups.every(({ hasLookupId }) => hasLookupId));
    assert.equal(lookups.filter(({ isFinal }) => isFinal).length, 1);
    assert.equal(stage.held(), 0);
  });

  it('a flood of failures of others does not join, and what is remembered is bounded', () => {
    const { ask, reply, lookups } = setUp();
    ask(ONE);
    reply({ at: MS, ...ONE, ...REFUSED });
    for (let i = 0; i < 20_000; i++) {
      const flood = { id: i & 0xffff, name: `n${i}.example`, owner: { pid: 666, tid: 666, cgroupId: 66n } };
      ask({ at: MS, ...flood });
      reply({ at: MS, id: flood.id, name: flood.name, ...REFUSED });
    }
    ask({ at: 2n * MS, ...TWO });
    reply({ at: 3n * MS, ...TWO });
    const ids = lookups.map(({ lookupId }) => uuidText(lookupId));
    assert.equal(ids.at(0), ids.at(-1));
    assert.equal(lookups.at(-1)?.isFinal, true);
    assert.equal(new Set(ids).size, 20_001);
  });
});
