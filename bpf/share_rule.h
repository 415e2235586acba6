/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Fair shares (share.h): how what fills and drains is divided among those who put something there. */
#ifndef WHODNS_SHARE_RULE_H
#define WHODNS_SHARE_RULE_H

#include "maps.h"

#define SHARE_TIMES 4
#define NEWCOMER_NS 2000000000ull

/* The start of an entry; on the stack there is no room for it. */
static const struct uses no_uses = {};

/*
 * At most: what was put there before `mark` is gone once so much has left. That may be twice what is there and more (the bytes of a
 * record are estimated), but no one has more in a place than is in it.
 */
static __always_inline __u64 still_there(struct use *use, __u64 left, __u64 put)
{
	__u64 there;

	if (use->mark <= left) {
		use->before = left < put ? use->now : 0;
		use->now = 0;
		use->mark = put;
	}
	there = (__u64)use->before + use->now;
	return there < put - left ? there : put - left;
}

/* Whether `use` is below its share of a place with `room` left, which becomes what is left for those who share in it. */
static __always_inline bool below_share(struct use *use, __u64 *room, __u64 left, __u64 put)
{
	__u64 there = still_there(use, left, put), most = *room * SHARE_TIMES;

	*room = there < most ? most - there : 0;
	return there < most;
}

/* What new processes of the same parent use. */
static __always_inline struct uses *parent_uses(const struct process_value *value)
{
	struct uses *uses = bpf_map_lookup_elem(&parents, &value->share);

	if (uses)
		return uses;
	bpf_map_update_elem(&parents, &value->share, &no_uses, BPF_NOEXIST);
	return bpf_map_lookup_elem(&parents, &value->share);
}

/* Looked at each time: a flag that the compiler keeps on the stack is forgotten by verifiers before 5.16, and with it that `value` is there. */
static __always_inline bool is_newcomer(const struct process_value *value)
{
	asm volatile("" : "+r"(value));
	return !value || !value->settled;
}

static __always_inline void give_back(struct use *use, __u64 amount)
{
	if (use->now >= amount) {
		use->now -= amount;
		return;
	}
	amount -= use->now;
	use->now = 0;
	use->before = use->before > amount ? use->before - amount : 0;
}

/* A process is no newcomer any more: what it used is its own, and no longer the newcomers'. */
static __noinline int share_settle(struct share_value *share, struct process_value *value)
{
	struct uses *parent;
	__u64 ring, budget;

	if (!share || !value || value->settled || bpf_ktime_get_ns() - value->created < NEWCOMER_NS)
		return 0;
	value->settled = 1;
	ring = (__u64)value->uses.ring.before + value->uses.ring.now;
	budget = (__u64)value->uses.budget.before + value->uses.budget.now;
	give_back(&share->newcomers.ring, ring);
	give_back(&share->newcomers.budget, budget);
	parent = parent_uses(value);
	if (parent) {
		give_back(&parent->ring, ring);
		give_back(&parent->budget, budget);
	}
	return 0;
}

/* What a share's ring says to one more record. */
enum ring_room {
	RING_REFUSED = 0, /* more than half full, and whose record it is is over his part of it */
	RING_PRESSED = 1,
	RING_CALM = 2,
};

static __noinline int ring_room(struct share_value *share, struct process_value *value)
{
	__u64 size = bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
	__u64 left = bpf_ringbuf_query(&events, BPF_RB_CONS_POS), put = bpf_ringbuf_query(&events, BPF_RB_PROD_POS);
	__u64 room = size > put - left ? size - (put - left) : 0;
	bool fair, pressed = room < size / 2;
	struct uses *parent;

	if (!share)
		return RING_CALM;
	fair = below_share(&share->ring, &room, left, put);
	if (is_newcomer(value)) {
		fair = below_share(&share->newcomers.ring, &room, left, put) && fair;
		parent = value ? parent_uses(value) : NULL;
		if (parent)
			fair = below_share(&parent->ring, &room, left, put) && fair;
	}
	if (value)
		fair = below_share(&value->uses.ring, &room, left, put) && fair;
	return !pressed ? RING_CALM : fair ? RING_PRESSED : RING_REFUSED;
}

static __noinline int ring_take(struct share_value *share, struct process_value *value, __u32 bytes)
{
	struct uses *parent;

	if (!share)
		return 0;
	__sync_fetch_and_add(&share->ring.now, bytes);
	if (value)
		__sync_fetch_and_add(&value->uses.ring.now, bytes);
	if (!is_newcomer(value))
		return 0;
	__sync_fetch_and_add(&share->newcomers.ring.now, bytes);
	parent = value ? parent_uses(value) : NULL;
	if (parent)
		__sync_fetch_and_add(&parent->ring.now, bytes);
	return 0;
}

#endif
