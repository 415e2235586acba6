/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* What is read of a socket: its identity, its ends. */
#ifndef WHODNS_SOCKET_H
#define WHODNS_SOCKET_H

#include "config.h"
#include "owner.h"
#include "repeat.h"
#include <bpf/bpf_endian.h>

#define AF_INET  2
#define AF_INET6 10

#define TCP_SYN_SENT 2 /* include/net/tcp_states.h */
#define TCP_CLOSE    7
#define TCP_LISTEN   10

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

/* Made of the socket's address and port, which a later socket can come to have again. */
static __always_inline __u64 identity_at(__u64 socket, __u16 port)
{
	return mixed(socket + ((__u64)port << 48));
}

/*
 * What tells one socket from another: the kernel's cookie where the program can have one made (`typed`: fentry programs
 * since 5.12; tp_btf programs may not pass skb->sk on, kprobe programs lack the helper). Elsewhere never a cookie that
 * happens to be there already, since it could appear in the middle of a connection.
 */
static __always_inline __u64 socket_identity(struct sock *sk, __u16 port, const bool typed)
{
	if (typed && LINUX_KERNEL_VERSION >= KERNEL(5, 12, 0))
		return bpf_get_socket_cookie(sk);
	return identity_at(ADDRESS(typed, sk), port);
}

#define DESCRIPTORS_MAX  512
#define DESCRIPTORS_READ 4 /* at once */

/*
 * Does the current task, interrupted by a softirq, have the socket at address `socket` open? A packet that waits for its
 * neighbour can leave within the sender's own call: the neighbour's answer is served where the sender enables bottom
 * halves again (net/core/neighbour.c: __neigh_event_send). Global, so that the verifier checks it once.
 */
__noinline int current_has_open(__u64 socket)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct files_struct *files = PROBE(task, files);
	struct fdtable *table = PROBE(files, fdt);
	struct file **descriptors = PROBE(table, fd);
	struct socket *open = PROBE((struct sock *)socket, sk_socket);
	struct file *file = PROBE(open, file);
	__u32 count = PROBE(table, max_fds), i;
	bool found = false;

	if (!file || !files) /* closed already; a kernel thread */
		return 0;
	REPEAT(i, DESCRIPTORS_MAX / DESCRIPTORS_READ)
	{
		struct file *some[DESCRIPTORS_READ] = {};

		if (found || i * DESCRIPTORS_READ >= count) /* a multiple of 64 */
			break;
		bpf_probe_read_kernel(some, sizeof(some), descriptors + i * DESCRIPTORS_READ);
		for (int j = 0; j < DESCRIPTORS_READ; j++)
			found |= some[j] == file;
	}
	return found;
}

#endif
