/** Writes the generated pages of docs/ from src/tables. `--check` fails when one is stale. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { RECORD_ATTRIBUTES, VISIBILITY_ATTRIBUTES } from '../src/tables/attributes.ts';
import { CONNECT_ATTRIBUTES } from '../src/tables/attributes-connect.ts';
import { BLIND_SPOTS } from '../src/tables/blind-spots.ts';
import { RULES, type RuleDefinition, type SettingDefinition } from '../src/tables/detections.ts';
import type { StageReasons } from '../src/tables/drop-definition.ts';
import { FILTER_FIELDS, type FilterFieldDefinition } from '../src/tables/filter-fields.ts';
import { FINDING_ATTRIBUTES } from '../src/tables/finding-attributes.ts';
import { DURATION_BOUNDS, METRICS, type MetricDefinition } from '../src/tables/metrics.ts';
import { SDK_METRICS } from '../src/tables/metrics-self.ts';
import { OPTIONS, type Option, type RepeatableOption } from '../src/tables/options.ts';
import { type AttributeDefinition, RESOURCE_ATTRIBUTES } from '../src/tables/resource-attributes.ts';
import { SOURCE_DROPS, STAGE_FAMILIES, STAGES } from '../src/tables/stages.ts';
import { SUPPRESSED_ATTRIBUTES } from '../src/tables/suppressed-attributes.ts';
import { UNKNOWN_REASONS } from '../src/tables/unknown-reasons.ts';
import { attacksPage } from '../test/hostile/page.ts';
import { manual } from './manual.ts';

const cell = (text: string) => text.replaceAll('|', '\\|');
const code = (text: string) => `\`${cell(text)}\``;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
}

function configuration(): string {
  const rows = (Object.values(OPTIONS) as (Option | RepeatableOption)[]).map((option) => {
    const flag = option.flag === undefined ? '' : code(option.flag);
    const env = (option.env ?? []).map(code).join(', ');
    const shown = option.shownDefault ?? (option.default === undefined ? '' : String(option.default));
    return [flag, env, cell(option.description), cell(shown), option.commands.join(', ')];
  });
  return [
    '# Configuration',
    '',
    'Generated from `src/tables/options.ts` by `npm run fix`.',
    '',
    'A flag wins over a variable, a variable over the default. A bad flag ends the command with exit code 2; a bad variable',
    'gives a warning and counts as unset. `whodns config` prints every setting, its value and where it came from (`--format json`',
    'for machines); credentials are masked.',
    '',
    ...table(['flag', 'variables, first that is set wins', 'meaning', 'default', 'commands'], rows),
    '',
    '## Configuration file',
    '',
    '`--config-file FILE` or `OTEL_CONFIG_FILE`: the OpenTelemetry declarative configuration, YAML, schema 1.x',
    '(<https://github.com/open-telemetry/opentelemetry-configuration>). With a file, variables count only where the file names them',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as the file has it
    'as `${NAME}` or `${NAME:-default}`; flags still win. A file that is not valid, that another user could change',
    '([where files may be](operating.md#where-files-may-be)), that is larger than 1 MB or has a mapping of more than 1000 keys',
    'ends the command with exit code 2; a part of the',
    'schema that whodns does not have gives one warning. A signal without a provider goes nowhere, as the specification has it.',
    '',
    ...table(['key of the file', 'means'], FILE_KEYS),
    '',
    '```yaml',
    ...EXAMPLE,
    '```',
    '',
  ].join('\n');
}

/** src/config/file-settings.ts; test/unit/config-file.test.ts has each with its value. */
const FILE_KEYS: readonly (readonly string[])[] = [
  ['`disabled`', '`OTEL_SDK_DISABLED`'],
  ['`log_level`', '`OTEL_LOG_LEVEL` (trace: verbose; fatal: error)'],
  ['`attribute_limits`', '`OTEL_ATTRIBUTE_*_LIMIT`'],
  [
    '`resource.attributes`, `attributes_list`',
    '`OTEL_RESOURCE_ATTRIBUTES` of the agent itself; values become text',
  ],
  ['`logger_provider.processors[].batch`', '`OTEL_BLRP_*`; `simple` for the console'],
  ['`logger_provider.limits`', '`OTEL_LOGRECORD_ATTRIBUTE_*_LIMIT`'],
  ['`meter_provider.readers[].periodic`', '`OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_METRIC_EXPORT_TIMEOUT`'],
  [
    '`tracer_provider.processors[].batch`',
    '`--traces` and `OTEL_BSP_*`; `tracer_provider.limits`: `OTEL_SPAN_ATTRIBUTE_*_LIMIT`',
  ],
  [
    '`…exporter.otlp_grpc`, `otlp_http`',
    '`OTEL_EXPORTER_OTLP_{LOGS,METRICS,TRACES}_*`: endpoint, tls, headers, headers_list, compression, timeout (0: one hour), temporality_preference; one a signal',
  ],
  ['`…exporter.otlp_file/development`', '`--exporter otlp-file:PATH`; `output_stream: file:///PATH`'],
  ['`…exporter.console`', '`--exporter console`, records only'],
  ['`distribution.whodns.NAME`', '`WHODNS_NAME`, in lower case: `max_payload: 8192`, `ports: [53, 5353]`'],
];

