/** What docs/recipes.md gives to copy into a Collector's configuration is taken by a real one, and by ClickHouse's exporter written. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parse, stringify } from 'yaml';
import type { Attributes } from '../../src/model.ts';
import { collectorProgram } from '../collector/build.ts';
import { startCollector } from '../collector/collector.ts';
import { freePorts, waitUntil } from '../collector/running-program.ts';
import { blockOf, SECTIONS } from '../unit/recipes-page.ts';
import { RECIPES_MANIFEST } from './build.ts';
import { ask, startClickHouse } from './clickhouse.ts';
import { feed, LOOKUPS, OTHERS } from './scenario.ts';

interface Snippet {
  readonly exporters: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly processors?: Readonly<Record<string, unknown>>;
}

/** Of these there is no Go module to be had here (recipes-builder.yaml). */
const NOT_BUILT = { exporters: ['splunk_hec'], extensions: ['googleclientauth'] };

/** Sections whose block is a Collector's configuration, with what is the reader's own filled in. */
const SNIPPETS: ReadonlyMap<string, Snippet> = new Map(
  [...SECTIONS]
    .map(([name, section]) => [name, blockOf(section, 'host.example')] as const)
    .filter(([, block]) => /^exporters:$/m.test(block))
    .map(([name, block]) => [name, parse(block) as Snippet]),
);

/** With an input and a pipeline for each signal. */
function complete({ exporters, extensions, processors = {} }: Snippet, endpoint: string): string {
  const pipeline = { receivers: ['otlp'], exporters: Object.keys(exporters) };
  return stringify({
    receivers: { otlp: { protocols: { http: { endpoint } } } },
    exporters,
    processors,
    extensions: { ...extensions, health_check: { endpoint: `\${env:COLLECTOR_HEALTH}` } },
    service: {
      extensions: [...Object.keys(extensions ?? {}), 'health_check'],
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        logs: { ...pipeline, processors: Object.keys(processors) },
        metrics: pipeline,
        traces: pipeline,
      },
    },
  });
}

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-recipes-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** By the collector with the exporter: the shipped one has only those of the Collector itself. */
async function validate(text: string): Promise<{ readonly status: number | null; readonly output: string }> {
  const file = join(directory, 'snippet.yaml');
  writeFileSync(file, text);
  const program = await (/^ {2}otlp_http:/m.test(text)
    ? collectorProgram()
    : collectorProgram(RECIPES_MANIFEST));
  const result = spawnSync(program, ['validate', '--config', file], {
    encoding: 'utf8',
    env: {
      ...process.env,
      COLLECTOR_HEALTH: 'localhost:1',
      APPLICATIONINSIGHTS_CONNECTION_STRING:
        'InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://host.example/',
    },
  });
  return { status: result.status, output: result.stdout + result.stderr };
}

test('there are snippets', () =>
  assert.deepEqual([...SNIPPETS.keys()], ['Splunk', 'ClickHouse', 'Google Cloud', 'Azure Monitor']));

for (const [name, snippet] of SNIPPETS) {
  const [exporter = '', settings = {}] = Object.entries(snippet.exporters)[0] ?? [];
  if (NOT_BUILT.exporters.includes(exporter)) {
    console.error(`not run: ${name} (${exporter})`);
    continue;
  }
  const isWhole = Object.keys(snippet.extensions ?? {}).every((one) => !NOT_BUILT.extensions.includes(one));
  const { auth: _, ...withoutAuth } = settings;
  const built = isWhole ? snippet : { exporters: { [exporter]: withoutAuth } };

  test(`${name}: the Collector takes it${isWhole ? '' : ', but for its extension'}`, async () => {
    const { status, output } = await validate(complete(built, 'localhost:0'));
    assert.equal(status, 0, output);
    assert.doesNotMatch(output, /deprecated/i);
  });

  // azure_monitor reads over keys that it does not know.
  if (exporter !== 'azure_monitor')
    test(`${name}: a key that the exporter has not is refused`, async () => {
      const exporters = { [exporter]: { ...withoutAuth, endpiont: 'x' } };
      const { status, output } = await validate(complete({ exporters }, 'localhost:0'));
      assert.notEqual(status, 0);
      assert.match(output, /endpiont/);
    });
}

