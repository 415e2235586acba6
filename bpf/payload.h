/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Payload bytes: where they lie (a packet's linear part and page fragments, a send's or receive's buffers) and how they
 * get into a ring record.
 */
#ifndef WHODNS_PAYLOAD_H
#define WHODNS_PAYLOAD_H

#include "config.h"
#include "kernel.h"
#include "owner.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#define PIECES_MAX 18 /* iovecs read of one message; what lies beyond is MESSAGE_UNREADABLE */
/*
 * Likewise, of a packet: 64 KB in IP fragments of 1500 bytes, each in two pieces. Verifiers before 6.4 follow each round: with those of
 * 64 KB they would be at their limit of a million instructions.
 */
#define PACKET_PIECES_MAX (ITERATORS ? 96 : 32)

#ifdef __TARGET_ARCH_x86
/* Where it maps physical memory, and where its struct pages are (arch/x86/include/asm/page_64.h). */
extern const void page_offset_base __ksym __weak;
extern const void vmemmap_base __ksym __weak;
#endif

/* Tracing programs may make a dynptr of a packet since 6.12; it reads across fragments. */
static int (*dynptr_from_skb)(struct sk_buff *skb, __u64 flags,
			      struct bpf_dynptr *packet) = (void *)KERNEL_CALL_bpf_dynptr_from_skb;

enum buffer_kind {
	BUFFER_UNKNOWN = 0,
	BUFFER_USER = 1,  /* one user address */
	BUFFER_IOVEC = 2, /* array of user addresses */
	BUFFER_KVEC = 3,  /* array of kernel addresses */
	BUFFER_BVEC = 4,  /* array of pages */
};

/* The bytes of a send or receive, from struct iov_iter. */
struct buffer {
	__u64 segment; /* address of the array, or of the bytes (BUFFER_USER) */
	__u64 offset;  /* bytes of the first segment already consumed */
	__u32 segments;
	enum buffer_kind kind;
};

struct piece {
	__u64 address; /* 0 = cannot be addressed */
	__u64 length;
};

/* Tells the verifier what the code before it made sure: value <= most. A compiler cannot remove or move it. */
#define AT_MOST(value, most)                                                                                           \
	asm volatile("if %[v] <= %[m] goto +1\n\t%[v] = %[m]" : [v] "+r"(value) : [m] "r"((__u64)(most)))

/* Kernel address of a byte of physical memory: `memory` is where that is mapped, `pages` where its struct pages are. */
static __always_inline __u64 mapped_byte(__u64 memory, __u64 pages, __u64 page, __u32 offset)
{
	return memory + (((page - pages) / bpf_core_type_size(struct page)) << 12) + offset;
}

/* Kernel address of a byte in a page; 0 where the mapping is not known (kallsyms hidden). */
#ifdef __TARGET_ARCH_x86
static __always_inline __u64 page_byte(__u64 page, __u32 offset)
{
	__u64 pages = 0, memory = 0;

	if (!&vmemmap_base || !&page_offset_base || (page & 1)) /* bit 0: not kernel memory (NET_IOV) */
		return 0;
	bpf_probe_read_kernel(&pages, sizeof(pages), &vmemmap_base);
	bpf_probe_read_kernel(&memory, sizeof(memory), &page_offset_base);
	if (!pages || !memory || page < pages)
		return 0;
	return mapped_byte(memory, pages, page, offset);
}
#else
/*
 * Both are constants of arm64 (arch/arm64/include/asm/memory.h), by the bits of its addresses: with pages of 4 KiB, from 5.11 to 6.8, memory is
 * at -2^bits and the struct pages, of 64 bytes each, are in the half of 2^(bits - 6) bytes behind -2^(bits - 6). So a struct page's
 * address tells which of the two that distributions have it is: 48 bits or 39.
 */
static __always_inline __u64 page_byte(__u64 page, __u32 offset)
{
	const __u64 pages48 = -(1ull << 42), pages39 = -(1ull << 33);

	if (LINUX_KERNEL_VERSION < KERNEL(5, 11, 0) || LINUX_KERNEL_VERSION >= KERNEL(6, 9, 0) ||
	    bpf_core_type_size(struct page) != 64 || page_bytes != 4096 || (page & 1))
		return 0;
	if (page - pages48 < 1ull << 41)
		return mapped_byte(-(1ull << 48), pages48, page, offset);
	if (page - pages39 < 1ull << 32)
		return mapped_byte(-(1ull << 39), pages39, page, offset);
	return 0;
}
#endif

/* Fragment `index` of a packet (skb_shinfo(skb)->frags). */
static __always_inline struct piece packet_fragment(__u64 shared_info, __u32 index)
{
	__u64 at = shared_info + bpf_core_field_offset(struct skb_shared_info, frags);
	struct piece piece = {};
	__u64 page = 0;
	__u32 offset;

	if (bpf_core_type_exists(struct skb_frag)) {
		struct skb_frag *fragment = (void *)at + index * bpf_core_type_size(struct skb_frag);

		page = LOAD(false, fragment, netmem);
		piece.length = LOAD(false, fragment, len);
		offset = LOAD(false, fragment, offset);
	} else { /* skb_frag_t is struct bio_vec */
		struct bio_vec *fragment = (void *)at + index * bpf_core_type_size(struct bio_vec);

		page = (__u64)PROBE(fragment, bv_page);
		piece.length = LOAD(false, fragment, bv_len);
		offset = LOAD(false, fragment, bv_offset);
	}
	piece.address = page_byte(page, offset);
	return piece;
}

/* Segment `index` of a send's or receive's buffers. */
static __always_inline struct piece buffer_segment(const struct buffer *buffer, __u32 index)
{
	struct piece piece = {};

	if (buffer->kind == BUFFER_USER) {
		piece.address = buffer->segment;
		piece.length = PAYLOAD_MAX;
		return piece;
	}
	if (buffer->kind == BUFFER_BVEC) {
		struct bio_vec *vec = (void *)buffer->segment + index * bpf_core_type_size(struct bio_vec);
		__u64 page = (__u64)PROBE(vec, bv_page);

		piece.address = page_byte(page, LOAD(false, vec, bv_offset));
		piece.length = LOAD(false, vec, bv_len);
	} else {
		struct iovec vec = {}; /* kvec has the same shape */

		bpf_probe_read_kernel(&vec, sizeof(vec), (void *)buffer->segment + index * sizeof(vec));
		piece.address = (__u64)vec.iov_base;
		piece.length = vec.iov_len;
	}
	if (index == 0) {
		__u64 skip = buffer->offset < piece.length ? buffer->offset : piece.length;

		if (piece.address)
			piece.address += skip;
		piece.length -= skip;
	}
	return piece;
}

static __always_inline bool kind_is(__u32 kind, const __u32 wanted)
{
	return kind == wanted;
}

/*
 * Reads an iterator. Until 5.13 `type` holds the kind with the direction in bit 0; since then `iter_type` is the enum.
 * The iovec array is `iov` until 6.3, `__iov` since.
 */
static __always_inline struct buffer buffer_of(struct msghdr *msg, const bool direct)
{
	struct iov_iter___old *old = (void *)&msg->msg_iter;
	struct buffer buffer = {};
	__u32 kind;

	if (bpf_core_field_exists(msg->msg_iter.iter_type))
		kind = LOAD(direct, msg, msg_iter.iter_type);
	else
		kind = LOAD(false, old, type) & ~1u;
	buffer.offset = LOAD(direct, msg, msg_iter.iov_offset);
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    kind_is(kind, bpf_core_enum_value(enum iter_type, ITER_UBUF))) {
		buffer.kind = BUFFER_USER;
		if (buffer.offset) /* a number, to be added to */
			buffer.segment = (__u64)PROBE(msg, msg_iter.ubuf) + buffer.offset;
		else
			buffer.segment = (__u64)LOAD(direct, msg, msg_iter.ubuf);
		return buffer;
	}
	buffer.segments = LOAD(direct, msg, msg_iter.nr_segs);
	if (kind_is(kind, bpf_core_enum_value(enum iter_type, ITER_IOVEC))) {
		buffer.kind = BUFFER_IOVEC;
		if (bpf_core_field_exists(msg->msg_iter.__iov))
			buffer.segment = (__u64)PROBE(msg, msg_iter.__iov);
		else
			buffer.segment = (__u64)PROBE(old, iov);
	} else if (kind_is(kind, bpf_core_enum_value(enum iter_type, ITER_KVEC))) {
		buffer.kind = BUFFER_KVEC;
		buffer.segment = (__u64)PROBE(msg, msg_iter.kvec);
	} else if (kind_is(kind, bpf_core_enum_value(enum iter_type, ITER_BVEC))) {
		buffer.kind = BUFFER_BVEC;
		buffer.segment = (__u64)PROBE(msg, msg_iter.bvec);
	}
	return buffer;
}

#endif
