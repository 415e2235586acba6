// SPDX-License-Identifier: Apache-2.0
#include "agreement.h"
#include "event.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace whodns
{
namespace
{

constexpr uint64_t kNsPerTick = 10'000'000; // USER_HZ is 100
// include/linux/proc_ns.h: PROC_USER_INIT_INO, PROC_TIME_INIT_INO
constexpr uint32_t kInitialUser = 0xeffffffd;
constexpr uint32_t kInitialTime = 0xeffffffa;
constexpr size_t kStartTimeField = 22; // of /proc/PID/stat

uint32_t inode_of(const char *path)
{
	struct stat status = {};
	return stat(path, &status) == 0 ? static_cast<uint32_t>(status.st_ino) : 0;
}

// Of a file of /proc; "" when it cannot be read.
std::string text_of(const char *path)
{
	char text[1024];
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return "";
	const ssize_t length = read(file, text, sizeof text);
	close(file);
	return {text, length > 0 ? static_cast<size_t>(length) : 0};
}

// Clock ticks after the boot; the name, which may hold spaces, is in brackets.
uint64_t start_ticks()
{
	const std::string stat = text_of("/proc/self/stat");
	size_t at = stat.rfind(')');
	for (size_t field = 2; field < kStartTimeField && at != std::string::npos; field++)
		at = stat.find(' ', at + 1);
	return at == std::string::npos ? 0 : strtoull(stat.c_str() + at + 1, nullptr, 10);
}

template <typename Event> const Event *as(std::span<const std::byte> record)
{
	return record.size() < sizeof(Event) ? nullptr : reinterpret_cast<const Event *>(record.data());
}

// The first record that `matches`; empty: none.
template <typename Matches> std::span<const std::byte> find(std::span<const std::byte> records, Matches matches)
{
	while (const auto *header = as<event_header>(records)) {
		const size_t padded = (size_t{header->size} + 7) & ~size_t{7};
		if (header->size < sizeof *header || padded > records.size())
			break;
		const auto record = records.first(header->size);
		if (matches(header->kind, record))
			return record;
		records = records.subspan(padded);
	}
	return {};
}

bool is_own_name(const owner &owner)
{
	std::string name = text_of("/proc/self/comm"); // the leader's
	if (!name.empty() && name.back() == '\n')
		name.pop_back();
	return std::string_view(owner.leader_comm, strnlen(owner.leader_comm, COMM_LEN)) == name;
}

std::optional<std::string> disagreement_of_owner(const owner &owner)
{
	if (owner.vpid != static_cast<uint32_t>(getpid()) || owner.pid_ns != inode_of("/proc/self/ns/pid"))
		return "pid";
	if (owner.mnt_ns != inode_of("/proc/self/ns/mnt") || owner.net_ns != inode_of("/proc/self/ns/net"))
		return "namespaces";
	if (inode_of("/proc/self/ns/user") == kInitialUser && (owner.uid != geteuid() || owner.gid != getegid()))
		return "user";
	const uint32_t time_ns = inode_of("/proc/self/ns/time"); // 0: before 5.6
	if ((time_ns == 0 || time_ns == kInitialTime) && owner.start_time / kNsPerTick != start_ticks())
		return "start time";
	if (!is_own_name(owner))
		return "name";
	return std::nullopt;
}

} // namespace

std::optional<std::string> disagreement(std::span<const std::byte> records, const Sent &sent)
{
	const auto request = find(records, [&sent](uint16_t kind, auto record) {
		const auto *message = as<message_event>(record);
		return kind == EVENT_MESSAGE && message && message->direction == DIRECTION_REQUEST &&
		       message->remote_port == sent.port;
	});
	const auto *message = as<message_event>(request);
	if (message == nullptr)
		return "datagram";
	if (message->remote_ipv4 != htonl(INADDR_LOOPBACK) || message->net_ns != inode_of("/proc/self/ns/net"))
		return "socket";
	if (message->length != sent.payload.size() || request.size() < sizeof *message + sent.payload.size() ||
	    !std::ranges::equal(request.last(sent.payload.size()), sent.payload))
		return "payload";
	const auto owned = find(records, [message](uint16_t kind, auto record) {
		const auto *event = as<owner_event>(record);
		return kind == EVENT_OWNER && event && event->owner.id == message->owner_id;
	});
	const auto *event = as<owner_event>(owned);
	return event == nullptr ? "process" : disagreement_of_owner(event->owner);
}

} // namespace whodns
