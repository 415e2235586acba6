/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Fair shares: what one workload sends must not push out what others send. Asked before room in the ring is reserved.
 *
 * Whose share: the control group's, and on the host the user's in it (share_find). Two bounds:
 * - The ring, when it is more than half full. Who has bytes in it may have SHARE_TIMES as many as are free, not more. So a
 *   single busy workload gets most of the ring, many get the same each, and who sends little always finds room.
 * - The budget, always: a token bucket of records. What was taken and not yet given back is in it as bytes are in the ring, and the
 *   same rule divides it.
 * Below a share the same rule holds once more for each of its processes, and above them for its newcomers together and by parent,
 * so that processes made by the thousand are no more than one.
 */
#ifndef WHODNS_SHARE_H
#define WHODNS_SHARE_H

#include "drops.h"
#include "share_of.h"
#include "share_rule.h"

#define SHARE_BATCH_MAX 16 /* records a process gets at once, while there is plenty */
#define SECOND_NS       1000000000ull

/* What is asked for. */
enum share_kind {
	SHARE_REQUEST = 0,
	SHARE_RESPONSE = 1,
	SHARE_CONNECTION = 2,
	SHARE_RECORD = 3,   /* a process record alone, or a handshake */
	SHARE_KIND = 3,     /* mask */
	SHARE_PAID = 4,     /* the budget has been charged already, with the request */
	SHARE_HERE = 8,     /* the current task is the process (process.h) */
	SHARE_SKIPPED = 64, /* it is left out in any case */
	SHARE_OWED = 1 << 16,
	SHARE_HANDSHAKE = 16, /* of a stream: it counts as HANDSHAKE_RECORDS more, for the places that streams take */
};

#define HANDSHAKE_RECORDS 7
#define RECORD_BYTES      1024u /* what a record counts as one of; a larger one counts once more for each that it fills */

/* What is left of a share's budget, in records. */
static __always_inline __u64 budget_left(struct share_value *share, __u64 now)
{
	/* This order: another CPU that does the same gives back too little at worst. */
	__u64 drained = *(volatile __u64 *)&share->drained, begin = *(volatile __u64 *)&share->time;
	__u64 taken = *(volatile __u64 *)&share->taken, rate = share->rate, back = 0;

	if (now > begin) {
		__u64 passed = now - begin;

		if (passed > 100 * SECOND_NS)
			passed = 100 * SECOND_NS;
		back = passed * rate / SECOND_NS;
	}
	if (back && drained + back >= taken) {
		*(volatile __u64 *)&share->time = now;
		*(volatile __u64 *)&share->drained = drained = taken;
	} else if (back && rate) {
		*(volatile __u64 *)&share->time = begin + back * SECOND_NS / rate;
		*(volatile __u64 *)&share->drained = drained = drained + back;
	}
	return taken - drained < share->burst ? share->burst - (taken - drained) : 0;
}

/* With plenty left the process gets credit for more than one record, so that most of its records cost no look at the budget. */
static __always_inline __u32 with_credit(struct process_value *value, __u32 records)
{
	__u32 taken = value->batch > records ? value->batch : records;

	value->batch = taken * 2 < SHARE_BATCH_MAX ? taken * 2 : SHARE_BATCH_MAX;
	__sync_fetch_and_add(&value->credit, taken - records);
	return taken;
}

/*
 * Takes so many records from a share's budget, or more where there is plenty in it and in the ring (`calm`). Returns what was
 * taken; 0: nothing is left for this process.
 */
static __noinline int budget_take(struct share_value *share, struct process_value *value, __u32 records, __u32 calm)
{
	struct uses *parent = NULL;
	__u64 room, left, put;
	bool fair = true, plenty;

	if (!share)
		return records;
	if (!share->rate)
		return calm && value ? with_credit(value, records) : records;
	room = budget_left(share, bpf_ktime_get_ns());
	if (room < records)
		return 0;
	plenty = calm && value && room > share->burst / 2;
	left = *(volatile __u64 *)&share->drained;
	put = *(volatile __u64 *)&share->taken;
	if (is_newcomer(value)) {
		fair = below_share(&share->newcomers.budget, &room, left, put);
		parent = value ? parent_uses(value) : NULL;
		if (parent)
			fair = below_share(&parent->budget, &room, left, put) && fair;
	}
	if (value)
		fair = below_share(&value->uses.budget, &room, left, put) && fair;
	if (!fair)
		return 0;
	if (plenty)
		records = with_credit(value, records);
	__sync_fetch_and_add(&share->taken, records);
	if (value)
		__sync_fetch_and_add(&value->uses.budget.now, records);
	if (is_newcomer(value))
		__sync_fetch_and_add(&share->newcomers.budget.now, records);
	if (parent)
		__sync_fetch_and_add(&parent->budget.now, records);
	return records;
}

