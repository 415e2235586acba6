/**
 * A lookup as programs get it that import this package: plain, frozen objects with everything in them, so that an event may be kept,
 * sent to a worker or written as JSON. What belongs to the process is made once a process and shared by its events.
 */
import type { Attributes, Outcome, Transport, UnknownReason } from '../model.ts';

export type { Attributes, AttributeValue, Outcome, Transport, UnknownReason } from '../model.ts';

/** An address in presentation form (RFC 5952 for IPv6) and a port. */
export interface LookupEndpoint {
  readonly address: string;
  readonly port: number;
}

/** What was asked (RFC 1035, section 4.1.2). */
export interface LookupQuestion {
  /** Case as on the wire, no trailing dot except the root `.`; bytes outside printable ASCII as `\DDD` (RFC 4343). */
  readonly name: string;
  /** IANA mnemonic, `TYPE65280` where IANA lists none. */
  readonly type: string;
  /** IANA mnemonic: `IN`, most often. */
  readonly class: string;
}

/** A record of the answer section. */
export interface LookupAnswer {
  readonly name: string;
  readonly type: string;
  readonly class: string;
  /** Seconds. */
  readonly ttl: number;
  /** RDATA in presentation form, RFC 3597 form where the type is not rendered or the record is damaged. */
  readonly data: string;
}

/** Who asked. Strings are what the process calls itself: never trust them, never print them raw. */
export interface LookupProcess {
  /** As the host sees it; 0: not known (a capture file). */
  readonly pid: number;
  /** With `pid` the identity of a process: ISO 8601, milliseconds. */
  readonly startTime: string | undefined;
  /** Base name of the executable; '' where it is not known. */
  readonly name: string;
  readonly executable: string | undefined;
  /** Argument zero. */
  readonly command: string | undefined;
  /** Secrets masked; only with `commandArgs`. */
  readonly args: readonly string[] | undefined;
  readonly workingDirectory: string | undefined;
  readonly user: { readonly id: number; readonly name: string | undefined } | undefined;
  readonly parent: { readonly pid: number; readonly name: string | undefined } | undefined;
  /** Inside its own pid namespace. */
  readonly vpid: number | undefined;
  readonly cgroup: string | undefined;
  /** What it says of itself: `service.*` as its own telemetry has it. */
  readonly service: {
    readonly name: string;
    readonly namespace: string | undefined;
    readonly version: string | undefined;
    readonly instanceId: string | undefined;
  };
  /**
   * How it came to be known: `kernel`, `proc`, `none`; `unverified`: as `kernel`, but its container is only the word of the user it
   * belongs to.
   */
  readonly attribution: 'kernel' | 'proc' | 'unverified' | 'none';
}

/** The container that asked. */
export interface LookupContainer {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string | undefined;
  readonly runtime: string | undefined;
  readonly image: { readonly name: string | undefined; readonly tags: readonly string[] };
}

/** The pod that asked. */
export interface LookupKubernetes {
  readonly cluster: string | undefined;
  readonly node: string | undefined;
  readonly namespace: string | undefined;
  readonly pod: { readonly name: string | undefined; readonly uid: string | undefined };
  readonly container: string | undefined;
  /** What owns the pod: `deployment`, `statefulset`, `daemonset`, `cronjob`, `job` or `replicaset`, the outermost of them. */
  readonly owner: { readonly kind: string; readonly name: string } | undefined;
}

/** One logical DNS request and what became of it. Frozen, with everything in it. */
export interface LookupEvent {
  /** UUID version 7: `log.record.uid` of its record. */
  readonly uid: string;
  /** When it was asked, by the kernel's clock: RFC 3339, UTC, nanoseconds. Repeated requests: the first one. */
  readonly time: string;
  /** The same as Unix milliseconds with fractions, as `Date` and `setTimeout` count. */
  readonly timestamp: number;
  /** The first question; undefined: the message had none, or none that can be read. */
  readonly question: LookupQuestion | undefined;
  /** All of them: more than one in multicast DNS only. At most 100. */
  readonly questions: readonly LookupQuestion[];
  /**
   * `answered`; `timeout`: nothing came; `unknown`: nothing was seen, but an answer may have been lost by the capture;
   * `connection_refused`, `host_unreachable`, `network_unreachable`: the program was told so by ICMP; `sent`: not waited for.
   */
  readonly outcome: Outcome;
  /** Why it is `unknown`. */
  readonly reason: UnknownReason | undefined;
  /** IANA mnemonic of the response code, EDNS bits included; undefined without an answer. */
  readonly responseCode: string | undefined;
  /** `error.type` of its record: the outcome or the response code, where that is an error; undefined: it is none. */
  readonly error: string | undefined;
  /** The answer section. At most 100 records: `answerCount` has all of them. */
  readonly answers: readonly LookupAnswer[];
  readonly answerCount: number;
  /** Those of `answers` that are addresses. */
  readonly addresses: readonly string[];
  /** Milliseconds from the first request to the answer, or to the error in place of it; undefined: there was none. */
  readonly durationMs: number | undefined;
  /** Retransmissions of the request. */
  readonly retries: number;
  /** Message id. */
  readonly id: number | undefined;
  /** IANA mnemonic of the opcode: `QUERY`, most often. */
  readonly opcode: string;
  /** Header flags that are set in the answer, else in the request: `aa`, `tc`, `rd`, `ra`, `ad`, `cd`. */
  readonly flags: readonly string[];
  /** What the program asked, before destination NAT where that is known. */
  readonly server: LookupEndpoint;
  /** Where the packet went, where destination NAT made that differ. */
  readonly peer: LookupEndpoint | undefined;
  /** The socket that asked; undefined where it had no local address yet. */
  readonly client: LookupEndpoint | undefined;
  readonly transport: Transport;
  /** The first thing that was wrong with a message; what came before it was read. */
  readonly malformed: string | undefined;
  /** A further answer, which says something else than the first: `uid` of the event with that one, '' where it is not known. */
  readonly conflictsWith: string | undefined;
  /** Where it is one of the names that a resolver's search list makes of one. */
  readonly search: { readonly base: string; readonly step: number } | undefined;
  readonly process: LookupProcess;
  /** Thread that asked. */
  readonly thread: { readonly id: number; readonly name: string } | undefined;
  /** The span that the thread was in, with `traceContext`: W3C Trace Context, hexadecimal. */
  readonly trace: { readonly traceId: string; readonly spanId: string } | undefined;
  /** undefined: a process of the host, or not known. */
  readonly container: LookupContainer | undefined;
  readonly kubernetes: LookupKubernetes | undefined;
  /** Everything that is known of the process, as its record's resource has it: docs/attributes.md. */
  readonly resource: Attributes;
}
