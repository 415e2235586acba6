/** The DNS cache: names and addresses learnt from the answers that were seen, asked by name or address. */
import { wallClock } from '../lib/clock.ts';
import type { Fairness } from '../lib/fairness.ts';
import type { Lookup } from '../model.ts';
import { DEFAULT_TREES, NODES_PER_TREE } from '../tables/options-dnscache.ts';
import { DataNotFound, type DnsCacheAnswer, type NegativeAnswer, type NotFound } from './answer.ts';
import type { Link, Node, Realm, Tree } from './graph.ts';
import { canonicalName, type Key, parseKey } from './key.ts';
import { Learner } from './learner.ts';
import { type Learnt, learntOf } from './learnt.ts';
import { LINK } from './records.ts';
import { HOST_SCOPE, type Scope } from './scope.ts';
import { Store } from './store.ts';
import { Walk } from './walk.ts';

/** Names given for one address, and links looked at for them: what asks at every connection must not pay for a flood. */
const MAX_NAMES = 16;
const MAX_LINKS_SEEN = 4096;

export interface DnsCacheOptions {
  /** Questions remembered; default 5000. */
  readonly trees?: number;
  /** Questions and what their answers led to, in all; default 16 a tree. */
  readonly nodes?: number;
  /** Unix ns; default the host's clock. */
  readonly now?: () => bigint;
  readonly fairness?: Fairness | undefined;
}

/** What an address was resolved from. */
export interface AddressName {
  /** Names that led to the address: the question first, at most 16. */
  readonly names: readonly string[];
  /** The question answered last that led to it. */
  readonly root: string;
  /** Unix ns: of that answer. `expiresAt` may be past. */
  readonly answeredAt: bigint;
  readonly expiresAt: bigint;
  readonly scope: Scope;
}

export interface DnsCacheStats {
  readonly trees: number;
  readonly nodes: number;
  readonly hits: number;
  readonly negativeHits: number;
  readonly expiredMisses: number;
  readonly misses: number;
  readonly evictions: number;
  readonly expirations: number;
  /** Answers that something was learnt from, and that nothing was, by reason. */
  readonly learnt: number;
  readonly left: Readonly<Record<string, number>>;
  /** Records without a connection to the question, and links that found no room. */
  readonly unrelated: number;
  readonly refused: number;
}

/** One question with what its answers led to; times are Unix ns. */
export interface DnsCacheTree {
  readonly question: string;
  readonly networkNamespace: number;
  readonly containerId: string | undefined;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly answeredAt: bigint;
  /** Of the last answer. */
  readonly expiresAt: bigint;
  /** Its last lookup got two answers that differ; what is here is of the first. */
  readonly conflicting?: true;
}

export class DnsCache {
  readonly #store: Store;
  readonly #learner: Learner;
  readonly #now: () => bigint;
  #hits = 0;
  #negativeHits = 0;
  #expiredMisses = 0;
  #misses = 0;
  #learnt = 0;
  readonly #left = new Map<string, number>();

  constructor({
    trees = DEFAULT_TREES,
    nodes = trees * NODES_PER_TREE,
    now = wallClock,
    fairness,
  }: DnsCacheOptions = {}) {
    if (!(trees >= 1 && nodes >= 2))
      throw new RangeError('a cache has room for at least one tree and two nodes');
    this.#store = new Store({ trees, nodes }, fairness);
    this.#learner = new Learner(this.#store);
    this.#now = now;
  }

  /**
   * Learns from the answer, if the lookup has one. A further answer that says something else teaches nothing: what the first one
   * taught is marked, until the question is answered again.
   */
  add(lookup: Lookup): void {
    const isConflict = lookup.conflictsWith !== undefined;
    const reason = isConflict ? this.#learner.doubt(lookup) : this.#learner.learn(lookup);
    if (reason === undefined) this.#learnt++;
    else this.#left.set(reason, (this.#left.get(reason) ?? 0) + 1);
  }

  /**
   * What the key leads to and what leads to it. `key`: a domain name, an IPv4 or IPv6 address in any textual form, or its
   * name under in-addr.arpa or ip6.arpa.
   * @param at Unix ns at which it is asked; default now
   * @throws DataNotFound (with `negative` where it is known that there is nothing)
   * @throws KeyNotSupported
   */
  get(key: string, scope: Scope = HOST_SCOPE, at?: bigint): DnsCacheAnswer {
    const answer = this.find(key, scope, at);
    if ('found' in answer) throw new DataNotFound(key, answer);
    return answer;
  }

