/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: will the kernel take what was received? A packet is seen before IP and the transport have looked at
 * it; whoever may send raw packets could else put answers into the record that no program is ever given. So the same is
 * verified here as there (net/ipv4/ip_input.c ip_rcv_core, net/ipv6/ip6_input.c, net/ipv4/udp.c __udp4_lib_rcv,
 * net/ipv6/udp.c __udp6_lib_rcv, net/ipv4/tcp_input.c tcp_validate_incoming and tcp_ack), only of packets that answer a
 * question, and the checksum only where the device has not verified it.
 */
#ifndef WHODNS_ACCEPT_H
#define WHODNS_ACCEPT_H

#include "checksum.h"
#include "packet.h"
#include <linux/ip.h>

#define TCP_ACK          0x10
#define TCP_ESTABLISHED  1 /* include/net/tcp_states.h */
#define TCP_FIN_WAIT1    4
#define TCP_FIN_WAIT2    5
#define TCP_CLOSE_WAIT   8
#define INADDR_LOOPBACK  0x7f000001 /* 127.0.0.1 */
#define IFF_LOOPBACK     8          /* include/uapi/linux/if.h */
#define PACKET_OTHERHOST 3          /* include/uapi/linux/if_packet.h */

/* Whether the checksum of an IPv4 header at `address` is wrong, of which `bytes` are the first 20. */
static __always_inline bool header_is_wrong(const __u8 *bytes, const void *address)
{
	__u64 sum =
	    (__u64)word_at(bytes) + word_at(bytes + 4) + word_at(bytes + 8) + word_at(bytes + 12) + word_at(bytes + 16);

	for (__u32 i = 5; i < 15 && i < (bytes[0] & 15); i++) { /* options */
		__u32 word = 0;

		bpf_probe_read_kernel(&word, sizeof(word), address + i * 4);
		sum += word;
	}
	return folded(sum) != 0xffff;
}

/*
 * What the headers of a packet say, in one number: from the lowest bit on 32 bits bytes of the packet (0: IP drops it), and
 * 16 bits each length and checksum of UDP. Its IP header is at `address`, where `available` bytes are. Most answers are UDP
 * in IPv4 without options or IPv6 without extensions: read at once. Longer than a header can say, by segmentation offload:
 * all that is there. Not inlined for the sake of the stack.
 */
static __noinline __u64 read_headers(const void *address, __u32 available, const struct packet *packet)
{
	__u8 bytes[48], udp[8] = {};
	__u32 total, transport;

	if (!packet || bpf_probe_read_kernel(bytes, sizeof(bytes), address))
		return 0;
	if (packet->family == 4) {
		total = be16_at(bytes + 2);
		if (header_is_wrong(bytes, address))
			return 0;
	} else {
		total = be16_at(bytes + 4);
		if (total)
			total += 40;
	}
	if (!total && available > 65535)
		total = available;
	if (total > available)
		return 0;
	if (packet->protocol != PROTOCOL_UDP)
		return total;
	transport = packet->payload - 8;
	if (transport == 20)
		__builtin_memcpy(udp, bytes + 20, 8);
	else if (transport == 40)
		__builtin_memcpy(udp, bytes + 40, 8);
	else
		bpf_probe_read_kernel(udp, sizeof(udp), address + transport);
	return total | (__u64)be16_at(udp + 4) << 32 | (__u64)be16_at(udp + 6) << 48;
}

/* Of a datagram with that length and checksum that lies `start` bytes behind skb->data, `there` bytes of it. */
static __always_inline bool datagram_is_refused(struct sk_buff *skb, const struct packet *packet, __u32 start,
						__u32 there, __u32 length, __u32 checksum)
{
	if (!length && packet->family == 6) /* a jumbogram (RFC 2675 section 4) */
		length = there;
	if (length < 8)
		return true;
	if (packet->fragment) /* the first of several fragments: what they give together is not here */
		return false;
	if (length > there)
		return true;
	if (!checksum)
		return packet->family == 6;
	return checksum_is_wrong(skb, packet, start, length);
}

/* A setting of the device or of all (include/linux/inetdevice.h: IN_DEV_ORCONF). */
static __always_inline bool is_set(struct net_device *device, const __u32 what)
{
	struct in_device *own = PROBE(device, ip_ptr);
	struct net *net = PROBE(device, nd_net.net);
	struct ipv4_devconf *all = PROBE(net, ipv4.devconf_all);

	return PROBE(own, cnf.data[what - 1]) || PROBE(all, data[what - 1]);
}

