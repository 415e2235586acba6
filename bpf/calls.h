/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * fentry and kprobe families: what goes through a socket's send and receive functions, in the context of the task that
 * calls them. `direct` (owner.h) is true in fentry programs, whose arguments the verifier knows by type.
 */
#ifndef WHODNS_CALLS_H
#define WHODNS_CALLS_H

#include "emit.h"
#include "interface.h"
#include "packet.h"
#include "process.h"
#include "redirect.h"
#include "socket.h"
#include "unreachable.h"
#include "visibility.h"

#define MSG_MORE 0x8000 /* include/linux/socket.h */

/* struct sockaddr_in and sockaddr_in6 (uapi) in one. */
struct socket_name {
	__u16 family;
	__be16 port;
	__u32 address4; /* IPv6: flow information */
	__u32 address6[4];
	__u32 scope;
};

/* Read in any case: one load through either of two pointers, as the compiler would make it, is not verifiable. */
#define KEEP_LOADED(value) asm volatile("" : "+r"(value))

#define LOAD_IN6(direct, to, pointer, field)                                                                           \
	do {                                                                                                           \
		to[0] = LOAD(direct, pointer, field.in6_u.u6_addr32[0]);                                               \
		to[1] = LOAD(direct, pointer, field.in6_u.u6_addr32[1]);                                               \
		to[2] = LOAD(direct, pointer, field.in6_u.u6_addr32[2]);                                               \
		to[3] = LOAD(direct, pointer, field.in6_u.u6_addr32[3]);                                               \
	} while (0)

/* Both ends of a message that goes out by `sk` to `name`, or without a name to where the socket is connected. */
static __always_inline void fill_ends(struct message *message, struct sock *sk, const struct socket_name *name,
				      const bool direct, const bool v6)
{
	__u32 *local = (__u32 *)message->local_address, *remote = (__u32 *)message->remote_address;

	if (v6) {
		LOAD_IN6(direct, local, sk, __sk_common.skc_v6_rcv_saddr);
		LOAD_IN6(direct, remote, sk, __sk_common.skc_v6_daddr);
		for (int i = 0; i < 4; i++)
			KEEP_LOADED(remote[i]);
		if (name)
			__builtin_memcpy(remote, name->address6, sizeof(name->address6));
		if (!(local[0] | local[1] | local[2] | local[3]))
			message->flags |= MESSAGE_LOCAL_ANY;
	} else {
		__u64 both = LOAD(direct, sk, __sk_common.skc_addrpair);

		local[2] = remote[2] = bpf_htonl(0xffff);
		local[3] = both >> 32;
		remote[3] = both;
		if (name)
			remote[3] = name->address4;
		if (!local[3])
			message->flags |= MESSAGE_LOCAL_ANY;
	}
	message->local_port = LOAD(direct, sk, __sk_common.skc_num);
	message->family = v6 ? 6 : 4;
}

static __always_inline void fill_call(struct message *message, struct sock *sk, const __u32 hook, const bool direct,
				      const __u32 direction)
{
	struct net *net = LOAD(direct, sk, __sk_common.skc_net.net);

	message->header.time = bpf_ktime_get_ns();
	message->header.kind = EVENT_MESSAGE;
	message->header.hook = hook;
	message->direction = direction;
	message->net_ns = LOAD(direct, net, ns.inum);
	if (direct)
		message->socket = socket_identity(sk, 0, true);
	else
		message->socket = socket_identity(sk, LOAD(false, sk, __sk_common.skc_num), false);
}

/*
 * The link of a request to an address of link-local scope: what the name says (`scope`), or what the socket is bound to, as
 * connect() to such an address does (net/ipv6/datagram.c).
 */
static __always_inline void fill_zone(struct message *message, struct sock *sk, __u32 scope, const __u32 hook,
				      const bool direct)
{
	struct net *net = LOAD(direct, sk, __sk_common.skc_net.net);
	__u64 device;

	if (message->family != 6 || !needs_zone(message->remote_address))
		return;
	message->interface = scope ? scope : LOAD(direct, sk, __sk_common.skc_bound_dev_if);
	device = message->interface ? device_by_index(net, message->interface) : 0;
	if (device)
		tell_interface(device, message->net_ns, hook);
}

