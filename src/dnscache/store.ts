/** Keeps the graph in bounds: nodes by value, trees in order of use. What is full, expired or unused goes here. */
import { FairBound, type Holder } from '../lib/fair-bound.ts';
import { Fairness, type HolderId } from '../lib/fairness.ts';
import { LinkedQueue } from '../lib/linked-queue.ts';
import { append, findLink, Link, Node, type Realm, Tree, type TreeShare } from './graph.ts';
import { LINK, type LinkKind } from './records.ts';

/** Links of one tree, and out of one node: a headless service of a thousand pods fits, a flood does not. */
export const MAX_LINKS = 1024;
/** Trees smaller than this keep their expired links: there is nothing to win. */
const SMALL_TREE = 16;
const FEW_LINKS = 8;
/** What has expired is kept so long: programs connect to addresses that they resolved a while ago. */
export const GRACE_NS = 600e9;
/** Trees looked at for expiry with each answer: more than come in. */
const SWEPT = 2;
/** Marks start anew here, below what V8 keeps as a small integer. */
const MAX_MARK = 1 << 29;

export interface StoreLimits {
  readonly trees: number;
  /** Roots and links of all trees. */
  readonly nodes: number;
}

interface CountedRealm extends Realm {
  nodes: number;
}

export class Store {
  /** Roots and links of all trees. */
  nodes = 0;
  /** Trees that gave way to others, and trees that went after all in them had expired. */
  evictions = 0;
  expirations = 0;
  /** Links that found no room. */
  refused = 0;
  readonly #limits: StoreLimits;
  readonly #mostLinks: number;
  readonly #names = new Map<string, Node>();
  readonly #addresses = new Map<string, Node>();
  readonly #trees = new LinkedQueue<Tree>();
  /** Trees by whom they were learnt for, with their nodes. */
  readonly #shares: FairBound<TreeShare>;
  readonly #fairness: Fairness;
  readonly #realms = new Map<string, Map<number, CountedRealm>>();
  #lastRealm: CountedRealm | undefined;
  #stamp = 0;
  #mark = 0;

  constructor(limits: StoreLimits, fairness = new Fairness()) {
    this.#limits = limits;
    this.#fairness = fairness;
    this.#shares = new FairBound(limits.nodes, fairness);
    this.#mostLinks = Math.min(MAX_LINKS, limits.nodes - 1);
  }

  unknownOwner(networkNamespace: number, address: string): HolderId {
    return this.#fairness.unknown(networkNamespace, address);
  }

  get trees(): number {
    return this.#trees.size;
  }

