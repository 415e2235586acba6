/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Connections: a TCP socket that leaves CLOSED for SYN_SENT, in the context of the task that connects it (connect, and
 * sendmsg with MSG_FASTOPEN). net/ipv4/tcp_ipv4.c tcp_v4_connect and net/ipv6/tcp_ipv6.c tcp_v6_connect set the
 * destination before the state, and choose the source port after it. The fentry and kprobe families take tcp_connect, which comes when
 * it is chosen. The tracepoint family has no hook there: a connection waits until its SYN is given to a device, most often within the
 * same call, or its socket leaves SYN_SENT (a SYN that the host's own firewall drops).
 */
#ifndef WHODNS_CONNECT_H
#define WHODNS_CONNECT_H

#include "calls.h"

/* Both ends; a v4-mapped destination of an AF_INET6 socket is IPv4 (tcp_v6_connect hands it to tcp_v4_connect). */
static __always_inline void fill_connection(struct connection *event, struct sock *sk, const bool direct)
{
	struct net *net = LOAD(direct, sk, __sk_common.skc_net.net);
	__u32 local[4] = {}, remote[4] = {};

	event->family = 4;
	if (LOAD(direct, sk, __sk_common.skc_family) == AF_INET6) {
		LOAD_IN6(direct, remote, sk, __sk_common.skc_v6_daddr);
		if (!is_v4_mapped(remote)) {
			event->family = 6;
			LOAD_IN6(direct, local, sk, __sk_common.skc_v6_rcv_saddr);
		}
	}
	if (event->family == 4) {
		local[3] = LOAD(direct, sk, __sk_common.skc_rcv_saddr);
		remote[3] = LOAD(direct, sk, __sk_common.skc_daddr);
	}
	event->local_ipv4 = local[3];
	event->remote_ipv4 = remote[3];
	__builtin_memcpy(event->local_address, local, 16);
	__builtin_memcpy(event->remote_address, remote, 16);
	event->local_port = LOAD(direct, sk, __sk_common.skc_num);
	event->remote_port = bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport));
	event->net_ns = LOAD(direct, net, ns.inum);
}

