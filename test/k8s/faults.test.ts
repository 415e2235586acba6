/** The API server in trouble: what is known stays, what is missed is caught up, and the state is told. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { API_LIMITS } from '../../src/enrich/kubernetes/api-client.ts';
import { AGENT_RULES, Cluster, FileScope } from './cluster.ts';
import { type Fault, FaultProxy } from './fault-proxy.ts';
import { TestNode } from './node.ts';
import { type ObservedSource, openSource, until } from './source.ts';
import { uidOf } from './workloads.ts';

const PACE = { firstPauseMs: 100, mostPauseMs: 1000, watchSeconds: 300 };

let cluster: Cluster;
let node: TestNode;
let token: string;
let names = 0;

describe('the API server in trouble', () => {
  const scope = new FileScope();
  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    node = new TestNode(cluster, 'node-a');
    await node.register();
    token = await cluster.account('whodns', AGENT_RULES);
  });

  const isWatch = ({ url }: IncomingMessage): boolean =>
    (url ?? '').includes('/pods') && (url ?? '').includes('watch=true');
  const isPods = ({ url }: IncomingMessage): boolean => (url ?? '').includes('/pods');

  for (const [status, reason] of [
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [410, 'gone'],
    [429, 'throttled'],
    [500, 'server_error'],
    [504, 'server_error'],
  ] as const) {
    test(`${status} to the list, then to the watch`, async (t) => {
      const proxy = await FaultProxy.start(t, cluster);
      proxy.fault = (request) => (isPods(request) ? { status } : undefined);
      const source = openSource(t, proxy.url, cluster, token, { pace: PACE });
      await until(() => (source.stats().failures[reason] ?? 0) >= 2, 'list refused');
      assert.equal(source.connected, false);
      proxy.fault = (request) => (isWatch(request) ? { status } : undefined);
      await until(() => (source.stats().failures[reason] ?? 0) >= 4, 'watch refused');
      await recovers(source, proxy);
      assert.ok(source.said.some((line) => line.includes('pods') && line.includes(reason)));
    });
  }

  test('429 with Retry-After: it waits as long as it is told', async (t) => {
    const proxy = await FaultProxy.start(t, cluster);
    proxy.fault = (request) =>
      isPods(request) ? { status: 429, headers: { 'retry-after': '2' } } : undefined;
    const source = openSource(t, proxy.url, cluster, token, { pace: PACE });
    await until(() => (source.stats().failures['throttled'] ?? 0) === 1, 'throttled');
    await sleep(1500);
    assert.equal(proxy.requests('/pods'), 1);
    await recovers(source, proxy);
  });

  for (const fault of ['cut', 'end-early'] as const) {
    test(`a watch that ends within an event (${fault})`, async (t) => {
      const proxy = await FaultProxy.start(t, cluster);
      const source = openSource(t, proxy.url, cluster, token, { pace: PACE });
      await until(() => source.connected, 'connected');
      proxy.fault = (request) => (isWatch(request) ? fault : undefined);
      proxy.dropConnections();
      await until(
        () => proxy.seen.filter((url) => url.includes('pods') && url.includes('watch=')).length >= 2,
        'watching',
      );
      const reason = fault === 'cut' ? 'unreachable' : 'truncated';
      const before = source.stats().failures[reason] ?? 0;
      const pod = await bind();
      await until(() => (source.stats().failures[reason] ?? 0) > before, 'cut');
      assert.equal(source.pod(uidOf(pod)), undefined, 'half an event is none');
      await recovers(source, proxy);
      await until(() => source.pod(uidOf(pod)) !== undefined, 'caught up');
    });
  }

  test('an error within the stream: 410 makes it read the list anew', async (t) => {
    const proxy = await FaultProxy.start(t, cluster);
    const body = `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })}\n`;
    proxy.fault = (request) => (isWatch(request) ? { status: 200, body } : undefined);
    const source = openSource(t, proxy.url, cluster, token, { pace: PACE });
    await until(() => (source.stats().failures['gone'] ?? 0) >= 2, 'gone');
    assert.ok(source.stats().lists >= 3);
    await recovers(source, proxy);
  });

  test('a version that the server has not reached: another etcd was put in its place', async (t) => {
    const proxy = await FaultProxy.start(t, cluster);
    const list = JSON.stringify({ metadata: { resourceVersion: '999999999' }, items: [] });
    let spoiled = 0;
    proxy.fault = (request) =>
      isPods(request) && !isWatch(request) && spoiled++ === 0 ? { status: 200, body: list } : undefined;
    const limits = { ...API_LIMITS, timeoutMs: 1500, watchIdleMs: 1500 };
    const source = openSource(t, proxy.url, cluster, token, { pace: PACE, limits });
    await until(() => spoiled === 1, 'deceived');
    const pod = await bind();
    await until(() => source.pod(uidOf(pod)) !== undefined, 'noticed');
    await recovers(source, proxy);
  });

  for (const [what, body, reason] of [
    ['no JSON', '{"metadata":', 'malformed'],
    ['no list', '{"kind":"Pod"}', 'malformed'],
    ['HTML of a proxy', '<html>login</html>', 'malformed'],
    ['more than fits', `"${'x'.repeat(3000)}"`, 'too_large'],
  ] as const) {
    test(`an answer that is ${what}`, async (t) => {
      const proxy = await FaultProxy.start(t, cluster);
      proxy.fault = (request) => (isPods(request) ? { status: 200, body } : undefined);
      const limits = { ...API_LIMITS, bodyBytes: 2000 };
      const source = openSource(t, proxy.url, cluster, token, {
        pace: PACE,
        limits: reason === 'too_large' ? limits : API_LIMITS,
      });
      await until(() => (source.stats().failures[reason] ?? 0) >= 2, reason);
      assert.equal(source.connected, false);
    });
  }

  test('watch events that are no events, no pods, or too large', async (t) => {
    const proxy = await FaultProxy.start(t, cluster);
    const lines = [
      'null',
      '{"type":"ADDED","object":{"metadata":{"name":7,"uid":["x"]}}}',
      '{"type":"ADDED","object":{"metadata":{"uid":"u","name":"n","namespace":"x","labels":{"__proto__":"y","a":5}},"spec":{"containers":"none"},"status":[]}}',
      '{"type":"SURPRISE"}',
      '',
    ];
    proxy.fault = (request) => (isWatch(request) ? { status: 200, body: lines.join('\n') } : undefined);
    const limits = { ...API_LIMITS, lineBytes: 100_000 };
    const source = openSource(t, proxy.url, cluster, token, { pace: PACE, limits, lingerMs: 0 });
    await until(() => source.pod('u') !== undefined, 'the one that can be read');
    assert.deepEqual(source.pod('u')?.containers, []);
    assert.ok(source.stats().unread >= 3);
    proxy.fault = (request) =>
      isWatch(request) ? { status: 200, body: `"${'x'.repeat(200_000)}` } : undefined;
    await until(() => (source.stats().failures['too_large'] ?? 0) >= 1, 'too large');
    await recovers(source, proxy);
  });

  test('a slow server, and one that never answers', async (t) => {
    const proxy = await FaultProxy.start(t, cluster);
    const limits = { ...API_LIMITS, timeoutMs: 1500, watchIdleMs: 1500 };
    proxy.fault = (request) => (isPods(request) ? 'hang' : undefined);
    const source = openSource(t, proxy.url, cluster, token, { pace: PACE, limits });
    await until(() => (source.stats().failures['timeout'] ?? 0) >= 2, 'timeout');
    const slow: Fault = { delayMs: 1000 };
    proxy.fault = () => slow;
    await until(() => source.connected, 'slow but there');
    // A watch on which nothing comes, not even a bookmark, is not trusted: the list is read anew.
    const { lists } = source.stats();
    await until(() => source.stats().lists > lists, 'silent watch');
    proxy.fault = () => undefined;
    const pod = await bind();
    await until(() => source.pod(uidOf(pod)) !== undefined, 'pod');
  });

  test('rights taken away and given back', async (t) => {
    const { RbacAuthorizationV1Api } = await import('@kubernetes/client-node');
    const rbac = cluster.config.makeApiClient(RbacAuthorizationV1Api);
    const own = await cluster.account('restricted', AGENT_RULES);
    const role = await rbac.readClusterRole({ name: 'restricted' });
    await rbac.replaceClusterRole({ name: 'restricted', body: { ...role, rules: [] } });
    const source = openSource(t, cluster.url, cluster, own, { pace: PACE });
    await until(() => (source.stats().failures['forbidden'] ?? 0) >= 3, 'forbidden');
    const now = await rbac.readClusterRole({ name: 'restricted' });
    await rbac.replaceClusterRole({ name: 'restricted', body: { ...now, rules: [...AGENT_RULES] } });
    await until(() => source.connected, 'connected');
  });

  test('the server stops and comes back: what was known stays, what came and went meanwhile is caught up', async (t) => {
    const staying = await bind();
    const going = await bind();
    const source = openSource(t, cluster.url, cluster, token, { pace: PACE, lingerMs: 500 });
    await until(
      () => source.pod(uidOf(staying)) !== undefined && source.pod(uidOf(going)) !== undefined,
      'known',
    );
    await cluster.stopApiServer();
    await until(() => !source.connected && (source.stats().failures['unreachable'] ?? 0) >= 2, 'down');
    assert.equal(source.pod(uidOf(staying))?.name, staying.metadata?.name);
    await cluster.startApiServer();
    await node.remove(going);
    const coming = await bind();
    await until(() => source.connected && source.pod(uidOf(coming)) !== undefined, 'caught up');
    await until(() => source.pod(uidOf(going)) === undefined, 'forgotten');
    assert.equal(source.pod(uidOf(staying))?.name, staying.metadata?.name);
    assert.ok(source.said.some((line) => line.includes('connected again')));
    const told = source.said.filter((line) => line.includes('pods: unreachable')).length;
    assert.ok(told <= 3, `an outage is told once, not ${told} times`);
  });
});

async function bind() {
  return node.bind({ name: `pod-${++names}` });
}

/** Without faults everything is well again, and new pods are seen. */
async function recovers(source: ObservedSource, proxy: FaultProxy): Promise<void> {
  proxy.fault = () => undefined;
  await until(() => source.connected, 'connected again');
  const pod = await bind();
  await until(() => source.pod(uidOf(pod)) !== undefined, 'new pod seen');
  await node.remove(pod);
}
