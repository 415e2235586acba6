/** The known example for real: a name with a chain of aliases, resolved by real programs through real resolvers, then asked for. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RemoteDnsCache } from '../../src/control/dns-cache-client.ts';
import { DataNotFound, type DnsCacheAnswer, KeyNotSupported } from '../../src/dnscache/answer.ts';
import { AGENT, Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { type NameServer, startDnsmasq, startUnbound } from '../matrix/servers.ts';

const ZONE = `c${randomBytes(4).toString('hex')}.test`;
const CHAIN = [`www.${ZONE}`, `www.${ZONE}.edge.${ZONE}`, `a229.${ZONE}`] as const;
const [NAME, MIDDLE, END] = CHAIN;
const PATIENCE_MS = 30_000;

let namespace: Namespace;
let agent: Agent;
let socket = '';
let metrics = '';
let cache: RemoteDnsCache;
const servers: NameServer[] = [];

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function whodns(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const all = [MAIN, 'cache', ...args, '--control', socket];
    execFile(process.execPath, all, { encoding: 'utf8' }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

/** Waits until the name is in the cache: the answer is on its way through the ring. */
async function known(key: string, scope?: Parameters<RemoteDnsCache['get']>[1]): Promise<DnsCacheAnswer> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await cache.get(key, scope);
    } catch (error) {
      if (performance.now() >= deadline) await agent.assertRingKept();
      assert.ok(performance.now() < deadline, `${key}: ${error}; the agent said: ${agent.errors}`);
      await sleep(100);
    }
  }
}

const sorted = ({ ip_addresses, dns_queries, dns_root }: DnsCacheAnswer) => ({
  ip_addresses: [...ip_addresses].sort(),
  dns_queries,
  dns_root,
});

before(async () => {
  namespace = await Namespace.open();
  const lines = [
    `cname=${NAME},${MIDDLE}`,
    `cname=${MIDDLE},${END}`,
    `host-record=${END},192.0.2.231,2001:db8::231`,
    `host-record=short.${ZONE},192.0.2.7,1`,
  ];
  servers.push(await startDnsmasq(namespace, { name: ZONE, lines }, ['127.0.0.1']));
  servers.push(await startUnbound(namespace, '127.0.0.2', '127.0.0.1'));
  socket = join(namespace.directory, 'control');
  cache = new RemoteDnsCache(socket);
  const options = ['--control', socket, '--dnscache', 'enable,size=500000', '--dnscache', 'nodes=2000000'];
  metrics = join(namespace.directory, 'metrics.jsonl');
  const exporters = ['--exporter', 'console', '--exporter', `otlp-file:${metrics}`];
  agent = Agent.start([...AGENT, ...options, ...exporters]);
  const deadline = performance.now() + PATIENCE_MS;
  while (!agent.errors.includes('capturing with')) {
    assert.ok(agent.running && performance.now() < deadline, agent.errors);
    await sleep(100);
  }
  // through a resolver of its own, as on most hosts
  namespace.useServer('127.0.0.2');
});

after(async () => {
  await agent?.stop();
  for (const server of servers) await server.stop();
  await namespace?.close();
});

