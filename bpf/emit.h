/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * From a message's header to a ring record: reserve room of the smallest class that holds the payload, copy, submit.
 * Records are built inside the ring: a per-CPU scratch buffer would be overwritten by a program that preempts this one, or
 * had to be claimed (process.h: scratch_claim).
 * bpf_ringbuf_reserve wants constant sizes (until dynptrs, 5.19), hence classes.
 *
 * The functions that walk over pieces are global and take addresses as plain numbers (process.h: emit_process).
 */
#ifndef WHODNS_EMIT_H
#define WHODNS_EMIT_H

#include "drops.h"
#include "message.h"
#include "packet.h"
#include "payload.h"
#include "repeat.h"
#include "thread_context.h"

/*
 * Bytes before the trace context and the payload. Constant on each way through the program, as the verifier wants the size of
 * what is reserved: hence a branch, which the compiler would compute away.
 */
static __always_inline __u64 head_bytes(bool addresses)
{
	__u64 bytes = sizeof(struct message_event);

	if (addresses) {
		bytes += sizeof(struct message_addresses);
		asm volatile("" : "+r"(bytes));
	}
	return bytes;
}

/*
 * Room for `head` (head_bytes) and `wanted` payload bytes. A gathered payload (several pieces) needs twice as much: the
 * verifier bounds offset and length each, not their sum.
 */
static __always_inline struct message_event *reserve_class(__u64 head, __u32 wanted, __u64 *room)
{
#define CLASS(bytes)                                                                                                   \
	if (wanted <= (bytes)) {                                                                                       \
		*room = (bytes);                                                                                       \
		return bpf_ringbuf_reserve(&events, head + (bytes) + trace_bytes, 0);                                  \
	}
	CLASS(64)
	CLASS(128)
	CLASS(512)
	CLASS(4096)
	CLASS(16384)
	*room = PAYLOAD_MAX;
	return bpf_ringbuf_reserve(&events, head + PAYLOAD_MAX + trace_bytes, 0);
#undef CLASS
}

static __always_inline struct message_event *reserve_gather(__u64 head, __u32 wanted, __u64 *room)
{
#define CLASS(bytes)                                                                                                   \
	if (wanted <= (bytes)) {                                                                                       \
		*room = (bytes);                                                                                       \
		return bpf_ringbuf_reserve(&events, head + 2 * (bytes) + trace_bytes, 0);                              \
	}
	CLASS(128)
	CLASS(4096)
	CLASS(16384)
	*room = PAYLOAD_MAX;
	return bpf_ringbuf_reserve(&events, head + 2 * PAYLOAD_MAX + trace_bytes, 0);
#undef CLASS
}

/* A member of the message at an address. */
#define MEMBER(address, name)                                                                                          \
	({                                                                                                             \
		typeof(((struct message *)0)->name) value_ = 0;                                                        \
		bpf_probe_read_kernel(&value_, sizeof(value_), (void *)(address) + offsetof(struct message, name));    \
		value_;                                                                                                \
	})

/* What the functions that walk over pieces have to know of a message, in a number: they have little room on the stack. */
#define SHAPE_DIRECTION 3
#define SHAPE_ADDRESSES 4
#define SHAPE_WANTED    16 /* first bit of payload_bytes */

static __always_inline __u32 shape_of(const struct message *message)
{
	__u32 wanted = payload_bytes(message->length, message->protocol);

	return message->direction | (has_addresses(message) ? SHAPE_ADDRESSES : 0) | wanted << SHAPE_WANTED;
}

static __always_inline __u32 word_of(__u64 address)
{
	__u32 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)address);
	return word;
}

/* A message found no room. */
static __always_inline void drop_message(__u8 direction)
{
	drop(direction == DIRECTION_RESPONSE ? DROP_RESPONSE_RING_FULL : DROP_RING_FULL);
}

static __always_inline void *payload_of(struct message_event *record, __u64 head)
{
	return (void *)record + head + trace_bytes;
}

