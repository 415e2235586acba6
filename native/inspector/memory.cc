// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include "process_files.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace inspector
{
namespace
{

constexpr size_t MAX_RANGES = 65'536;
constexpr size_t MAX_MAPS = 16 * 1024 * 1024;

// What is mapped readable, in order (proc_pid_maps(5)).
struct Range {
	uint64_t start;
	uint64_t end;
	Device device;
	// No file stands behind it.
	bool anonymous;
};

// Of the process looked at last: many reads of one process follow each other.
struct {
	uint64_t pid = 0;
	uint64_t start_ticks = 0;
	Range *ranges = nullptr;
	size_t count = 0;
	size_t capacity = 0;
} known;

Device shared_memory;

// Takes a number and the character behind it off the line.
bool number(std::string_view &line, int base, uint64_t &value)
{
	const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value, base);
	if (error != std::errc{} || end == line.data() + line.size())
		return false;
	line.remove_prefix(static_cast<size_t>(end - line.data()) + 1);
	return true;
}

// `start-end perms offset major:minor inode name`.
bool parse(std::string_view line, Range &range)
{
	uint64_t major, minor, offset, inode;
	if (!number(line, 16, range.start) || !number(line, 16, range.end) || line.size() < 5 || line[0] != 'r')
		return false;
	line.remove_prefix(5);
	if (!number(line, 16, offset) || !number(line, 16, major) || !number(line, 16, minor) ||
	    !number(line, 10, inode))
		return false;
	range.device = {.major = static_cast<uint32_t>(major), .minor = static_cast<uint32_t>(minor)};
	range.anonymous = major == 0 && minor == 0 && inode == 0;
	return true;
}

bool keep(const Range &range)
{
	if (known.count == known.capacity) {
		const size_t capacity = known.capacity == 0 ? 256 : known.capacity * 2;
		auto *larger = static_cast<Range *>(realloc(known.ranges, capacity * sizeof(Range)));
		if (larger == nullptr || capacity > MAX_RANGES)
			return false;
		known.ranges = larger;
		known.capacity = capacity;
	}
	known.ranges[known.count++] = range;
	return true;
}

bool is_same(const Device &a, const Device &b)
{
	return a.major == b.major && a.minor == b.minor;
}

} // namespace

bool learn_shared_memory()
{
	const Descriptor own(memfd_create("", MFD_CLOEXEC));
	struct stat status;
	if (!own || fstat(own.get(), &status) != 0)
		return false;
	shared_memory = {.major = major(status.st_dev), .minor = minor(status.st_dev)};
	return true;
}

int Memory::load()
{
	loaded_ = true;
	known.count = 0;
	known.pid = pid_;
	known.start_ticks = start_ticks_;
	const Descriptor maps(open_within(directory_, "maps"));
	if (!maps)
		return maps.get();
	return each_line(maps.get(), MAX_MAPS, [](std::string_view line) {
		Range range;
		return !parse(line, range) || keep(range);
	});
}

bool Memory::covers(uint64_t address, size_t length) const
{
	const uint64_t end = address + length;
	if (end < address)
		return false;
	// Segments of one file often meet without a gap: what is read may lie in two of them.
	for (uint64_t at = address; const Range &range : std::span(known.ranges, known.count)) {
		if (range.start > at)
			return false;
		if (range.end <= at)
			continue;
		bool allowed = range.anonymous || is_same(range.device, shared_memory);
		for (const Device &device : devices_)
			allowed = allowed || is_same(range.device, device);
		if (!allowed)
			return false;
		at = range.end;
		if (at >= end)
			return true;
	}
	return false;
}

int Memory::read(uint64_t address, size_t length, Answer &answer)
{
	const bool is_known = pid_ == known.pid && start_ticks_ == known.start_ticks && start_ticks_ != ANYONE;
	if (!is_known || !covers(address, length)) {
		// What was mapped since is not known yet.
		const int error = loaded_ ? 0 : load();
		if (error != 0)
			return error;
		if (!covers(address, length))
			return -EACCES;
	}
	const Descriptor memory(openat(directory_, "mem", O_RDONLY | O_CLOEXEC));
	if (!memory)
		return -errno;
	char *into = answer.room(length);
	if (into == nullptr)
		return -EMSGSIZE;
	const ssize_t got = pread(memory.get(), into, length, static_cast<off_t>(address));
	if (got < 0)
		return -errno;
	if (static_cast<size_t>(got) != length)
		return -EFAULT;
	answer.take(length);
	return 0;
}

} // namespace inspector
