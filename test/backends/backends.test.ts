/**
 * Real collector, Prometheus, VictoriaLogs and Jaeger with the shipped configurations: every panel, every rule and every link of
 * the shipped dashboards, rules and data sources is asked for data that was put in. With LOKI=/path TEMPO=/path the same of those.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BOARDS } from '../../otel-config/grafana/dashboards.ts';
import { absent, equal, present } from '../../otel-config/grafana/records.ts';
import type { AttributeValue } from '../../src/model.ts';
import { RECORD_ATTRIBUTES } from '../../src/tables/attributes.ts';
import { RESOURCE_ATTRIBUTES } from '../../src/tables/resource-attributes.ts';
import { lookupRecord } from '../collector/example-lookups.ts';
import { logsRequest, post } from '../collector/otlp-json.ts';
import { waitUntil } from '../collector/running-program.ts';
import { ALERTS, EXPECTATIONS, type Expectation, RECORDINGS } from './expectations.ts';
import { linksOf } from './links.ts';
import { PAGE_QUERIES } from './page-queries.ts';
import { type Result, runPanel } from './panel-results.ts';
import { get, instant } from './queries.ts';
import { CLIENT_SPAN_ID, feed, LOOKUPS, OTHERS, TRACE_ID } from './scenario.ts';
import { PAIRS, type Pair, type Stack, startStack } from './stack.ts';
import type { TimeRange } from './stores.ts';

const PUSHES = 16;
const TOLERANCE = 0.15;
const CHECKOUT_RECORDS = [...LOOKUPS, ...OTHERS]
  .filter(({ process }) => process['service.name'] === 'checkout')
  .reduce((sum, { count }) => sum + count, 0);

let directory = '';
let stack: Stack;
let time: TimeRange;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-backends-'));
  stack = await startStack(directory);
  const fed = await feed(stack.collector.httpEndpoint, PUSHES, firstScrape);
  // The last scrape that counts is half a second after the last push.
  time = { start: fed.records / 1000 - 60, end: fed.rounds / 1000 + PUSHES - 0.5 };
  await sleep(1000);
  for (const { name, records, traces } of stack.pairs) {
    const query = records.text({ kind: 'whodns.query', filters: [] });
    const arrived = await waitUntil(
      async () =>
        (await traces.ofService('checkout', time)).length > 0 &&
        (await records.lines(query, time)).length === LOOKUPS.reduce((sum, { count }) => sum + count, 0),
      60_000,
    );
    assert.ok(arrived, `${name}: not all arrived\n${stack.collector.log().slice(-2000)}`);
  }
});

async function firstScrape(): Promise<void> {
  const series = () =>
    instant(`${stack.prometheusUrl}/api/v1`, 'dns_lookup_duration_seconds_count', Date.now() / 1000);
  assert.ok(await waitUntil(async () => (await series()).size > 0, 30_000), 'Prometheus scrapes nothing');
}

after(async () => {
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

function close(actual: number | undefined, expected: number): boolean {
  return actual !== undefined && Math.abs(actual - expected) <= Math.abs(expected) * TOLERANCE;
}

function assertResult(result: Result, expected: Expectation): void {
  if (result.kind === 'lines') {
    assert.deepEqual({ lines: result.lines.length }, expected);
    return;
  }
  if (result.kind === 'traces') {
    assert.deepEqual({ traces: result.ids }, expected);
    return;
  }
  const values = Object.fromEntries(result.values);
  const wanted = expected as Readonly<Record<string, number>>;
  assert.deepEqual(Object.keys(values).sort(), Object.keys(wanted).sort());
  for (const [series, value] of Object.entries(wanted)) {
    assert.ok(close(values[series], value), `{${series}}: ${values[series]}, not ${value}`);
  }
}

const pairOf = (name: string): Pair => stack.pairs.find((pair) => pair.name === name) as Pair;

for (const name of PAIRS) {
  describe(`dashboards with ${name}`, () => {
    for (const board of BOARDS) {
      const all = Object.fromEntries(board.variables.map(({ name, text }) => [name, text ?? '.*']));
      // Jaeger searches one service.
      const variables = name.includes('Jaeger') ? { ...all, service: 'checkout' } : all;
      for (const panel of board.panels) {
        const key = `${board.uid}/${panel.title}`;
        test(key, async () => {
          const expected = EXPECTATIONS[key];
          assert.ok(expected, `${key} has no expectation`);
          const chosen = panel.source === 'traces' ? variables : all;
          const results = await runPanel(panel, chosen, stack, pairOf(name), time);
          assert.equal(results.length, expected.length);
          results.forEach((result, index) => {
            assertResult(result, expected[index] as Expectation);
          });
        });
      }
    }

    test('a value chosen in a variable leaves out the others', async () => {
      const chosen: Readonly<Record<string, string>> = {
        cluster: '.*',
        namespace: '.*',
        name: '.*',
        service: 'unknown_service:curl',
        host: 'node-7',
        executable: 'curl',
        pid: '991',
        slow: '0.005',
      };
      for (const board of BOARDS.filter(({ variables }) =>
        variables.some(({ name }) => ['service', 'pid'].includes(name)),
      )) {
        for (const panel of board.panels) {
          const results = await runPanel(panel, chosen, stack, pairOf(name), time);
          const text = JSON.stringify(results, (_, value: unknown) =>
            value instanceof Map ? [...value] : value,
          );
          assert.doesNotMatch(text, /checkout|payments|"node"|4201/, `${board.uid}/${panel.title}`);
        }
      }
    });
  });
}

test('every expectation has its panel', () => {
  const keys = BOARDS.flatMap((board) => board.panels.map((panel) => `${board.uid}/${panel.title}`));
  assert.deepEqual(Object.keys(EXPECTATIONS).sort(), keys.sort());
});

interface Rule {
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly query: string;
  readonly health: string;
  readonly state?: string;
  readonly lastError?: string;
  readonly alerts?: readonly { readonly labels: Readonly<Record<string, string>> }[];
}

async function rules(): Promise<Rule[]> {
  const answer = (await get(`${stack.prometheusUrl}/api/v1/rules`)) as {
    readonly data: { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
  };
  return answer.data.groups.flatMap((group) => group.rules);
}

describe('rules', () => {
  test('every rule is expected and evaluates without an error', async () => {
    assert.ok(await waitUntil(async () => (await rules()).every(({ health }) => health === 'ok'), 20_000));
    const names = (await rules()).map(({ name }) => name);
    assert.deepEqual(names.sort(), [...Object.keys(ALERTS), ...Object.keys(RECORDINGS), 'WhodnsGone'].sort());
  });

  for (const [name, labels] of Object.entries(ALERTS)) {
    test(`alert ${name} is raised for what was put in`, async () => {
      const rule = (await rules()).find((one) => one.name === name);
      assert.match(String(rule?.state), /^(pending|firing)$/);
      const alerts = rule?.alerts ?? [];
      assert.equal(alerts.length, 1);
      const actual = alerts[0]?.labels ?? {};
      for (const [label, value] of Object.entries(labels)) assert.equal(actual[label], value, label);
    });
  }

  test('alert WhodnsGone names the host that has become silent', async () => {
    const gone = (await rules()).find(({ name }) => name === 'WhodnsGone');
    assert.equal(gone?.state, 'inactive', 'while it reports');
    // Asked as of a quarter of an hour later, when the last sample is 15 minutes old.
    const later = await instant(`${stack.prometheusUrl}/api/v1`, String(gone?.query), time.end + 15 * 60);
    assert.deepEqual([...later], [['host_name=node-7', 1]]);
  });

  for (const [name, series] of Object.entries(RECORDINGS)) {
    test(`record ${name}`, async () => {
      const values = await instant(`${stack.prometheusUrl}/api/v1`, `{__name__="${name}"}`, time.end);
      assert.deepEqual([...values.keys()].sort(), Object.keys(series).sort());
      for (const [labels, value] of Object.entries(series)) {
        const actual = values.get(labels);
        assert.ok(value === undefined ? (actual ?? 0) > 0 : close(actual, value), `{${labels}}: ${actual}`);
      }
    });
  }
});

if (PAIRS.includes('Loki and Tempo')) {
  test('Loki: only what changes with a deployment is an index label', async () => {
    const answer = (await get(`${stack.lokiUrl}/loki/api/v1/labels`)) as { readonly data: readonly string[] };
    assert.deepEqual([...answer.data].sort(), [
      'k8s_deployment_name',
      'k8s_namespace_name',
      'service_name',
      'service_namespace',
    ]);
  });
} else console.error('not run: Loki, Tempo (LOKI=/path/loki TEMPO=/path/tempo)');

for (const name of PAIRS) {
  describe(`queries of the pages: ${name}`, () => {
    for (const [query, count] of Object.entries(PAGE_QUERIES[name] ?? {})) {
      test(query, async () => {
        const { records } = pairOf(name);
        if (typeof count === 'number') assert.equal((await records.lines(query, time)).length, count);
        else assertResult({ kind: 'values', values: await records.instant(query, time) }, count);
      });
    }
  });
}

describe('large records', () => {
  test('the largest that a server and a process can bring about is stored whole', async () => {
    // Sizes: records/record-common.ts, enrich/process/process-context.ts. A backslash is two in the JSON text that Loki keeps of arrays.
    const texts = Array.from({ length: 100 }, () => '\\001'.repeat(256));
    const published = Object.fromEntries(
      Array.from({ length: 128 }, (_, i) => [`own.${i}`, 'x'.repeat(1024)]),
    );
    const examples = (table: Readonly<Record<string, { readonly example: AttributeValue }>>) =>
      Object.fromEntries(Object.entries(table).map(([name, { example }]) => [name, example]));
    const process = { ...examples(RESOURCE_ATTRIBUTES), ...published, 'service.name': 'large' };
    const record = {
      time: BigInt(Math.round(time.start * 1000)) * 1_000_000n,
      severity: 9,
      body: 'x'.repeat(1024),
      attributes: { ...examples(RECORD_ATTRIBUTES), 'whodns.answers': texts, 'whodns.edns.errors': texts },
    };
    await post(stack.collector.httpEndpoint, 'logs', logsRequest(process, [record]));
    for (const { name, records } of stack.pairs) {
      const query = records.text({ kind: 'whodns.query', filters: [equal('service.name', 'large')] });
      const around = { start: time.start - 60, end: time.end };
      const stored = () => records.lines(query, around);
      const arrived = await waitUntil(async () => (await stored()).length === 1, 20_000);
      assert.ok(arrived, `${name}: ${stack.collector.log().slice(-2000)}`);
      const labels = (await stored())[0]?.labels ?? {};
      assert.deepEqual(JSON.parse(labels.whodns_answers ?? ''), texts);
      assert.equal(labels.own_127, published['own.127']);
    }
  });
});

describe('many names', () => {
  const panels = BOARDS.flatMap((board) =>
    board.panels.filter(({ source, kind }) => source === 'records' && kind === 'table'),
  );

  test('tables of names work on a host that asks for thousands of them', async () => {
    const hourAgo = time.start - 3600;
    const process = {
      'service.name': 'crawler',
      'host.name': 'node-9',
      'process.pid': 7,
      'process.executable.name': 'crawler',
    };
    const batch = Array.from({ length: 2000 }, (_, index) =>
      lookupRecord(
        { name: `n${index}.example.com`, type: 'A', rcode: 'NXDOMAIN' },
        BigInt(Math.round(hourAgo * 1000)) * 1_000_000n,
      ),
    );
    await post(stack.collector.httpEndpoint, 'logs', logsRequest(process, batch));
    const range = { start: hourAgo - 60, end: hourAgo + 60 };
    const variables = {
      cluster: '.*',
      namespace: '.*',
      name: '.*',
      service: 'crawler',
      host: '.*',
      executable: '.*',
      pid: '.*',
    };
    assert.ok(panels.length >= 5);
    for (const pair of stack.pairs) {
      const { records } = pair;
      const crawler = records.text({ kind: 'whodns.query', filters: [equal('service.name', 'crawler')] });
      const stored = async () => (await records.lines(crawler, range)).length;
      assert.ok(await waitUntil(async () => (await stored()) === 2000, 20_000), pair.name);
      for (const panel of panels) {
        const [result] = await runPanel(panel, variables, stack, pair, range);
        assert.ok(result?.kind === 'values', panel.title);
      }
    }
  });
});

for (const name of PAIRS) {
  describe(`links between the data sources: ${name}`, () => {
    const slow = LOOKUPS.find(({ lookup }) => lookup.traceId === TRACE_ID);
    const links = () => linksOf(stack, pairOf(name));
    const inTrace = async (isThere: boolean) => {
      const { records } = pairOf(name);
      const filter = isThere ? present('trace_id') : absent('trace_id');
      const query = records.text({
        kind: 'whodns.query',
        filters: [equal('service.name', 'checkout'), filter],
      });
      return (await records.lines(query, time))[0]?.labels ?? {};
    };

    test('from a span to the records of its service', async () => {
      const found = await links().spanToRecords(TRACE_ID, ({ name }) => name === 'POST /pay');
      assert.equal(found.length, CHECKOUT_RECORDS);
      assert.ok(found.every(({ labels }) => labels.service_name === 'checkout'));
    });

    test('from a client span to the lookups of the name it called', async () => {
      const found = await links().spanToName(TRACE_ID, ({ name }) => name === 'GET');
      assert.equal(found.length, slow?.count);
      assert.ok(found.every(({ labels }) => labels.dns_question_name === 'Slow.example.com'));
    });

    test('from a span to what was asked inside its trace', async () => {
      const found = await links().spanToTrace(TRACE_ID, ({ name }) => name === 'GET', time);
      assert.equal(found.length, slow?.count);
      assert.ok(found.every(({ labels }) => labels.span_id === CLIENT_SPAN_ID));
    });

    test('from a record with a trace id to the trace', async () => {
      const spans = await links().recordToTrace(await inTrace(true));
      assert.deepEqual(spans.map(({ name }) => name).sort(), ['GET', 'POST /pay']);
    });

    test('from a record without a trace id to the traces of its service', async () => {
      assert.deepEqual(await links().recordToTraces(await inTrace(false), time), [TRACE_ID]);
    });

    test('from a record, and from a span, to the metrics of the service', async () => {
      const fromRecord = await links().recordToMetrics(await inTrace(false), time);
      assert.deepEqual([...fromRecord.keys()].sort(), [
        '',
        'dns_response_code=NOERROR',
        'dns_response_code=NXDOMAIN',
        'dns_response_code=SERVFAIL',
      ]);
      const [rates, duration] = await links().spanToMetrics(
        TRACE_ID,
        ({ name }) => name === 'POST /pay',
        time,
      );
      assert.equal(rates?.size, 4);
      assert.ok(close(duration?.get(''), 0.975));
    });
  });
}
