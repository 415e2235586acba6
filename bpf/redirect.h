/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Translation at the socket. Programs of control groups (connect4/6, sendmsg4/6: load balancers of Kubernetes networks without
 * kube-proxy) put another address and port in the place of what a program asked for, before the socket has it. What was asked for is
 * remembered here by socket, in all hook families.
 */
#ifndef WHODNS_REDIRECT_H
#define WHODNS_REDIRECT_H

#include "config.h"
#include "maps.h"
#include "message.h"
#include "owner.h"
#include "socket.h"

/*
 * State: remote ports that are not DNS ports but that a DNS request went to after its destination was translated. One bit
 * a port, never cleared: a stale bit costs a look-up.
 */
__u64 translated_ports[1024];
/* State: `redirects` has had an entry. */
__u32 any_redirect;

/* A port's place there, in bounds for verifiers too that do not know that a port has 16 bits. */
static __always_inline __u64 *translated_bits(__u32 port)
{
	__u64 index = port >> 6;

	asm volatile("" : "+r"(index));
	return &translated_ports[index & 1023];
}

static __always_inline bool is_translated_port(__u16 port)
{
	return *translated_bits(port) & 1ull << (port & 63);
}

static __always_inline void note_translated_port(__u16 port)
{
	if (!is_dns_port(port))
		*translated_bits(port) |= 1ull << (port & 63);
}

/* A port that answers to DNS requests may come from. */
static __always_inline bool is_answer_port(__u16 port)
{
	return is_dns_port(port) || is_translated_port(port);
}

/* A place to send to. IPv4 as ::ffff:a.b.c.d, port in host order. */
struct place {
	__u32 address[4];
	__u32 port;
};

