/** Compares what was captured with what connect.py says it did. */
import type { Captured } from './capture.ts';

/** A line of connect.py's output. */
export interface Claim {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly family: number;
  readonly remote: string;
  readonly port: number;
  readonly seen: boolean;
  /** Source port, where the program knows it when it claims. */
  readonly local?: number;
}

/** connect.py makes so many on any kernel that are to be seen. */
export const LEAST_SEEN = 12;

export function parseClaims(text: string): Claim[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Claim);
}

/** Everything that differs from exactly one event for each connection that is to be seen, with its source port; [] = nothing. */
export function connectionFaults(captured: Captured, claims: readonly Claim[]): string[] {
  const pids = new Set(claims.map(({ pid }) => pid));
  const left = captured.connections.filter(({ owner }) => pids.has(owner.tgid));
  const faults: string[] = [];
  for (const claim of claims.filter(({ seen }) => seen)) {
    const found = left.findIndex(
      (event) =>
        event.flags === 1 &&
        event.family === claim.family &&
        event.remote.replace(/^::ffff:/, '') === claim.remote &&
        event.remote_port === claim.port &&
        event.owner.tgid === claim.pid &&
        event.owner.tid === claim.tid &&
        (claim.local === undefined ? event.local_port > 0 : event.local_port === claim.local),
    );
    if (found < 0) faults.push(`${claim.name}: no event`);
    else left.splice(found, 1);
  }
  for (const event of left) faults.push(`nobody began ${JSON.stringify(event)}`);
  for (const pid of pids) {
    const records = captured.processes.filter(({ owner }) => owner.tgid === pid);
    if (!records.some(({ args }) => args.some((text) => text.endsWith('connect.py'))))
      faults.push(`no process record of ${pid}`);
    const counted = captured.counted.find(({ tgid }) => tgid === pid);
    if (counted !== undefined && counted.udp + counted.tcp + counted.bytes > 0)
      faults.push(`${pid} is counted as if it had asked`);
  }
  return faults;
}
