// SPDX-License-Identifier: Apache-2.0
// build/whodns-inspector: reads what belongs to other processes, so that the agent never waits for one. The supervisor passes requests
// to workers and answers back. It touches nothing of others itself, so nothing holds it up; a worker that is held up is killed on
// request; no one waits for it, and its place is free again when it has ended.
//
// Usage: whodns-inspector PROC   socket to the agent: descriptor 3. Ends when the agent does.
#include "protocol.h"
#include "sandbox.h"
#include "worker.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace inspector
{
namespace
{

constexpr int AGENT = 3;

// The supervisor's end of one worker. The answer is passed on when it is whole: of a worker that was killed nothing is.
struct Worker {
	pid_t pid = 0;
	int fd = -1;
	Frame head;
	char *body = nullptr;
	size_t received = 0;
};

Worker workers[PLACES];
const char *proc_root;
char request[MAX_REQUEST];

[[noreturn]] void end()
{
	// Workers end with it (PR_SET_PDEATHSIG).
	_exit(0);
}

void write_all(const void *bytes, size_t size)
{
	const char *at = static_cast<const char *>(bytes);
	while (size > 0) {
		const ssize_t written = send(AGENT, at, size, MSG_NOSIGNAL);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			end();
		at += written;
		size -= static_cast<size_t>(written);
	}
}

void read_all(void *bytes, size_t size)
{
	char *at = static_cast<char *>(bytes);
	while (size > 0) {
		const ssize_t got = recv(AGENT, at, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			end();
		at += got;
		size -= static_cast<size_t>(got);
	}
}

void reset(Worker &worker)
{
	free(worker.body);
	worker.body = nullptr;
	worker.received = 0;
}

// The worker has ended, or cannot be made.
void leave(uint32_t place)
{
	Worker &worker = workers[place];
	reset(worker);
	if (worker.fd >= 0)
		close(worker.fd);
	worker = {};
	const Frame ended{.size = 0, .place = place};
	write_all(&ended, sizeof ended);
}

// It does what no worker does.
void dismiss(uint32_t place)
{
	kill(workers[place].pid, SIGKILL);
	leave(place);
}

// musl has no close_range().
void close_others()
{
	syscall(SYS_close_range, AGENT + 1, ~0U, 0);
}

bool make(Worker &worker)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	const pid_t supervisor = getpid();
	const pid_t pid = fork();
	if (pid == 0) {
		// Everything else is closed: a worker that is stuck holds no descriptor of others.
		dup3(ends[1], AGENT, 0);
		close_others();
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != supervisor || !confine_worker())
			_exit(1);
		work(AGENT, proc_root);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return false;
	}
	worker.pid = pid;
	worker.fd = ends[0];
	return true;
}

void from_agent()
{
	Frame frame;
	read_all(&frame, sizeof frame);
	if (frame.size > MAX_REQUEST || frame.place >= PLACES)
		end();
	read_all(request, frame.size);
	Worker &worker = workers[frame.place];
	if (frame.size == 0) {
		if (worker.pid > 0)
			kill(worker.pid, SIGKILL);
		return;
	}
	if (worker.fd < 0 && !make(worker))
		return leave(frame.place);
	// A worker has one request at a time, which its socket has room for: if not, it is of no use.
	const bool sent =
	    send(worker.fd, &frame, sizeof frame, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof frame &&
	    send(worker.fd, request, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(frame.size);
	if (!sent)
		dismiss(frame.place);
}

void from_worker(uint32_t place)
{
	Worker &worker = workers[place];
	const bool in_head = worker.received < sizeof(Frame);
	char *into = in_head ? reinterpret_cast<char *>(&worker.head) + worker.received
			     : worker.body + (worker.received - sizeof(Frame));
	const size_t wanted =
	    in_head ? sizeof(Frame) - worker.received : sizeof(Frame) + worker.head.size - worker.received;
	const ssize_t got = recv(worker.fd, into, wanted, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		return leave(place);
	worker.received += static_cast<size_t>(got);
	if (worker.received < sizeof(Frame))
		return;
	if (worker.body == nullptr) {
		const bool fits = worker.head.size > 0 && worker.head.size <= MAX_ANSWER;
		worker.body = fits ? static_cast<char *>(malloc(worker.head.size)) : nullptr;
		if (worker.body == nullptr)
			return dismiss(place);
	}
	if (worker.received < sizeof(Frame) + worker.head.size)
		return;
	const Frame head{.size = worker.head.size, .place = place};
	write_all(&head, sizeof head);
	write_all(worker.body, head.size);
	reset(worker);
}

[[noreturn]] void supervise()
{
	for (;;) {
		pollfd ready[1 + PLACES];
		ready[0] = {.fd = AGENT, .events = POLLIN, .revents = 0};
		for (uint32_t place = 0; place < PLACES; place++)
			ready[1 + place] = {.fd = workers[place].fd, .events = POLLIN, .revents = 0};
		if (poll(ready, 1 + PLACES, -1) < 0)
			continue;
		for (uint32_t place = 0; place < PLACES; place++)
			if (ready[1 + place].revents != 0)
				from_worker(place);
		if (ready[0].revents != 0)
			from_agent();
	}
}

} // namespace
} // namespace inspector

int main(int argc, char **argv)
{
	using namespace inspector;
	proc_root = argc > 1 ? argv[1] : "/proc";
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	// Of the agent's descriptors it has one. The agent decides when it ends, not a terminal or a service manager.
	close_others();
	for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
		signal(number, SIG_IGN);
	// No one waits for workers: the kernel clears them away.
	signal(SIGCHLD, SIG_IGN);
	const rlimit none{.rlim_cur = 0, .rlim_max = 0};
	setrlimit(RLIMIT_CORE, &none);
	if (chdir("/") != 0)
		return 1;
	if (!prepare())
		return 1;
	drop_rights();
	if (!confine_supervisor())
		return 1;
	supervise();
}