static __always_inline bool is_same_address(const void *one, const void *other)
{
	const __u32 *a = one, *b = other;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline bool is_same_place(const struct place *a, const struct place *b)
{
	return a->port == b->port && is_same_address(a->address, b->address);
}

/* struct sockaddr_in and sockaddr_in6 (uapi) as bytes. */
struct sockaddr_bytes {
	__u16 family;
	__be16 port;
	__u32 address4; /* IPv6: flow information */
	__u32 address6[4];
};

/* AF_UNSPEC stands for IPv4 (net/ipv4/udp.c). */
static __always_inline void place_from(struct place *place, const struct sockaddr_bytes *bytes)
{
	place->port = bpf_ntohs(bytes->port);
	if (bytes->family == AF_INET6) {
		__builtin_memcpy(place->address, bytes->address6, sizeof(place->address));
		return;
	}
	place->address[0] = place->address[1] = 0;
	place->address[2] = bpf_htonl(0xffff);
	place->address[3] = bytes->address4;
}

/* Reads a struct sockaddr at a kernel address: 8 bytes are there in any case. */
static __always_inline void read_place(struct place *place, const void *address)
{
	struct sockaddr_bytes bytes = {};

	bpf_probe_read_kernel(&bytes, 8, address);
	if (bytes.family == AF_INET6)
		bpf_probe_read_kernel(&bytes, sizeof(bytes), address);
	place_from(place, &bytes);
}

/* -- programs of control groups -------------------------------------------------------------------------------------- */

/* Kernels since 5.15 number what programs are attached to by their configuration, those before as linux/bpf.h does. */
enum cgroup_bpf_attach_type {
	CGROUP_INET4_CONNECT,
	CGROUP_INET6_CONNECT,
	CGROUP_UDP4_SENDMSG,
	CGROUP_UDP6_SENDMSG,
};

#define ATTACH_TYPE(name)                                                                                              \
	(bpf_core_enum_value_exists(enum cgroup_bpf_attach_type, CGROUP_##name)                                        \
	     ? (__u32)bpf_core_enum_value(enum cgroup_bpf_attach_type, CGROUP_##name)                                  \
	     : (__u32)BPF_CGROUP_##name)

static __always_inline bool is_connect_type(__u32 type)
{
	return type == ATTACH_TYPE(INET4_CONNECT) || type == ATTACH_TYPE(INET6_CONNECT);
}

/* Whether a control group, or one above it, has a program of `type`. */
static __always_inline bool group_has_program(__u64 group, __u32 type)
{
	struct cgroup *named = (struct cgroup *)group;
	__u64 programs;

	if (!group || !bpf_core_field_exists(named->bpf.effective))
		return false;
	programs = WORD_AT((void *)group + bpf_core_field_offset(named->bpf.effective) + type * sizeof(void *));
	return programs && LOAD(false, (struct bpf_prog_array *)programs, items[0].prog);
}

/* The same of a group whose type the verifier knows, where it knows no casts: each load by a call is some 80 instructions. */
static __always_inline bool typed_group_has_program(struct cgroup *group, __u32 type)
{
	struct bpf_prog_array **programs;

	if (!group || !bpf_core_field_exists(group->bpf.effective))
		return false;
	programs = (void *)group + bpf_core_field_offset(group->bpf.effective) + type * sizeof(void *);
	return *programs && (*programs)->items[0].prog;
}

/* Whether a program of `type` is run for a socket: the group of who made it counts. */
static __always_inline bool socket_has_program(struct sock *sk, __u32 type, const bool direct)
{
	__u64 group;

	if (!bpf_core_field_exists(sk->sk_cgrp_data))
		return false;
	if (direct && !CASTS && bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return typed_group_has_program(sk->sk_cgrp_data.cgroup, type);
	group = WORD_AT((void *)sk + bpf_core_field_offset(sk->sk_cgrp_data));
	/* Until 5.14 the same word holds a network class where one is set (bit 0): the socket then counts to the root. */
	if (!bpf_core_field_exists(sk->sk_cgrp_data.cgroup)) {
		if (group & 1)
			return false;
		group &= ~3ull;
	}
	return group_has_program(group, type);
}

/* -- what is remembered ---------------------------------------------------------------------------------------------- */

/* `remote` NULL: what the socket is connected to. */
static __always_inline void redirect_key(struct redirect_key *key, __u64 socket, const struct place *remote)
{
	key->socket = socket;
	if (remote) {
		__builtin_memcpy(key->remote_address, remote->address, 16);
		key->remote_port = remote->port;
	}
}

static __always_inline void remember_redirect(__u64 socket, const struct place *remote, const struct place *asked,
					      __u32 port)
{
	struct redirect_value value = {.dialed_port = asked->port, .remote_port = port};
	struct redirect_key key = {};

	redirect_key(&key, socket, remote);
	__builtin_memcpy(value.dialed_address, asked->address, 16);
	bpf_map_update_elem(&redirects, &key, &value, BPF_ANY);
	any_redirect = 1;
}

static __always_inline void forget_redirect(__u64 socket, const struct place *remote)
{
	struct redirect_key key = {};

	if (!any_redirect)
		return;
	redirect_key(&key, socket, remote);
	bpf_map_delete_elem(&redirects, &key);
}

/* What was asked for where `socket` is connected to `port`. NULL: just that. */
static __always_inline struct redirect_value *connected_redirect(__u64 socket, __u16 port)
{
	struct redirect_key key = {.socket = socket};
	struct redirect_value *value;

	if (!any_redirect)
		return NULL;
	value = bpf_map_lookup_elem(&redirects, &key);
	if (!value || (value->remote_port && value->remote_port != port))
		return NULL;
	return value;
}

static __noinline bool is_redirected(__u64 socket, __u16 port)
{
	return connected_redirect(socket, port);
}

/*
 * Verifiers before 6.4 would follow messages with and without one through all that comes behind: after this they know nothing of it.
 */
static __always_inline void forget_dialed(struct message *message)
{
	__u64 zero;

	if (LINUX_KERNEL_VERSION >= KERNEL(6, 4, 0))
		return;
	zero = *(volatile __u64 *)&unknown_zero;
	message->flags ^= zero;
	message->dialed_port ^= zero;
	forget_words(message->dialed_address, 2);
}

/* Fills what the program asked for. */
static __always_inline void fill_dialed(struct message *message, const void *address, __u16 port)
{
	__builtin_memcpy(message->dialed_address, address, 16);
	message->dialed_port = port;
	message->flags |= MESSAGE_DIALED;
}

#endif
