/**
 * All detectors of a run: each event is offered to each of them, and their findings go out as records, at most once for the
 * same process and subject in a while. Synchronous. Nothing here is loaded when no detection is configured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ledger, Stage } from '../ledger.ts';
import { BoundedMap } from '../lib/bounded-map.ts';
import { wallClock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import type { Fairness } from '../lib/fairness.ts';
import type { Log } from '../lib/log.ts';
import type { LookupView } from '../lookup/view.ts';
import type { ConnectionEvent, LogEvent, Lookup, ProcessIdentity, SearchStep } from '../model.ts';
import { OPCODES } from '../tables/classes.ts';
import { blindRecord } from './blind.ts';
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
import { findingRecord } from './finding.ts';
import { Guarded } from './guard.ts';
import { Later, NO_FACT } from './later.ts';
import { originOf } from './origin.ts';
import { readText } from './read-text.ts';
import { settingsFor } from './settings.ts';
import { Subjects } from './subjects.ts';
import { textOf } from './text-of.ts';
import { Turns, type WatchedCells } from './turns.ts';

/** Processes whose state is kept at once. */
const MAX_PROCESSES = 4096;
/** Questions of one message that are looked at; a querier of multicast DNS has some ten (RFC 6762 section 5.3). */
const MAX_QUESTIONS = 100;
/** An event that takes longer with all detectors makes each be timed for itself, for so many events. */
const SLOW_EVENT_MS = 2;
const WATCHED_EVENTS = 256;
/** Besides, one event of so many (a power of two). */
const SAMPLE = 64;
const CLOSE_POLL_MS = 10;

export interface DetectionsOptions {
  readonly detectors: readonly Detector[];
  /** `RULE.KEY=VALUE`. */
  readonly settings: readonly string[];
  readonly cooldownMs: number;
  readonly dns: NameCache;
  readonly host: HostFacts;
  /** The agent itself: whom records about detectors are of. */
  readonly agent: ProcessIdentity;
  /** First pause of a detector that is switched off. */
  readonly pauseMs: number;
  readonly ledger: Ledger;
  readonly log: Log;
  readonly emit: (finding: LogEvent) => void;
  readonly fairness?: Fairness | undefined;
}

export class Detections {
  readonly #detectors: readonly Guarded[];
  readonly #turns: Turns;
  readonly #cooldown: Cooldown;
  readonly #stage: Stage<'detect'>;
  readonly #emit: (finding: LogEvent) => void;
  /** Detectors of users may keep what they are given. */
  readonly #hasForeign: boolean;
  #events = 0;
  #watch = 0;
  /** Judgements that wait for a fact. */
  #waiting = 0;
  /** No fact is waited for any more. */
  #isClosed = false;

  /** @throws UserError: a setting is wrong, a detector cannot be initialised. */
  constructor(options: DetectionsOptions) {
    const { ledger, log } = options;
    this.#emit = options.emit;
    this.#cooldown = new Cooldown(options.cooldownMs);
    this.#stage = ledger.stage('detect');
    this.#stage.held = () => this.#waiting;
    const subjects = new Subjects(MAX_PROCESSES, options.fairness);
    const settings = settingsFor(options.detectors, options.settings);
    this.#hasForeign = options.detectors.some((detector) => originOf(detector) !== undefined);
    this.#turns = new Turns(options.detectors);
    this.#detectors = options.detectors.map((detector) => {
      const context = contextOf(detector, settings.get(detector.name) ?? {}, subjects, options);
      return new Guarded(detector, {
        context,
        stage: ledger.stage(`detector:${detector.name}`),
        log,
        pauseMs: options.pauseMs,
        onChange: (change) => options.emit(blindRecord(change, wallClock(), options.agent)),
        origin: originOf(detector),
        turns: this.#turns,
      });
    });
  }

  /** Where a user's detector may hold up the event loop for good: `watch` is to watch it from outside. */
  watched(watch: (cells: WatchedCells) => void): void {
    if (this.#turns.names.length === 0) return;
    this.#turns.start();
    watch(this.#turns);
  }

  /** @param lookup valid during the call only */
  lookup(lookup: LookupView): void {
    if (lookup.request.message.opcode > OPCODES.QUERY) return;
    // A name that stands second is asked for as well as the first.
    const questions = Math.min(lookup.asked.questionsRead, MAX_QUESTIONS);
    let question = 0;
    do {
      const seen = new SeenLookup(lookup, question);
      if (this.#hasForeign) seen.hold();
      this.#offer(seen);
    } while (++question < questions);
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

  /** Waits so long at most for what is still to be judged, then counts it as lost. */
  async close(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (this.#waiting > 0 && performance.now() < deadline) await sleep(CLOSE_POLL_MS);
    this.#isClosed = true;
    this.#stage.drop('no_fact', this.#waiting);
    this.#waiting = 0;
  }

  #report(guarded: Guarded, found: Finding | Later | undefined, event: DetectorEvent): void {
    if (found === undefined) return;
    this.#stage.in++;
    if (found instanceof Later) this.#wait(guarded, found, event);
    else this.#admit(guarded, found, event);
  }

  #wait(guarded: Guarded, later: Later, event: DetectorEvent): void {
    this.#waiting++;
    if (event instanceof SeenLookup) event.hold();
    later.whenKnown((fact) => {
      if (this.#isClosed) return;
      this.#waiting--;
      if (fact === NO_FACT) {
        this.#stage.drop('no_fact');
        return;
      }
      const wasOff = guarded.isOff;
      const outcome = guarded.decide(later, fact);
      if (outcome instanceof Later) this.#wait(guarded, outcome, event);
      else if (outcome !== undefined) this.#admit(guarded, outcome, event);
      else if (wasOff) this.#stage.filter('off');
      else if (guarded.isOff) this.#stage.drop('invalid');
      else this.#stage.filter('cleared');
    });
  }

  #admit(guarded: Guarded, found: Finding, event: DetectorEvent): void {
    const { detector } = guarded;
    const admitted = this.#cooldown.admit(detector.name, event, found.subject);
    if (admitted === 'cooldown') this.#stage.filter('cooldown');
    else if (admitted === 'limit') this.#stage.drop('limit');
    else {
      this.#stage.out++;
      this.#emit(findingRecord(found, detector, event, wallClock(), admitted));
    }
  }
}

class SeenLookup implements LookupEvent {
  readonly kind = 'lookup';
  lookup: LookupView;
  readonly process: Lookup['process'];
  readonly at: number;
  readonly name: string;
  readonly search: SearchStep | undefined;
  #isHeld = false;
  #domain: string | undefined = undefined;

  /** @param question which of its questions */
  constructor(lookup: LookupView, question: number) {
    this.lookup = lookup;
    this.process = lookup.process;
    this.at = Number(lookup.request.raw.time) / 1e6;
    const asked = lookup.asked.questions[question]?.name ?? '';
    this.name = asked === '.' ? '' : asked.toLowerCase();
    this.search = lookup.search;
  }

  get uid(): string {
    return this.lookup.uid;
  }

  /** From now on it may be kept. */
  hold(): void {
    if (!this.#isHeld) this.lookup = this.lookup.keep();
    this.#isHeld = true;
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
    boundedMap: (max) => new BoundedMap(max),
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
