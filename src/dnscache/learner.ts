/** One answer into the graph: only what follows from its question, whatever else the message holds. */
import type { DnsEvent, DnsMessage, Lookup, ProcessIdentity, Question, ResourceRecord } from '../model.ts';
import { RCODES } from '../tables/rcodes.ts';
import { isAddressType, RR_TYPES } from '../tables/rrtypes.ts';
import type { Denial, Node, Tree } from './graph.ts';
import { addressOfReverseName, canonicalName } from './key.ts';
import { cachedQuestions, eachTarget, LINK, type LinkKind, lifetime, negativeLifetime } from './records.ts';
import type { Store } from './store.ts';

/** Records may come in any order (RFC 1034 section 3.7.1 promises none), but a chain of aliases is short. */
const MAX_PASSES = 8;
const MAX_DENIALS = 8;
/** Records looked at for one answer: one with many questions is not to take long. */
const MAX_TRIES = 8192;

export class Learner {
  /** Records whose owner nothing led to from the question: what a server adds on its own account is not believed. */
  unrelated = 0;
  readonly #store: Store;
  // Of the answer at hand. Fields, not a context object for each answer and closures for each record.
  #pid = 0;
  #startTime = 0n;
  #now = 0;
  #mark = 0;
  #tree!: Tree;
  #ownerText = '';
  #owner: Node | undefined;
  /** Of the last alias: the owner of the next record, most often. */
  #target: Node | undefined;
  #expires = 0;
  #lastExpiry = 0;
  #end!: Node;
  #type = 0;
  #tries = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Why nothing was learnt; undefined: something was. */
  learn(lookup: Lookup): string | undefined {
    const { response } = lookup;
    if (response === undefined) return 'unanswered';
    const questions = cachedQuestions(lookup);
    this.#now = Number(response.raw.time);
    this.#tries = MAX_TRIES;
    let reason: string | undefined = 'not-kept';
    let unrelated = response.message.answers;
    for (const question of questions) {
      const text = canonicalName(question.name);
      if (text === '') continue;
      this.#plant(text, lookup.process, lookup.request.raw);
      const left = this.#learnRecords(response.message);
      unrelated =
        unrelated.length === left.length ? left : unrelated.filter((record) => left.includes(record));
      // Of several questions an answer does not say which it denies.
      if (questions.length === 1) this.#learnDenial(response.message, question);
      const failure = this.#finish();
      if (reason !== undefined) reason = failure;
    }
    if (reason !== 'not-kept') this.unrelated += unrelated.length;
    return reason;
  }

  /** A further answer to a question that was answered: not believed, and what the first one taught is marked. */
  doubt(lookup: Lookup): string {
    for (const question of cachedQuestions(lookup)) this.#doubt(canonicalName(question.name), lookup);
    return 'conflicting';
  }

