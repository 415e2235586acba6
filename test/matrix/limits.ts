/**
 * What is known not to be seen, and why. A test fails both when a cell is wrong without a limit here and when a limit
 * here no longer holds.
 */
import type { Cell } from './judge.ts';
import type { FamilyResult } from './matrix.ts';

/** So many requests may be missing at most where the kernel says that it skipped programs (skipped-runs.ts). */
const MOST_SKIPPED = 3;

export interface Limit {
  /** The client's title. */
  readonly client: RegExp;
  readonly family: RegExp;
  /** The kernel's release, as `uname -r` says. */
  readonly kernel: RegExp;
  /** A sentence for the table's notes. */
  readonly reason: string;
}

/** None at present: every client is seen whole by every family on every kernel. */
export const LIMITS: readonly Limit[] = [];

/** The limit that covers this client in this run; undefined if it must be seen. */
export function limitOf(
  client: string,
  { family, kernel }: Pick<FamilyResult, 'family' | 'kernel'>,
): Limit | undefined {
  return LIMITS.find(
    (limit) => limit.client.test(client) && limit.family.test(family) && limit.kernel.test(kernel),
  );
}

/** Everything wrong with a run, a line each; empty when every cell is right or a known limit that still holds. */
export function unexpectedFaults(result: FamilyResult): string[] {
  const faults = [...result.faults];
  let unseen = Math.min(result.skipped, MOST_SKIPPED);
  for (const [title, cell] of Object.entries(result.cells)) {
    const right = cell.right === cell.requests && cell.faults.length === 0;
    const limit = limitOf(title, result);
    if (isMissing(cell) && cell.requests - cell.right <= unseen) {
      unseen -= cell.requests - cell.right;
      continue;
    }
    if (!right && limit === undefined) {
      faults.push(`${title}: ${cell.right} of ${cell.requests} right; ${cell.faults.join('; ')}`);
    }
    if (right && limit !== undefined)
      faults.push(`${title}: right, although limits.ts says: ${limit.reason}`);
  }
  return faults;
}

/** Nothing is wrong with a cell but that requests have no record. */
function isMissing({ right, requests, faults }: Cell): boolean {
  return right < requests && faults.every((fault) => fault.startsWith('no record of '));
}
