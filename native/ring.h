// SPDX-License-Identifier: Apache-2.0
// The reading end of a BPF ring buffer (kernel/bpf/ringbuf.c). libbpf's maps the data twice in a row, so that no record wraps:
// each page of it is then resident twice, 8 MB more of the process at the default size. Here it is mapped once, and a record
// that wraps is copied in two pieces; it is copied anyway.
#pragma once

#include "handle.h"

#include <cstdint>
#include <functional>

namespace whodns
{

class Ring
{
      public:
	// Bytes in the ring, valid until the call that was given it returns.
	class Record
	{
	      public:
		Record(const Ring &ring, uint64_t position, size_t size) : ring_(ring), position_(position), size_(size)
		{
		}
		size_t size() const { return size_; }
		// The first `bytes` of it, at most size().
		void copy(void *to, size_t bytes) const;

	      private:
		const Ring &ring_;
		uint64_t position_;
		size_t size_;
	};

	Ring() = default;
	// @param bytes the map's max_entries. Check the object afterwards: false, see errno.
	Ring(int fd, uint32_t bytes);
	explicit operator bool() const { return consumer_ && producer_; }

	// Bytes that have not been consumed. From any thread.
	uint64_t used() const;
	// Hands records over in their order until there is none or `take` gives false (the record it was given counts as
	// taken); gives whether `take` ended it. One thread only.
	bool consume(const std::function<bool(const Record &)> &take);

      private:
	uint64_t mask_ = 0;
	Mapping consumer_; // one page: where we are
	Mapping producer_; // one page: where the kernel is; behind it the data
	const std::byte *data_ = nullptr;
};

} // namespace whodns
