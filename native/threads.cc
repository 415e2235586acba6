// SPDX-License-Identifier: Apache-2.0
#include "threads.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <memory>
#include <set>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace whodns
{
namespace
{

// glibc and musl keep this signal for setuid(2) and the like: no thread can block it (Node blocks all others in some). Go's
// runtime uses it in the same way (os_linux.go, sigPerThreadSyscall).
constexpr int kSignal = 33;
constexpr timespec kPause{0, 100'000};
constexpr int kMaxPauses = 50'000; // 5 s
constexpr int kMaxPasses = 100;

// As rt_sigaction(2) takes it (include/linux/signal_types.h); both libcs' sigaction() refuse kSignal.
struct KernelAction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)();
	uint64_t mask;
};

std::atomic<int (*)()> current_action;
std::atomic<int> outcome;
std::atomic<pid_t> answered;

void on_signal(int)
{
	const int before = errno;
	outcome = current_action.load()();
	answered = static_cast<pid_t>(syscall(SYS_gettid));
	errno = before;
}

int kernel_sigaction(int signal, const KernelAction *set, KernelAction *get)
{
	return static_cast<int>(syscall(SYS_rt_sigaction, signal, set, get, sizeof set->mask));
}

// The way back from a handler is the libc's matter: it is taken from a handler that the libc has set.
bool set_handler(KernelAction *before)
{
	struct sigaction wanted = {}, unused;
	wanted.sa_handler = on_signal;
	wanted.sa_flags = SA_RESTART | SA_ONSTACK;
	sigfillset(&wanted.sa_mask);
	KernelAction action{};
	if (sigaction(SIGSYS, &wanted, &unused) != 0)
		return false;
	const bool got = kernel_sigaction(SIGSYS, nullptr, &action) == 0;
	sigaction(SIGSYS, &unused, nullptr);
	return got && kernel_sigaction(kSignal, &action, before) == 0;
}

// Its id in our own PID namespace, which /proc need not be of: the last number of NSpid. 0: it has ended, or it is a worker of io_uring,
// which takes no signal, runs no code of ours and acts with the rights of whoever hands in the request (io_uring/io-wq.c).
pid_t own_id(const char *entry)
{
	std::ifstream status(std::string("/proc/self/task/") + entry + "/status");
	pid_t id = 0;
	bool is_worker = false;
	for (std::string line; std::getline(status, line);) {
		if (line.starts_with("Name:\tiou-"))
			is_worker = true;
		else if (line.starts_with("NSpid:"))
			id = atoi(line.c_str() + line.find_last_of("\t ") + 1);
		else if (line.starts_with("SigBlk:\t") && is_worker)
			return (strtoull(line.c_str() + strlen("SigBlk:\t"), nullptr, 16) >> (kSignal - 1) & 1) != 0
				   ? 0
				   : id;
	}
	return id;
}

Result<std::set<pid_t>> threads()
{
	const std::unique_ptr<DIR, int (*)(DIR *)> tasks(opendir("/proc/self/task"), closedir);
	if (!tasks)
		return Error{"threads", "/proc/self/task", errno, "mount /proc", ""};
	std::set<pid_t> found;
	while (const dirent *entry = readdir(tasks.get()))
		if (const pid_t id = entry->d_name[0] == '.' ? 0 : own_id(entry->d_name); id > 0)
			found.insert(id);
	return found;
}

// errno of the action, or why it did not run; 0 too when the thread has ended.
int run_in(pid_t thread)
{
	answered = 0;
	for (int i = 0; i < kMaxPauses; i++) {
		// signal 0: is it still there?
		if (syscall(SYS_tgkill, getpid(), thread, i == 0 ? kSignal : 0) != 0)
			return errno == ESRCH ? 0 : errno;
		for (int spin = 0; spin < 100 && answered != thread; spin++) {
		}
		if (answered == thread)
			return outcome;
		nanosleep(&kPause, nullptr);
	}
	return ETIMEDOUT;
}

Status in_all_others(pid_t self)
{
	std::set<pid_t> done{self};
	for (int pass = 0; pass < kMaxPasses; pass++) {
		auto found = threads();
		if (!found)
			return found.error();
		bool fresh = false;
		for (const pid_t thread : found.value()) {
			if (!done.insert(thread).second)
				continue;
			fresh = true;
			if (const int error = run_in(thread); error != 0)
				return Error{"threads", std::to_string(thread), error, "", ""};
		}
		if (!fresh)
			return Unit{};
	}
	return Error{"threads", "", EAGAIN, "threads kept being started", ""};
}

} // namespace

Status in_every_thread(int (*action)())
{
	if (const int error = action(); error != 0)
		return Error{"threads", "self", error, "", ""};
	KernelAction before{};
	current_action = action;
	if (!set_handler(&before))
		return Error{"threads", "rt_sigaction", errno, "", ""};
	Status status = in_all_others(static_cast<pid_t>(syscall(SYS_gettid)));
	// A thread that did not answer in time may do so later: then the handler must be there.
	if (status)
		kernel_sigaction(kSignal, &before, nullptr);
	return status;
}

} // namespace whodns
