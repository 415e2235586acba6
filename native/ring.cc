// SPDX-License-Identifier: Apache-2.0
#include "ring.h"

#include <algorithm>
#include <cstring>
#include <linux/bpf.h>

namespace whodns
{
namespace
{

// The first word of each of the first two pages is the position, an unsigned long.
unsigned long position(const Mapping &page)
{
	return __atomic_load_n(reinterpret_cast<const unsigned long *>(page.get()), __ATOMIC_ACQUIRE);
}

} // namespace

Ring::Ring(int fd, uint32_t bytes)
    : mask_(bytes - 1), consumer_(fd, 0, static_cast<size_t>(getpagesize()), PROT_READ | PROT_WRITE),
      producer_(fd, getpagesize(), static_cast<size_t>(getpagesize()) + bytes, PROT_READ)
{
	if (producer_)
		data_ = producer_.get() + getpagesize();
}

uint64_t Ring::used() const
{
	const unsigned long consumed = position(consumer_); // first, so that the difference cannot be negative
	return position(producer_) - consumed;
}

bool Ring::consume(const std::function<bool(const Record &)> &take)
{
	auto *consumed = reinterpret_cast<unsigned long *>(consumer_.get());
	unsigned long at = *consumed; // nobody else writes it
	unsigned long end = at;
	// looked at only when what was there is taken: the kernel writes it all the time
	while (at < end || at < (end = position(producer_))) {
		// a header lies on a multiple of its size, so it does not wrap
		const auto *header = reinterpret_cast<const uint32_t *>(data_ + (at & mask_));
		const uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);
		if ((length & BPF_RINGBUF_BUSY_BIT) != 0)
			break; // still being written; what follows it waits
		const bool discarded = (length & BPF_RINGBUF_DISCARD_BIT) != 0;
		const size_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const bool more = discarded || take(Record(*this, at + BPF_RINGBUF_HDR_SZ, size));
		at += (BPF_RINGBUF_HDR_SZ + size + 7) & ~size_t{7};
		__atomic_store_n(consumed, at, __ATOMIC_RELEASE);
		if (!more)
			return true;
	}
	return false;
}

void Ring::Record::copy(void *to, size_t bytes) const
{
	const uint64_t start = position_ & ring_.mask_;
	const size_t first = std::min<uint64_t>(bytes, ring_.mask_ + 1 - start);
	memcpy(to, ring_.data_ + start, first);
	memcpy(static_cast<std::byte *>(to) + first, ring_.data_, bytes - first);
}

} // namespace whodns