  /** The same without an exception for what is not there. @throws KeyNotSupported */
  find(key: string, scope: Scope = HOST_SCOPE, at?: bigint): DnsCacheAnswer | NotFound {
    const walks = this.#walks(this.#first(key), scope, Number(at ?? this.#now()));
    const [only] = walks;
    let walk = only;
    if (walks.length > 1) walk = Walk.merged(walks, scope);
    const negative = negativeOf(walks);
    if (walk === undefined || walk.links === 0) return this.#notFound(walks, negative);
    this.#hits++;
    this.#store.touchAll(walk.roots);
    const { addresses, names } = walk;
    const root = walk.root();
    const answer = {
      ip_addresses: addresses,
      dns_queries: names,
      dns_root: root?.question ?? names[0] ?? '',
      ...(root?.isDoubted === true ? { conflicting: true as const } : {}),
    };
    return negative !== undefined && addresses.length === 0 ? { ...answer, negative } : answer;
  }

  /** Who was told so, also where it has expired since. Not a use of it. @throws KeyNotSupported */
  learnt(key: string, scope: Scope = HOST_SCOPE): Learnt[] {
    const found: Learnt[] = [];
    const store = this.#store;
    for (let node = this.#first(key); node !== undefined; node = node.next)
      if (isIn(node.realm, scope)) found.push(...learntOf(node, scope, [store.nextMark(), store.nextMark()]));
    return found;
  }

  #notFound(walks: readonly Walk[], negative: NotFound['negative']): NotFound {
    const expired = walks.some((walk) => walk.expired);
    if (negative !== undefined) {
      this.#negativeHits++;
      this.#store.touchAll(walks.flatMap((walk) => walk.roots));
    } else if (expired) this.#expiredMisses++;
    else this.#misses++;
    return { found: false, expired, negative };
  }

