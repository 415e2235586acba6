/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: answers that come in IP fragments. Packets are seen before the kernel joins them, and only the first fragment has
 * ports. So what follows it, or comes before it, is told if it is of a server that was asked; user space joins them (src/streams/).
 */
#ifndef WHODNS_FRAGMENTS_H
#define WHODNS_FRAGMENTS_H

#include "emit.h"
#include "maps.h"
#include "packet.h"

/*
 * State: servers that were asked, one bit each by namespace and address, never cleared: a stale bit, or that of another server, costs
 * records of fragments that user space has no use for, within the share of answers that no one asked for.
 */
#define SERVER_BITS 65536
__u64 asked_servers[SERVER_BITS / 64];

static __always_inline __u32 server_bit(const void *address, __u32 net_ns)
{
	__u64 words[2];

	__builtin_memcpy(words, address, sizeof(words));
	return stirred(stirred(stirred(identity_seed, words[0]), words[1]), net_ns) & (SERVER_BITS - 1);
}

static __always_inline void remember_server(const void *address, __u32 net_ns)
{
	__u32 bit = server_bit(address, net_ns);
	__u64 *word = &asked_servers[bit / 64], mask = 1ull << (bit & 63);

	if (!(*word & mask))
		*word |= mask;
}

static __always_inline bool is_asked_server(const void *address, __u32 net_ns)
{
	__u32 bit = server_bit(address, net_ns);

	return asked_servers[bit / 64] & 1ull << (bit & 63);
}

/* What the fragments of one datagram have in common (RFC 791 section 3.2, RFC 8200 section 4.5), in one number. */
static __always_inline __u32 datagram_of(const struct packet *packet, __u32 net_ns)
{
	struct packet whole = {};

	__builtin_memcpy(whole.source, packet->source, 16);
	__builtin_memcpy(whole.destination, packet->destination, 16);
	whole.protocol = packet->family == 4 ? packet->protocol : 0;
	whole.id = packet->identification;
	return packet_fingerprint(&whole, net_ns);
}

#endif