/* Owner, counters and process record of a request. False: it is the agent's own, or only to be counted. */
static __always_inline bool account(struct message *message, __u32 level, const __u32 hook)
{
	owner_read(&message->owner);
	message->flags |= MESSAGE_OWNER;
	if (owner_is_self(&message->owner)) {
		count(COUNTER_SELF);
		return false;
	}
	if (level != VISIBILITY_ON) {
		count(COUNTER_METRICS_ONLY);
		process_request(message, SHARE_RECORD | SHARE_HERE | SEEN_COUNTED_ONLY, hook);
		return false;
	}
	count(COUNTER_REQUESTS);
	return process_request(
	    message, SHARE_REQUEST | SHARE_HERE | SHARE_OWED * (message->protocol == PROTOCOL_TCP ? STREAM_ANSWERS : 1),
	    hook);
}

/* Counts a response of `length` payload bytes, and asks the share of the current process for it. Returns enum admission. */
static __noinline int account_response(__u32 length, __u32 protocol)
{
	struct process_key key = {.tgid = bpf_get_current_pid_tgid() >> 32};
	__u32 bytes = message_bytes(length, protocol, false), kind = SHARE_RESPONSE;
	struct process_value *value;
	int result;

	if (TASK_BTF) {
		key.start_time = ((struct task_struct *)bpf_get_current_task_btf())->group_leader->start_boottime;
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		task = PROBE(task, group_leader);
		key.start_time = PROBE(task, start_boottime);
	}
	count(COUNTER_RESPONSES);
	value = bpf_map_lookup_elem(&processes, &key);
	if (value && value->owed) {
		__sync_fetch_and_add(&value->owed, -1);
		kind |= SHARE_PAID;
		result = admitted_calm();
	} else {
		result = admitted_credit(value, bytes);
	}
	if (result)
		return result;
	return share_ask(key.start_time, value ? key.tgid : 0, COMMON_UNKNOWN, bytes, kind);
}

/* Is the socket corked (UDP_CORK), so that the datagram continues with the next send? */
static __always_inline bool is_corked(struct sock *sk)
{
	if (bpf_core_field_exists(struct udp_sock, udp_flags))
		return LOAD(false, (struct udp_sock *)sk, udp_flags) & 1;
	return LOAD(false, (struct udp_sock___old *)sk, corkflag);
}

/* The datagram ends with udp_push_pending_frames, which the socket option calls when it is cleared. */
static __always_inline void remember_cork(struct message *message, struct sock *sk)
{
	__u64 socket = address_of(sk);
	__u32 one = 1;

	message->flags |= MESSAGE_MORE;
	bpf_map_update_elem(&corked, &socket, &one, BPF_ANY);
}

/* udp_push_pending_frames and udp_v6_push_pending_frames: what was composed under UDP_CORK leaves now. */
static __always_inline void push_datagram(struct sock *sk, const __u32 hook, const bool direct, const bool v6)
{
	struct message message = {};
	__u64 socket = address_of(sk);

	if (!bpf_map_lookup_elem(&corked, &socket))
		return;
	bpf_map_delete_elem(&corked, &socket);
	fill_ends(&message, sk, NULL, direct, v6);
	message.remote_port = bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport));
	message.protocol = PROTOCOL_UDP;
	fill_call(&message, sk, hook, direct, DIRECTION_REQUEST);
	message.flags |= MESSAGE_STREAM_END;
	count(COUNTER_REQUESTS);
	emit_run(&message, 0, 0, false);
}