/*
 * What a program sends to this host brings its route along; a frame that was put on loopback by hand is routed anew, and then
 * 127.0.0.0/8 and addresses of our own as its source are refused (net/ipv4/route.c ip_route_input_slow, fib_frontend.c
 * fib_validate_source). Without rp_filter only those that an interface has: not the rest of 127.0.0.0/8.
 */
static __always_inline bool is_martian(struct sk_buff *skb, const struct packet *packet)
{
	__u32 source = bpf_ntohl(packet->source[3]);

	if (packet->family != 4 || skb->_skb_refdst || !(device_of(skb)->flags & IFF_LOOPBACK))
		return false;
	if (source >> 24 == 127 && !is_set(device_of(skb), IPV4_DEVCONF_ROUTE_LOCALNET))
		return true;
	if (is_set(device_of(skb), IPV4_DEVCONF_ACCEPT_LOCAL))
		return false;
	return source >> 24 != 127 || source == INADDR_LOOPBACK || is_set(device_of(skb), IPV4_DEVCONF_RP_FILTER);
}

static __always_inline bool has_upper(struct net_device *device)
{
	__u64 upper = address_of(device) + bpf_core_field_offset(device->adj_list.upper);

	return (__u64)PROBE(device, adj_list.upper.next) != upper;
}

/*
 * Whether a connection drops a segment whose header is at `header`: what it carries lies outside the window,
 * or it acknowledges what was never sent. A handshake, and a socket that is not the connection's any more, drop nothing here.
 */
static __noinline bool segment_is_refused(const struct packet *packet, __u64 socket, const void *header)
{
	struct sock *sk = (struct sock *)socket;
	struct tcp_sock *tcp = (struct tcp_sock *)socket;
	__u32 end, state, first, una, window, acknowledged = 0;

	if (!packet || !socket || PROBE(sk, __sk_common.skc_num) != packet->destination_port ||
	    PROBE(sk, sk_protocol) != PROTOCOL_TCP)
		return false;
	end = packet->sequence + packet->length + (packet->tcp_flags & TCP_FIN);
	state = PROBE(sk, __sk_common.skc_state);
	if (state != TCP_ESTABLISHED && !(state >= TCP_FIN_WAIT1 && state <= TCP_FIN_WAIT2) && state != TCP_CLOSE_WAIT)
		return false;
	first = PROBE(tcp, rcv_wup);
	if ((__s32)(end - first) < 0 || (__s32)(packet->sequence - (first + PROBE(tcp, rcv_wnd))) > 0)
		return true;
	if (packet->tcp_flags & TCP_RST)
		return false;
	if (packet->tcp_flags & TCP_SYN || !(packet->tcp_flags & TCP_ACK))
		return true;
	bpf_probe_read_kernel(&acknowledged, sizeof(acknowledged), header + 8);
	acknowledged = bpf_ntohl(acknowledged);
	una = PROBE(tcp, snd_una);
	window = PROBE(tcp, max_window);
	/* Up to what was written: snd_nxt follows only after the segment has left, and its answer may be here before. */
	return (__s32)(acknowledged - PROBE(tcp, write_seq)) > 0 || (__s32)(acknowledged - (una - window)) < 0;
}

/*
 * Whether IP or the transport drops a received packet; its IP header lies `tags` bytes behind skb->data. `socket` is the
 * address of the one that asked.
 */
static __always_inline bool is_refused(struct sk_buff *skb, const struct packet *packet, __u32 tags, __u64 socket)
{
	const void *address = skb->data + tags;
	__u32 start = tags + packet->payload - (packet->protocol == PROTOCOL_UDP ? 8 : packet->id);
	__u64 told = read_headers(address, skb->len - tags, packet);
	long there = (long)(__u32)told + tags - start;

	if (there < 8 || is_martian(skb, packet))
		return true;
	/* To another's hardware address: dropped, unless it is that of a device on top of this one. */
	if (BPF_CORE_READ_BITFIELD(skb, pkt_type) == PACKET_OTHERHOST && !has_upper(device_of(skb)))
		return true;
	if (packet->protocol == PROTOCOL_UDP)
		return datagram_is_refused(skb, packet, start, there, told >> 32 & 0xffff, told >> 48);
	return segment_is_refused(packet, socket, skb->data + start) || checksum_is_wrong(skb, packet, start, there);
}

#endif
