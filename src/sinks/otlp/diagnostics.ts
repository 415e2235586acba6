/**
 * What the SDK's packages warn of (a certificate that cannot be read, an invalid OTEL_EXPORTER_OTLP_* value, data points
 * that a server rejected) reaches the operator; they are silent otherwise. Each message is told once. Their errors are
 * failed exports, which the sinks report themselves.
 */
import { DiagLogLevel, diag } from '@opentelemetry/api';
import type { Notices } from '../sink.ts';

/** Distinct messages told; some hold numbers that change. */
const MAX_MESSAGES = 100;
const MAX_CHARACTERS = 300;

/** Call before the first exporter is made: most warnings come while the environment is read. */
export function routeDiagnostics(notices: Notices): void {
  const told = new Set<string>();
  const nothing = (): void => {};
  const warn = (message: string, ...rest: unknown[]): void => {
    const text = [message, ...rest.map(String)].join(' ').slice(0, MAX_CHARACTERS);
    if (told.has(text) || told.size >= MAX_MESSAGES) return;
    told.add(text);
    notices.warn(`OpenTelemetry: ${text}`);
  };
  diag.setLogger(
    { error: nothing, warn, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
