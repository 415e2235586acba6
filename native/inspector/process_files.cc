// SPDX-License-Identifier: Apache-2.0
#include "process_files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstddef>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace inspector
{
namespace
{

// Of a file whose lines are looked through.
constexpr size_t MAX_SEARCHED = 32 * 1024 * 1024;

int openat2(int directory, const char *path, uint64_t flags, uint64_t resolve)
{
	open_how how{};
	how.flags = flags | O_CLOEXEC;
	how.resolve = resolve;
	const long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
	return fd < 0 ? -errno : static_cast<int>(fd);
}

// What the kernel knows already: a file system of someone's own is not asked (AT_STATX_DONT_SYNC).
int status_of(int directory, const char *name, int flags, struct statx &status)
{
	const int how = flags | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
	return statx(directory, name, how, STATX_TYPE | STATX_INO | STATX_NLINK | STATX_SIZE, &status) == 0 ? 0
													    : -errno;
}

int add_inode(const struct statx &status, Answer &answer)
{
	const uint64_t numbers[] = {status.stx_ino, status.stx_nlink};
	return answer.add(numbers, sizeof numbers) ? 0 : -EMSGSIZE;
}

bool is_of_proc(int fd)
{
	struct statfs system;
	return fstatfs(fd, &system) != 0 || system.f_type == PROC_SUPER_MAGIC;
}

int copy(int fd, size_t limit, Answer &answer)
{
	for (size_t total = 0; total < limit;) {
		const size_t wanted = std::min<size_t>(limit - total, 16 * 1024);
		char *into = answer.room(wanted);
		if (into == nullptr)
			return -EMSGSIZE;
		const ssize_t got = read(fd, into, wanted);
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		answer.take(static_cast<size_t>(got));
		total += static_cast<size_t>(got);
	}
	return 0;
}

bool holds(std::string_view line, std::string_view needles)
{
	while (!needles.empty()) {
		const size_t end = needles.find('\0');
		if (line.find(needles.substr(0, end)) != std::string_view::npos)
			return true;
		if (end == std::string_view::npos)
			break;
		needles.remove_prefix(end + 1);
	}
	return false;
}

// A regular file below the root of the process, opened for its path only: nothing of it runs yet. Links lead no further than that
// root (openat2(2)); those of /proc lead nowhere.
int find_below_root(int directory, const char *path, uint64_t flags)
{
	const Descriptor root(openat(directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (!root)
		return -errno;
	return openat2(root.get(), path, O_PATH | flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

} // namespace

int open_within(int directory, const char *name)
{
	return openat2(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
		       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int read_file(int directory, const char *name, std::string_view needles, size_t limit, Answer &answer)
{
	const Descriptor file(open_within(directory, name));
	if (!file)
		return file.get();
	if (needles.empty())
		return copy(file.get(), limit, answer);
	const size_t start = answer.size();
	return each_line(file.get(), MAX_SEARCHED, [&](std::string_view line) {
		if (!holds(line, needles))
			return true;
		return answer.size() - start + line.size() <= limit && answer.add(line.data(), line.size());
	});
}

int read_link(int directory, const char *name, Answer &answer)
{
	char *into = answer.room(PATH_MAX);
	if (into == nullptr)
		return -EMSGSIZE;
	const ssize_t length = readlinkat(directory, name, into, PATH_MAX);
	if (length < 0)
		return -errno;
	answer.take(static_cast<size_t>(length));
	return 0;
}

int read_inode(int directory, const char *name, Answer &answer)
{
	struct statx status;
	const int error = status_of(directory, name, 0, status);
	return error != 0 ? error : add_inode(status, answer);
}

// getdents64(2); musl has no name for it.
struct DirectoryEntry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

int read_sockets(int directory, size_t limit, Answer &answer)
{
	const Descriptor list(openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!list)
		return -errno;
	alignas(DirectoryEntry) static char entries[32 * 1024];
	for (size_t seen = 0;;) {
		const long size = syscall(SYS_getdents64, list.get(), entries, sizeof entries);
		if (size < 0)
			return -errno;
		if (size == 0)
			return 0;
		for (long at = 0; at < size;) {
			const auto *entry = reinterpret_cast<const DirectoryEntry *>(entries + at);
			at += entry->length;
			if (++seen > limit)
				return 0;
			char target[64];
			const ssize_t length = readlinkat(list.get(), entry->name, target, sizeof target);
			constexpr std::string_view SOCKET = "socket:[";
			if (length <= static_cast<ssize_t>(SOCKET.size()) ||
			    !std::string_view(target, length).starts_with(SOCKET))
				continue;
			uint64_t inode = 0;
			std::from_chars(target + SOCKET.size(), target + length, inode);
			if (!answer.add(&inode, sizeof inode))
				return -EMSGSIZE;
		}
	}
}

int read_root_file(int directory, const char *proc_root, const char *path, size_t limit, Answer &answer)
{
	const Descriptor found(find_below_root(directory, path, 0));
	if (!found)
		return found.get();
	struct statx status;
	const int error = status_of(found.get(), "", AT_EMPTY_PATH, status);
	if (error != 0)
		return error;
	// A FIFO, a device or a socket is never opened.
	if (!S_ISREG(status.stx_mode))
		return -EINVAL;
	// Files of /proc have this size too: a link may lead to those of this process.
	if (status.stx_size == 0)
		return is_of_proc(found.get()) ? -EACCES : 0;
	char name[PATH_MAX];
	snprintf(name, sizeof name, "%s/self/fd/%d", proc_root, found.get());
	const Descriptor file(open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	if (!file)
		return -errno;
	return copy(file.get(), limit, answer);
}

int read_root_inode(int directory, const char *path, Answer &answer)
{
	const Descriptor found(find_below_root(directory, path, O_NOFOLLOW));
	if (!found)
		return found.get();
	struct statx status;
	const int error = status_of(found.get(), "", AT_EMPTY_PATH, status);
	return error != 0 ? error : add_inode(status, answer);
}

} // namespace inspector
