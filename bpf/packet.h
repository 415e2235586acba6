/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Packet headers: what the tracepoint family needs of IPv4, IPv6, UDP and TCP. */
#ifndef WHODNS_PACKET_H
#define WHODNS_PACKET_H

#include "config.h"
#include "event.h"
#include "kernel.h"
#include "owner.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PROTOCOL_TCP   6
#define PROTOCOL_UDP   17
#define TCP_FIN        0x01
#define TCP_SYN        0x02
#define TCP_RST        0x04
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define EXTENSIONS_MAX 6 /* IPv6 extension headers walked; a packet with more is not looked at */

enum packet_fragment {
	FRAGMENT_NONE = 0,  /* the whole packet */
	FRAGMENT_FIRST = 1, /* with the transport's header */
	FRAGMENT_LATER =
	    2, /* without it: ports are not known; its place is the offset in units of 8 bytes, and FRAGMENT_MORE */
};

#define UDP_HEADER    8
#define FRAGMENT_MORE 0x2000 /* more follow, as in IPv4 */

struct packet {
	__u32 source[4]; /* network order; IPv4 as ::ffff:a.b.c.d */
	__u32 destination[4];
	__u32 payload;  /* offset of the transport's payload from the IP header */
	__u32 length;   /* payload bytes by the headers */
	__u32 sequence; /* TCP. A first fragment: bytes there are of what IP carries. A later one: its place in it */
	__u32 id;       /* UDP: the first four payload bytes; TCP: bytes of its header */
	__u32 identification; /* of a fragment */
	__u32 carried;        /* offset from the IP header of what a fragment carries */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 family;
	__u8 tcp_flags;
	__u8 fragment; /* enum packet_fragment */
};
_Static_assert(sizeof(struct packet) % 8 == 0, "forget_packet");

static __always_inline struct net_device *device_of(struct sk_buff *skb)
{
	return UNTRUSTED(skb, dev);
}

static __always_inline struct sock *socket_of(struct sk_buff *skb)
{
	return UNTRUSTED(skb, sk);
}

static __always_inline __u64 stirred(__u64 sum, __u64 value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 32;
}

/*
 * What a packet is, in one number: ends, namespace, length, and the DNS id or the place in the stream. Without the
 * seed no one can make two that have the same.
 */
static __always_inline __u64 packet_fingerprint(const struct packet *packet, __u32 net_ns)
{
	__u64 sum = stirred(identity_seed, (__u64)packet->source[0] << 32 | packet->source[1]);

	sum = stirred(sum, (__u64)packet->source[2] << 32 | packet->source[3]);
	sum = stirred(sum, (__u64)packet->destination[0] << 32 | packet->destination[1]);
	sum = stirred(sum, (__u64)packet->destination[2] << 32 | packet->destination[3]);
	sum = stirred(sum, (__u64)packet->sequence << 32 | packet->id);
	sum = stirred(sum, (__u64)packet->length << 32 | (__u32)packet->source_port << 16 | packet->destination_port);
	return stirred(sum, (__u64)net_ns << 32 | packet->protocol << 8 | packet->tcp_flags);
}

static __always_inline __u32 be16_at(const __u8 *bytes)
{
	return (__u32)bytes[0] << 8 | bytes[1];
}

static __always_inline __u32 word_at(const __u8 *bytes)
{
	__u32 word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return word;
}

/* `transport`: 20 bytes from `offset` on; `total`: bytes of the IP packet. */
static __always_inline bool parse_transport(const __u8 *transport, __u32 offset, __u32 total, struct packet *packet)
{
	__u32 header = UDP_HEADER, there;

	packet->source_port = be16_at(transport);
	packet->destination_port = be16_at(transport + 2);
	if (packet->protocol == PROTOCOL_TCP) {
		header = (transport[12] >> 4) * 4;
		packet->sequence = bpf_ntohl(word_at(transport + 4));
		packet->tcp_flags = transport[13];
		packet->id = header;
		if (header < 20)
			return false;
	} else if (packet->protocol == PROTOCOL_UDP) {
		packet->id = word_at(transport + 8);
	} else {
		packet->payload = offset;
		return false;
	}
	if (total < offset + header)
		return false;
	there = total - offset - header;
	packet->payload = offset + header;
	packet->length = there;
	if (packet->protocol == PROTOCOL_UDP) {
		__u32 length = be16_at(transport + 4);

		if (packet->fragment)
			packet->sequence = there + UDP_HEADER;
		/* 0: a jumbogram (RFC 2675 section 4). The header of a first fragment tells the whole datagram's length. */
		if (length >= 8 && (length - 8 < there || packet->fragment))
			packet->length = length - 8;
	}
	return true;
}

