/** A row of tables/metrics.ts as an instrument that is read at each collection. */
import { type Meter, type Observable, ValueType } from '@opentelemetry/api';
import { METRICS, type MetricName } from '../../tables/metrics.ts';

export function instrument(meter: Meter, name: MetricName): Observable {
  const { kind, unit, description } = METRICS[name];
  const options = { unit, description, valueType: unit === 's' ? ValueType.DOUBLE : ValueType.INT };
  if (kind === 'gauge') return meter.createObservableGauge(name, options);
  if (kind === 'updown') return meter.createObservableUpDownCounter(name, options);
  return meter.createObservableCounter(name, options);
}
