/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * A process is gone: what it had counted is added up in `gone` and told to user space, which removes its entry when it has read
 * that. Where the ring is nearly full nothing is told, and the entry makes room at once.
 * Not at its exit, in the middle of which its sockets are closed and their last packets sent, but where the kernel gives back
 * the leader's task, the last of the process (kernel/exit.c: delayed_put_task_struct).
 */
#ifndef WHODNS_EXIT_H
#define WHODNS_EXIT_H

#include "drops.h"
#include "owner.h"

static __always_inline void gone_add(enum gone what, __u64 count)
{
	__u32 index = what;
	__u64 *value = bpf_map_lookup_elem(&gone, &index);

	if (value)
		__sync_fetch_and_add(value, count);
}

static __always_inline void trace_exit(struct task_struct *task)
{
	struct process_key key = {.start_time = LOAD(false, task, start_boottime), .tgid = LOAD(false, task, tgid)};
	struct process_value *value;
	struct exit_event *event = NULL;

	if ((__u32)LOAD(false, task, pid) != key.tgid) /* a thread */
		return;
	value = bpf_map_lookup_elem(&processes, &key);
	if (!value)
		return;
	gone_add(GONE_UDP_REQUESTS, value->udp_requests);
	gone_add(GONE_TCP_REQUESTS, value->tcp_requests);
	gone_add(GONE_REQUEST_BYTES, value->request_bytes);
	gone_add(GONE_PROCESSES, 1);
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < exit_bytes)
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	value->exited = 1;
	if (event) {
		event->header.time = bpf_ktime_get_ns();
		event->header.size = sizeof(*event);
		event->header.kind = EVENT_EXIT;
		event->header.hook = HOOK_TRACEPOINT;
		event->header.reserved = 0;
		event->process = key;
		event->counted = *value;
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
		count(COUNTER_EXITS);
		return;
	}
	count(COUNTER_EXITS_UNTOLD);
	bpf_map_delete_elem(&processes, &key);
}

#endif