/* Fills what stands before the payload. */
static __always_inline void write_head(struct message_event *record, __u64 head, const struct message *message)
{
	const __u64 *from = (const __u64 *)message;
	__u64 *to = (__u64 *)record;

#pragma unroll
	for (int i = 0; i < (int)sizeof(struct message_event) / 8; i++)
		to[i] = from[i];
	if (head > sizeof(struct message_event)) {
		record->flags |= MESSAGE_ADDRESSES;
#pragma unroll
		for (int i = sizeof(struct message_event) / 8;
		     i < (int)(sizeof(struct message_event) + sizeof(struct message_addresses)) / 8; i++)
			to[i] = from[i];
	} else {
		record->local_ipv4 = ((const __u32 *)message->local_address)[3];
		record->remote_ipv4 = ((const __u32 *)message->remote_address)[3];
	}
}

/* The same of a message at an address. */
static __always_inline void read_head(struct message_event *record, __u64 head, __u64 message)
{
	if (head > sizeof(struct message_event)) {
		bpf_probe_read_kernel(record, sizeof(struct message_event) + sizeof(struct message_addresses),
				      (void *)message);
		record->flags |= MESSAGE_ADDRESSES;
	} else {
		bpf_probe_read_kernel(record, sizeof(struct message_event), (void *)message);
		record->local_ipv4 = word_of(message + offsetof(struct message, local_address) + 12);
		record->remote_ipv4 = word_of(message + offsetof(struct message, remote_address) + 12);
	}
}

/* Where the trace context of a message's sender is, if that is the current task; 0: nowhere. */
static __always_inline __u64 trace_record_of(const struct message *message)
{
	if (!trace_bytes || (message->flags & (MESSAGE_OWNER | MESSAGE_OWNER_CACHED)) != MESSAGE_OWNER)
		return 0;
	return thread_context_record(message->owner.start_time, message->owner.tgid);
}

static __always_inline void submit(struct message_event *record, __u64 head, __u64 trace_record, __u32 captured,
				   __u32 wanted)
{
	__u64 flags = record->header.reserved ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	record->header.reserved = 0;
	record->header.size = head + trace_bytes + captured;
	if (trace_bytes) {
		record->flags |= MESSAGE_TRACE;
		read_thread_context((void *)record + head, trace_record);
	}
	if (captured < wanted) {
		record->flags |= MESSAGE_UNREADABLE;
		drop(DROP_PAYLOAD_UNREADABLE);
	}
	bpf_ringbuf_submit(record, flags);
	count(COUNTER_SUBMITTED);
}

/* Emits the message with a payload that is one run of bytes: `there` of them at `address`. */
static __always_inline void emit_run(const struct message *message, __u64 address, __u64 there, bool user)
{
	struct message_event *record;
	__u32 wanted = payload_bytes(message->length, message->protocol);
	__u64 head = head_bytes(has_addresses(message)), room = 0, length;
	long failed;

	record = reserve_class(head, wanted, &room);
	if (!record) {
		drop_message(message->direction);
		return;
	}
	write_head(record, head, message);
	length = there < wanted ? there : wanted;
	AT_MOST(length, room);
	if (user)
		failed = read_user(payload_of(record, head), length, (void *)address);
	else
		failed = read_kernel(payload_of(record, head), length, (void *)address);
	submit(record, head, trace_record_of(message), failed ? 0 : length, wanted);
}

/*
 * A walk over pieces. The verifier would follow every combination of lengths through the loop; so after each step the
 * walk's state passes through memory that it does not track (forget), and every round looks the same to it. How many
 * bytes are there already is kept in the record (its size, until it is complete), for the same reason.
 */
struct walk {
	struct piece piece;
	__u64 skip; /* bytes before the payload */
	__u64 wanted;
};

static __always_inline void forget(struct walk *walk)
{
	forget_words(walk, sizeof(*walk) / 8);
}

