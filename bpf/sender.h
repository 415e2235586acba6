/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Tracepoint family: whose a packet is that leaves when its sender does not run, or runs but was interrupted. */
#ifndef WHODNS_SENDER_H
#define WHODNS_SENDER_H

#include "maps.h"
#include "packet.h"
#include "socket.h"

/*
 * Key of a packet that waits for its neighbour: its buffer, its socket and what it is, in one number. One that never leaves
 * stays remembered, and its buffer and its socket's address come to be others'.
 */
static __always_inline __u64 waiting_packet(__u64 buffer, __u64 socket, __u64 fingerprint)
{
	return stirred(stirred(fingerprint, buffer), socket);
}

/*
 * Recalls the owner of a packet that leaves in softirq context: who was seen when it was parked, or, for the packets of a
 * stream, whom the stream was last seen with. The functions here are not inlined for the sake of the stack.
 */
static __noinline bool recall_owner(struct message *message, const struct packet *packet, __u64 socket, __u64 buffer,
				    __u64 fingerprint)
{
	struct owner *owner;
	__u64 key;

	if (!message || !packet)
		return false;
	key = waiting_packet(buffer, socket, fingerprint);
	owner = bpf_map_lookup_elem(&owners, &key);
	if (!owner && packet->protocol == PROTOCOL_TCP && !(packet->tcp_flags & TCP_SYN))
		owner = bpf_map_lookup_elem(&owners, &socket);
	if (!owner)
		return false;
	message->owner = *owner;
	message->flags |= MESSAGE_OWNER | MESSAGE_OWNER_CACHED;
	bpf_map_delete_elem(&owners, &key);
	return true;
}

/* The handshake of a stream: its first sequence number, and its owner for packets to come. */
static __always_inline void begin_stream(const struct message *message, const struct packet *packet, __u64 socket)
{
	__u32 first = packet->sequence + 1;

	bpf_map_update_elem(&streams, &socket, &first, BPF_ANY);
	if (message->flags & MESSAGE_OWNER)
		bpf_map_update_elem(&owners, &socket, &message->owner, BPF_ANY);
	else /* what is remembered is of an earlier socket at that address */
		bpf_map_delete_elem(&owners, &socket);
}

/* What is known of a stream: its owner for packets to come, and whether this is its first payload. */
static __noinline int track_stream(struct message *message, const struct packet *packet, __u64 socket)
{
	struct owner *owner;
	__u32 *first;

	if (!message || !packet)
		return 0;
	if (packet->tcp_flags & TCP_SYN) {
		begin_stream(message, packet, socket);
		return 0;
	}
	first = bpf_map_lookup_elem(&streams, &socket);
	if (first && packet->length && *first == packet->sequence)
		message->flags |= MESSAGE_STREAM_START;
	if (!(message->flags & MESSAGE_OWNER))
		return 0;
	owner = bpf_map_lookup_elem(&owners, &socket);
	if (!owner || owner->tid != message->owner.tid || owner->start_time != message->owner.start_time)
		bpf_map_update_elem(&owners, &socket, &message->owner, BPF_ANY);
	return 0;
}

#endif
