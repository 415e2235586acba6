/** Lookups for the tests of the sinks: built with the same shapes and the same path as real ones. */
import { putUuidV7 } from '../../src/lib/uuid.ts';
import { LookupView } from '../../src/lookup/view.ts';
import type {
  ConnectionEvent,
  DnsEvent,
  DnsMessage,
  Edns,
  LogEvent,
  Lookup,
  Owner,
  ProcessIdentity,
  RawConnection,
  RawMessage,
  Resolution,
  ResourceRecord,
  SearchStep,
} from '../../src/model.ts';
import { toConnectionLog } from '../../src/records/connection-record.ts';
import { LookupRecord, type RecordOptions } from '../../src/records/lookup-record.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { viewOf } from './message-bytes.ts';

export const TIME = 1_793_000_000_123_456_789n;

export function identity(overrides: Partial<ProcessIdentity> = {}): ProcessIdentity {
  return {
    pid: 4711,
    startTime: 123_456_789_000n,
    attribution: 'kernel',
    executableName: 'curl',
    containerId: undefined,
    workload: '',
    resource: {
      'process.pid': 4711,
      'process.creation.time': '2026-11-21T07:00:00.000Z',
      'process.executable.name': 'curl',
      'process.interactive': true,
      'container.image.tags': ['1.2', 'latest'],
      'service.name': 'unknown_service:curl',
      'host.name': 'worker-1',
    },
    ...overrides,
  };
}

/** The process of a lookup that names none: one object, as the enrichment gives. */
const CURL = identity();

export function record(name: string, type: number, data: string, ttl = 300): ResourceRecord {
  return { name, type, class: 1, ttl, data };
}

export interface Spec {
  readonly name?: string;
  readonly type?: number;
  readonly rcode?: number;
  readonly answers?: readonly ResourceRecord[];
  readonly outcome?: Lookup['outcome'];
  readonly reason?: Lookup['reason'];
  readonly conflictsWith?: string;
  readonly duration?: bigint;
  readonly retries?: number;
  readonly process?: ProcessIdentity;
  readonly raw?: Partial<RawMessage>;
  /** For tests of the detections. */
  readonly search?: SearchStep;
  readonly request?: Partial<DnsMessage>;
  readonly response?: Partial<DnsMessage>;
}

const EDNS: Edns = {
  version: 0,
  udpSize: 1232,
  do: true,
  extendedRcode: 0,
  options: [],
  clientSubnet: '198.51.100.0/24',
  clientSubnetScope: 0,
  extendedErrors: [],
};

function message(spec: Spec, response: boolean): DnsMessage {
  return {
    id: 4242,
    response,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: response,
    authenticData: false,
    checkingDisabled: false,
    rcode: response ? (spec.rcode ?? RCODES.NOERROR) : 0,
    questionCount: (response ? spec.response : spec.request)?.questions?.length ?? 1,
    questions: [{ name: spec.name ?? 'www.example.com', type: spec.type ?? RR_TYPES.A, class: 1 }],
    answers: response ? (spec.answers ?? [record(spec.name ?? 'www.example.com', 1, '192.0.2.1')]) : [],
    authorities: [],
    additionals: [],
    edns: response ? undefined : EDNS,
    malformed: undefined,
    ...(response ? spec.response : spec.request),
  };
}

function event(spec: Spec, response: boolean): DnsEvent {
  const raw: Omit<RawMessage, 'payload'> = {
    kind: 'message',
    time: TIME + (response ? (spec.duration ?? 12_300_000n) : 0n),
    hook: 'fentry',
    direction: response ? 'response' : 'request',
    transport: 'udp',
    family: 4,
    networkNamespace: 4026531840,
    socket: 77n,
    local: { address: '198.51.100.7', port: 41215 },
    remote: { address: '192.0.2.53', port: 53 },
    localAny: false,
    dialed: undefined,
    owner: {
      pid: 4711,
      tid: 4712,
      parentPid: 1,
      vpid: 4711,
      uid: 0,
      gid: 0,
      pidNamespace: 1,
      mountNamespace: 1,
      networkNamespace: 4026531840,
      startTime: 123_456_789_000n,
      cgroupId: 1n,
      threadName: 'curl-worker',
      processName: 'curl',
      cached: false,
    },
    sequence: 0,
    streamStart: false,
    streamEnd: false,
    more: false,
    unreadable: false,
    length: 60,
    ...spec.raw,
  };
  return { raw, length: 60, captured: 60, message: message(spec, response) };
}

export function lookup(spec: Spec = {}): Lookup {
  const outcome = spec.outcome ?? 'answered';
  const answered = outcome === 'answered';
  return {
    request: event(spec, false),
    response: answered ? event(spec, true) : undefined,
    outcome,
    retries: spec.retries ?? 0,
    duration: answered ? (spec.duration ?? 12_300_000n) : undefined,
    process: spec.process ?? CURL,
    ...(spec.search === undefined ? {} : { search: spec.search }),
    ...(spec.reason === undefined ? {} : { reason: spec.reason }),
    ...(spec.conflictsWith === undefined ? {} : { conflictsWith: spec.conflictsWith }),
  };
}

/** The record of a lookup, made of nothing else. */
export function recordOf(
  of: Lookup | LookupView,
  options: RecordOptions = { nxdomainError: true },
  observedTime = TIME + 20_000_000n,
): LookupRecord {
  const view = of instanceof LookupView ? of : viewOf(of);
  putUuidV7(view.uidBytes, 0, Number(observedTime / 1_000_000n));
  return new LookupRecord(options).of(view, observedTime);
}

export function logEvent(spec: Spec = {}): LogEvent {
  return recordOf(lookup(spec));
}

const OWNER = { tid: 4243, threadName: 'pool-1' } as Owner;

/** The record of a TCP connection; `resolved` undefined: to an address nobody had asked for. */
export function connectionLog(
  resolved: Resolution | undefined = undefined,
  raw: Partial<RawConnection> = {},
  process: ProcessIdentity = identity(),
): LogEvent {
  const connection: RawConnection = {
    kind: 'connection',
    time: TIME,
    family: 4,
    networkNamespace: 4026531840,
    socket: 7n,
    local: { address: '198.51.100.7', port: 0 },
    remote: { address: '192.0.2.1', port: 443 },
    owner: OWNER,
    ...raw,
  };
  const event: ConnectionEvent = {
    kind: 'connection',
    time: TIME,
    connection,
    process,
    resolution: resolved,
  };
  return toConnectionLog(event, TIME + 1n, () => 'uid');
}
