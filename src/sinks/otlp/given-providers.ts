/**
 * Records and metrics through providers of OpenTelemetry that a program gives (src/api/). A provider has one resource, which is the
 * program's: what is known of the process that asked goes with each record. What the provider does with them is its owner's matter; it is
 * never shut down here.
 */
import { type BatchObservableCallback, type Meter, type Observable, ValueType } from '@opentelemetry/api';
import type { Ledger, Stage } from '../../ledger.ts';
import { LookupView } from '../../lookup/view.ts';
import type { LogEvent, SourceStats } from '../../model.ts';
import { measuredOf, resultAttributes } from '../../records/lookup-result.ts';
import { SEVERITY } from '../../records/record-common.ts';
import { DURATION_BOUNDS, METRICS, SERVICE_ATTRIBUTES, WORKLOAD_ATTRIBUTES } from '../../tables/metrics.ts';
import { observeLedger, observeSource } from '../metrics/sink.ts';
import { type Sink, stageName } from '../sink.ts';
import { contextOf, hrTime } from './sdk-sink.ts';

/** What is used of a LoggerProvider. */
export interface LoggerSource {
  getLogger(name: string, version?: string): { emit(record: object): void };
  forceFlush?(): Promise<void>;
}

/** What is used of a MeterProvider. */
export interface MeterSource {
  getMeter(name: string, version?: string): Meter;
  forceFlush?(): Promise<void>;
}

export interface GivenProviders {
  readonly loggerProvider: LoggerSource | undefined;
  readonly meterProvider: MeterSource | undefined;
  readonly ledger: Ledger;
  readonly source: { stats(): SourceStats };
  readonly version: string;
}

const SCOPE = 'whodns';

export function createGivenSinks(given: GivenProviders): readonly Sink[] {
  return [
    ...(given.loggerProvider === undefined ? [] : [new GivenLogs(given.loggerProvider, given)]),
    ...(given.meterProvider === undefined ? [] : [new GivenMetrics(given.meterProvider, given)]),
  ];
}

/** What they do with an event; the rest of a sink is the same. */
abstract class GivenSink implements Sink {
  abstract readonly name: string;
  protected abstract readonly stage: Stage<'sink:logger-provider'> | Stage<'sink:meter-provider'>;
  #isClosed = false;

  accept(event: LogEvent): void {
    const { stage } = this;
    stage.in++;
    if (this.#isClosed) stage.drop('closed');
    else {
      this.take(event);
      stage.out++;
    }
  }

  protected abstract take(event: LogEvent): void;

  async flush(): Promise<void> {}

  async close(_deadlineMs: number): Promise<void> {
    this.#isClosed = true;
  }
}

class GivenLogs extends GivenSink {
  readonly name = 'logger-provider';
  protected readonly stage;
  readonly #provider: LoggerSource;
  readonly #logger: { emit(record: object): void };

  constructor(provider: LoggerSource, given: GivenProviders) {
    super();
    this.#provider = provider;
    this.stage = given.ledger.stage(stageName(this.name));
    this.#logger = provider.getLogger(SCOPE, given.version);
  }

  protected take(event: LogEvent): void {
    this.#logger.emit({
      eventName: event.eventName,
      timestamp: hrTime(event.time),
      observedTimestamp: hrTime(event.observedTime),
      severityNumber: event.severity,
      body: event.body,
      attributes: { ...event.process.resource, ...event.attributes },
      // Not the span that this program happens to be in.
      context: contextOf(event.trace),
    });
  }

  /** The SDK drops without a word what its queue has no room for. */
  override async flush(): Promise<void> {
    await this.#provider.forceFlush?.().catch(() => undefined);
  }
}

class GivenMetrics extends GivenSink {
  readonly name = 'meter-provider';
  protected readonly stage;
  readonly #provider: MeterSource;
  readonly #queries;
  readonly #durations;
  readonly #meter: RecordedMeter;

  constructor(provider: MeterSource, given: GivenProviders) {
    super();
    this.#provider = provider;
    this.stage = given.ledger.stage(stageName(this.name));
    const meter = provider.getMeter(SCOPE, given.version);
    const { 'whodns.queries': queries, 'dns.lookup.duration': durations } = METRICS;
    this.#queries = meter.createCounter('whodns.queries', {
      unit: queries.unit,
      description: queries.description,
      valueType: ValueType.INT,
    });
    this.#durations = meter.createHistogram('dns.lookup.duration', {
      unit: durations.unit,
      description: durations.description,
      advice: { explicitBucketBoundaries: [...DURATION_BOUNDS] },
    });
    this.#meter = new RecordedMeter(meter);
    observeLedger(this.#meter.recording, given.ledger, given.source);
    observeSource(this.#meter.recording, given.source);
  }

  /** A further answer to a lookup was counted with its first. */
  protected take({ lookup, process, severity }: LogEvent): void {
    if (!(lookup instanceof LookupView) || lookup.conflictsWith !== undefined) return;
    const result = resultAttributes(lookup, severity === SEVERITY.warn);
    this.#queries.add(1, { ...measuredOf(process, WORKLOAD_ATTRIBUTES), ...result });
    if (lookup.durationNs >= 0)
      this.#durations.record(lookup.durationNs / 1e9, {
        ...measuredOf(process, SERVICE_ATTRIBUTES),
        ...result,
      });
  }

  override async close(deadlineMs: number): Promise<void> {
    await super.close(deadlineMs);
    // The last counts are exported while there is someone to ask.
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, deadlineMs);
    await Promise.race([this.#provider.forceFlush?.().catch(() => undefined), late.promise]);
    clearTimeout(timer);
    this.#meter.forget();
  }
}

/** Remembers which callbacks were given to a meter: it would call them for ever. */
class RecordedMeter {
  readonly recording: Meter;
  readonly #meter: Meter;
  readonly #given: [BatchObservableCallback, Observable[]][] = [];

  constructor(meter: Meter) {
    this.#meter = meter;
    const remember: Meter['addBatchObservableCallback'] = (callback, observables) => {
      this.#given.push([callback, observables]);
      meter.addBatchObservableCallback(callback, observables);
    };
    this.recording = new Proxy(meter, {
      get(target, name) {
        if (name === 'addBatchObservableCallback') return remember;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  forget(): void {
    for (const [callback, observables] of this.#given.splice(0))
      this.#meter.removeBatchObservableCallback(callback, observables);
  }
}
