/** Run by end-to-end.test.ts in its namespaces; WORK is a directory for everything that is written. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { equal, type Filter, matches, type RecordKind } from '../../otel-config/grafana/records.ts';
import { CLIENTS } from '../clients/build.ts';
import { Publisher } from '../clients/publisher.ts';
import { keyValues, post } from '../collector/otlp-json.ts';
import { freePorts, type RunningProgram, startProgram, waitUntil } from '../collector/running-program.ts';
import { MAIN } from '../matrix/program.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { sampleApplication } from './build.ts';
import { linksOf } from './links.ts';
import { instant } from './queries.ts';
import { type Pair, type Stack, startStack } from './stack.ts';
import type { LogLine, Span } from './stores.ts';

const WORK = String(process.env.WORK);
const NAME = 'payments.shop.test';
/** Of the called service: not 127.0.0.0/8, connections to there are left out. */
const ADDRESS = String(process.env.ADDRESS);
const REQUESTS = 20;
const SEARCH = ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];

let stack: Stack;
let dnsmasq: ChildProcess;
let agent: ChildProcess;
let agentLog = '';
let checkout: RunningProgram;
let payments: RunningProgram;
const started = Date.now() / 1000;
const range = () => ({ start: started - 5, end: Date.now() / 1000 + 5 });

before(async () => {
  stack = await startStack(join(WORK, 'stack'));
  dnsmasq = spawn('dnsmasq', [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--user=root',
    '--pid-file=',
    '--listen-address=127.0.0.1',
    '--bind-interfaces',
    '--log-queries',
    `--log-facility=${join(WORK, 'dnsmasq.log')}`,
    `--address=/${NAME}/${ADDRESS}`,
    '--local=/test/cluster.local/',
  ]);
  const options = ['--connections', '--detect', 'unknown-binary', '--trace-context'];
  agent = spawn(process.execPath, [MAIN, 'run', '--exporter', 'otlp', ...options], {
    env: {
      ...process.env,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${stack.collector.grpcEndpoint}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
      OTEL_METRIC_EXPORT_TIMEOUT: '1000',
    },
  });
  for (const stream of [agent.stdout, agent.stderr]) stream?.on('data', (text) => (agentLog += String(text)));
  await Promise.all([agentSees(), startServices()]);
  const url = `http://127.0.0.1:${checkoutPort}/pay`;
  for (let request = 0; request < REQUESTS; request += 1) assert.equal((await fetch(url)).status, 200);
  spawnSync('getent', ['hosts', 'gone.shop.test.']);
  // Until everything that the name server was asked for has arrived; the tests say what is missing.
  await waitUntil(async () => ours(await found([])).length >= asked(), 30_000);
});

after(async () => {
  await Promise.all([checkout?.stop(), payments?.stop()]);
  for (const child of [agent, dnsmasq]) await ended(child);
  await stack?.stop();
});

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await gone;
}

/** The agent is attached when a lookup made now has arrived. */
async function agentSees(): Promise<void> {
  const seen = await waitUntil(async () => {
    spawnSync('getent', ['hosts', 'ready.shop.test.']);
    return (await found([equal('dns.question.name', 'ready.shop.test')])).length > 0;
  }, 60_000);
  assert.ok(seen, `nothing captured\n${agentLog}\n${stack.collector.log().slice(-2000)}`);
}

let checkoutPort = 0;
let paymentsPort = 0;

async function startServices(): Promise<void> {
  const [first, second] = await freePorts(2);
  checkoutPort = first ?? 0;
  paymentsPort = second ?? 0;
  const directory = await sampleApplication();
  const start = (name: string, port: number | undefined, env: NodeJS.ProcessEnv = {}) =>
    startProgram({
      command: [process.execPath, '--require', join(directory, 'tracing.cjs'), join(directory, 'server.cjs')],
      env: {
        OTEL_SERVICE_NAME: name,
        OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=shop',
        OTEL_EXPORTER_OTLP_ENDPOINT: stack.collector.httpEndpoint,
        OTEL_BSP_SCHEDULE_DELAY: '200',
        PORT: String(port),
        ...env,
      },
      readyUrl: `http://127.0.0.1:${port}/`,
    });
  payments = await start('payments', second);
  checkout = await start('checkout', first, { CALL_URL: `http://${NAME}:${second}/` });
}

const pair = (): Pair => stack.pairs[0];
const links = () => linksOf(stack, pair());

async function found(filters: readonly Filter[], kind: RecordKind = 'whodns.query'): Promise<LogLine[]> {
  const { records } = pair();
  return records.lines(records.text({ kind, filters }), range());
}

