/** The files that need no running backend: rules by promtool, generated dashboards, the linter itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parser as logqlParser } from '@grafana/lezer-logql';
import { parser as traceqlParser } from '@grafana/lezer-traceql';
import { parse } from 'yaml';
import { agent } from '../../otel-config/grafana/boards/agent.ts';
import { overOf, traceql } from '../../otel-config/grafana/build.ts';
import { BOARDS, stale, VARIANTS } from '../../otel-config/grafana/dashboards.ts';
import { lint } from '../../otel-config/grafana/lint.ts';
import type { Board, Panel } from '../../otel-config/grafana/panels.ts';
import { prometheusName } from '../../otel-config/grafana/queries.ts';
import { equal, logql, records } from '../../otel-config/grafana/records.ts';
import { ON_HOST, PLACE_NAMES } from '../../otel-config/grafana/variables.ts';
import { composeProgram, promtoolProgram } from './build.ts';
import { EXPECTATIONS } from './expectations.ts';
import { PAGE_QUERIES } from './page-queries.ts';
import { OTEL_CONFIG } from './stack.ts';

const PROMETHEUS = join(OTEL_CONFIG, 'prometheus');

for (const args of [
  ['check', 'config', 'prometheus.yml'],
  ['test', 'rules', 'rules/whodns.test.yml'],
]) {
  test(`promtool ${args.join(' ')}`, async () => {
    const result = spawnSync(await promtoolProgram(), args, { cwd: PROMETHEUS, encoding: 'utf8' });
    assert.equal(result.status, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /SUCCESS/);
  });
}

test('the dashboards in the repository are what the source generates', () => {
  assert.deepEqual(stale(), []);
});

test('the linter has nothing to say', () => {
  assert.deepEqual(
    BOARDS.flatMap((board) => lint(board, BOARDS)),
    [],
  );
});

test('every panel has a data source variable, a title, a unit', () => {
  for (const [directory, board] of Object.keys(VARIANTS).flatMap((name) =>
    BOARDS.map((board) => [name, board] as const),
  )) {
    const file = join(OTEL_CONFIG, 'grafana', directory, `${board.uid}.json`);
    const json = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly panels: readonly {
        readonly title: string;
        readonly datasource: { readonly uid: string };
        readonly type: string;
        readonly fieldConfig: {
          readonly defaults: {
            readonly unit: string;
            readonly min?: number;
            readonly max?: number;
            readonly noValue?: string;
            readonly thresholds?: { readonly steps: readonly { readonly value: number | null }[] };
          };
        };
      }[];
      readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
    };
    const sources = json.templating.list
      .filter(({ type }) => type === 'datasource')
      .map(({ name }) => `\${${name}}`);
    assert.equal(json.panels.length, board.panels.length);
    for (const panel of json.panels) {
      assert.ok(
        sources.includes(panel.datasource.uid),
        `${board.uid}/${panel.title}: ${panel.datasource.uid}`,
      );
      const { unit, min, max, noValue, thresholds } = panel.fieldConfig.defaults;
      assert.ok(panel.title !== '' && unit !== '');
      // Grafana's own are green, and red from 80 on, whatever the unit.
      assert.ok(
        thresholds?.steps.every(({ value }) => value !== 80),
        panel.title,
      );
      if (unit === 'percentunit') assert.deepEqual([min, max], [0, 1], panel.title);
      assert.ok(noValue, panel.title);
    }
  }
});

test('the linter finds what it is for', () => {
  const [panel] = agent.panels as [Panel, ...Panel[]];
  const broken = (change: object): Board => ({
    ...agent,
    panels: [{ ...panel, ...change } as Panel, ...agent.panels.slice(1)],
  });
  const query = (expression: string) => ({ queries: [{ expression }] });
  const cases: readonly [object, RegExp][] = [
    [{ title: '' }, /no title/],
    [{ title: agent.panels[1]?.title ?? '' }, /two panels/],
    [{ unit: '' }, /no unit/],
    [{ unit: 'rps' }, /unit rps means something else/],
    [{ thresholds: undefined }, /no thresholds/],
    [
      {
        thresholds: [
          { at: 2, color: 'red' },
          { at: 1, color: 'red' },
        ],
      },
      /not ascending/,
    ],
    [{ unit: 'percentunit', thresholds: [{ at: 80, color: 'red' }] }, /no share/],
    [{ queries: [] }, /no query/],
    [{ width: 7 }, /25 of 24 columns/],
    [{ width: 5 }, /35 of 24 columns/],
    [{ height: 6 }, /4 high in a row of 6/],
    [{ kind: 'timeseries', thresholds: undefined }, /no legend/],
    [query('sum(whodns_ring_size_bytes{}) or vector(0)'), /not of the chosen cluster and host/],
    [query(`sum(whodns_ring_size_bytes{${ON_HOST}})`), /nothing in place of what was not counted/],
    [query(`sum by (host_name) (whodns_ring_size_bytes{${ON_HOST}})`), /no bound/],
    [query(`topk(9, sum by (service_name) (rate(whodns_queries_total{${ON_HOST}}[5m])))`), /no link/],
    [{ links: [{ title: 'a', board: 'whodns-none', set: {} }] }, /no board whodns-none/],
    [
      { links: [{ title: 'a', board: 'whodns-agent', set: { pod: 'host.name' } }] },
      /whodns-agent has no variable pod/,
    ],
    [{ links: [{ title: 'a', board: 'whodns-agent', set: { host: 'host.id' } }] }, /no label host.id/],
    [{ kind: 'table', columns: { 'host.id': 'Host' } }, /no label host.id for a column/],
    [{ kind: 'table', columns: {} }, /no columns/],
    [{ source: 'records', kind: 'logs', queries: [] }, /no word in place/],
    [
      { source: 'records', queries: [{ records: records('whodns.query') }] },
      /not of the chosen cluster, namespace and host/,
    ],
    [query('sum(whodns_querys_total{})'), /no metric whodns_querys_total/],
    [query('sum by (process_pid) (whodns_ring_size_bytes{})'), /no label process_pid/],
    [query('whodns_ring_size_bytes{hostname="a"}'), /no label hostname/],
    [query('whodns_ring_size_bytes{host_name="$hosts"}'), /no variable hosts/],
    [
      { source: 'records', queries: [{ records: records('whodns.query', equal('dns.question', 'b')) }] },
      /no attribute dns.question/,
    ],
  ];
  for (const [change, finding] of cases) assert.match(lint(broken(change), BOARDS).join('\n'), finding);
  for (const name of PLACE_NAMES) {
    const without = { ...agent, variables: agent.variables.filter((variable) => variable.name !== name) };
    assert.match(lint(without, BOARDS).join('\n'), new RegExp(`no variable ${name}`));
  }
});

test('no query is without data in the scenario', () => {
  const panels = BOARDS.flatMap(({ uid, panels }) =>
    panels.map((panel) => [`${uid}/${panel.title}`, panel] as const),
  );
  for (const [key, panel] of panels) {
    const expected = EXPECTATIONS[key] ?? [];
    assert.equal(expected.length, panel.queries.length, key);
    for (const each of expected) {
      const { lines, traces } = each as { readonly lines?: number; readonly traces?: readonly string[] };
      assert.ok(traces?.length ?? lines ?? Object.keys(each).length, key);
    }
  }
});

test('names are spelled as the collector spells them', () => {
  assert.equal(prometheusName('whodns.queries'), 'whodns_queries_total');
  assert.equal(prometheusName('dns.lookup.duration'), 'dns_lookup_duration_seconds');
  assert.equal(prometheusName('whodns.ring.used'), 'whodns_ring_used_bytes');
  assert.equal(prometheusName('whodns.batch.bytes'), 'whodns_batch_bytes_total');
});

interface Service {
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: readonly string[];
}
type Mounts = readonly (readonly [source: string, target: string])[];

const compose = parse(readFileSync(join(OTEL_CONFIG, 'compose.yaml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
};
/** These read their variables in a program, the others in a configuration file that is mounted. */
const PROGRAMS = ['whodns', 'checkout', 'payments'];

