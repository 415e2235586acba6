/** OTEL_CONFIG_FILE: what each key of the schema comes to, what is not supported, what is not valid. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type Config, type Key, type Resolved, resolveConfig } from '../../src/config/config.ts';
import { loadConfigFile } from '../../src/config/file.ts';
import { UserError } from '../../src/lib/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-config-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const PATH = join(directory, 'otel.yaml');

function write(yaml: string, format = '1.1'): void {
  writeFileSync(PATH, `file_format: "${format}"\n${yaml}\n`);
}

type Answer = Resolved & { readonly notes: readonly string[] };

function load(yaml: string, flags = {}, env = {}): Answer {
  write(yaml);
  const { settings, warnings } = loadConfigFile(PATH);
  return { ...resolveConfig('run', flags, env, settings), notes: warnings };
}

function problem(use: () => unknown): string {
  try {
    use();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    assert.equal(error.exitCode, 2);
    return error.message;
  }
  assert.fail('it was accepted');
}

const logs = (exporter: string) => `logger_provider: {processors: [{batch: {exporter: ${exporter}}}]}`;
const metrics = (reader: string) => `meter_provider: {readers: [{periodic: {${reader}}}]}`;
const spans = (exporter: string) => `tracer_provider: {processors: [{batch: {exporter: ${exporter}}}]}`;

describe('configuration file', () => {
  /** YAML, setting, its value, the key it came from. */
  const supported: readonly (readonly [string, keyof Config & Key, unknown, string])[] = [
    ['disabled: true', 'sdkDisabled', true, 'disabled'],
    ['log_level: warn2', 'logLevel', 'warn', 'log_level'],
    ['log_level: trace', 'logLevel', 'verbose', 'log_level'],
    ['log_level: fatal', 'logLevel', 'error', 'log_level'],
    [
      'attribute_limits: {attribute_count_limit: 7}',
      'attributeCountLimit',
      7,
      'attribute_limits.attribute_count_limit',
    ],
    [
      'attribute_limits: {attribute_value_length_limit: 7}',
      'spanAttributeLengthLimit',
      7,
      'attribute_limits.attribute_value_length_limit',
    ],
    [
      'attribute_limits: {attribute_count_limit: 7}\nlogger_provider: {processors: [{simple: {exporter: {console: }}}], limits: {attribute_count_limit: 8}}',
      'attributeCountLimit',
      8,
      'logger_provider.limits.attribute_count_limit',
    ],
    [
      'resource: {attributes: [{name: a b, value: "x,=y"}, {name: n, value: 5, type: int}], attributes_list: "n=6,m=7"}',
      'resourceAttributes',
      new Map([
        ['a b', 'x,=y'],
        ['n', '5'],
        ['m', '7'],
      ]),
      'resource.attributes',
    ],
    [
      logs('{otlp_http: {}}'),
      'logsProtocol',
      'http/protobuf',
      'logger_provider.processors[0].batch.exporter.otlp_http',
    ],
    [logs('{otlp_grpc: }'), 'logsProtocol', 'grpc', 'logger_provider.processors[0].batch.exporter.otlp_grpc'],
    ...(
      [
        ['endpoint: "https://c:1"', 'logsEndpoint', 'https://c:1', 'endpoint'],
        ['compression: gzip', 'logsCompression', 'gzip', 'compression'],
        ['timeout: 250', 'logsOtlpTimeoutMs', 250, 'timeout'],
        ['timeout: 0', 'logsOtlpTimeoutMs', 3_600_000, 'timeout'],
        ['tls: {ca_file: /ca}', 'logsCertificate', '/ca', 'tls.ca_file'],
        ['tls: {key_file: /key}', 'logsClientKey', '/key', 'tls.key_file'],
        ['tls: {cert_file: /cert}', 'logsClientCertificate', '/cert', 'tls.cert_file'],
        ['tls: {insecure: true}', 'logsInsecure', true, 'tls.insecure'],
        [
          'headers: [{name: A, value: "1,=%"}], headers_list: "a=2,b=3"',
          'logsHeaders',
          new Map([
            ['a', '1,=%'],
            ['b', '3'],
          ]),
          'headers',
        ],
      ] as const
    ).map(
      ([text, key, value, at]) =>
        [
          logs(`{otlp_grpc: {${text}}}`),
          key,
          value,
          `logger_provider.processors[0].batch.exporter.otlp_grpc.${at}`,
        ] as const,
    ),
    ...(
      [
        ['schedule_delay', 5, 'batchDelayMs', 5],
        ['schedule_delay', 0, 'batchDelayMs', 1],
        ['export_timeout', 6, 'batchTimeoutMs', 6],
        ['export_timeout', 0, 'batchTimeoutMs', 3_600_000],
        ['max_queue_size', 700, 'batchQueueSize', 700],
        ['max_export_batch_size', 8, 'batchSize', 8],
      ] as const
    ).map(
      ([name, given, key, value]) =>
        [
          `logger_provider: {processors: [{batch: {${name}: ${given}, exporter: {otlp_grpc: }}}]}`,
          key,
          value,
          `logger_provider.processors[0].batch.${name}`,
        ] as const,
    ),
    [
      metrics('interval: 5000, exporter: {otlp_grpc: }'),
      'metricIntervalMs',
      5000,
      'meter_provider.readers[0].periodic.interval',
    ],
    [
      metrics('timeout: 700, exporter: {otlp_grpc: }'),
      'metricTimeoutMs',
      700,
      'meter_provider.readers[0].periodic.timeout',
    ],
    [
      metrics('exporter: {otlp_http: {temporality_preference: low_memory}}'),
      'metricsTemporality',
      'lowmemory',
      'meter_provider.readers[0].periodic.exporter.otlp_http.temporality_preference',
    ],
    [spans('{otlp_http: }'), 'traces', true, 'tracer_provider'],
    [
      spans('{otlp_http: }'),
      'tracesProtocol',
      'http/protobuf',
      'tracer_provider.processors[0].batch.exporter.otlp_http',
    ],
    ['distribution: {whodns: {max_payload: 8192}}', 'maxPayload', 8192, 'distribution.whodns.max_payload'],
    ['distribution: {whodns: {ports: [53, 5353]}}', 'ports', [53, 5353], 'distribution.whodns.ports'],
    [
      'distribution: {whodns: {nxdomain_error: false}}',
      'nxdomainError',
      false,
      'distribution.whodns.nxdomain_error',
    ],
    ['distribution: {whodns: {timeout: 250ms}}', 'timeoutMs', 250, 'distribution.whodns.timeout'],
  ];
  for (const [yaml, key, value, at] of supported)
    it(`${at} -> ${key}`, () => {
      const { config, origins, notes, warnings } = load(yaml);
      assert.deepEqual(config[key], value);
      assert.equal(origins[key], `${PATH}: ${at}`);
      assert.deepEqual([...notes, ...warnings], []);
    });

  it('says where records, metrics and spans go', () => {
    const both =
      'logger_provider: {processors: [{batch: {exporter: {otlp_grpc: }}}, {simple: {exporter: {console: }}}]}';
    assert.deepEqual(load(both).config.logs, [{ kind: 'otlp' }, { kind: 'console' }]);
    assert.deepEqual(load(both).config.metrics, []);
    const file = '{otlp_file/development: {output_stream: "file:///tmp/a%20b"}}';
    assert.deepEqual(load(logs(file)).config.logs, [{ kind: 'otlp-file', path: '/tmp/a b' }]);
    assert.deepEqual(load(metrics(`exporter: ${file}`)).config.metrics, [
      { kind: 'otlp-file', path: '/tmp/a b' },
    ]);
    assert.deepEqual(load(metrics('exporter: {otlp_http: }')).config.metrics, [{ kind: 'otlp' }]);
  });

  it('gives nothing to a signal it has no provider for', () => {
    const { config } = load('log_level: info');
    assert.deepEqual([config.logs, config.metrics, config.traces], [[], [], false]);
  });

  it('is all that counts beside flags: variables do not', () => {
    const env = {
      OTEL_BLRP_SCHEDULE_DELAY: '7',
      WHODNS_PORTS: '99',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x:1',
      OTEL_LOG_LEVEL: 'bad',
    };
    const { config, origins, warnings } = load(
      'distribution: {whodns: {emit: request}}',
      { ports: ['54'] },
      env,
    );
    assert.equal(config.batchDelayMs, 1000);
    assert.deepEqual(config.ports, [54]);
    assert.equal(config.otlpEndpoint, undefined);
    assert.equal(config.emit, 'request');
    assert.equal(origins.ports, '--port');
    assert.equal(origins.configFile, 'OTEL_CONFIG_FILE');
    assert.deepEqual(warnings, []);
  });

  it('takes variables by their names in ${}, with defaults', () => {
    process.env['WHODNS_TEST_TIMEOUT'] = '770ms';
    const timeoutOf = (text: string) => load(['distribution:', '  whodns:', `    timeout: $${text}`].join('\n')).config.timeoutMs;
    assert.equal(timeoutOf('{WHODNS_TEST_TIMEOUT}'), 770);
    assert.equal(timeoutOf('{env:WHODNS_TEST_TIMEOUT}'), 770);
    assert.equal(timeoutOf('{WHODNS_TEST_NONE:-888ms}'), 888);
    delete process.env['WHODNS_TEST_TIMEOUT'];
  });
});

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
    [`${spans('{otlp_grpc: }').slice(0, -1)}, sampler: {always_off: }}`, /sampler\.always_off is/],
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
    [logs('{otlp_grpc: {compression: zstd}}'), /otlp_grpc\.compression "zstd" is not one of none, gzip/],
    [metrics('interval: 1, exporter: {otlp_grpc: }'), /periodic\.interval "1" is not/],
    [
      logs('{otlp_grpc: {headers: [{name: "a b", value: hunter2}]}}'),
      /otlp_grpc\.headers "\*\*\*" has a header/,
    ],
  ];
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
