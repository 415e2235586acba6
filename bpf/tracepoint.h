/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: packets. Requests where they are given to a device (net_dev_queue: in the sender's context, unless
 * the packet had to wait), responses where they come from one (netif_receive_skb: in softirq context, without owner).
 */
#ifndef WHODNS_TRACEPOINT_H
#define WHODNS_TRACEPOINT_H

#include "accept.h"
#include "asked.h"
#include "emit.h"
#include "fragments.h"
#include "interface.h"
#include "packet.h"
#include "process.h"
#include "seen.h"
#include "sender.h"
#include "socket.h"
#include "translate.h"
#include "unreachable.h"
#include "visibility.h"

#define TCP_TIME_WAIT    6 /* include/net/tcp_states.h; a mini socket, as is: */
#define TCP_NEW_SYN_RECV 12

static __always_inline bool sent_before(struct sk_buff *skb, __u64 head, __u64 fingerprint)
{
	return seen_on_other_device(head, fingerprint, typed_address(device_of(skb)),
				    BPF_CORE_READ_BITFIELD(skb, cloned), skb->skb_iif);
}

/* A bridge's cable to another bridge of the host tells nothing of where a packet has been; and an answer that comes twice says no more. */
static __always_inline bool received_before(struct sk_buff *skb, __u64 head, __u64 fingerprint)
{
	return seen_on_other_device(head, fingerprint, typed_address(device_of(skb)), false, true);
}

