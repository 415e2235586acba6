/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: will the kernel take what was received? A packet is seen before IP and the transport have looked at
 * it; whoever may send raw packets could else put answers into the record that no program is ever given. So the same is
 * verified here as there (net/ipv4/ip_input.c ip_rcv_core, net/ipv6/ip6_input.c, net/ipv4/udp.c __udp4_lib_rcv,
 * net/ipv6/udp.c __udp6_lib_rcv, net/ipv4/tcp_input.c tcp_validate_incoming and tcp_ack), only of packets that answer a
 * question, and the checksum only where the device has not verified it.
 */
#ifndef WHODNS_ACCEPT_H
#define WHODNS_ACCEPT_H

#include "emit.h"
#include "packet.h"
#include "visibility.h"

#define CHECKSUM_NONE     0 /* include/linux/skbuff.h */
#define CHECKSUM_COMPLETE 2
#define TCP_ACK           0x10
#define TCP_ESTABLISHED   1 /* include/net/tcp_states.h */
#define TCP_FIN_WAIT1     4
#define TCP_FIN_WAIT2     5
#define TCP_CLOSE_WAIT    8
#define PACKET_OTHERHOST  3 /* include/uapi/linux/if_packet.h */

#define CHUNK_BYTES 2048u /* copied at once */
#define BLOCK_BYTES 64u   /* summed at once */
#define CHUNKS_MAX  64    /* 64 KiB in chunks, and a rest in each piece of the packet */

/*
 * Bytes to be summed. One for each CPU is enough: packets are received with softirqs off. An array: never full.
 */
struct checksum_chunk {
	__u32 words[(CHUNK_BYTES + BLOCK_BYTES) / 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct checksum_chunk);
} checksum_chunks SEC(".maps");