for (const [name, service] of Object.entries(compose.services)) {
  test(`compose.yaml: ${name}: what it mounts is there, what it sets is read`, () => {
    const mounts: Mounts = (service.volumes ?? []).map((volume) => {
      const [source = '', target = ''] = volume.split(':');
      return [source, target];
    });
    for (const [source] of mounts) {
      const there = source.startsWith('.')
        ? existsSync(join(OTEL_CONFIG, source))
        : source in compose.volumes;
      assert.ok(there, source);
    }
    for (const other of service.depends_on ?? []) assert.ok(other in compose.services, other);
    const files = (service.command ?? []).flatMap(
      (argument) => /config(?:\.file)?=(.+)$/.exec(argument)?.[1] ?? [],
    );
    const text = [...files.map((file) => mounted(file, mounts)), ...provisioned(mounts)].join('');
    for (const variable of PROGRAMS.includes(name) ? [] : Object.keys(service.environment ?? {})) {
      assert.match(text, new RegExp(`[{:]${variable}\\b`), variable);
    }
  });
}

test('compose.yaml is loaded as `docker compose config` loads it', async () => {
  const program = await composeProgram();
  const load = (input: string) =>
    spawnSync(program, ['-format', 'json', '-'], { cwd: OTEL_CONFIG, input, encoding: 'utf8' });
  const text = readFileSync(join(OTEL_CONFIG, 'compose.yaml'), 'utf8');
  const loaded = load(text);
  assert.equal(loaded.status, 0, loaded.stderr);
  const { services } = JSON.parse(loaded.stdout) as { readonly services: object };
  assert.deepEqual(Object.keys(services).sort(), Object.keys(compose.services).sort());
  for (const broken of [
    text.replace('network_mode: host', 'network_modus: host'),
    text.replace('cap_drop: [ALL]', 'cap_drop: 7'),
  ]) {
    assert.notEqual(broken, text);
    assert.notEqual(load(broken).status, 0);
  }
});