describe('DNS cache of the real agent', () => {
  it('the known example: a name, its addresses, the middle of its chain', async () => {
    const { exitCode, errors } = await namespace.run(['getent', 'ahosts', NAME]);
    assert.equal(exitCode, 0, errors);
    await known('2001:db8::231');
    await known('192.0.2.231');
    const all = ['192.0.2.231', '2001:db8::231'];
    for (const key of [NAME, MIDDLE, END, `${NAME.toUpperCase()}.`]) {
      const found = await cache.get(key);
      assert.deepEqual(found.dns_queries, CHAIN, key);
      assert.deepEqual([...found.ip_addresses].sort(), all, key);
      assert.equal(found.dns_root, NAME, key);
    }
    for (const key of ['192.0.2.231', '231.2.0.192.in-addr.arpa', '2001:DB8:0::0231'])
      assert.deepEqual((await cache.get(key)).dns_queries, CHAIN, key);
    assert.deepEqual((await cache.get('192.0.2.231')).ip_addresses, ['192.0.2.231']);
  });

  it('scopes: the namespace, the process that asked, and no other', async () => {
    const inode = Number(/\d+/.exec(readlinkSync(`/proc/${namespace.pid}/ns/net`))?.[0]);
    const program = namespace.spawn(['dig', '+short', '@127.0.0.2', END, 'A']);
    const pid = program.pid as number;
    await known(END, { kind: 'process', pid });
    const answer = await known(END, { kind: 'network-namespace', networkNamespace: inode });
    assert.equal(sorted(answer).ip_addresses[0], '192.0.2.231');
    await assert.rejects(cache.get(NAME, { kind: 'process', pid }), DataNotFound);
    for (const scope of ['netns=1', 'container=0123456789ab', `pid=${process.pid}`]) {
      const { code, stdout, stderr } = await whodns('get', NAME, '--scope', scope);
      assert.deepEqual([code, stdout, stderr], [1, '', `whodns: "${NAME}" is not in the cache\n`], scope);
    }
    assert.equal((await whodns('get', NAME, '--scope', `netns=${inode}`)).code, 0);
  });

  it('an address is gone when its TTL is over', async () => {
    await namespace.run(['dig', '+short', '@127.0.0.2', `short.${ZONE}`, 'A']);
    const deadline = performance.now() + PATIENCE_MS;
    let error: unknown;
    while (!(error instanceof DataNotFound && error.expired)) {
      assert.ok(performance.now() < deadline, String(error));
      error = await cache.get(`short.${ZONE}`).catch((reason) => reason);
      await sleep(100);
    }
    assert.equal(error.message, `"short.${ZONE}" has expired`);
    const { stderr } = await whodns('get', `short.${ZONE}`);
    assert.match(stderr, /short\.\S+ -> 192\.0\.2\.7 \(pid \d+, netns \d+\): expired \d+ s ago/);
  });

  it('whodns cache get: a table, JSON, messages and exit codes', async () => {
    const table = await whodns('get', '192.0.2.231');
    assert.deepEqual([table.code, table.stderr], [0, '']);
    const [said = '', learnt = ''] = table.stdout.split(/^(?=learnt )/m);
    assert.match(learnt, new RegExp(`${END} -> 192\\.0\\.2\\.231 \\(pid \\d+, netns \\d+\\): \\d+ s left`));
    assert.equal(
      said,
      `question   ${table.stdout.includes(END) ? (await cache.get('192.0.2.231')).dns_root : ''}\n` +
        `names      ${NAME}\n           ${MIDDLE}\n           ${END}\naddresses  192.0.2.231\n`,
    );
    const json = await whodns('get', NAME, '--format', 'json');
    assert.deepEqual(JSON.parse(json.stdout).dns_queries, CHAIN);
    const none = await whodns('get', 'nobody.test', '--format', 'json');
    assert.deepEqual([none.code, JSON.parse(none.stdout).error.code], [1, 'DATA_NOT_FOUND']);
    const cases: readonly [readonly string[], number, RegExp][] = [
      [['get', 'nobody.test'], 1, /^whodns: "nobody\.test" is not in the cache$/m],
      [['get', '\u001b[31mred\u202e'], 2, /^whodns: the key is not a domain name$/m],
      [['get', '\u001b[31mred'], 1, /^whodns: "\\u001b\[31mred" is not in the cache$/m],
      [['get', '.'], 2, /^whodns: the key is empty$/m],
      [['get'], 2, /which key\?/],
      [['drop', 'x'], 2, /"get KEY" or "list \[DOMAIN\]"/],
      [['get', 'x', '--scope', 'moon'], 2, /--scope "moon" is not host/],
    ];
    for (const [args, code, message] of cases) {
      const ended = await whodns(...args);
      assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
      assert.match(ended.stderr, message);
      assert.ok(!ended.stderr.includes('\u001b'), 'nothing raw');
    }
  });

  it('whodns cache list: what is in it', async () => {
    const { code, stdout } = await whodns('list', ZONE);
    assert.equal(code, 0);
    assert.match(stdout, /^QUESTION +LEADS TO +TTL LEFT +NETNS +CONTAINER$/m);
    assert.match(stdout, new RegExp(`^${NAME} +${MIDDLE} ${END} .* +-$`, 'm'));
    const list = JSON.parse((await whodns('list', `${ZONE}.`, '--format', 'json')).stdout);
    const tree = list.trees.find((each: { question: string }) => each.question === NAME);
    assert.deepEqual(tree.names, [MIDDLE, END]);
    const others = list.trees.filter((each: { question: string }) => !each.question.endsWith(ZONE));
    assert.deepEqual(others, []);
    assert.ok(list.stats.hits > 0 && list.stats.misses > 0);
  });

  it('typed errors of the client', async () => {
    await assert.rejects(cache.get(''), (error) => error instanceof KeyNotSupported);
    await assert.rejects(
      cache.get('nobody.test'),
      (error) => error instanceof DataNotFound && !error.expired,
    );
    await assert.rejects(new RemoteDnsCache('/nonexistent/socket').get('a.test'), /no agent listens at/);
  });

  it('hits, misses, evictions and size as metrics', async () => {
    await agent.stop();
    const lines = readFileSync(metrics, 'utf8')
      .split('\n')
      .filter((line) => line.includes('resourceMetrics'));
    const points = new Map<string, number>();
    for (const { name, sum } of metricsOf(lines.at(-1) ?? ''))
      for (const { attributes, asInt } of sum?.dataPoints ?? [])
        points.set([name, ...attributes.map(({ value }) => value.stringValue)].join(' '), Number(asInt));
    for (const result of ['hit', 'miss', 'expired'])
      assert.ok((points.get(`whodns.dnscache.lookups ${result}`) ?? 0) > 0, [...points].join('\n'));
    assert.ok((points.get('whodns.dnscache.trees') ?? 0) >= 2);
    assert.ok((points.get('whodns.dnscache.nodes') ?? 0) >= 6);
    assert.ok(points.has('whodns.dnscache.removed evicted') && points.has('whodns.dnscache.removed expired'));
  });
});

interface Metric {
  readonly name: string;
  readonly sum?: {
    readonly dataPoints: readonly {
      readonly attributes: readonly { readonly value: { readonly stringValue: string } }[];
      readonly asInt: string | number;
    }[];
  };
}

function metricsOf(line: string): Metric[] {
  const { resourceMetrics } = JSON.parse(line) as {
    resourceMetrics: readonly { readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[] }[];
  };
  return resourceMetrics
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics: found }) => found))
    .filter(({ name }) => name.startsWith('whodns.dnscache.'));
}
