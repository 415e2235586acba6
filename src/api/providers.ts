/**
 * As much of OpenTelemetry's API (`@opentelemetry/api` 1.10) as a capture uses of the providers that a program gives it. Any version
 * that has these methods will do: `LoggerProvider` of `@opentelemetry/sdk-logs`, `MeterProvider` of `@opentelemetry/sdk-metrics`.
 */

/** A record as `Logger.emit` takes it. */
export interface EmittedRecord {
  readonly eventName?: string;
  readonly timestamp?: [number, number];
  readonly observedTimestamp?: [number, number];
  readonly severityNumber?: number;
  readonly body?: string;
  readonly attributes?: Record<string, string | number | boolean | string[] | number[] | boolean[]>;
  // biome-ignore lint/suspicious/noExplicitAny: a Context, whose type is the API's own
  readonly context?: any;
}

export interface GivenLoggerProvider {
  getLogger(name: string, version?: string): { emit(record: EmittedRecord): void };
  /** The SDK's: a capture file waits for it, so that no queue of the SDK overflows. */
  forceFlush?(): Promise<void>;
}

export interface GivenMeterProvider {
  // biome-ignore lint/suspicious/noExplicitAny: a Meter, whose type is the API's own
  getMeter(name: string, version?: string): any;
  /** The SDK's: called at the end, so that the last counts are exported. */
  forceFlush?(): Promise<void>;
}
