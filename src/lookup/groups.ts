/**
 * Which lookups are one look-up of the program: a stub resolver asks several servers at once (musl, res_msend.c), or the next one
 * when one fails or is silent (glibc, res_send.c; Go; c-ares). Each server asked is a lookup; those of one look-up share an id, and
 * the first whose answer the program could use is the final one. The id is that of none of the records: a UUID of its own.
 *
 * A lookup that is answered well and alone, as most are, has no id and costs an entry in an index. One that failed has an
 * id, since the next server may be asked later; it is remembered for a while.
 *
 * Who belongs together is not said in the messages. Lookups of one process and question to different servers do when they have one
 * message id or one thread, or when the later one began after the other had failed or waited for WAITED_NS.
 */
import type { Message } from '../dns/message.ts';
import { hashAddress } from '../lib/address-words.ts';
import { RecentKeys } from '../lib/recent-keys.ts';
import { putUuidV7, UUID_BYTES } from '../lib/uuid.ts';
import { RCODES } from '../tables/rcodes.ts';
import type { Envelope } from './envelope.ts';
import { FIELD, FIELD_BITS } from './fields.ts';
import { isSameProcess, mix, serverKey } from './keys.ts';
import { SLOT, SLOT_WORDS, type Slab } from './slab.ts';
import { SlotIndex } from './slot-index.ts';
import type { LookupView } from './view.ts';

/** Open lookups of one process and question that are looked at, the youngest first. */
const MAX_CANDIDATES = 4;
/** Lookups of one look-up that are told when one of them is final. */
const MAX_MEMBERS = 1024;
/** Resolvers ask the next server after a second or more (c-ares 2 s, musl 2.5 s, glibc and Go 5 s). */
const WAITED_NS = 1_000_000_000;
/** A failed lookup is remembered so long: the next server is asked at once. */
const FAILED_NS = 10_000_000_000;
/** A look-up takes no longer: glibc asks three servers twice for 5 s each. What comes later is another one. */
const LOOK_UP_NS = 30_000_000_000;
const FAILED_SLOTS = 4096;
/** TC (RFC 1035 section 4.1.1): over UDP the program asks again by TCP. */
const TRUNCATED = 0x0200;

const GROUPED = 1;
const SETTLED = 2;

/** Words of a failed lookup. */
const ID = 0;
const THREAD = 1;
const SERVER = 2;
const FIRST_SERVER = 3;
const CUT = 4;
const WORDS = 5;

export class Groups {
  readonly #slab: Slab;
  readonly #byQuestion: SlotIndex;
  readonly #bits: Uint8Array;
  readonly #uids: Uint8Array;
  readonly #servers: Int32Array;
  /** Server that the look-up asked first, and when, ns of the clock of requests in flight. */
  readonly #firstServers: Int32Array;
  readonly #began: Float64Array;
  readonly #sent: Float64Array;
  readonly #keys: Int32Array;
  readonly #failed = new RecentKeys(FAILED_SLOTS);
  readonly #failedWords = new Int32Array(FAILED_SLOTS * WORDS);
  readonly #failedUids = new Uint8Array(FAILED_SLOTS * UUID_BYTES);
  readonly #failedBegan = new Float64Array(FAILED_SLOTS);
  readonly #failedAt = new Float64Array(FAILED_SLOTS).fill(Number.NEGATIVE_INFINITY);
  #lastFailure = Number.NEGATIVE_INFINITY;

  readonly #isSameQuestion: (slot: number, message: Message) => boolean;

  /** ns of a clock that never goes back, of whoever calls: in an array, since a number that is handed over makes an object. */
  readonly #clock: Float64Array;

  /** @param isSameQuestion whether the lookup in a slot asks what the message asks */
  constructor(slab: Slab, clock: Float64Array, isSameQuestion: (slot: number, message: Message) => boolean) {
    const { capacity } = slab;
    this.#slab = slab;
    this.#clock = clock;
    this.#isSameQuestion = isSameQuestion;
    this.#byQuestion = new SlotIndex(capacity);
    this.#bits = new Uint8Array(capacity);
    this.#uids = new Uint8Array(capacity * UUID_BYTES);
    this.#servers = new Int32Array(capacity);
    this.#firstServers = new Int32Array(capacity);
    this.#began = new Float64Array(capacity);
    this.#sent = new Float64Array(capacity);
    this.#keys = new Int32Array(capacity);
  }