static __always_inline void message_from_packet(struct message *message, const struct packet *packet,
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
	if (packet->protocol == PROTOCOL_TCP)
		message->sequence =
		    packet->sequence + !!(packet->tcp_flags & TCP_SYN); /* Fast Open: a SYN with payload */
	message->direction = direction;
	message->protocol = packet->protocol;
	message->family = packet->family;
	if (packet->tcp_flags & (TCP_FIN | TCP_RST))
		message->flags |= MESSAGE_STREAM_END;
	if (packet->tcp_flags & TCP_SYN && packet->length)
		message->flags |= MESSAGE_STREAM_START;
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

/* skb->data, which until 6.17 the verifier takes for a number. */
static __always_inline __u64 data_address(struct sk_buff *skb)
{
	return LINUX_KERNEL_VERSION >= KERNEL(6, 17, 0) ? typed_address(skb->data) : (__u64)skb->data;
}

/* IPv4 or IPv6, bare or behind VLAN tags. */
static __always_inline bool is_ip(struct sk_buff *skb)
{
	__u16 protocol = bpf_ntohs(skb->protocol);

	return protocol == ETHERTYPE_IPV4 || protocol == ETHERTYPE_IPV6 || protocol == ETHERTYPE_VLAN ||
	       protocol == ETHERTYPE_QINQ;
}

/* Whether a datagram from an unconnected socket may have been sent to another place than the program said. */
static __always_inline bool may_be_sent_elsewhere(struct sock *sk, const struct packet *packet)
{
	struct net *net = sk->__sk_common.skc_net.net;

	if (packet->protocol != PROTOCOL_UDP)
		return false;
	if (bpf_core_field_exists(net->ipvs) && UNTRUSTED(net, ipvs))
		return true;
	return socket_has_program(sk, packet->family == 4 ? ATTACH_TYPE(UDP4_SENDMSG) : ATTACH_TYPE(UDP6_SENDMSG),
				  true);
}

/* Headers of a packet that leaves by a socket of this host for a name server, as the program knows it; false: it does not. */
static __always_inline bool request_packet(void *context, struct sk_buff *skb, struct sock *sk, struct packet *packet)
{
	__u16 port = bpf_ntohs(sk->__sk_common.skc_dport);
	__u64 socket = typed_address(sk);
	__u32 offset = skb->network_header;
	bool redirected;

	if (!is_ip(skb))
		return false;
	/* What a connected socket sends is DNS by what the program dialled. */
	redirected = port && !is_dns_port(port);
	if (redirected && !may_be_redirected(socket))
		return false;
	if (!parse_packet(skb->head + offset, skb->len + headroom(skb) - offset, packet))
		return false;
	/* From another port: a tunnel's packet around it (VXLAN, WireGuard). */
	if (redirected)
		return packet->source_port == sk->__sk_common.skc_num && connected_redirect(socket, port);
	if (!port && may_be_sent_elsewhere(sk, packet)) {
		/* Its neighbour was known only within the sender's call: that was interrupted (socket.h). */
		if (in_task_context(context) || (!asked_before(socket, packet) && current_has_open(socket))) {
			if (note_asked(socket, packet))
				return true;
		} else if (asked_before(socket, packet)) {
			return true;
		}
	}
	if (is_dns_port(packet->destination_port) || is_dns_port(original_port(skb)))
		return true;
	/* Translated by what tracks no connections. */
	return port && packet->source_port == sk->__sk_common.skc_num;
}

static __always_inline bool full_socket(struct sock *sk)
{
	return sk && sk->__sk_common.skc_state != TCP_TIME_WAIT && sk->__sk_common.skc_state != TCP_NEW_SYN_RECV;
}

/* A packet with payload, or the end of a stream; not a mere handshake or acknowledgement. */
static __always_inline bool is_message(const struct packet *packet)
{
	return packet->protocol == PROTOCOL_UDP || packet->length || packet->tcp_flags & (TCP_FIN | TCP_RST);
}

/* Bytes of each of the datagrams that a packet is made of (UDP_SEGMENT); 0: it is one. */
static __always_inline __u32 segment_size(struct sk_buff *skb, __u64 head)
{
	struct skb_shared_info *info = (struct skb_shared_info *)(head + skb->end);

	return LOAD(false, info, gso_size);
}

static __always_inline void trace_dns_request(void *context, struct sk_buff *skb, struct sock *sk,
					      const struct packet *packet)
{
	__u64 data = data_address(skb), head = data - headroom(skb), socket = typed_address(sk);
	__u64 fingerprint = packet_fingerprint(packet, device_of(skb)->nd_net.net->ns.inum);
	bool here = in_task_context(context), wanted = is_message(packet), handshake = packet->tcp_flags & TCP_SYN;
	struct message message = {};
	__u32 level = VISIBILITY_ON;
	__u32 kind;
	int result;

	if (sent_before(skb, head, fingerprint)) {
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	if (here)
		level = current_level();
	/* Whose a stream is must be known later too, when its packets leave in softirq context. */
	if (level == VISIBILITY_OFF && !handshake) {
		if (wanted)
			count(COUNTER_OFF);
		return;
	}
	message_from_packet(&message, packet, DIRECTION_REQUEST);
	if (packet->protocol == PROTOCOL_UDP)
		message.sequence = segment_size(skb, head);
	message.socket = identity_at(socket, sk->__sk_common.skc_num);
	message.net_ns = device_of(skb)->nd_net.net->ns.inum;
	message.interface = device_of(skb)->ifindex;
	if (here) {
		owner_read_here(&message.owner);
		message.flags |= MESSAGE_OWNER;
	} else if (recall_owner(&message, packet, socket, head, fingerprint)) {
		level = recalled_level(&message.owner);
	} else if (current_has_open(socket)) {
		here = true;
		level = current_level();
		owner_read_here(&message.owner);
		message.flags |= MESSAGE_OWNER | MESSAGE_OWNER_CACHED;
	}
	if (packet->protocol == PROTOCOL_TCP && !(handshake && level == VISIBILITY_ON))
		track_stream(&message, packet, socket);
	if (message.flags & MESSAGE_OWNER) {
		if (owner_is_self(&message.owner)) {
			if (handshake)
				track_stream(&message, packet, socket);
			if (wanted)
				count(COUNTER_SELF);
			return;
		}
		if (level == VISIBILITY_OFF) {
			if (wanted)
				count(COUNTER_OFF);
			return;
		}
		if (level == VISIBILITY_METRICS) {
			if (wanted)
				count(COUNTER_METRICS_ONLY);
			process_request(&message, SHARE_RECORD | SEEN_COUNTED_ONLY | (here ? SHARE_HERE : 0),
					HOOK_TRACEPOINT);
			return;
		}
		if (wanted)
			count(COUNTER_REQUESTS);
		kind = wanted ? SHARE_REQUEST : SHARE_RECORD | SHARE_HANDSHAKE;
		result = process_request(&message, kind | (here ? SHARE_HERE : 0), HOOK_TRACEPOINT);
	} else {
		if (wanted) {
			drop(DROP_NO_OWNER);
			count(COUNTER_REQUESTS);
		}
		result = share_ask(0, 0, COMMON_UNKNOWN, message_bytes(message.length, packet->protocol, false),
				   wanted ? SHARE_REQUEST : SHARE_RECORD);
	}
	if (!result) {
		remember_skipped(&message);
		return;
	}
	/* After the share was asked: what is remembered evicts what was before. */
	if (handshake)
		track_stream(&message, packet, socket);
	remember_asked(&message, socket);
	remember_lower(packet, device_of(skb), message.net_ns);
	add_dialed(&message, skb, sk, socket, packet);
	if (message.flags & MESSAGE_DIALED)
		remember_translation(&message);
	if (message.family == 6 && needs_zone(message.remote_address))
		tell_interface(address_of(device_of(skb)), message.net_ns, HOOK_TRACEPOINT);
	if (wanted)
		emit_packet(&message, skb, data, head + skb->network_header - data + packet->payload, true, true);
}

static __always_inline void trace_request(void *context, struct sk_buff *skb)
{
	struct sock *sk = socket_of(skb);
	struct packet packet;

	if (!full_socket(sk) || !request_packet(context, skb, sk, &packet)) {
		count(COUNTER_SKIPPED);
		return;
	}
	/* On its way out of another namespace's device a packet still names the socket that sent it. */
	if (sk->__sk_common.skc_net.net != device_of(skb)->nd_net.net) {
		remember_below(&packet, device_of(skb)->nd_net.net->ns.inum, sk->__sk_common.skc_net.net->ns.inum);
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	forget_packet(&packet);
	if (is_message(&packet) || packet.tcp_flags & TCP_SYN)
		trace_dns_request(context, skb, sk, &packet);
}

/* A packet waits for neighbour resolution and will leave in softirq context: remember whose it is while he is here. */
static __always_inline void trace_parked(void *context, struct sk_buff *skb)
{
	struct sock *sk = socket_of(skb);
	struct owner owner = {};
	struct packet packet;
	__u64 key;
	__u32 id;

	if (!full_socket(sk) || !request_packet(context, skb, sk, &packet) || !in_task_context(context))
		return;
	/* Below another namespace's device (ipvlan l3) it has been reported already: nobody would take the entry out. */
	if (sk->__sk_common.skc_net.net != device_of(skb)->nd_net.net)
		return;
	key = waiting_packet((__u64)PROBE(skb, head), address_of(sk),
			     packet_fingerprint(&packet, device_of(skb)->nd_net.net->ns.inum));
	owner_read(&owner);
	if (!owner_is_self(&owner) && current_level() != VISIBILITY_OFF)
		process_admits(&owner, bpf_ktime_get_ns(), 0, 0, SHARE_RECORD | SHARE_HERE | SEEN_COUNTED_ONLY,
			       HOOK_TRACEPOINT, &id);
	bpf_map_update_elem(&owners, &key, &owner, BPF_ANY);
}

/* What the stream that answers tells before its first payload, and whether this is that. False: nothing to report. */
static __always_inline bool track_answer(struct message *message, const struct packet *packet,
					 struct asked_value *question)
{
	if (packet->tcp_flags & TCP_SYN) {
		question->first_sequence = packet->sequence + 1;
		question->handshake = 1;
	}
	if (question->handshake && packet->length && question->first_sequence == packet->sequence)
		message->flags |= MESSAGE_STREAM_START;
	return is_message(packet);
}

/*
 * Asks for an answer. An admitted request has paid for its answer. One more datagram is of no one's (whoever can forge answers would
 * use up the share of who asked), one more piece of a stream is of who asked.
 */
static __always_inline int answer_admitted(struct asked_value *question, __u32 length, __u32 protocol)
{
	__u32 kind = SHARE_RESPONSE, bytes = message_bytes(length, protocol, false);

	if (question->owed) {
		int result = admitted_calm();

		__sync_fetch_and_add(&question->owed, -1);
		if (result)
			return result;
		kind |= SHARE_PAID;
	} else if (question->skipped) {
		__sync_fetch_and_add(&question->skipped, -1);
		kind |= SHARE_SKIPPED;
	} else if (protocol == PROTOCOL_UDP) {
		return share_ask(0, 0, COMMON_UNASKED, bytes, kind);
	}
	return share_ask(question->process.start_time, question->process.tgid, COMMON_UNKNOWN, bytes, kind);
}

/*
 * The question to a multicast group that an answer from this port may be to: whoever knows answers, from its own address. Multicast
 * DNS asks 224.0.0.251 and ff02::fb (RFC 6762 section 3), LLMNR 224.0.0.252 and ff02::1:3 (RFC 4795 section 2). False: there is none.
 */
static __always_inline bool asked_of_group(const struct message *message, __u32 family, struct asked_key *key)
{
	const bool is_mdns = message->remote_port == 5353;

	if (!is_mdns && message->remote_port != 5355)
		return false;
	asked_from_message(key, message);
	__builtin_memset(key->remote_address, 0, 16);
	if (family == 4) {
		key->remote_address[10] = 0xff;
		key->remote_address[11] = 0xff;
		key->remote_address[12] = 224;
		key->remote_address[15] = is_mdns ? 251 : 252;
	} else {
		key->remote_address[0] = 0xff;
		key->remote_address[1] = 0x02;
		key->remote_address[13] = is_mdns ? 0 : 1;
		key->remote_address[15] = is_mdns ? 0xfb : 3;
	}
	return true;
}

static __always_inline void trace_dns_response(struct sk_buff *skb, const struct packet *packet, __u32 tags)
{
	__u64 data = data_address(skb);
	struct message message = {};
	struct asked_value *question;
	struct asked_key key = {};
	int result;

	message_from_packet(&message, packet, DIRECTION_RESPONSE);
	if (packet->fragment) {
		message.flags |= MESSAGE_FRAGMENT;
		message.length = packet->sequence;
		message.skipped = (packet->payload - UDP_HEADER - packet->carried) / 8;
		message.sequence = datagram_of(packet, device_of(skb)->nd_net.net->ns.inum);
	}
	message.net_ns = device_of(skb)->nd_net.net->ns.inum;
	message.interface = device_of(skb)->ifindex;
	asked_from_message(&key, &message);
	question = find_asked(&key);
	if (!question && any_below && rise_from_below(&message, &key))
		question = find_asked(&key);
	if (!question && any_translation && undo_translation(&message, &key))
		question = find_asked(&key);
	if (!question && packet->protocol == PROTOCOL_UDP && asked_of_group(&message, packet->family, &key))
		question = find_asked(&key);
	if (!question) {
		if (is_message(packet))
			count(COUNTER_UNMATCHED);
		return;
	}
	if (is_refused(skb, packet, tags, question->socket)) {
		count(COUNTER_REFUSED);
		return;
	}
	if (packet->protocol == PROTOCOL_TCP && !track_answer(&message, packet, question))
		return;
	if (received_before(skb, data - headroom(skb),
			    packet_fingerprint(packet, device_of(skb)->nd_net.net->ns.inum))) {
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	count(COUNTER_RESPONSES);
	if (packet->fragment)
		bpf_map_update_elem(&fragmented, &message.sequence, &question->process, BPF_ANY);
	result = answer_admitted(question, message.length, packet->protocol);
	message.header.reserved = result & ADMITTED_WAKE;
	if (result)
		emit_packet(&message, skb, data, tags + packet->payload - (packet->fragment ? UDP_HEADER : 0), true,
			    true);
}

/* A fragment without ports. Whether the datagram is an answer is known by its first one, which may come later. */
static __always_inline void trace_later_fragment(struct sk_buff *skb, const struct packet *packet, __u32 tags)
{
	__u32 net_ns = device_of(skb)->nd_net.net->ns.inum, bytes;
	__u64 data = (__u64)PROBE(skb, data);
	struct message message = {};
	struct process_key *asking;
	int result;

	if ((packet->family == 4 && packet->protocol != PROTOCOL_UDP) || !is_asked_server(packet->source, net_ns)) {
		count(COUNTER_SKIPPED);
		return;
	}
	if (received_before(skb, data - headroom(skb), packet_fingerprint(packet, net_ns))) {
		count(COUNTER_DUPLICATE_DEVICE);
		return;
	}
	message_from_packet(&message, packet, DIRECTION_RESPONSE);
	message.flags = MESSAGE_FRAGMENT;
	message.net_ns = net_ns;
	message.interface = device_of(skb)->ifindex;
	message.protocol = PROTOCOL_UDP;
	message.local_port = packet->sequence;
	message.sequence = datagram_of(packet, net_ns);
	count(COUNTER_RESPONSES);
	asking = bpf_map_lookup_elem(&fragmented, &message.sequence);
	bytes = message_bytes(message.length, PROTOCOL_UDP, false);
	result = share_ask(asking ? asking->start_time : 0, asking ? asking->tgid : 0,
			   asking ? COMMON_UNKNOWN : COMMON_UNASKED, bytes, SHARE_RESPONSE);
	message.header.reserved = result & ADMITTED_WAKE;
	if (result)
		emit_packet(&message, skb, data, tags + packet->payload, true, true);
}

/* Bytes of VLAN tags that the device did not take off; they lie before the IP header. */
static __always_inline __u32 vlan_tags(struct sk_buff *skb)
{
	__u16 protocol = bpf_ntohs(skb->protocol);
	__u8 tags[8];

	if (protocol != ETHERTYPE_VLAN && protocol != ETHERTYPE_QINQ)
		return 0;
	bpf_probe_read_kernel(tags, sizeof(tags), skb->data);
	return be16_at(tags + 2) == ETHERTYPE_VLAN ? 8 : 4;
}

/*
 * An ICMP error came: is it about what was asked here? `packet` is it, and then the packet that it quotes. The kernel looks at its
 * checksum before it tells a program.
 */
static __always_inline int trace_unreachable(struct sk_buff *skb, struct packet *packet, __u32 tags)
{
	__u64 data = (__u64)PROBE(skb, data);
	struct message message = {};
	struct asked_value *question;
	struct asked_key key = {};
	__u32 start, length, what;
	__u8 *icmp = (__u8 *)&key; /* the stack is full: until the key is made */
	int result;

	if (!packet)
		return 0;
	start = tags + packet->payload;
	length = skb->len;
	if (length < start + ICMP_HEADER)
		return 0;
	length -= start;
	bpf_probe_read_kernel(&key, sizeof(__u32), (void *)data + start);
	what = packet->family == 4 ? unreachable4(icmp[0], icmp[1]) : unreachable6(icmp[0], icmp[1]);
	__builtin_memset(&key, 0, sizeof(key));
	if (!what)
		return 0;
	if (icmp_is_wrong(skb, packet, start, length))
		return 0;
	start += ICMP_HEADER;
	length -= ICMP_HEADER;
	/* What is quoted is cut: lengths are those of the whole packet. */
	if (!parse_quoted((void *)data + start, packet) || !fill_unreachable(&message, packet, length, what) ||
	    !is_answer_port(packet->destination_port))
		return 0;
	message.header.hook = HOOK_TRACEPOINT;
	message.net_ns = device_of(skb)->nd_net.net->ns.inum;
	asked_from_message(&key, &message);
	question = find_asked(&key);
	if (!question && any_below && rise_from_below(&message, &key))
		question = find_asked(&key);
	if (!question)
		return 0;
	count(COUNTER_RESPONSES);
	result = share_ask(question->process.start_time, question->process.tgid, COMMON_UNKNOWN,
			   message_bytes(message.length, PROTOCOL_UDP, false), SHARE_RESPONSE);
	message.header.reserved = result & ADMITTED_WAKE;
	if (result)
		emit_run(&message, data + start + packet->payload, message.length, false);
	return 0;
}

static __always_inline void trace_response(struct sk_buff *skb)
{
	__u32 tags = vlan_tags(skb), length = skb->len;
	struct packet packet;
	bool has_ports;

	if (!is_ip(skb) || length <= tags)
		goto skip;
	has_ports = parse_packet(skb->data + tags, length - tags, &packet);
	if (has_ports ? !is_answer_port(packet.source_port)
		      : packet.fragment != FRAGMENT_LATER && packet.protocol != PROTOCOL_ICMP &&
			    packet.protocol != PROTOCOL_ICMPV6)
		goto skip;
	forget_packet(&packet);
	if (has_ports)
		trace_dns_response(skb, &packet, tags);
	else if (packet.fragment == FRAGMENT_LATER)
		trace_later_fragment(skb, &packet, tags);
	else
		trace_unreachable(skb, &packet, tags);
	return;
skip:
	count(COUNTER_SKIPPED);
}

#endif
