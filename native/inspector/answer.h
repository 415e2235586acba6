// SPDX-License-Identifier: Apache-2.0
// The answer to one request, as it grows; the files it is read from; lines of them.
#pragma once

#include "protocol.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <unistd.h>

namespace inspector
{

// Closes what it holds.
class Descriptor
{
      public:
	explicit Descriptor(int fd) : fd_(fd) {}
	~Descriptor()
	{
		if (fd_ >= 0)
			close(fd_);
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;

	int get() const { return fd_; }
	explicit operator bool() const { return fd_ >= 0; }

      private:
	int fd_;
};

// At most MAX_ANSWER bytes.
class Answer
{
      public:
	~Answer() { free(bytes_); }

	// Room for `size` more bytes; null: there is none.
	char *room(size_t size)
	{
		if (size > MAX_ANSWER - size_)
			return nullptr;
		if (size_ + size > capacity_) {
			size_t capacity = capacity_ == 0 ? 4096 : capacity_;
			while (capacity < size_ + size)
				capacity *= 2;
			char *larger = static_cast<char *>(realloc(bytes_, capacity));
			if (larger == nullptr)
				return nullptr;
			bytes_ = larger;
			capacity_ = capacity;
		}
		return bytes_ + size_;
	}

	// Takes `size` bytes of the room into the answer.
	void take(size_t size) { size_ += size; }

	bool add(const void *from, size_t size)
	{
		char *into = room(size);
		if (into == nullptr)
			return false;
		memcpy(into, from, size);
		take(size);
		return true;
	}

	void put(size_t at, int32_t value) { memcpy(bytes_ + at, &value, sizeof value); }

	void cut(size_t size) { size_ = size; }

	const char *data() const { return bytes_; }
	size_t size() const { return size_; }

      private:
	char *bytes_ = nullptr;
	size_t size_ = 0;
	size_t capacity_ = 0;
};

// Calls `use(line)`, newline included, until it gives false. A longer line comes in parts. 0 or a negative errno, -EFBIG: it is longer than
// `limit`.
template <typename Use> int each_line(int fd, size_t limit, Use use)
{
	static char chunk[64 * 1024];
	size_t held = 0;
	for (size_t total = 0; total < limit;) {
		const ssize_t got = read(fd, chunk + held, sizeof chunk - held);
		if (got < 0)
			return -errno;
		total += static_cast<size_t>(got);
		std::string_view rest(chunk, held + static_cast<size_t>(got));
		while (!rest.empty()) {
			const size_t newline = rest.find('\n');
			const bool whole = newline != std::string_view::npos || got == 0 || rest.size() == sizeof chunk;
			if (!whole)
				break;
			const std::string_view line =
			    rest.substr(0, newline == std::string_view::npos ? newline : newline + 1);
			if (!use(line))
				return 0;
			rest.remove_prefix(line.size());
		}
		if (got == 0)
			return 0;
		memmove(chunk, rest.data(), rest.size());
		held = rest.size();
	}
	return 0;
}

} // namespace inspector
