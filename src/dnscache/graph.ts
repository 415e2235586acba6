/**
 * Names and addresses as a graph, one for each realm (network namespace and container), held together by query trees.
 *
 * A tree is what the answers to one question led to: its root node and the links of those answers. A link that several trees
 * have in common is one object and stays as long as one of them does. A node exists as long as it has a link or is a root.
 */
import { Holding } from '../lib/fair-bound.ts';
import type { Linked } from '../lib/linked-queue.ts';
import type { LinkKind } from './records.ts';
import type { Scope } from './scope.ts';

/** Processes remembered for one link or question, the one that was answered last included. */
const MAX_ASKERS = 16;

/** Answers do not cross it: what a container was told says nothing about what another one would be. */
export interface Realm {
  readonly networkNamespace: number;
  readonly containerId: string | undefined;
}

/** Who was told what when. Times are Unix ns as a number: exact to 256 ns, and no allocation to compare them. */
export interface Telling {
  readonly pid: number;
  readonly startTime: bigint;
  readonly at: number;
  readonly expires: number;
}

/** Something that processes of a realm were told: the last telling in fields, those to other processes in a list. */
export abstract class Told {
  pid = -1;
  startTime = 0n;
  at = 0;
  expires = 0;
  #others: Telling[] | undefined = undefined;

  tell(pid: number, startTime: bigint, at: number, expires: number): void {
    if (this.pid !== pid || this.startTime !== startTime) {
      if (this.pid !== -1) this.#keep(pid, startTime);
      this.pid = pid;
      this.startTime = startTime;
    }
    this.at = at;
    this.expires = expires;
  }

  /** What counts in the scope, which the realm is known to be in; undefined: nobody in it was told. */
  toldTo(scope: Scope): Telling | undefined {
    if (scope.kind !== 'process' || isProcess(this, scope)) return this;
    return this.#others?.findLast((telling) => isProcess(telling, scope));
  }

  /** The last telling joins the others, from which the one to this process goes. */
  #keep(pid: number, startTime: bigint): void {
    const last = { pid: this.pid, startTime: this.startTime, at: this.at, expires: this.expires };
    if (this.#others === undefined) {
      this.#others = [last];
      return;
    }
    const known = this.#others.findIndex((other) => other.pid === pid && other.startTime === startTime);
    if (known >= 0) this.#others.splice(known, 1);
    else if (this.#others.length >= MAX_ASKERS - 1) this.#others.shift();
    this.#others.push(last);
  }
}

function isProcess(
  told: { readonly pid: number; readonly startTime: bigint },
  scope: Extract<Scope, { kind: 'process' }>,
): boolean {
  return told.pid === scope.pid && (scope.startTime === undefined || told.startTime === scope.startTime);
}

/** Never written to: see `append`. */
const NONE: Link[] = [];

/** A list with one more. Pushing to an empty array reserves 17 places (V8); most lists stay at one or two. */
export function append(list: Link[], link: Link): Link[] {
  const [first, second] = list;
  if (first === undefined) return [link];
  if (second === undefined) return [first, link];
  if (list.length < 8) return list.concat(link);
  list.push(link);
  return list;
}

export class Node {
  readonly value: string;
  readonly isAddress: boolean;
  readonly realm: Realm;
  /** The node of the same value in another realm. */
  next: Node | undefined = undefined;
  out: Link[] = NONE;
  in: Link[] = NONE;
  /** It was asked for itself. */
  tree: Tree | undefined = undefined;
  denials: Denial[] | undefined = undefined;
  /** Walks and answers mark what they have been at with a number of their own. */
  mark = 0;

  constructor(value: string, isAddress: boolean, realm: Realm) {
    this.value = value;
    this.isAddress = isAddress;
    this.realm = realm;
  }

  get isLoose(): boolean {
    return this.out.length === 0 && this.in.length === 0 && this.tree === undefined;
  }
}

export class Link extends Told {
  readonly from: Node;
  readonly to: Node;
  readonly kind: LinkKind;
  /** Places in `from.out` and `to.in`. */
  outPlace = 0;
  inPlace = 0;
  /** One of the trees that have it, and how many do. */
  tree: Tree | undefined = undefined;
  trees = 0;

  constructor(from: Node, to: Node, kind: LinkKind) {
    super();
    this.from = from;
    this.to = to;
    this.kind = kind;
    this.outPlace = from.out.length;
    this.inPlace = to.in.length;
    from.out = append(from.out, this);
    to.in = append(to.in, this);
  }

  /** Leaves both nodes, in constant time. */
  cut(): void {
    const { from, to } = this;
    const lastOut = from.out.pop() as Link;
    if (lastOut !== this) {
      from.out[this.outPlace] = lastOut;
      lastOut.outPlace = this.outPlace;
    }
    const lastIn = to.in.pop() as Link;
    if (lastIn !== this) {
      to.in[this.inPlace] = lastIn;
      lastIn.inPlace = this.inPlace;
    }
  }
}

/** Between these nodes, if there is one. The shorter list is looked through: only a hostile pair of nodes has two long ones. */
export function findLink(from: Node, to: Node, kind: LinkKind): Link | undefined {
  if (from.out.length <= to.in.length) {
    for (const link of from.out) if (link.to === to && link.kind === kind) return link;
  } else {
    for (const link of to.in) if (link.from === from && link.kind === kind) return link;
  }
  return undefined;
}

/** "There is nothing": to whom, for which type. */
export interface Denial extends Telling {
  /** NXDOMAIN: there is nothing of any type. */
  readonly isNxdomain: boolean;
  readonly type: number;
  /** The question of the answer. */
  readonly question: string;
}

/** What a tree is of somebody's share of the cache. */
export class TreeShare extends Holding {
  readonly tree: Tree;

  constructor(tree: Tree) {
    super();
    this.tree = tree;
  }
}

export class Tree extends Told implements Linked<Tree> {
  newer: Tree | undefined = undefined;
  older: Tree | undefined = undefined;
  readonly share = new TreeShare(this);
  readonly root: Node;
  /** As text: of a node that is an address the reverse name. */
  readonly question: string;
  links: Link[] = NONE;
  /** When the last of all that it ever held expires. */
  lastExpiry = 0;
  /** Its last lookup got a further answer that says something else. */
  isDoubted = false;
  /** Order of use. */
  stamp = 0;
  /** The next link to give way to a new one. */
  hand = 0;
  /** Where the last search ended: answers repeat in order. */
  #hint = 0;

  constructor(root: Node, question: string) {
    super();
    this.root = root;
    this.question = question;
  }

  has(link: Link): boolean {
    if (link.tree === this) return true;
    if (link.tree !== undefined && link.trees === 1) return false;
    const { links } = this;
    for (let i = 0, at = this.#hint; i < links.length; i++, at++) {
      if (at >= links.length) at = 0;
      if (links[at] !== link) continue;
      this.#hint = at + 1;
      return true;
    }
    return false;
  }
}
