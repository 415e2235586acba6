/** What a configuration file comes to: variables, what was left out, what cannot be. */
import type {
  BatchLogRecordProcessorConfigModel,
  LogRecordExporterConfigModel,
} from '@opentelemetry/configuration';

/** Variables of an exporter; @returns what OTEL_LOGS_EXPORTER would say, empty if it is not supported. */
export type ExporterVariables = (
  t: Translation,
  exporter: LogRecordExporterConfigModel,
  at: string,
) => string[];

/** "0 indicates no limit" in the schema; the longest time that a setting takes here, 1 h. */
const NO_LIMIT_MS = 3_600_000;

export class Translation {
  /** Variable -> its text and the key of the file it came from. */
  readonly variables = new Map<string, { readonly text: string; readonly key: string }>();
  readonly warnings: string[] = [];
  readonly problems: string[] = [];

  /** The first that sets a variable keeps it. null and undefined: not given, the default holds. */
  set(variable: string, key: string, value: string | number | boolean | null | undefined): void {
    if (value === null || value === undefined || this.variables.has(variable)) return;
    this.variables.set(variable, { text: String(value), key });
  }

  /** A time in ms, 0 = none. */
  limit(variable: string, key: string, value: number | null | undefined): void {
    this.set(variable, key, value === 0 ? NO_LIMIT_MS : value);
  }

  /** One warning for every part that is given and not `known`. */
  others(part: object | null | undefined, at: string, known: readonly string[]): void {
    for (const [key, value] of Object.entries(part ?? {}))
      if (!known.includes(key) && value !== undefined) this.unsupported(at === '' ? key : `${at}.${key}`);
  }

  unsupported(key: string, what?: string): void {
    this.warnings.push(`${key} is not supported${what === undefined ? '' : ` (${what})`}: ignored`);
  }

  /** A batch processor of records or spans: `prefix` is OTEL_BLRP or OTEL_BSP. */
  batch(
    batch: NonNullable<BatchLogRecordProcessorConfigModel>,
    at: string,
    prefix: string,
    exporter: ExporterVariables,
  ): string[] {
    const kinds = exporter(this, batch.exporter, `${at}.exporter`);
    const takesBatches = kinds.some((kind) => kind.startsWith('otlp'));
    if (kinds.length === 0) return [];
    if (!takesBatches) {
      this.others(batch, at, ['exporter']);
      return kinds;
    }
    // 0 means at once; a timer takes 1 ms.
    const delay = batch.schedule_delay === 0 ? 1 : batch.schedule_delay;
    this.set(`${prefix}_SCHEDULE_DELAY`, `${at}.schedule_delay`, delay);
    this.limit(`${prefix}_EXPORT_TIMEOUT`, `${at}.export_timeout`, batch.export_timeout);
    this.set(`${prefix}_MAX_QUEUE_SIZE`, `${at}.max_queue_size`, batch.max_queue_size);
    this.set(`${prefix}_MAX_EXPORT_BATCH_SIZE`, `${at}.max_export_batch_size`, batch.max_export_batch_size);
    return kinds;
  }
}