/* False, as for any packet without ports; which fragment it is is told all the same. `offset`: of what is in it. */
static __always_inline bool parse_later(__u32 identification, __u32 place, __u32 offset, __u32 total,
					struct packet *packet)
{
	packet->fragment = FRAGMENT_LATER;
	packet->identification = identification;
	packet->sequence = place;
	packet->payload = packet->carried = offset;
	packet->length = total > offset ? total - offset : 0;
	return false;
}

static __always_inline bool parse_ipv4(const __u8 *header, const void *address, __u32 available, struct packet *packet)
{
	__u32 length = (header[0] & 15) * 4, total = be16_at(header + 2), fragment = be16_at(header + 6);
	__u64 transport[3];

	if (length < 20)
		return false;
	if (total == 0 || total > available) /* 0: more than 64 KB, by segmentation offload */
		total = available;
	packet->family = 4;
	packet->protocol = header[9];
	packet->source[2] = packet->destination[2] = bpf_htonl(0xffff);
	packet->source[3] = word_at(header + 12);
	packet->destination[3] = word_at(header + 16);
	if (fragment & (FRAGMENT_MORE | 0x1fff)) {
		if (fragment & 0x1fff)
			return parse_later(be16_at(header + 4), fragment & (FRAGMENT_MORE | 0x1fff), length, total,
					   packet);
		packet->fragment = FRAGMENT_FIRST;
		packet->identification = be16_at(header + 4);
		packet->carried = length;
	}
	if (length == 20)
		return parse_transport(header + 20, 20, total, packet);
	packet->payload = length;
	if (packet->protocol != PROTOCOL_UDP && packet->protocol != PROTOCOL_TCP)
		return false;
	if (!read_words(transport, address + length, 3))
		return false;
	return parse_transport((const __u8 *)transport, length, total, packet);
}

static __always_inline bool parse_ipv6(const __u8 *header, const void *address, __u32 available, struct packet *packet)
{
	__u32 offset = 40, total = be16_at(header + 4) + 40, next = header[6];
	__u64 transport[3];

	if (total == 40 || total > available)
		total = available;
	packet->family = 6;
	__builtin_memcpy(packet->source, header + 8, 16);
	__builtin_memcpy(packet->destination, header + 24, 16);
	for (int i = 0; i < EXTENSIONS_MAX && next != PROTOCOL_UDP && next != PROTOCOL_TCP; i++) {
		__u8 extension[8];
		__u32 place;

		if (next != 0 && next != 43 && next != 44 && next != 51 &&
		    next != 60) { /* RFC 8200 section 4, RFC 4302 */
			packet->protocol = next;
			packet->payload = offset;
			return false;
		}
		if (bpf_probe_read_kernel(extension, sizeof(extension), address + offset))
			return false;
		if (next == 44) {
			place = be16_at(extension + 2);
			offset += 8;
			if (place & ~7u) /* the next header is that of the first (RFC 8200 section 4.5) */
				return parse_later(word_at(extension + 4), place >> 3 | (place & 1) * FRAGMENT_MORE,
						   offset, total, packet);
			packet->carried = offset;
			packet->fragment = place & 1; /* an atomic fragment (RFC 6946) is a whole packet */
			packet->identification = word_at(extension + 4);
		} else if (next == 51) {
			offset += (extension[1] + 2) * 4;
		} else {
			offset += (extension[1] + 1) * 8;
		}
		next = extension[0];
		/* Verifiers before 6.4 would follow each length apart: 3 to the power of the headers. */
		if (LINUX_KERNEL_VERSION < KERNEL(6, 4, 0))
			offset ^= *(volatile __u64 *)&unknown_zero;
		offset &= 0x3fff;
	}
	packet->protocol = next;
	if (!read_words(transport, address + offset, 3))
		return false;
	return parse_transport((const __u8 *)transport, offset, total, packet);
}

/*
 * Reads the headers at `address`; `available` bytes of packet follow there. False: not a UDP or TCP packet to look at. `packet` is not asked
 * whether it is NULL: verifiers before 6.4 would follow that way too, and find that nothing is in it.
 */
static __noinline bool parse_packet(const void *address, __u32 available, struct packet *packet)
{
	__u64 words[5];
	const __u8 *header = (const __u8 *)words;

	__builtin_memset(packet, 0, sizeof(*packet));
	if (!read_words(words, address, 5))
		return false;
	if (header[0] >> 4 == 4)
		return parse_ipv4(header, address, available, packet);
	if (header[0] >> 4 == 6)
		return parse_ipv6(header, address, available, packet);
	return false;
}

/*
 * Verifiers before 6.4 would follow each kind of packet through all that comes behind: after this they know nothing of it, and one way
 * is all of them.
 */
static __always_inline void forget_packet(struct packet *packet)
{
	if (LINUX_KERNEL_VERSION < KERNEL(6, 4, 0))
		forget_words(packet, sizeof(*packet) / 8);
}

#endif
