/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: packets. Requests where they are given to a device (net_dev_queue: in the sender's context, unless
 * the packet had to wait), responses where they come from one (netif_receive_skb: in softirq context, without owner).
 */
#ifndef WHODNS_TRACEPOINT_H
#define WHODNS_TRACEPOINT_H

#include "emit.h"
#include "packet.h"
#include "process.h"
#include "socket.h"

#define TCP_TIME_WAIT 6 /* include/net/tcp_states.h; a mini socket, as is: */
#define TCP_NEW_SYN_RECV 12

/* The same packet once more, on a device stacked below or above? Same buffer, same content, another device. */
static __always_inline bool seen_on_other_device(struct sk_buff *skb, const struct packet *packet, __u32 interface)
{
	__u64 buffer = (__u64)LOAD(false, skb, head);
	__u64 fingerprint = packet->sequence ^ (__u64)packet->length << 32 ^ (__u64)packet->source_port << 16 ^
	                    (__u64)packet->destination_port << 48 ^ packet->tcp_flags;
	__u32 index = (buffer >> 6 ^ buffer >> 18) & (SEEN_MAX - 1);
	struct seen_packet *slot = bpf_map_lookup_elem(&seen, &index);
	__u32 id = 0;

	if (!slot)
		return false;
	/* The first payload bytes, the DNS id, tell two datagrams apart that use one buffer after the other. */
	if (packet->protocol == PROTOCOL_UDP && skb->len - skb->data_len >= packet->payload + sizeof(id))
		bpf_probe_read_kernel(&id, sizeof(id), (void *)buffer + skb->network_header + packet->payload);
	fingerprint ^= id;
	if (slot->buffer == buffer && slot->fingerprint == fingerprint && slot->interface != interface)
		return true;
	slot->buffer = buffer;
	slot->fingerprint = fingerprint;
	slot->interface = interface;
	return false;
}

static __always_inline void message_from_packet(struct message_event *message, const struct packet *packet,
                                                const __u32 direction)
{
	const bool request = direction == DIRECTION_REQUEST;

	message->header.time = bpf_ktime_get_ns();
	message->header.kind = EVENT_MESSAGE;
	message->header.hook = HOOK_TRACEPOINT;
	__builtin_memcpy(message->local_address, request ? packet->source : packet->destination, 16);
	__builtin_memcpy(message->remote_address, request ? packet->destination : packet->source, 16);
	message->local_port = request ? packet->source_port : packet->destination_port;
	message->remote_port = request ? packet->destination_port : packet->source_port;
	message->length = packet->length;
	message->sequence = packet->sequence;
	message->direction = direction;
	message->protocol = packet->protocol;
	message->family = packet->family;
	if (packet->tcp_flags & (TCP_FIN | TCP_RST))
		message->flags |= MESSAGE_STREAM_END;
}

static __always_inline void asked_from_message(struct asked_key *key, const struct message_event *message)
{
	__builtin_memcpy(key->remote_address, message->remote_address, 16);
	key->net_ns = message->net_ns;
	key->local_port = message->local_port;
	key->remote_port = message->remote_port;
	key->protocol = message->protocol;
}

/* These functions are not inlined for the sake of the stack: 512 bytes, those of all functions on the way together. */
static __noinline int remember_asked(const struct message_event *message)
{
	struct asked_key key = {};
	struct asked_value fresh = {};

	if (!message)
		return 0;
	asked_from_message(&key, message);
	if (!bpf_map_lookup_elem(&asked, &key))
		bpf_map_update_elem(&asked, &key, &fresh, BPF_ANY);
	/* The answer can come from a port that is not a DNS port, where the request's destination was translated. */
	if (!is_dns_port(message->remote_port))
		translated_ports[message->remote_port >> 6 & 1023] |= 1ull << (message->remote_port & 63);
	return 0;
}

/* The address the program connected to, where the packet goes elsewhere (destination NAT). */
static __noinline int add_dialed(struct message_event *message, struct sock *sk)
{
	__u32 dialed[4] = {}, remote[4];
	__u16 port;

	if (!message || !sk->__sk_common.skc_dport)
		return 0;
	if (sk->__sk_common.skc_family == AF_INET6 && message->family == 6) {
		dialed[0] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0];
		dialed[1] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1];
		dialed[2] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2];
		dialed[3] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3];
	} else {
		dialed[2] = bpf_htonl(0xffff);
		dialed[3] = sk->__sk_common.skc_daddr;
	}
	port = bpf_ntohs(sk->__sk_common.skc_dport);
	__builtin_memcpy(remote, message->remote_address, 16);
	if (port == message->remote_port && dialed[0] == remote[0] && dialed[1] == remote[1] && dialed[2] == remote[2] &&
	    dialed[3] == remote[3])
		return 0;
	message->dialed_port = port;
	__builtin_memcpy(message->dialed_address, dialed, 16);
	message->flags |= MESSAGE_DIALED;
	return 0;
}

