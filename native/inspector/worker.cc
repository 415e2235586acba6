// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include "answer.h"
#include "memory.h"
#include "process_files.h"
#include "protocol.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <fcntl.h>
#include <sys/socket.h>

namespace inspector
{
namespace
{

const char *proc_root;

// Takes what a request holds off its front; once it is too short nothing more is there.
class Reader
{
      public:
	explicit Reader(std::span<const char> bytes) : rest_(bytes) {}

	template <typename T> bool get(T &value)
	{
		const std::span<const char> bytes = take(sizeof value);
		if (bytes.size() != sizeof value)
			return false;
		memcpy(&value, bytes.data(), sizeof value);
		return true;
	}

	std::span<const char> take(size_t size)
	{
		const std::span<const char> bytes = rest_.first(size <= rest_.size() ? size : 0);
		rest_ = rest_.subspan(bytes.size());
		return bytes;
	}

      private:
	std::span<const char> rest_;
};

int open_process(uint64_t pid)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%llu", proc_root, static_cast<unsigned long long>(pid));
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

// Field 22 of stat. The name, field 2, may hold anything: the last `)` ends it. 0: not to be read, or the process has ended.
uint64_t start_ticks(int directory)
{
	const Descriptor file(open_within(directory, "stat"));
	char text[4096];
	const ssize_t size = file ? read(file.get(), text, sizeof text) : 0;
	std::string_view rest(text, size > 0 ? static_cast<size_t>(size) : 0);
	rest.remove_prefix(std::min(rest.rfind(')'), rest.size()));
	for (int field = 2; field < 22; field++) {
		const size_t space = rest.find(' ');
		if (space == std::string_view::npos)
			return 0;
		rest.remove_prefix(space + 1);
	}
	uint64_t ticks = 0;
	std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
	return ticks;
}

// 0, or why the process is not the one that was meant.
int verify(int directory, const Inspect &request)
{
	if (request.start_ticks != ANYONE && start_ticks(directory) != request.start_ticks)
		return ESTALE;
	if (request.mount_namespace == 0)
		return 0;
	Answer answer;
	const int error = read_inode(directory, "ns/mnt", answer);
	if (error != 0)
		return -error;
	uint64_t inode;
	memcpy(&inode, answer.data(), sizeof inode);
	return inode == request.mount_namespace ? 0 : ESTALE;
}

int perform(const Read &read, const char *name, std::string_view needles, int directory, Memory &memory, Answer &answer)
{
	switch (read.operation) {
	case Operation::file:
		return read_file(directory, name, needles, read.limit, answer);
	case Operation::link:
		return read_link(directory, name, answer);
	case Operation::inode:
		return read_inode(directory, name, answer);
	case Operation::memory:
		return memory.read(read.address, read.limit, answer);
	case Operation::root_file:
		return read_root_file(directory, proc_root, name, read.limit, answer);
	case Operation::root_inode:
		return read_root_inode(directory, name, answer);
	case Operation::sockets:
		return read_sockets(directory, read.limit, answer);
	}
	return -ENOSYS;
}

bool inspect(Reader in, Answer &answer)
{
	Inspect request;
	if (!in.get(request))
		return false;
	Device devices[64];
	if (request.devices > std::size(devices))
		return false;
	for (uint16_t i = 0; i < request.devices; i++)
		if (!in.get(devices[i]))
			return false;
	const Descriptor directory(open_process(request.pid));
	const int32_t status = directory ? verify(directory.get(), request) : -directory.get();
	answer.add(&status, sizeof status);
	if (status != 0)
		return true;
	Memory memory(directory.get(), request.pid, request.start_ticks, std::span(devices, request.devices));
	for (uint8_t i = 0; i < request.reads; i++) {
		Read read;
		if (!in.get(read))
			return false;
		const std::span<const char> name = in.take(read.name_size);
		const std::span<const char> needles = in.take(read.needles_size);
		if (name.size() != read.name_size || needles.size() != read.needles_size || name.empty() ||
		    name.back() != '\0')
			return false;
		const size_t at = answer.size();
		const int32_t none = -EMSGSIZE;
		if (!answer.add(&none, sizeof none))
			return false;
		const int error =
		    perform(read, name.data(), {needles.data(), needles.size()}, directory.get(), memory, answer);
		if (error != 0)
			answer.cut(at + sizeof none);
		answer.put(at, error != 0 ? error : static_cast<int32_t>(answer.size() - at - sizeof none));
	}
	return true;
}

bool alive(Reader in, Answer &answer)
{
	Alive request;
	if (!in.get(request))
		return false;
	for (uint16_t i = 0; i < request.count; i++) {
		Process process;
		if (!in.get(process))
			return false;
		const Descriptor directory(open_process(process.pid));
		const char exists = directory && start_ticks(directory.get()) == process.start_ticks;
		answer.add(&exists, sizeof exists);
	}
	return true;
}

void receive(int fd, char *into, size_t size)
{
	while (size > 0) {
		const ssize_t got = recv(fd, into, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			_exit(0);
		into += got;
		size -= static_cast<size_t>(got);
	}
}

void give(int fd, const void *bytes, size_t size)
{
	const char *from = static_cast<const char *>(bytes);
	while (size > 0) {
		const ssize_t sent = send(fd, from, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			_exit(0);
		from += sent;
		size -= static_cast<size_t>(sent);
	}
}

} // namespace

bool prepare()
{
	return learn_shared_memory();
}

void work(int fd, const char *root)
{
	proc_root = root;
	static char request[MAX_REQUEST];
	for (;;) {
		Frame frame;
		receive(fd, reinterpret_cast<char *>(&frame), sizeof frame);
		if (frame.size == 0 || frame.size > sizeof request)
			_exit(1);
		receive(fd, request, frame.size);
		Answer answer;
		const Reader in({request, frame.size});
		const bool understood =
		    static_cast<Kind>(request[0]) == Kind::alive ? alive(in, answer) : inspect(in, answer);
		if (!understood)
			_exit(1);
		frame.size = static_cast<uint32_t>(answer.size());
		give(fd, &frame, sizeof frame);
		give(fd, answer.data(), answer.size());
	}
}

} // namespace inspector