/** Queries for the service's name, with and without search domain, that the name server has logged. */
function asked(): number {
  const log = readFileSync(join(WORK, 'dnsmasq.log'), 'utf8');
  return [...log.matchAll(/query\[\w+\] (\S+)/g)].filter(([, name = '']) => name.startsWith(NAME)).length;
}

const ours = (log: LogLine[]) => log.filter(({ labels }) => labels.service_name === 'checkout');

test('every lookup of the service is a record of its process, under the name it reports itself', async () => {
  const records = ours(await found([matches('dns.question.name', `${NAME}.*`)]));
  const own = new Set(records.map(({ labels }) => `${labels.process_pid} ${labels.process_executable_name}`));
  assert.deepEqual([...own], [`${checkout.pid} node`]);
  assert.ok(records.every(({ labels }) => labels.service_namespace === 'shop'));
  assert.equal(records.length, asked(), 'as many as the name server was asked');
  assert.equal(
    records.length,
    REQUESTS * 2 * (SEARCH.length + 1),
    'A and AAAA, with each search domain and without',
  );
});

test('what the service was told', async () => {
  const records = ours(await found([equal('dns.question.name', NAME), equal('dns.question.type', 'A')]));
  assert.equal(records.length, REQUESTS);
  for (const { labels } of records) {
    assert.equal(labels.dns_response_code, 'NOERROR');
    assert.equal(labels.dns_answers, JSON.stringify([ADDRESS]));
    assert.equal(labels.server_address, '127.0.0.1');
    assert.ok(Number(labels.dns_lookup_duration) > 0);
  }
  for (const domain of SEARCH) {
    const wasted = ours(
      await found([equal('dns.question.name', `${NAME}.${domain}`), equal('dns.response_code', 'NXDOMAIN')]),
    );
    assert.equal(wasted.length, REQUESTS * 2, domain);
  }
});

test('a program that lives for milliseconds', async () => {
  const records = await found([equal('dns.question.name', 'gone.shop.test')]);
  assert.ok(records.length > 0);
  for (const { labels } of records) {
    assert.equal(labels.service_name, 'unknown_service:getent');
    assert.equal(labels.process_executable_name, 'getent');
    assert.equal(labels.dns_response_code, 'NXDOMAIN');
  }
});

test('Prometheus counts as many as there are records', async () => {
  const api = `${stack.prometheusUrl}/api/v1`;
  const codes = ours(await found([])).map(({ labels }) => `dns_response_code=${labels.dns_response_code}`);
  const held = Object.fromEntries(
    [...new Set(codes)].map((code) => [code, codes.filter((one) => one === code).length]),
  );
  assert.equal(Object.keys(held).length, 2, 'NOERROR and NXDOMAIN');
  const query =
    'sum by (dns_response_code) (whodns_queries_total{service_name="checkout", service_namespace="shop"})';
  const counted = async () => Object.fromEntries(await instant(api, query, Date.now() / 1000));
  await waitUntil(async () => isDeepStrictEqual(await counted(), held), 15_000);
  assert.deepEqual(await counted(), held);
  const kernel = `sum(whodns_process_queries_total{process_pid="${checkout.pid}"})`;
  assert.deepEqual([...(await instant(api, kernel, Date.now() / 1000))], [['', codes.length]]);
  const p99 =
    'histogram_quantile(0.99, sum by (le) (dns_lookup_duration_seconds_bucket{service_name="checkout"}))';
  assert.ok(Number((await instant(api, p99, Date.now() / 1000)).get('')) > 0);
});

test('what search domains wasted, from the list that the service has', async () => {
  const wasted = REQUESTS * 2 * SEARCH.length;
  const query = 'sum(whodns_search_wasted_total{service_name="checkout", service_namespace="shop"})';
  const counted = async () =>
    (await instant(`${stack.prometheusUrl}/api/v1`, query, Date.now() / 1000)).get('');
  await waitUntil(async () => (await counted()) === wasted, 15_000);
  assert.equal(await counted(), wasted);
  const told = ours(await found([equal('whodns.search.base', NAME)]));
  const sum = told.reduce((total, { labels }) => total + Number(labels.whodns_search_wasted ?? 0), 0);
  assert.equal(sum, wasted, 'and the records tell the same');
});

test('connections of the service, by the name it had looked up', async () => {
  const connections = async () =>
    ours(await found([equal('network.peer.port', String(paymentsPort))], 'whodns.connect'));
  await waitUntil(async () => (await connections()).length >= REQUESTS, 15_000);
  assert.equal((await connections()).length, REQUESTS);
  for (const { labels } of await connections()) {
    assert.equal(JSON.parse(String(labels.whodns_connect_names))[0], NAME);
    assert.equal(labels.network_peer_address, ADDRESS);
  }
  const query = 'sum(whodns_connections_total{service_name="checkout", whodns_unresolved="false"})';
  const counted = await instant(`${stack.prometheusUrl}/api/v1`, query, Date.now() / 1000);
  assert.ok(Number(counted.get('')) >= REQUESTS);
});

