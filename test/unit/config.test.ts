import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseArguments } from '../../src/cli/arguments.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { UserError } from '../../src/lib/errors.ts';
import type { ExporterSpec } from '../../src/tables/options.ts';

function configOf(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const invocation = parseArguments(argv, '0.0.0');
  assert.ok(invocation.command !== 'print');
  return resolveConfig(invocation.command, invocation.flags, env);
}

function problemOf(argv: readonly string[]): UserError {
  try {
    configOf(argv);
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error;
  }
  assert.fail(`${argv.join(' ')} was accepted`);
}

const kinds = (specs: readonly ExporterSpec[]) => specs.map((spec) => spec.kind);

describe('command line', () => {
  it('captures to the console by default', () => {
    const { config, warnings } = configOf([]);
    assert.equal(config.command, 'run');
    assert.deepEqual(config.logs, [{ kind: 'console' }]);
    assert.deepEqual(config.metrics, []);
    assert.deepEqual(config.ports, [53]);
    assert.equal(config.timeoutMs, 5000);
    assert.equal(config.maxPayload, 4096);
    assert.equal(config.durationMs, undefined);
    assert.deepEqual(warnings, []);
    assert.ok(Object.isFrozen(config));
  });

  it('reads no thread context where it may not look for it', () => {
    assert.equal(configOf(['--trace-context']).config.traceContext, true);
    const { config, warnings } = configOf(['--trace-context', '--no-process-context']);
    assert.equal(config.traceContext, false);
    assert.match(warnings.join(), /--trace-context has no effect/);
  });

  it('takes every flag', () => {
    const { config } = configOf(
      `run --exporter console --exporter otlp-file:/tmp/a:b --format json --hook kprobe --port 53 --port 5353
       --emit request --timeout 250ms --command-args --duration 30s --max-payload 65535 --ring 256K --max-in-flight 1024
       --no-nxdomain-error --stats /tmp/s`.split(/\s+/),
    );
    assert.deepEqual(config.logs, [{ kind: 'console' }, { kind: 'otlp-file', path: '/tmp/a:b' }]);
    assert.deepEqual(config.metrics, [{ kind: 'otlp-file', path: '/tmp/a:b' }]);
    assert.deepEqual(config.ports, [53, 5353]);
    assert.equal(config.timeoutMs, 250);
    assert.equal(config.durationMs, 30_000);
    assert.equal(config.ringBytes, 262_144);
    assert.equal(config.nxdomainError, false);
    assert.equal(config.commandArgs, true);
  });

  const bad: readonly (readonly [string, RegExp, RegExp?])[] = [
    ['--port 0', /--port "0" is not a whole number from 1 to 65535/],
    ['--port 65536', /65536/],
    ['--port dns', /"dns"/],
    ['--port 1 --port 2 --port 3 --port 4 --port 5', /at most 4 ports/],
    ['--hook uprobe', /is not one of auto, fentry, kprobe, tracepoint/],
    ['--timeout 5x', /is not a duration such as/],
    ['--timeout 11m', /is not between/],
    ['--max-payload 127', /from 128 to 65535/],
    ['--ring 200000', /power of two/],
    ['--exporter otlp-file:', /is not one of console, otlp/],
    ['--exporter kafka', /is not one of/],
    ['--format xml', /is not one of table, json/],
    ['--exporte console', /unknown option '--exporte'/, /--exporter/],
    ['--prot 53', /unknown option '--prot'/, /--port/],
    ['repaly x.pcap', /unknown command "repaly"/, /replay/],
    ['replay', /missing required argument/],
    ['replay a b', /unexpected argument "b"/],
    ['doctor --port 53', /unknown option '--port'/],
    ['--timeout', /argument missing/],
    ['--connections --emit request', /--connections: needs the answers, which --emit request/],
  ];
  for (const [line, message, hint] of bad) {
    it(`refuses ${line}`, () => {
      const error = problemOf(line.split(' '));
      assert.match(error.message, message);
      assert.equal(error.exitCode, 2);
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
    });
  }

  it('names all bad flags at once', () => {
    const { message } = problemOf('--port 0 --hook x --timeout y'.split(' '));
    assert.equal(message.split('\n').length, 3);
  });

  it('shows nothing of a hostile value raw', () => {
    const { message } = problemOf(['--format', '\u001b[31mred\nline']);
    assert.match(message, /\\x1b\[31mred\\x0aline/);
  });

  it('prints help and version', () => {
    const help = parseArguments(['--help'], '1.2.3');
    assert.ok(help.command === 'print' && /--timeout/.test(help.text) && /Exit codes/.test(help.text));
    assert.deepEqual(parseArguments(['--version'], '1.2.3'), { command: 'print', text: '1.2.3\n' });
  });
});

describe('environment', () => {
  it('an OTLP endpoint makes otlp the default', () => {
    for (const name of ['', '_LOGS', '_METRICS']) {
      const { config } = configOf([], { [`OTEL_EXPORTER_OTLP${name}_ENDPOINT`]: 'http://localhost:4317' });
      assert.deepEqual(kinds(config.logs), ['otlp']);
      assert.deepEqual(kinds(config.metrics), ['otlp']);
    }
    assert.deepEqual(kinds(configOf([], { OTEL_EXPORTER_OTLP_ENDPOINT: '' }).config.logs), ['console']);
  });

  it('OTEL_LOGS_EXPORTER and OTEL_METRICS_EXPORTER choose, --exporter wins', () => {
    const env = { OTEL_LOGS_EXPORTER: 'otlp,console', OTEL_METRICS_EXPORTER: 'none' };
    const { config } = configOf([], env);
    assert.deepEqual(kinds(config.logs), ['otlp', 'console']);
    assert.deepEqual(kinds(config.metrics), []);
    assert.deepEqual(kinds(configOf(['--exporter', 'none'], env).config.logs), []);
  });

  it('OTEL_SDK_DISABLED switches OTLP off and nothing else', () => {
    const { config } = configOf(['--exporter', 'otlp', '--exporter', 'console'], {
      OTEL_SDK_DISABLED: 'TRUE',
    });
    assert.deepEqual(kinds(config.logs), ['console']);
  });

  it('the signal-specific protocol wins', () => {
    const { config } = configOf([], {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc',
    });
    assert.equal(config.logsProtocol, 'http/protobuf');
    assert.equal(config.metricsProtocol, 'grpc');
  });

  const bad: readonly (readonly [string, string])[] = [
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'carrier-pigeon'],
    ['OTEL_BLRP_SCHEDULE_DELAY', '-1'],
    ['OTEL_BLRP_MAX_QUEUE_SIZE', 'many'],
    ['OTEL_METRIC_EXPORT_INTERVAL', '1e3'],
    ['OTEL_LOGS_EXPORTER', 'kafka'],
    ['OTEL_METRICS_EXPORTER', 'prometheus'],
    ['OTEL_LOG_LEVEL', 'loud'],
    ['OTEL_SDK_DISABLED', 'yes'],
    ['WHODNS_PORTS', '53,99999'],
    ['WHODNS_HOOK', '\u001b]0;x\u0007'],
  ];
  for (const [name, value] of bad) {
    it(`warns once about a bad ${name} and uses the default`, () => {
      const { config, warnings } = configOf([], { [name]: value });
      assert.equal(warnings.filter((line) => line.startsWith(`${name}=`)).length, warnings.length);
      assert.ok(warnings.length >= 1 && warnings.length <= 2);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
      assert.doesNotMatch(warnings.join(''), /[\x00-\x1f]/);
      assert.deepEqual(config, configOf([]).config);
    });
  }

  it('flags win over variables', () => {
    assert.deepEqual(configOf(['--port', '5353'], { WHODNS_PORTS: '53,54' }).config.ports, [5353]);
    assert.deepEqual(configOf([], { WHODNS_PORTS: '53,54' }).config.ports, [53, 54]);
  });

  it('keeps the batch within the queue and the metric time-out within its interval', () => {
    const { config } = configOf([], { OTEL_BLRP_MAX_QUEUE_SIZE: '100', OTEL_METRIC_EXPORT_INTERVAL: '1000' });
    assert.equal(config.batchSize, 100);
    assert.equal(config.metricTimeoutMs, 1000);
  });
});
