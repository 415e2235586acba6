/**
 * The shapes that flow from the kernel to the sinks, one direction, all readonly.
 * Raw* come from `wire/` (kernel) or `capture/pcap.ts` (file); DnsEvent from `streams/` + `dns/`; Lookup from
 * `lookup/`; Finding from `detect/`; LogEvent is what a sink accepts.
 */

import type { ByteWriter } from './lib/byte-writer.ts';

export type HookFamily = 'fentry' | 'kprobe' | 'tracepoint' | 'pcap';
export type Transport = 'udp' | 'tcp';
export type Direction = 'request' | 'response';

/** Address in presentation form (RFC 5952 for IPv6; a v4-mapped address is shown as IPv4) and port in host order. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** The task behind a message, read in the kernel in its own context (bpf/event.h, struct owner). */
export interface Owner {
  readonly pid: number;
  readonly tid: number;
  readonly parentPid: number;
  readonly vpid: number;
  readonly uid: number;
  readonly gid: number;
  readonly pidNamespace: number;
  readonly mountNamespace: number;
  readonly networkNamespace: number;
  /** ns of CLOCK_BOOTTIME; with `pid` the identity of a process. */
  readonly startTime: bigint;
  readonly cgroupId: bigint;
  /** Thread's name (comm); raw bytes decoded as latin1, so hostile until escaped. */
  readonly threadName: string;
  /** Thread group leader's name. */
  readonly processName: string;
  /** The owner was remembered for the socket, not read at this very packet. */
  readonly cached: boolean;
}

/** A span (W3C Trace Context): ids in network order, as OTLP has them. */
export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Uint8Array;
  /** 8 bytes. */
  readonly spanId: Uint8Array;
  readonly flags: number;
}

/** Where the threads of a process keep the pointer to their thread context (struct trace_place of bpf/event.h). */
export interface TracePlace {
  /** Of the pointer: from the thread pointer, or in its module's thread-local block. */
  readonly offset: bigint;
  /** 0: at a fixed offset from the thread pointer. Else the module's index in the thread's vector (DTV). */
  readonly module: number;
  /** Where the vector's address is, from the thread pointer; its length, from the vector; bytes of an entry. */
  readonly vector: number;
  readonly length: number;
  readonly step: number;
}

/** Why a request did not arrive, as the program is told it (errno): values of `error.type`. */
export type Unreachable = 'connection_refused' | 'host_unreachable' | 'network_unreachable';

/** One datagram, TCP segment or TCP send/receive as captured (struct message_event). */
export interface RawMessage {
  readonly kind: 'message';
  /** Unix time, ns. */
  readonly time: bigint;
  readonly hook: HookFamily;
  readonly direction: Direction;
  readonly transport: Transport;
  readonly family: 4 | 6;
  readonly networkNamespace: number;
  /** Socket cookie; 0n = unknown. */
  readonly socket: bigint;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** The local address was not bound yet when the request was sent: match any. */
  readonly localAny: boolean;
  /** What the program connected to, where it differs from `remote` (destination NAT). */
  readonly dialed: Endpoint | undefined;
  readonly owner: Owner | undefined;
  /** TCP only. */
  readonly sequence: number;
  readonly streamStart: boolean;
  readonly streamEnd: boolean;
  /** UDP: the datagram continues with the next send (MSG_MORE, UDP_CORK). */
  readonly more: boolean;
  /** The kernel could not read (all of) the payload. */
  readonly unreadable: boolean;
  /** Of requests to IPv6 addresses of link-local scope: the index of the device on whose link they are (RFC 4007). */
  readonly interface?: number;
  /** An ICMP error about the request instead of its answer: `remote` is where that went, `payload` what is quoted of it. */
  readonly unreachable?: Unreachable | undefined;
  /**
   * An IP fragment of the answer `datagram` (fragments of one share that number). `offset` is its place in what IP carries, bytes; the
   * payload of the first one begins with the UDP header, `skipped` bytes behind that place. Only the first has ports.
   */
  readonly fragment?:
    | {
        readonly datagram: number;
        readonly offset: number;
        readonly more: boolean;
        readonly skipped: number;
      }
    | undefined;
  /** The span that the sending thread was in, where it publishes one (OTEP 4947). */
  readonly trace?: TraceContext | undefined;
  /** Payload bytes there were; `payload.length` may be less (copy limit). */
  readonly length: number;
  readonly payload: Uint8Array;
}

