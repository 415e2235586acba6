// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
/*
 * The hooks. A program's name starts with its family (fentry_, kprobe_, tracepoint_), by which the loader chooses; all
 * families make the same events (event.h). exit_ is loaded with any family, connect_ when connections are asked for.
 */
#include "calls.h"
#include "connect.h"
#include "exit.h"
#include "redirect_calls.h"
#include "stream_calls.h"
#include "tracepoint.h"

#include <asm/ptrace.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A packet is given to a device. */
SEC("tp_btf/net_dev_queue")
int BPF_PROG(tracepoint_net_dev_queue, struct sk_buff *skb)
{
	trace_request(ctx, skb);
	return 0;
}

/* A packet comes from a device. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(tracepoint_netif_receive_skb, struct sk_buff *skb)
{
	trace_response(skb);
	return 0;
}

/* A packet was queued until its neighbour's address is known (`error` 1); it is the last in that queue. */
SEC("tp_btf/neigh_event_send_done")
int BPF_PROG(tracepoint_neigh_event_send_done, struct neighbour *neighbour, int error)
{
	if (error)
		trace_parked(ctx, neighbour->arp_queue.prev);
	return 0;
}

/*
 * A system call begins. Attached only where redirect_tracepoint_probe finds programs that put other addresses in the place of what connect()
 * is given: it costs every system call of the host some 20 ns.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(redirect_tracepoint_sys_enter, struct pt_regs *registers, long number)
{
	if (number == CALL_CONNECT)
		trace_connect_call(registers);
	return 0;
}

/* Not attached: run once, in the agent's own context. */
SEC("raw_tp")
int redirect_tracepoint_probe(void *context)
{
	return current_group_redirects();
}

/* What a function is called with, in both families that are at its entry: `call` with their `hook` and `direct`. */
#define CALLED(function, call, ...)                                                                                    \
	SEC("fentry/" #function)                                                                                       \
	int BPF_PROG(fentry_##function, __VA_ARGS__)                                                                   \
	{                                                                                                              \
		const __u32 hook __attribute__((unused)) = HOOK_FENTRY;                                                \
		const bool direct __attribute__((unused)) = true;                                                      \
		call;                                                                                                  \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("kprobe/" #function)                                                                                       \
	int BPF_KPROBE(kprobe_##function, __VA_ARGS__)                                                                 \
	{                                                                                                              \
		const __u32 hook __attribute__((unused)) = HOOK_KPROBE;                                                \
		const bool direct __attribute__((unused)) = false;                                                     \
		call;                                                                                                  \
		return 0;                                                                                              \
	}

#define SEND struct sock *sk, struct msghdr *msg, size_t length

CALLED(udp_sendmsg, send_datagram(sk, msg, length, hook, direct, false), SEND)
CALLED(udpv6_sendmsg, send_datagram(sk, msg, length, hook, direct, true), SEND)
CALLED(udp_push_pending_frames, push_datagram(sk, hook, direct, false), struct sock *sk)
CALLED(udp_v6_push_pending_frames, push_datagram(sk, hook, direct, true), struct sock *sk)
CALLED(tcp_sendmsg, send_stream(sk, msg, length, hook, direct), SEND)
CALLED(tcp_connect, open_stream(sk, hook, direct), struct sock *sk)
CALLED(tcp_close, close_stream(sk, hook, direct), struct sock *sk)
CALLED(skb_consume_udp, receive_datagram(sk, skb, length, hook, direct), struct sock *sk, struct sk_buff *skb,
       int length)
CALLED(udp_err, receive_unreachable(skb, hook, direct, false), struct sk_buff *skb)
CALLED(icmpv6_notify, receive_unreachable(skb, hook, direct, true), struct sk_buff *skb)
CALLED(tcp_recvmsg, receive_stream_entry(sk, msg, direct), struct sock *sk, struct msghdr *msg)
CALLED(tcp_rcv_space_adjust, receive_stream(sk, hook, direct), struct sock *sk)

/* Since 6.7 the length of the address comes before what the programs are attached to. */
#define ATTACHED_TO(third, fourth) (LINUX_KERNEL_VERSION >= KERNEL(6, 7, 0) ? (__u32)(fourth) : (__u32)(third))
#define FILTER_ADDRESS             struct sock *sk, void *name, __u64 third, __u64 fourth

CALLED(__cgroup_bpf_run_filter_sock_addr, enter_group_program(sk, name, ATTACHED_TO(third, fourth)), FILTER_ADDRESS)

SEC("fexit/__cgroup_bpf_run_filter_sock_addr")
int BPF_PROG(fentry_redirected, struct sock *sk)
{
	leave_group_program(sk, HOOK_FENTRY, true);
	return 0;
}

SEC("kretprobe/__cgroup_bpf_run_filter_sock_addr")
int BPF_KRETPROBE(kprobe_redirected)
{
	leave_group_program(NULL, HOOK_KPROBE, false);
	return 0;
}

/* Its arguments are plain numbers to the verifier: with tp_btf it would need the kernel's own BTF, with every family. */
SEC("raw_tp/sched_process_free")
int BPF_PROG(exit_tracepoint_sched_process_free, struct task_struct *task)
{
	trace_exit(task);
	return 0;
}

/* A socket of IPv4 or IPv6 changes its state: TCP, MPTCP, DCCP, SCTP. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect_tracepoint_inet_sock_set_state, struct sock *sk, int before, int after)
{
	if (sk->sk_protocol != PROTOCOL_TCP)
		return 0;
	if (before == TCP_CLOSE && after == TCP_SYN_SENT)
		trace_connect(ctx, sk, HOOK_TRACEPOINT, true);
	else if (before == TCP_SYN_SENT)
		tell_waiting_connection(sk);
	return 0;
}

/* A program of its own: what waits takes more stack than a request leaves. */
SEC("tp_btf/net_dev_queue")
int BPF_PROG(connect_tracepoint_net_dev_queue, struct sk_buff *skb)
{
	if (is_connecting(socket_of(skb)))
		tell_waiting_connection(socket_of(skb));
	return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(connect_fentry_tcp_connect, struct sock *sk)
{
	trace_connect(ctx, sk, HOOK_FENTRY, true);
	return 0;
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(connect_kprobe_tcp_connect, struct sock *sk)
{
	trace_connect(ctx, sk, HOOK_KPROBE, false);
	return 0;
}
