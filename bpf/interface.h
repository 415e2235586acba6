/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Devices by name: an IPv6 address of link-local scope means something only together with the link it is on (RFC 4007). */
#ifndef WHODNS_INTERFACE_H
#define WHODNS_INTERFACE_H

#include "drops.h"
#include "owner.h"
#include "repeat.h"
#include <bpf/bpf_endian.h>

#define DEVICES_IN_BUCKET 64  /* looked at */
#define DEVICE_BUCKETS    256 /* include/linux/netdevice.h: NETDEV_HASHENTRIES */

/* fe80::/10, and multicast of interface and link scope (RFC 4291 sections 2.5.6 and 2.7). Of 16 bytes. */
static __always_inline bool needs_zone(const void *address)
{
	__u32 first;

	__builtin_memcpy(&first, address, sizeof(first));
	first = bpf_ntohl(first);
	return first >> 22 == 0xfe80 >> 6 ||
	       (first >> 24 == 0xff && ((first >> 16 & 15) == 1 || (first >> 16 & 15) == 2));
}

/* Tells user space what a device is called, unless it knows. `device` is its address. Global, so that the verifier checks it once. */
__noinline int tell_interface(__u64 device, __u32 net_ns, __u32 hook)
{
	struct interface_key key = {.net_ns = net_ns};
	struct interface_name name = {}, *known;
	struct interface_event *event;

	key.index = PROBE((struct net_device *)device, ifindex);
	bpf_probe_read_kernel(&name, sizeof(name), (void *)device + bpf_core_field_offset(struct net_device, name));
	known = bpf_map_lookup_elem(&interfaces, &key);
	if (known && known->words[0] == name.words[0] && known->words[1] == name.words[1])
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	bpf_map_update_elem(&interfaces, &key, &name, BPF_ANY);
	event->header.time = bpf_ktime_get_ns();
	event->header.size = sizeof(*event);
	event->header.kind = EVENT_INTERFACE;
	event->header.hook = hook;
	event->header.reserved = 0;
	event->net_ns = net_ns;
	event->index = key.index;
	__builtin_memcpy(event->name, &name, sizeof(event->name));
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Address of the device with that index (net/core/dev.c, __dev_get_by_index); 0: there is none. */
static __always_inline __u64 device_by_index(struct net *net, __u32 index)
{
	__u64 bucket = (__u64)PROBE(net, dev_index_head) + (index & (DEVICE_BUCKETS - 1)) * sizeof(__u64), node = 0;
	__u32 i;

	bpf_probe_read_kernel(&node, sizeof(node), (void *)bucket);
	REPEAT(i, DEVICES_IN_BUCKET)
	{
		struct net_device *device = (void *)node - bpf_core_field_offset(struct net_device, index_hlist);

		if (!node)
			return 0;
		if ((__u32)PROBE(device, ifindex) == index)
			return (__u64)device;
		bpf_probe_read_kernel(&node, sizeof(node), (void *)node);
	}
	return 0;
}

#endif
