/** Requests and answers for the tests of what is in flight: as the stages before it make them, in bytes. */
import { Stage } from '../../src/ledger.ts';
import { InFlight, type InFlightOptions } from '../../src/lookup/inflight.ts';
import { EventView, type LookupView } from '../../src/lookup/view.ts';
import type { DnsMessage, Owner, ProcessIdentity, RawMessage } from '../../src/model.ts';
import { envelopeOf, messageOf } from './message-bytes.ts';

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

function event(spec: Spec, direction: 'request' | 'response'): EventView {
  const { at, id, name, type, questions, message, owner, ...raw } = spec;
  const response = direction === 'response';
  const envelope = envelopeOf({
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
  });
  const asked = questions ?? [{ name: name ?? 'www.example.com', type: type ?? 1, class: 1 }];
  return new EventView(
    envelope,
    messageOf({
      id: id ?? 7,
      response,
      recursionDesired: true,
      recursionAvailable: response,
      questions: asked,
      ...message,
    }),
  );
}

export const request = (spec: Spec = {}): EventView => event(spec, 'request');
export const answer = (spec: Spec = {}): EventView => event(spec, 'response');

/** Requests in flight with their stages and what it gave out. */
export function setUp(options: Partial<InFlightOptions> = {}) {
  const stage = new Stage('correlate');
  const answers = new Stage('answers');
  const lookups: LookupView[] = [];
  const correlator = new InFlight({
    timeoutNs: 5n * SECOND,
    emit: 'lookup',
    onLookup: (lookup) => lookups.push(lookup.keep()),
    stage,
    answers,
    ...options,
  });
  return {
    correlator,
    stage,
    answers,
    lookups,
    ask: (spec: Spec = {}, process: ProcessIdentity = PROCESS) => {
      const { raw, message } = request(spec);
      correlator.request(raw, message, process);
    },
    reply: (spec: Spec = {}) => {
      const { raw, message } = answer(spec);
      correlator.response(raw, message);
    },
    /** Lets time pass until nothing waits any more. */
    end: (at = 3600n * SECOND) => {
      correlator.expire(START + at);
      correlator.flush();
    },
  };
}
