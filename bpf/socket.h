/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* What is read of a socket: its identity, its ends. */
#ifndef WHODNS_SOCKET_H
#define WHODNS_SOCKET_H

#include "config.h"
#include "owner.h"
#include <bpf/bpf_endian.h>

#define AF_INET 2
#define AF_INET6 10

/* Well mixed and one to one (the finalizer of MurmurHash3): equal sockets stay equal, no address can be read from it. */
static __always_inline __u64 mixed(__u64 value)
{
	value ^= identity_seed;
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdull;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53ull;
	value ^= value >> 33;
	return value;
}

/*
 * What tells one socket from another: the kernel's cookie where the program can have one made (`typed`: fentry programs
 * since 5.12; tp_btf programs may not pass skb->sk on, kprobe programs lack the helper). Elsewhere made of the socket's
 * address and port, which a later socket can come to have again; never of a cookie that happens to be there already,
 * since it could appear in the middle of a connection.
 */
static __always_inline __u64 socket_identity(struct sock *sk, __u16 port, const bool typed)
{
	if (typed && LINUX_KERNEL_VERSION >= KERNEL(5, 12, 0))
		return bpf_get_socket_cookie(sk);
	return mixed(address_of(sk) + ((__u64)port << 48));
}

#endif
