// SPDX-License-Identifier: Apache-2.0
// One move-only owner for each kind of kernel and libbpf handle. Nothing is pinned, so when the process dies the
// kernel closes the descriptors and with them unloads every link, program and map.
#pragma once

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cstddef>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace whodns
{

template <auto Release> struct Releases {
	template <typename T> void operator()(T *pointer) const { Release(pointer); }
};

using ObjectHandle = std::unique_ptr<bpf_object, Releases<bpf_object__close>>;
using BtfHandle = std::unique_ptr<btf, Releases<btf__free>>;
using LinkHandle = std::unique_ptr<bpf_link, Releases<bpf_link__destroy>>; // detaches

class Fd
{
      public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Fd &operator=(Fd &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd()
	{
		if (fd_ >= 0)
			close(fd_);
	}
	int get() const { return fd_; }
	explicit operator bool() const { return fd_ >= 0; }

      private:
	int fd_ = -1;
};

// A shared mapping.
class Mapping
{
      public:
	Mapping() = default;
	Mapping(int fd, off_t offset, size_t size, int protection)
	    : size_(size), address_(mmap(nullptr, size, protection, MAP_SHARED, fd, offset))
	{
	}
	Mapping(Mapping &&other) noexcept : size_(other.size_), address_(std::exchange(other.address_, MAP_FAILED)) {}
	Mapping &operator=(Mapping &&other) noexcept
	{
		std::swap(size_, other.size_);
		std::swap(address_, other.address_);
		return *this;
	}
	~Mapping()
	{
		if (address_ != MAP_FAILED)
			munmap(address_, size_);
	}
	explicit operator bool() const { return address_ != MAP_FAILED; }
	std::byte *get() const { return static_cast<std::byte *>(address_); }

      private:
	size_t size_ = 0;
	void *address_ = MAP_FAILED;
};

} // namespace whodns