const EXAMPLE = [
  'file_format: "1.1"',
  'logger_provider:',
  '  processors:',
  '    - batch:',
  '        exporter:',
  '          otlp_grpc:',
  '            endpoint: https://collector:4317',
  '            tls: { ca_file: /etc/whodns/ca.pem }',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as the file has it
  '            headers: [{ name: authorization, value: "Bearer ${TOKEN}" }]',
  'meter_provider:',
  '  readers:',
  '    - periodic: { exporter: { otlp_grpc: { endpoint: "https://collector:4317" } } }',
  'distribution:',
  '  whodns: { command_args: true, spool: /var/lib/whodns }',
];

const KINDS: Readonly<Record<MetricDefinition['kind'], string>> = {
  sum: 'counter',
  updown: 'up-down counter',
  gauge: 'gauge',
  histogram: 'histogram',
};

function metricRows(metrics: Readonly<Record<string, MetricDefinition>>): string[] {
  const rows = Object.entries(metrics).map(([name, { kind, unit, description, attributes }]) => {
    return [code(name), KINDS[kind], code(unit), cell(description), attributes.map(code).join(', ')];
  });
  return table(['metric', 'kind', 'unit', 'meaning', 'attributes'], rows);
}

function metrics(): string {
  return [
    '# Metrics',
    '',
    'Generated from `src/tables/metrics.ts` and `metrics-self.ts` by `npm run fix`. The resource is the agent itself: host, `service.name`',
    '`whodns` or what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say. Attributes that are not known are absent. Prometheus shows',
    'dots as underscores, with the unit and `_total` behind.',
    '',
    ...metricRows(METRICS),
    '',
    `Bucket bounds of \`dns.lookup.duration\` in seconds: ${DURATION_BOUNDS.join(', ')}. \`--metric-question-name\` adds the name asked for:`,
    'as many series as there are names, bounded by one overflow series.',
    '',
    '## From the OpenTelemetry SDK',
    '',
    ...metricRows(SDK_METRICS),
    '',
    '## What was lost, where and why',
    '',
    '`whodns.dropped` has it all by stage and reason: `kernel` (before user space), `wire`, `streams`, `answers`, `detect`, `detector:NAME`,',
    '`sink:NAME`. Each reason has a point of 0 from the first export on. What was left out on purpose is in `whodns.filtered`: also answers that',
    'no one waited for (`unmatched`), and what a detector that is off does not look at.',
    'The same of the way out under the names of the conventions: `otel.sdk.processor.log.processed` with `error.type` (never reached the',
    'exporter), `otel.sdk.exporter.log.exported` with `error.type` (the destination did not take it). Nothing was lost when',
    '`otel.sdk.log.created` equals `otel.sdk.exporter.log.exported` without `error.type` plus `otel.sdk.processor.log.queue.size`, and',
    '`whodns.dropped` stands still.',
    '',
  ].join('\n');
}

