/** Requests and answers for the tests of the correlator: whole events as the stages before it make them. */
import { Correlator, type CorrelatorOptions } from '../../src/correlate.ts';
import { Stage } from '../../src/health.ts';
import type { DnsEvent, DnsMessage, Lookup, Owner, ProcessIdentity, RawMessage } from '../../src/model.ts';

export const START = 1_793_000_000_000_000_000n;
export const MS = 1_000_000n;
export const SECOND = 1_000_000_000n;

export const OWNER: Owner = {
  pid: 100,
  tid: 100,
  parentPid: 1,
  vpid: 100,
  uid: 0,
  gid: 0,
  pidNamespace: 1,
  mountNamespace: 1,
  networkNamespace: 1,
  startTime: 5n,
  cgroupId: 1n,
  threadName: 'getent',
  processName: 'getent',
  cached: false,
};

export const PROCESS: ProcessIdentity = {
  pid: 100,
  startTime: 5n,
  attribution: 'kernel',
  executableName: 'getent',
  containerId: undefined,
  workload: '',
  resource: {},
};

export interface Spec extends Partial<Omit<RawMessage, 'kind' | 'time' | 'payload' | 'owner'>> {
  /** After START. */
  readonly at?: bigint;
  readonly id?: number;
  readonly name?: string;
  readonly type?: number;
  /** Overrides name and type. */
  readonly questions?: DnsMessage['questions'];
  readonly message?: Partial<DnsMessage>;
  readonly owner?: Partial<Owner> | null;
}

function event(spec: Spec, direction: 'request' | 'response'): DnsEvent {
  const { at, id, name, type, questions, message, owner, ...raw } = spec;
  const response = direction === 'response';
  return {
    raw: {
      kind: 'message',
      time: START + (at ?? 0n),
      hook: 'fentry',
      direction,
      transport: 'udp',
      family: 4,
      networkNamespace: 1,
      socket: 0n,
      local: { address: '10.0.0.2', port: 40_000 },
      remote: { address: '10.0.0.53', port: 53 },
      localAny: false,
      dialed: undefined,
      owner: owner === null || response ? undefined : { ...OWNER, ...owner },
      sequence: 0,
      streamStart: false,
      streamEnd: false,
      more: false,
      unreadable: false,
      length: 40,
      ...raw,
    },
    length: 40,
    captured: 40,
    message: {
      id: id ?? 7,
      response,
      opcode: 0,
      authoritative: false,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: response,
      authenticData: false,
      checkingDisabled: false,
      rcode: 0,
      questionCount: questions?.length ?? 1,
      questions: questions ?? [{ name: name ?? 'www.example.com', type: type ?? 1, class: 1 }],
      answers: [],
      authorities: [],
      additionals: [],
      edns: undefined,
      malformed: undefined,
      ...message,
    },
  };
}

export const request = (spec: Spec = {}): DnsEvent => event(spec, 'request');
export const answer = (spec: Spec = {}): DnsEvent => event(spec, 'response');

/** A correlator with its stages and what it gave out. */
export function setUp(options: Partial<CorrelatorOptions> = {}) {
  const stage = new Stage('correlate');
  const answers = new Stage('answers');
  const lookups: Lookup[] = [];
  const correlator = new Correlator({
    timeoutNs: 5n * SECOND,
    emit: 'lookup',
    onLookup: (lookup) => lookups.push(lookup),
    stage,
    answers,
    ...options,
  });
  return {
    correlator,
    stage,
    answers,
    lookups,
    ask: (spec: Spec = {}, process: ProcessIdentity = PROCESS) => correlator.request(request(spec), process),
    reply: (spec: Spec = {}) => correlator.response(answer(spec)),
    /** Lets time pass until nothing waits any more. */
    end: (at = 3600n * SECOND) => {
      correlator.expire(START + at);
      correlator.flush();
    },
  };
}
