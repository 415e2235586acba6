/**
 * All detectors of a run: each event is offered to each of them, and their findings go out as records, at most once for the
 * same process and subject in a while. Synchronous. Nothing here is loaded when no detection is configured.
 */
import type { Ledger, Stage } from '../health.ts';
import { BoundedMap } from '../lib/bounded-map.ts';
import { wallClock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import type { Fairness } from '../lib/fairness.ts';
import type { Log } from '../lib/log.ts';
import type { ConnectionEvent, LogEvent, Lookup, SearchStep } from '../model.ts';
import { Cooldown } from './cooldown.ts';
import type {
  Detector,
  DetectorContext,
  DetectorEvent,
  Finding,
  HostFacts,
  InitContext,
  LookupEvent,
  NameCache,
  SeenConnection,
} from './detector.ts';
import { registeredDomain } from './domain.ts';
import { findingRecord, MOST_SUBJECT_CHARACTERS } from './finding.ts';
import { Guarded, textOf } from './guard.ts';
import { readText } from './read-text.ts';
import { settingsFor } from './settings.ts';
import { Subjects } from './subjects.ts';

/** Processes whose state is kept at once. */
const MOST_PROCESSES = 4096;
/** An event that takes longer with all detectors makes each be timed for itself, for so many events. */
const SLOW_EVENT_MS = 2;
const WATCHED_EVENTS = 256;
/** Besides, one event of so many (a power of two). */
const SAMPLE = 64;

export interface DetectionsOptions {
  readonly detectors: readonly Detector[];
  /** `RULE.KEY=VALUE`. */
  readonly settings: readonly string[];
  readonly cooldownMs: number;
  readonly dns: NameCache;
  readonly host: HostFacts;
  readonly ledger: Ledger;
  readonly log: Log;
  readonly emit: (finding: LogEvent) => void;
  readonly fairness?: Fairness | undefined;
}

export class Detections {
  readonly #detectors: readonly Guarded[];
  readonly #cooldown: Cooldown;
  readonly #stage: Stage;
  readonly #emit: (finding: LogEvent) => void;
  #events = 0;
  #watch = 0;

  /** @throws UserError: a setting is wrong, a detector cannot be initialised. */
  constructor(options: DetectionsOptions) {
    const { ledger, log } = options;
    this.#emit = options.emit;
    this.#cooldown = new Cooldown(options.cooldownMs);
    this.#stage = ledger.stage('detect');
    const subjects = new Subjects(MOST_PROCESSES, options.fairness);
    const settings = settingsFor(options.detectors, options.settings);
    this.#detectors = options.detectors.map((detector) => {
      const context = contextOf(detector, settings.get(detector.name) ?? {}, subjects, options);
      return new Guarded(detector, context, ledger.stage(`detector:${detector.name}`), log);
    });
  }

  lookup(lookup: Lookup, record: LogEvent): void {
    this.#offer(new SeenLookup(lookup, String(record.attributes['log.record.uid'])));
  }

  /** @param record of the connection, if connections are recorded */
  connection(event: ConnectionEvent, record: LogEvent | undefined): void {
    const uid = record?.attributes['log.record.uid'];
    const seen: SeenConnection = {
      ...event,
      at: Number(event.time) / 1e6,
      uid: uid === undefined ? undefined : String(uid),
    };
    this.#offer(seen);
  }

  #offer(event: DetectorEvent): void {
    this.#events++;
    if (this.#watch > 0 || (this.#events & (SAMPLE - 1)) === 0) {
      this.#watch = Math.max(this.#watch - 1, 0);
      for (const guarded of this.#detectors) this.#report(guarded, guarded.runTimed(event), event);
      return;
    }
    const start = performance.now();
    for (const guarded of this.#detectors) {
      const found = guarded.run(event);
      if (found !== undefined) this.#report(guarded, found, event);
    }
    if (performance.now() - start > SLOW_EVENT_MS) this.#watch = WATCHED_EVENTS;
  }

  #report(guarded: Guarded, found: Finding | undefined, event: DetectorEvent): void {
    if (found === undefined) return;
    const { detector } = guarded;
    const stage = this.#stage;
    stage.in++;
    const subject = found.subject.slice(0, MOST_SUBJECT_CHARACTERS);
    const admitted = this.#cooldown.admit(detector.name, event, subject);
    if (admitted === 'cooldown') stage.filter('cooldown');
    else if (admitted === 'limit') stage.drop('limit');
    else {
      try {
        const record = findingRecord(found, detector, event, wallClock(), admitted);
        stage.out++;
        this.#emit(record);
      } catch (error) {
        // A user's evidence may be an object whose parts throw when read.
        stage.drop('invalid');
        guarded.refuse(`its finding cannot be read: ${textOf(error)}`);
      }
    }
  }
}

class SeenLookup implements LookupEvent {
  readonly kind = 'lookup';
  readonly lookup: Lookup;
  readonly process: Lookup['process'];
  readonly at: number;
  readonly uid: string;
  readonly name: string;
  readonly search: SearchStep | undefined;
  #domain: string | undefined = undefined;

  constructor(lookup: Lookup, uid: string) {
    this.lookup = lookup;
    this.process = lookup.process;
    this.at = Number(lookup.request.raw.time) / 1e6;
    this.uid = uid;
    const asked = lookup.request.message.questions[0]?.name ?? '';
    this.name = asked === '.' ? '' : asked.toLowerCase();
    this.search = lookup.search;
  }

  get domain(): string {
    this.#domain ??= registeredDomain(this.name);
    return this.#domain;
  }
}

function contextOf(
  detector: Detector,
  settings: InitContext['settings'],
  subjects: Subjects,
  { dns, host, log }: DetectionsOptions,
): DetectorContext<unknown> {
  const init: InitContext = {
    settings,
    host,
    perProcess: (make) => subjects.perProcess(make),
    boundedMap: (most) => new BoundedMap(most),
    readText,
  };
  const state = initialised(detector, init);
  log.debug(`detector ${detector.name}: ${JSON.stringify(settings)}`);
  return Object.freeze({ ...init, dns, state });
}

function initialised(detector: Detector, context: InitContext): unknown {
  try {
    return detector.init?.(context);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`detector ${detector.name} cannot start: ${textOf(error)}`, { cause: error });
  }
}
