/**
 * A configuration file's model as the variables that mean the same. So a setting has one parser and one check, wherever it
 * stands. What has no counterpart here gives one warning each.
 */
import {
  type ConfigurationModel,
  mergeResourceAttributesConfig,
  type ResourceConfigModel,
} from '@opentelemetry/configuration';
import { OPTIONS } from '../tables/options.ts';
import { exporterVariables } from './file-exporters.ts';
import { Translation } from './file-translation.ts';

/** Schema's severity (log_level) -> OTEL_LOG_LEVEL; `trace2`, `info3` and so on count as their first. */
const LEVELS: Readonly<Record<string, string>> = {
  trace: 'verbose',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  fatal: 'error',
};

export function translate(model: ConfigurationModel): Translation {
  const t = new Translation();
  t.others(model, '', [
    'disabled',
    'log_level',
    'attribute_limits',
    'resource',
    'logger_provider',
    'meter_provider',
    'tracer_provider',
    'distribution',
  ]);
  t.set('OTEL_SDK_DISABLED', 'disabled', model.disabled);
  t.set('OTEL_LOG_LEVEL', 'log_level', LEVELS[(model.log_level ?? '').replace(/\d$/, '')]);
  limits(t, model.attribute_limits, 'attribute_limits', 'OTEL');
  resource(t, model.resource);
  logs(t, model.logger_provider);
  metrics(t, model.meter_provider);
  traces(t, model.tracer_provider);
  own(t, model.distribution?.['whodns']);
  return t;
}

function limits(
  t: Translation,
  given: ConfigurationModel['attribute_limits'],
  at: string,
  prefix: string,
): void {
  t.others(given, at, ['attribute_count_limit', 'attribute_value_length_limit']);
  t.set(`${prefix}_ATTRIBUTE_COUNT_LIMIT`, `${at}.attribute_count_limit`, given?.attribute_count_limit);
  const length = given?.attribute_value_length_limit;
  t.set(`${prefix}_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `${at}.attribute_value_length_limit`, length);
}

function resource(t: Translation, given: ResourceConfigModel | undefined): void {
  t.others(given, 'resource', ['attributes', 'attributes_list']);
  const pairs: string[] = [];
  for (const { name, value } of mergeResourceAttributesConfig(given?.attributes, given?.attributes_list) ??
    []) {
    if (value === null) continue;
    if (Array.isArray(value)) t.unsupported(`resource.attributes ${name}`, 'a list of values');
    else pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  }
  if (pairs.length > 0) t.set('OTEL_RESOURCE_ATTRIBUTES', 'resource.attributes', pairs.join(','));
}

function logs(t: Translation, given: ConfigurationModel['logger_provider']): void {
  t.others(given, 'logger_provider', ['processors', 'limits']);
  limits(t, given?.limits, 'logger_provider.limits', 'OTEL_LOGRECORD');
  const kinds = (given?.processors ?? []).flatMap((processor, index) => {
    const at = `logger_provider.processors[${index}]`;
    t.others(processor, at, ['batch', 'simple']);
    if (processor.batch)
      return t.batch(processor.batch, `${at}.batch`, 'OTEL_BLRP', exporterVariables('LOGS'));
    if (processor.simple)
      return exporterVariables('LOGS')(t, processor.simple.exporter, `${at}.simple.exporter`);
    return [];
  });
  // Without a provider the specification gives the SDK a no-op one: nothing goes out.
  t.set('OTEL_LOGS_EXPORTER', 'logger_provider', kinds.length === 0 ? 'none' : kinds.join(','));
}

function metrics(t: Translation, given: ConfigurationModel['meter_provider']): void {
  t.others(given, 'meter_provider', ['readers']);
  const kinds = (given?.readers ?? []).flatMap((reader, index) => {
    const at = `meter_provider.readers[${index}]`;
    t.others(reader, at, ['periodic']);
    const { periodic } = reader;
    if (!periodic) return [];
    t.others(periodic, `${at}.periodic`, ['interval', 'timeout', 'exporter']);
    const found = exporterVariables('METRICS')(t, periodic.exporter, `${at}.periodic.exporter`);
    if (found.length === 0) return [];
    t.set('OTEL_METRIC_EXPORT_INTERVAL', `${at}.periodic.interval`, periodic.interval);
    t.limit('OTEL_METRIC_EXPORT_TIMEOUT', `${at}.periodic.timeout`, periodic.timeout);
    return found;
  });
  t.set('OTEL_METRICS_EXPORTER', 'meter_provider', kinds.length === 0 ? 'none' : kinds.join(','));
}

function traces(t: Translation, given: ConfigurationModel['tracer_provider']): void {
  t.others(given, 'tracer_provider', ['processors', 'limits', 'sampler']);
  t.others(given?.sampler, 'tracer_provider.sampler', ['always_on', 'always_off']);
  for (const sampler of ['always_on', 'always_off'] as const)
    if (given?.sampler?.[sampler] !== undefined)
      t.set('OTEL_TRACES_SAMPLER', `tracer_provider.sampler.${sampler}`, sampler);
  limits(t, given?.limits, 'tracer_provider.limits', 'OTEL_SPAN');
  const kinds = (given?.processors ?? []).flatMap((processor, index) => {
    const at = `tracer_provider.processors[${index}]`;
    t.others(processor, at, ['batch']);
    if (!processor.batch) return [];
    return t.batch(processor.batch, `${at}.batch`, 'OTEL_BSP', exporterVariables('TRACES'));
  });
  if (kinds.length > 0) t.set('WHODNS_TRACES', 'tracer_provider', true);
}

/** `max_payload` of the file is WHODNS_MAX_PAYLOAD. */
function own(t: Translation, given: object | null | undefined): void {
  const names = new Set<string>(
    Object.values(OPTIONS).flatMap((option) => ('env' in option ? (option.env as readonly string[]) : [])),
  );
  for (const [key, value] of Object.entries(given ?? {})) {
    const at = `distribution.whodns.${key}`;
    const variable = `WHODNS_${key.toUpperCase()}`;
    const texts = Array.isArray(value) ? value : [value];
    if (key !== key.toLowerCase() || !names.has(variable))
      t.problems.push(`${at} is not a setting of whodns`);
    else if (texts.some((text) => typeof text === 'object' && text !== null))
      t.problems.push(`${at} is neither a value nor a list of values`);
    else if (value !== null) t.set(variable, at, texts.join(','));
  }
}