/** First sight of a process (struct process_event). Strings are raw bytes decoded as UTF-8 with replacement: hostile. */
export interface RawProcess {
  readonly kind: 'process';
  readonly time: bigint;
  readonly owner: Owner;
  readonly executablePath: string;
  readonly executableDeleted: boolean;
  readonly kernelThread: boolean;
  readonly executableInode: bigint;
  readonly args: readonly string[];
  readonly argsCut: boolean;
  readonly workingDirectory: string;
  /** As in /proc/PID/cgroup, e.g. `/system.slice/docker-<id>.scope`; '' = unknown. */
  readonly cgroupPath: string;
  readonly cgroupVersion: 1 | 2;
  /**
   * Those variables of its environment that name its service (enrich/process/service.ts), as NAME=value; undefined: the environment
   * could not be read to its end.
   */
  readonly environment: readonly string[] | undefined;
  readonly tty: number;
  readonly parentName: string;
}

export type RawEvent = RawMessage | RawProcess | RawConnection;

/** A process that has sent DNS messages is gone: for the source itself. */
export interface RawExit {
  readonly kind: 'exit';
  /** What it had counted. */
  readonly count: ProcessCount;
}

/** dns/: one question (RFC 1035 section 4.1.2). */
export interface Question {
  /** Presentation form, no trailing dot except the root "."; bytes outside printable ASCII, dots and backslashes in labels escaped \DDD or \X (RFC 4343). Case as on the wire. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** RDATA in presentation form; RFC 3597 form `\# 4 0a000001` where the type is not rendered or is malformed. */
  readonly data: string;
}

/** EDNS(0), RFC 6891. */
export interface Edns {
  readonly version: number;
  readonly udpSize: number;
  readonly do: boolean;
  readonly extendedRcode: number;
  readonly options: readonly { readonly code: number; readonly data: string }[];
  /** RFC 7871, of the first such option: `address/source prefix length`, `0/0` where the family is 0. */
  readonly clientSubnet: string | undefined;
  readonly clientSubnetScope: number | undefined;
  /** RFC 8914 extended DNS errors. */
  readonly extendedErrors: readonly { readonly code: number; readonly text: string }[];
}

export interface DnsMessage {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the EDNS extension bits. */
  readonly rcode: number;
  readonly questionCount: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  readonly edns: Edns | undefined;
  /** First thing that was wrong, with its byte offset; everything before it was read. */
  readonly malformed: DecodeError | undefined;
}

/** Expected failure as a value. `reason` is a fixed, low-cardinality word (tables/decode-errors). */
export interface DecodeError {
  readonly reason: string;
  readonly offset: number;
}

/** A whole DNS message with where it was seen. `raw.payload` is not kept. */
export interface DnsEvent {
  readonly raw: Omit<RawMessage, 'payload'>;
  /** DNS bytes there were (without the TCP length prefix) and how many were captured. */
  readonly length: number;
  readonly captured: number;
  readonly message: DnsMessage;
}

export type AttributeValue =
  | string
  | number
  | boolean
  | readonly string[]
  | readonly number[]
  | readonly boolean[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/**
 * Everything known of a process, one interned object each: exporters group by this object's identity.
 * A new object is made only when the metadata changes.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: bigint;
  /** How the identity came to be known. */
  readonly attribution: 'kernel' | 'proc' | 'unverified' | 'none';
  /** Base name of the executable, '' if unknown. */
  readonly executableName: string;
  readonly containerId: string | undefined;
  /** Short display name of container or pod for the table; '' for a host process. */
  readonly workload: string;
  /** Its container or pod is not reported yet by a runtime or the Kubernetes API that may do so soon (enrich/containers/container-hold.ts). */
  readonly incomplete?: true;
  /** The inspector is being asked about the process (enrich/process/inspection-hold.ts). */
  readonly awaited?: true;
  /** OpenTelemetry resource attributes (tables/attributes.ts), hostile strings included: sinks escape for their medium. */
  readonly resource: Attributes;
}

/**
 * 'timeout': nothing came; 'unknown': nothing was seen, but an answer may have been lost by the agent; 'sent': --emit request; an
 * Unreachable: the program was told so.
 */
export type Outcome = 'answered' | 'timeout' | 'unknown' | 'sent' | Unreachable;

/** Why it is not known whether a lookup was answered (tables/unknown-reasons.ts). */
export type UnknownReason =
  | 'ring_full'
  | 'kernel_budget'
  | 'missed_run'
  | 'unreadable'
  | 'stream_gap'
  | 'streams_full'
  | 'fragments'
  | 'requests_full'
  | 'answers_full';

