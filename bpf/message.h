/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* A message while it is put together: what its ring record has, at full size, and what only the programs need. */
#ifndef WHODNS_MESSAGE_H
#define WHODNS_MESSAGE_H

#include "event.h"

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

#endif