static __always_inline void share_suppress(struct share_value *share, __u64 now, __u32 kind)
{
	kind &= SHARE_KIND;
	if (kind == SHARE_RECORD)
		return;
	if (!share->since)
		share->since = now;
	if (kind == SHARE_REQUEST) {
		__sync_fetch_and_add(&share->suppressed_requests, 1);
		drop(DROP_REQUEST_SUPPRESSED);
	} else if (kind == SHARE_RESPONSE) {
		__sync_fetch_and_add(&share->suppressed_responses, 1);
		drop(DROP_RESPONSE_SUPPRESSED);
	} else {
		__sync_fetch_and_add(&share->suppressed_connections, 1);
		drop(DROP_CONNECTION_SUPPRESSED);
	}
}

/* What became of a record that was asked for. */
enum admission {
	ADMITTED = 1,
	ADMITTED_WAKE = 2, /* and the reader is to be woken with it; kept in event_header.reserved until then */
};

/* Bytes in the ring, asked once for a record. */
static __always_inline __u64 ring_used(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
}

static __always_inline int admitted(__u64 used)
{
	return wakeup_bytes && used >= wakeup_bytes ? ADMITTED | ADMITTED_WAKE : ADMITTED;
}

/* Admits a record without asking if the ring is less than half full, so that no one has to give way. */
static __always_inline int admitted_calm(void)
{
	__u64 used = ring_used();

	return used < calm_bytes ? admitted(used) : 0;
}

/* Admits a record of so many bytes by a process's credit, if there is some and the ring is less than half full. */
static __always_inline int admitted_credit(struct process_value *value, __u32 bytes)
{
	int result;

	if (!value || value->credit <= 0 || bytes >= RECORD_BYTES)
		return 0;
	result = admitted_calm();
	if (result)
		__sync_fetch_and_add(&value->credit, -1);
	return result;
}

/* Who is asked about: a process, or with a tgid of 0 one of enum common_share. */
static __always_inline struct process_value *share_process(__u64 start_time, __u32 tgid)
{
	struct process_key key = {.start_time = start_time, .tgid = tgid};

	return tgid ? bpf_map_lookup_elem(&processes, &key) : NULL;
}

/* Finds the share of the current task where it is not known, is another now, or other rates hold. */
static __always_inline void share_renew(struct process_value *value)
{
	__u32 zero = 0, *generation = bpf_map_lookup_elem(&rates_generation, &zero);
	__u64 own = bpf_get_current_cgroup_id();

	if (!generation || (value->found && value->cgroup_id == own && value->generation == *generation))
		return;
	value->cgroup_id = own;
	share_find(value, *generation);
}

/*
 * Asks the share of a process for a record of so many bytes. Returns enum admission; 0: it is left out, and counted. `kind` is enum share_kind, and
 * from SHARE_OWED on how many answers are paid for with it. Global, so that the verifier checks it once.
 */
__noinline int share_ask(__u64 start_time, __u32 tgid, __u32 common, __u32 bytes, __u32 kind)
{
	struct process_value *value = share_process(start_time, tgid);
	__u32 records = 1 + bytes / RECORD_BYTES, taken = 0;
	struct share_value *share;
	int room = RING_REFUSED;

	if (kind & SHARE_HERE && value)
		share_renew(value);
	share = share_of(value, common);
	if (!share)
		return ADMITTED;
	if (value && !value->settled)
		share_settle(share, value);
	if (kind & SHARE_HANDSHAKE)
		records += HANDSHAKE_RECORDS;
	if (!(kind & SHARE_SKIPPED))
		room = ring_room(share, value);
	if (room)
		taken = kind & SHARE_PAID ? 1 : budget_take(share, value, records, room == RING_CALM);
	if (!taken) {
		share_suppress(share, bpf_ktime_get_ns(), kind);
		return 0;
	}
	ring_take(share, value, bytes < RECORD_BYTES ? bytes * taken : bytes);
	if (value && kind >= SHARE_OWED)
		__sync_fetch_and_add(&value->owed, kind / SHARE_OWED);
	return admitted(ring_used());
}

#endif
