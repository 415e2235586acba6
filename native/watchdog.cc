// SPDX-License-Identifier: Apache-2.0
#include "watchdog.h"

#include <cerrno>
#include <csignal>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include <utility>

namespace whodns
{
namespace
{

constexpr timespec kTick{1, 0};
// It calls nothing that takes much.
constexpr size_t kStack = 128 * 1024;

struct Watch {
	WatchdogOptions options;
	clockid_t clock;
};

unsigned long seconds_of(clockid_t clock)
{
	timespec time{};
	return clock_gettime(clock, &time) == 0 ? static_cast<unsigned long>(time.tv_sec) : 0;
}

[[noreturn]] void end(const WatchdogOptions &options)
{
	const uint32_t place = options.cells[1];
	std::string text = "whodns: ";
	if (place > 0 && place <= options.names.size()) {
		text += "detector " + options.names[place - 1] + " does not return";
	} else {
		text += "the event loop stands still; these detectors are not whodns's own:";
		for (const std::string &name : options.names)
			text += " " + name;
	}
	text += ": the agent ends, what it holds in memory is lost\n";
	// One call: lines of others come before or behind it.
	if (write(STDERR_FILENO, text.data(), text.size()) < 0)
		_exit(options.exit_code);
	_exit(options.exit_code);
}

void *run(void *given)
{
	const Watch watch = std::move(*static_cast<Watch *>(given));
	delete static_cast<Watch *>(given);
	const WatchdogOptions &options = watch.options;
	uint32_t turns = options.cells[0];
	unsigned long spent = seconds_of(watch.clock);
	// By its own ticks: where the whole process gets no processor, or is stopped, no detector is to blame.
	for (unsigned ticks = 0;; ticks++) {
		nanosleep(&kTick, nullptr);
		if (options.cells[0] != turns) {
			turns = options.cells[0];
			spent = seconds_of(watch.clock);
			ticks = 0;
		} else if (ticks >= options.seconds || seconds_of(watch.clock) - spent >= options.processor_seconds) {
			end(options);
		}
	}
}

} // namespace

Status start_watchdog(WatchdogOptions options)
{
	auto *watch = new Watch{std::move(options), {}};
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;

	int error = pthread_getcpuclockid(pthread_self(), &watch->clock);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, kStack);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	// Signals are the other threads' matter; the libc keeps its own out of the set.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0)
		error = pthread_create(&thread, &attributes, run, watch);
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	pthread_attr_destroy(&attributes);
	if (error == 0)
		return Unit{};
	delete watch;
	return Error{"threads", "watchdog", error, "", ""};
}

} // namespace whodns
