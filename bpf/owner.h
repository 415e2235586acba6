/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Who: the task behind a message, read in its own context. */
#ifndef WHODNS_OWNER_H
#define WHODNS_OWNER_H

#include "config.h"
#include "event.h"
#include "kernel.h"
#include "kernel_calls.h"
#include <asm/ptrace.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * Whether a kernel has a helper: so the loader puts a constant into the program, where a look at LINUX_KERNEL_VERSION would
 * be a load each time.
 */
enum bpf_func_id___since {
	BPF_FUNC_get_current_task_btf___since,
	BPF_FUNC_cgrp_storage_get___since, /* 6.2 */
};

#define KERNEL_SINCE(helper) bpf_core_enum_value_exists(enum bpf_func_id___since, helper)

/* Since when a program can take any address for a typed, faulting-safe pointer; verified away, it costs no call. */
#define CASTS KERNEL_SINCE(BPF_FUNC_cgrp_storage_get___since)
static void *(*rdonly_cast)(const void *pointer, __u32 type) = (void *)KERNEL_CALL_bpf_rdonly_cast;

/* One field, by bpf_probe_read_kernel: some 90 instructions. A pointer so read is a plain number to the verifier. */
#define PROBE(pointer, field)                                                                                          \
	({                                                                                                             \
		typeof((pointer)->field) value_;                                                                       \
		bpf_core_read(&value_, sizeof(value_), &(pointer)->field);                                             \
		value_;                                                                                                \
	})

/*
 * One field. `direct` is a constant: true follows a pointer the verifier knows by its BTF type (no call, a fault reads
 * 0), false is for pointers the program type or the kernel does not vouch for.
 */
#define LOAD(direct, pointer, field)                                                                                   \
	({                                                                                                             \
		typeof((pointer)->field) value_;                                                                       \
		if (direct) {                                                                                          \
			value_ = (pointer)->field;                                                                     \
		} else if (CASTS) {                                                                                    \
			typeof(pointer) typed_ = rdonly_cast(pointer, bpf_core_type_id_kernel(typeof(*(pointer))));    \
			value_ = typed_->field;                                                                        \
		} else {                                                                                               \
			bpf_core_read(&value_, sizeof(value_), &(pointer)->field);                                     \
		}                                                                                                      \
		value_;                                                                                                \
	})

/*
 * A pointer of a structure that the verifier vouches for, as one that it does not: where that is followed, it does not search
 * all names of the kernel's types for whether it may vouch for the next one (kernel/bpf/btf.c: btf_nested_type_is_trusted),
 * which took most of the time of a load.
 */
#define UNTRUSTED(pointer, field) (CASTS ? LOAD(false, pointer, field) : (pointer)->field)

/*
 * Eight bytes at any address at once. Of pointers that the verifier does not vouch for, each load is preceded by six instructions that look
 * at the address.
 */
#define WORD_AT(pointer) LOAD(false, (struct timespec64 *)(pointer), tv_sec)

/* A pointer as a number, by way of memory: the verifier lets no pointer be computed with. */
static __always_inline __u64 address_of(const void *pointer)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &pointer);
	return address;
}

/* State: its own address, once it is known. */
__u64 own_address;

/*
 * The same of a pointer that the verifier knows as one, without a call: it lets two pointers be subtracted, and takes the result for a
 * number.
 */
static __always_inline __u64 typed_address(const void *pointer)
{
	__u64 address = 0;

	if (!own_address)
		own_address = address_of(&own_address);
	asm volatile("%[a] = %[p]\n\t%[a] -= %[own]" : [a] "=&r"(address) : [p] "r"(pointer), [own] "r"(&own_address));
	return address + own_address;
}

/* The same of an argument: with kprobes (`direct` false) it is a number already. */
#define ADDRESS(direct, pointer) ((direct) ? typed_address(pointer) : (__u64)(pointer))

/* State: 0, which no verifier knows. */
__u64 unknown_zero;

/*
 * After this the verifier knows nothing of so many words, which stay what they are: the ways that lead here look the same to it, and what
 * comes behind is followed once.
 */
static __always_inline void forget_words(void *words, const __u32 count)
{
	__u64 zero = *(volatile __u64 *)&unknown_zero;

#pragma unroll
	for (int i = 0; i < (int)count; i++)
		((volatile __u64 *)words)[i] ^= zero;
}

