/** OTEL_CONFIG_FILE: what is not supported gives a warning, what is not valid an error. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfigFile } from '../../src/config/file.ts';
import { directory, load, logs, metrics, PATH, problem, spans, write } from './config-files.ts';

describe('what the schema has and whodns has not', () => {
  const unsupported: readonly (readonly [string, RegExp])[] = [
    ['propagator: {composite_list: b3}', /propagator is not supported/],
    ['instrumentation/development: {js: {}}', /instrumentation\/development is not supported/],
    ['resource: {schema_url: "https://x"}', /resource\.schema_url is/],
    [
      'resource: {attributes: [{name: a, value: [x], type: string_array}]}',
      /resource\.attributes a is .*list of values/,
    ],
    ['resource: {detection/development: {detectors: [{host: }]}}', /resource\.detection\/development is/],
    [logs('{otlp_http: {encoding: json}}'), /otlp_http\.encoding is .*protobuf is used/],
    [
      'logger_provider: {processors: [{event_to_span_event_bridge/development: }]}',
      /processors\[0\]\.event_to_span/,
    ],
    [
      'logger_provider: {processors: [{batch: {schedule_delay: 5, exporter: {console: }}}]}',
      /batch\.schedule_delay is/,
    ],
    [
      'logger_provider: {processors: [{batch: {exporter: {otlp_grpc: }}}, {batch: {exporter: {otlp_http: }}}]}',
      /processors\[1\]\.batch\.exporter\.otlp_http is .*second OTLP exporter/,
    ],
    [logs('{otlp_file/development: {output_stream: stdout}}'), /output_stream is .*only file/],
    [
      'logger_provider: {processors: [{simple: {exporter: {console: }}}], logger_configurator/development: {}}',
      /logger_configurator/,
    ],
    [metrics('exporter: {console: }'), /exporter\.console is/],
    [metrics('exporter: {otlp_grpc: }, producers: [{opencensus: }]'), /periodic\.producers is/],
    [metrics('exporter: {otlp_grpc: }, cardinality_limits: {default: 5}'), /cardinality_limits is/],
    [
      metrics('exporter: {otlp_grpc: {default_histogram_aggregation: base2_exponential_bucket_histogram}}'),
      /default_histogram_aggregation is .*explicit buckets/,
    ],
    [
      'meter_provider: {readers: [{pull: {exporter: {prometheus/development: {}}}}]}',
      /readers\[0\]\.pull is/,
    ],
    [`${metrics('exporter: {otlp_grpc: }').slice(0, -1)}, exemplar_filter: always_on}`, /exemplar_filter is/],
    [spans('{console: }'), /exporter\.console is/],
    ['tracer_provider: {processors: [{simple: {exporter: {otlp_grpc: }}}]}', /processors\[0\]\.simple is/],
    [
      `${spans('{otlp_grpc: }').slice(0, -1)}, sampler: {trace_id_ratio_based: }}`,
      /sampler\.trace_id_ratio_based is/,
    ],
    [
      `${spans('{otlp_grpc: }').slice(0, -1)}, limits: {event_count_limit: 5}}`,
      /limits\.event_count_limit is/,
    ],
    ['something_new: 1', /something_new is not supported/],
  ];
  for (const [yaml, warning] of unsupported)
    it(`warns once of ${yaml.slice(0, 90)}`, () => {
      const { notes, warnings } = load(yaml);
      assert.equal(notes.length, 1, notes.join('\n'));
      assert.match(notes[0] ?? '', warning);
      assert.ok(notes[0]?.startsWith(`${PATH}: `));
      assert.deepEqual(warnings, []);
    });

  it('says nothing of other distributions and of a sampler that takes all', () =>
    assert.deepEqual(
      load(`distribution: {other: {a: 1}}\n${spans('{otlp_grpc: }').slice(0, -1)}, sampler: {always_on: }}`)
        .notes,
      [],
    ));

  it('warns of a schema that is newer', () => {
    write('log_level: info', '1.9');
    assert.match(loadConfigFile(PATH).warnings.join(), /newer minor version/);
  });
});

describe('a file that is not valid', () => {
  const invalid: readonly (readonly [string, RegExp])[] = [
    ['log_level: loud', /log_level/],
    ['{{{', /not valid YAML/],
    ['a: "x', /not valid YAML.*Missing closing/],
    ['log_level: info\nlog_level: warn', /not valid YAML.*unique/],
    ['logger_provider: {processors: []}', /logger_provider\/processors/],
    ['logger_provider: {processors: [{batch: {exporter: {otlp_grpc: {timeout: x}}}}]}', /timeout/],
    ['logger_provider: {processors: [{batch: {}}]}', /exporter/],
    ['distribution: {whodns: 5}', /distribution\/whodns/],
    ['distribution: {whodns: {prots: 53}}', /distribution\.whodns\.prots is not a setting/],
    ['distribution: {whodns: {PORTS: 53}}', /distribution\.whodns\.PORTS is not a setting/],
    ['distribution: {whodns: {timeout: {a: 1}}}', /distribution\.whodns\.timeout is neither/],
    [`a: $${'{1bad}'}`, /substitution/],
  ];
  for (const [yaml, message] of invalid)
    it(`is refused: ${yaml.slice(0, 80)}`, () => {
      write(yaml);
      const text = problem(() => loadConfigFile(PATH));
      assert.match(text, message);
      assert.ok(text.startsWith(`${PATH}: `));
      assert.equal(text.split('\n').length, 1);
    });

  /** Valid for the schema, out of range here. */
  const outOfRange: readonly (readonly [string, RegExp])[] = [
    [
      'distribution: {whodns: {emit: never}}',
      /distribution\.whodns\.emit "never" is not one of lookup, request/,
    ],
    ['distribution: {whodns: {ports: [53, 99999]}}', /whodns\.ports "53,99999" is not a whole number/],
    [logs('{otlp_grpc: {compression: snappy}}'), /otlp_grpc\.compression "snappy" is not one of none, gzip/],
    [metrics('interval: 1, exporter: {otlp_grpc: }'), /periodic\.interval "1" is not/],
    [
      logs('{otlp_grpc: {headers: [{name: host, value: hunter2}]}}'),
      /otlp_grpc\.headers "\*\*\*" has a header/,
    ],
  ];
  it('a header whose name is none', () => {
    write(logs('{otlp_grpc: {headers: [{name: "a b", value: hunter2}]}}'));
    const text = problem(() => loadConfigFile(PATH));
    assert.match(text, /otlp_grpc\.headers has a name that is none/);
    assert.doesNotMatch(text, /hunter2/);
  });

  for (const [yaml, message] of outOfRange)
    it(`is refused: ${yaml.slice(0, 80)}`, () =>
      assert.match(
        problem(() => load(yaml)),
        message,
      ));

  it('names all that is out of range at once', () =>
    assert.equal(
      problem(() => load('distribution: {whodns: {emit: x, hook: y, max_payload: 1}}')).split('\n').length,
      3,
    ));

  it('of another format, or none', () => {
    write('log_level: info', '2.0');
    assert.match(
      problem(() => loadConfigFile(PATH)),
      /schema version 1\.x/,
    );
    writeFileSync(PATH, 'log_level: info\n');
    assert.match(
      problem(() => loadConfigFile(PATH)),
      /file_format/,
    );
    writeFileSync(PATH, '');
    assert.match(
      problem(() => loadConfigFile(PATH)),
      /file_format/,
    );
  });

  it('that cannot be read, is no file, or is too large', () => {
    assert.match(
      problem(() => loadConfigFile(join(directory, 'none'))),
      /cannot be read: ENOENT/,
    );
    mkdirSync(join(directory, 'folder'));
    assert.match(
      problem(() => loadConfigFile(join(directory, 'folder'))),
      /is not a file/,
    );
    assert.match(
      problem(() => loadConfigFile('/dev/zero')),
      /is not a file/,
    );
    writeFileSync(PATH, `file_format: "1.0"\n# ${'x'.repeat(1_000_000)}\n`);
    assert.match(
      problem(() => loadConfigFile(PATH)),
      /larger than/,
    );
  });
});