  /** Least recently used first. */
  *eachTree(): Generator<Tree> {
    for (let tree = this.#trees.oldest; tree !== undefined; tree = tree.newer) yield tree;
  }

  /** The first node of that value; `next` leads to those in other realms. */
  first(value: string, isAddress: boolean): Node | undefined {
    return (isAddress ? this.#addresses : this.#names).get(value);
  }

  find(value: string, isAddress: boolean, realm: Realm): Node | undefined {
    let node = this.first(value, isAddress);
    while (node !== undefined && node.realm !== realm) node = node.next;
    return node;
  }

  /** A node made here and given no link and no tree has to be dropped again. */
  node(value: string, isAddress: boolean, realm: Realm): Node {
    const first = this.first(value, isAddress);
    for (let node = first; node !== undefined; node = node.next) if (node.realm === realm) return node;
    const node = new Node(value, isAddress, realm);
    (realm as CountedRealm).nodes++;
    if (first === undefined) (isAddress ? this.#addresses : this.#names).set(value, node);
    else {
      node.next = first.next;
      first.next = node;
    }
    return node;
  }

  dropIfLoose(node: Node): void {
    if (!node.isLoose) return;
    const map = node.isAddress ? this.#addresses : this.#names;
    const first = map.get(node.value);
    if (first === node) {
      if (node.next === undefined) map.delete(node.value);
      else map.set(node.value, node.next);
    } else {
      let before = first;
      while (before !== undefined && before.next !== node) before = before.next;
      if (before === undefined) return; // dropped already, with the last of its links
      before.next = node.next;
    }
    const realm = node.realm as CountedRealm;
    if (--realm.nodes === 0) this.#dropRealm(realm);
  }

  realm(networkNamespace: number, containerId: string | undefined): Realm {
    const last = this.#lastRealm;
    if (last?.networkNamespace === networkNamespace && last.containerId === containerId) return last;
    const key = containerId ?? '';
    let realms = this.#realms.get(key);
    if (realms === undefined) {
      realms = new Map();
      this.#realms.set(key, realms);
    }
    let realm = realms.get(networkNamespace);
    if (realm === undefined) {
      realm = { networkNamespace, containerId, nodes: 0 };
      realms.set(networkNamespace, realm);
    }
    this.#lastRealm = realm;
    return realm;
  }

  #dropRealm(realm: CountedRealm): void {
    const key = realm.containerId ?? '';
    const realms = this.#realms.get(key);
    realms?.delete(realm.networkNamespace);
    if (realms?.size === 0) this.#realms.delete(key);
    if (this.#lastRealm === realm) this.#lastRealm = undefined;
  }

  /** A number no node is marked with, nor with the one after it. */
  nextMark(): number {
    this.#mark += 2;
    if (this.#mark >= MAX_MARK) {
      this.#mark = 2;
      for (const map of [this.#names, this.#addresses])
        for (const first of map.values())
          for (let node: Node | undefined = first; node !== undefined; node = node.next) node.mark = 0;
    }
    return this.#mark;
  }

  /** The tree of a question, now the most recently used. @param owner who asked */
  tree(root: Node, question: string, owner: HolderId): Tree {
    if (root.tree !== undefined) {
      this.touch(root.tree);
      this.#pass(root.tree, owner);
      return root.tree;
    }
    const tree = new Tree(root, question);
    root.tree = tree;
    tree.stamp = ++this.#stamp;
    this.#trees.push(tree);
    this.#shares.add(tree.share, this.#shares.holderOf(owner));
    this.nodes++;
    return tree;
  }

  /** Who has more gains nothing by having asked first: the tree goes on to the one who has less. */
  #pass({ share }: Tree, owner: HolderId): void {
    const before = share.holder;
    if (before === undefined || before.owner === owner) return;
    const holder = this.#shares.holderOf(owner);
    const weight = share.heldWeight;
    if (!hasMore(before, holder, weight)) return;
    this.#shares.remove(share);
    this.#shares.add(share, holder, weight);
  }

  touch(tree: Tree): void {
    if (tree.stamp === this.#stamp) return;
    tree.stamp = ++this.#stamp;
    this.#trees.remove(tree);
    this.#trees.push(tree);
    this.#shares.touch(tree.share);
  }

  /** Trees used together keep their order. */
  touchAll(trees: Tree[]): void {
    if (trees.length > 1) trees.sort((a, b) => a.stamp - b.stamp);
    for (const tree of trees) this.touch(tree);
  }

  /** The link between these in the tree. undefined: no room, counted. `now` is the time of the answer that says so. */
  link(tree: Tree, from: Node, value: string, kind: LinkKind, now: number): Link | undefined {
    const isAddress = kind === LINK.address;
    let link = this.#known(from, value, kind);
    if (link !== undefined && tree.has(link)) return link;
    const place = this.#place(tree, now);
    const before = place === undefined ? undefined : tree.links[place];
    const isFull = link === undefined && from.out.length >= this.#mostLinks;
    if (place === undefined || (isFull && (before?.from !== from || before.trees > 1))) {
      this.refused++;
      return undefined;
    }
    link ??= new Link(from, this.node(value, isAddress, from.realm), kind);
    link.tree ??= tree;
    link.trees++;
    if (before === undefined) tree.links = append(tree.links, link);
    else tree.links[place] = link;
    tree.hand = tree.hand + 1 >= tree.links.length ? 0 : tree.hand + 1;
    if (before === undefined) {
      this.nodes++;
      this.#shares.resize(tree.share, tree.share.heldWeight + 1);
    }
    if (before !== undefined) this.#release(before, tree);
    return link;
  }

  /** Few links are looked through faster than the index; it is most of the cost of an answer that was seen before. */
  #known(from: Node, value: string, kind: LinkKind): Link | undefined {
    const { out } = from;
    if (out.length <= FEW_LINKS) {
      for (const link of out) if (link.kind === kind && link.to.value === value) return link;
      return undefined;
    }
    const to = this.find(value, kind === LINK.address, from.realm);
    return to === undefined ? undefined : findLink(from, to, kind);
  }

  /** Where a new link of the tree goes: in place of the next in turn if that is long expired, or if there is no other room. */
  #place(tree: Tree, now: number): number | undefined {
    const { links, hand } = tree;
    const next = links[hand];
    if (next === undefined || links.length < Math.min(SMALL_TREE, this.#mostLinks)) return links.length;
    if (next.expires + GRACE_NS <= now) return hand;
    if (links.length < this.#mostLinks) return links.length;
    // what the same answer brought stays: a flood of records drives out nothing but itself
    return next.at === now ? undefined : hand;
  }

  #release(link: Link, tree: Tree): void {
    if (link.tree === tree) link.tree = undefined;
    if (--link.trees > 0) return;
    link.cut();
    this.dropIfLoose(link.from);
    this.dropIfLoose(link.to);
  }

  remove(tree: Tree): void {
    tree.root.denials = undefined;
    this.uproot(tree);
  }

  /** But what is denied of its root stays, if that does. */
  uproot(tree: Tree): void {
    const { root } = tree;
    root.tree = undefined;
    this.#trees.remove(tree);
    this.#shares.remove(tree.share);
    this.nodes -= 1 + tree.links.length;
    for (const link of tree.links) this.#release(link, tree);
    this.dropIfLoose(root);
  }

  /** After an answer to `current`: long expired trees go, and as many as are too many. */
  tidy(current: Tree, now: number): void {
    for (let i = 0; i < SWEPT; i++) {
      const oldest = this.#trees.oldest;
      if (oldest === undefined || oldest === current || oldest.lastExpiry + GRACE_NS > now) break;
      this.expirations++;
      this.remove(oldest);
    }
    while (this.trees > this.#limits.trees || this.nodes > this.#limits.nodes) {
      const tree = this.#next(current);
      if (tree === undefined) break;
      if (tree.lastExpiry <= now) this.expirations++;
      else {
        this.evictions++;
        if (tree.share.holder !== undefined) this.#fairness.gaveWay(tree.share.holder.owner, 'dnscache_full');
      }
      this.remove(tree);
    }
  }

  /** Who gives way: the least recently used of who has most. */
  #next(current: Tree): Tree | undefined {
    const tree = this.#shares.largest()?.tree;
    if (tree !== undefined && tree !== current) return tree;
    const { oldest } = this.#trees;
    return oldest === current ? undefined : oldest;
  }
}

/** Whether the first one's share is the bigger by more than `weight`, at the level at which they differ: workload, user or process. */
function hasMore(first: Holder, second: Holder, weight: number): boolean {
  let [a, b] = [first, second];
  while (a.parent !== undefined && b.parent !== undefined && a.parent !== b.parent)
    [a, b] = [a.parent, b.parent];
  return a !== b && a.weight > b.weight + weight;
}
