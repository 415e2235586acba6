/** The outputs for Loki and Tempo without Loki and Tempo: what the collector sends them is within their documented limits. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Collector, startCollector } from '../collector/collector.ts';
import { CHECKOUT, lookupRecord } from '../collector/example-lookups.ts';
import { keyValues, logsRequest, post } from '../collector/otlp-json.ts';
import { waitUntil } from '../collector/running-program.ts';
import { lokiPeer, type Peer, tempoPeer } from './peers.ts';
import { feed, LOOKUPS, OTHERS } from './scenario.ts';

const RECORDS = [...LOOKUPS, ...OTHERS].reduce((sum, { count }) => sum + count, 0);
/** feed() sends one trace of two. */
const SPANS = 2;

let directory = '';
let loki: Peer;
let tempo: Peer;
let collector: Collector;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-peers-'));
  [loki, tempo] = await Promise.all([lokiPeer(), tempoPeer()]);
  collector = await startCollector(['gateway', 'loki', 'tempo'], directory, {
    LOKI_ENDPOINT: loki.endpoint,
    TEMPO_ENDPOINT: tempo.endpoint,
  });
});

after(async () => {
  await collector?.stop();
  await Promise.all([loki?.stop(), tempo?.stop()]);
  rmSync(directory, { recursive: true, force: true });
});

const now = () => BigInt(Date.now()) * 1_000_000n;
const lookup = { name: 'example.com', type: 'A' };

test('the scenario is accepted whole', async () => {
  await feed(collector.httpEndpoint, 1, async () => undefined);
  const arrived = () => loki.accepted() >= RECORDS && tempo.accepted() >= SPANS;
  assert.ok(await waitUntil(arrived, 20_000), collector.log().slice(-2000));
  assert.deepEqual([loki.accepted(), tempo.accepted()], [RECORDS, SPANS]);
  assert.deepEqual([...loki.refusals, ...tempo.refusals], []);
});

test('5000 records at once arrive in requests that are small enough', async () => {
  const earlier = loki.accepted();
  const records = Array.from({ length: 5000 }, (_, index) =>
    lookupRecord({ ...lookup, name: `n${index}.${'x'.repeat(60)}.example.com` }, now()),
  );
  await post(collector.httpEndpoint, 'logs', logsRequest(CHECKOUT, records));
  assert.ok(await waitUntil(() => loki.accepted() === earlier + 5000, 20_000), loki.refusals.join('\n'));
  assert.deepEqual(loki.refusals, []);
});

const attributes = (count: number, size: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, 'x'.repeat(size)]));
const old = now() - 200n * 3_600_000_000_000n;

for (const [what, refusal, request] of [
  ['too many attributes', /entries of structured metadata/, { ...CHECKOUT, ...attributes(300, 1) }],
  ['too long attributes', /bytes of structured metadata/, { ...CHECKOUT, ...attributes(100, 8192) }],
  ['no label', /at least one label/, { 'host.name': 'node-7' }],
] as const) {
  test(`the peer refuses ${what}`, async () => {
    const seen = loki.refusals.length;
    await post(collector.httpEndpoint, 'logs', logsRequest(request, [lookupRecord(lookup, now())]));
    assert.ok(await waitUntil(() => loki.refusals.length > seen, 20_000));
    assert.match(loki.refusals.slice(seen).join('\n'), refusal);
  });
}

test('the peer refuses what is too old, and a span without an id', async () => {
  const seen = loki.refusals.length;
  await post(collector.httpEndpoint, 'logs', logsRequest(CHECKOUT, [lookupRecord(lookup, old)]));
  assert.ok(await waitUntil(() => loki.refusals.length > seen, 20_000));
  assert.deepEqual(loki.refusals.slice(seen), ['too old']);
  const span = { traceId: '0'.repeat(32), spanId: '00f067aa0ba902b7', name: 'none', kind: 1 };
  await post(collector.httpEndpoint, 'traces', {
    resourceSpans: [
      {
        resource: { attributes: keyValues(CHECKOUT) },
        scopeSpans: [{ scope: { name: 't' }, spans: [span] }],
      },
    ],
  });
  assert.ok(await waitUntil(() => tempo.refusals.length > 0, 20_000), collector.log().slice(-2000));
});
