/**
 * OTEL_EXPORTER_OTLP_* (OpenTelemetry specification, protocol/exporter.md): part of OPTIONS. The variable of the signal
 * comes before the general one; but for endpoint and headers that is all there is to it: a general endpoint gets the
 * signal's path appended, and headers of both are sent.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { parseEndpoint } from '../lib/endpoint.ts';
import {
  boolean,
  bytes,
  caseless,
  duration,
  integer,
  oneOf,
  type Parsed,
  type Parser,
} from '../lib/values.ts';
import { type Command, type Option, option } from './option.ts';

export type OtlpSignal = 'logs' | 'metrics' | 'traces';
export type OtlpHeaders = ReadonlyMap<string, string>;

const CAPTURE: readonly Command[] = ['run', 'replay'];
const MINUTE = 60_000;
const MEBIBYTE = 1024 * 1024;

/** What the headers of a request are, which no variable may change. */
const OWN_HEADERS =
  /^(content-(type|length|encoding)|user-agent|host|connection|te|transfer-encoding|grpc-.*|:.*)$/;

interface SignalOptions {
  readonly Endpoint: Option<string | undefined>;
  readonly Headers: Option<OtlpHeaders>;
  readonly Insecure: Option<boolean>;
  readonly Certificate: Option<string | undefined>;
  readonly ClientKey: Option<string | undefined>;
  readonly ClientCertificate: Option<string | undefined>;
  readonly Compression: Option<'none' | 'gzip' | 'zstd'>;
  readonly OtlpTimeoutMs: Option<number>;
}
type Prefixed<S extends OtlpSignal> = { readonly [K in keyof SignalOptions as `${S}${K}`]: SignalOptions[K] };

function ofSignal<S extends OtlpSignal>(signal: S, what: string): Prefixed<S> {
  const own = (name: string) => `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`;
  const both = (name: string) => [own(name), `OTEL_EXPORTER_OTLP_${name}`];
  const options: SignalOptions = {
    Endpoint: endpoint(
      [own('ENDPOINT')],
      `where ${what} go, before the general endpoint; for http the whole URL`,
    ),
    Headers: headers([own('HEADERS')], `headers of requests with ${what}, besides the general ones`),
    Insecure: option({
      commands: CAPTURE,
      env: both('INSECURE'),
      description: `${what} by gRPC to an endpoint without scheme: true = no TLS`,
      parse: boolean,
      default: false,
    }),
    Certificate: file(both('CERTIFICATE'), `certificate authorities trusted for ${what} (PEM)`),
    ClientKey: file(both('CLIENT_KEY'), `private key of the client for ${what} (PEM)`),
    ClientCertificate: file(both('CLIENT_CERTIFICATE'), `certificate chain of the client for ${what} (PEM)`),
    Compression: option({
      commands: CAPTURE,
      env: both('COMPRESSION'),
      description: `of requests with ${what}: none, gzip, or zstd, which takes a quarter of the processor of gzip and is not in the standard`,
      parse: caseless(oneOf('none', 'gzip', 'zstd')),
      default: 'none',
    }),
    OtlpTimeoutMs: option({
      commands: CAPTURE,
      env: both('TIMEOUT'),
      description: `time in ms for one attempt to send ${what}`,
      parse: integer(1, 60 * MINUTE),
      default: 10_000,
    }),
  };
  return Object.fromEntries(
    Object.entries(options).map(([key, each]) => [`${signal}${key}`, each]),
  ) as Prefixed<S>;
}

function endpoint(env: readonly string[], description: string): Option<string | undefined> {
  return option({
    commands: CAPTURE,
    env,
    description,
    parse: (text) =>
      parseEndpoint(text) === undefined ? { problem: 'is not an endpoint' } : { value: text },
    default: undefined,
  });
}

/** 0 switches off. */
function orZero(parse: Parser<number>): Parser<number> {
  return (text) => (text === '0' ? { value: 0 } : parse(text));
}

function headers(env: readonly string[], description: string): Option<OtlpHeaders> {
  return option({
    commands: CAPTURE,
    env,
    description,
    parse: parseHeaders,
    default: new Map<string, string>(),
    shownDefault: 'none',
    secret: true,
  });
}

function file(env: readonly string[], description: string): Option<string | undefined> {
  return option({
    commands: CAPTURE,
    env,
    description,
    parse: (text) => (text.includes('\0') ? { problem: 'is not a file name' } : { value: text }),
    default: undefined,
  });
}

/**
 * `name=value,...`, values percent-encoded (specification, "Specifying headers via environment variables"). One bad pair
 * spoils the whole: a request without one of its headers, a credential say, is worse than a warning.
 */