/* 127.0.0.0/8 and ::1. */
static __always_inline bool to_loopback(const struct connection *event)
{
	__u32 remote[4];

	__builtin_memcpy(remote, event->remote_address, sizeof(remote));
	if (event->family == 4)
		return (remote[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !remote[0] && !remote[1] && !remote[2] && remote[3] == bpf_htonl(1);
}

/*
 * A subflow that the kernel adds to an MPTCP connection. The first one is connected by the program itself
 * (net/mptcp/protocol.c: mptcp_connect) and stands for the connection; the MPTCP socket is no TCP socket.
 */
static __always_inline bool is_added_subflow(struct sock *sk)
{
	return bpf_core_field_exists(struct tcp_sock, is_mptcp) && LOAD(false, (struct tcp_sock *)sk, is_mptcp);
}

/* Behind `event` lie its struct connection_addresses. */
static __always_inline void emit_connection(struct connection_event *event)
{
	__u64 flags = BPF_RB_NO_WAKEUP, size = sizeof(struct connection_event);

	if (event->family != 4) {
		event->local_ipv4 = event->remote_ipv4 = 0;
		size += sizeof(struct connection_addresses);
	}
	event->header.size = size;
	count(COUNTER_CONNECTIONS);
	if (wakeup_bytes && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= wakeup_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	if (bpf_ringbuf_output(&events, event, size, flags))
		drop(DROP_CONNECTION_RING_FULL);
}

/* Whether `there` of what waits is less than SHARE_TIMES as much as is free, which becomes what is left for those who share in it. */
static __always_inline bool may_wait(__u32 there, __u32 *room)
{
	__u32 most = *room * SHARE_TIMES;

	*room = there < most ? most - there : 0;
	return there < most;
}

static __always_inline void one_less(__u32 *count)
{
	if (*(volatile __u32 *)count)
		__sync_fetch_and_add(count, -1);
}

static __always_inline struct share_value *waiting_share(struct share_key *key)
{
	return key->cgroup_id ? bpf_map_lookup_elem(&shares, key) : bpf_map_lookup_elem(&common_shares, &key->user);
}

/* Takes a place among those that wait. False: its share, or its process, has its part of them. */
static __noinline int waiting_take(struct connection *event)
{
	__u32 zero = 0, room, *all = bpf_map_lookup_elem(&waiting_count, &zero);
	struct process_value *process;
	struct share_value *share;

	if (!event || !all)
		return 0;
	process = bpf_map_lookup_elem(&processes, &event->process);
	if (process && process->found && process->share.cgroup_id)
		event->share = process->share;
	else
		event->share.user = COMMON_UNKNOWN;
	share = waiting_share(&event->share);
	room = *(volatile __u32 *)all;
	room = room < WAITING_MAX ? WAITING_MAX - room : 0;
	if (!share || !may_wait(*(volatile __u32 *)&share->waiting, &room))
		return 0;
	if (process && !may_wait(*(volatile __u32 *)&process->waiting, &room))
		return 0;
	__sync_fetch_and_add(all, 1);
	__sync_fetch_and_add(&share->waiting, 1);
	if (process)
		__sync_fetch_and_add(&process->waiting, 1);
	return 1;
}

static __noinline int waiting_give(struct waiting_connection *waiting)
{
	__u32 zero = 0, *all = bpf_map_lookup_elem(&waiting_count, &zero);
	struct process_value *process;
	struct share_value *share;

	if (!waiting || !all)
		return 0;
	one_less(all);
	share = waiting_share(&waiting->share);
	if (share)
		one_less(&share->waiting);
	process = bpf_map_lookup_elem(&processes, &waiting->process);
	if (process)
		one_less(&process->waiting);
	return 0;
}

/* What waits for its source port is told with it, where it is known. */
static __noinline int tell_waiting_connection(struct sock *sk)
{
	__u64 socket = typed_address(sk);
	struct waiting_connection *waiting = bpf_map_lookup_elem(&waiting_connections, &socket), told;

	if (!waiting)
		return 0;
	__builtin_memcpy(&told, waiting, sizeof(told));
	/* Whoever takes it out tells it. */
	if (bpf_map_delete_elem(&waiting_connections, &socket))
		return 0;
	waiting_give(&told);
	/* Of a socket that is closed skc_num is 0 by now (__inet_put_port). */
	told.event.local_port = bpf_ntohs(LOAD(false, (struct inet_sock *)sk, inet_sport));
	emit_connection(&told.event);
	return 0;
}

/* Of TCP, or of DCCP, of which none waits. */
static __always_inline bool is_connecting(struct sock *sk)
{
	return sk && sk->__sk_common.skc_state == TCP_SYN_SENT;
}

/* False: it does not wait, it is to be told now. */
static __always_inline bool wait_for_port(struct connection *event, struct sock *sk)
{
	__u64 socket = typed_address(sk);

	/* Of a socket that was at this address before: the kernel may skip a program (PREEMPT). */
	tell_waiting_connection(sk);
	if (!waiting_take(event))
		return false;
	if (!bpf_map_update_elem(&waiting_connections, &socket, event, BPF_NOEXIST))
		return true;
	waiting_give((struct waiting_connection *)event);
	return false;
}

static __always_inline void trace_connect(void *context, struct sock *sk, const __u32 hook, const bool direct)
{
	struct connection event = {};

	fill_connection(&event, sk, direct);
	if (to_loopback(&event)) {
		count(COUNTER_LOOPBACK);
		return;
	}
	event.header.time = bpf_ktime_get_ns();
	event.header.kind = EVENT_CONNECTION;
	event.header.hook = hook;
	if (direct && LINUX_KERNEL_VERSION >= KERNEL(5, 12, 0))
		event.socket = bpf_get_socket_cookie(sk);
	if (in_task_context(context)) {
		if (current_level() != VISIBILITY_ON)
			return;
		event.flags = CONNECTION_OWNER;
		owner_read_here(&event.owner);
		event.process.start_time = event.owner.start_time;
		event.process.tgid = event.owner.tgid;
		if (owner_is_self(&event.owner)) {
			count(COUNTER_SELF);
			return;
		}
		if (!process_admits(&event.owner, event.header.time, 0, 0, SHARE_CONNECTION | SHARE_HERE, hook,
				    &event.owner_id)) {
			count(COUNTER_CONNECTIONS);
			return;
		}
		if (!event.owner_id)
			event.flags = 0;
	} else if (is_added_subflow(sk)) {
		return;
	} else if (!share_ask(0, 0, COMMON_UNKNOWN, sizeof(struct connection_event), SHARE_CONNECTION)) {
		count(COUNTER_CONNECTIONS);
		return;
	}
	if (hook == HOOK_TRACEPOINT && !event.local_port && wait_for_port(&event, sk))
		return;
	emit_connection((struct connection_event *)&event);
}

#endif
