/**
 * An agent sees the whole host's DNS. What a test finds missing says nothing when another program's flood filled the agent's ring: by the
 * agent's own ledger that is told apart, and said.
 */
import assert from 'node:assert/strict';
import { ask } from '../../src/control/client.ts';

const LOSSES = [
  'ring_full',
  'process_ring_full',
  'response_ring_full',
  'request_suppressed',
  'response_suppressed',
];

/** `/stats` of the control socket, or what `--stats` wrote, as far as it is looked at. */
export interface RingStats {
  readonly source: { readonly drops: Readonly<Record<string, number>> };
}

/** Asserts that the kernel's ring never was full, and that no one was over his share of it. */
export function assertRingKept({ source }: RingStats): void {
  const lost = LOSSES.filter((reason) => source.drops[reason] !== 0);
  assert.deepEqual(
    Object.fromEntries(lost.map((reason) => [reason, source.drops[reason]])),
    {},
    `the agent's ring was full or someone over his share (${lost.join(', ')} lost, by its own ledger): does another program flood port 53 on this host? What this test finds missing may be among them`,
  );
}

/** @param control path of a running agent's control socket */
export async function assertRingKeptAt(control: string | undefined): Promise<void> {
  assertRingKept((await ask(control, '/stats')) as RingStats);
}
