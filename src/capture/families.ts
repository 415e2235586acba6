/** Hook families: which come first on this kernel, and loading the programs of the first that this kernel takes. */
import { createHash, randomInt } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import type { Stage } from '../ledger.ts';
import type { Clock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import { nativeFile } from '../lib/package-files.ts';
import { TRACE_CONTEXT } from '../wire/layout.gen.ts';
import { loadAddon, type NativeAddon, type NativeCapture, type NativeError } from './addon.ts';
import { btfOfFile, kernelHasBtf } from './btf-file.ts';
import { CaptureError } from './capture-error.ts';
import { currentPreemption, isPreempted, type Preemption } from './preemption.ts';

export type KernelFamily = 'fentry' | 'kprobe' | 'tracepoint';

/** Best first: `auto` takes the first that attaches. Where kernel code is preempted, fentry misses messages (preemption.ts). */
export function familiesInOrder(mode: Preemption): readonly KernelFamily[] {
  return isPreempted(mode) ? ['kprobe', 'tracepoint', 'fentry'] : ['fentry', 'kprobe', 'tracepoint'];
}

/** Its programs read fields only: where, libbpf tells them by a file. Others the kernel attaches by its own BTF. */
export const FAMILY_OF_FILE: KernelFamily = 'kprobe';
export const NEEDS_OWN_BTF = "it needs the kernel's own BTF, and this kernel has none";

/** The first with the BPF ring buffer. 5.10 is the oldest that is tested. */
const OLDEST_KERNEL = [5, 8] as const;

export interface KernelOptions {
  readonly hook: 'auto' | KernelFamily;
  /** Remote ports that are DNS; at most 4. */
  readonly ports: readonly number[];
  /** Payload bytes copied of one message. */
  readonly maxPayload: number;
  /** Size of the kernel's ring: a power of two, at least one page. */
  readonly ringBytes: number;
  /** TCP connections too (bpf/connect.h); default false: nothing of it is loaded. */
  readonly connections?: boolean;
  /** The levels of `setLevels` hold; without, everybody is captured at no cost. */
  readonly levels?: boolean;
  /** Read the context of the thread that sends (`tracePlaces`); default false. */
  readonly traceContext?: boolean;
  /** Records a second of one control group, and how many at once; rate 0 (default): no bound (bpf/share.h). */
  readonly cgroupRate?: number;
  readonly cgroupBurst?: number;
  /** How long a record waits in the ring at most, ms; default 100. Each time costs the same for one record as for a hundred. */
  readonly maxDelayMs?: number;
  /** The stage `wire`. */
  readonly stage: Stage<'wire'>;
  readonly clock?: Clock;
  /** BPF object file; default: the package's own. */
  readonly object?: string;
  /** File with the BTF of this kernel, read where it has none of its own. */
  readonly btf?: string | undefined;
}

/** Tries one family: load, attach, one datagram to itself, and out again. Seen by `whodns doctor`. */
export function tryFamily(
  family: KernelFamily,
  { object = nativeFile('dns.bpf.o'), btf }: { readonly object?: string; readonly btf?: Uint8Array } = {},
): { readonly fires: boolean | undefined } | { readonly error: CaptureError } {
  const addon = loadAddon();
  const read = readObject(addon, object);
  if ('error' in read) return read;
  const tried = addon.tryFamily(
    { object: read.bytes, ...given(btf), family, besides: [], ringBytes: 65536, knobs: selfKnobs() },
    'dns_ports',
  );
  return 'error' in tried ? { error: new CaptureError(tried.error) } : { fires: tried.fires };
}

/** Loaded, not attached. */
export interface Loaded {
  readonly capture: NativeCapture;
  readonly family: KernelFamily;
  readonly failures: readonly CaptureError[];
}

/** The first family that loads, behind those that failed already. */
export async function loadFirst(
  options: KernelOptions,
  failed: readonly CaptureError[] = [],
): Promise<Loaded> {
  const addon = loadAddon();
  const read = readObject(addon, options.object ?? nativeFile('dns.bpf.o'));
  if ('error' in read) throw read.error;
  const failures = [...failed];
  const btf = btfOfFile(options.btf);
  const families = familiesFor(options.hook, btf);
  for (const family of families.slice(failed.length)) {
    const opened = await addon.open({
      object: read.bytes,
      ...given(btf),
      family,
      besides: [
        'exit',
        ...(family === 'tracepoint' ? ['redirect_tracepoint'] : []),
        ...(options.connections === true ? [`connect_${family}`] : []),
      ],
      ringBytes: options.ringBytes,
      knobs: {
        ...selfKnobs(),
        dns_ports: options.ports,
        dns_port_count: [options.ports.length],
        payload_limit: [options.maxPayload],
        wakeup_bytes: [options.ringBytes / 4],
        calm_bytes: [options.ringBytes / 2],
        exit_bytes: [(options.ringBytes / 8) * 7],
        share_rate: [options.cgroupRate ?? 0],
        share_burst: [options.cgroupBurst ?? 0],
        identity_seed: [randomInt(2 ** 48 - 1)],
        visibility_enforced: [options.levels === true ? 1 : 0],
        trace_bytes: [options.traceContext === true ? TRACE_CONTEXT.SIZEOF : 0],
      },
    });
    if ('capture' in opened) return { capture: opened.capture, family, failures };
    failures.push(new CaptureError(opened.error));
  }
  throw noFamily(failures, btf === undefined ? undefined : options.btf);
}

/** @throws UserError: it cannot do without the kernel's own BTF */
function familiesFor(hook: KernelOptions['hook'], btf: Uint8Array | undefined): readonly KernelFamily[] {
  if (hook === 'auto') return btf === undefined ? familiesInOrder(currentPreemption()) : [FAMILY_OF_FILE];
  if (btf === undefined || hook === FAMILY_OF_FILE) return [hook];
  throw new UserError(`--hook ${hook}: ${NEEDS_OWN_BTF}`, { hint: `use ${FAMILY_OF_FILE}`, lack: 'kernel' });
}

function given(btf: Uint8Array | undefined): { readonly btf?: Uint8Array } {
  return btf === undefined ? {} : { btf };
}

/** The BPF object, if it is the one that the addon was built with: libbpf does not survive every damage. */
function readObject(
  addon: NativeAddon,
  path: string,
): { readonly bytes: Uint8Array } | { readonly error: CaptureError } {
  const refusal = (fault: Partial<NativeError>) => {
    const blank = { op: 'open', subject: path, errno: 0, code: '', hint: '', detail: '' };
    return { error: new CaptureError({ ...blank, ...fault }) };
  };
  try {
    const bytes = readFileSync(path);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest === addon.objectDigest) return { bytes };
    const hint = 'it is damaged, or of another build than the addon: build it again with npm run build';
    return refusal({ hint, detail: `SHA-256 ${digest}, expected ${addon.objectDigest}` });
  } catch (cause) {
    const { errno = 0, code = '' } = cause as NodeJS.ErrnoException;
    return refusal({ errno: -errno, code, hint: 'build it with npm run build' });
  }
}