/* So many words at any address, at once where that is allowed. False: they cannot be read (a cast reads 0 there). */
static __always_inline bool read_words(void *to, const void *from, const __u32 count)
{
	if (!CASTS)
		return !bpf_probe_read_kernel(to, count * 8, from);
#pragma unroll
	for (int i = 0; i < (int)count; i++)
		((__u64 *)to)[i] = WORD_AT(from + i * 8);
	return true;
}

#define TASK_BTF KERNEL_SINCE(BPF_FUNC_get_current_task_btf___since) /* 5.11 */

#define SOFTIRQ_OFFSET   0x100 /* include/linux/preempt.h: set while a softirq is served */
#define HARDIRQ_NMI_MASK 0x00ff0000
#define PF_KTHREAD       0x00200000 /* include/linux/sched.h */
#define THREAD_SIZE      16384      /* x86_64; larger only with KASAN, whose owners are then unknown, not wrong */

enum bpf_func_id___task_pt_regs {
	BPF_FUNC_task_pt_regs___task_pt_regs, /* 5.15 */
};

/* Registers of the current task as it entered the kernel. NULL: not known. */
static __always_inline const void *current_registers(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___task_pt_regs, BPF_FUNC_task_pt_regs___task_pt_regs))
		return (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
#ifdef __TARGET_ARCH_x86
	/* At the top of its stack (arch/x86/include/asm/processor.h: task_pt_regs). */
	return (void *)((__u64)PROBE((struct task_struct *)bpf_get_current_task(), stack) + THREAD_SIZE -
			sizeof(struct pt_regs));
#else
	return NULL;
#endif
}

#ifdef __TARGET_ARCH_x86
/*
 * Has the current task entered the kernel by a system call? Where that has its number, an interrupt or a fault has -1
 * (arch/x86/entry/entry_64.S). Not inlined for the sake of the stack.
 */
static __noinline bool in_system_call(void)
{
	return (long)WORD_AT(current_registers() + offsetof(struct pt_regs, orig_rax)) >= 0;
}
#endif

/*
 * Does `current` run on its own behalf? Not in an interrupt, and not as a kernel thread, which sends packets that others
 * left behind (ksoftirqd, threaded NAPI, work queues).
 *
 * x86_64 serves interrupts and softirqs on stacks of their own (arch/x86/include/asm/irq_stack.h), and the program's
 * context lies on the stack of whoever runs into the tracepoint: so its address tells. But an interrupt of user code, and the softirqs
 * after it, are served on the task's stack, where nothing else is then. The preempt count would tell both, but it is a per-CPU variable,
 * which a program finds only on kernels with CONFIG_KALLSYMS_ALL. PREEMPT_RT serves softirqs on the task's stack and counts them in the
 * task; arm64 keeps the preempt count in the task.
 */
static __always_inline bool in_task_context(void *context)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	unsigned int flags;
	__u64 stack __attribute__((unused)); /* arm64 does not ask */

	if (TASK_BTF) {
		struct task_struct *typed = (struct task_struct *)bpf_get_current_task_btf();

		flags = typed->flags;
		stack = (__u64)typed->stack;
	} else {
		flags = PROBE(task, flags);
		stack = (__u64)PROBE(task, stack);
	}
	if (flags & PF_KTHREAD)
		return false;
	if (bpf_core_field_exists(struct task_struct___rt, softirq_disable_cnt) &&
	    PROBE((struct task_struct___rt *)task, softirq_disable_cnt) & SOFTIRQ_OFFSET)
		return false;
	if (bpf_core_field_exists(struct task_struct___arm64, thread_info.preempt.count))
		return !(PROBE((struct task_struct___arm64 *)task, thread_info.preempt.count) &
			 (HARDIRQ_NMI_MASK | SOFTIRQ_OFFSET));
#ifdef __TARGET_ARCH_x86
	return typed_address(context) - stack < THREAD_SIZE && in_system_call();
#else
	return false;
#endif
}

#define INITIAL_PID_NS 0xeffffffc /* include/linux/proc_ns.h: PROC_PID_INIT_INO */