function parseHeaders(text: string): Parsed<OtlpHeaders> {
  const found = new Map<string, string>();
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const equals = part.indexOf('=');
    if (equals < 1) return { problem: 'is not a list name=value,...' };
    const name = part.slice(0, equals).trim().toLowerCase();
    try {
      const value = decodeURIComponent(part.slice(equals + 1).trim());
      validateHeaderName(name);
      validateHeaderValue(name, value);
      // gRPC knows printable ASCII only; names in -bin would be binary (gRPC over HTTP/2, "Custom-Metadata").
      if (OWN_HEADERS.test(name) || name.endsWith('-bin') || !/^[\x20-\x7e]*$/.test(value))
        return { problem: `has a header that cannot be set: ${name}` };
      found.set(name, value);
    } catch {
      return { problem: `has a header that is not well-formed: ${name}` };
    }
  }
  return { value: found };
}

export const OTLP_OPTIONS = {
  otlpEndpoint: endpoint(
    ['OTEL_EXPORTER_OTLP_ENDPOINT'],
    'where everything goes: http(s)://HOST:PORT or unix:PATH',
  ),
  otlpHeaders: headers(['OTEL_EXPORTER_OTLP_HEADERS'], 'headers of every request: name=value,...'),
  ...ofSignal('logs', 'records'),
  ...ofSignal('metrics', 'metrics'),
  ...ofSignal('traces', 'spans'),
  metricsTemporality: option<'cumulative' | 'delta' | 'lowmemory'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE'],
    description: 'of sums and histograms by OTLP: cumulative, delta, lowmemory',
    parse: caseless(oneOf('cumulative', 'delta', 'lowmemory')),
    default: 'cumulative',
  }),
  metricsHistograms: option<'explicit_bucket_histogram'>({
    commands: CAPTURE,
    env: ['OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION'],
    description: 'histograms have the buckets of the semantic conventions: explicit_bucket_histogram',
    parse: caseless(oneOf('explicit_bucket_histogram')),
    default: 'explicit_bucket_histogram',
  }),
  queueBytes: option<number>({
    flag: '--queue-bytes <bytes>',
    commands: CAPTURE,
    env: ['WHODNS_QUEUE_BYTES'],
    description:
      'encoded records kept in memory while the endpoint is slow or away, 4M to 1G; when full new ones are dropped',
    parse: bytes(4 * MEBIBYTE, 1024 * MEBIBYTE),
    default: 64 * MEBIBYTE,
    shownDefault: '64M',
  }),
  spool: option<string | undefined>({
    flag: '--spool <directory>',
    commands: ['run'],
    env: ['WHODNS_SPOOL'],
    description:
      'keep what waits for the OTLP endpoint in files here: it survives outages and the end of the agent',
    parse: (text) => (text.includes('\0') ? { problem: 'is not a directory name' } : { value: text }),
    default: undefined,
    shownDefault: 'in memory only',
  }),
  spoolBytes: option<number>({
    flag: '--spool-bytes <bytes>',
    commands: ['run'],
    env: ['WHODNS_SPOOL_BYTES'],
    description: 'size of the spool, 16M to 1T; when full the oldest records are dropped',
    parse: bytes(16 * MEBIBYTE, 1024 * 1024 * MEBIBYTE),
    default: 1024 * MEBIBYTE,
    shownDefault: '1G',
  }),
  otlpFileBytes: option<number>({
    flag: '--otlp-file-bytes <bytes>',
    commands: CAPTURE,
    env: ['WHODNS_OTLP_FILE_BYTES'],
    description:
      'size at which the file of otlp-file:PATH becomes PATH.1, PATH.1 becomes PATH.2 and so on, 1M to 1T; 0: never',
    parse: orZero(bytes(MEBIBYTE, 1024 * 1024 * MEBIBYTE)),
    default: 100 * MEBIBYTE,
    shownDefault: '100M',
  }),
  otlpFileBackups: option<number>({
    flag: '--otlp-file-backups <count>',
    commands: CAPTURE,
    env: ['WHODNS_OTLP_FILE_BACKUPS'],
    description: 'files PATH.1 ... kept beside PATH, 1 to 1000; the oldest is removed',
    parse: integer(1, 1000),
    default: 2,
  }),
  concurrentRequests: option<number>({
    flag: '--concurrent-requests <count>',
    commands: CAPTURE,
    env: ['WHODNS_CONCURRENT_REQUESTS'],
    description: 'OTLP requests with records under way at the same time, 1 to 64',
    parse: integer(1, 64),
    default: 4,
  }),
  retryForMs: option<number | undefined>({
    flag: '--retry-for <duration>',
    commands: CAPTURE,
    env: ['WHODNS_RETRY_FOR'],
    description: 'how long a request with records is tried again before it is dropped',
    parse: duration(1, 24 * 60 * MINUTE),
    default: undefined,
    shownDefault: 'run: as long as the queue has room; replay: 1m',
  }),
} as const;
