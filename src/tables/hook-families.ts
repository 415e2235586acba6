/** What each hook family needs and what it cannot see. Shown by `whodns doctor`, and in the documentation. */

export interface HookFamilyFacts {
  readonly needs: string;
  /** What is not seen, or seen less well, whatever the load. */
  readonly missed: readonly string[];
  /** And on kernels that preempt kernel code (PREEMPT, PREEMPT_LAZY, PREEMPT_RT). */
  readonly missedWherePreempted: readonly string[];
}

export const HOOK_FAMILIES = {
  fentry: {
    needs: 'BTF and BPF trampolines (5.5 or later); CAP_BPF and CAP_PERFMON',
    missed: ['requests sent by the kernel itself, and by raw or packet sockets'],
    missedWherePreempted: [
      'a message sent or received, or with --connections a connection begun, while a preempted task is in the same program on the same CPU; counted as missed runs',
    ],
  },
  kprobe: {
    needs:
      'BTF and CONFIG_KPROBES; CAP_BPF and CAP_PERFMON, with perf_event_paranoid 3 (Debian) also CAP_SYS_ADMIN',
    missed: ['requests sent by the kernel itself, and by raw or packet sockets'],
    missedWherePreempted: [
      'a message while a preempted task is in a system call on a BPF map on the same CPU (the agent that reads its counters); counted as missed runs',
    ],
  },
  tracepoint: {
    needs: 'BTF; CAP_BPF and CAP_PERFMON',
    missed: [
      'requests that never reach a network device (no route, dropped by a packet filter)',
      'the owner of a packet sent in softirq context whose socket was not seen before',
      'requests sent as IP fragments: only the first fragment is read',
    ],
    missedWherePreempted: [
      'with --connections: a connection begun while a preempted task is in the same program on the same CPU; counted as missed runs',
    ],
  },
} as const satisfies Readonly<Record<string, HookFamilyFacts>>;
