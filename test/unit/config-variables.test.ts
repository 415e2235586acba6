/** Every variable with a bad value: one clear warning, the default holds, nothing crashes (specification's rules). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseArguments } from '../../src/cli/arguments.ts';
import { type Environment, resolveConfig } from '../../src/config/config.ts';
import { OPTIONS, type Option, type RepeatableOption } from '../../src/tables/options.ts';

const SETTINGS = Object.values(OPTIONS) as (Option | RepeatableOption)[];
const VARIABLES = [...new Set(SETTINGS.flatMap(({ env }) => env ?? []))];

const NUMBER = ['-1', '1e3', 'many', '0x10', '1.5', '99999999999999999999'];
const BOOLEAN = ['yes', '1', 'on', 'truth'];
const SIZE = ['lots', '1X', '-1', '0'];
const PROTOCOL = ['carrier-pigeon', 'http/json', 'grpc,http/protobuf'];
const HEADERS = ['novalue', '=x', 'a b=c', 'a=%', 'a=%0a', 'content-type=x'];
const ENDPOINT = ['http://', 'http://host:99999'];

/** Variable, or its end -> bad values. The first that matches counts. */
const BAD: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^WHODNS_FORMAT$/, ['xml']],
  [/^WHODNS_FILTER$/, ['rcod=NXDOMAIN', 'latency>50', '(failed', 'name~/(?=a)/', '\u001b[2J']],
  [/^WHODNS_COLUMNS$/, ['names', 'time,,name', '+']],
  [/^WHODNS_CONTROL$/, ['a\0b']],
  [/^WHODNS_LOG_FORMAT$/, ['xml', 'JSON']],
  [/^WHODNS_READY_FD$/, [...NUMBER, '2', '65536']],
  [
    /^WHODNS_HEALTH$/,
    ['9464', 'host.test:1', ':65536', '[::zz]:1', '[127.0.0.1]:1', '1.2.3.4:-1', '256.0.0.1:1'],
  ],
  [/^WHODNS_UI$/, ['9053', 'host.test:1', ':65536', 'unix:relative', '127.0.0.1:9053/path', '256.0.0.1:1']],
  [/^WHODNS_HOST_NAME$/, ['a b', '\u001b[2J', 'x'.repeat(254)]],
  [/^WHODNS_BTF$/, ['a\0b']],
  [/^WHODNS_HOOK$/, ['uprobe', '\u001b]0;x\u0007']],
  [/^WHODNS_CGROUP_RATE$/, [...NUMBER, '10000001']],
  [/^WHODNS_CGROUP_BURST$/, [...NUMBER, '0']],
  [/^WHODNS_CGROUP_RATE_FOR$/, ['payments:5', 'namespace=a', 'namespace=a:x', 'executable=unbound:5']],
  [/^WHODNS_SECCOMP$/, ['enforced', 'kill']],
  [/^WHODNS_PORTS$/, ['0', '65536', 'dns', '53,99999', '53,']],
  [/^WHODNS_EMIT$/, ['never']],
  [/^WHODNS_(TIMEOUT|RETRY_FOR)$/, ['5x', '-1s', '10 parsecs', '100000h']],
  [
    /^WHODNS_(COMMAND_ARGS|NXDOMAIN_ERROR|METRIC_QUESTION_NAME|TRACES|PROCESS_CONTEXT|TRACE_CONTEXT|HEALTH_METRICS|CONNECTIONS|SEARCH_FOLDING|WIDE)$/,
    BOOLEAN,
  ],
  [/^WHODNS_(MAX_PAYLOAD|MAX_IN_FLIGHT|CONCURRENT_REQUESTS)$/, [...NUMBER, '0']],
  [/^WHODNS_(RING(_BYTES)?|QUEUE_BYTES|SPOOL_BYTES)$/, SIZE],
  [/^WHODNS_HISTORY$/, ['a\0b']],
  [/^WHODNS_HISTORY_BYTES$/, ['lots', '1X', '-1', '15M']],
  [/^WHODNS_HISTORY_AGE$/, ['5x', '-1s', '59s', '8761h']],
  [/^WHODNS_OTLP_FILE_BYTES$/, ['lots', '1X', '-1', '1023K']],
  [/^WHODNS_OTLP_FILE_BACKUPS$/, [...NUMBER, '0']],
  [/^WHODNS_DETECT$/, ['everything', 'tunnel,all,some']],
  [/^WHODNS_DETECT_SET$/, ['tunnel', 'tunnel.speed=1', 'tunnel.queries_per_second=many']],
  [/^WHODNS_DETECT_COOLDOWN$/, ['5x', '-1s', '25h']],
  [/^WHODNS_DETECT_PAUSE$/, ['0s', '999ms', '25h']],
  [/^WHODNS_DNSCACHE$/, ['on', 'size=0', 'enable,nodes=x']],
  [/^WHODNS_CONTAINER_RUNTIME$/, ['on', 'run/a.sock', 'tcp://1.2.3.4:2375', '/a,,/b', 'cri:']],
  [/^WHODNS_CONTAINER_LABELS$/, ['a b', 'a,\u001b[2J']],
  [/^OTEL_LOG_LEVEL$/, ['loud', '3']],
  [/^OTEL_SDK_DISABLED$/, BOOLEAN],
  [/^OTEL_LOGS_EXPORTER$/, ['kafka', 'otlp,kafka', ',', 'otlp-file:']],
  [/^OTEL_METRICS_EXPORTER$/, ['prometheus', 'console', 'otlp,console']],
  [/^OTEL_TRACES_EXPORTER$/, ['zipkin', 'console', 'otlp,console']],
  [/^OTEL_TRACES_SAMPLER$/, ['jaeger_remote', 'sometimes', 'xray']],
  [/^OTEL_TRACES_SAMPLER_ARG$/, ['1.1', '-0.1', 'half', 'NaN', '1e-1']],
  [/_PROTOCOL$/, PROTOCOL],
  [/^OTEL_(BLRP|BSP)_/, [...NUMBER, '0']],
  [/^OTEL_METRIC_EXPORT_/, [...NUMBER, '0']],
  [/_COUNT_LIMIT$|_LENGTH_LIMIT$/, NUMBER],
  [/^OTEL_RESOURCE_ATTRIBUTES$/, ['novalue', 'a=b=c', 'a=%zz', '=x', 'a=b,c']],
  [/^WHODNS_KUBERNETES(_OWNERS)?$/, ['yes', 'API']],
  [/NODE_NAME$/, ['-a', 'a_b', 'A', `${'a'.repeat(254)}`]],
  [/_CLUSTER_NAME$/, ['a\u0007b', 'x'.repeat(254)]],
  [/^WHODNS_KUBELET_URL$/, ['10.0.0.1:10250', 'ftp://a', 'https://user@a']],
  [/^WHODNS_(KUBELET_TLS_VERIFY|WELL_KNOWN_LABELS)$/, BOOLEAN],
  [/^WHODNS_(POD|NAMESPACE)_(LABELS|ANNOTATIONS)$/, ['-a', 'a,b c', 'a*b', '*']],
  [/_ENDPOINT$/, ENDPOINT],
  [/_HEADERS$/, HEADERS],
  [/_INSECURE$/, BOOLEAN],
  [/_COMPRESSION$/, ['snappy', 'gzip,none']],
  [/_TIMEOUT$/, [...NUMBER, '0']],
  [/_TEMPORALITY_PREFERENCE$/, ['sometimes']],
  [/^WHODNS_CAPTURE(_HOST)?$/, ['ON', 'true', 'on,off']],
  [/^WHODNS_(IN|EX)CLUDE_PODS$/, ['app in (a', 'a=b=c', ';', 'app=web,', '-app']],
  [/^WHODNS_(IN|EX)CLUDE_TYPES$/, ['NOPE', 'TYPE65536', 'A,,AAAA']],
  [/^WHODNS_(IN|EX)CLUDE_DOMAINS$/, ['a..b', '.com', `${'a'.repeat(64)}.com`, 'a b']],
  [/^WHODNS_(IN|EX)CLUDE_(NAMESPACES|EXECUTABLES|USERS)$/, [',', 'a,,b', 'x'.repeat(5000)]],
  [/_DEFAULT_HISTOGRAM_AGGREGATION$/, ['base2_exponential_bucket_histogram']],
];