/** One logical DNS request with its answer. */
export interface Lookup {
  /** The transmission that was answered, stamped with the time of the first one; the first one when none was answered. */
  readonly request: DnsEvent;
  /** undefined when outcome is not 'answered'. */
  readonly response: DnsEvent | undefined;
  /** The message whose questions count, where it may not be the request: they could not be read in it, but in the answer. */
  readonly asked?: DnsMessage;
  readonly outcome: Outcome;
  /** Why it is 'unknown'. */
  readonly reason?: UnknownReason | undefined;
  /** `log.record.uid` of its record, where it was chosen before; else the record gets a new one. */
  readonly uid?: string | undefined;
  /**
   * `response` is a further answer to a lookup that was given out with another answer before, whose `uid` this is ('' unknown).
   * Nothing but a record is made of it. Of the request only what the answer repeats is known.
   */
  readonly conflictsWith?: string | undefined;
  readonly retries: number;
  /** Messages of a zone transfer, of which `response` is the first; absent or 0: it is none. */
  readonly answerMessages?: number;
  /** ns from the first request to the answer, or to the error that came in place of it; else undefined. */
  readonly duration: bigint | undefined;
  readonly process: ProcessIdentity;
  /** It belongs to the fan-out of one logical look-up, as far as is known; not set where that is not looked for. */
  readonly search?: SearchStep | undefined;
}

/** Place of a lookup among those that a stub resolver makes for one name (resolv.conf(5), `search`). */
export interface SearchStep {
  /** What the program asked its resolver for. */
  readonly base: string;
  /** 0 = the first name tried. */
  readonly step: number;
  /** Lookups now known to have been in vain, not told of before. */
  readonly wasted: number;
}

/** What a sink accepts: one OpenTelemetry log record before encoding. */
export interface LogEvent {
  readonly eventName: string;
  /** Unix ns. */
  readonly time: bigint;
  readonly observedTime: bigint;
  /** OpenTelemetry SeverityNumber. */
  readonly severity: number;
  readonly body: string;
  readonly attributes: Attributes;
  /** Writes the fields of its LogRecord; where there is this, `body` and `attributes` are made only when asked for. */
  write?(writer: ByteWriter): void;
  readonly process: ProcessIdentity;
  /** Attributes left out because of a limit. */
  readonly droppedAttributes?: number;
  /** The span it belongs to: the lookup's own with --traces, else the one the thread published. */
  readonly trace?: TraceContext | undefined;
  /** The lookup is a span of its own, `trace` (--traces). */
  readonly hasSpan?: boolean;
  /** Of the lookup's own span: the one the thread published. */
  readonly parentSpanId?: Uint8Array | undefined;
  /** The lookup it was made from; undefined for connections, findings and the agent's own events. */
  readonly lookup: Lookup | undefined;
  /** The connection it was made from. */
  readonly connection?: ConnectionEvent;
}

/** What a source says of itself. */
export interface SourceStats {
  /** undefined before start. */
  readonly hook: HookFamily | undefined;
  /** What was seen, by name: the enum `counter` of bpf/event.h in lower case (`requests`, `responses`, `submitted`, ...). */
  readonly counters: Readonly<Record<string, number>>;
  /** Wanted messages lost before the first stage of the pipeline, by reason: enum `drop_reason` in lower case. */
  readonly drops: Readonly<Record<string, number>>;
  /** Times the kernel did not run a program because the same was already running on that CPU: messages possibly unseen. */
  readonly missedRuns: number;
  /** Batches handed over since the start, and their bytes. */
  readonly batches: number;
  readonly batchBytes: number;
  /** Bytes waiting in the kernel's ring and its size; undefined where there is no ring. */
  readonly ring: { readonly used: number; readonly size: number } | undefined;
}

/** Identity of a process: pid in the initial pid namespace, start time in ns of CLOCK_BOOTTIME. */
export interface ProcessKey {
  readonly pid: number;
  readonly startTime: bigint;
}

export interface ProcessCount extends ProcessKey {
  readonly udpRequests: number;
  /** TCP pieces with payload; one message may come in several. */
  readonly tcpRequests: number;
  /** DNS payload bytes of both. */
  readonly requestBytes: number;
  /** Unix ns. */
  readonly lastSeen: bigint;
  readonly cgroupId: bigint;
  /** Whose budget it shares. */
  readonly share: ShareKey;
  /** It has exited: these are its last counts, which `ExitedCounts` holds too. */
  readonly exited?: true;
}

/** Sums over all processes that have exited. */
export interface ExitedCounts {
  readonly udpRequests: number;
  readonly tcpRequests: number;
  readonly requestBytes: number;
  readonly processes: number;
}

/** Who shares the kernel's ring and the budget of records with others (bpf/share.h). */
export interface ShareKey {
  /** cgroup v2 id of the group that is charged; 0n: a share of those who have none of their own. */
  readonly cgroupId: bigint;
  /** User id of the host; undefined: a container as a whole. */
  readonly user: number | undefined;
}

