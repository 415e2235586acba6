/*
 * Plays the hard cases of attribution:
 *
 *     actor ROLE ADDRESS [argument ...] NAME
 *
 * The server is ADDRESS, port 53. For every query it is about to send it first prints "PID NAME"; that is the truth a record
 * is compared with. PID is this process's in its own PID namespace.
 */
#define _GNU_SOURCE
#include "actor.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUERY_ID     0x2222
#define PID_ATTEMPTS 200

extern char **environ;
const char *server;

int open_socket(int connected)
{
	struct sockaddr_storage address;
	socklen_t length = parse_address(server, 53, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	if (connected && connect(fd, (void *)&address, length))
		die("connect");
	return fd;
}

static void announce(const char *name)
{
	char line[400];
	int n = snprintf(line, sizeof line, "%d %s\n", getpid(), name);

	if (write(STDOUT_FILENO, line, n) != n)
		die("stdout");
}

void send_query(int fd, const char *name)
{
	struct message m = build_query(name, QUERY_ID);
	struct sockaddr_storage address;
	socklen_t length = parse_address(server, 53, &address);

	announce(name);
	if (sendto(fd, m.bytes, m.length, 0, (void *)&address, length) != (ssize_t)m.length)
		die("sendto");
}

void await_answer(int fd)
{
	uint8_t answer[512];
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, 1000) == 1 && recv(fd, answer, sizeof answer, 0) < 0)
		die("recv");
}

void ask(const char *name)
{
	int fd = open_socket(0);

	send_query(fd, name);
	await_answer(fd);
	close(fd);
}

void await(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "child %d: status %#x\n", child, status);
		exit(1);
	}
}

/* Sends and is gone before the answer can come. */
static void role_exit(char **arguments)
{
	send_query(open_socket(0), arguments[0]);
	_exit(0);
}

static void role_ask(char **arguments)
{
	ask(arguments[0]);
}

/* Waits for a line on standard input first, so that the starter can find out who this is. */
static void role_wait(char **arguments)
{
	char line[16];

	if (read(STDIN_FILENO, line, sizeof line) < 0)
		die("stdin");
	ask(arguments[0]);
}

static void *named_thread(void *name)
{
	prctl(PR_SET_NAME, "dns-worker-7");
	ask(name);
	return NULL;
}

static void role_thread(char **arguments)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, named_thread, arguments[0]);
	if (errno)
		die("pthread_create");
	pthread_join(thread, NULL);
}

/* OTHER NAME1 NAME2: asks, becomes another program, asks again. */
static void role_exec(char **arguments)
{
	ask(arguments[1]);
	execl(arguments[0], arguments[0], "ask", server, arguments[2], NULL);
	die("exec");
}

/* The executable is gone from the file system before the query. */
static void role_deleted(char **arguments)
{
	char self[4096] = {0};

	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 || unlink(self))
		die("unlink");
	ask(arguments[0]);
}

/* The executable never was in a file system. */
static void role_memfd(char **arguments)
{
	char *const argv[] = {"in-memory", "ask", (char *)server, arguments[0], NULL};
	int memory = memfd_create("whodns-test", MFD_CLOEXEC);
	int self = open("/proc/self/exe", O_RDONLY);
	struct stat status;

	if (memory < 0 || self < 0 || fstat(self, &status))
		die("memfd");
	if (sendfile(memory, self, NULL, status.st_size) != status.st_size)
		die("sendfile");
	fexecve(memory, argv, environ);
	die("fexecve");
}

static void join_cgroup(const char *directory)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/cgroup.procs", directory);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

/* DIRECTORY[:DIRECTORY ...] NAME: asks as a member of these cgroups, one of each hierarchy. */
static void role_cgroup(char **arguments)
{
	for (char *directory = strtok(arguments[0], ":"); directory; directory = strtok(NULL, ":"))
		join_cgroup(directory);
	ask(arguments[1]);
}

static int set_last_pid(pid_t pid)
{
	char text[16];
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
	int n = snprintf(text, sizeof text, "%d", pid);
	int done = fd >= 0 && write(fd, text, n) == n;

	close(fd);
	return done;
}

/* OTHER NAME1 NAME2: a process asks and ends; another program gets the same PID and asks. */
static void role_pidreuse(char **arguments)
{
	pid_t first = fork();

	if (first == 0) {
		ask(arguments[1]);
		_exit(0);
	}
	await(first);
	for (int attempt = 0; attempt < PID_ATTEMPTS; attempt++) {
		if (!set_last_pid(first - 1))
			die("ns_last_pid");
		pid_t next = fork();
		if (next == 0) {
			if (getpid() != first)
				_exit(0);
			execl(arguments[0], arguments[0], "ask", server, arguments[2], NULL);
			die("exec");
		}
		await(next);
		if (next == first)
			return;
	}
	fprintf(stderr, "PID %d was never free\n", first);
	exit(3);
}

/* COUNT OTHER PREFIX: COUNT processes, every second of program OTHER, each sends PREFIX-i... and exits at once. */
static void role_burst(char **arguments)
{
	int count = atoi(arguments[0]);
	const char *dot = strchr(arguments[2], '.');
	char self[4096] = {0}, name[300];

	if (!dot || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		die("burst");
	for (int i = 0; i < count; i++) {
		char *program = i % 2 ? arguments[1] : self;
		char *argv[] = {program, "exit", (char *)server, name, NULL};
		pid_t child;
		snprintf(name, sizeof name, "%.*s-%d%s", (int)(dot - arguments[2]), arguments[2], i, dot);
		errno = posix_spawn(&child, program, NULL, NULL, argv, environ);
		if (errno)
			die("posix_spawn");
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
	while (wait(NULL) > 0)
		continue;
}

static const struct role {
	const char *name;
	void (*play)(char **);
	int arguments;
} roles[] = {
    {"exit", role_exit, 1},           {"ask", role_ask, 1},         {"wait", role_wait, 1},
    {"fork", role_fork, 1},           {"pass", role_pass, 2},       {"receive", role_receive, 1},
    {"reuseport", role_reuseport, 2}, {"bound", role_bound, 2},     {"thread", role_thread, 1},
    {"exec", role_exec, 3},           {"deleted", role_deleted, 1}, {"memfd", role_memfd, 1},
    {"setns", role_setns, 3},         {"cgroup", role_cgroup, 2},   {"pidreuse", role_pidreuse, 3},
    {"burst", role_burst, 3},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < sizeof roles / sizeof *roles; i++) {
		if (strcmp(roles[i].name, argv[1]) == 0 && argc == 3 + roles[i].arguments) {
			server = argv[2];
			roles[i].play(argv + 3);
			return 0;
		}
	}
	fprintf(stderr, "usage: actor ROLE ADDRESS [argument ...] NAME\n");
	return 2;
}
