/** Config -> which OTLP endpoint of a signal, by which transport, how secured (specification, protocol/exporter.md). */
import type { Config } from '../../config/config.ts';
import { type Endpoint, parseEndpoint } from '../../lib/endpoint.ts';
import { EXIT, UserError } from '../../lib/errors.ts';
import type { OtlpSignal } from '../../tables/options-otlp.ts';

export type Signal = OtlpSignal;
export type OtlpProtocol = 'grpc' | 'http/protobuf';

/** Names of PEM files; undefined = the system's authorities, no client certificate. */
export interface TlsFiles {
  readonly ca: string | undefined;
  readonly key: string | undefined;
  readonly cert: string | undefined;
}

export interface OtlpTarget {
  readonly protocol: OtlpProtocol;
  /** For messages. */
  readonly shown: string;
  /** '' with a socket. */
  readonly host: string;
  /** 0 with a socket. */
  readonly port: number;
  /** Path of a unix socket. */
  readonly socket: string | undefined;
  /** Of the HTTP request; gRPC has its own. */
  readonly path: string;
  /** undefined: no TLS. */
  readonly tls: TlsFiles | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip' | 'zstd';
  /** ms of one attempt. */
  readonly timeoutMs: number;
}

/** The agent's name in front of what the SDK's exporter calls itself, as the specification allows ("User Agent"). */
export function userAgent({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name}/${version} OTel-OTLP-Exporter-JavaScript/${EXPORTER_VERSION}`;
}

/** Version of @opentelemetry/otlp-exporter-base, which does not export it. */
export const EXPORTER_VERSION = '0.301.0';

const HINT =
  'OTEL_EXPORTER_OTLP_ENDPOINT is http://HOST:4317 for grpc, http://HOST:4318 for http/protobuf (https for TLS), or unix:PATH';

/** @throws UserError when the settings do not go together */
export function otlpTarget(config: Config, signal: Signal): OtlpTarget {
  const protocol = config[`${signal}Protocol`];
  const own = config[`${signal}Endpoint`];
  const text = own ?? config.otlpEndpoint ?? DEFAULT_ENDPOINT[protocol];
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) throw unusable(text, 'it is no URL');
  const tls = isSecure(endpoint, protocol, config[`${signal}Insecure`]);
  const files: TlsFiles = {
    ca: config[`${signal}Certificate`],
    key: config[`${signal}ClientKey`],
    cert: config[`${signal}ClientCertificate`],
  };
  if (tls && (files.key === undefined) !== (files.cert === undefined))
    throw unusable(endpoint.shown, 'a client certificate needs its key, and the key its certificate');
  const path = protocol === 'grpc' ? '' : httpPath(endpoint, signal, own !== undefined);
  const headers = Object.fromEntries([...config.otlpHeaders, ...config[`${signal}Headers`]]);
  const authorization =
    endpoint.credentials && `Basic ${Buffer.from(endpoint.credentials).toString('base64')}`;
  if (authorization !== undefined) headers['authorization'] ??= authorization;
  return {
    protocol,
    shown: shownTarget(endpoint, path),
    host: endpoint.host,
    port: endpoint.scheme === 'unix' ? 0 : (endpoint.port ?? (tls ? 443 : 80)),
    socket: endpoint.scheme === 'unix' ? endpoint.path : undefined,
    path,
    tls: tls ? files : undefined,
    headers,
    compression: config[`${signal}Compression`],
    timeoutMs: config[`${signal}OtlpTimeoutMs`],
  };
}

const DEFAULT_ENDPOINT: Readonly<Record<OtlpProtocol, string>> = {
  grpc: 'http://localhost:4317',
  'http/protobuf': 'http://localhost:4318',
};

/** The scheme decides; OTEL_EXPORTER_OTLP_INSECURE only where there is none. */
function isSecure(endpoint: Endpoint, protocol: OtlpProtocol, insecure: boolean): boolean {
  if (endpoint.scheme === undefined && protocol === 'http/protobuf')
    throw unusable(endpoint.shown, 'it is not an http or https URL');
  if (endpoint.scheme === 'unix') return false;
  return endpoint.scheme === undefined ? !insecure : endpoint.scheme === 'https';
}

/** The general endpoint gets the signal's path appended; the signal's own is taken as it is ("Endpoint URLs for OTLP/HTTP"). */
function httpPath(endpoint: Endpoint, signal: Signal, isOwn: boolean): string {
  if (endpoint.scheme === 'unix') return `/v1/${signal}`;
  if (isOwn) return endpoint.path;
  const [path = '', query] = endpoint.path.split('?', 2);
  return `${path.replace(/\/$/, '')}/v1/${signal}${query === undefined ? '' : `?${query}`}`;
}

function shownTarget({ scheme, shown }: Endpoint, path: string): string {
  return scheme === 'http' || scheme === 'https' ? new URL(shown).origin + path : shown;
}

function unusable(shown: string, reason: string): UserError {
  return new UserError(`the OTLP endpoint cannot be used: ${shown}: ${reason}`, {
    hint: HINT,
    exitCode: EXIT.usage,
  });
}
