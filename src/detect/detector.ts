/**
 * What a detector is. A module with one as its default export is given by `--detector FILE`; the built-in ones are in
 * rules/. These types are published as `whodns/detect`.
 *
 * `onEvent` is called for every lookup and connection, synchronously, in the agent's one thread: it must be quick, keep
 * bounded state only, and take the time from the event. One that throws or is slow is switched off for a while (guard.ts); one
 * that never returns stops the agent.
 */
import type { Attributes, ConnectionEvent, Lookup, ProcessIdentity, SearchStep } from '../model.ts';
import type { FindingSeverity, SettingDefinition } from '../tables/detections.ts';

export type {
  Attributes,
  ConnectionEvent,
  FindingSeverity,
  Lookup,
  ProcessIdentity,
  SearchStep,
  SettingDefinition,
};

/** `State` is what `init` returns. */
export interface Detector<State = unknown> {
  /** Lower-case letters, digits and `-`; unique. */
  readonly name: string;
  readonly severity: FindingSeverity;
  /** One sentence for people: what it finds. */
  readonly describe: string;
  /** Set by `--detect-set NAME.KEY=VALUE`. */
  readonly settings?: Readonly<Record<string, SettingDefinition>>;
  /** What it wants to see beside lookups: `connections` are captured and `dns` is filled only if some detector needs it. */
  readonly needs?: readonly ('connections' | 'dns')[];
  /** Called once before the first event; what it returns is `context.state` from then on. */
  init?(context: InitContext): State;
  onEvent(event: DetectorEvent, context: DetectorContext<State>): Outcome;
}

/** `PendingFinding` is made by the methods of `HostFacts` alone. */
export type Outcome = Finding | PendingFinding | undefined;

/** A judgement that waits for a fact: made when the fact comes, dropped and counted (`no_fact`) when it does not in 5 s. */
export interface PendingFinding {
  /** Tells it from a finding. */
  readonly subject?: undefined;
  decide(fact: unknown): Outcome;
}

export type DetectorEvent = LookupEvent | SeenConnection;

/** Hostile: names, answers and much of the resource are what others chose. */
export interface LookupEvent {
  readonly kind: 'lookup';
  readonly lookup: Lookup;
  readonly process: ProcessIdentity;
  /** Unix ms of the request, with fractions. Mostly, but not always, after that of the event before. */
  readonly at: number;
  /** `log.record.uid` of its record. */
  readonly uid: string;
  /** The name asked for in lower case, no trailing dot; '' without a question. */
  readonly name: string;
  /**
   * Registered domain by the public suffix list, private suffixes counted (`a.github.io` of `x.a.github.io`), lower case;
   * '' when the name has none. Found out at first use.
   */
  readonly domain: string;
  /** It belongs to the fan-out of one logical look-up. */
  readonly search: SearchStep | undefined;
}

export interface SeenConnection extends ConnectionEvent {
  /** Unix ms. */
  readonly at: number;
  /** `log.record.uid` of its record; undefined: connections are not recorded. */
  readonly uid: string | undefined;
}

export interface InitContext {
  /** In effect: the defaults of `Detector.settings` and what was given. */
  readonly settings: Readonly<Record<string, number | string | readonly string[]>>;
  /** State of one process each, made at its first event, gone with the process or when there are too many. */
  perProcess<T extends object>(make: () => T): PerProcess<T>;
  /** A map of at most `most` entries; a new one takes the place of that which was set longest ago. */
  boundedMap<K, V>(max: number): BoundedMap<K, V>;
  /** A text file of at most 1 MiB, read now. */
  readText(file: string): string;
  /** Facts of a process that are looked up at first use. */
  readonly host: HostFacts;
}

export interface DetectorContext<State> extends InitContext {
  readonly state: State;
  /** Names and addresses learnt from answers. Empty unless a detector needs it. */
  readonly dns: NameCache;
}

export interface PerProcess<T> {
  of(event: DetectorEvent): T;
}

export interface BoundedMap<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): boolean;
  readonly size: number;
}

/** The DNS cache, as far as detectors see it. */
export interface NameCache {
  /** @throws DataNotFound, KeyNotSupported */
  get(key: string): NameCacheEntry;
}

export interface NameCacheEntry {
  readonly ip_addresses: readonly string[];
  readonly dns_queries: readonly string[];
  readonly dns_root: string;
}

/**
 * What the host knows of the process behind an event. A fact is looked up at first use, which takes a while: `decide` is called
 * with it when it is known, at once or later, and what it returns is the outcome. Ask when there is a suspicion, and return
 * what these return.
 */
export interface HostFacts {
  /** Addresses of the name servers in its resolv.conf, old ones included for a while; undefined: could not be read. */
  nameServers(event: DetectorEvent, decide: (servers: readonly string[] | undefined) => Outcome): Outcome;
  /** It has a socket bound to a DNS port: it serves names itself. undefined: it is gone. */
  servesNames(event: DetectorEvent, decide: (serves: boolean | undefined) => Outcome): Outcome;
  /** What became of its executable; undefined: not known. */
  executable(event: DetectorEvent, decide: (facts: ExecutableFacts | undefined) => Outcome): Outcome;
}

export interface ExecutableFacts {
  /** As the process sees it. */
  readonly path: string;
  /** No file has it any more. */
  readonly deleted: boolean;
  /** Deleted, but another file has its path: an upgrade. */
  readonly replaced: boolean;
  /** Came into the container after its start; undefined: not a container, or not known. */
  readonly added: boolean | undefined;
}

export interface Finding {
  /** What it is about: not reported again for the same process for a while (`--detect-cooldown`). At most 255 characters. */
  readonly subject: string;
  /** One line for people. */
  readonly message: string;
  /** `log.record.uid` of the record it rests on, if not that of the event at hand. */
  readonly record?: string;
  /** Tells findings of one rule apart. */
  readonly kind?: string;
  /** Attributes of the record, at most 32: names of docs/attributes.md or your own. */
  readonly evidence?: Attributes;
}
