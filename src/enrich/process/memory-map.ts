/** What a process has mapped: /proc/PID/maps (proc_pid_maps(5)). */

/** /proc/PID/maps read: some 10 000 mappings. What is mapped behind that is not found. */
export const MAPS_BYTES = 1024 * 1024;

export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
  readonly permissions: string;
  /** In the file. */
  readonly offset: bigint;
  /** Of the file: hexadecimal `major:minor`. */
  readonly device: string;
  readonly name: string;
}

/** `start-end perms offset dev inode name`. */
export function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const match =
      /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) (\S{4}) ([0-9a-f]{1,16}) ([0-9a-f]+:[0-9a-f]+) \d+ *(.*)$/.exec(
        line,
      );
    if (match === null) continue;
    const [, start, end, permissions = '', offset, device = '', name = ''] = match;
    mappings.push({
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      permissions,
      offset: BigInt(`0x${offset}`),
      device,
      name,
    });
  }
  return mappings;
}
