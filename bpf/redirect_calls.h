/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * fentry and kprobe families: programs of control groups that exchange addresses (redirect.h). All of them are run by one function, which
 * is called only where there are any: so it costs nothing elsewhere. A send is reported when they are done with it.
 */
#ifndef WHODNS_REDIRECT_CALLS_H
#define WHODNS_REDIRECT_CALLS_H

#include "calls.h"

/* A program of a control group begins to look at an address (__cgroup_bpf_run_filter_sock_addr). Costs nothing where there is none. */
static __always_inline void enter_group_program(struct sock *sk, void *name, __u32 type)
{
	struct redirect_call call = {.socket = address_of(sk), .name = address_of(name), .entered = 1}, *sent;
	__u64 task = bpf_get_current_pid_tgid();

	if (is_connect_type(type)) {
		read_place((struct place *)call.asked, (void *)call.name);
		if (!is_dns_port(call.asked[4]))
			forget_redirect(call.socket, NULL);
		else
			bpf_map_update_elem(&redirect_calls, &task, &call, BPF_ANY);
	} else if (type == ATTACH_TYPE(UDP4_SENDMSG) || type == ATTACH_TYPE(UDP6_SENDMSG)) {
		sent = bpf_map_lookup_elem(&redirect_calls, &task);
		if (sent && sent->socket == call.socket && sent->name == call.name)
			sent->entered = 1;
	}
}

/* A connect() goes where the program has left it. */
static __noinline int leave_connect(const struct redirect_call *call)
{
	struct place asked, now;

	if (!call)
		return 0;
	__builtin_memcpy(&asked, call->asked, sizeof(asked));
	read_place(&now, (void *)call->name);
	if (is_same_place(&asked, &now)) {
		forget_redirect(call->socket, NULL);
		return 0;
	}
	note_translated_port(now.port);
	remember_redirect(call->socket, NULL, &asked, now.port);
	return 0;
}

/* The same of a send, which is reported now that it is known where it goes. */
static __always_inline void leave_send(struct sock *sk, const struct redirect_call *call, const __u32 hook,
				       const bool direct, const bool v6)
{
	struct msghdr *msg = (struct msghdr *)call->message;
	struct socket_name name = {};

	name_port(&name, (void *)call->name, v6);
	if (v6)
		name_address(&name, (void *)call->name);
	send_dns_datagram(sk, msg, call->length, hook, &name, bpf_ntohs(name.port), current_level(),
			  (const struct place *)call->asked, direct, false, v6);
}

/* `sk`: as it was at the entry, unless `direct`. */
static __always_inline void leave_group_program(struct sock *sk, const __u32 hook, const bool direct)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct redirect_call *call = bpf_map_lookup_elem(&redirect_calls, &task);
	__u16 family = 0;

	if (!call || !call->entered)
		return;
	call->entered = 0;
	if (!direct)
		sk = (struct sock *)call->socket;
	if (!call->message) {
		leave_connect(call);
		return;
	}
	bpf_probe_read_kernel(&family, sizeof(family), (void *)call->name);
	if (family == AF_INET6)
		leave_send(sk, call, hook, direct, true);
	else
		leave_send(sk, call, hook, direct, false);
}

#endif
