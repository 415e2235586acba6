/** Answered lookups for the tests of the cache, written as the lines of an answer. */
import type { Lookup, ResourceRecord } from '../../src/model.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { answer, PROCESS, request, SECOND, START } from './correlate-events.ts';

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
    request: request(common),
    response: answer({ ...common, message }),
    outcome: 'answered',
    retries: 0,
    duration: 1n,
    process,
  };
}
