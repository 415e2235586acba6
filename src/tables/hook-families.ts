/** What each hook family needs, and what it misses on some kernels. What it never sees: blind-spots.ts. Shown by `whodns doctor`. */

export interface HookFamilyFacts {
  readonly needs: string;
  /** Missed on kernels that preempt kernel code (PREEMPT, PREEMPT_LAZY, PREEMPT_RT). */
  readonly missedWherePreempted: readonly string[];
}

export const HOOK_FAMILIES = {
  fentry: {
    needs: 'BTF and BPF trampolines (5.5 or later); CAP_BPF and CAP_PERFMON',
    missedWherePreempted: [
      'a message sent or received, or with --connections a connection begun, while a preempted task is in the same program on the same CPU; counted as missed runs',
    ],
  },
  kprobe: {
    needs:
      'BTF (or that of a file, --btf) and CONFIG_KPROBES; CAP_BPF and CAP_PERFMON, with perf_event_paranoid 3 (Debian) also CAP_SYS_ADMIN',
    missedWherePreempted: [
      'a message while a preempted task is in a system call on a BPF map on the same CPU (the agent that reads its counters); counted as missed runs',
    ],
  },
  tracepoint: {
    needs: 'BTF; CAP_BPF and CAP_PERFMON',
    missedWherePreempted: [
      'with --connections: a connection begun while a preempted task is in the same program on the same CPU; counted as missed runs',
    ],
  },
} as const satisfies Readonly<Record<string, HookFamilyFacts>>;
