// SPDX-License-Identifier: Apache-2.0
#include "ring.h"
#include "event.h"

#include <algorithm>
#include <cstring>
#include <linux/bpf.h>

namespace whodns
{
namespace
{

constexpr size_t padded(size_t bytes)
{
	return (bytes + 7) & ~size_t{7};
}

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

size_t Ring::drain(std::span<std::byte> to, size_t enough)
{
	auto *consumed = reinterpret_cast<unsigned long *>(consumer_.get());
	unsigned long at = *consumed; // nobody else writes it
	const unsigned long end = position(producer_);
	size_t written = 0;
	while (at < end && written < enough) {
		// a header lies on a multiple of its size, so it does not wrap
		const auto *header = reinterpret_cast<const uint32_t *>(data_ + (at & mask_));
		const uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);
		if ((length & BPF_RINGBUF_BUSY_BIT) != 0)
			break; // still being written; what follows it waits
		const size_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		if ((length & BPF_RINGBUF_DISCARD_BIT) == 0) {
			const size_t bytes = take(to.subspan(written), at + BPF_RINGBUF_HDR_SZ, size, written == 0);
			if (bytes == 0)
				break;
			written += bytes;
		}
		at += padded(BPF_RINGBUF_HDR_SZ + size);
	}
	__atomic_store_n(consumed, at, __ATOMIC_RELEASE);
	return written;
}

// Copies one record and pads it; 0 = no room.
size_t Ring::take(std::span<std::byte> to, uint64_t position, size_t size, bool is_first) const
{
	event_header header{};
	if (to.size() < sizeof header)
		return 0;
	copy(reinterpret_cast<std::byte *>(&header), position, std::min(size, sizeof header));
	const bool sane = size >= sizeof header && header.size >= sizeof header && header.size <= size;
	size_t bytes = sane ? header.size : std::max(size, sizeof header);
	const bool fits = padded(bytes) <= to.size();
	if (!fits && !is_first)
		return 0;
	if (!sane || !fits) {
		bytes = fits ? bytes : sizeof header;
		header.size = static_cast<uint32_t>(bytes);
		header.kind = 0;
	}
	memset(&to[bytes & ~size_t{7}], 0, padded(bytes) - (bytes & ~size_t{7}));
	copy(&to[0], position, std::min(bytes, size));
	memcpy(&to[0], &header, sizeof header);
	return padded(bytes);
}

void Ring::copy(std::byte *to, uint64_t position, size_t bytes) const
{
	const uint64_t start = position & mask_;
	const size_t first = std::min<uint64_t>(bytes, mask_ + 1 - start);
	memcpy(to, data_ + start, first);
	memcpy(to + first, data_, bytes - first);
}

} // namespace whodns