  #doubt(text: string, { request, process }: Lookup): void {
    const reversed = addressOfReverseName(text);
    const { networkNamespace } = request.raw;
    let node = this.#store.first(reversed ?? text, reversed !== undefined);
    for (; node !== undefined; node = node.next) {
      const { realm, tree } = node;
      if (tree === undefined || realm.networkNamespace !== networkNamespace) continue;
      if (realm.containerId === process.containerId) tree.isDoubted = true;
    }
  }

  #plant(text: string, process: ProcessIdentity, { networkNamespace, local, owner }: DnsEvent['raw']): void {
    const store = this.#store;
    const realm = store.realm(networkNamespace, process.containerId);
    const reversed = addressOfReverseName(text);
    const root = store.node(reversed ?? text, reversed !== undefined, realm);
    this.#tree = store.tree(root, text, owner ?? store.unknownOwner(networkNamespace, local.address));
    this.#pid = process.pid;
    this.#startTime = process.startTime;
    this.#mark = store.nextMark();
    root.mark = this.#mark;
    this.#end = root;
    this.#owner = undefined;
    this.#target = undefined;
    this.#lastExpiry = 0;
  }

  #finish(): string | undefined {
    const tree = this.#tree;
    if (this.#lastExpiry === 0) {
      // planted for this answer in vain; what other questions found out about the name stays
      if (tree.lastExpiry === 0) this.#store.uproot(tree);
      return 'nothing-kept';
    }
    tree.isDoubted = false;
    tree.tell(this.#pid, this.#startTime, this.#now, this.#lastExpiry);
    if (this.#lastExpiry > tree.lastExpiry) tree.lastExpiry = this.#lastExpiry;
    this.#store.tidy(tree, this.#now);
    return undefined;
  }

  /** @returns the answers that nothing led to */
  #learnRecords({ answers, additionals }: DnsMessage): readonly ResourceRecord[] {
    let waiting = answers;
    for (let pass = 0; pass < MAX_PASSES && waiting.length > 0 && this.#tries > 0; pass++) {
      const later: ResourceRecord[] = [];
      this.#tries -= waiting.length;
      for (const record of waiting) if (!this.#learnRecord(record)) later.push(record);
      if (later.length === waiting.length) break;
      waiting = later;
    }
    for (const record of additionals) if (isAddressType(record.type)) this.#learnRecord(record);
    return waiting;
  }

  /** False: nothing led to its owner (yet). */
  #learnRecord(record: ResourceRecord): boolean {
    const owner = this.#ownerOf(record.name);
    if (owner === undefined) return false;
    if (owner.denials !== undefined) undeny(owner, record.type);
    this.#expires = this.#now + lifetime(record);
    this.#type = record.type;
    eachTarget(record, this.#link);
    return true;
  }

  /** Records of one owner follow each other, and the decoder gives them one string. */
  #ownerOf(name: string): Node | undefined {
    if (this.#owner !== undefined && name === this.#ownerText) return this.#owner;
    const text = canonicalName(name);
    const { root, question } = this.#tree;
    const node = text === question ? root : this.#targetOr(text);
    if (node?.mark !== this.#mark) return undefined;
    this.#ownerText = name;
    this.#owner = node;
    return node;
  }

  #targetOr(text: string): Node | undefined {
    const target = this.#target;
    return target?.value === text ? target : this.#store.find(text, false, this.#tree.root.realm);
  }

  readonly #link = (kind: LinkKind, target: string): void => {
    const from = this.#owner as Node;
    if (target === from.value || (kind === LINK.address && from.isAddress)) return;
    const link = this.#store.link(this.#tree, from, target, kind, this.#now);
    if (link === undefined) return;
    link.tell(this.#pid, this.#startTime, this.#now, this.#expires);
    if (this.#expires > this.#lastExpiry) this.#lastExpiry = this.#expires;
    if (kind === LINK.address) return;
    link.to.mark = this.#mark;
    this.#target = link.to;
    if (this.#type === RR_TYPES.CNAME && from === this.#end) this.#end = link.to;
  };

  /** RFC 2308: of the name at the end of the chain of aliases. */
  #learnDenial(message: DnsMessage, { type }: Question): void {
    const isNxdomain = message.rcode === RCODES.NXDOMAIN;
    if (!isNxdomain && message.answers.some((record) => record.type === type)) return;
    if (!isNxdomain && type === RR_TYPES.ANY && message.answers.length > 0) return;
    const node = this.#end;
    const { question, root } = this.#tree;
    const kept = negativeLifetime(message, node === root ? question : node.value);
    if (kept === undefined) return;
    const [pid, startTime, at] = [this.#pid, this.#startTime, this.#now];
    const expires = at + kept;
    const denial: Denial = { pid, startTime, at, expires, isNxdomain, type, question };
    const others = (node.denials ?? []).filter(
      (other) => other.type !== type || other.pid !== pid || other.startTime !== startTime,
    );
    node.denials = [...others.slice(-(MAX_DENIALS - 1)), denial];
    if (expires > this.#lastExpiry) this.#lastExpiry = expires;
  }
}

/** A record proves that its owner exists, and has this type. */
function undeny(owner: Node, type: number): void {
  const left = owner.denials?.filter((denial) => !denial.isNxdomain && denial.type !== type) ?? [];
  owner.denials = left.length === 0 ? undefined : left;
}