/** What was left out of one share because it was over its budget or, with the ring more than half full, over its part of it. */
export interface Suppression {
  readonly share: ShareKey;
  /** Of a share of those who have none of their own: which (bpf/event.h, enum common_share, in lower case). */
  readonly common: string | undefined;
  readonly requests: number;
  readonly responses: number;
  readonly connections: number;
  /** Unix ns of the first message left out. */
  readonly since: bigint;
}

/** What a container runtime (CRI, Docker Engine) says of one container. All strings are hostile. */
export interface ContainerMetadata {
  /** As in the cgroup path: 64 hexadecimal digits. */
  readonly id: string;
  /** Name in the pod, or the Docker name without its slash. */
  readonly name: string;
  readonly imageName: string | undefined;
  readonly imageId: string | undefined;
  readonly imageTags: readonly string[];
  readonly imageRepoDigests: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly runtimeName: string;
  readonly runtimeVersion: string | undefined;
  /** The pause container of a pod. */
  readonly sandbox: boolean;
  /** From the CRI labels (`io.kubernetes.pod.*`). */
  readonly pod:
    | { readonly uid: string; readonly name: string; readonly namespace: string; readonly container: string }
    | undefined;
  readonly restartCount: number | undefined;
  /** Only what an event said of it: its image is still asked for. */
  readonly partial?: true;
}

/** What the Kubernetes API or the kubelet says of one pod. All strings are hostile. */
export interface PodMetadata {
  /** As in the cgroup path and the CRI labels: for a static pod not the uid of its mirror in the API, which `attributes` has. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly namespaceAnnotations: Readonly<Record<string, string>>;
  readonly hostNetwork: boolean;
  readonly containers: readonly {
    readonly name: string;
    /** Without the `containerd://` prefix; undefined until it was created. */
    readonly id: string | undefined;
    readonly kind: 'container' | 'init' | 'ephemeral';
    readonly restartCount: number;
    /** What this container adds to the pod's: `k8s.container.*`, `container.image.*`, `service.version`, `service.instance.id`. */
    readonly attributes: Attributes;
  }[];
  /** `k8s.*` and `service.*` resource attributes of the pod, the same for all its containers. */
  readonly attributes: Attributes;
}

/** What the source of pods (Kubernetes API, kubelet) says of itself. */
export interface KubernetesStats {
  readonly source: 'kubernetes' | 'kubelet';
  /** The list of pods is whole and kept up to date. */
  readonly connected: boolean;
  /** Not asked, since another source works (`--kubernetes auto`). */
  readonly resting: boolean;
  /** Kept in memory now. */
  readonly pods: number;
  readonly namespaces: number;
  /** Answered requests: whole lists, and watches that were accepted. */
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  /** Objects that were not what they should be. */
  readonly unread: number;
  /** Failed requests by reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** Pods by what became of them: `added`, `changed`, `removed`, `evicted` and `refused` for want of room. */
  readonly changes: Readonly<Record<string, number>>;
}

/** A TCP connection that a process began (its SYN); whether it came about is not known. */
export interface RawConnection {
  readonly kind: 'connection';
  /** Unix time, ns. */
  readonly time: bigint;
  readonly family: 4 | 6;
  readonly networkNamespace: number;
  /** Socket cookie; 0n = unknown. */
  readonly socket: bigint;
  /** Port 0: none was chosen yet, which is so unless the program bound one. */
  readonly local: Endpoint;
  /** What the program dialled, before any destination NAT. */
  readonly remote: Endpoint;
  readonly owner: Owner | undefined;
}

/** Whose lookups an answer was found among: the process's own, its container's, its network namespace's, the whole host's. */
export type ResolutionScope = 'process' | 'container' | 'network-namespace' | 'host';

/** What an address was looked up as. */
export interface Resolution {
  /**
   * Names that led to the address, never empty: the question answered last, the aliases it went through, then other
   * questions that still hold. No trailing dot, lower case.
   */
  readonly names: readonly string[];
  /** The nearest scope in which it was looked up: `names` are of this one only. */
  readonly scope: ResolutionScope;
  /** Of the answer with `names[0]`: Unix ns of it, and when it ends (answer + TTL). An expired answer counts too. */
  readonly answered: bigint;
  readonly expires: bigint;
}

/** A connection with what is known of its process and its destination: what detectors get and `whodns.connect` is made of. */
export interface ConnectionEvent {
  readonly kind: 'connection';
  /** Unix time, ns: that of the connection. */
  readonly time: bigint;
  readonly connection: RawConnection;
  readonly process: ProcessIdentity;
  /** undefined: no name was looked up here that led to this address, as far as is remembered. */
  readonly resolution: Resolution | undefined;
}
