/** Real processes as the inspector is asked about them. */
import { readFileSync } from 'node:fs';
import { parseStat } from '../../src/enrich/process/proc.ts';
import type { ProcessTable } from '../../src/enrich/process/process.ts';
import { Inspector, type Target } from '../../src/inspector/inspector.ts';
import { createLog } from '../../src/lib/log.ts';
import type { Owner, ProcessIdentity } from '../../src/model.ts';

/** @param procRoot another procfs than the host's */
export function startInspector(procRoot?: string): Inspector {
  const log = createLog('warn', (line) => process.stderr.write(line));
  return Inspector.start({ log, ...(procRoot === undefined ? {} : { procRoot }) });
}

export function targetOf(pid: number): Target {
  const ticks = parseStat(readFileSync(`/proc/${pid}/stat`))?.startTicks ?? 0n;
  return { pid, startTime: ticks * 10_000_000n, cgroupId: 1n, uid: 0 };
}

/** The identity once everything that was asked for has come. */
export async function identityOf(
  processes: ProcessTable,
  owner: Owner | undefined,
): Promise<ProcessIdentity> {
  const first = processes.identify(owner);
  await processes.pending(first);
  return processes.current(first);
}
