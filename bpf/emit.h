/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * From a message's header to a ring record: reserve room of the smallest class that holds the payload, copy, submit.
 * Records are built inside the ring: a per-CPU scratch buffer would be overwritten by a program that preempts this one.
 * bpf_ringbuf_reserve wants constant sizes (until dynptrs, 5.19), hence classes.
 */
#ifndef WHODNS_EMIT_H
#define WHODNS_EMIT_H

#include "drops.h"
#include "payload.h"

/*
 * Room for `wanted` payload bytes. A gathered payload (several pieces) needs twice as much: the verifier bounds offset
 * and length each, not their sum.
 */
static __always_inline struct message_event *reserve_class(__u32 wanted, __u64 *room)
{
#define CLASS(bytes)                                                                                                   \
	if (wanted <= (bytes)) {                                                                                           \
		*room = (bytes);                                                                                               \
		return bpf_ringbuf_reserve(&events, sizeof(struct message_event) + (bytes), 0);                                \
	}
	CLASS(64)
	CLASS(128)
	CLASS(512)
	CLASS(4096)
	*room = PAYLOAD_MAX;
	return bpf_ringbuf_reserve(&events, sizeof(struct message_event) + PAYLOAD_MAX, 0);
#undef CLASS
}

static __always_inline struct message_event *reserve_gather(__u32 wanted, __u64 *room)
{
#define CLASS(bytes)                                                                                                   \
	if (wanted <= (bytes)) {                                                                                           \
		*room = (bytes);                                                                                               \
		return bpf_ringbuf_reserve(&events, sizeof(struct message_event) + 2 * (bytes), 0);                            \
	}
	CLASS(128)
	CLASS(4096)
	*room = PAYLOAD_MAX;
	return bpf_ringbuf_reserve(&events, sizeof(struct message_event) + 2 * PAYLOAD_MAX, 0);
#undef CLASS
}

static __always_inline __u32 wanted_bytes(const struct message_event *message)
{
	return message->length < payload_limit ? message->length : payload_limit;
}

/* The ring is full: counted, never waited for. */
static __always_inline void lost(void)
{
	drop(DROP_RING_FULL);
}

static __always_inline void submit(struct message_event *record, __u32 captured, __u32 wanted)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	record->captured = captured;
	record->header.size = sizeof(*record) + captured;
	if (captured < wanted) {
		record->flags |= MESSAGE_UNREADABLE;
		drop(DROP_PAYLOAD_UNREADABLE);
	}
	if (wakeup_bytes && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= wakeup_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(record, flags);
	count(COUNTER_SUBMITTED);
}

/* Emits with a payload that is one run of bytes. */
static __noinline int emit_run(const struct message_event *message, __u64 address, __u64 there, bool user)
{
	struct message_event *record;
	__u64 room = 0, length;
	__u32 wanted;
	long failed;

	if (!message)
		return 0;
	wanted = wanted_bytes(message);
	record = reserve_class(wanted, &room);
	if (!record) {
		lost();
		return 0;
	}
	*record = *message;
	length = there < wanted ? there : wanted;
	AT_MOST(length, room);
	if (user)
		failed = bpf_probe_read_user(record + 1, length, (void *)address);
	else
		failed = bpf_probe_read_kernel(record + 1, length, (void *)address);
	submit(record, failed ? 0 : length, wanted);
	return 0;
}

/* Copies one piece behind the `at` bytes already there. Returns how many there are now; -1: unreadable. */
static __always_inline long append_piece(struct message_event *record, __u64 room, __u64 at, __u64 wanted,
                                         const struct piece *piece, const bool user)
{
	__u64 length = piece->length < wanted - at ? piece->length : wanted - at;
	__u64 offset = at;
	long failed;

	if (!length)
		return at;
	if (!piece->address)
		return -1;
	AT_MOST(offset, room);
	AT_MOST(length, room);
	if (user)
		failed = bpf_probe_read_user((void *)(record + 1) + offset, length, (void *)piece->address);
	else
		failed = bpf_probe_read_kernel((void *)(record + 1) + offset, length, (void *)piece->address);
	return failed ? -1 : (long)(at + length);
}

