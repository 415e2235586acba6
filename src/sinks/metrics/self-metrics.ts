/**
 * The program's own health under the names of the semantic conventions (tables/metrics-self.ts), from the loss ledger: what
 * came, what waits, what was lost in front of the exporter. The exporters' own metrics come from the SDK (otlp-export.ts).
 */
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import type { DnsCacheStats } from '../../dnscache/cache.ts';
import type { Ledger, StageSnapshot } from '../../ledger.ts';
import type { SinkDrop } from '../../tables/drops-sinks.ts';
import { stageName } from '../sink.ts';
import { instrument } from './instruments.ts';

/** A queue in front of an exporter. */
export interface ObservedQueue {
  /** Name of the sink. */
  readonly sink: string;
  readonly items: 'log' | 'span';
  /** Items that may wait in memory; undefined: bounded by bytes alone. */
  readonly capacity: number | undefined;
}

/** The ledger's reasons that end an item's way before the exporter, as the conventions call them. */
const ERRORS: Partial<Record<SinkDrop, string>> = {
  queue_full: 'queue_full',
  spool_damaged: 'spool_damaged',
  closed: 'already_shutdown',
  shutdown: 'already_shutdown',
};

export function observeSelf(meter: Meter, ledger: Ledger, queues: readonly ObservedQueue[]): void {
  observeCreated(meter, ledger);
  for (const items of ['log', 'span'] as const) {
    const own = queues.filter((queue) => queue.items === items);
    if (own.length > 0) observeQueues(meter, ledger, items, own);
  }
  observeProcess(meter);
}

function observeCreated(meter: Meter, ledger: Ledger): void {
  const stage = ledger.stage(stageName('fan-out'));
  instrument(meter, 'otel.sdk.log.created').addCallback((result) => result.observe(stage.in));
}

function observeQueues(
  meter: Meter,
  ledger: Ledger,
  items: ObservedQueue['items'],
  queues: readonly ObservedQueue[],
): void {
  const size = instrument(meter, `otel.sdk.processor.${items}.queue.size`);
  const capacity = instrument(meter, `otel.sdk.processor.${items}.queue.capacity`);
  const processed = instrument(meter, `otel.sdk.processor.${items}.processed`);
  meter.addBatchObservableCallback(
    (result) => {
      for (const [index, queue] of queues.entries()) {
        const at = component(`batching_${items}_processor`, index);
        const stage = ledger.stage(stageName(queue.sink)).snapshot();
        result.observe(size, stage.held, at);
        if (queue.capacity !== undefined) result.observe(capacity, queue.capacity, at);
        observeProcessed(result, processed, stage, at);
      }
    },
    [size, capacity, processed],
  );
}

/** What reached the exporter is without error, whatever became of it there (conventions, `processor.log.processed`). */
function observeProcessed(
  result: BatchObservableResult,
  processed: Observable,
  { out, dropped }: StageSnapshot,
  at: Readonly<Record<string, string>>,
): void {
  let handedOver = out;
  // Of each a point from the first export on: else the first loss would be no increase.
  const lost = new Map<string, number>(Object.values(ERRORS).map((error) => [error, 0]));
  for (const [reason, count] of Object.entries(dropped)) {
    const error = ERRORS[reason as SinkDrop];
    if (error === undefined) handedOver += count;
    else lost.set(error, (lost.get(error) ?? 0) + count);
  }
  result.observe(processed, handedOver, at);
  for (const [error, count] of lost) result.observe(processed, count, { ...at, 'error.type': error });
}

/** `type` is the conventions' well-known value, the name unique within the process (`otel.component.name`). */
function component(type: string, index: number): Readonly<Record<string, string>> {
  return { 'otel.component.type': type, 'otel.component.name': `${type}/${index}` };
}

function observeProcess(meter: Meter): void {
  instrument(meter, 'process.cpu.time').addCallback((result) => {
    const { user, system } = process.cpuUsage(); // microseconds
    result.observe(user / 1e6, { 'cpu.mode': 'user' });
    result.observe(system / 1e6, { 'cpu.mode': 'system' });
  });
  instrument(meter, 'process.memory.usage').addCallback((result) =>
    result.observe(process.memoryUsage.rss()),
  );
}

export function observeDnsCache(meter: Meter, cache: { stats(): DnsCacheStats }): void {
  const trees = instrument(meter, 'whodns.dnscache.trees');
  const nodes = instrument(meter, 'whodns.dnscache.nodes');
  const lookups = instrument(meter, 'whodns.dnscache.lookups');
  const removed = instrument(meter, 'whodns.dnscache.removed');
  const refused = instrument(meter, 'whodns.dnscache.refused');
  meter.addBatchObservableCallback(
    (result) => {
      const stats = cache.stats();
      result.observe(trees, stats.trees);
      result.observe(nodes, stats.nodes);
      const results = {
        hit: stats.hits,
        negative: stats.negativeHits,
        expired: stats.expiredMisses,
        miss: stats.misses,
      };
      for (const [name, count] of Object.entries(results))
        result.observe(lookups, count, { 'whodns.dnscache.result': name });
      result.observe(removed, stats.evictions, { 'whodns.reason': 'evicted' });
      result.observe(removed, stats.expirations, { 'whodns.reason': 'expired' });
      result.observe(refused, stats.refused, { 'whodns.reason': 'full' });
      result.observe(refused, stats.unrelated, { 'whodns.reason': 'unrelated' });
    },
    [trees, nodes, lookups, removed, refused],
  );
}