test('a finding: its record, the record it rests on, its counter and its alert', async () => {
  const program = join(WORK, 'stray');
  copyFileSync('/usr/bin/getent', program);
  spawnSync(program, ['hosts', 'stray.shop.test.']);
  const rule = [equal('security_rule.name', 'unknown-binary'), equal('process.executable.name', 'stray')];
  const findings = () => found(rule, 'whodns.finding');
  await waitUntil(async () => (await findings()).length > 0, 15_000);
  const [finding] = await findings();
  assert.equal(finding?.labels.whodns_finding_subject, program);
  const [cause] = await found([equal('log.record.uid', String(finding?.labels.whodns_finding_record_uid))]);
  assert.equal(cause?.labels.dns_question_name, 'stray.shop.test');
  const query =
    'ALERTS{alertname="DnsFinding", service_name="unknown_service:stray", security_rule_name="unknown-binary"}';
  const alerts = () => instant(`${stack.prometheusUrl}/api/v1`, query, Date.now() / 1000);
  await waitUntil(async () => (await alerts()).size > 0, 15_000);
  assert.equal((await alerts()).size, 1);
});

test('from a span to what its thread asked, and back, by trace id', async () => {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const context = contextBytes({ 'service.name': 'traced' }, { 'threadlocal.schema_version': 'tls_v1' });
  const publisher = await Publisher.start(
    [Buffer.from(context).toString('hex')],
    [],
    {},
    join(CLIENTS, 'thread-context/pie'),
  );
  try {
    const now = `${Date.now()}000000`;
    const span = { traceId, spanId, name: 'work', kind: 1, startTimeUnixNano: now, endTimeUnixNano: now };
    const resource = { attributes: keyValues({ 'service.name': 'traced' }) };
    await post(stack.collector.httpEndpoint, 'traces', {
      resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'test' }, spans: [span] }] }],
    });
    const asked: string[] = [];
    // The first lookups of a process have no span yet: where it keeps its contexts is being looked for.
    const traced = await waitUntil(async () => {
      const name = `q${asked.length}.traced.test`;
      asked.push(name);
      publisher.say(`1 127.0.0.1 ${name} good ${traceId}${spanId}`);
      assert.equal(await publisher.line(), name);
      return (await found([equal('trace_id', traceId)])).length > 0;
    }, 60_000);
    assert.ok(traced, `none of ${asked.length} records has the trace`);
    const stored = () => pair().traces.ofService('traced', range());
    assert.ok(await waitUntil(async () => (await stored()).length > 0, 30_000), 'the span is stored');

    const records = await links().spanToTrace(traceId, ({ name }) => name === 'work', range());
    assert.ok(records.length > 0);
    for (const { labels } of records) {
      assert.ok(asked.includes(String(labels.dns_question_name)));
      assert.equal(labels.span_id, spanId);
      assert.equal(labels.service_name, 'traced');
    }
    const back = await links().recordToTrace(records[0]?.labels ?? {});
    assert.deepEqual(
      back.map(({ name, attributes }) => [name, attributes['service.name']]),
      [['work', 'traced']],
    );
  } finally {
    await publisher.stop();
  }
});

test('from a trace of the service to its records, and back, with nothing but the links of Grafana', async () => {
  // The span of the server that was called has the same name, and the same server.address (its Host header).
  const calling = ({ attributes }: Span) =>
    attributes['service.name'] === 'checkout' && attributes['server.address'] === NAME;
  let traceId = '';
  const isStored = await waitUntil(async () => {
    for (const id of await pair().traces.ofService('checkout', range())) {
      if ((await pair().traces.spans(id)).some(calling)) traceId = id;
    }
    return traceId !== '';
  }, 30_000);
  assert.ok(isStored);

  const around = await links().spanToRecords(traceId, calling);
  assert.ok(around.length > 0 && around.every(({ labels }) => labels.process_pid === String(checkout.pid)));

  const byName = await links().spanToName(traceId, calling);
  const names = new Set(byName.map(({ labels }) => labels.dns_question_name));
  assert.deepEqual([...names].sort(), [NAME, ...SEARCH.map((domain) => `${NAME}.${domain}`)].sort());

  const back = await links().recordToTraces(around[0]?.labels ?? {}, range());
  assert.ok(back.includes(traceId), `${traceId} among ${back}`);
});