/* Emits with a payload scattered over iovecs, kvecs or pages. */
static __noinline int emit_buffers(const struct message_event *message, const struct buffer *buffer)
{
	struct message_event *record;
	__u64 room = 0, wanted, at = 0;

	if (!message || !buffer)
		return 0;
	wanted = wanted_bytes(message);
	record = reserve_gather(wanted, &room);
	if (!record) {
		lost();
		return 0;
	}
	*record = *message;
	for (__u32 i = 0; i < PIECES_MAX; i++) {
		struct piece piece;
		long next;

		if (i >= buffer->segments || at >= wanted)
			break;
		piece = buffer_segment(buffer, i);
		if (buffer->kind == BUFFER_IOVEC)
			next = append_piece(record, room, at, wanted, &piece, true);
		else
			next = append_piece(record, room, at, wanted, &piece, false);
		if (next < 0)
			break;
		at = next;
	}
	submit(record, at, wanted);
	return 0;
}

/* Emits with the payload of a send or receive. */
static __always_inline void emit_buffer(const struct message_event *message, const struct buffer *buffer)
{
	struct piece first = {};

	if (buffer->kind == BUFFER_USER) {
		emit_run(message, buffer->segment, message->length, true);
		return;
	}
	if (buffer->kind != BUFFER_UNKNOWN && buffer->segments) {
		first = buffer_segment(buffer, 0);
		if (first.length < wanted_bytes(message)) {
			emit_buffers(message, buffer);
			return;
		}
	}
	emit_run(message, first.address, first.address ? first.length : 0, buffer->kind == BUFFER_IOVEC);
}

/*
 * Emits with a packet's payload from `start` (relative to skb->data, may be negative: the headers can be pulled already)
 * on, where it lies in the linear part and the page fragments.
 */
static __noinline int emit_fragments(const struct message_event *message, struct sk_buff *skb, long start)
{
	struct message_event *record;
	__u64 room = 0, wanted, at = 0, shared_info;
	struct piece piece;
	__u32 fragments;
	long skip;

	if (!message)
		return 0;
	wanted = wanted_bytes(message);
	record = reserve_gather(wanted, &room);
	if (!record) {
		lost();
		return 0;
	}
	*record = *message;
	shared_info = (__u64)LOAD(false, skb, head) + LOAD(false, skb, end);
	fragments = LOAD(false, (struct skb_shared_info *)shared_info, nr_frags);
	piece.address = (__u64)LOAD(false, skb, data);
	piece.length = LOAD(false, skb, len) - LOAD(false, skb, data_len);
	skip = start;
	for (__u32 i = 0; i < PIECES_MAX; i++) {
		if (skip < (long)piece.length) {
			long next;

			if (piece.address)
				piece.address += skip;
			piece.length -= skip;
			skip = 0;
			next = append_piece(record, room, at, wanted, &piece, false);
			if (next < 0)
				break;
			at = next;
		} else {
			skip -= piece.length;
		}
		if (i >= fragments || at >= wanted)
			break;
		piece = packet_fragment(shared_info, i);
	}
	submit(record, at, wanted);
	return 0;
}

/* As emit_fragments, by the kernel's own reader. `skb` must be a trusted argument: tp_btf programs only. */
static __always_inline void emit_dynptr(const struct message_event *message, struct sk_buff *skb, __u32 start,
                                        __u64 there)
{
	struct message_event *record;
	struct bpf_dynptr packet;
	__u64 room = 0, length;
	__u32 wanted = wanted_bytes(message);
	long failed;

	record = reserve_class(wanted, &room);
	if (!record) {
		lost();
		return;
	}
	*record = *message;
	length = there < wanted ? there : wanted;
	failed = bpf_dynptr_from_skb(skb, 0, &packet);
	if (!failed) {
		AT_MOST(length, room);
		failed = bpf_dynptr_read(record + 1, length, &packet, start, 0);
	}
	submit(record, failed ? 0 : length, wanted);
}

/* Emits with the payload at `start` from skb->data: the cheapest way that reads it all. */
static __always_inline void emit_packet(const struct message_event *message, struct sk_buff *skb, long start,
                                        const bool direct, const bool trusted)
{
	__u64 data = (__u64)LOAD(false, skb, data);
	long linear = (long)(LOAD(direct, skb, len) - LOAD(direct, skb, data_len)) - start;

	if (linear >= (long)wanted_bytes(message))
		emit_run(message, data + start, linear, false);
	else if (trusted && LINUX_KERNEL_VERSION >= KERNEL(6, 12, 0))
		emit_dynptr(message, skb, start, LOAD(direct, skb, len) - start);
	else
		emit_fragments(message, skb, start);
}

#endif