/** Content of a file in a container, from where it is mounted from. */
function mounted(path: string, mounts: Mounts): string {
  const mount = mounts.find(([, target]) => path === target || path.startsWith(`${target}/`));
  assert.ok(mount, `${path} is not mounted`);
  const [source, target] = mount;
  return readFileSync(join(OTEL_CONFIG, source, path.slice(target.length)), 'utf8');
}

function provisioned(mounts: Mounts): string[] {
  if (!mounts.some(([source]) => source === './grafana/provisioning')) return [];
  return ['datasources', 'dashboards'].map((kind) =>
    readFileSync(join(OTEL_CONFIG, 'grafana/provisioning', kind, 'whodns.yaml'), 'utf8'),
  );
}

/** Where a grammar of Grafana finds a fault in a text. */
function faults(
  parser: { parse(text: string): ReturnType<typeof logqlParser.parse> },
  text: string,
): string[] {
  const found: string[] = [];
  parser.parse(text).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) found.push(`${text} at ${from}: ${text.slice(from, to + 10)}`);
    },
  });
  return found;
}

/** As Grafana fills them in. */
const filled = (text: string) => text.replaceAll(/\$__(?:range|auto)/g, '5m').replaceAll(/\$(\w+)/g, '1');

test('every query of records is LogQL, every query of traces is TraceQL', () => {
  const panels = BOARDS.flatMap((board) => board.panels);
  const inLoki = panels.flatMap((panel) =>
    panel.source === 'records'
      ? panel.queries.map((query) => filled(logql(query.records, overOf(panel))))
      : [],
  );
  const inTempo = panels.flatMap((panel) =>
    panel.source === 'traces' ? panel.queries.map(({ service }) => filled(traceql(service))) : [],
  );
  assert.ok(inLoki.length >= 15 && inTempo.length >= 1);
  const pages = Object.keys(PAGE_QUERIES['Loki and Tempo'] ?? {});
  assert.deepEqual(
    [...inLoki, ...pages].flatMap((text) => faults(logqlParser, text)),
    [],
  );
  assert.deepEqual(
    inTempo.flatMap((text) => faults(traceqlParser, text)),
    [],
  );
});

test('the grammars refuse what is none', () => {
  assert.ok(faults(logqlParser, '{service_name="a"} | | x="b"').length > 0);
  assert.ok(faults(logqlParser, 'topk(5, count_over_time({a="b"}))').length > 0);
  assert.ok(faults(traceqlParser, '{resource.service.name=~}').length > 0);
});
