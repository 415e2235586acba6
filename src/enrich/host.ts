/** The host and this program: resource attributes that every process shares; and when the host booted. */
import { hostname } from 'node:os';
import type { Attributes } from '../model.ts';
import { readFile } from './proc.ts';

const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

/** @param root where the host's file system is mounted, '' for the own one. @param version of this program. */
export function hostAttributes(version: string, root = ''): Attributes {
  const id = MACHINE_ID_FILES.map((file) => machineId(`${root}${file}`)).find((found) => found !== undefined);
  return {
    'host.name': hostname(),
    ...(id === undefined ? {} : { 'host.id': id }),
    'os.type': 'linux',
    'telemetry.distro.name': 'whodns',
    'telemetry.distro.version': version,
  };
}

/** machine-id(5): 32 lower-case hexadecimal digits; `uninitialized` and empty files occur on first boot. */
function machineId(path: string): string | undefined {
  const text = readFile(path, 64)?.toString('latin1').trim() ?? '';
  return /^[0-9a-f]{32}$/.test(text) ? text : undefined;
}

/**
 * Unix time, ns, at which CLOCK_BOOTTIME was 0: what turns a process's start time into a date. To the millisecond.
 * Time spent asleep (boot time runs on, monotonic time does not) is known to 10 ms only, from /proc/uptime; less than
 * two such ticks is no sleep.
 */
export function bootTime(): bigint {
  const TWO_TICKS = 20_000_000n;
  const uptime = /^(\d+)\.(\d\d) /.exec(readFile('/proc/uptime', 64)?.toString('latin1') ?? '');
  const monotonic = process.hrtime.bigint();
  const unix = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1_000n;
  if (uptime === null) return unix - monotonic;
  const boottime = BigInt(uptime[1] ?? 0) * 1_000_000_000n + BigInt(uptime[2] ?? 0) * 10_000_000n;
  const asleep = boottime - monotonic;
  return unix - monotonic - (asleep > TWO_TICKS ? asleep : 0n);
}
