/**
 * What an attack's test found, as one line for the table in docs/faults.md. Written only where ATTACKS_FILE names a file
 * (JSON lines); the tests pass or fail by their own assertions.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine, type Machine } from '../../bench/machine.ts';

/** Who can do it (docs/architecture.md: everyone else is a stranger). */
export const STRANGERS = {
  user: 'an unprivileged user',
  container: 'a container with CAP_NET_RAW',
  server: 'a name server',
  collector: 'a collector',
  detector: "an operator's own detector",
  host: 'no one: the host or the agent itself fails',
} as const;

export interface Attack {
  /** What is done, as a short phrase: the row's name, unique. */
  readonly attack: string;
  readonly stranger: keyof typeof STRANGERS;
  /** What must hold, and what the test asserts. */
  readonly holds: string;
  /** What was measured in this run, with its unit: `0 of 200 lookups lost`. */
  readonly figure: string;
}

/** The results of the run that docs/faults.md shows. */
export const RESULTS = join(import.meta.dirname, 'results.jsonl');

/** Called by a test after its last assertion: a line means that the test passed. @throws the file cannot be written. */
export function reportAttack(attack: Attack): void {
  const file = process.env['ATTACKS_FILE'];
  if (file !== undefined && file !== '') appendFileSync(file, `${JSON.stringify(attack)}\n`);
}

/** Empties the file and says where the run takes place: test/run.ts, before the first test. */
export function beginReport(file: string): void {
  writeFileSync(file, `${JSON.stringify(describeMachine())}\n`);
}

export interface Report {
  readonly machine: Machine;
  readonly attacks: readonly Attack[];
}

/** @throws the file cannot be read, or a line of it. */
export function readReport(file: string): Report {
  const [machine, ...attacks] = readFileSync(file, 'utf8').trimEnd().split('\n');
  return {
    machine: JSON.parse(machine ?? '') as Machine,
    attacks: attacks.map((line) => JSON.parse(line) as Attack),
  };
}
