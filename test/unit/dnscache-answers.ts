/** Answered lookups for the tests of the cache, written as the lines of an answer. */
import type { DnsEvent, DnsMessage, Lookup, ResourceRecord } from '../../src/model.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { OWNER, PROCESS, SECOND, START } from './correlate-events.ts';

export interface Told {
  /** Seconds after START. */
  readonly at?: number;
  readonly name: string;
  readonly type?: keyof typeof RR_TYPES;
  /** `owner ttl type data` */
  readonly answers?: readonly string[];
  readonly authorities?: readonly string[];
  readonly additionals?: readonly string[];
  readonly rcode?: number;
  readonly pid?: number;
  readonly container?: string;
  readonly namespace?: number;
}

export const at = (seconds: number): bigint => START + BigInt(Math.round(seconds * 1000)) * (SECOND / 1000n);

export function record(line: string): ResourceRecord {
  const [name = '', ttl, type = 'A', ...data] = line.split(' ');
  const code = RR_TYPES[type as keyof typeof RR_TYPES];
  return { name, ttl: Number(ttl), type: code, class: 1, data: data.join(' ') };
}

export function told(spec: Told): Lookup {
  const networkNamespace = spec.namespace ?? 1;
  const type = RR_TYPES[spec.type ?? 'A'];
  const common = {
    name: spec.name,
    type,
    networkNamespace,
    at: BigInt(Math.round((spec.at ?? 0) * 1000)) * (SECOND / 1000n),
  };
  const process = {
    ...PROCESS,
    pid: spec.pid ?? PROCESS.pid,
    startTime: BigInt(spec.pid ?? PROCESS.pid),
    containerId: spec.container,
  };
  const message = {
    rcode: spec.rcode ?? 0,
    answers: (spec.answers ?? []).map(record),
    authorities: (spec.authorities ?? []).map(record),
    additionals: (spec.additionals ?? []).map(record),
  };
  return {
    request: event(common, false, {}),
    response: event(common, true, message),
    outcome: 'answered',
    retries: 0,
    duration: 1n,
    process,
  };
}

/** As objects: what these tests state no sender could put into bytes. */
function event(
  asked: {
    readonly name: string;
    readonly type: number;
    readonly networkNamespace: number;
    readonly at: bigint;
  },
  response: boolean,
  message: Partial<DnsMessage>,
): DnsEvent {
  return {
    raw: {
      kind: 'message',
      time: START + asked.at,
      hook: 'fentry',
      direction: response ? 'response' : 'request',
      transport: 'udp',
      family: 4,
      networkNamespace: asked.networkNamespace,
      socket: 0n,
      local: { address: '10.0.0.2', port: 40_000 },
      remote: { address: '10.0.0.53', port: 53 },
      localAny: false,
      dialed: undefined,
      owner: response ? undefined : OWNER,
      sequence: 0,
      streamStart: false,
      streamEnd: false,
      more: false,
      unreadable: false,
      length: 40,
    },
    length: 40,
    captured: 40,
    message: {
      id: 7,
      response,
      opcode: 0,
      authoritative: false,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: response,
      authenticData: false,
      checkingDisabled: false,
      rcode: 0,
      questionCount: 1,
      questions: [{ name: asked.name, type: asked.type, class: 1 }],
      answers: [],
      authorities: [],
      additionals: [],
      edns: undefined,
      malformed: undefined,
      ...message,
    },
  };
}