function attributeRows(attributes: Readonly<Record<string, AttributeDefinition>>): string[] {
  const rows = Object.entries(attributes).map(([name, { type, stability, source, description, example }]) => {
    const shown = typeof example === 'object' ? JSON.stringify(example) : String(example);
    return [code(name), type, `${source}, ${stability}`, cell(description), code(shown)];
  });
  return table(['attribute', 'type', 'source', 'meaning', 'example'], rows);
}

function attributes(): string {
  return [
    '# Attributes',
    '',
    'Generated from `src/tables/attributes.ts` and `resource-attributes.ts` by `npm run fix`. Source: `semconv` = OpenTelemetry semantic',
    'conventions 1.45; `proposed` = semantic-conventions issue 2432, the names of the Elastic Common Schema; `whodns` = what no',
    'convention names. What is not known is absent.',
    '',
    '## Record `whodns.query`, and its span (`--traces`)',
    '',
    ...attributeRows(RECORD_ATTRIBUTES),
    '',
    '## Record `whodns.connect` (`--connections`)',
    '',
    ...attributeRows(CONNECT_ATTRIBUTES),
    '',
    '## Record `whodns.finding`',
    '',
    'Severity by rule (INFO, WARN, ERROR). Besides these the evidence is in `dns.question.name`, `server.*`, `network.peer.*`, `whodns.netns`,',
    '`whodns.attribution` and `log.record.uid` as above; see [detections.md](detections.md).',
    '',
    ...attributeRows(FINDING_ATTRIBUTES),
    '',
    '## Record `whodns.visibility`',
    '',
    'Its resource is the workload whose level changed; see [visibility.md](visibility.md).',
    '',
    ...attributeRows(VISIBILITY_ATTRIBUTES),
    '',
    '## Record `whodns.suppressed`',
    '',
    'Every 10 s at most, severity WARN. Its resource is the workload that is over its share, on the host the executable that sent most;',
    'see [operating.md](operating.md).',
    '',
    ...attributeRows(SUPPRESSED_ATTRIBUTES),
    '',
    '## Resource: the process that asked',
    '',
    'Besides these, everything that the application says of itself: what it publishes (OTEP 4719), then `OTEL_RESOURCE_ATTRIBUTES` and',
    '`OTEL_SERVICE_NAME` of its environment; but not `process.*`, `host.*`, `os.*`, `container.*`, `telemetry.*`, which are measured.',
    '',
    ...attributeRows(RESOURCE_ATTRIBUTES),
    '',
  ].join('\n');
}

/** The parts between marks are generated, the rest of the page is written. */
function detections(): string {
  const page = readFileSync('docs/detections.md', 'utf8');
  const source = (file: string) => ['```ts', ...readFileSync(file, 'utf8').trimEnd().split('\n'), '```'];
  const EXAMPLE_FILE = 'test/detect/example/late-night';
  const rules = (Object.entries(RULES) as [string, RuleDefinition][]).flatMap(([name, rule]) => [
    `### \`${name}\` (${rule.severity})`,
    '',
    rule.description,
    '',
    ...table(['setting', 'default', 'meaning'], Object.entries(rule.settings).map(settingRow)),
    '',
  ]);
  const parts: Readonly<Record<string, readonly string[]>> = {
    rules,
    example: source(`${EXAMPLE_FILE}.ts`),
    'example test': source(`${EXAMPLE_FILE}.test.ts`),
  };
  return Object.entries(parts).reduce(
    (text, [name, lines]) => between('docs/detections.md', text, name, lines),
    page,
  );
}

/** What the stages `collector` and `hostile` measured: the latter is kept in test/hostile/results.jsonl. */
function faults(): string {
  const file = 'docs/faults.md';
  return between(file, readFileSync(file, 'utf8'), 'attacks', attacksPage());
}

/** What no hook family, or not every one, sees. */
function operating(): string {
  const file = 'docs/operating.md';
  const rows = BLIND_SPOTS.map(({ what, families, seenAs }) => [
    cell(what),
    families.map(code).join(', '),
    seenAs === undefined ? 'no record' : cell(seenAs),
  ]);
  return between(file, readFileSync(file, 'utf8'), 'not seen', table(['what', 'family', 'seen as'], rows));
}

