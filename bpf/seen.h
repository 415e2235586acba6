/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: one packet passes each of the devices that are stacked (VLAN, bond, bridge, macvlan), and is one message. Two
 * packets may look the same too: a buffer is used again, and a program sends the same message twice. So it is the same packet if it is
 * in the same buffer, with the same ends and content, on a device that it has not been on and that is next to one it has been on.
 */
#ifndef WHODNS_SEEN_H
#define WHODNS_SEEN_H

#include "maps.h"
#include "packet.h"
#include "socket.h"

/* The first device in a list of those above or below another, as an address; a master is the first above. 0: none. */
static __always_inline __u64 first_of(__u64 list, bool *master)
{
	struct list_head *first = PROBE((struct list_head *)list, next);
	struct netdev_adjacent *adjacent;

	if (!bpf_core_type_exists(struct netdev_adjacent) || (__u64)first == list || !first)
		return 0;
	adjacent = (void *)first - bpf_core_field_offset(struct netdev_adjacent, list);
	*master = PROBE(adjacent, master);
	return (__u64)PROBE(adjacent, dev);
}

static __noinline __u64 first_above(__u64 device, bool *master)
{
	return master ? first_of(device + bpf_core_field_offset(struct net_device, adj_list.upper), master) : 0;
}

static __noinline __u64 first_below(__u64 device)
{
	bool master;

	return first_of(device + bpf_core_field_offset(struct net_device, adj_list.lower), &master);
}

/*
 * Can a packet that was on device `before` come to be on `device`? One is on top of the other; or a bond or bridge gives copies
 * of it to several ports (`cloned`); or the port of a virtual switch, which no packet of the host leaves by unless it came from a
 * device of the switch, and those are not listed.
 */
static __noinline bool are_stacked(__u64 before, __u64 device, bool cloned)
{
	bool master = false, other = false;
	__u64 above = first_above(device, &master), above_before = first_above(before, &other);
	__u64 below_before = first_below(before);

	if (above == before || above_before == device || below_before == device || first_below(device) == before)
		return true;
	if (!above || !master)
		return false;
	return above == above_before ? cloned : !above_before && !below_before;
}

/*
 * Was this packet seen on another device? `copied`: it was received on its way (skb_iif is set where a device hands it on, and on
 * copies made by tc), so that nothing need be said of the devices.
 */
static __noinline bool seen_on_other_device(__u64 buffer, __u64 fingerprint, __u64 device, bool cloned, bool copied)
{
	__u32 index = (buffer >> 6 ^ buffer >> 18) & (SEEN_MAX - 1), next = 0;
	struct seen_packet *slot = bpf_map_lookup_elem(&seen, &index);
	bool stacked = copied;

	if (!slot)
		return false;
	if (slot->buffer == buffer && slot->fingerprint == fingerprint) {
		stacked = stacked || slot->copied;
		for (__u32 i = 0; i < SEEN_DEVICES && slot->devices[i]; i++) {
			if (slot->devices[i] == device)
				goto another;
			stacked = stacked || are_stacked(slot->devices[i], device, cloned);
			next = i + 1;
		}
		if (stacked) {
			slot->devices[next & (SEEN_DEVICES - 1)] = device;
			return true;
		}
	}
another:
	slot->buffer = buffer;
	slot->fingerprint = fingerprint;
	slot->copied = copied;
	__builtin_memset(slot->devices, 0, sizeof(slot->devices));
	slot->devices[0] = device;
	return false;
}

#endif
