// SPDX-License-Identifier: Apache-2.0
#include "trial.h"
#include "agreement.h"
#include "event.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <sys/socket.h>

namespace whodns
{
namespace
{

// The size of a DNS header; of a query.
constexpr std::array<char, 12> kHeader{'w', 'd', 1};
constexpr size_t kRecords = 64 * 1024;

struct Loopback {
	Fd receiver;
	sockaddr_in address{};
};

std::optional<Loopback> listen_on_loopback()
{
	Loopback loopback;
	loopback.receiver = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	loopback.address.sin_family = AF_INET;
	loopback.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t size = sizeof loopback.address;
	auto *address = reinterpret_cast<sockaddr *>(&loopback.address);
	if (!loopback.receiver || bind(loopback.receiver.get(), address, size) != 0 ||
	    getsockname(loopback.receiver.get(), address, &size) != 0)
		return std::nullopt;
	return loopback;
}

// Sends one datagram and receives it; false if it did not arrive within a tenth of a second.
bool send_one(const Loopback &loopback)
{
	std::array<char, 64> received;
	const timeval patience{0, 100'000};
	Fd sender(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	setsockopt(loopback.receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return sender &&
	       sendto(sender.get(), kHeader.data(), kHeader.size(), 0,
		      reinterpret_cast<const sockaddr *>(&loopback.address), sizeof loopback.address) > 0 &&
	       recv(loopback.receiver.get(), received.data(), received.size(), 0) > 0;
}

// The setting `ports_knob` names the port of the trial alone.
Result<std::unique_ptr<Capture>> run_on(const Loopback *loopback, CaptureOptions &options,
					const std::string &ports_knob)
{
	if (loopback != nullptr)
		options.knobs.push_back(Knob{ports_knob, {ntohs(loopback->address.sin_port)}});
	auto opened = Capture::open(options);
	if (!opened)
		return opened.error();
	if (auto attached = opened.value()->attach(); !attached)
		return attached.error();
	return opened;
}

} // namespace

Result<Trial> try_family(CaptureOptions options, const std::string &ports_knob)
{
	if (auto checked = check_types(options, ports_knob); !checked)
		return checked.error();
	std::optional<Loopback> loopback = listen_on_loopback();
	auto opened = run_on(loopback ? &*loopback : nullptr, options, ports_knob);
	if (!opened)
		return opened.error();
	if (!loopback || !send_one(*loopback))
		return Trial{};
	opened.value()->detach(); // so that the counters stand still
	auto counters = opened.value()->sums("counters");
	if (!counters)
		return counters.error();
	const auto &values = counters.value();
	if (values.size() < COUNTER_MAX)
		return Error{"map", "counters", ENOENT, "the BPF object is of another version: build it again", ""};
	// counted as the agent's own where the knobs name the agent, else as a request
	return Trial{values[COUNTER_REQUESTS] + values[COUNTER_SELF] != 0};
}

Status check_types(const CaptureOptions &given, const std::string &ports_knob)
{
	if (given.btf.empty())
		return Unit{};
	std::optional<Loopback> loopback = listen_on_loopback();
	if (!loopback)
		return Unit{};
	CaptureOptions options = given;
	options.knobs.clear();
	options.besides.clear();
	options.ring_bytes = kRecords;
	auto opened = run_on(&*loopback, options, ports_knob);
	if (!opened)
		return opened.error();
	if (!send_one(*loopback))
		return Unit{};
	opened.value()->detach();
	std::vector<std::byte> records(kRecords);
	records.resize(opened.value()->drain(records, records.size()));
	const Sent sent{std::as_bytes(std::span(kHeader)), ntohs(loopback->address.sin_port)};
	if (const auto subject = disagreement(records, sent))
		return Error{"btf", *subject, EINVAL, "",
			     "what the programs read of a datagram of this process is wrong: " + *subject};
	return Unit{};
}

} // namespace whodns