/** One cause for all families: that one. Else each family's. */
function noFamily(failures: readonly CaptureError[], btf: string | undefined): UserError {
  const [first] = failures;
  if (first === undefined) throw new Error('no family was tried');
  if (btf !== undefined && isOfAnotherKernel(first)) {
    return new UserError(`--btf ${btf}: is not that of this kernel (${release()})`, {
      hint: 'its name is that of the kernel: take the one that uname -r tells',
      lack: 'kernel',
      cause: first,
    });
  }
  if (btf === undefined && !kernelHasBtf()) {
    return new UserError('this kernel has no BTF (/sys/kernel/btf/vmlinux is not there)', {
      hint: 'use a kernel built with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF: those of Debian 11 and later are; or give it that of this kernel with --btf FILE (docs/operating.md)',
      lack: 'kernel',
      cause: first,
    });
  }
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1])) {
    return new UserError(`kernel ${release()} is too old: whodns needs ${OLDEST_KERNEL.join('.')} or later`, {
      hint: first.message,
      lack: 'kernel',
      cause: first,
    });
  }
  const general = !['load', 'attach', 'family'].includes(first.op);
  if (failures.length === 1 || general) return first;
  // Families that this kernel has not at all (op `family`) are not what stands in the way.
  const refused = failures.filter(({ op }) => op !== 'family');
  if (refused.length > 0 && refused.every(({ code }) => code === 'EPERM' || code === 'EACCES')) {
    return new UserError('not allowed to load BPF programs', {
      hint: refused[0]?.hint ?? '',
      lack: 'rights',
      cause: refused[0],
    });
  }
  const hint = failures.map((failure) => `- ${failure.message}`).join('\n');
  return new UserError('no hook family attaches on this kernel (whodns doctor says more)', {
    hint,
    lack: 'kernel',
    cause: first,
  });
}

/** How the log calls the instruction that libbpf makes of a field that is not there (src/relo_core.c: bpf_core_poison_insn). */
const POISONED = /invalid func unknown#195896080|<invalid CO-RE relocation>/;

/** Where a field is not there the verifier refuses it; one that is elsewhere shows in what is read (op `btf`). */
export function isOfAnotherKernel({ op, detail }: CaptureError): boolean {
  return op === 'btf' || (op === 'load' && POISONED.test(detail));
}

/** The agent itself, as the kernel knows it: its own lookups (of the collector, say) are left out. */
function selfKnobs(): Readonly<Record<string, readonly number[]>> {
  return { self_pid_ns: [statSync('/proc/self/ns/pid').ino], self_vpid: [process.pid] };
}
