/**
 * What the history keeps, and the questions it answers. Rows and answers are plain data: they go by message between threads, and as
 * JSON over a socket. Strings are hostile (names, commands): who shows them escapes them for the medium.
 *
 * Times are Unix microseconds, durations microseconds, both as numbers. An address is text (RFC 5952).
 */
import type { AttributeValue, Outcome, ResolutionScope, Transport, UnknownReason } from '../model.ts';

/** Unix time in microseconds: a safe integer until the year 2255. */
export type Microseconds = number;

/** A process as it was when it asked. */
export interface StoredProcess {
  /** The same for all rows of one process: pid and start time. `0` is the unknown process. */
  readonly key: string;
  /** In the initial pid namespace; 0: not known. */
  readonly pid: number;
  /** undefined: not known. */
  readonly started: Microseconds | undefined;
  /** Base name of the executable; '' if unknown. */
  readonly executable: string;
  /** Path of the executable in its mount namespace; '' if unknown. */
  readonly path: string;
  /** All arguments where they are recorded (`--command-args`), else argument zero; '' if unknown. */
  readonly command: string;
  /** 0: not known. */
  readonly parentPid: number;
  /** comm of the parent, at most 15 bytes; '' if unknown. */
  readonly parent: string;
  /** Effective user id; undefined: not known. */
  readonly userId: number | undefined;
  /** Its name; '' if unknown. */
  readonly user: string;
  /** Full id; '' for a process of the host. */
  readonly containerId: string;
  /** '' if none or unknown. */
  readonly container: string;
  readonly pod: string;
  readonly namespace: string;
  /** What the table shows as CONTAINER/POD; '' for a process of the host. */
  readonly workload: string;
  /** `service.name` where the process reports one. */
  readonly service: string;
  readonly attribution: 'kernel' | 'proc' | 'unverified' | 'none';
  /** All OpenTelemetry resource attributes. */
  readonly resource: Readonly<Record<string, AttributeValue>>;
}

export interface StoredEndpoint {
  readonly address: string;
  readonly port: number;
}

/** One record of the answer section. */
export interface StoredAnswer {
  /** `A`, `CNAME`, `TYPE65280`. */
  readonly type: string;
  /** Presentation form, as in the record's attributes. */
  readonly data: string;
}

/** One lookup. */
export interface StoredLookup {
  readonly kind: 'lookup';
  /** Grows in the order in which lookups ended; unique within one history. */
  readonly id: number;
  /** Of the request. */
  readonly time: Microseconds;
  readonly process: StoredProcess;
  /** Name of the first question in presentation form (RFC 1035 section 5.1), lower case, without the last dot; `.` the root, '' none. */
  readonly name: string;
  /** Its registered domain (Public Suffix List), lower case; the name itself where there is none. */
  readonly domain: string;
  /** `A`, `TYPE65280`; '' where there was no question. */
  readonly type: string;
  readonly outcome: Outcome;
  /** Why the outcome is 'unknown'. */
  readonly reason: UnknownReason | undefined;
  /** `NOERROR`; '' without an answer or where its header could not be read. */
  readonly rcode: string;
  /** Nothing came, an error came in place of an answer, or a response code other than NOERROR; not where the end was not seen. */
  readonly failed: boolean;
  /** A further answer to a lookup that was told already, with other data. */
  readonly conflicting: boolean;
  /** Whom the program asked. */
  readonly server: StoredEndpoint & { readonly transport: Transport };
  /** From the first request to the answer; undefined: none came. */
  readonly duration: Microseconds | undefined;
  readonly retries: number;
  /** At most 32 records. */
  readonly answers: readonly StoredAnswer[];
  /** Records there were. */
  readonly answerCount: number;
  /** The lowest TTL of the answer section in seconds; undefined: no records. */
  readonly ttl: number | undefined;
}

/** One TCP connection that a process began. */
export interface StoredConnection {
  readonly kind: 'connection';
  readonly id: number;
  readonly time: Microseconds;
  readonly process: StoredProcess;
  /** What the program dialled. */
  readonly remote: StoredEndpoint;
  /** Port 0: not known. */
  readonly local: StoredEndpoint;
  /** Names that the address had been looked up as, the best first; empty: none known. */
  readonly names: readonly string[];
  /** Whose lookup it was; undefined without names. */
  readonly scope: ResolutionScope | undefined;
  /** When that answer came, and when its TTL ended. */
  readonly answered: Microseconds | undefined;
  readonly expires: Microseconds | undefined;
}