test('ClickHouse: the snippet as it stands writes records, metrics and spans', async () => {
  const [native = 0, http = 0] = await freePorts(2);
  const clickHouse = await startClickHouse(join(directory, 'clickhouse'), { native, http });
  try {
    const snippet = SNIPPETS.get('ClickHouse') as Snippet;
    const text = complete(snippet, `\${env:OTLP_HTTP_ENDPOINT}`);
    assert.match(text, /tcp:\/\/host\.example:9000/);
    mkdirSync(join(directory, 'collector'));
    const file = join(directory, 'collector', 'clickhouse.yaml');
    writeFileSync(file, text.replace('host.example:9000', `127.0.0.1:${native}`));
    const collector = await startCollector([file], join(directory, 'collector'), {}, RECIPES_MANIFEST);
    try {
      await feed(collector.httpEndpoint, 2, async () => {});
      const rows = async (table: string) =>
        Number((await ask(http, `SELECT count() AS n FROM ${table}`))[0]?.n);
      const records = [...LOOKUPS, ...OTHERS].reduce((sum, { count }) => sum + count, 0);
      const arrived = await waitUntil(
        async () =>
          (await rows('otel_logs')) === records &&
          (await rows('otel_metrics_histogram')) === 4 &&
          (await rows('otel_traces')) === 2,
        30_000,
      );
      assert.ok(arrived, collector.log().slice(-2000));
    } finally {
      await collector.stop();
    }
  } finally {
    await clickHouse.stop();
  }
});

interface Envelope {
  readonly name: string;
  readonly data: {
    readonly baseData: { readonly message: string; readonly properties: Readonly<Record<string, string>> };
  };
}

test('Azure Monitor: what is sent has the kind of each record and the process of each', async () => {
  const envelopes: Envelope[] = [];
  const receiver = createServer((request, response) => {
    void buffer(request).then((body) => {
      const lines = gunzipSync(body).toString().split('\n').filter(Boolean);
      envelopes.push(...lines.map((line) => JSON.parse(line) as Envelope));
      const itemsReceived = lines.length;
      response.end(JSON.stringify({ itemsReceived, itemsAccepted: itemsReceived, errors: [] }));
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  const work = join(directory, 'azure');
  mkdirSync(work);
  const file = join(work, 'azure.yaml');
  writeFileSync(file, complete(SNIPPETS.get('Azure Monitor') as Snippet, `\${env:OTLP_HTTP_ENDPOINT}`));
  const connection = `InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=http://127.0.0.1:${port}/`;
  const collector = await startCollector(
    [file],
    work,
    { APPLICATIONINSIGHTS_CONNECTION_STRING: connection },
    RECIPES_MANIFEST,
  );
  try {
    await feed(collector.httpEndpoint, 1, async () => {});
    const traces = () => envelopes.filter(({ name }) => name === 'Microsoft.ApplicationInsights.Message');
    const records = [...LOOKUPS, ...OTHERS].reduce((sum, { count }) => sum + count, 0);
    assert.ok(await waitUntil(() => traces().length >= records, 30_000), collector.log().slice(-2000));
    const sent = traces().map(({ data: { baseData } }) => {
      const { message, properties } = baseData;
      return [
        message,
        properties['event.name'],
        properties['process.pid'],
        properties['process.command_args'],
      ];
    });
    const expected = [
      ...LOOKUPS.flatMap(({ count, process, lookup }) =>
        Array.from({ length: count }, () => [
          `${lookup.name} ${lookup.type} ${lookup.rcode ?? 'timeout'}`,
          'whodns.query',
          ...ofProcess(process),
        ]),
      ),
      ...OTHERS.flatMap(({ count, process, record }) =>
        Array.from({ length: count }, () => [record.body, record.eventName, ...ofProcess(process)]),
      ),
    ];
    assert.deepEqual(sent.map(String).sort(), expected.map(String).sort());
  } finally {
    await collector.stop();
    receiver.closeAllConnections();
    receiver.close();
  }
});

function ofProcess(process: Attributes): (string | undefined)[] {
  const { 'process.pid': pid, 'process.command_args': args } = process;
  return [pid === undefined ? undefined : String(pid), args === undefined ? undefined : JSON.stringify(args)];
}
