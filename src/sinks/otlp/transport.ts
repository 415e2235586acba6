/** One way to an OTLP endpoint for every signal: chosen by protocol, and only what that needs is loaded. */
import type { IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import type { TransportParts } from './attempt.ts';

export async function createTransport(parts: TransportParts): Promise<IExporterTransport> {
  if (parts.target.protocol === 'grpc') {
    const { GrpcTransport } = await import('./transport-grpc.ts');
    return new GrpcTransport(parts);
  }
  const { HttpTransport } = await import('./transport-http.ts');
  return new HttpTransport(parts);
}