/** What a detector found. */
export interface StoredFinding {
  readonly kind: 'finding';
  readonly id: number;
  readonly time: Microseconds;
  readonly process: StoredProcess;
  /** EventName of its record. */
  readonly event: string;
  /** OpenTelemetry SeverityNumber. */
  readonly severity: number;
  readonly body: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export type StoredRow = StoredLookup | StoredConnection | StoredFinding;

/** A span of time: from `since`, `until` not in it. Absent: from the first, to the last. */
export interface Window {
  readonly since?: Microseconds;
  readonly until?: Microseconds;
}

/** What every question can be narrowed by; all that are given must hold. */
export interface Narrowing extends Window {
  /** The whole name, any case. */
  readonly name?: string;
  /** `example.com`: the domain and every name below it. With `*.` the names below it only. */
  readonly suffix?: string;
  /** Source of a regular expression (RE2, any case), searched in the name. */
  readonly pattern?: string;
  /** IP address: in an answer, of a server, or of a connection. */
  readonly address?: string;
  /** Of a connection, its destination. Lookups are not narrowed by it. */
  readonly port?: number;
  /** Of a connection, its source. Lookups are not narrowed by it. */
  readonly localPort?: number;
  /** Base name of the executable; `*` stands for any text. */
  readonly process?: string;
  readonly pid?: number;
  /** `StoredProcess.key`. */
  readonly processKey?: string;
  /** Name, or id in digits. */
  readonly user?: string;
  /** Name, or id of at least 6 digits from its start; `*` stands for any text. */
  readonly container?: string;
  /** `POD` or `NAMESPACE/POD`; `*` stands for any text. */
  readonly pod?: string;
  /** `NXDOMAIN`, also an outcome: `timeout`. */
  readonly rcode?: string;
  readonly type?: string;
  /** Address of a name server. */
  readonly server?: string;
  /** Lookups that took this long or longer; those without an answer do not count. */
  readonly minLatency?: Microseconds;
  /** Only those that failed (`StoredLookup.failed`). */
  readonly failed?: boolean;
  /** An expression of the filter language (src/filter/), with the fields of src/tables/filter-fields.ts. */
  readonly filter?: string;
}

export interface SearchQuery extends Narrowing {
  /** Which kinds of rows; default lookups. */
  readonly kinds?: readonly StoredRow['kind'][];
  /** Rows at most, the newest; default 100, at most 10 000. */
  readonly limit?: number;
  /** Only rows with a greater id, the oldest first: to follow, or to page forward. */
  readonly after?: number;
  /** Only rows with a lesser id: to page back. */
  readonly before?: number;
  /** To each lookup what its process connected to afterwards, by one of its addresses. */
  readonly connections?: boolean;
}

export interface CountQuery extends Narrowing {
  /** Only rows with a greater id. */
  readonly after?: number;
  /** Only rows with a lesser id. */
  readonly before?: number;
}

export interface SearchAnswer {
  /** By time, the newest first; with `after` the oldest first. */
  readonly rows: readonly StoredRow[];
  /** Of lookups by id, with `connections`; at most 10 each. */
  readonly connected: Readonly<Record<number, readonly StoredConnection[]>>;
  /** There are more than `limit`. */
  readonly more: boolean;
  /** The time was over before all was searched: nothing older than this was looked at. */
  readonly searchedTo: Microseconds | undefined;
  /** The greatest id there is: `after` of the next question. */
  readonly last: number;
}

export type TopBy = 'process' | 'name' | 'domain' | 'server' | 'failure' | 'type';

export interface TopQuery extends Narrowing {
  readonly by: TopBy;
  readonly sort?: 'count' | 'failed' | 'p50' | 'p99' | 'names';
  /** Rows at most; default 20. */
  readonly limit?: number;
}

export interface TopRow {
  /** Of a process its key, of a failure the response code or outcome, else what is shown. */
  readonly key: string;
  /** What is shown: executable, name, domain, address, response code. */
  readonly label: string;
  /** by: 'process'. */
  readonly process: StoredProcess | undefined;
  readonly count: number;
  readonly failed: number;
  /** Of lookups with an answer, to 4 %; undefined: none had one. */
  readonly p50: Microseconds | undefined;
  readonly p99: Microseconds | undefined;
  /** Distinct names; beyond 100 000 of one row it is this number. */
  readonly names: number;
}

export interface TopAnswer {
  readonly rows: readonly TopRow[];
  /** Lookups in the window, and how many failed. */
  readonly count: number;
  readonly failed: number;
  readonly searchedTo: Microseconds | undefined;
}

export interface TimelineQuery extends Narrowing {
  /** How many buckets at most, of equal length; default 120, at most 2000. */
  readonly buckets?: number;
}

export interface TimelineAnswer {
  /** Of the first bucket. */
  readonly from: Microseconds;
  /** Of one bucket. */
  readonly width: Microseconds;
  /** One each for a bucket. */
  readonly count: readonly number[];
  readonly failed: readonly number[];
  readonly searchedTo: Microseconds | undefined;
}

export interface EdgesQuery extends Narrowing {
  /** Edges of each kind at most, the busiest; default 50. */
  readonly limit?: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly failed: number;
}

/** process -> registered domain -> address, for a picture. */
export interface EdgesAnswer {
  /** `from` is an executable (of a container `WORKLOAD/EXECUTABLE`), `to` a registered domain. */
  readonly domains: readonly Edge[];
  /** `from` is a registered domain, `to` an address of an answer. */
  readonly addresses: readonly Edge[];
  readonly searchedTo: Microseconds | undefined;
}

export interface ProcessAnswer {
  readonly process: StoredProcess;
  /** From the nearest up, as far as they asked too. */
  readonly parents: readonly StoredProcess[];
  /** Children that asked too, at most 100. */
  readonly children: readonly StoredProcess[];
  readonly firstSeen: Microseconds;
  readonly lastSeen: Microseconds;
  /** Its names, the most asked for first, at most 1000. */
  readonly names: readonly (TopRow & { readonly firstSeen: Microseconds })[];
  readonly connections: readonly StoredConnection[];
  readonly findings: readonly StoredFinding[];
}

/** One set of answers that a name had. */
export interface NameAnswers {
  readonly type: string;
  readonly result: string;
  readonly answers: readonly StoredAnswer[];
  readonly firstSeen: Microseconds;
  readonly lastSeen: Microseconds;
  readonly count: number;
  readonly minTtl: number | undefined;
  readonly maxTtl: number | undefined;
}

export interface NameAnswer {
  readonly name: string;
  readonly domain: string;
  readonly firstSeen: Microseconds;
  readonly lastSeen: Microseconds;
  /** Who asked, as rows of `top`, at most 1000. */
  readonly processes: readonly TopRow[];
  /** The newest first, at most 1000. */
  readonly answers: readonly NameAnswers[];
}

export interface HistoryStatus {
  /** `:memory:` or the directory. */
  readonly place: string;
  readonly bytes: number;
  readonly lookups: number;
  readonly connections: number;
  readonly findings: number;
  readonly processes: number;
  readonly names: number;
  /** undefined: it is empty. */
  readonly oldest: Microseconds | undefined;
  readonly newest: Microseconds | undefined;
}

/**
 * A history that can be asked: of the running agent, of another by its control socket, or of a directory.
 * All reject with a `UserError` where the question is not one (a pattern that does not compile), or there is no history.
 */
export interface HistoryQueries {
  search(query: SearchQuery): Promise<SearchAnswer>;
  top(query: TopQuery): Promise<TopAnswer>;
  /** Lookups that match, connections and findings not among them. */
  count(query: CountQuery): Promise<number>;
  timeline(query: TimelineQuery): Promise<TimelineAnswer>;
  edges(query: EdgesQuery): Promise<EdgesAnswer>;
  /** @param key `StoredProcess.key` @returns undefined: it is not in the history */
  process(key: string, window?: Window): Promise<ProcessAnswer | undefined>;
  /** @returns undefined: it is not in the history */
  name(name: string, window?: Window): Promise<NameAnswer | undefined>;
  status(): Promise<HistoryStatus>;
}
