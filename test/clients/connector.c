/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks a name up with getaddrinfo and connects, in many ways. Writes the pid that connects, before it does.
 *
 *   connector 4|6|mapped HOST PORT      one connection over IPv4, IPv6, or IPv4 by an IPv6 socket
 *   connector nonblocking HOST PORT     does not wait for the connection, and is gone
 *   connector fork HOST PORT            the parent looks up, a child connects and is gone
 *   connector late HOST PORT MS         connects so long after the answer
 *   connector many HOST PORT COUNT      one lookup, COUNT connections
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "connector: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct addrinfo *look_up(const char *host, const char *port, int family)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *found;
	int error = getaddrinfo(host, port, &hints, &found);

	if (error) {
		fprintf(stderr, "connector: %s: %s\n", host, gai_strerror(error));
		exit(1);
	}
	return found;
}

static void say_pid(void)
{
	printf("%d\n", getpid());
	fflush(stdout);
}

/* Connects and closes. Refused is as good as accepted: the connection was begun. */
static void connect_to(const struct sockaddr *address, socklen_t length, int flags)
{
	int fd = socket(address->sa_family, SOCK_STREAM | flags, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, address, length) && errno != EINPROGRESS && errno != ECONNREFUSED)
		die("connect");
	/* Reset at the end: thousands of connections in TIME_WAIT would use up the ports. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(fd);
}

static void connect_mapped(const struct addrinfo *to)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)to->ai_addr;
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = v4->sin_port};

	mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&mapped.sin6_addr.s6_addr[12], &v4->sin_addr, 4);
	connect_to((const struct sockaddr *)&mapped, sizeof(mapped), 0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";
	struct addrinfo *to;
	int count = 1;

	if (argc < 4) {
		fprintf(stderr, "usage: connector MODE HOST PORT [MS|COUNT]\n");
		return 2;
	}
	to = look_up(argv[2], argv[3], strcmp(mode, "6") == 0 ? AF_INET6 : AF_INET);
	if (strcmp(mode, "fork") == 0) {
		if (fork()) {
			wait(NULL);
			return 0;
		}
		mode = "nonblocking";
	}
	say_pid();
	if (strcmp(mode, "mapped") == 0) {
		connect_mapped(to);
		return 0;
	}
	if (strcmp(mode, "late") == 0 && argc > 4)
		usleep(atoi(argv[4]) * 1000);
	if (strcmp(mode, "many") == 0 && argc > 4)
		count = atoi(argv[4]);
	for (int i = 0; i < count; i++)
		connect_to(to->ai_addr, to->ai_addrlen, strcmp(mode, "nonblocking") == 0 ? SOCK_NONBLOCK : 0);
	if (strcmp(mode, "nonblocking") == 0)
		_exit(0);
	return 0;
}
