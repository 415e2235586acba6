/**
 * Real Loki, Tempo, Prometheus and collector with the shipped configurations: every panel, every rule and every link of
 * the shipped dashboards, rules and data sources is asked for data that was put in.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BOARDS } from '../../otel-config/grafana/dashboards.ts';
import type { AttributeValue } from '../../src/model.ts';
import { RECORD_ATTRIBUTES } from '../../src/tables/attributes.ts';
import { RESOURCE_ATTRIBUTES } from '../../src/tables/resource-attributes.ts';
import { lookupRecord } from '../collector/example-lookups.ts';
import { logsRequest, post } from '../collector/otlp-json.ts';
import { waitUntil } from '../collector/running-program.ts';
import { ALERTS, EXPECTATIONS, type Expectation, RECORDINGS } from './expectations.ts';
import { linkQueries } from './links.ts';
import { type Result, runPanel, type TimeRange } from './panel-results.ts';
import { get, instant, lines, traces } from './queries.ts';
import { CLIENT_SPAN_ID, feed, LOOKUPS, OTHERS, TRACE_ID } from './scenario.ts';
import { type Stack, startStack } from './stack.ts';

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
  const started = (await feed(stack.collector.httpEndpoint, PUSHES)) / 1000;
  // The last scrape that counts is half a second after the last push.
  time = { start: started - 60, end: started + PUSHES - 0.5 };
  await sleep(1000);
  const searchable = await waitUntil(
    async () => (await traces(stack.tempoUrl, '{}', time.start, time.end)).length > 0,
    60_000,
  );
  assert.ok(searchable, `no trace in Tempo\n${stack.collector.log().slice(-2000)}`);
});

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

describe('dashboards', () => {
  for (const board of BOARDS) {
    const all = Object.fromEntries(board.variables.map(({ name, text }) => [name, text ?? '.*']));
    for (const panel of board.panels) {
      const key = `${board.uid}/${panel.title}`;
      test(key, async () => {
        const expected = EXPECTATIONS[key];
        assert.ok(expected, `${key} has no expectation`);
        const results = await runPanel(panel, all, stack, time);
        assert.equal(results.length, expected.length);
        results.forEach((result, index) => {
          assertResult(result, expected[index] as Expectation);
        });
      });
    }
  }

  test('every expectation has its panel', () => {
    const keys = BOARDS.flatMap((board) => board.panels.map((panel) => `${board.uid}/${panel.title}`));
    assert.deepEqual(Object.keys(EXPECTATIONS).sort(), keys.sort());
  });

  test('a value chosen in a variable leaves out the others', async () => {
    const chosen: Readonly<Record<string, string>> = {
      namespace: '.*',
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
        const text = JSON.stringify(await runPanel(panel, chosen, stack, time), (_, value: unknown) =>
          value instanceof Map ? [...value] : value,
        );
        assert.doesNotMatch(text, /checkout|payments|"node"|4201/, `${board.uid}/${panel.title}`);
      }
    }
  });
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

describe('Loki', () => {
  test('only what changes with a deployment is an index label', async () => {
    const answer = (await get(`${stack.lokiUrl}/loki/api/v1/labels`)) as { readonly data: readonly string[] };
    assert.deepEqual([...answer.data].sort(), [
      'k8s_deployment_name',
      'k8s_namespace_name',
      'service_name',
      'service_namespace',
    ]);
  });

  const queries: Readonly<Record<string, number>> = {
    '{service_name="checkout"}': CHECKOUT_RECORDS,
    '{service_namespace="shop"} | k8s_pod_name="checkout-7c9f64b5-x2lkq"': CHECKOUT_RECORDS,
    '{service_name="checkout"} | otel_event_name="whodns.query"': 105,
    '{service_name=~".+"} | otel_event_name="whodns.connect" | whodns_connect_names=~".*payments[.]example[.]com.*"': 6,
    '{service_name=~".+"} | whodns_unresolved="true"': 2,
    '{service_name=~".+"} | otel_event_name="whodns.finding" | security_rule_name="tunnel"': 1,
    '{k8s_namespace_name="shop"} | otel_event_name="whodns.visibility"': 1,
    '{service_name=~".+"} | whodns_search_base="payments.example.com"': 65,
    '{service_name=~".+"} | dns_question_name="payments.example.com"': 20,
    '{service_name=~".+"} | dns_response_code="SERVFAIL"': 10,
    '{service_name=~".+"} | process_pid="991"': 7,
    '{service_name=~".+"} | container_id=~"4c01db.*" | error_type="timeout"': 10,
    '{service_name=~".+"} |= "silent.example.net"': 10,
  };
  for (const [query, count] of Object.entries(queries)) {
    test(query, async () => {
      assert.equal((await lines(stack.lokiUrl, query, time.start, time.end)).length, count);
    });
  }
});

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
    const stored = () => lines(stack.lokiUrl, '{service_name="large"}', time.start - 60, time.end);
    const arrived = await waitUntil(async () => (await stored()).length === 1, 20_000);
    assert.ok(arrived, stack.collector.log().slice(-2000));
    const labels = (await stored())[0]?.labels ?? {};
    assert.deepEqual(JSON.parse(labels.whodns_answers ?? ''), texts);
    assert.equal(labels.own_127, published['own.127']);
  });
});

describe('many names', () => {
  const panels = BOARDS.flatMap((board) =>
    board.panels.filter(({ source, kind }) => source === 'loki' && kind === 'table'),
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
    const crawler = '{service_name="crawler"}';
    assert.ok(
      await waitUntil(
        async () => (await lines(stack.lokiUrl, crawler, range.start, range.end)).length === 2000,
        20_000,
      ),
    );
    const variables = {
      namespace: '.*',
      service: 'crawler',
      host: '.*',
      executable: '.*',
      pid: '.*',
    };
    assert.ok(panels.length >= 5);
    for (const panel of panels) {
      const [result] = await runPanel(panel, variables, stack, range);
      assert.ok(result?.kind === 'values', panel.title);
    }
  });
});

describe('links between the data sources', () => {
  const slow = LOOKUPS.find(({ lookup }) => lookup.traceId === TRACE_ID);

  test('from a span to the records of its service', async () => {
    const found = await linkQueries.spanToRecords(stack, TRACE_ID, ({ name }) => name === 'POST /pay');
    assert.equal(found.length, CHECKOUT_RECORDS);
    assert.ok(found.every(({ labels }) => labels.service_name === 'checkout'));
  });

  test('from a client span to the lookups of the name it called', async () => {
    const found = await linkQueries.spanToName(stack, TRACE_ID, ({ name }) => name === 'GET');
    assert.equal(found.length, slow?.count);
    assert.ok(found.every(({ labels }) => labels.dns_question_name === 'Slow.example.com'));
  });

  test('from a span to what was asked inside its trace', async () => {
    const found = await linkQueries.spanToTrace(stack, TRACE_ID, ({ name }) => name === 'GET', time);
    assert.equal(found.length, slow?.count);
    assert.ok(found.every(({ labels }) => labels.span_id === CLIENT_SPAN_ID));
  });

  test('from a record with a trace id to the trace', async () => {
    const [record] = await lines(stack.lokiUrl, '{service_name=~".+"} | trace_id!=""', time.start, time.end);
    const spans = await linkQueries.recordToTrace(stack, record?.labels ?? {});
    assert.deepEqual(spans.map(({ name }) => name).sort(), ['GET', 'POST /pay']);
  });

  test('from a record without a trace id to the traces of its service', async () => {
    const [record] = await lines(
      stack.lokiUrl,
      '{service_name="checkout"} | trace_id=""',
      time.start,
      time.end,
    );
    assert.deepEqual(await linkQueries.recordToTraces(stack, record?.labels ?? {}, time), [TRACE_ID]);
  });

  test('from a record, and from a span, to the metrics of the service', async () => {
    const [record] = await lines(stack.lokiUrl, '{service_name="checkout"}', time.start, time.end);
    const fromRecord = await linkQueries.recordToMetrics(stack, record?.labels ?? {}, time);
    assert.deepEqual([...fromRecord.keys()].sort(), [
      '',
      'dns_response_code=NOERROR',
      'dns_response_code=NXDOMAIN',
      'dns_response_code=SERVFAIL',
    ]);
    const [rates, duration] = await linkQueries.spanToMetrics(
      stack,
      TRACE_ID,
      ({ name }) => name === 'POST /pay',
      time,
    );
    assert.equal(rates?.size, 4);
    assert.ok(close(duration?.get(''), 0.975));
  });
});
