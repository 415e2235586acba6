/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Counting. Atomic also on per-CPU values: a program can be preempted, and interrupted by another, between load and store. */
#ifndef WHODNS_DROPS_H
#define WHODNS_DROPS_H

#include "maps.h"

static __always_inline void count(enum counter what)
{
	__u32 index = what;
	__u64 *value = bpf_map_lookup_elem(&counters, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline void drop(enum drop_reason why)
{
	__u32 index = why;
	__u64 *value = bpf_map_lookup_elem(&drops, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

#endif
