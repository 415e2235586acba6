/** What this host has for the capture, found by reading and by really loading and attaching each hook family. */
import { readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { UserError } from '../lib/errors.ts';
import { missedBy } from '../tables/blind-spots.ts';
import { HOOK_FAMILIES } from '../tables/hook-families.ts';
import { btfOfFile, kernelHasBtf } from './btf-file.ts';
import { CaptureError } from './capture-error.ts';
import {
  FAMILY_OF_FILE,
  familiesInOrder,
  isOfAnotherKernel,
  type KernelFamily,
  NEEDS_OWN_BTF,
  tryFamily,
} from './families.ts';
import { currentPreemption, isPreempted, type Preemption } from './preemption.ts';

export interface FamilyReport {
  readonly family: KernelFamily;
  /** It loads, attaches, and (unless `fires` is unknown) sees a datagram. */
  readonly available: boolean;
  /** Whether a datagram sent for the purpose was seen; undefined = not tried, or the loopback device is down. */
  readonly fires: boolean | undefined;
  /** Why it is not available, one line. */
  readonly reason: string | undefined;
  readonly hint: string | undefined;
  /** End of libbpf's and the verifier's log; '' = none. */
  readonly detail: string;
  /** What this family cannot see even where it is available. */
  readonly missed: readonly string[];
}

export interface HostReport {
  readonly kernel: string;
  readonly machine: string;
  /** /sys/kernel/btf/vmlinux is there. Without it only `kprobe` can be used, with `btfFile`. */
  readonly btf: boolean;
  /** What is used instead of it, or why it cannot be; undefined: no file is named, or it is not needed. */
  readonly btfFile?: { readonly path: string; readonly problem?: string };
  /** Effective capabilities that matter here. */
  readonly capabilities: Readonly<Record<string, boolean>>;
  /** Kernel settings as their files say; undefined = the file is not there or not readable. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  /** Soft limit of locked memory in bytes, `unlimited`, or undefined; it matters before 5.11 only. */
  readonly memlock: string | undefined;
  /** How kernel code is preempted; undefined = no sign of it. */
  readonly preemption: Preemption;
  /** Best first. */
  readonly families: readonly FamilyReport[];
  /** What --hook auto would take. */
  readonly chosen: KernelFamily | undefined;
}

/** Bit numbers of include/uapi/linux/capability.h. */
const CAPABILITIES = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

const SETTINGS = {
  perf_event_paranoid: '/proc/sys/kernel/perf_event_paranoid',
  unprivileged_bpf_disabled: '/proc/sys/kernel/unprivileged_bpf_disabled',
  kptr_restrict: '/proc/sys/kernel/kptr_restrict',
  bpf_jit_enable: '/proc/sys/net/core/bpf_jit_enable',
  lockdown: '/sys/kernel/security/lockdown',
  /** Perf event type of kprobes: there when the kernel has them. */
  kprobe_pmu: '/sys/bus/event_source/devices/kprobe/type',
} as const;

const OF_ANOTHER = 'the BTF of --btf is not that of this kernel';

/** Takes about a second; leaves nothing in the kernel. Never throws for what the host lacks: that is the report. */
export function probe(btfPath?: string): HostReport {
  const status = read('/proc/self/status') ?? '';
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const preemption = currentPreemption();
  const btf = readBtf(btfPath);
  const families = familiesInOrder(preemption).map((family) => report(family, preemption, btf.bytes));
  return {
    kernel: release(),
    machine: arch(),
    btf: kernelHasBtf(),
    ...(btf.file === undefined ? {} : { btfFile: btf.file }),
    capabilities: mapValues(CAPABILITIES, (bit) => ((effective >> BigInt(bit)) & 1n) === 1n),
    settings: mapValues(SETTINGS, read),
    memlock: /^Max locked memory\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')?.[1],
    preemption,
    families,
    chosen: families.find((family) => family.available)?.family,
  };
}

interface FileBtf {
  readonly bytes?: Uint8Array;
  readonly file?: { readonly path: string; readonly problem?: string };
}

function readBtf(path: string | undefined): FileBtf {
  try {
    const bytes = btfOfFile(path);
    return path === undefined || bytes === undefined ? {} : { bytes, file: { path } };
  } catch (error) {
    if (path === undefined || !(error instanceof UserError)) throw error;
    return { file: { path, problem: error.message } };
  }
}

function report(family: KernelFamily, preemption: Preemption, btf: Uint8Array | undefined): FamilyReport {
  const { missedWherePreempted } = HOOK_FAMILIES[family];
  const missed = missedBy(family);
  const base = { family, missed: isPreempted(preemption) ? [...missed, ...missedWherePreempted] : missed };
  if (btf !== undefined && family !== FAMILY_OF_FILE)
    return { ...base, ...refused(new UserError(NEEDS_OWN_BTF)) };
  try {
    const tried = tryFamily(family, btf === undefined ? {} : { btf });
    if ('error' in tried) {
      const { error } = tried;
      const isForeign = btf !== undefined && isOfAnotherKernel(error);
      return { ...base, ...refused(error), ...(isForeign ? { reason: OF_ANOTHER, hint: undefined } : {}) };
    }
    const silent = tried.fires === false;
    return {
      ...base,
      available: !silent,
      fires: tried.fires,
      reason: silent ? 'attaches, but does not see a datagram sent for the purpose' : undefined,
      hint: silent ? 'use another hook family, and please report this kernel' : undefined,
      detail: '',
    };
  } catch (error) {
    // the addon is not there
    if (error instanceof UserError) return { ...base, ...refused(error) };
    throw error;
  }
}

function refused(error: UserError): Omit<FamilyReport, 'family' | 'missed'> {
  return {
    available: false,
    fires: undefined,
    reason: error.message,
    hint: error.hint,
    detail: error instanceof CaptureError ? error.detail : '',
  };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
}

function mapValues<T, U>(
  from: Readonly<Record<string, T>>,
  value: (each: T) => U,
): Readonly<Record<string, U>> {
  return Object.fromEntries(Object.entries(from).map(([key, each]) => [key, value(each)]));
}