  /**
   * A lookup begins.
   * @param question hash of the first question
   */
  begin(slot: number, raw: Envelope, message: Message, question: number): void {
    const now = this.#now();
    const key = mix(question, askerOf(raw));
    const server = serverKey(raw, raw.has(FIELD_BITS.DIALED) ? FIELD.DIALED : FIELD.REMOTE);
    this.#bits[slot] = 0;
    this.#keys[slot] = key;
    this.#servers[slot] = server;
    this.#firstServers[slot] = server;
    this.#began[slot] = now;
    this.#sent[slot] = now;
    const other = this.#openOther(slot, raw, message);
    if (other >= 0) this.#join(slot, other);
    else if (now - this.#lastFailure < FAILED_NS) this.#joinFailed(slot, raw);
    this.#byQuestion.add(key, slot);
  }

  /** A lookup ends as the view shows it: says there what is known of its look-up. */
  finish(slot: number, view: LookupView): void {
    this.#byQuestion.remove(slot);
    const bits = this.#bits[slot] as number;
    const isUsable = isUsableAnswer(view);
    const isFailed = !isUsable && view.outcome !== 'sent';
    view.isFinal = isUsable && bits === GROUPED;
    view.hasLookupId = isFailed || (bits & GROUPED) !== 0;
    if (!view.hasLookupId) return;
    if (bits === 0) this.#name(slot);
    copyUid(this.#uids, slot, view.lookupId, 0);
    if (view.isFinal) this.#settle(slot, view.request.raw);
    else if (isFailed) this.#remember(slot, view);
  }

  #now(): number {
    return this.#clock[0] as number;
  }

  /** The youngest open lookup of the same look-up at another server; -1: none. */
  #openOther(slot: number, raw: Envelope, message: Message): number {
    const now = this.#now();
    const { words, owners } = this.#slab;
    const id = words[slot * SLOT_WORDS + SLOT.ID];
    const key = this.#keys[slot] as number;
    let looked = 0;
    for (let other = this.#byQuestion.last(key); other >= 0; other = this.#byQuestion.before(other)) {
      if (looked++ === MAX_CANDIDATES) break;
      const asker = owners[other];
      if (this.#servers[other] === this.#servers[slot] || !isSameProcess(asker, raw.owner)) continue;
      const isTogether =
        words[other * SLOT_WORDS + SLOT.ID] === id ||
        (asker !== undefined && asker.tid === raw.owner?.tid) ||
        now - (this.#sent[other] as number) >= WAITED_NS;
      const isYoung = now - (this.#began[other] as number) < LOOK_UP_NS;
      if (isTogether && isYoung && this.#isSameQuestion(other, message)) return other;
    }
    return -1;
  }

  #join(slot: number, other: number): void {
    if (this.#bits[other] === 0) this.#name(other);
    this.#bits[slot] = this.#bits[other] as number;
    copyUid(this.#uids, other, this.#uids, slot);
    this.#firstServers[slot] = this.#firstServers[other] as number;
    this.#began[slot] = this.#began[other] as number;
  }

  /** The lookup has an id from now on. */
  #name(slot: number): void {
    this.#bits[slot] = GROUPED;
    putUuidV7(this.#uids, slot * UUID_BYTES, Date.now());
  }

  #joinFailed(slot: number, raw: Envelope): void {
    const now = this.#now();
    const failed = this.#find(slot, raw);
    if (failed < 0 || now - (this.#failedAt[failed] as number) >= FAILED_NS) return;
    if (now - (this.#failedBegan[failed] as number) >= LOOK_UP_NS) return;
    const words = this.#failedWords;
    const at = failed * WORDS;
    const server = this.#servers[slot] as number;
    const isSameId = words[at + ID] === this.#slab.words[slot * SLOT_WORDS + SLOT.ID];
    const isSameThread = words[at + THREAD] === (raw.owner?.tid ?? 0);
    // The same server again with another id is a new look-up, unless the answer did not fit a datagram.
    const isNext = words[at + SERVER] !== server && words[at + FIRST_SERVER] !== server;
    const isByTcp = words[at + CUT] === 1 && raw.has(FIELD_BITS.TCP) && words[at + SERVER] === server;
    if (!isNext && !isByTcp && !(isSameId && isSameThread)) return;
    this.#bits[slot] = GROUPED;
    copyUid(this.#failedUids, failed, this.#uids, slot);
    this.#firstServers[slot] = words[at + FIRST_SERVER] as number;
    this.#began[slot] = this.#failedBegan[failed] as number;
  }

  /** The failed lookup of this asker and question that is remembered; -1: none. */
  #find(slot: number, raw: Envelope): number {
    const key = this.#keys[slot] as number;
    return this.#failed.find(key, secondKey(key, raw));
  }

  #remember(slot: number, { request, answer, hasResponse }: LookupView): void {
    const now = this.#now();
    const key = this.#keys[slot] as number;
    const { owner } = request.raw;
    const workload = owner === undefined ? 0 : Number(owner.cgroupId & 0xffffn) << 16;
    const failed = this.#failed.set(
      key,
      secondKey(key, request.raw),
      workload | (askerOf(request.raw) & 0xffff),
    );
    const at = failed * WORDS;
    const isCut = hasResponse && (answer.message.flags & TRUNCATED) !== 0;
    this.#failedWords[at + ID] = request.message.id;
    this.#failedWords[at + THREAD] = owner?.tid ?? 0;
    this.#failedWords[at + SERVER] = this.#servers[slot] as number;
    this.#failedWords[at + FIRST_SERVER] = this.#firstServers[slot] as number;
    this.#failedWords[at + CUT] = isCut ? 1 : 0;
    copyUid(this.#uids, slot, this.#failedUids, failed);
    this.#failedBegan[failed] = this.#began[slot] as number;
    this.#failedAt[failed] = now;
    this.#lastFailure = now;
  }

  /** The program has its answer: those of the same look-up that come later are not final, and what failed before is forgotten. */
  #settle(slot: number, raw: Envelope): void {
    const key = this.#keys[slot] as number;
    let looked = 0;
    for (let other = this.#byQuestion.last(key); other >= 0; other = this.#byQuestion.before(other)) {
      if (looked++ === MAX_MEMBERS) break;
      if (isSameUid(this.#uids, slot, this.#uids, other)) this.#bits[other] = GROUPED | SETTLED;
    }
    const failed = this.#find(slot, raw);
    if (failed >= 0 && isSameUid(this.#uids, slot, this.#failedUids, failed))
      this.#failedAt[failed] = Number.NEGATIVE_INFINITY;
  }
}

/** Who asks: a process, in a capture file an address. */
function askerOf({ owner, words, at }: Envelope): number {
  return owner === undefined ? hashAddress(words, at + FIELD.LOCAL) : owner.pid;
}

function secondKey(key: number, { owner, words, at }: Envelope): number {
  return mix(key, owner === undefined ? (words[at + FIELD.NETWORK_NAMESPACE] as number) : owner.uid);
}

/** A program takes an answer that says what there is, or that there is nothing; one that did not fit it asks for again. */
function isUsableAnswer({ hasResponse, answer, request }: LookupView): boolean {
  if (!hasResponse) return false;
  const { rcode, flags } = answer.message;
  if (rcode !== RCODES.NOERROR && rcode !== RCODES.NXDOMAIN) return false;
  return (flags & TRUNCATED) === 0 || request.raw.has(FIELD_BITS.TCP);
}

function copyUid(from: Uint8Array, slot: number, to: Uint8Array, toSlot: number): void {
  for (let i = 0; i < UUID_BYTES; i++) to[toSlot * UUID_BYTES + i] = from[slot * UUID_BYTES + i] as number;
}

function isSameUid(a: Uint8Array, slot: number, b: Uint8Array, other: number): boolean {
  for (let i = 0; i < UUID_BYTES; i++)
    if (a[slot * UUID_BYTES + i] !== b[other * UUID_BYTES + i]) return false;
  return true;
}