/** Any text is good: names of files are looked at when they are opened. */
const ANY =
  /^OTEL_SERVICE_NAME$|^OTEL_CONFIG_FILE$|^WHODNS_(STATS(_FILE)?|SPOOL|DETECTORS|KUBECONFIG)$|^KUBECONFIG$|_CERTIFICATE$|_CLIENT_KEY$/;

function resolve(env: Environment) {
  const invocation = parseArguments([], '0.0.0');
  assert.ok(invocation.command !== 'print');
  return resolveConfig(invocation.command, invocation.flags, env);
}

const DEFAULTS = resolve({}).config;
describe('variables with bad values', () => {
  for (const name of VARIABLES) {
    const values = BAD.find(([pattern]) => pattern.test(name))?.[1];
    if (values === undefined) {
      it(`${name} takes any text`, () => {
        assert.match(name, ANY);
        assert.deepEqual(resolve({ [name]: '/no/such' }).warnings, []);
      });
      continue;
    }
    for (const value of values)
      it(`${name}=${JSON.stringify(value)}`, () => {
        const { config, warnings } = resolve({ [name]: value });
        assert.equal(warnings.length, 1, warnings.join('\n'));
        assert.ok(warnings[0]?.startsWith(`${name}="`), warnings[0]);
        assert.match(warnings[0] ?? '', /: ignored$/);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
        assert.doesNotMatch(warnings[0] ?? '', /[\x00-\x1f\x7f]/);
        assert.deepEqual(config, DEFAULTS);
      });
  }

  for (const name of VARIABLES)
    it(`${name} empty, or blank, is as if not set`, () => {
      for (const text of ['', '  ']) {
        const { config, warnings } = resolve({ [name]: text });
        assert.deepEqual(warnings, []);
        assert.deepEqual(config, DEFAULTS);
      }
    });

  it('a bad one of the signal counts as unset: the general one holds', () => {
    const env = { OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: 'x', OTEL_EXPORTER_OTLP_TIMEOUT: '1234' };
    const { config, warnings } = resolve(env);
    assert.equal(config.logsOtlpTimeoutMs, 1234);
    assert.equal(warnings.length, 1);
  });

  it('enumerations are read in any case, numbers and booleans with blanks around', () => {
    const { config, warnings } = resolve({
      OTEL_EXPORTER_OTLP_PROTOCOL: 'HTTP/Protobuf',
      OTEL_LOG_LEVEL: 'WARN',
      OTEL_LOGS_EXPORTER: 'OTLP',
      OTEL_BLRP_SCHEDULE_DELAY: ' 250 ',
      OTEL_SDK_DISABLED: ' True ',
    });
    assert.deepEqual(warnings, []);
    assert.equal(config.logsProtocol, 'http/protobuf');
    assert.equal(config.logLevel, 'warn');
    assert.equal(config.batchDelayMs, 250);
    assert.deepEqual(config.logs, []);
  });

  it('never shows a secret', () => {
    const { warnings } = resolve({
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=hunter2,broken',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:hunter2@host:99999',
    });
    assert.equal(warnings.length, 2);
    assert.doesNotMatch(warnings.join(), /hunter2/);
  });
});
