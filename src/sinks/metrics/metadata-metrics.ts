/** What the sources of container and pod metadata did, as metrics. */
import type { Meter } from '@opentelemetry/api';
import { instrument } from './instruments.ts';

/** Counts by source and word; `connected` and `containers` are levels, the others only grow. */
export type MetadataCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

export function observeMetadata(meter: Meter, counts: () => MetadataCounts | undefined): void {
  const connected = instrument(meter, 'whodns.metadata.connected');
  const events = instrument(meter, 'whodns.metadata.events');
  meter.addBatchObservableCallback(
    (result) => {
      for (const [source, words] of Object.entries(counts() ?? {})) {
        // They have metrics of their own (otlp-kubernetes-metrics.ts).
        if (source === 'kubernetes' || source === 'kubelet') continue;
        for (const [word, count] of Object.entries(words)) {
          const at = { 'whodns.metadata.source': source };
          if (word === 'connected') result.observe(connected, count, at);
          else if (word !== 'containers')
            result.observe(events, count, { ...at, 'whodns.metadata.event': word });
        }
      }
    },
    [connected, events],
  );
}
