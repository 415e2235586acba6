/** From a node to all that leads to it and all that it leads to, through what is still believed in a scope. */

import { typeName } from '../tables/rrtypes.ts';
import type { NegativeAnswer } from './answer.ts';
import type { Denial, Node, Told, Tree } from './graph.ts';
import { LINK } from './records.ts';
import { HOST_SCOPE, type Scope } from './scope.ts';

/** What one key leads to in one scope at one time, over all realms of the scope. */
export class Walk {
  names: string[] = [];
  addresses: string[] = [];
  /** Trees in whose root the way up ended. */
  readonly roots: Tree[] = [];
  readonly denials: { readonly denial: Denial; readonly node: Node }[] = [];
  /** Links passed. */
  links = 0;
  /** Something was found that is no longer believed. */
  expired = false;
  readonly #scope: Scope;
  readonly #now: number;

  constructor(scope: Scope, now: number) {
    this.#scope = scope;
    this.#now = now;
  }

  /** @param mark a number that no node has been marked with, nor with the one after it */
  start(key: Node, mark: number): void {
    key.mark = mark;
    this.#root(key);
    if (key.in.length > 0) {
      this.#up(key, mark);
      this.names.reverse();
    }
    (key.isAddress ? this.addresses : this.names).push(key.value);
    key.mark = mark + 1;
    if (key.out.length > 0 || key.denials !== undefined) this.#down(key, mark + 1);
  }

  #isBelieved(told: Told): boolean {
    const telling = this.#scope === HOST_SCOPE ? told : told.toldTo(this.#scope);
    if (telling === undefined) return false;
    if (telling.expires > this.#now) return true;
    this.expired = true;
    return false;
  }

  #root(node: Node): void {
    if (node.tree?.toldTo(this.#scope) !== undefined) this.roots.push(node.tree);
  }

  /** Not past an address: what else is called by another name of it leads elsewhere. Pointers: the key's own only. */
  #up(key: Node, mark: number): void {
    const queue = [key];
    for (let i = 0; i < queue.length; i++) {
      const node = queue[i] as Node;
      for (const link of node.in) {
        if ((link.kind === LINK.pointer && node !== key) || !this.#isBelieved(link)) continue;
        this.links++;
        const { from } = link;
        if (from.mark === mark) continue;
        from.mark = mark;
        this.#root(from);
        if (from.isAddress) this.addresses.push(from.value);
        else {
          this.names.push(from.value);
          queue.push(from);
        }
      }
    }
  }

  /** Not past an address nor a pointer. What was met on the way up (a cycle) is passed again, but not named again. */
  #down(key: Node, mark: number): void {
    const queue = [key];
    for (let i = 0; i < queue.length; i++) {
      const node = queue[i] as Node;
      if (node.denials !== undefined) this.#deny(node, node.denials);
      for (const link of node.out) {
        if (!this.#isBelieved(link)) continue;
        this.links++;
        const { to } = link;
        if (to.mark === mark) continue;
        const isKnown = to.mark === mark - 1;
        to.mark = mark;
        if (to.isAddress) {
          if (!isKnown) this.addresses.push(to.value);
        } else {
          if (!isKnown) this.names.push(to.value);
          if (link.kind !== LINK.pointer) queue.push(to);
        }
      }
    }
  }

  #deny(node: Node, denials: readonly Denial[]): void {
    const scope = this.#scope;
    for (const denial of denials) {
      const isTold =
        scope.kind !== 'process' ||
        (denial.pid === scope.pid && (scope.startTime ?? denial.startTime) === denial.startTime);
      if (!isTold) continue;
      if (denial.expires > this.#now) this.denials.push({ denial, node });
      else this.expired = true;
    }
  }

  /** What was found in several realms, each thing once. */
  static merged(walks: readonly Walk[], scope: Scope): Walk {
    const whole = new Walk(scope, 0);
    for (const walk of walks) {
      if (walk.links === 0) continue;
      whole.links += walk.links;
      whole.roots.push(...walk.roots);
      whole.names.push(...walk.names);
      whole.addresses.push(...walk.addresses);
    }
    whole.names = [...new Set(whole.names)];
    whole.addresses = [...new Set(whole.addresses)];
    return whole;
  }

  /** The question answered last; one for the address itself (PTR) only where nothing else led there. */
  root(): Tree | undefined {
    let best: Tree | undefined;
    let bestAt = Number.NEGATIVE_INFINITY;
    for (const tree of this.roots) {
      const at = (tree.toldTo(this.#scope)?.at ?? 0) - (tree.root.isAddress ? 1e20 : 0);
      if (at <= bestAt) continue;
      best = tree;
      bestAt = at;
    }
    return best;
  }

  /** NXDOMAIN where it was said, else the types that are not there. */
  negative(): NegativeAnswer | undefined {
    const said = this.denials.findLast(({ denial }) => denial.isNxdomain) ?? this.denials.at(-1);
    if (said === undefined) return undefined;
    const { denial, node } = said;
    const same = this.denials.filter(
      (other) => other.node === node && other.denial.isNxdomain === denial.isNxdomain,
    );
    return {
      name: node.isAddress ? denial.question : node.value,
      rcode: denial.isNxdomain ? 'NXDOMAIN' : 'NOERROR',
      types: [...new Set(same.map((other) => typeName(other.denial.type)))],
      dns_root: denial.question,
      answeredAt: BigInt(denial.at),
      expiresAt: BigInt(denial.expires),
    };
  }
}
