/**
 * What is remembered of finished lookups, for a while and in flat memory: to tell duplicate, late and conflicting answers from
 * unasked ones. By hashes, not by the events: kept as objects they outlive the young generation of the collector, which cost 10 %
 * of the agent's time and 30 MB. What is referred to (process, thread, uid) is there anyway.
 */
import { anyServerKey, serverKey } from './exchange.ts';
import { RecentKeys } from './lib/recent-keys.ts';
import type { DnsEvent, Endpoint, Lookup, Owner, ProcessIdentity } from './model.ts';

const SLOTS = 8192;
const UNANSWERED = 0;
const ANSWERED = 1;
/** Answered on a way on which many may answer: what differs is no conflict. */
const ANSWERED_BY_MANY = 2;
/** Further answers to one lookup that get a record each. */
export const MAX_CONFLICTS = 4;

export type Verdict = 'duplicate' | 'late' | 'conflicting' | 'conflicting_again';

/** References of a slot side by side: process, thread, uid. */
const REFERENCES = 3;

export class Finished {
  readonly #keys = new RecentKeys(SLOTS);
  /** Digest of the first answer (exchange.ts), and how it ended with how many conflicts. */
  readonly #words = new Int32Array(SLOTS * 2);
  /** Of the first request, Unix ns. */
  readonly #times = new BigInt64Array(SLOTS);
  readonly #references = new Array<ProcessIdentity | Owner | string | undefined>(SLOTS * REFERENCES).fill(
    undefined,
  );

  /**
   * @param answerKey of exchange and question; @param server serverKey or anyServerKey
   * @param digest of its first answer; undefined: there was none
   * @param byMany on its way many may answer
   */
  remember(
    answerKey: number,
    server: number,
    lookup: Lookup,
    digest: number | undefined,
    byMany: boolean,
  ): void {
    const { process, uid, request } = lookup;
    const { owner, time } = request.raw;
    const slot = this.#keys.set(answerKey, server, ownerHash(owner));
    this.#words[slot * 2] = digest ?? 0;
    this.#words[slot * 2 + 1] = digest === undefined ? UNANSWERED : byMany ? ANSWERED_BY_MANY : ANSWERED;
    this.#times[slot] = time;
    const at = slot * REFERENCES;
    this.#references[at] = process;
    this.#references[at + 1] = owner;
    this.#references[at + 2] = uid;
  }

  /** The slot of the lookup that an answer from this server is to; -1: none is remembered. */
  find(answerKey: number, remote: Endpoint): number {
    const slot = this.#keys.find(answerKey, serverKey(remote));
    return slot >= 0 ? slot : this.#keys.find(answerKey, anyServerKey(remote));
  }

  /** What a further answer is. @param digest is called only for what was answered */
  judge(slot: number, digest: () => number): Verdict {
    const state = this.#words[slot * 2 + 1] as number;
    const kind = state & 3;
    if (kind === UNANSWERED) return 'late';
    if (kind === ANSWERED_BY_MANY || this.#words[slot * 2] === digest()) return 'duplicate';
    const before = state >>> 2;
    if (before >= MAX_CONFLICTS) return 'conflicting_again';
    this.#words[slot * 2 + 1] = ((before + 1) << 2) | kind;
    return 'conflicting';
  }

  /** The same lookup with a further answer. */
  again(slot: number, response: DnsEvent): Lookup {
    const time = this.#times[slot] as bigint;
    const at = slot * REFERENCES;
    const owner = this.#references[at + 1] as Owner | undefined;
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
      process: this.#references[at] as ProcessIdentity,
      conflictsWith: (this.#references[at + 2] as string | undefined) ?? '',
    };
  }
}

/** Upper half of the workload, lower half of the process. */
function ownerHash(owner: Owner | undefined): number {
  if (owner === undefined) return 0;
  const workload = Number(owner.cgroupId) ^ owner.uid;
  return (workload << 16) | (owner.pid & 0xffff);
}