static __always_inline __u64 gathered(const struct message_event *record)
{
	return *(const volatile __u32 *)&record->header.size;
}

/* Copies the walk's piece behind the bytes already there. False: it cannot be read. */
static __always_inline bool append_piece(struct message_event *record, __u64 head, __u64 room, const struct walk *walk,
					 const bool user)
{
	__u64 offset = gathered(record), length = walk->wanted - offset;
	long failed;

	if (walk->piece.length < length)
		length = walk->piece.length;
	if (!length)
		return true;
	if (!walk->piece.address)
		return false;
	AT_MOST(offset, room);
	AT_MOST(length, room);
	if (user)
		failed = read_user(payload_of(record, head) + offset, length, (void *)walk->piece.address);
	else
		failed = read_kernel(payload_of(record, head) + offset, length, (void *)walk->piece.address);
	if (failed)
		return false;
	record->header.size += length;
	return true;
}

/*
 * Emits with a payload scattered over iovecs, kvecs or pages. `message` and `buffers` are the addresses of the
 * message and of a struct buffer, `trace_record` and `shape` are the message's.
 */
__noinline int emit_buffers(__u64 message, __u64 buffers, __u64 trace_record, __u32 shape)
{
	struct message_event *record;
	struct buffer buffer = {};
	struct walk walk = {};
	__u64 head, room = 0;
	__u32 i;

	walk.wanted = shape >> SHAPE_WANTED;
	head = head_bytes(shape & SHAPE_ADDRESSES);
	record = reserve_gather(head, walk.wanted, &room);
	if (!record) {
		drop_message(shape & SHAPE_DIRECTION);
		return 0;
	}
	read_head(record, head, message);
	bpf_probe_read_kernel(&buffer, sizeof(buffer), (void *)buffers);
	REPEAT(i, PIECES_MAX)
	{
		bool done;

		forget(&walk);
		if (i >= buffer.segments || gathered(record) >= walk.wanted)
			break;
		walk.piece = buffer_segment(&buffer, i);
		forget(&walk);
		if (buffer.kind == BUFFER_IOVEC || buffer.kind == BUFFER_USER)
			done = append_piece(record, head, room, &walk, true);
		else
			done = append_piece(record, head, room, &walk, false);
		if (!done)
			break;
	}
	submit(record, head, trace_record, gathered(record), walk.wanted);
	return 0;
}

/* Emits with the payload of a send or receive. */
static __always_inline void emit_buffer(struct message *message, struct buffer *buffer)
{
	struct piece first = {};

	if (buffer->kind == BUFFER_USER) {
		emit_run(message, buffer->segment, message->length, true);
		return;
	}
	if (buffer->kind != BUFFER_UNKNOWN && buffer->segments) {
		first = buffer_segment(buffer, 0);
		if (first.length < message->length) {
			emit_buffers(address_of(message), address_of(buffer), trace_record_of(message),
				     shape_of(message));
			return;
		}
	}
	emit_run(message, first.address, first.address ? first.length : 0, buffer->kind == BUFFER_IOVEC);
}

/* Where a walk over a packet is: in the packet itself or, where IP has joined fragments, in one of those behind it. */
struct packet_walk {
	struct walk walk;
	__u64 shared_info;
	__u64 next; /* packet behind the one that `shared_info` is of */
	__u32 index;
	__u32 fragments;
};

static __always_inline void begin_packet(struct packet_walk *at, struct sk_buff *skb)
{
	__u64 shared_info = (__u64)PROBE(skb, head) + LOAD(false, skb, end);

	at->shared_info = shared_info;
	at->fragments = LOAD(false, (struct skb_shared_info *)shared_info, nr_frags);
	at->index = 0;
	at->walk.piece.address = (__u64)PROBE(skb, data);
	at->walk.piece.length = LOAD(false, skb, len) - LOAD(false, skb, data_len);
}