/* Innermost pid namespace of `leader`, and its pid in there (struct pid, numbers[level]). `tgid` is known already. */
static __always_inline void owner_read_pid(struct owner *owner, struct task_struct *leader, const bool direct)
{
	struct pid *pid = LOAD(direct, leader, thread_pid);
	unsigned int level = LOAD(direct, pid, level);
	struct pid_namespace *namespace;
	struct upid innermost;
	__u64 numbers;

	if (level == 0) {
		owner->vpid = owner->tgid;
		owner->pid_ns = INITIAL_PID_NS;
		return;
	}
	if (level > 32) /* MAX_PID_NS_LEVEL */
		return;
	/* An element of a flexible array: its size by BTF, its index at run time. */
	numbers = (__u64)PROBE(leader, thread_pid) + bpf_core_field_offset(pid->numbers);
	bpf_probe_read_kernel(&innermost, sizeof(innermost), (void *)numbers + level * bpf_core_type_size(struct upid));
	owner->vpid = innermost.nr;
	namespace = innermost.ns;
	owner->pid_ns = LOAD(false, namespace, ns.inum);
}

/* The name of a task whose type the verifier knows: two loads, where bpf_get_current_comm takes some 60 instructions. */
static __always_inline void copy_name(char *name, struct task_struct *task)
{
	const __u64 *words = (const __u64 *)task->comm;

	((__u64 *)name)[0] = words[0];
	((__u64 *)name)[1] = words[1];
}

static __always_inline void owner_read_ids(struct owner *owner, struct cred *cred, const bool direct)
{
	if (CASTS && bpf_core_field_offset(cred->egid) == bpf_core_field_offset(cred->euid) + 4) {
		__u64 ids = WORD_AT((void *)cred + bpf_core_field_offset(cred->euid));

		owner->uid = ids;
		owner->gid = ids >> 32;
	} else {
		owner->uid = LOAD(direct, cred, euid.val);
		owner->gid = LOAD(direct, cred, egid.val);
	}
}

static __always_inline void owner_read_task(struct owner *owner, struct task_struct *task, const bool direct)
{
	struct task_struct *leader = LOAD(direct, task, group_leader);
	struct task_struct *parent = LOAD(direct, leader, real_parent);
	struct cred *cred = LOAD(direct, task, cred);
	struct nsproxy *nsproxy = LOAD(direct, task, nsproxy);

	owner->start_time = LOAD(direct, leader, start_boottime);
	owner->ppid = LOAD(direct, parent, tgid);
	owner_read_ids(owner, cred, direct);
	owner_read_pid(owner, leader, direct);
	if (nsproxy) { /* NULL while the task exits */
		struct mnt_namespace *mnt_ns = LOAD(direct, nsproxy, mnt_ns);
		struct net *net_ns = LOAD(direct, nsproxy, net_ns);

		owner->mnt_ns = LOAD(direct, mnt_ns, ns.inum);
		owner->net_ns = LOAD(direct, net_ns, ns.inum);
	}
	if (direct)
		copy_name(owner->comm, task);
	else
		bpf_get_current_comm(owner->comm, sizeof(owner->comm));
	if (owner->tid == owner->tgid)
		__builtin_memcpy(owner->leader_comm, owner->comm, COMM_LEN);
	else if (direct)
		copy_name(owner->leader_comm, leader);
	else
		bpf_core_read(owner->leader_comm, COMM_LEN, &leader->comm);
}

/* Fills `owner` from the current task. `owner` is zeroed by the caller. */
static __always_inline void owner_read(struct owner *owner)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	owner->tgid = pid_tgid >> 32;
	owner->tid = pid_tgid;
	owner->cgroup_id = bpf_get_current_cgroup_id();
	if (TASK_BTF)
		owner_read_task(owner, (struct task_struct *)bpf_get_current_task_btf(), true);
	else
		owner_read_task(owner, (struct task_struct *)bpf_get_current_task(), false);
}

/* The same as a function of its own, for the sake of the stack. */
static __noinline int owner_read_here(struct owner *owner)
{
	if (owner)
		owner_read(owner);
	return 0;
}

static __always_inline bool owner_is_self(const struct owner *owner)
{
	return self_vpid && owner->vpid == self_vpid && owner->pid_ns == self_pid_ns;
}

/* Is the current task the agent? For receives, whose owner is not read. */
static __always_inline bool current_is_self(void)
{
	struct owner owner = {.tgid = bpf_get_current_pid_tgid() >> 32};

	if (!self_vpid)
		return false;
	if (TASK_BTF) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();

		owner_read_pid(&owner, task->group_leader, true);
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		owner_read_pid(&owner, PROBE(task, group_leader), false);
	}
	return owner_is_self(&owner);
}

#endif
