/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * ICMP errors that say of a request that it does not arrive (RFC 792, RFC 4443 section 3.1): what a program is told at once, as
 * ECONNREFUSED and the like, is another failure than silence. They quote the packet that they are about.
 */
#ifndef WHODNS_UNREACHABLE_H
#define WHODNS_UNREACHABLE_H

#include "event.h"
#include "packet.h"

#define PROTOCOL_ICMP      1
#define PROTOCOL_ICMPV6    58
#define ICMP_HEADER        8
#define ICMP_UNREACHABLE   3
#define ICMPV6_UNREACHABLE 1

/* As net/ipv4/icmp.c, icmp_err_convert. 0: of no interest. */
static __always_inline __u32 unreachable4(__u8 type, __u8 code)
{
	if (type != ICMP_UNREACHABLE || code > 15 || code == 4 || code == 5) /* 4: a smaller MTU, 5: a source route */
		return 0;
	if (code == 2 || code == 3)
		return UNREACHABLE_REFUSED;
	return code == 0 || code == 6 || code == 9 || code == 11 ? UNREACHABLE_NETWORK : UNREACHABLE_HOST;
}

/* As net/ipv6/icmp.c, tab_unreach. */
static __always_inline __u32 unreachable6(__u8 type, __u8 code)
{
	if (type != ICMPV6_UNREACHABLE || code > 6)
		return 0;
	if (code == 4)
		return UNREACHABLE_REFUSED;
	return code == 0 ? UNREACHABLE_NETWORK : UNREACHABLE_HOST;
}

#define QUOTED_EXTENSIONS_MAX 2 /* more of them than a request has; verifiers before 6.4 take no more */

/*
 * Where UDP begins in a quoted packet of IPv6, behind hop-by-hop and destination options and routing headers (RFC 8200 section 4). 0: it is
 * not UDP.
 */
static __always_inline __u32 quoted_udp6(const void *address, __u32 next)
{
	__u32 offset = 40;

	for (int i = 0; i < QUOTED_EXTENSIONS_MAX && next != PROTOCOL_UDP; i++) {
		__u8 extension[2] = {};

		if (next != 0 && next != 43 && next != 60)
			return 0;
		bpf_probe_read_kernel(extension, sizeof(extension), address + offset);
		next = extension[0];
		offset = (offset + (extension[1] + 1) * 8) & 0xfff;
	}
	return next == PROTOCOL_UDP ? offset : 0;
}

/* Reads the headers of the packet quoted at `address`, one sent from here over UDP. False: it is another packet. */
static __noinline bool parse_quoted(const void *address, struct packet *packet)
{
	__u8 header[40];
	__u32 offset;

	if (!packet)
		return false;
	__builtin_memset(packet, 0, sizeof(*packet));
	if (bpf_probe_read_kernel(header, sizeof(header), address))
		return false;
	if (header[0] >> 4 == 4) {
		if (header[9] != PROTOCOL_UDP || be16_at(header + 6) & 0x1fff)
			return false;
		packet->family = 4;
		packet->source[2] = packet->destination[2] = bpf_htonl(0xffff);
		packet->source[3] = word_at(header + 12);
		packet->destination[3] = word_at(header + 16);
		offset = (header[0] & 15) * 4; /* with options */
	} else {
		if (header[0] >> 4 != 6)
			return false;
		packet->family = 6;
		__builtin_memcpy(packet->source, header + 8, 16);
		__builtin_memcpy(packet->destination, header + 24, 16);
		offset = quoted_udp6(address, header[6]);
	}
	if (offset < 20 || bpf_probe_read_kernel(header, 4, address + offset))
		return false;
	packet->protocol = PROTOCOL_UDP;
	packet->source_port = be16_at(header);
	packet->destination_port = be16_at(header + 2);
	packet->payload = offset + 8;
	forget_packet(packet);
	return true;
}

/*
 * The request that an ICMP error is about, as an answer to it: `quoted` is the packet quoted, of which `there` bytes are at hand.
 * The payload is the part of the request that was quoted. False: it is none.
 */
static __always_inline bool fill_unreachable(struct message *message, const struct packet *quoted, __u32 there,
					     __u32 what)
{
	if (!what || quoted->protocol != PROTOCOL_UDP)
		return false;
	message->header.time = bpf_ktime_get_ns();
	message->header.kind = EVENT_MESSAGE;
	__builtin_memcpy(message->local_address, quoted->source, 16);
	__builtin_memcpy(message->remote_address, quoted->destination, 16);
	message->local_port = quoted->source_port;
	message->remote_port = quoted->destination_port;
	message->length = there > quoted->payload ? there - quoted->payload : 0;
	message->sequence = what;
	message->flags = MESSAGE_UNREACHABLE;
	message->direction = DIRECTION_RESPONSE;
	message->protocol = PROTOCOL_UDP;
	message->family = quoted->family;
	return true;
}

#endif
