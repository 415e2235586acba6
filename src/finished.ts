/**
 * What is remembered of finished lookups, for a while and in flat memory: to tell duplicate, late and conflicting answers from
 * unasked ones. By hashes, not by the events: kept as objects they outlive the young generation of the collector, which cost 10 %
 * of the agent's time and 30 MB. What is referred to (process, thread, uid) is there anyway.
 */
import { anyServerKey, serverKey } from './exchange.ts';
import { RecentKeys } from './lib/recent-keys.ts';
import type { DnsEvent, Endpoint, Lookup, Owner, ProcessIdentity } from './model.ts';

const SLOTS = 16_384;
const UNANSWERED = 0;
const ANSWERED = 1;
/** Answered on a way on which many may answer: what differs is no conflict. */
const ANSWERED_BY_MANY = 2;
/** Further answers to one lookup that get a record each. */
export const MAX_CONFLICTS = 4;

/** How a lookup ended: a digest of its first answer (exchange.ts), or that there was none. */
export interface Ending {
  readonly digest: number | undefined;
  readonly byMany: boolean;
  readonly process: ProcessIdentity;
  readonly owner: Owner | undefined;
  readonly uid: string | undefined;
  /** Of the first request, Unix ns. */
  readonly time: bigint;
}

export type Verdict = 'duplicate' | 'late' | 'conflicting' | 'conflicting-again';

export class Finished {
  readonly #keys = new RecentKeys(SLOTS);
  readonly #kinds = new Uint8Array(SLOTS);
  readonly #digests = new Int32Array(SLOTS);
  readonly #conflicts = new Uint8Array(SLOTS);
  readonly #times = new BigInt64Array(SLOTS);
  readonly #processes = new Array<ProcessIdentity | undefined>(SLOTS).fill(undefined);
  readonly #owners = new Array<Owner | undefined>(SLOTS).fill(undefined);
  readonly #uids = new Array<string | undefined>(SLOTS).fill(undefined);

  /** @param answerKey of exchange and question; @param server serverKey or anyServerKey */
  remember(answerKey: number, server: number, ending: Ending): void {
    const { digest, byMany, process, owner, uid, time } = ending;
    const slot = this.#keys.set(answerKey, server, ownerHash(owner));
    this.#kinds[slot] = digest === undefined ? UNANSWERED : byMany ? ANSWERED_BY_MANY : ANSWERED;
    this.#digests[slot] = digest ?? 0;
    this.#conflicts[slot] = 0;
    this.#times[slot] = time;
    this.#processes[slot] = process;
    this.#owners[slot] = owner;
    this.#uids[slot] = uid;
  }

  /** The slot of the lookup that an answer from this server is to; -1: none is remembered. */
  find(answerKey: number, remote: Endpoint): number {
    const slot = this.#keys.find(answerKey, serverKey(remote));
    return slot >= 0 ? slot : this.#keys.find(answerKey, anyServerKey(remote));
  }

  /** What a further answer is. @param digest is called only for what was answered */
  judge(slot: number, digest: () => number): Verdict {
    if (this.#kinds[slot] === UNANSWERED) return 'late';
    if (this.#kinds[slot] === ANSWERED_BY_MANY || this.#digests[slot] === digest()) return 'duplicate';
    const before = this.#conflicts[slot] as number;
    if (before >= MAX_CONFLICTS) return 'conflicting-again';
    this.#conflicts[slot] = before + 1;
    return 'conflicting';
  }

  /** The same lookup with a further answer. */
  again(slot: number, response: DnsEvent): Lookup {
    const time = this.#times[slot] as bigint;
    const owner = this.#owners[slot];
    const elapsed = response.raw.time - time;
    const { message, raw } = response;
    return {
      request: {
        raw: { ...raw, direction: 'request', time, owner },
        length: response.length,
        captured: response.captured,
        message: {
          ...message,
          response: false,
          answers: [],
          authorities: [],
          additionals: [],
          edns: undefined,
        },
      },
      response,
      outcome: 'answered',
      retries: 0,
      duration: elapsed > 0n ? elapsed : 0n,
      process: this.#processes[slot] as ProcessIdentity,
      conflictsWith: this.#uids[slot] ?? '',
    };
  }
}

/** Upper half of the workload, lower half of the process. */
function ownerHash(owner: Owner | undefined): number {
  if (owner === undefined) return 0;
  const workload = Number(owner.cgroupId & 0xffffn) ^ owner.uid;
  return (workload << 16) | (owner.pid & 0xffff);
}
