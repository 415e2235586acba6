// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
/*
 * The hooks. A program's name starts with its family (fentry_, kprobe_, tracepoint_), by which the loader chooses; all
 * families make the same events (event.h).
 */
#include "tracepoint.h"

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
