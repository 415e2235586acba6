/** toConnectionLog and the table row: which fact goes where, and what is bounded and escaped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resolution } from '../../src/model.ts';
import { cellsOf } from '../../src/records/cells.ts';
import { MAX_NAMES } from '../../src/records/connection-record.ts';
import { LookupSeries } from '../../src/sinks/metrics/lookup-series.ts';
import { CONNECT_ATTRIBUTES } from '../../src/tables/attributes-connect.ts';
import { connectionLog as log, TIME } from './sink-events.ts';

const SECOND = 1_000_000_000n;

function resolution(change: Partial<Resolution> = {}): Resolution {
  const answered = TIME - 412_500n;
  return {
    names: ['www.example.com'],
    scope: 'process',
    answered,
    expires: answered + 300n * SECOND,
    ...change,
  };
}

test('a resolved connection', () => {
  const event = log(resolution());
  assert.equal(event.eventName, 'whodns.connect');
  assert.equal(event.body, 'connect 192.0.2.1:443 www.example.com (curl)');
  assert.deepEqual(event.attributes, {
    'network.peer.address': '192.0.2.1',
    'network.peer.port': 443,
    'network.local.address': '198.51.100.7',
    'network.transport': 'tcp',
    'network.type': 'ipv4',
    'whodns.connect.names': ['www.example.com'],
    'whodns.connect.scope': 'process',
    'whodns.connect.answer_age': 0.412,
    'whodns.connect.ttl_left': 299.999,
    'whodns.thread.id': 4243,
    'whodns.thread.name': 'pool-1',
    'whodns.attribution': 'kernel',
    'whodns.netns': 4026531840,
    'log.record.uid': 'uid',
  });
});

test('an answer that had expired leaves a negative time', () => {
  const { attributes } = log(resolution({ expires: TIME - 2n * SECOND }));
  assert.equal(attributes['whodns.connect.ttl_left'], -2);
  const { answers } = cellsOf(log(resolution({ expires: TIME - 2n * SECOND })));
  assert.equal(answers, '192.0.2.1:443 (answer 413µs ago, expired)');
});

test('an unresolved connection says so and nothing else of names', () => {
  const remote = { address: '2001:db8::1', port: 8443 };
  const event = log(undefined, { family: 6, remote, owner: undefined, local: { ...remote, port: 4242 } });
  assert.equal(event.attributes['whodns.unresolved'], true);
  const named = Object.keys(event.attributes).filter((name) => name.startsWith('whodns.connect.'));
  assert.deepEqual(named, []);
  assert.equal(event.attributes['network.type'], 'ipv6');
  assert.equal(event.attributes['network.local.port'], 4242);
  assert.equal(event.attributes['whodns.thread.id'], undefined);
  assert.equal(event.body, 'connect [2001:db8::1]:8443 unresolved (curl)');
  const { name, result, answers, tone } = cellsOf(event);
  assert.deepEqual(
    [name, result, answers, tone],
    ['', 'connect', '[2001:db8::1]:8443 (unresolved)', 'notice'],
  );
});

test('every attribute is in the table, with the type the table says', () => {
  const seen = new Set<string>();
  for (const event of [log(resolution()), log(undefined, { local: { address: '198.51.100.7', port: 1 } })]) {
    for (const [name, value] of Object.entries(event.attributes)) {
      seen.add(name);
      const { type } = CONNECT_ATTRIBUTES[name as keyof typeof CONNECT_ATTRIBUTES];
      const actual = Array.isArray(value) ? 'string[]' : typeof value;
      assert.equal(actual, type === 'int' || type === 'double' ? 'number' : type, name);
    }
  }
  assert.deepEqual([...seen].sort(), Object.keys(CONNECT_ATTRIBUTES).sort());
});

test('hostile names are bounded, and escaped where a terminal shows them', () => {
  const names = Array.from({ length: 500 }, (_, i) => `\x1b]0;evil\x07${i}${'x'.repeat(5000)}`);
  const event = log(resolution({ names }));
  const kept = event.attributes['whodns.connect.names'] as readonly string[];
  assert.equal(kept.length, MAX_NAMES);
  assert.ok(kept.every((name) => name.length <= 1024));
  const { name } = cellsOf(event);
  for (const text of [event.body, name]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    assert.doesNotMatch(text, /[\x00-\x1f\x7f]/);
    assert.ok(text.length < 6000);
  }
  assert.match(name, / \+499$/);
});

test('connections are counted by workload, resolved or not, and are no queries', () => {
  const series = new LookupSeries(0n, false);
  for (const each of [resolution(), resolution(), undefined]) series.add(log(each));
  const counted = series.connections.collect(1n, 'cumulative').map(({ attributes, value }) => {
    return [attributes['process.executable.name'], attributes['whodns.unresolved'], value.count];
  });
  assert.deepEqual(counted, [
    ['curl', false, 2],
    ['curl', true, 1],
  ]);
  assert.equal(series.queries.size, 0);
});
