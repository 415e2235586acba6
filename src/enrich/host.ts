/** The host and this program: resource attributes that every process shares; and when the host booted. */
import { hostname } from 'node:os';
import { hostClock } from '../lib/clock.ts';
import { readFile } from '../lib/read-file.ts';
import type { Attributes } from '../model.ts';

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
 * Unix time, ns, at which CLOCK_BOOTTIME was 0: what turns a process's start time into a date. Take it once: the creation
 * time is part of a process's identity and must not move when the wall clock is stepped.
 */
export function bootTime(): bigint {
  return hostClock().boottimeToUnix(0n);
}
