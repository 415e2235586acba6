/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Checksums of received packets (RFC 1071), where the device has not verified them. */
#ifndef WHODNS_CHECKSUM_H
#define WHODNS_CHECKSUM_H

#include "packet.h"
#include "payload.h"
#include "repeat.h"

#define CHECKSUM_NONE     0 /* include/linux/skbuff.h */
#define CHECKSUM_COMPLETE 2

#define CHUNK_BYTES 2048u /* copied at once */
#define BLOCK_BYTES 64u   /* summed at once */
#define CHUNKS_MAX  64    /* 64 KiB in chunks, and a rest in each piece of the packet */

/* Where a sum over the pieces of a packet is. */
struct sum_walk {
	struct piece piece;
	__u64 left;
	__u64 sum;
	__u32 odd; /* an odd number of bytes was summed */
	__u32 fragment;
};

/*
 * One for each CPU is enough: packets are received with softirqs off. An array: never full. The walk is here and not on
 * the stack, which has no room for it, and so that the verifier does not follow every combination of lengths.
 */
struct checksum_state {
	struct sum_walk walk;
	__u32 words[(CHUNK_BYTES + BLOCK_BYTES) / 4]; /* bytes to be summed */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct checksum_state);
} checksum_states SEC(".maps");

/* Ones' complement sum in 16 bits (RFC 1071), of what was added up in any order of bytes. */
static __always_inline __u32 folded(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Adds up `length` bytes at `address`. False: they cannot be read. */
static __always_inline bool sum_chunk(struct checksum_state *state, __u64 address, __u64 length, __u64 *sum)
{
	__u64 last = length / BLOCK_BYTES;
	__u32 block;

	AT_MOST(length, CHUNK_BYTES);
	AT_MOST(last, CHUNK_BYTES / BLOCK_BYTES);
	__builtin_memset(&state->words[last * (BLOCK_BYTES / 4)], 0, BLOCK_BYTES);
	if (read_kernel(state->words, length, (void *)address))
		return false;
	REPEAT(block, CHUNK_BYTES / BLOCK_BYTES + 1)
	{
		const __u32 *words = &state->words[block * (BLOCK_BYTES / 4)];

		if (block > last || block > CHUNK_BYTES / BLOCK_BYTES)
			break;
#pragma unroll
		for (int i = 0; i < (int)(BLOCK_BYTES / 4); i++)
			*sum += words[i];
	}
	return true;
}

/*
 * Whether `length` bytes from `start` behind skb->data on and `pseudo`, the sum of the pseudo header, do not give the sum that
 * they must. What cannot be read cannot be judged: false. `packet` is the address of the struct sk_buff.
 */
__noinline int sum_is_wrong(__u64 packet, __u32 start, __u32 length, __u32 pseudo)
{
	struct sk_buff *skb = (struct sk_buff *)packet;
	struct checksum_state *state;
	struct sum_walk *walk;
	__u32 zero = 0, fragments, i;
	bool wrong = false;
	__u64 shared_info;

	state = bpf_map_lookup_elem(&checksum_states, &zero);
	if (!state)
		return 0;
	walk = &state->walk;
	__builtin_memset(walk, 0, sizeof(*walk));
	shared_info = (__u64)PROBE(skb, head) + LOAD(false, skb, end);
	fragments = LOAD(false, (struct skb_shared_info *)shared_info, nr_frags);
	walk->piece.address = (__u64)PROBE(skb, data);
	walk->piece.length = LOAD(false, skb, len) - LOAD(false, skb, data_len);
	if (walk->piece.length < start)
		return 0;
	walk->piece.address += start;
	walk->piece.length -= start;
	walk->left = length;
	walk->sum = pseudo;
	REPEAT(i, CHUNKS_MAX)
	{
		__u64 passed, sum = 0;

		if (!walk->piece.length) {
			if (walk->fragment >= fragments)
				break;
			walk->piece = packet_fragment(shared_info, walk->fragment++);
			if (!walk->piece.address)
				break;
		}
		passed = walk->piece.length < walk->left ? walk->piece.length : walk->left;
		passed = passed < CHUNK_BYTES ? passed : CHUNK_BYTES;
		if (!sum_chunk(state, walk->piece.address, passed, &sum))
			break;
		sum = folded(sum);
		walk->sum += walk->odd ? (sum & 0xff) << 8 | sum >> 8 : sum;
		walk->odd ^= passed & 1;
		walk->piece.address += passed;
		walk->piece.length -= passed;
		walk->left -= passed;
		if (!walk->left) {
			wrong = folded(walk->sum) != 0xffff;
			break;
		}
	}
	return wrong;
}

/* Whether the checksum of an ICMP message is wrong, which lies `start` bytes behind skb->data; only ICMPv6 has a pseudo header. */
static __always_inline bool icmp_is_wrong(struct sk_buff *skb, const struct packet *packet, __u32 start, __u32 length)
{
	__u32 summed = BPF_CORE_READ_BITFIELD(skb, ip_summed);
	__u64 pseudo = 0;

	if (summed != CHECKSUM_NONE && summed != CHECKSUM_COMPLETE)
		return false;
	if (packet->family == 6)
		pseudo = (__u64)bpf_htons(packet->protocol) + bpf_htons(length) + packet->source[0] +
			 packet->source[1] + packet->source[2] + packet->source[3] + packet->destination[0] +
			 packet->destination[1] + packet->destination[2] + packet->destination[3];
	return sum_is_wrong(address_of(skb), start, length, folded(pseudo));
}

/* Whether the checksum of the packet, whose transport lies `start` bytes behind skb->data and is `length` long, is wrong. */
static __always_inline bool checksum_is_wrong(struct sk_buff *skb, const struct packet *packet, __u32 start,
					      __u32 length)
{
	__u64 pseudo = bpf_htons(packet->protocol) + bpf_htons(length);
	__u32 summed = BPF_CORE_READ_BITFIELD(skb, ip_summed);

	if (summed != CHECKSUM_NONE && summed != CHECKSUM_COMPLETE)
		return false;
	/* The prefix of IPv4 addresses is in both, and not summed. */
	pseudo += (__u64)packet->source[3] + packet->destination[3];
	if (packet->family == 6)
		pseudo += (__u64)packet->source[0] + packet->source[1] + packet->source[2] + packet->destination[0] +
			  packet->destination[1] + packet->destination[2];
	return sum_is_wrong(address_of(skb), start, length, folded(pseudo));
}

#endif