/** Every reason with its anchor, `STAGE-reason`; stages of which there are several by their family. */
function runbook(): string {
  const file = 'docs/runbook.md';
  const stages: readonly (readonly [string, StageReasons])[] = [
    ['kernel', { dropped: SOURCE_DROPS, filtered: {} }],
    ...Object.entries(STAGES),
    ...Object.entries(STAGE_FAMILIES).map(([family, reasons]) => [`${family}:NAME`, reasons] as const),
  ];
  const first = (stage: string, reason: string) =>
    `<a id="${stage.replace(':NAME', '')}-${reason}"></a>${code(stage)}`;
  const drops = stages
    .filter(([stage]) => stage !== 'sink:otlp-spans')
    .flatMap(([stage, { dropped }]) =>
      Object.entries(dropped).map(([reason, { cost, description, action }]) => [
        first(stage, reason),
        code(reason),
        cost,
        cell(description),
        cell(action),
      ]),
    );
  const filters = stages.flatMap(([stage, { filtered }]) =>
    Object.entries(filtered).map(([reason, description]) => [
      first(stage, reason),
      code(reason),
      cell(description),
    ]),
  );
  const unknown = Object.entries(UNKNOWN_REASONS).map(([reason, description]) => [
    `<a id="unknown-${reason}"></a>${code(reason)}`,
    cell(description),
  ]);
  const parts: Readonly<Record<string, readonly string[]>> = {
    drops: table(['stage', 'reason', 'costs', 'means', 'to do'], drops),
    filters: table(['stage', 'reason', 'means'], filters),
    unknown: table(['reason', 'means'], unknown),
  };
  return Object.entries(parts).reduce(
    (text, [name, lines]) => between(file, text, name, lines),
    readFileSync(file, 'utf8'),
  );
}

function filters(): string {
  const rows = Object.entries<FilterFieldDefinition>(FILTER_FIELDS).map(
    ([field, { aliases = [], words = [], description, example }]) => [
      [field, ...aliases].map(code).join(', '),
      cell([description, words.length === 0 ? '' : `One of ${words.map(code).join(', ')}.`].join(' ').trim()),
      code(example),
    ],
  );
  const lines = table(['field', 'meaning', 'example'], rows);
  return between('docs/filters.md', readFileSync('docs/filters.md', 'utf8'), 'fields', lines);
}

function settingRow([key, definition]: [string, SettingDefinition]): string[] {
  const { kind, default: fallback, description } = definition;
  const shown = kind === 'duration' ? durationText(fallback) : String(fallback).replaceAll(',', ', ');
  return [code(key), shown === '' ? '' : code(shown), cell(description)];
}

function durationText(ms: number): string {
  const [unit, size] =
    ms % 3_600_000 === 0 ? ['h', 3_600_000] : ms % 60_000 === 0 ? ['m', 60_000] : ['s', 1000];
  return `${ms / Number(size)}${unit}`;
}

function between(file: string, text: string, name: string, lines: readonly string[]): string {
  const begin = text.indexOf(`<!-- ${name}: begin`);
  const from = text.indexOf('\n', begin) + 1;
  const to = text.indexOf(`<!-- ${name}: end -->`);
  if (begin < 0 || to < from) throw new Error(`${file}: no place for ${name}`);
  return `${text.slice(0, from)}\n${lines.join('\n').trimEnd()}\n\n${text.slice(to)}`;
}

const PAGES: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configuration,
  'docs/metrics.md': metrics,
  'docs/attributes.md': attributes,
  'docs/detections.md': detections,
  'docs/faults.md': faults,
  'docs/operating.md': operating,
  'docs/runbook.md': runbook,
  'docs/filters.md': filters,
  'docs/whodns.1': () =>
    manual((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version),
};

let stale = false;
for (const [file, render] of Object.entries(PAGES)) {
  const text = render();
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file} is stale: run npm run fix`);
    stale = true;
  } else {
    writeFileSync(file, text);
  }
}
if (stale) process.exitCode = 1;
