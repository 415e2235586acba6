/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Processes: their counters, and when their records go into the ring. */
#ifndef WHODNS_PROCESS_H
#define WHODNS_PROCESS_H

#include "message.h"
#include "owner_ids.h"
#include "packet.h"
#include "process_record.h"
#include "share.h"

static __always_inline struct process_value *process_find(const struct owner *owner)
{
	struct process_key key = {.start_time = owner->start_time, .tgid = owner->tgid};

	return bpf_map_lookup_elem(&processes, &key);
}

/* Which exec of the process this is: a program replaced by exec keeps pid and start time. */
static __always_inline __u32 current_exec(void)
{
	struct task_struct *task;

	if (TASK_BTF) {
		task = (struct task_struct *)bpf_get_current_task_btf();
		return task->self_exec_id;
	}
	task = (struct task_struct *)bpf_get_current_task();
	return PROBE(task, self_exec_id);
}

static __always_inline void process_count(struct process_value *value, __u64 time, __u32 length, __u32 protocol)
{
	if (protocol == PROTOCOL_UDP)
		__sync_fetch_and_add(&value->udp_requests, 1);
	else if (protocol == PROTOCOL_TCP && length)
		__sync_fetch_and_add(&value->tcp_requests, 1);
	__sync_fetch_and_add(&value->request_bytes, length);
	value->last_seen = time;
}

#define STREAM_ANSWERS 4    /* pieces of an answer over TCP that its request pays for */
#define MESSAGE_BYTES  256u /* what a message and its answer take in the ring, but for the payload */

static const struct process_value no_process = {};

/* The entry of a process, made at first sight; NULL: no room. */
static __always_inline struct process_value *process_entry(const struct owner *owner, __u64 time)
{
	struct process_key key = {.start_time = owner->start_time, .tgid = owner->tgid};
	struct process_value *value = bpf_map_lookup_elem(&processes, &key);

	if (value)
		return value;
	bpf_map_update_elem(&processes, &key, &no_process, BPF_NOEXIST);
	value = bpf_map_lookup_elem(&processes, &key);
	if (!value) {
		drop(DROP_PROCESS_TABLE_FULL);
		return NULL;
	}
	value->created = time;
	value->cgroup_id = owner->cgroup_id;
	value->ppid = owner->ppid;
	return value;
}

/* What is known of a message's process, and what it may do: process_seen. */
enum seen {                    /* beside enum admission */
	    SEEN_ASK = 4,      /* its share has to be asked */
	    SEEN_ANNOUNCE = 8, /* its process's record has to go into the ring before it */
};

#define SEEN_COUNTED_ONLY 32 /* beside enum share_kind: no event, at most a process record */
#define SEEN_OWED         64 /* the answer is counted as paid for in the process's entry */

/* Bytes in the ring of a message, or of a stream's piece, of `length` payload bytes. */
static __always_inline __u32 message_bytes(__u32 length, __u32 protocol, bool announces)
{
	return MESSAGE_BYTES + payload_bytes(length, protocol) + (announces ? RECORD_BYTES : 0);
}

/*
 * Counts a request of `length` payload bytes in the process's entry; `protocol` 0 counts nothing. Then says what it may do (`kind`:
 * enum share_kind). Not inlined, like the next, for the sake of the stack. Returns enum seen, and in the upper 32 bits the owner's id
 * if it is in the entry.
 */
static __noinline __u64 process_seen(const struct owner *owner, __u64 time, __u32 length, __u32 protocol, __u32 kind)
{
	struct process_value *value;
	__u64 id = 0;
	int result = 0;

	if (!owner)
		return 0;
	value = process_entry(owner, time);
	if (value) {
		process_count(value, time, length, protocol);
		id = (__u64)told_id(value->told[owner->tid % TOLD_THREADS], owner_sum(owner)) << 32;
	}
	if (kind & SHARE_HERE && (!value || !value->announced || value->exec_id != current_exec()))
		return id | SEEN_ASK | SEEN_ANNOUNCE;
	if (kind & SEEN_COUNTED_ONLY)
		return 0;
	if (!(kind & SHARE_HANDSHAKE))
		result = admitted_credit(value, message_bytes(length, protocol, false));
	if (!result)
		return id | SEEN_ASK;
	if (value && kind >= SHARE_OWED)
		__sync_fetch_and_add(&value->owed, kind / SHARE_OWED);
	return id | result;
}

/* The id of an owner that the entry of its process does not have; there it is from now on. 0: it found no room. */
static __noinline int process_tells(const struct owner *owner, __u32 hook)
{
	struct process_value *value;
	__u64 told;

	if (!owner)
		return 0;
	told = owner_told(owner, hook);
	value = process_find(owner);
	if (value && told)
		*(volatile __u64 *)&value->told[owner->tid % TOLD_THREADS] = told;
	return told >> 32;
}

static __noinline int process_announced(const struct owner *owner)
{
	struct process_value *value;

	if (!owner)
		return 0;
	value = process_find(owner);
	if (value) {
		value->announced = 1;
		value->exec_id = current_exec();
	}
	return 0;
}

/* The current process's record goes into the ring before its first message. No room: again with its next. */
static __always_inline void process_announce(const struct owner *owner, __u32 id, const __u32 hook)
{
	if (id && emit_process(id, hook))
		process_announced(owner);
}

/*
 * Counts a request in its process's entry, asks its share, announces owner and process before its first. Returns enum
 * admission; 0: it is left out. `id`: of the owner; 0: it found no room.
 */
static __always_inline int process_admits(const struct owner *owner, __u64 time, __u32 length, __u32 protocol,
					  __u32 kind, const __u32 hook, __u32 *id)
{
	__u64 known = process_seen(owner, time, length, protocol, kind);
	int seen = known & 0xff, result = seen;

	if (!seen)
		return 0;
	if (seen & SEEN_ASK) {
		result = share_ask(owner->start_time, owner->tgid, COMMON_TABLE_FULL,
				   message_bytes(length, protocol, seen & SEEN_ANNOUNCE), kind);
		if (!result)
			return 0;
	}
	*id = known >> 32;
	if (!*id)
		*id = process_tells(owner, hook);
	if (seen & SEEN_ANNOUNCE)
		process_announce(owner, *id, hook);
	return result;
}

/* The same of a message, which is marked where the reader is to be woken with it. */
static __always_inline bool process_request(struct message *message, __u32 kind, const __u32 hook)
{
	int result = process_admits(&message->owner, message->header.time, message->length, message->protocol, kind,
				    hook, &message->owner_id);

	message->header.reserved = result & ADMITTED_WAKE;
	if (result && !message->owner_id && !(kind & SEEN_COUNTED_ONLY)) {
		message->flags &= ~(MESSAGE_OWNER | MESSAGE_OWNER_CACHED);
		drop(DROP_NO_OWNER);
	}
	return result;
}

#endif
