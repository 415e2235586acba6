/** Who was told what a key leads to, or what leads to it: also what has expired since, as long as it is kept. */
import type { Node } from './graph.ts';
import { LINK } from './records.ts';
import type { Scope } from './scope.ts';

/** Most that are told of one key. */
const MAX_LEARNT = 64;

export interface Learnt {
  /** Name or address, and what a record of it said. */
  readonly from: string;
  readonly to: string;
  /** The process that was told last; undefined: it is not known. */
  readonly pid: number | undefined;
  /** inode */
  readonly networkNamespace: number;
  readonly containerId: string | undefined;
  /** Unix ns. In the past: it has expired. */
  readonly answeredAt: bigint;
  readonly expiresAt: bigint;
}

/** Not past an address nor a pointer, as a walk; up first. @param marks numbers that no node has been marked with: one for each way */
export function learntOf(key: Node, scope: Scope, marks: readonly [number, number]): Learnt[] {
  const found: Learnt[] = [];
  follow(key, scope, 'in', marks[0], found);
  found.reverse();
  follow(key, scope, 'out', marks[1], found);
  return found;
}

function follow(key: Node, scope: Scope, way: 'in' | 'out', mark: number, found: Learnt[]): void {
  const queue = [key];
  key.mark = mark;
  for (let i = 0; i < queue.length; i++) {
    const node = queue[i] as Node;
    for (const link of node[way]) {
      if (found.length >= MAX_LEARNT) return;
      const told = link.toldTo(scope);
      if (told === undefined || (way === 'in' && link.kind === LINK.pointer && node !== key)) continue;
      const { networkNamespace, containerId } = node.realm;
      found.push({
        from: link.from.value,
        to: link.to.value,
        pid: told.pid > 0 ? told.pid : undefined,
        networkNamespace,
        containerId,
        answeredAt: BigInt(told.at),
        expiresAt: BigInt(told.expires),
      });
      const next = way === 'in' ? link.from : link.to;
      if (next.mark === mark || next.isAddress || (way === 'out' && link.kind === LINK.pointer)) continue;
      next.mark = mark;
      queue.push(next);
    }
  }
}
