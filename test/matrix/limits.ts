/**
 * What is known not to be seen, and why. A test fails both when a cell is wrong without a limit here and when a limit
 * here no longer holds.
 */
import { type Cell, NO_ANSWER, NO_RECORD } from './judge.ts';
import type { FamilyResult } from './matrix.ts';

/**
 * Where the kernel says that it skipped programs (skipped-runs.ts), so many requests or answers may be missing: for each run skipped at most
 * what a client asks in one TCP connection, and of all requests at most this part.
 */
const MISSING_PER_RUN = 6;
const MAX_MISSING = 1 / 10;

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
  const requests = Object.values(result.cells).reduce((sum, cell) => sum + cell.requests, 0);
  let unseen = Math.min(result.skipped * MISSING_PER_RUN, requests * MAX_MISSING);
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

/** Nothing is wrong with a cell but that requests or their answers were not seen. */
export function isMissing({ right, requests, faults }: Cell): boolean {
  const isUnseen = (fault: string): boolean => fault.startsWith(NO_RECORD) || fault.startsWith(NO_ANSWER);
  return right < requests && faults.every(isUnseen);
}
