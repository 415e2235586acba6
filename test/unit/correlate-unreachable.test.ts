/** ICMP errors in place of answers: the lookup they are about ends at once, others do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD, FIELD_BITS } from '../../src/lookup/fields.ts';
import { answer, MS, type Spec, setUp } from './correlate-events.ts';

const OTHER = { address: '10.0.0.54', port: 53 };

function start() {
  const bench = setUp();
  const refuse = (spec: Spec = {}) => {
    const { raw, message } = answer({ message: { response: false }, ...spec });
    raw.words[raw.at + FIELD.BITS] = (raw.words[raw.at + FIELD.BITS] as number) | FIELD_BITS.UNREACHABLE;
    bench.correlator.unreachable(raw, message);
  };
  const outcomes = () => bench.lookups.map(({ outcome, duration }) => [outcome, duration]);
  const assertBalanced = () => {
    bench.end();
    assert.equal(bench.stage.snapshot().missing, 0);
    assert.equal(bench.answers.snapshot().missing, 0);
  };
  return { ...bench, refuse, outcomes, assertBalanced };
}

test('at the time it happened, also where little or nothing of the question is quoted', () => {
  for (const quoted of [{}, { questions: [] }]) {
    const { ask, refuse, outcomes, answers, assertBalanced } = start();
    ask();
    refuse({ at: 3n * MS, ...quoted });
    assert.deepEqual(outcomes(), [['connection_refused', 3n * MS]]);
    refuse({ at: 4n * MS });
    assertBalanced();
    assert.equal(answers.filtered.get('late'), 1);
    assert.equal(outcomes().length, 1);
  }
});

test('not about this one: another id, port, server, namespace; nor about any', () => {
  const others: readonly Spec[] = [
    { id: 8 },
    { id: -1, questions: [] },
    { local: { address: '10.0.0.2', port: 40_001 } },
    { remote: OTHER },
    { networkNamespace: 2 },
  ];
  for (const spec of others) {
    const { ask, refuse, reply, outcomes, assertBalanced } = start();
    ask();
    refuse({ at: 1n * MS, ...spec });
    reply({ at: 9n * MS });
    assert.deepEqual(outcomes(), [['answered', 9n * MS]]);
    assertBalanced();
  }
});

test('one of two servers refuses: the other may answer, refuse, or stay silent', () => {
  for (const end of ['answered', 'connection_refused', 'timeout']) {
    const { ask, refuse, reply, lookups, assertBalanced } = start();
    ask();
    ask({ at: 1n * MS, remote: OTHER });
    refuse({ at: 2n * MS });
    if (end === 'answered') reply({ at: 9n * MS, remote: OTHER });
    if (end === 'connection_refused') refuse({ at: 9n * MS, remote: OTHER });
    assertBalanced();
    assert.deepEqual(
      lookups.map(({ outcome, retries, isFinal }) => [outcome, retries, isFinal]),
      [
        ['connection_refused', 0, false],
        [end, 0, end === 'answered'],
      ],
    );
    const [first, second] = lookups;
    assert.deepEqual(first?.lookupId, second?.lookupId);
  }
});
