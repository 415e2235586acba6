/**
 * The cache as plainly as it can be written, to compare with: lists of facts, no index, no graph, everything by search. Covers
 * what random operations reach: chains, shared addresses, scopes, expiry, denials, eviction in order of use.
 */

export interface ModelAnswer {
  readonly realm: number;
  readonly pid: number;
  readonly now: number;
  readonly question: string;
  readonly type: string;
  /** In an order in which each owner was led to before. */
  readonly links: readonly { readonly from: string; readonly to: string; readonly expires: number }[];
  /** When the denial of the end of the chain ends. */
  readonly denied:
    | { readonly name: string; readonly expires: number; readonly isNxdomain: boolean }
    | undefined;
}

interface Fact {
  readonly from: string;
  readonly to: string;
  /** The last telling last. */
  tellings: Telling[];
}
interface Telling {
  readonly pid: number;
  readonly at: number;
  readonly expires: number;
}
interface Denial extends Telling {
  readonly type: string;
  readonly isNxdomain: boolean;
}
interface ModelTree {
  readonly realm: number;
  readonly question: string;
  facts: Fact[];
  tellings: Telling[];
  lastExpiry: number;
}

export type ModelScope = { readonly realm?: number; readonly pid?: number };
export interface ModelResult {
  readonly addresses: readonly string[];
  readonly names: readonly string[];
  /** All that may be the root: several questions may have been answered at the same time. */
  readonly roots: readonly string[];
  readonly negative: string | undefined;
}

const GRACE = 600e9;
const isAddress = (value: string) => /^\d/.test(value);

export class Model {
  /** In order of use, the least recent first. */
  trees: ModelTree[] = [];
  denials = new Map<string, Denial[]>();
  readonly #mostTrees: number;
  readonly #mostNodes: number;

  constructor(trees: number, nodes: number) {
    this.#mostTrees = trees;
    this.#mostNodes = nodes;
  }

  get nodes(): number {
    return this.trees.reduce((sum, tree) => sum + 1 + tree.facts.length, 0);
  }

  /** Links of the tree that has most. */
  get largestTree(): number {
    return Math.max(0, ...this.trees.map(({ facts }) => facts.length));
  }

  add({ realm, pid, now, question, type, links, denied }: ModelAnswer): void {
    let tree = this.trees.find((each) => each.realm === realm && each.question === question);
    if (links.length === 0 && denied === undefined) {
      if (tree !== undefined) this.#use([tree]);
      return;
    }
    tree ??= { realm, question, facts: [], tellings: [], lastExpiry: 0 };
    this.trees = [...this.trees.filter((each) => each !== tree), tree];
    let lastExpiry = 0;
    for (const { from, to, expires } of links) {
      const key = `${realm} ${from}`;
      const left = (this.denials.get(key) ?? []).filter(
        (each) => !each.isNxdomain && each.type !== (isAddress(to) ? type : 'CNAME'),
      );
      this.denials.set(key, left);
      const shared = this.trees
        .filter((each) => each.realm === realm)
        .flatMap((each) => each.facts)
        .find((fact) => fact.from === from && fact.to === to);
      const fact = shared ?? { from, to, tellings: [] };
      if (!tree.facts.includes(fact)) tree.facts.push(fact);
      fact.tellings = [...fact.tellings.filter((each) => each.pid !== pid), { pid, at: now, expires }].slice(
        -16,
      );
      lastExpiry = Math.max(lastExpiry, expires);
    }
    if (denied !== undefined) {
      const { name, expires, isNxdomain } = denied;
      const key = `${realm} ${name}`;
      const others = (this.denials.get(key) ?? []).filter((each) => each.pid !== pid || each.type !== type);
      this.denials.set(key, [...others.slice(-7), { pid, at: now, expires, type, isNxdomain }]);
      lastExpiry = Math.max(lastExpiry, expires);
    }
    tree.tellings = [
      ...tree.tellings.filter((each) => each.pid !== pid),
      { pid, at: now, expires: lastExpiry },
    ].slice(-16);
    tree.lastExpiry = Math.max(tree.lastExpiry, lastExpiry);
    this.#tidy(tree, now);
  }