  /** Names and addresses as they are kept are found at once; else the key is brought into that form. */
  #first(key: string): Node | undefined {
    const store = this.#store;
    if (typeof key === 'string' && isPlain(key)) {
      const node = store.first(key, isDigit(key.charCodeAt(key.length - 1)));
      if (node !== undefined) return node;
    }
    const { text, isAddress }: Key = parseKey(key);
    return store.first(text, isAddress);
  }

  /** One for each realm in the scope that has the value. */
  #walks(first: Node | undefined, scope: Scope, now: number): Walk[] {
    const walks: Walk[] = [];
    for (let node = first; node !== undefined; node = node.next) {
      if (!isIn(node.realm, scope)) continue;
      const walk = new Walk(scope, now);
      walk.start(node, this.#store.nextMark());
      walks.push(walk);
    }
    return walks;
  }

  /**
   * What the address was resolved from, by A and AAAA answers and address hints alone: what its owner calls it (PTR) is
   * no evidence. The first scope counts in which there is an answer, expired or not: a program may connect long after it asked.
   */
  nameOf(address: string, at: bigint, scopes: readonly Scope[]): AddressName | undefined {
    const first = this.#store.first(address, true) ?? this.#first(address);
    if (first?.isAddress !== true) {
      this.#misses++;
      return undefined;
    }
    for (const scope of scopes) {
      const links = linksTo(first, scope);
      if (links.length > 0) return this.#nameBy(links, scope, Number(at));
    }
    this.#misses++;
    return undefined;
  }

  /** @param links those answered last first */
  #nameBy(links: readonly TellingLink[], scope: Scope, now: number): AddressName {
    const [best] = links as [TellingLink];
    if (best.told.expires > now) this.#hits++;
    else this.#expiredMisses++;
    const asked = this.#origin(best.link, scope);
    if (asked !== undefined) this.#store.touch(asked);
    const names = new Set<string>();
    for (const { link, told } of links) {
      if (link !== best.link && told.expires <= now) continue;
      const root = this.#origin(link, scope);
      if (root !== undefined) names.add(root.question);
      names.add(link.from.value);
      if (names.size >= MAX_NAMES) break;
    }
    return {
      names: [...names].slice(0, MAX_NAMES),
      root: asked?.question ?? best.link.from.value,
      answeredAt: BigInt(best.told.at),
      expiresAt: BigInt(best.told.expires),
      scope,
    };
  }

  /** The question that led to this link last, in bounded steps; expired aliases count, as the address may be in use still. */
  #origin(link: Link, scope: Scope): Tree | undefined {
    const mark = this.#store.nextMark();
    const queue = [link.from];
    link.from.mark = mark;
    let best: Tree | undefined;
    let bestAt = -1;
    for (let i = 0; i < queue.length && i < MAX_NAMES; i++) {
      const node = queue[i] as Node;
      const told = node.tree?.toldTo(scope);
      if (told !== undefined && told.at > bestAt) {
        best = node.tree;
        bestAt = told.at;
      }
      for (const { from, kind } of node.in.slice(-MAX_NAMES)) {
        if (kind !== LINK.name || from.mark === mark || from.isAddress) continue;
        from.mark = mark;
        queue.push(from);
      }
    }
    return best;
  }

  /**
   * The most recently used first.
   * @param under only questions of this domain: the name itself and all below it
   */
  list(limit = Number.POSITIVE_INFINITY, under = ''): DnsCacheTree[] {
    const domain = canonicalName(under);
    const trees = [...this.#store.eachTree()]
      .filter(({ question }) => domain === '' || question === domain || question.endsWith(`.${domain}`))
      .reverse()
      .slice(0, limit);
    return trees.map(({ question, root, links, at, expires, isDoubted }) => ({
      question,
      networkNamespace: root.realm.networkNamespace,
      containerId: root.realm.containerId,
      names: [...new Set(links.filter(({ to }) => !to.isAddress).map(({ to }) => to.value))],
      addresses: [...new Set(links.filter(({ to }) => to.isAddress).map(({ to }) => to.value))],
      answeredAt: BigInt(at),
      expiresAt: BigInt(expires),
      ...(isDoubted ? { conflicting: true as const } : {}),
    }));
  }

  stats(): DnsCacheStats {
    const { trees, nodes, evictions, expirations, refused } = this.#store;
    return {
      trees,
      nodes,
      hits: this.#hits,
      negativeHits: this.#negativeHits,
      expiredMisses: this.#expiredMisses,
      misses: this.#misses,
      evictions,
      expirations,
      learnt: this.#learnt,
      left: Object.fromEntries(this.#left),
      unrelated: this.#learner.unrelated,
      refused,
    };
  }
}

interface TellingLink {
  readonly link: Link;
  readonly told: { readonly at: number; readonly expires: number };
}

/** The links that lead to the address in the scope, those answered last first. */
function linksTo(first: Node, scope: Scope): TellingLink[] {
  const found: TellingLink[] = [];
  for (let node: Node | undefined = first; node !== undefined; node = node.next) {
    if (!isIn(node.realm, scope)) continue;
    for (let i = node.in.length - 1; i >= 0 && i >= node.in.length - MAX_LINKS_SEEN; i--) {
      const link = node.in[i] as Link;
      const told = link.kind === LINK.address ? link.toldTo(scope) : undefined;
      if (told !== undefined) found.push({ link, told });
    }
  }
  return found.length > 1 ? found.sort((a, b) => b.told.at - a.told.at) : found;
}

/** That the name does not exist in one realm outweighs that it lacks a type in another one. */
function negativeOf(walks: readonly Walk[]): NegativeAnswer | undefined {
  let found: NegativeAnswer | undefined;
  for (const walk of walks) {
    const negative = walk.denials.length === 0 ? undefined : walk.negative();
    if (negative !== undefined && (found === undefined || negative.rcode === 'NXDOMAIN')) found = negative;
  }
  return found;
}

/** An id may be cut to its first 12 digits or more, as runtimes show it. */
function isContainer(id: string | undefined, asked: string): boolean {
  return id === asked || (asked.length >= 12 && id?.startsWith(asked) === true);
}

function isIn(realm: Realm, scope: Scope): boolean {
  if (scope.kind === 'container') return isContainer(realm.containerId, scope.containerId);
  if (scope.kind === 'network-namespace') return realm.networkNamespace === scope.networkNamespace;
  return true;
}

/** Where it is in the cache as it stands, it is what is meant: other forms of addresses are no keys of nodes. */
function isPlain(key: string): boolean {
  return isDigit(key.charCodeAt(key.length - 1)) || !(key.endsWith('arpa') || key.includes(':'));
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
