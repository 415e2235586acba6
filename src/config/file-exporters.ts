/** Exporters of a configuration file as variables. */
import { fileURLToPath } from 'node:url';
import {
  type LogRecordExporterConfigModel,
  mergeHeadersConfig,
  type OtlpGrpcMetricExporterConfigModel,
  type OtlpHttpMetricExporterConfigModel,
} from '@opentelemetry/configuration';
import type { ExporterVariables, Translation } from './file-translation.ts';

export type Signal = 'LOGS' | 'METRICS' | 'TRACES';

const OTLP = ['endpoint', 'tls', 'headers', 'headers_list', 'compression', 'timeout'];
const TEMPORALITY: Readonly<Record<string, string>> = {
  cumulative: 'cumulative',
  delta: 'delta',
  low_memory: 'lowmemory',
};

export function exporterVariables(signal: Signal): ExporterVariables {
  return (t, exporter, at) => {
    const supported = [
      'otlp_grpc',
      'otlp_http',
      ...(signal === 'TRACES' ? [] : ['otlp_file/development']),
      ...(signal === 'LOGS' ? ['console'] : []),
    ];
    t.others(exporter, at, supported);
    if ('otlp_grpc' in exporter) return otlp(t, signal, 'grpc', exporter.otlp_grpc, `${at}.otlp_grpc`);
    if ('otlp_http' in exporter)
      return otlp(t, signal, 'http/protobuf', exporter.otlp_http, `${at}.otlp_http`);
    if (signal !== 'TRACES' && 'otlp_file/development' in exporter) return file(t, exporter, at);
    return signal === 'LOGS' && 'console' in exporter ? ['console'] : [];
  };
}

function otlp(
  t: Translation,
  signal: Signal,
  protocol: string,
  given: OtlpGrpcMetricExporterConfigModel | OtlpHttpMetricExporterConfigModel | undefined,
  at: string,
): string[] {
  const prefix = `OTEL_EXPORTER_OTLP_${signal}`;
  if (t.variables.has(`${prefix}_PROTOCOL`)) {
    t.unsupported(at, 'a second OTLP exporter of the same signal');
    return [];
  }
  t.set(`${prefix}_PROTOCOL`, at, protocol);
  if (!given) return ['otlp'];
  t.others(given, at, [
    ...OTLP,
    'encoding',
    ...(signal === 'METRICS' ? ['temporality_preference', 'default_histogram_aggregation'] : []),
  ]);
  if ('encoding' in given && given.encoding === 'json')
    t.unsupported(`${at}.encoding`, 'json; protobuf is used');
  if (given.default_histogram_aggregation === 'base2_exponential_bucket_histogram')
    t.unsupported(`${at}.default_histogram_aggregation`, 'explicit buckets are used');
  t.set(`${prefix}_ENDPOINT`, `${at}.endpoint`, given.endpoint);
  t.set(`${prefix}_COMPRESSION`, `${at}.compression`, given.compression);
  t.limit(`${prefix}_TIMEOUT`, `${at}.timeout`, given.timeout);
  const tls = given.tls ?? {};
  t.set(`${prefix}_CERTIFICATE`, `${at}.tls.ca_file`, tls.ca_file);
  t.set(`${prefix}_CLIENT_KEY`, `${at}.tls.key_file`, tls.key_file);
  t.set(`${prefix}_CLIENT_CERTIFICATE`, `${at}.tls.cert_file`, tls.cert_file);
  if ('insecure' in tls && typeof tls.insecure === 'boolean')
    t.set(`${prefix}_INSECURE`, `${at}.tls.insecure`, tls.insecure);
  const headers = Object.entries(mergeHeadersConfig(given.headers, given.headers_list) ?? {});
  // Names stand as they are (a token, RFC 9110 section 5.6.2): `,` and `=` would end them.
  if (headers.some(([name]) => /[,=\s]/.test(name))) t.problems.push(`${at}.headers has a name that is none`);
  const pairs = headers.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  if (pairs.length > 0) t.set(`${prefix}_HEADERS`, `${at}.headers`, pairs.join(','));
  const temporality = TEMPORALITY[given.temporality_preference ?? ''];
  t.set(`${prefix}_TEMPORALITY_PREFERENCE`, `${at}.temporality_preference`, temporality);
  return ['otlp'];
}

/** `output_stream: file:///path` appends OTLP JSON lines; the schema's other value, stdout, is not offered. */
function file(t: Translation, exporter: LogRecordExporterConfigModel, at: string): string[] {
  const given = exporter['otlp_file/development'];
  const key = `${at}.otlp_file/development`;
  t.others(given, key, ['output_stream']);
  const stream = given?.output_stream ?? 'stdout';
  if (!/^file:\/\/\//.test(stream) || !URL.canParse(stream) || stream.includes(',')) {
    t.unsupported(`${key}.output_stream`, 'only file:///PATH without a comma');
    return [];
  }
  return [`otlp-file:${fileURLToPath(stream)}`];
}
