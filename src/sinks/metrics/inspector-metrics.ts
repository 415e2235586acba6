/** What became of requests to the inspector, as metrics. */
import type { Meter } from '@opentelemetry/api';
import type { InspectorStats } from '../../inspector/inspector.ts';
import { instrument } from './instruments.ts';

export function observeInspector(meter: Meter, stats: () => InspectorStats): void {
  const requests = instrument(meter, 'whodns.inspector.requests');
  const stuck = instrument(meter, 'whodns.inspector.hanging');
  meter.addBatchObservableCallback(
    (result) => {
      // `requests` is the sum, `waiting` comes and goes.
      const { requests: _, waiting: __, hanging, ...results } = stats();
      result.observe(stuck, hanging);
      for (const [name, count] of Object.entries(results))
        result.observe(requests, count, { 'whodns.inspector.result': name });
    },
    [requests, stuck],
  );
}
