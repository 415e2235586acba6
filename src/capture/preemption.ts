/**
 * Does this kernel preempt kernel code? It decides the order of the hook families: an fentry program can be preempted, and
 * while it is, the kernel skips the same program for whoever gets the processor (kernel/bpf/trampoline.c: prog->active),
 * so requests and responses go unseen. kprobe programs run with preemption off, those of the tracepoint family with bottom
 * halves off. Disabling preemption inside an fentry program does not help: the switch then happens where it is enabled
 * again, still inside.
 */
import { readFileSync } from 'node:fs';
import { release, version } from 'node:os';

/** `undefined`: no sign of it. */
export type Preemption = 'none' | 'voluntary' | 'lazy' | 'full' | 'realtime' | undefined;

export interface PreemptionSigns {
  /** uname -r and -v. */
  readonly release: string;
  readonly version: string;
  /** /sys/kernel/debug/sched/preempt: all modes, the current one in parentheses. Needs a mounted debugfs. */
  readonly modes: string | undefined;
  /** /proc/cmdline: `preempt=` */
  readonly commandLine: string | undefined;
  /** The kernel's build configuration, /boot/config-RELEASE. */
  readonly configuration: string | undefined;
}

const MODES = ['none', 'voluntary', 'lazy', 'full'] as const;

export function isPreempted(mode: Preemption): boolean {
  return mode === 'lazy' || mode === 'full' || mode === 'realtime';
}

export function currentPreemption(): Preemption {
  return preemptionOf({
    release: release(),
    version: version(),
    modes: read('/sys/kernel/debug/sched/preempt'),
    commandLine: read('/proc/cmdline'),
    configuration: read(`/boot/config-${release()}`),
  });
}

/** The best sign there is: the running mode, what was asked for at boot, what the kernel was built for. Pure. */
export function preemptionOf(signs: PreemptionSigns): Preemption {
  const words = signs.version.split(/\s+/);
  if (words.includes('PREEMPT_RT')) return 'realtime';
  const running = mode(/\((\w+)\)/.exec(signs.modes ?? '')?.[1]);
  if (running !== undefined) return running;
  // Build without a choice at boot: kernel/Kconfig.preempt, shown by init/version-timestamp.c.
  if (words.includes('PREEMPT')) return 'full';
  if (words.includes('PREEMPT_LAZY')) return 'lazy';
  if (!words.includes('PREEMPT_DYNAMIC')) return 'none';
  const asked = mode(/(?:^|\s)preempt=(\w+)/.exec(signs.commandLine ?? '')?.[1]);
  return asked ?? builtFor(signs);
}

function builtFor({ release: kernel, configuration = '' }: PreemptionSigns): Preemption {
  if (/^CONFIG_PREEMPT=y$/m.test(configuration)) return 'full';
  if (/^CONFIG_PREEMPT_LAZY=y$/m.test(configuration)) return 'lazy';
  if (/^CONFIG_PREEMPT_VOLUNTARY=y$/m.test(configuration)) return 'voluntary';
  if (/^CONFIG_PREEMPT_NONE=y$/m.test(configuration)) return 'none';
  // Since 7.0 architectures with lazy preemption have no other mode than lazy and full.
  return Number.parseInt(kernel, 10) >= 7 ? 'lazy' : undefined;
}

function mode(word: string | undefined): Preemption {
  return MODES.find((each) => each === word);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
