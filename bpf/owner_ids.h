/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Ids by which records name their owner (event.h, struct owner): each is told once, before it is named. */
#ifndef WHODNS_OWNER_IDS_H
#define WHODNS_OWNER_IDS_H

#include "config.h"
#include "drops.h"
#include "owner.h"

#define ID_TRIES 8 /* two programs that want an id at the same moment both try again */

/* State: the latest id. */
__u32 latest_owner_id;

static __always_inline __u32 latest_id(void)
{
	return *(volatile __u32 *)&latest_owner_id;
}

/*
 * An id that no other program has; 0: none. Kernels before 5.12 give no result of an atomic operation: if the count went up
 * by one between two looks, then by this program, and what it went up to no other has seen so.
 */
static __always_inline __u32 next_id(void)
{
#pragma unroll
	for (int i = 0; i < ID_TRIES; i++) {
		__u32 before = latest_id();

		__sync_fetch_and_add(&latest_owner_id, 1);
		if (latest_id() == before + 1)
			return before + 1;
	}
	return 0;
}

static __always_inline __u64 added(__u64 sum, __u64 word)
{
	sum = (sum ^ word) * 0x9fb21c651e98df25ull;
	return sum ^ sum >> 32;
}

/*
 * What was told of a thread, in one word, so that no one finds half of it: the id, and below it a sum of all that was told. A
 * thread of which anything is different has another sum; that it has the same by chance is one in 2^32, and `identity_seed` keeps
 * it chance.
 */
static __always_inline __u32 owner_sum(const struct owner *owner)
{
	const __u64 *words = (const __u64 *)owner;
	__u64 one = identity_seed, other = ~identity_seed; /* the processor adds to both at the same time */

#pragma unroll
	for (int i = 0; i + 1 < (int)(offsetof(struct owner, comm) / 8); i += 2) {
		one = added(one, words[i]);
		other = added(other, words[i + 1]);
	}
	one = added(one, words[offsetof(struct owner, comm) / 8 - 1]);
	other = added(other, words[offsetof(struct owner, comm) / 8]);
	one = added(one, words[offsetof(struct owner, comm) / 8 + 1]);
	if (owner->tid != owner->tgid) { /* else it is the thread's own name */
		one = added(one, words[offsetof(struct owner, leader_comm) / 8]);
		other = added(other, words[offsetof(struct owner, leader_comm) / 8 + 1]);
	}
	return added(one, other) >> 32;
}

/* The id of a thread whose sum is that; 0: what was told is another, or too long ago. */
static __always_inline __u32 told_id(__u64 told, __u32 sum)
{
	__u32 id = told >> 32;

	return (__u32)told == sum && latest_id() - id < OWNER_RENEWED ? id : 0;
}

/* Tells user space of an owner; `address` is that of the struct owner. Returns its id; 0: no room. Global: see emit_process. */
__noinline int tell_owner(__u64 address, __u32 hook)
{
	struct owner_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	__u32 id = 0;

	if (!event)
		return 0;
	if (!bpf_probe_read_kernel(&event->owner, sizeof(event->owner), (void *)address))
		id = next_id();
	if (!id) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	event->header.time = bpf_ktime_get_ns();
	event->header.size = sizeof(*event);
	event->header.kind = EVENT_OWNER;
	event->header.hook = hook;
	event->header.reserved = 0;
	event->owner.id = id;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return id;
}

/*
 * What was told of an owner that its process's entry does not have: before, or now. 0: there was no room for that.
 */
static __noinline __u64 owner_told(const struct owner *owner, __u32 hook)
{
	__u64 key, told, *known;
	__u32 sum, id = 0;

	if (!owner)
		return 0;
	key = (__u64)owner->tgid << 32 | owner->tid;
	sum = owner_sum(owner);
	known = bpf_map_lookup_elem(&owners_told, &key);
	if (known)
		id = told_id(*known, sum);
	if (!id) {
		id = tell_owner(address_of(owner), hook);
		if (!id)
			return 0;
		told = (__u64)id << 32 | sum;
		bpf_map_update_elem(&owners_told, &key, &told, BPF_ANY);
	}
	return (__u64)id << 32 | sum;
}

#endif
