/** What a lookup is to a program that imports the package: every field, frozen, whatever the lookup was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LookupEvent } from '../../src/api/index.ts';
import { makeEvent } from '../../src/api/make-event.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { viewOf } from './message-bytes.ts';
import { identity, lookup, record, type Spec, TIME } from './sink-events.ts';

function eventOf(spec: Spec, isError = false): LookupEvent {
  return makeEvent(viewOf(lookup(spec)), isError);
}

/** Every object in it. */
function assertFrozen(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null) return;
  assert.ok(Object.isFrozen(value), `${path} is not frozen`);
  for (const [name, part] of Object.entries(value)) assertFrozen(part, `${path}.${name}`);
}

test('an answered lookup', () => {
  const event = eventOf({
    name: 'www.example.com',
    type: RR_TYPES.A,
    answers: [
      record('www.example.com', RR_TYPES.CNAME, 'web.example.com'),
      record('web.example.com', RR_TYPES.A, '192.0.2.7', 60),
    ],
    duration: 1_234_567n,
    retries: 1,
  });
  assertFrozen(event, 'event');
  assert.equal(event.time, '2026-10-26T07:33:20.123456789Z');
  assert.ok(Math.abs(event.timestamp - Number(TIME) / 1e6) < 0.001);
  assert.deepEqual(event.question, { name: 'www.example.com', type: 'A', class: 'IN' });
  assert.equal(event.questions[0], event.question);
  assert.deepEqual(
    [event.outcome, event.responseCode, event.error, event.reason],
    ['answered', 'NOERROR', undefined, undefined],
  );
  assert.deepEqual(event.answers[1], {
    name: 'web.example.com',
    type: 'A',
    class: 'IN',
    ttl: 60,
    data: '192.0.2.7',
  });
  assert.deepEqual([event.addresses, event.answerCount], [['192.0.2.7'], 2]);
  assert.deepEqual([event.durationMs, event.retries, event.opcode], [1.234567, 1, 'QUERY']);
});

test('a process, its container and its pod: typed, and one object for all its events', () => {
  const process = identity({
    containerId: 'c'.repeat(64),
    resource: {
      ...identity().resource,
      'process.executable.path': '/usr/bin/curl',
      'process.user.id': 33,
      'process.user.name': 'www-data',
      'process.parent_pid': 12,
      'whodns.process.parent.executable.name': 'bash',
      'container.id': 'c'.repeat(64),
      'container.name': 'web',
      'container.runtime.name': 'containerd',
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': 'web-1',
      'k8s.pod.uid': 'u',
      'k8s.replicaset.name': 'web-7d',
      'k8s.deployment.name': 'web',
    },
  });
  const event = eventOf({ process });
  assertFrozen(event, 'event');
  assert.deepEqual(event.process.user, { id: 33, name: 'www-data' });
  assert.deepEqual(event.process.parent, { pid: 12, name: 'bash' });
  assert.equal(event.process.executable, '/usr/bin/curl');
  assert.deepEqual(event.container, {
    id: 'c'.repeat(64),
    name: 'web',
    runtime: 'containerd',
    image: { name: undefined, tags: ['1.2', 'latest'] },
  });
  assert.deepEqual(event.kubernetes?.owner, { kind: 'deployment', name: 'web' });
  assert.equal(event.kubernetes?.namespace, 'shop');
  const other = eventOf({ process, name: 'other.test' });
  assert.equal(other.process, event.process);
  assert.equal(other.resource, event.resource);
});

test('what failed says so in the same words as its record', () => {
  const nxdomain = eventOf({ rcode: RCODES.NXDOMAIN, answers: [] }, true);
  assert.deepEqual([nxdomain.responseCode, nxdomain.error], ['NXDOMAIN', 'NXDOMAIN']);
  const silent = eventOf({ outcome: 'timeout' }, true);
  assert.deepEqual(
    [silent.outcome, silent.error, silent.responseCode, silent.durationMs, silent.answers],
    ['timeout', 'timeout', undefined, undefined, []],
  );
  const unlisted = eventOf({ rcode: 3841, answers: [] }, true);
  assert.equal(unlisted.error, '_OTHER');
  const unknown = eventOf({ outcome: 'unknown', reason: 'ring_full' });
  assert.deepEqual([unknown.outcome, unknown.reason, unknown.error], ['unknown', 'ring_full', undefined]);
});

test('hostile: what a process says of itself has no other type than the field, and a flood of answers is cut', () => {
  const process = identity({
    resource: { 'service.name': 7, 'service.version': ['1'], 'process.user.id': 'root', constructor: 'x' },
  });
  const answers = Array.from({ length: 400 }, (_, i) =>
    record('a.test', RR_TYPES.A, `10.0.${i >> 8}.${i & 255}`),
  );
  const event = eventOf({ process, answers });
  assertFrozen(event, 'event');
  assert.deepEqual([event.process.service.name, event.process.service.version], ['', undefined]);
  assert.equal(event.process.user, undefined);
  assert.equal(event.resource['constructor'], 'x');
  assert.deepEqual([event.answers.length, event.addresses.length, event.answerCount], [100, 100, 400]);
  assert.doesNotThrow(() => structuredClone(event));
  assert.doesNotThrow(() => JSON.stringify(event));
});
