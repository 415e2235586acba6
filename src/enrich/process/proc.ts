/** What /proc says of one process in text. */

export interface ProcStat {
  readonly parentPid: number;
  readonly tty: number;
  /** Ticks since boot. */
  readonly startTicks: bigint;
}

/** Fields 4, 7 and 22 of /proc/PID/stat (proc(5)). The name, field 2, may hold anything: the last `)` ends it. */
export function parseStat(bytes: Buffer | undefined): ProcStat | undefined {
  if (bytes === undefined) return undefined;
  const text = bytes.toString('latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [parentPid, tty, startTicks] = [fields[1], fields[4], fields[19]];
  if (parentPid === undefined || tty === undefined || startTicks === undefined) return undefined;
  if (!/^-?\d+$/.test(parentPid) || !/^-?\d+$/.test(tty) || !/^\d+$/.test(startTicks)) return undefined;
  return { parentPid: Number(parentPid), tty: Number(tty), startTicks: BigInt(startTicks) };
}