/* Owner of a packet that leaves: the current task, or whom the socket was last seen with. */
static __noinline int packet_owner(struct message_event *message, const struct packet *packet, bool task)
{
	struct socket_state *state;

	if (!message || !packet)
		return 0;
	if (task) {
		owner_read(&message->owner);
		message->flags |= MESSAGE_OWNER;
		if (packet->protocol == PROTOCOL_UDP)
			return 0;
	}
	state = bpf_map_lookup_elem(&sockets, &message->socket);
	if (packet->protocol == PROTOCOL_TCP && (packet->tcp_flags & TCP_SYN || (task && !state))) {
		struct socket_state fresh = {};

		fresh.owner = message->owner;
		fresh.first_sequence = packet->sequence + 1;
		fresh.handshake = packet->tcp_flags & TCP_SYN;
		if (task)
			bpf_map_update_elem(&sockets, &message->socket, &fresh, BPF_ANY);
		return 0;
	}
	if (!state)
		return 0;
	if (state->handshake && packet->length && state->first_sequence == packet->sequence)
		message->flags |= MESSAGE_STREAM_START;
	if (task) {
		if (state->owner.tid != message->owner.tid || state->owner.start_time != message->owner.start_time)
			state->owner = message->owner;
	} else {
		message->owner = state->owner;
		message->flags |= MESSAGE_OWNER | MESSAGE_OWNER_CACHED;
	}
	return 0;
}

/*
 * skb->data - skb->head. In 64 bits and by hand: since 6.17 the verifier takes these fields for pointers, which it lets
 * be subtracted but not cut to 32 bits, as the compiler would.
 */
static __always_inline long headroom(struct sk_buff *skb)
{
	unsigned char *head = skb->head, *data = skb->data;
	long room;

	asm volatile("%[r] = %[d]\n\t%[r] -= %[h]" : [r] "=&r"(room) : [d] "r"(data), [h] "r"(head));
	return room;
}

/* Headers of a packet that leaves by a socket of this host for a DNS port; false: it is none. */
static __always_inline bool request_packet(struct sk_buff *skb, struct sock *sk, struct packet *packet)
{
	__u16 protocol = bpf_ntohs(skb->protocol);
	__u32 offset = skb->network_header;

	if (protocol != ETHERTYPE_IPV4 && protocol != ETHERTYPE_IPV6 && protocol != ETHERTYPE_VLAN &&
	    protocol != ETHERTYPE_QINQ)
		return false;
	/* A connected socket is DNS by what the program dialled; the packet's port may be translated. */
	if (sk->__sk_common.skc_dport && !is_dns_port(bpf_ntohs(sk->__sk_common.skc_dport)))
		return false;
	if (!parse_packet(skb->head + offset, skb->len + headroom(skb) - offset, packet))
		return false;
	return sk->__sk_common.skc_dport || is_dns_port(packet->destination_port);
}

static __always_inline bool full_socket(struct sock *sk)
{
	return sk && sk->__sk_common.skc_state != TCP_TIME_WAIT && sk->__sk_common.skc_state != TCP_NEW_SYN_RECV;
}

