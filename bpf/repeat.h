/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Loops. The verifier follows a plain loop round by round, in each program that has it: hundreds of milliseconds at the start.
 * An iterator of the kernel (since 6.4: kernel/bpf/bpf_iter.c) it follows until a round looks like one before.
 */
#ifndef WHODNS_REPEAT_H
#define WHODNS_REPEAT_H

#include "config.h"
#include "kernel_calls.h"
#include <bpf/bpf_core_read.h>

struct bpf_iter_num___loop {
	__u64 state;
} __attribute__((aligned(8)));

/* A constant that the loader puts in. */
#define ITERATORS bpf_core_type_exists(struct bpf_iter_num___loop)

static int (*iter_num_new)(struct bpf_iter_num___loop *it, int start, int end) = (void *)KERNEL_CALL_bpf_iter_num_new;
static int *(*iter_num_next)(struct bpf_iter_num___loop *it) = (void *)KERNEL_CALL_bpf_iter_num_next;
static void (*iter_num_destroy)(struct bpf_iter_num___loop *it) = (void *)KERNEL_CALL_bpf_iter_num_destroy;

static __always_inline void *loop_begin(struct bpf_iter_num___loop *it, __u32 *index, __u32 most)
{
	*index = -1;
	if (ITERATORS)
		iter_num_new(it, 0, most);
	return NULL;
}

static __always_inline bool loop_next(struct bpf_iter_num___loop *it, __u32 *index, __u32 most)
{
	if (ITERATORS) {
		int *next = iter_num_next(it);

		if (!next)
			return false;
		*index = *next;
		return true;
	}
	return ++*index < most;
}

static __always_inline void loop_end(struct bpf_iter_num___loop *it)
{
	if (ITERATORS)
		iter_num_destroy(it);
}

/*
 * The statement behind it for `index`, a __u32, from 0 to `most` - 1. Left by break and goto, not by return: what would be returned waits
 * on the stack for loop_end, and is read there on the other ways too, which verifiers before 6.3 refuse.
 */
#define REPEAT(index, most)                                                                                            \
	for (struct bpf_iter_num___loop loop_ __attribute__((cleanup(loop_end))),                                      \
	     *begun_ __attribute__((unused)) = loop_begin(&loop_, &index, most);                                       \
	     loop_next(&loop_, &index, most);)

#endif
