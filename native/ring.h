// SPDX-License-Identifier: Apache-2.0
// The reading end of a BPF ring buffer (kernel/bpf/ringbuf.c). libbpf's maps the data twice in a row, so that no record wraps:
// each page of it is then resident twice, 8 MB more of the process at the default size. Here it is mapped once, and a record
// that wraps is copied in two pieces; it is copied anyway.
#pragma once

#include "handle.h"

#include <cstdint>
#include <span>

namespace whodns
{

class Ring
{
      public:
	Ring() = default;
	// @param bytes the map's max_entries. Check the object afterwards: false, see errno.
	Ring(int fd, uint32_t bytes);
	explicit operator bool() const { return consumer_ && producer_; }

	// Bytes that have not been consumed.
	uint64_t used() const;
	// Moves records into `to` in their order, each as in bpf/event.h and padded to 8 bytes, until there is none, the next
	// one does not fit, or `enough` bytes are written. A record whose own size is impossible, or that would not fit into an empty `to`, has `kind`
	// 0 and the size that was copied. Gives the bytes written.
	size_t drain(std::span<std::byte> to, size_t enough);

      private:
	void copy(std::byte *to, uint64_t position, size_t bytes) const;
	size_t take(std::span<std::byte> to, uint64_t position, size_t size, bool is_first) const;

	uint64_t mask_ = 0;
	Mapping consumer_; // one page: where we are
	Mapping producer_; // one page: where the kernel is; behind it the data
	const std::byte *data_ = nullptr;
};

} // namespace whodns