static __always_inline void trace_request(void *context, struct sk_buff *skb)
{
	struct message_event message = {};
	struct process_value *process = NULL;
	struct sock *sk = skb->sk;
	struct packet packet;
	bool task, wanted;

	if (!full_socket(sk) || !request_packet(skb, sk, &packet)) {
		count(COUNTER_SKIPPED);
		return;
	}
	/* On its way out of another namespace's device a packet still names the socket that sent it. */
	if (sk->__sk_common.skc_net.net != skb->dev->nd_net.net) {
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	wanted = packet.protocol == PROTOCOL_UDP || packet.length || packet.tcp_flags & (TCP_FIN | TCP_RST);
	if (!wanted && !(packet.tcp_flags & TCP_SYN))
		return; /* an acknowledgement */
	if (seen_on_other_device(skb, &packet, skb->dev->ifindex)) {
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	message_from_packet(&message, &packet, DIRECTION_REQUEST);
	message.socket = socket_identity(sk, sk->__sk_common.skc_num, false);
	message.net_ns = skb->dev->nd_net.net->ns.inum;
	message.interface = skb->dev->ifindex;
	task = in_task_context(context);
	packet_owner(&message, &packet, task);
	if (message.flags & MESSAGE_OWNER) {
		if (owner_is_self(&message.owner)) {
			if (wanted)
				count(COUNTER_SELF);
			return;
		}
		if (task)
			process = process_seen(&message.owner, HOOK_TRACEPOINT);
	}
	remember_asked(&message);
	if (!wanted)
		return;
	count(COUNTER_REQUESTS);
	if (!(message.flags & MESSAGE_OWNER))
		drop(DROP_NO_OWNER);
	else if (!task)
		process = process_of(&message.owner);
	if (process && (packet.length || packet.protocol == PROTOCOL_UDP))
		process_count(process, packet.length, packet.protocol == PROTOCOL_UDP);
	add_dialed(&message, sk);
	emit_packet(&message, skb, (long)skb->network_header - headroom(skb) + packet.payload, true, true);
}

/* A packet waits for neighbour resolution and will leave in softirq context: remember whose it is while he is here. */
static __always_inline void trace_parked(void *context, struct sk_buff *skb)
{
	struct socket_state state = {};
	struct sock *sk = skb->sk;
	struct packet packet;
	__u64 identity;

	if (!full_socket(sk) || !request_packet(skb, sk, &packet) || !in_task_context(context))
		return;
	identity = socket_identity(sk, sk->__sk_common.skc_num, false);
	owner_read(&state.owner);
	if (!owner_is_self(&state.owner))
		process_seen(&state.owner, HOOK_TRACEPOINT);
	if (packet.tcp_flags & TCP_SYN) {
		state.first_sequence = packet.sequence + 1;
		state.handshake = 1;
	}
	bpf_map_update_elem(&sockets, &identity, &state, BPF_ANY);
}

static __always_inline void trace_response(struct sk_buff *skb)
{
	__u32 vlan = 0, available = skb->len;
	__u16 protocol = bpf_ntohs(skb->protocol);
	struct message_event message = {};
	struct asked_value *question;
	struct asked_key key = {};
	struct packet packet;

	/* A tag the device did not take off lies before the IP header. */
	if (protocol == ETHERTYPE_VLAN || protocol == ETHERTYPE_QINQ) {
		__u8 tag[8];

		bpf_probe_read_kernel(tag, sizeof(tag), skb->data);
		protocol = be16_at(tag + 2);
		vlan = 4;
		if (protocol == ETHERTYPE_VLAN) {
			protocol = be16_at(tag + 6);
			vlan = 8;
		}
	}
	if (protocol != ETHERTYPE_IPV4 && protocol != ETHERTYPE_IPV6)
		return;
	if (available < vlan || !parse_packet(skb->data + vlan, available - vlan, &packet) ||
	    !(is_dns_port(packet.source_port) ||
	      translated_ports[packet.source_port >> 6 & 1023] & 1ull << (packet.source_port & 63))) {
		count(COUNTER_SKIPPED);
		return;
	}
	message_from_packet(&message, &packet, DIRECTION_RESPONSE);
	message.net_ns = skb->dev->nd_net.net->ns.inum;
	message.interface = skb->dev->ifindex;
	asked_from_message(&key, &message);
	question = bpf_map_lookup_elem(&asked, &key);
	if (packet.protocol == PROTOCOL_TCP) {
		if (question && packet.tcp_flags & TCP_SYN) {
			question->first_sequence = packet.sequence + 1;
			question->handshake = 1;
		}
		if (!packet.length && !(packet.tcp_flags & (TCP_FIN | TCP_RST)))
			return;
		if (question && question->handshake && packet.length && question->first_sequence == packet.sequence)
			message.flags |= MESSAGE_STREAM_START;
	}
	if (!question) {
		count(COUNTER_UNMATCHED);
		return;
	}
	if (seen_on_other_device(skb, &packet, message.interface)) {
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	count(COUNTER_RESPONSES);
	emit_packet(&message, skb, vlan + packet.payload, true, true);
}

#endif
