/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* A message while it is put together: what its ring record has, at full size, and what only the programs need. */
#ifndef WHODNS_MESSAGE_H
#define WHODNS_MESSAGE_H

#include "packet.h"

/* The members of the first two are members of this (clang: -fms-extensions). */
struct message {
	struct message_event;
	struct message_addresses; /* IPv4 as ::ffff:a.b.c.d */
	struct owner owner;       /* with MESSAGE_OWNER */
};

struct connection {
	/* As in struct waiting_connection. */
	struct connection_event;
	struct connection_addresses;
	struct process_key process;
	struct share_key share;
	struct owner owner;
};

/* Whether the record of a message has a struct message_addresses. */
static __always_inline bool has_addresses(const struct message *message)
{
	return message->family != 4 || message->flags & MESSAGE_DIALED;
}

/*
 * How much of a record's payload is copied. The limit is one of messages: a datagram is one, while a piece of a stream holds many, and
 * where each begins is known only by all that is before it. Of a longer piece the rest is a gap. Global: the verifier goes through
 * such a function once and takes any number as its result; with a limit that it knows, it would follow each case through all that comes after
 * (6.1, fentry_tcp_sendmsg: more than its million instructions; 6.18: more memory than 100 MB leave).
 */
__noinline __u32 payload_bytes(__u32 length, __u32 protocol)
{
	__u32 limit = protocol == PROTOCOL_TCP ? PAYLOAD_MAX : payload_limit;

	return length < limit ? length : limit;
}

#endif