  #tidy(current: ModelTree, now: number): void {
    for (let i = 0; i < 2; i++) {
      const [oldest] = this.trees;
      if (oldest === undefined || oldest === current || oldest.lastExpiry + GRACE > now) break;
      this.#remove(oldest);
    }
    while (this.trees.length > this.#mostTrees || this.nodes > this.#mostNodes) {
      const [oldest] = this.trees;
      if (oldest === undefined || oldest === current) break;
      this.#remove(oldest);
    }
  }

  #remove(tree: ModelTree): void {
    this.trees.shift();
    this.denials.delete(`${tree.realm} ${tree.question}`);
    // a node without a question and without links is gone, and what was denied of it
    for (const key of this.denials.keys()) {
      const [realm, name] = key.split(' ');
      const isThere = this.trees.some(
        (each) =>
          String(each.realm) === realm &&
          (each.question === name || each.facts.some(({ from, to }) => from === name || to === name)),
      );
      if (!isThere) this.denials.delete(key);
    }
  }

  #use(trees: readonly ModelTree[]): void {
    const used = this.trees.filter((tree) => trees.includes(tree));
    this.trees = [...this.trees.filter((tree) => !trees.includes(tree)), ...used];
  }

  get(key: string, scope: ModelScope, now: number): ModelResult | undefined {
    const realms = [...new Set(this.trees.map((tree) => tree.realm))].filter(
      (realm) => scope.realm === undefined || scope.realm === realm,
    );
    const told = (tellings: readonly Telling[]) =>
      scope.pid === undefined ? tellings.at(-1) : tellings.find(({ pid }) => pid === scope.pid);
    const names = new Set<string>();
    const addresses = new Set<string>();
    const found: ModelTree[] = [];
    const roots: { readonly at: number; readonly question: string }[] = [];
    const negative: { readonly key: string; readonly isNxdomain: boolean }[] = [];
    const denying: ModelTree[] = [];
    let isFound = false;
    for (const realm of realms) {
      const trees = this.trees.filter((tree) => tree.realm === realm);
      const facts = [...new Set(trees.flatMap((tree) => tree.facts))].filter(
        (fact) => (told(fact.tellings)?.expires ?? 0) > now,
      );
      const up = closure(key, (value) => facts.filter(({ to }) => to === value).map(({ from }) => from));
      const down = closure(key, (value) =>
        value !== key && isAddress(value)
          ? []
          : facts.filter(({ from }) => from === value).map(({ to }) => to),
      );
      const isHere = facts.some(({ from, to }) => from === key || to === key);
      const asked = trees.filter((tree) => up.has(tree.question) && told(tree.tellings) !== undefined);
      for (const value of down) {
        for (const denial of this.denials.get(`${realm} ${value}`) ?? [])
          if (denial.expires > now && (scope.pid === undefined || denial.pid === scope.pid))
            negative.push({ key: value, isNxdomain: denial.isNxdomain });
      }
      denying.push(...asked);
      if (!isHere) continue;
      isFound = true;
      for (const value of [...up, ...down]) (isAddress(value) ? addresses : names).add(value);
      found.push(...asked);
      for (const tree of asked) roots.push({ at: told(tree.tellings)?.at ?? 0, question: tree.question });
    }
    const verdict =
      negative.length === 0 ? undefined : negative.some((each) => each.isNxdomain) ? 'NXDOMAIN' : 'NOERROR';
    if (!isFound) {
      if (negative.length > 0) this.#use(denying);
      return verdict === undefined ? undefined : { addresses: [], names: [], roots: [], negative: verdict };
    }
    this.#use(found);
    const last = Math.max(...roots.map(({ at }) => at));
    return {
      addresses: [...addresses].sort(),
      names: [...names].sort(),
      roots: roots.filter(({ at }) => at === last).map(({ question }) => question),
      negative: addresses.size === 0 ? verdict : undefined,
    };
  }
}

function closure(start: string, next: (value: string) => readonly string[]): Set<string> {
  const reached = new Set([start]);
  for (const value of reached) for (const each of next(value)) reached.add(each);
  return reached;
}
