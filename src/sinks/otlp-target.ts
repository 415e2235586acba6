/** Which OTLP endpoint, by which transport, on whose behalf. */
import { EXIT, UserError } from '../lib/errors.ts';

export type OtlpProtocol = 'grpc' | 'http/protobuf';

export interface OtlpTarget {
  readonly protocol: OtlpProtocol;
  /** Overrides the standard variables; for http/protobuf the whole URL with /v1/logs or /v1/metrics. */
  readonly url?: string;
  /** Name and version of the instrumentation scope; also the start of the User-Agent. */
  readonly scope: { readonly name: string; readonly version: string };
}

const HINT =
  'OTEL_EXPORTER_OTLP_ENDPOINT is http://HOST:4317 for grpc, http://HOST:4318 for http/protobuf (https for TLS)';

/**
 * Makes something of the SDK's that reads the endpoint.
 * @throws UserError when the SDK cannot make sense of it
 */
export function fromEndpoint<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const message = `the OTLP endpoint cannot be used: ${(error as Error).message}`;
    throw new UserError(message, { hint: HINT, exitCode: EXIT.usage, cause: error });
  }
}

/** @throws UserError when the URL is not one of HTTP */
export function requireHttp(url: string): void {
  if (/^https?:$/.test(new URL(url).protocol)) return;
  const message = `the OTLP endpoint cannot be used: ${shownEndpoint(url)} is not an http or https URL`;
  throw new UserError(message, { hint: HINT, exitCode: EXIT.usage });
}

/** The endpoint for a message: user name and password left out, as it stands when it is no URL (`host:port`). */
export function shownEndpoint(url: string): string {
  if (!URL.canParse(url)) return url.replace(/^[^/]*@/, '');
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}
