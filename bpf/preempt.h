/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * fentry programs can be preempted, and the kernel skips a program that its CPU is in already (kernel/bpf/trampoline.c:
 * prog->active, counted in recursion_misses). So a task preempted in here would make whoever gets its CPU go unseen: on a
 * kernel with lazy preemption a burst of 1000 processes lost 24 to 30 requests. kprobe programs and the tracepoints used
 * run with preemption or bottom halves off. The kernel functions are there since 6.10; before, Debian's kernels do not preempt
 * kernel code.
 */
#ifndef WHODNS_PREEMPT_H
#define WHODNS_PREEMPT_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

static __always_inline void keep_cpu(const bool fentry)
{
	if (fentry && bpf_preempt_disable && bpf_preempt_enable)
		bpf_preempt_disable();
}

static __always_inline void release_cpu(const bool fentry)
{
	if (fentry && bpf_preempt_disable && bpf_preempt_enable)
		bpf_preempt_enable();
}

#endif
