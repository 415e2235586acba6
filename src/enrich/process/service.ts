/**
 * What an application says about itself in its environment: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, read as
 * its own OpenTelemetry SDK reads them, since equal values are what joins our records to its traces
 * (specification: resource/sdk.md, "Specifying resource information via an environment variable").
 */
import { keyValues, MAX_CHARACTERS } from '../../lib/key-values.ts';
import type { Attributes, AttributeValue } from '../../model.ts';
import { type Taken, takeClaims } from './claimed-attributes.ts';

/** Most of /proc/PID/environ that is read; a variable behind it is not seen. */
export const ENVIRON_BYTES = 128 * 1024;
/** bpf/process.h looks for the same two. */
const SERVICE_NAME = 'OTEL_SERVICE_NAME';
const RESOURCE_ATTRIBUTES = 'OTEL_RESOURCE_ATTRIBUTES';

export interface ServiceVariables {
  readonly serviceName: string | undefined;
  readonly resourceAttributes: string | undefined;
}

/** @param environ bytes of /proc/PID/environ: NUL-terminated NAME=value. Of a name given twice the first counts, as getenv has it. */
export function serviceVariables(environ: Buffer): ServiceVariables {
  return {
    serviceName: variable(environ, SERVICE_NAME),
    resourceAttributes: variable(environ, RESOURCE_ATTRIBUTES),
  };
}

/** @param environment NAME=value each, as the kernel's record has it */
export function toldVariables(environment: readonly string[]): ServiceVariables {
  const value = (name: string) =>
    environment.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  return { serviceName: value(SERVICE_NAME), resourceAttributes: value(RESOURCE_ATTRIBUTES) };
}

function variable(environ: Buffer, name: string): string | undefined {
  const key = `${name}=`;
  for (let at = environ.indexOf(key); at >= 0; at = environ.indexOf(key, at + key.length)) {
    if (at > 0 && environ[at - 1] !== 0) continue;
    const end = environ.indexOf(0, at);
    // No end: cut by the bound, or overwritten by the program. Half a value would be a wrong one.
    if (end < 0) return undefined;
    return environ.toString('utf8', at + key.length, end);
  }
  return undefined;
}

/**
 * The attributes of a published resource (process-context.ts) that are taken, under the same rules. It is what the
 * application's SDK settled on, so it comes before the variables.
 */
export function publishedAttributes(resource: Attributes): Taken {
  const told = Object.entries(resource).filter(([, value]) => typeof value !== 'string' || isSet(value));
  return takeClaims(told.filter(([key, value]) => key !== 'service.name' || typeof value === 'string'));
}

export interface ServiceAttributes extends Taken {
  /** OTEL_RESOURCE_ATTRIBUTES was there but not well-formed: the whole value is discarded, as the specification says. */
  readonly invalid: boolean;
}

/**
 * Resource attributes that the application gives itself; `service.name` only if it does. Values that begin with `$`
 * are variables nobody expanded (a Kubernetes manifest naming an unknown one): ignored, as OBI does.
 */
export function serviceAttributes(variables: ServiceVariables): ServiceAttributes {
  const parsed = keyValues(variables.resourceAttributes ?? '');
  const told = new Map<string, AttributeValue>();
  for (const [key, value] of parsed ?? []) if (isSet(value)) told.set(key, value);
  const name = variables.serviceName ?? '';
  if (isSet(name)) told.set('service.name', name.slice(0, MAX_CHARACTERS).toWellFormed());
  return { ...takeClaims(told), invalid: parsed === undefined };
}

function isSet(value: string): boolean {
  return value.trim() !== '' && !value.startsWith('$');
}

/** Last resort (semantic conventions, service.name): `unknown_service:` and the executable, without it if unknown. */
export function unknownService(executableName: string): string {
  return executableName === '' ? 'unknown_service' : `unknown_service:${executableName}`;
}
