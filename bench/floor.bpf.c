// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
/* The least that watching can cost here: programs at the two places of the tracepoint family that do nothing. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* What consumer.c reads. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

SEC("tp_btf/net_dev_queue")
int tracepoint_net_dev_queue(void *context)
{
	return 0;
}

SEC("tp_btf/netif_receive_skb")
int tracepoint_netif_receive_skb(void *context)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