/* Of 16 bytes. */
static __always_inline bool is_v4_mapped(const void *address)
{
	const __u32 *words = address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* struct cmsghdr (uapi) with 16 bits of data. */
struct segment_control {
	__u64 length;
	__u32 level;
	__u32 type;
	__u16 size;
};

#define SOL_UDP     17
#define UDP_SEGMENT 103 /* include/uapi/linux/udp.h */

/* Bytes of each of the datagrams of a send (udp(7), UDP_SEGMENT): by the socket, or by a control message, the first alone. 0: it is one. */
static __always_inline __u32 sent_segment_size(struct sock *sk, struct msghdr *msg, const bool direct)
{
	void *address = LOAD(direct, msg, msg_control);

	/* Word by word: no room on the stack for the whole. */
	if (address && LOAD(direct, msg, msg_controllen) >= offsetof(struct segment_control, size) + 2 &&
	    WORD_AT(address + offsetof(struct segment_control, level)) == ((__u64)UDP_SEGMENT << 32 | SOL_UDP))
		return (__u16)WORD_AT(address + offsetof(struct segment_control, size));
	if (!bpf_core_field_exists(struct udp_sock, gso_size))
		return 0;
	return LOAD(false, (struct udp_sock *)sk, gso_size);
}

/* What the program asked for: `asked`, where a program of its control group has looked at that, or what its connect() was given. */
static __noinline int fill_asked(struct message *message, __u64 socket, const struct place *asked)
{
	struct redirect_value value = {}, *known;
	struct redirect_key key = {.socket = socket};

	if (!message)
		return 0;
	if (!asked) {
		known = connected_redirect(socket, message->remote_port);
		if (known)
			fill_dialed(message, known->dialed_address, known->dialed_port);
		return 0;
	}
	__builtin_memcpy(value.dialed_address, asked->address, 16);
	value.dialed_port = asked->port;
	__builtin_memcpy(key.remote_address, message->remote_address, 16);
	key.remote_port = message->remote_port;
	if (key.remote_port == asked->port && is_same_address(key.remote_address, asked->address))
		return 0;
	fill_dialed(message, value.dialed_address, value.dialed_port);
	note_translated_port(key.remote_port);
	bpf_map_update_elem(&redirects, &key, &value, BPF_ANY);
	any_redirect = 1;
	return 0;
}

/*
 * udp_sendmsg (`v6` false) and udpv6_sendmsg. The latter hands IPv4 destinations, v4-mapped ones too, to the former,
 * where they are reported. `direct_msg`: as `direct`, of msg.
 */
static __always_inline void send_dns_datagram(struct sock *sk, struct msghdr *msg, __u64 length, const __u32 hook,
					      const struct socket_name *name, __u16 port, __u32 level,
					      const struct place *asked, const bool direct, const bool direct_msg,
					      const bool v6)
{
	struct message message = {};
	struct buffer buffer;

	if (length > PAYLOAD_MAX) /* EMSGSIZE */
		return;
	if (v6 && name && name->family != AF_INET6)
		return;
	fill_ends(&message, sk, name, direct, v6);
	if (v6 && is_v4_mapped(message.remote_address))
		return;
	if (level == VISIBILITY_OFF) {
		count(COUNTER_OFF);
		return;
	}
	message.remote_port = port;
	message.protocol = PROTOCOL_UDP;
	message.length = length;
	message.sequence = sent_segment_size(sk, msg, direct_msg);
	fill_call(&message, sk, hook, direct, DIRECTION_REQUEST);
	if (!account(&message, level, hook))
		return;
	if (v6) {
		KEEP_LOADED(name); /* as is_newcomer */
		fill_zone(&message, sk, name ? name->scope : 0, hook, direct);
	}
	if (asked || (any_redirect && !name))
		fill_asked(&message, address_of(sk), asked);
	forget_dialed(&message);
	if (is_corked(sk))
		remember_cork(&message, sk);
	else if (LOAD(direct_msg, msg, msg_flags) & MSG_MORE)
		message.flags |= MESSAGE_MORE;
	buffer = buffer_of(msg, direct_msg);
	emit_buffer(&message, &buffer);
}

/* The port of a given name, not 0 with AF_UNSPEC: that means the connected peer (net/ipv6/udp.c). */
static __always_inline bool name_port(struct socket_name *name, void *address, const bool v6)
{
	__u64 first = WORD_AT(address);

	name->family = first;
	name->port = first >> 16;
	name->address4 = first >> 32;
	return !v6 || name->family;
}

/* The rest of a name of IPv6. */
static __always_inline void name_address(struct socket_name *name, void *address)
{
	if (CASTS) {
		LOAD_IN6(false, name->address6, (struct sockaddr_in6 *)address, sin6_addr);
		name->scope = LOAD(false, (struct sockaddr_in6 *)address, sin6_scope_id);
	} else {
		bpf_probe_read_kernel(name->address6, sizeof(name->address6), address + 8);
		bpf_probe_read_kernel(&name->scope, sizeof(name->scope), address + 24);
	}
}

static __noinline int remember_send(__u64 socket, __u64 address, __u64 message, __u64 length,
				    const struct socket_name *name)
{
	struct redirect_call call = {.socket = socket, .name = address, .message = message, .length = length};
	__u64 task = bpf_get_current_pid_tgid();

	if (!name)
		return 0;
	place_from((struct place *)call.asked, (const struct sockaddr_bytes *)name);
	bpf_map_update_elem(&redirect_calls, &task, &call, BPF_ANY);
	return 0;
}

/*
 * Whether a program of the socket's control group will look at where this goes: it is reported when that is done. Not where a datagram is
 * being put together, which has its address.
 */
static __always_inline bool send_is_redirected(struct sock *sk, struct msghdr *msg, __u64 length,
					       const struct socket_name *name, void *address, const bool direct,
					       const bool v6)
{
	if (v6 && (name->family != AF_INET6 || is_v4_mapped(name->address6))) /* handed to udp_sendmsg */
		return false;
	if (!socket_has_program(sk, v6 ? ATTACH_TYPE(UDP6_SENDMSG) : ATTACH_TYPE(UDP4_SENDMSG), direct))
		return false;
	if (bpf_core_field_exists(struct udp_sock, pending) && LOAD(false, (struct udp_sock *)sk, pending))
		return false;
	remember_send(address_of(sk), address_of(address), address_of(msg), length, name);
	return true;
}

static __always_inline void send_datagram(struct sock *sk, struct msghdr *msg, __u64 length, const __u32 hook,
					  const bool direct, const bool v6)
{
	__u16 port = LOAD(direct, sk, __sk_common.skc_dport);
	void *address = LOAD(direct, msg, msg_name);
	/* Empty, since 7.2 takes it for possible that the address is there the second time the compiler looks at it. */
	struct socket_name name = {};
	bool named = false;
	__u32 level;

	KEEP_LOADED(port);
	if (address) {
		named = name_port(&name, address, v6);
		/* udpv6_sendmsg names the peer that an AF_INET6 socket is connected to, where that is IPv4. */
		if (!v6 && any_redirect && name.port == port && LOAD(direct, sk, __sk_common.skc_family) == AF_INET6 &&
		    name.address4 == LOAD(direct, sk, __sk_common.skc_daddr))
			named = false;
		if (named)
			port = name.port;
	}
	port = bpf_ntohs(port);
	if (!is_dns_port(port) && (named || !is_translated_port(port) || !is_redirected(address_of(sk), port))) {
		count(COUNTER_SKIPPED);
		return;
	}
	level = current_level();
	/* udpv6_sendmsg may hand over to udp_sendmsg: where it counts is seen by the address. */
	if (!v6 && level == VISIBILITY_OFF) {
		count(COUNTER_OFF);
		return;
	}
	if (named && v6)
		name_address(&name, address);
	if (named && send_is_redirected(sk, msg, length, &name, address, direct, v6))
		return;
	send_dns_datagram(sk, msg, length, hook, named ? &name : NULL, port, level, NULL, direct, direct, v6);
}

/* Whether the socket's requests went to where a datagram comes from, at a port that is no DNS port. */
static __noinline bool answers_redirected(__u64 socket, const struct packet *packet)
{
	struct redirect_key key = {.socket = socket};

	if (!packet)
		return false;
	if (connected_redirect(socket, packet->source_port))
		return true;
	key.remote_port = packet->source_port;
	__builtin_memcpy(key.remote_address, packet->source, 16);
	return bpf_map_lookup_elem(&redirects, &key);
}

/*
 * skb_consume_udp: the datagram was copied to the program. Its UDP header is pulled, skb->data is the payload; skb->dev
 * is not valid any more (net/ipv4/udp.c keeps other things there).
 */
static __always_inline void receive_dns_datagram(struct sock *sk, struct sk_buff *skb, __u64 head, const __u32 hook,
						 const bool direct)
{
	__u64 data = (__u64)PROBE(skb, data), network = head + LOAD(direct, skb, network_header);
	struct message message = {};
	struct packet packet;
	int result;

	if (current_is_self()) {
		count(COUNTER_SELF);
		return;
	}
	if (!parse_packet((void *)network, LOAD(direct, skb, len) + data - network, &packet))
		return;
	if (!is_dns_port(packet.source_port) && !answers_redirected(address_of(sk), &packet)) {
		count(COUNTER_SKIPPED);
		return;
	}
	fill_call(&message, sk, hook, direct, DIRECTION_RESPONSE);
	__builtin_memcpy(message.local_address, packet.destination, 16);
	__builtin_memcpy(message.remote_address, packet.source, 16);
	message.local_port = packet.destination_port;
	message.remote_port = packet.source_port;
	message.length = LOAD(direct, skb, len);
	message.protocol = PROTOCOL_UDP;
	message.family = packet.family;
	result = account_response(message.length, message.protocol);
	message.header.reserved = result & ADMITTED_WAKE;
	if (result)
		emit_packet(&message, skb, data, 0, direct, false);
}

static __always_inline void receive_datagram(struct sock *sk, struct sk_buff *skb, int length, const __u32 hook,
					     const bool direct)
{
	__be16 port = LOAD(direct, sk, __sk_common.skc_dport);
	__u64 head;

	if (length < 0) /* MSG_PEEK: it stays in the queue and comes again */
		return;
	if (port && !is_answer_port(bpf_ntohs(port))) {
		count(COUNTER_SKIPPED);
		return;
	}
	head = (__u64)PROBE(skb, head);
	if (!port)
		bpf_probe_read_kernel(&port, sizeof(port), (void *)head + LOAD(direct, skb, transport_header));
	if (!is_answer_port(bpf_ntohs(port))) {
		count(COUNTER_SKIPPED);
		return;
	}
	if (current_level() != VISIBILITY_ON)
		return;
	receive_dns_datagram(sk, skb, head, hook, direct);
}

/*
 * udp_err and icmpv6_notify: an ICMP error has come, and skb->data is the packet that it quotes (net/ipv4/icmp.c, icmp_unreach). Who asked
 * is found by what it is about.
 */
static __always_inline void receive_unreachable(struct sk_buff *skb, const __u32 hook, const bool direct, const bool v6)
{
	struct net_device *device = PROBE(skb, dev);
	struct net *net = PROBE(device, nd_net.net);
	__u64 data = (__u64)PROBE(skb, data);
	__u32 there = LOAD(direct, skb, len) - LOAD(direct, skb, data_len);
	struct message message = {};
	struct packet packet;
	__u8 icmp[2] = {};
	int result;

	bpf_probe_read_kernel(icmp, sizeof(icmp), (void *)PROBE(skb, head) + LOAD(direct, skb, transport_header));
	if (!parse_packet((void *)data, there, &packet) || !is_answer_port(packet.destination_port) ||
	    !fill_unreachable(&message, &packet, there,
			      v6 ? unreachable6(icmp[0], icmp[1]) : unreachable4(icmp[0], icmp[1])))
		return;
	message.header.hook = hook;
	message.net_ns = LOAD(false, net, ns.inum);
	count(COUNTER_RESPONSES);
	result = share_ask(0, 0, COMMON_UNASKED, message_bytes(message.length, PROTOCOL_UDP, false), SHARE_RESPONSE);
	message.header.reserved = result & ADMITTED_WAKE;
	if (result)
		emit_run(&message, data + packet.payload, message.length, false);
}

#endif
