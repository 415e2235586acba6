/*
 * Processes that live for a few queries each, as fast as one core makes them:
 *
 *     burst ADDRESS PORT PROCESSES QUERIES UID [CGROUP]
 *
 * Each process becomes the user UID and sends QUERIES queries from a socket of its own. With CGROUP, a directory, each first moves into a
 * new control group in it. Prints one line of JSON: {"processes":N,"sent":N,"seconds":S}. Answers are not read.
 */
#define _GNU_SOURCE
#include "message.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void group_path(char *path, size_t size, const char *parent, int number, const char *file)
{
	snprintf(path, size, "%s/%d%s", parent, number, file);
}

static void move_into(const char *parent, int number)
{
	char path[512];
	int fd;

	group_path(path, sizeof path, parent, number, "");
	if (mkdir(path, 0755) != 0)
		_exit(3);
	group_path(path, sizeof path, parent, number, "/cgroup.procs");
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(4);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;
	socklen_t length;
	volatile int failed = 0;
	int processes, queries;
	double start = now();
	struct message query = build_query("short.burst.test", 0x1234);
	char path[512];
	uid_t user;

	if (argc < 6) {
		fprintf(stderr, "usage: burst ADDRESS PORT PROCESSES QUERIES UID [CGROUP]\n");
		return 2;
	}
	length = parse_address(argv[1], atoi(argv[2]), &address);
	processes = atoi(argv[3]);
	queries = atoi(argv[4]);
	user = atoi(argv[5]);
	if (argc == 6 && setuid(user) != 0)
		die("setuid");
	for (int i = 0; i < processes; i++) {
		pid_t child = argc == 6 ? vfork() : fork();
		int status;

		if (child < 0)
			die("fork");
		if (child == 0) {
			if (argc > 6) {
				move_into(argv[6], i);
				if (setuid(user) != 0)
					_exit(5);
			}
			int fd = socket(address.ss_family, SOCK_DGRAM, 0);
			for (int n = 0; n < queries; n++)
				if (sendto(fd, query.bytes, query.length, 0, (struct sockaddr *)&address, length) < 0)
					_exit(6);
			_exit(0);
		}
		waitpid(child, &status, 0);
		failed = failed + (status != 0);
		if (argc > 6) {
			group_path(path, sizeof path, argv[6], i, "");
			rmdir(path);
		}
	}
	printf("{\"processes\":%d,\"sent\":%lld,\"failed\":%d,\"seconds\":%.3f}\n", processes,
	       (long long)(processes - failed) * queries, failed, now() - start);
	return 0;
}
