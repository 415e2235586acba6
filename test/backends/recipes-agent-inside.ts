/** Run by recipes-agent.test.ts in its namespaces, where the ports that the recipes name are free. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { BOARDS } from '../../otel-config/grafana/dashboards.ts';
import { startCollector } from '../collector/collector.ts';
import { type RunningProgram, startProgram, waitUntil } from '../collector/running-program.ts';
import { end } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';
import { SECTIONS, variablesOf } from '../unit/recipes-page.ts';
import { RECIPES_MANIFEST, victoriaMetricsProgram } from './build.ts';
import { ask, type Row, startClickHouse } from './clickhouse.ts';
import { STATEMENTS } from './clickhouse-page.ts';
import { interpolate } from './panel-results.ts';
import { get, instant } from './queries.ts';
import type { RecordStore } from './stores.ts';
import { startVictoriaLogs, victoriaLogsStore } from './victorialogs.ts';

const WORK = String(process.env.WORK);
const ADDRESS = String(process.env.ADDRESS);
const RULES = join(import.meta.dirname, '../../otel-config/prometheus/rules/whodns.rules.yml');
const LOOKUPS = 7;
/** A program with a name that no one else on the host has: the agent sees all of them. */
const ASKER = join(WORK, 'recipe-asker');
const SERVICE = 'unknown_service:recipe-asker';

let dnsmasq: ChildProcess;
before(() => {
  copyFileSync('/usr/bin/getent', ASKER);
  dnsmasq = spawn(
    'dnsmasq',
    [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root'],
      ...['--pid-file=', '--listen-address=127.0.0.1', '--bind-interfaces'],
      ...[`--address=/here.test/${ADDRESS}`, '--local=/test/'],
    ],
    { stdio: 'ignore' },
  );
});
after(() => end(dnsmasq));

interface Agent {
  readonly log: () => string;
  readonly stop: () => Promise<void>;
}

