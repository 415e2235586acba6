/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Ids by which records name their owner (event.h, struct owner): each is told once, before it is named. */
#ifndef WHODNS_OWNER_IDS_H
#define WHODNS_OWNER_IDS_H

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

static __always_inline __u64 thread_key(const struct owner *owner)
{
	return (__u64)owner->tgid << 32 | owner->tid;
}

/* Tells user space of an owner; `address` is that of the struct owner. Returns its id; 0: no room. Global: see emit_process. */
__noinline int tell_owner(__u64 address, __u32 hook)
{
	struct owner_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct owner owner; /* what is put into a map is on the stack: verifiers before 5.11 want it so */
	__u64 key;

	if (!event)
		return 0;
	owner.id = 0;
	if (!bpf_probe_read_kernel(&owner, sizeof(owner), (void *)address))
		owner.id = next_id();
	if (!owner.id) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	key = thread_key(&owner);
	bpf_map_update_elem(&owners_told, &key, &owner, BPF_ANY);
	event->header.time = bpf_ktime_get_ns();
	event->header.size = sizeof(*event);
	event->header.kind = EVENT_OWNER;
	event->header.hook = hook;
	event->header.reserved = 0;
	event->owner = owner;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return owner.id;
}

/* Whether two are the same but for their ids. */
static __always_inline bool same_owner(const struct owner *one, const struct owner *other)
{
	const __u64 *a = (const __u64 *)one, *b = (const __u64 *)other;
	__u64 differ = one->net_ns ^ other->net_ns;

#pragma unroll
	for (int i = 0; i < (int)(sizeof(*one) / 8); i++)
		if (i != offsetof(struct owner, net_ns) / 8)
			differ |= a[i] ^ b[i];
	return !differ;
}

/* The id of an owner, which the ring has been told of; 0: there was no room for that. */
static __always_inline __u32 owner_id(const struct owner *owner, const __u32 hook)
{
	__u64 key = thread_key(owner);
	struct owner *told = bpf_map_lookup_elem(&owners_told, &key);

	if (told && latest_id() - told->id < OWNER_RENEWED && same_owner(told, owner))
		return told->id;
	return tell_owner(address_of(owner), hook);
}

_Static_assert(offsetof(struct owner, net_ns) % 8 == 0 &&
		   offsetof(struct owner, id) == offsetof(struct owner, net_ns) + 4,
	       "same_owner leaves out the id");

#endif
