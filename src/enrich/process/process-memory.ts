/**
 * Another process's memory, read as hostile by the inspector: only ranges that are mapped, and of files only those on file systems that
 * answer by themselves.
 */
import type { Inspector, Target } from '../../inspector/inspector.ts';
import type { Device, Read } from '../../inspector/protocol.ts';
import { MAPS_BYTES, type Mapping, parseMaps } from './memory-map.ts';

const MOUNTINFO: Read = { kind: 'file', name: 'mountinfo', limit: 512 * 1024 };
const AUXILIARY_BYTES = 4096;
const MAX_READ = 64 * 1024;
/** The inspector takes no more. */
const MAX_DEVICES = 64;
/** File systems of the kernel's own whose pages come from memory or a local disk. */
const LOCAL = new Set(
  'bcachefs btrfs erofs ext2 ext3 ext4 f2fs overlay ramfs rootfs squashfs tmpfs xfs zfs'.split(' '),
);

/** Bytes of a process's memory; undefined: not mapped, not to be read, gone. */
export interface Memory {
  read(address: bigint, length: number): Promise<Buffer | undefined>;
}

type Asked = Pick<Inspector, 'inspect'>;

export class ProcessMemory implements Memory {
  readonly mappings: readonly Mapping[];
  /** As the kernel handed it to the program (getauxval(3)): pairs of words. */
  readonly auxiliary: Buffer;
  readonly #inspector: Asked;
  readonly #target: Target;
  readonly #devices: readonly Device[];

  private constructor(
    inspector: Asked,
    target: Target,
    mappings: readonly Mapping[],
    auxiliary: Buffer,
    devices: readonly Device[],
  ) {
    this.#inspector = inspector;
    this.#target = target;
    this.mappings = mappings;
    this.auxiliary = auxiliary;
    this.#devices = devices;
  }

  /** undefined: the process is gone, or reading it is not permitted. */
  static async open(inspector: Asked, target: Target): Promise<ProcessMemory | undefined> {
    const own = await inspector.inspect(target, [
      { kind: 'file', name: 'maps', limit: MAPS_BYTES },
      { kind: 'file', name: 'auxv', limit: AUXILIARY_BYTES },
      MOUNTINFO,
    ]);
    const [maps, auxiliary, mounts] = (own ?? []).map(({ bytes }) => bytes);
    if (maps === undefined || auxiliary === undefined) return undefined;
    // Files of containers: their overlay shows the device of the host's file system, which they have not mounted.
    const host = await inspector.inspect({ ...target, pid: 1, startTime: 0n }, [MOUNTINFO]);
    const text = [mounts, host?.[0]?.bytes].map((bytes) => bytes?.toString('latin1') ?? '').join('\n');
    const mappings = parseMaps(maps.toString('latin1'));
    const devices = mappedDevices(mappings, localDevices(text));
    return new ProcessMemory(inspector, target, mappings, auxiliary, devices);
  }

  async read(address: bigint, length: number): Promise<Buffer | undefined> {
    if (length <= 0 || length > MAX_READ || address < 0n || address >> 64n !== 0n) return undefined;
    const devices = this.#devices;
    const results = await this.#inspector.inspect(this.#target, [{ kind: 'memory', address, length }], {
      devices,
    });
    return results?.[0]?.bytes;
  }
}

/** Devices as maps writes them, of the local file systems in one or more /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export function localDevices(mountinfo: string): ReadonlySet<string> {
  const local = new Set<string>();
  const others = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const match = /^\d+ \d+ (\d+):(\d+) .* - (\S+) /.exec(line);
    if (match === null) continue;
    const hexadecimal = (text = '') => Number(text).toString(16).padStart(2, '0');
    (LOCAL.has(match[3] ?? '') ? local : others).add(`${hexadecimal(match[1])}:${hexadecimal(match[2])}`);
  }
  // A mount point's name may hold ` - ext4 `: what is said in two ways is not believed.
  for (const device of others) local.delete(device);
  return local;
}

function mappedDevices(mappings: readonly Mapping[], local: ReadonlySet<string>): readonly Device[] {
  const mapped = new Set(mappings.map(({ device }) => device).filter((device) => local.has(device)));
  return [...mapped].slice(0, MAX_DEVICES).map((device) => {
    const [major = 0, minor = 0] = device.split(':').map((part) => Number.parseInt(part, 16));
    return { major, minor };
  });
}
