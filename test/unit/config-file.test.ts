/** OTEL_CONFIG_FILE: what each key of the schema comes to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Config, Key } from '../../src/config/config.ts';
import { load, logs, metrics, PATH, spans } from './config-files.ts';

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

  it('takes variables by their names in braces, with defaults', () => {
    process.env['WHODNS_TEST_TIMEOUT'] = '770ms';
    const timeoutOf = (text: string) =>
      load(['distribution:', '  whodns:', `    timeout: $${text}`].join('\n')).config.timeoutMs;
    assert.equal(timeoutOf('{WHODNS_TEST_TIMEOUT}'), 770);
    assert.equal(timeoutOf('{env:WHODNS_TEST_TIMEOUT}'), 770);
    assert.equal(timeoutOf('{WHODNS_TEST_NONE:-888ms}'), 888);
    delete process.env['WHODNS_TEST_TIMEOUT'];
  });
});
