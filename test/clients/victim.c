/*
 * Someone who looks a name up now and then, from a new socket each time, while others attack:
 *
 *     victim ADDRESS PORT COUNT GAP_MS TAG
 *
 * Asks for v0.TAG.victim.test, v1 and so on, GAP_MS apart, and reads every answer. Prints one line of JSON:
 * {"pid":P,"sent":N,"answered":N}. It does not wait for an answer before the next question.
 */
#define _GNU_SOURCE
#include "message.h"
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 4096
#define PATIENCE  5.0

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static struct pollfd open[COUNT_MAX];
	struct sockaddr_storage address;
	socklen_t length;
	int count, sent = 0, answered = 0;
	double gap, start = now(), last = 0;

	if (argc < 6 || atoi(argv[3]) > COUNT_MAX) {
		fprintf(stderr, "usage: victim ADDRESS PORT COUNT GAP_MS TAG\n");
		return 2;
	}
	length = parse_address(argv[1], atoi(argv[2]), &address);
	count = atoi(argv[3]);
	gap = atof(argv[4]) / 1000;
	while (answered < count && (sent < count || now() - last < PATIENCE)) {
		double due = start + sent * gap - now();

		if (sent < count && due <= 0) {
			char name[128];
			snprintf(name, sizeof name, "v%d.%s.victim.test", sent, argv[5]);
			struct message query = build_query(name, sent);
			int fd = socket(address.ss_family, SOCK_DGRAM, 0);

			if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) != 0 ||
			    send(fd, query.bytes, query.length, 0) < 0)
				die("send");
			open[sent++] = (struct pollfd){.fd = fd, .events = POLLIN};
			last = now();
			continue;
		}
		if (poll(open, sent, sent < count ? (due > 0.001 ? due * 1000 : 1) : 100) <= 0)
			continue;
		for (int i = 0; i < sent; i++) {
			char bytes[512];

			if (open[i].fd < 0 || !open[i].revents)
				continue;
			if (recv(open[i].fd, bytes, sizeof bytes, 0) > 0)
				answered++;
			close(open[i].fd);
			open[i].fd = -1;
		}
	}
	printf("{\"pid\":%d,\"sent\":%d,\"answered\":%d}\n", getpid(), sent, answered);
	return 0;
}