/* Goes on to the next piece. False: there is none. */
static __always_inline bool next_piece(struct packet_walk *at)
{
	struct sk_buff *skb = (struct sk_buff *)at->next;

	if (at->index < at->fragments) {
		at->walk.piece = packet_fragment(at->shared_info, at->index++);
		return true;
	}
	if (!skb)
		return false;
	begin_packet(at, skb);
	at->next = (__u64)PROBE(skb, next);
	return true;
}

/*
 * Emits with a packet's payload from `start` bytes behind skb->data on: in the linear part, the page fragments, and the packets
 * that IP has joined to it. `packet` is the address of the struct sk_buff.
 */
__noinline int emit_fragments(__u64 message, __u64 packet, __u32 start, __u64 trace_record, __u32 shape)
{
	struct message_event *record;
	struct packet_walk at = {};
	struct walk *walk = &at.walk;
	__u64 head, room = 0, shared_info;
	__u32 i;

	walk->wanted = shape >> SHAPE_WANTED;
	head = head_bytes(shape & SHAPE_ADDRESSES);
	record = reserve_gather(head, walk->wanted, &room);
	if (!record) {
		drop_message(shape & SHAPE_DIRECTION);
		return 0;
	}
	read_head(record, head, message);
	begin_packet(&at, (struct sk_buff *)packet);
	shared_info = at.shared_info;
	at.next = (__u64)PROBE((struct skb_shared_info *)shared_info, frag_list);
	walk->skip = start;
	REPEAT(i, PACKET_PIECES_MAX)
	{
		__u64 passed;

		forget_words(&at, sizeof(at) / 8);
		passed = walk->skip < walk->piece.length ? walk->skip : walk->piece.length;
		if (walk->piece.address)
			walk->piece.address += passed;
		walk->piece.length -= passed;
		walk->skip -= passed;
		forget(walk);
		if (!append_piece(record, head, room, walk, false))
			break;
		if (gathered(record) >= walk->wanted || !next_piece(&at))
			break;
	}
	submit(record, head, trace_record, gathered(record), walk->wanted);
	return 0;
}

/*
 * As emit_fragments, by the kernel's own reader; `there` bytes of packet follow from `start` on. `skb` must be a trusted
 * argument: tp_btf programs only.
 */
static __always_inline void emit_dynptr(struct message *message, struct sk_buff *skb, __u32 start, __u64 there)
{
	struct message_event *record;
	struct bpf_dynptr packet;
	__u32 wanted = payload_bytes(message->length, message->protocol);
	__u64 head = head_bytes(has_addresses(message)), room = 0, length;
	long failed;

	record = reserve_class(head, wanted, &room);
	if (!record) {
		drop_message(message->direction);
		return;
	}
	write_head(record, head, message);
	length = there < wanted ? there : wanted;
	failed = dynptr_from_skb(skb, 0, &packet);
	if (!failed) {
		AT_MOST(length, room);
		failed = bpf_dynptr_read(payload_of(record, head), length, &packet, start, 0);
	}
	submit(record, head, trace_record_of(message), failed ? 0 : length, wanted);
}

/* Emits with the payload at `start` from skb->data, which is at address `data`: the cheapest way that reads it all. */
static __always_inline void emit_packet(struct message *message, struct sk_buff *skb, __u64 data, __u32 start,
					const bool direct, const bool trusted)
{
	__u32 length = LOAD(direct, skb, len);
	long linear = (long)length - LOAD(direct, skb, data_len) - start;

	if (linear >= (long)payload_bytes(message->length, message->protocol))
		emit_run(message, data + start, linear, false);
	else if (trusted && LINUX_KERNEL_VERSION >= KERNEL(6, 12, 0))
		emit_dynptr(message, skb, start, length - start);
	else
		emit_fragments(address_of(message), address_of(skb), start, trace_record_of(message),
			       shape_of(message));
}

#endif
