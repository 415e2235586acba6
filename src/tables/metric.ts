/** What a metric is: one entry of the tables metrics.ts and metrics-self.ts. */
export interface MetricDefinition {
  /** `sum` counts up for ever; `updown` is what is now and adds up over hosts; `gauge` is what is now. */
  readonly kind: 'sum' | 'updown' | 'gauge' | 'histogram';
  /** UCUM; no `_total` in names (OpenTelemetry semantic conventions, metrics). */
  readonly unit: string;
  readonly description: string;
  readonly attributes: readonly string[];
}
