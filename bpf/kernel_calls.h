/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * How the programs call functions of the kernel (kfuncs) that only later kernels have: as helpers of numbers that no helper has. Where the
 * kernel has the function, the loader writes its call in that place; where not, the verifier never gets there. Externs of libbpf's would not
 * do: kernels of 5.13 to 5.16 refuse the call of an unknown function even where it is never reached (kernel/bpf/verifier.c: add_kfunc_call),
 * and libbpf looks for one in the kernel's own BTF, which is not everywhere.
 */
#ifndef WHODNS_KERNEL_CALLS_H
#define WHODNS_KERNEL_CALLS_H

#define KERNEL_CALLS(X)                                                                                                \
	X(bpf_rdonly_cast)                                                                                             \
	X(bpf_iter_num_new)                                                                                            \
	X(bpf_iter_num_next)                                                                                           \
	X(bpf_iter_num_destroy)                                                                                        \
	X(bpf_dynptr_from_skb)

#define KERNEL_CALL(name) KERNEL_CALL_##name,
enum kernel_call {
	KERNEL_CALL_FIRST = 0x6b637300,
	KERNEL_CALL_BEFORE = KERNEL_CALL_FIRST - 1,
	KERNEL_CALLS(KERNEL_CALL) KERNEL_CALL_END,
};
#undef KERNEL_CALL

#ifdef __bpf__

#include <linux/bpf.h>

/*
 * The helpers bpf_probe_read_user and bpf_probe_read_kernel for a size that varies: of 64 bits, since verifiers of 5.8 to 5.12 know of its lower
 * half nothing of what the whole was compared with.
 */
static long (*read_user)(void *to, __u64 size, const void *from) = (void *)BPF_FUNC_probe_read_user;
static long (*read_kernel)(void *to, __u64 size, const void *from) = (void *)BPF_FUNC_probe_read_kernel;

#else

#include <bpf/btf.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stddef.h>
#include <string.h>

/* In an object's bytes, before libbpf opens it. `kernel`: its own BTF, or NULL: no function can be called then. */
static inline void write_kernel_calls(void *object, size_t size, const struct btf *kernel)
{
#define KERNEL_CALL_NAME(name) #name,
	static const char *const names[] = {KERNEL_CALLS(KERNEL_CALL_NAME)};
#undef KERNEL_CALL_NAME
	__s32 functions[sizeof(names) / sizeof(*names)] = {};
	struct bpf_insn call;

	if (!kernel)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		functions[i] = btf__find_by_name_kind(kernel, names[i], BTF_KIND_FUNC);
	/* Sections of instructions are aligned to their size. */
	for (size_t at = 0; at + sizeof(call) <= size; at += sizeof(call)) {
		memcpy(&call, (char *)object + at, sizeof(call));
		if (call.code != (BPF_JMP | BPF_CALL) || call.dst_reg || call.src_reg || call.off ||
		    call.imm < KERNEL_CALL_FIRST || call.imm >= KERNEL_CALL_END ||
		    functions[call.imm - KERNEL_CALL_FIRST] <= 0)
			continue;
		call.src_reg = BPF_PSEUDO_KFUNC_CALL;
		call.imm = functions[call.imm - KERNEL_CALL_FIRST];
		memcpy((char *)object + at, &call, sizeof(call));
	}
}

#endif
#endif