/** With what a recipe sets, and metrics each second. */
function startAgent(env: NodeJS.ProcessEnv, ...options: readonly string[]): Agent {
  const child = spawn(process.execPath, [MAIN, 'run', '--exporter', 'otlp', ...options], {
    env: { ...process.env, ...env, OTEL_METRIC_EXPORT_INTERVAL: '1000', OTEL_METRIC_EXPORT_TIMEOUT: '1000' },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (log += String(text)));
  return { log: () => log, stop: () => end(child) };
}

/** Each a process of its own. */
const lookUp = (name: string) => spawnSync(ASKER, ['ahostsv4', name]);

/** The agent is attached when a lookup made now has arrived. */
async function sees(agent: Agent, arrived: () => Promise<boolean>): Promise<void> {
  const seen = await waitUntil(async () => {
    lookUp('ready.test');
    return arrived();
  }, 60_000);
  assert.ok(seen, `nothing captured\n${agent.log()}`);
  for (let index = 0; index < LOOKUPS; index += 1) lookUp('here.test');
  lookUp('gone.test');
}

describe('VictoriaLogs and VictoriaMetrics, without a Collector', () => {
  const api = 'http://127.0.0.1:8428/api/v1';
  const logs = 'http://127.0.0.1:9428';
  const running: RunningProgram[] = [];
  let agent: Agent;
  let records: RecordStore;
  const range = { start: Date.now() / 1000 - 60, end: Date.now() / 1000 + 600 };
  const named = (name: string) =>
    records.lines(`event_name:="whodns.query" dns.question.name:="${name}"`, range);

  before(async () => {
    running.push(
      await startVictoriaLogs(join(WORK, 'victorialogs'), 9428),
      await startProgram({
        command: [
          await victoriaMetricsProgram(),
          `-storageDataPath=${join(WORK, 'victoriametrics')}`,
          '-httpListenAddr=127.0.0.1:8428',
          '-opentelemetry.usePrometheusNaming',
          // What was just written is found: by default not in the first 30 s.
          '-search.latencyOffset=0s',
        ],
        readyUrl: 'http://127.0.0.1:8428/health',
      }),
    );
    records = victoriaLogsStore(logs);
    agent = startAgent(variablesOf(String(SECTIONS.get('VictoriaLogs')), '127.0.0.1'));
    await sees(agent, async () => (await named('ready.test')).length > 0);
    await waitUntil(async () => (await named('gone.test')).length > 0, 20_000);
  });
  after(async () => {
    await agent?.stop();
    await Promise.all(running.map((program) => program.stop()));
  });

  test('every lookup is a record, answered and not', async () => {
    assert.equal((await named('here.test')).length, LOOKUPS, agent.log());
    assert.deepEqual(
      (await named('gone.test')).map(({ labels }) => labels.dns_response_code),
      ['NXDOMAIN'],
    );
  });

  test('streams are those of the header', async () => {
    const { values } = (await get(`${logs}/select/logsql/streams`, { query: '*' })) as {
      readonly values: readonly { readonly value: string }[];
    };
    assert.ok(values.some(({ value }) => value.includes(SERVICE)));
    for (const { value } of values)
      assert.match(value, /^{host\.name="[^"]+",(k8s\.namespace\.name="[^"]+",)?service\.name="[^"]+"}$/);
  });

  test('the query of the recipe', async () => {
    const [, query = ''] = /^- Look: `(.*)`/m.exec(String(SECTIONS.get('VictoriaLogs'))) ?? [];
    const ready = (await named('ready.test')).length;
    const counted = await records.instant(query, range);
    assert.equal(counted.get(`service_name=${SERVICE}`), ready + 1);
  });

  test('metrics have the names and labels that the rules and dashboards ask for', async () => {
    const query =
      'sum by (service_name, dns_response_code) (whodns_queries_total{host_name!="", process_executable_name="recipe-asker"})';
    const ready = (await named('ready.test')).length;
    const expected = {
      [`dns_response_code=NOERROR,service_name=${SERVICE}`]: LOOKUPS,
      [`dns_response_code=NXDOMAIN,service_name=${SERVICE}`]: ready + 1,
    };
    const counted = async () => Object.fromEntries(await instant(api, query, Date.now() / 1000));
    await waitUntil(async () => isDeepStrictEqual(await counted(), expected), 15_000);
    assert.deepEqual(await counted(), expected);
    const p99 = 'histogram_quantile(0.99, sum by (le) (dns_lookup_duration_seconds_bucket))';
    assert.ok(Number((await instant(api, p99, Date.now() / 1000)).get('')) > 0);
    for (const name of ['whodns_dropped_total', 'whodns_ring_used_bytes', 'whodns_process_queries_total'])
      assert.ok((await instant(api, `count(${name}{host_name!=""})`, Date.now() / 1000)).size > 0, name);
  });

  test('every rule is taken, and no panel of metrics is empty', async () => {
    const { groups } = parse(readFileSync(RULES, 'utf8')) as {
      readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
    };
    for (const { expr } of groups.flatMap(({ rules }) => rules)) await instant(api, expr, Date.now() / 1000);
    const empty: string[] = [];
    let asked = 0;
    for (const board of BOARDS) {
      const variables = Object.fromEntries(board.variables.map(({ name, text }) => [name, text ?? '.*']));
      for (const panel of board.panels)
        for (const { expression } of panel.source === 'metrics' ? panel.queries : []) {
          const query = interpolate(expression, variables, range);
          const values = await instant(api, query, Date.now() / 1000);
          asked += 1;
          if (values.size === 0) empty.push(`${board.uid}/${panel.title}: ${query}`);
        }
    }
    assert.deepEqual(empty, []);
    assert.ok(asked > 40, `${asked} queries`);
  });
});

describe('ClickHouse, by a Collector', () => {
  const running: RunningProgram[] = [];
  let agent: Agent;
  const query = (heading: string, parameters?: Readonly<Record<string, string>>): Promise<Row[]> =>
    ask(8123, String(STATEMENTS.get(heading)), parameters);
  const asked = (name: string) => query('Who asked for a name, and what it was told', { name });

  before(async () => {
    running.push(await startClickHouse(join(WORK, 'clickhouse'), { native: 9000, http: 8123 }));
    const collector = await startCollector(
      ['gateway', 'clickhouse'],
      join(WORK, 'collector'),
      {},
      RECIPES_MANIFEST,
    );
    running.unshift(collector);
    agent = startAgent(
      { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${collector.grpcEndpoint}` },
      ...['--connections', '--detect', 'unknown-binary'],
    );
    await sees(agent, async () => (await asked('ready.test')).length > 0);
    await waitUntil(async () => (await asked('gone.test')).length > 0, 20_000);
  });
  after(async () => {
    await agent?.stop();
    for (const program of running) await program.stop();
  });

  test('who asked, and what it was told', async () => {
    const rows = await asked('here.test');
    assert.equal(rows.length, LOOKUPS);
    for (const { process, service, type, result, answers } of rows)
      assert.deepEqual(
        { process, service, type, result, answers },
        { process: 'recipe-asker', service: SERVICE, type: 'A', result: 'NOERROR', answers: [ADDRESS] },
      );
    assert.equal(new Set(rows.map(({ pid }) => pid)).size, LOOKUPS, 'each a process of its own');
    const [first] = rows;
    const ofFirst = await query('All records of a process', {
      host: String(first?.host),
      pid: String(first?.pid),
    });
    const { event, Body } = ofFirst[0] ?? {};
    assert.equal(event, 'whodns.query');
    assert.match(String(Body), /here\.test/);
    const isFound = async () =>
      (await query('Findings')).some(({ rule, subject }) => rule === 'unknown-binary' && subject === ASKER);
    assert.ok(await waitUntil(isFound, 20_000), 'a program outside of where programs are');
  });

  test('every record has an id of its own', async () => {
    const [row] = await ask(
      8123,
      `SELECT count() AS records, uniqExact(LogAttributes['log.record.uid']) AS ids,
              countIf(LogAttributes['log.record.uid'] = '') AS without FROM otel_logs`,
    );
    assert.ok(Number(row?.records) > LOOKUPS);
    assert.deepEqual([row?.ids, row?.without], [row?.records, 0]);
  });

  test('counters tell the same as records', async () => {
    const ready = (await asked('ready.test')).length;
    const expected = [
      { service: SERVICE, result: 'NOERROR', lookups: LOOKUPS },
      { service: SERVICE, result: 'NXDOMAIN', lookups: ready + 1 },
    ];
    const counted = async () =>
      (await query('Lookups by service and result, counted'))
        .filter(({ service }) => service === SERVICE)
        .toSorted((a, b) => String(a.result).localeCompare(String(b.result)));
    await waitUntil(async () => isDeepStrictEqual(await counted(), expected), 15_000);
    assert.deepEqual(await counted(), expected);
  });
});