/* Where a sum over the pieces of a packet is. Between rounds it goes through memory, as struct walk does. */
struct sum_walk {
	struct piece piece;
	__u64 skip; /* bytes before those that count */
	__u64 left;
	__u64 sum;
	__u32 odd; /* an odd number of bytes was summed */
	__u32 fragment;
};

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
static __always_inline bool sum_chunk(struct checksum_chunk *chunk, __u64 address, __u64 length, __u64 *sum)
{
	__u64 last = length / BLOCK_BYTES;

	AT_MOST(length, CHUNK_BYTES);
	AT_MOST(last, CHUNK_BYTES / BLOCK_BYTES);
	__builtin_memset(&chunk->words[last * (BLOCK_BYTES / 4)], 0, BLOCK_BYTES);
	if (bpf_probe_read_kernel(chunk, length, (void *)address))
		return false;
	for (__u32 block = 0; block <= CHUNK_BYTES / BLOCK_BYTES; block++) {
		const __u32 *words = &chunk->words[block * (BLOCK_BYTES / 4)];

		if (block > last)
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
	struct sum_walk walk = {};
	struct checksum_chunk *chunk;
	__u32 zero = 0, fragments;
	__u64 shared_info;

	chunk = bpf_map_lookup_elem(&checksum_chunks, &zero);
	if (!chunk)
		return 0;
	shared_info = (__u64)PROBE(skb, head) + LOAD(false, skb, end);
	fragments = LOAD(false, (struct skb_shared_info *)shared_info, nr_frags);
	walk.piece.address = (__u64)PROBE(skb, data);
	walk.piece.length = LOAD(false, skb, len) - LOAD(false, skb, data_len);
	walk.skip = start;
	walk.left = length;
	walk.sum = pseudo;
	for (__u32 i = 0; i < CHUNKS_MAX; i++) {
		__u64 passed, sum = 0;

		bpf_probe_read_kernel(&walk, sizeof(walk), &walk);
		passed = walk.skip < walk.piece.length ? walk.skip : walk.piece.length;
		walk.skip -= passed;
		walk.piece.address += passed;
		walk.piece.length -= passed;
		passed = walk.piece.length < walk.left ? walk.piece.length : walk.left;
		passed = passed < CHUNK_BYTES ? passed : CHUNK_BYTES;
		if (passed) {
			if (!sum_chunk(chunk, walk.piece.address, passed, &sum))
				return 0;
			sum = folded(sum);
			walk.sum += walk.odd ? (sum & 0xff) << 8 | sum >> 8 : sum;
			walk.odd ^= passed & 1;
			walk.left -= passed;
			walk.piece.address += passed;
			walk.piece.length -= passed;
		}
		if (!walk.left)
			return folded(walk.sum) != 0xffff;
		if (!walk.piece.length) {
			if (walk.fragment >= fragments)
				return 0;
			walk.piece = packet_fragment(shared_info, walk.fragment++);
			if (!walk.piece.address)
				return 0;
		}
	}
	return 0;
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

/* Of an IPv4 header at `address` the checksum. 60 bytes: the longest there is. */
static __noinline bool header_is_wrong(const void *address, __u32 length)
{
	__u32 words[15] = {};
	__u64 sum = 0, bytes = length;

	AT_MOST(bytes, sizeof(words));
	if (bpf_probe_read_kernel(words, bytes, address))
		return true;
#pragma unroll
	for (int i = 0; i < 15; i++)
		sum += words[i];
	return folded(sum) != 0xffff;
}

/*
 * Bytes of the packet by its IP header, at `address`, of which `available` follow; 0: IP drops it. Longer than a header can
 * say, by segmentation offload: all.
 */
static __always_inline __u32 accepted_length(const void *address, __u32 available, const struct packet *packet)
{
	__u8 header[6] = {};
	__u32 total;

	if (bpf_probe_read_kernel(header, sizeof(header), address))
		return 0;
	if (packet->family == 4) {
		total = be16_at(header + 2);
		if (header_is_wrong(address, (header[0] & 15) * 4))
			return 0;
	} else {
		total = be16_at(header + 4);
		if (total)
			total += 40;
	}
	if (!total)
		return available > 65535 ? available : 0;
	return total <= available ? total : 0;
}

/* Of a datagram that lies `start` bytes behind skb->data, `there` bytes of it. */
static __always_inline bool datagram_is_refused(struct sk_buff *skb, const struct packet *packet, __u32 start,
						__u32 there)
{
	__u8 header[8] = {};
	__u32 length;

	if (bpf_probe_read_kernel(header, sizeof(header), (void *)PROBE(skb, data) + start))
		return true;
	length = be16_at(header + 4);
	if (!length && packet->family == 6) /* a jumbogram (RFC 2675 section 4) */
		length = there;
	if (length < 8)
		return true;
	if (packet->reserved) /* the first of several fragments: what they give together is not here */
		return false;
	if (length > there)
		return true;
	if (!be16_at(header + 6))
		return packet->family == 6;
	return checksum_is_wrong(skb, packet, start, length);
}

static __always_inline bool has_upper(struct net_device *device)
{
	__u64 upper = address_of(device) + bpf_core_field_offset(device->adj_list.upper);

	return (__u64)PROBE(device, adj_list.upper.next) != upper;
}

/*
 * Whether a connection drops a segment with the acknowledgement number `acknowledged`: what it carries lies outside the window,
 * or it acknowledges what was never sent. A handshake, and a socket that is not the connection's any more, drop nothing here.
 */
static __always_inline bool segment_is_refused(const struct packet *packet, __u64 socket, __u32 acknowledged)
{
	struct sock *sk = (struct sock *)socket;
	struct tcp_sock *tcp = (struct tcp_sock *)socket;
	__u32 end = packet->sequence + packet->length + (packet->tcp_flags & TCP_FIN), state, first, una, window;

	if (!socket || PROBE(sk, __sk_common.skc_num) != packet->destination_port ||
	    PROBE(sk, sk_protocol) != PROTOCOL_TCP)
		return false;
	state = PROBE(sk, __sk_common.skc_state);
	if (state != TCP_ESTABLISHED && !(state >= TCP_FIN_WAIT1 && state <= TCP_FIN_WAIT2) && state != TCP_CLOSE_WAIT)
		return false;
	first = PROBE(tcp, rcv_wup);
	if ((__s32)(end - first) < 0 || (__s32)(packet->sequence - (first + PROBE(tcp, rcv_wnd))) > 0)
		return true;
	if (packet->tcp_flags & TCP_RST)
		return false;
	if (packet->tcp_flags & TCP_SYN || !(packet->tcp_flags & TCP_ACK))
		return true;
	una = PROBE(tcp, snd_una);
	window = PROBE(tcp, max_window);
	return (__s32)(acknowledged - PROBE(tcp, snd_nxt)) > 0 || (__s32)(acknowledged - (una - window)) < 0;
}

/*
 * Whether IP or the transport drops a received packet; its IP header lies `tags` bytes behind skb->data. `socket` is the
 * address of the one that asked.
 */
static __always_inline bool is_refused(struct sk_buff *skb, const struct packet *packet, __u32 tags, __u64 socket)
{
	__u32 acknowledged = 0;

	const void *address = (void *)PROBE(skb, data) + tags;
	__u32 total = accepted_length(address, skb->len - tags, packet), transport;

	/* To another's hardware address: dropped, unless it is that of a device on top of this one. */
	if (BPF_CORE_READ_BITFIELD(skb, pkt_type) == PACKET_OTHERHOST && !has_upper(skb->dev))
		return true;
	transport = packet->payload - (packet->protocol == PROTOCOL_UDP ? 8 : packet->id);
	if (total < transport + 8)
		return true;
	if (packet->protocol == PROTOCOL_UDP)
		return datagram_is_refused(skb, packet, tags + transport, total - transport);
	bpf_probe_read_kernel(&acknowledged, sizeof(acknowledged), address + transport + 8);
	return segment_is_refused(packet, socket, bpf_ntohl(acknowledged)) ||
	       checksum_is_wrong(skb, packet, tags + transport, total - transport);
}

#endif
