// SPDX-License-Identifier: Apache-2.0
// A service manager's end of sd_notify(3): prints each datagram that comes to a Unix socket as one line, with `|` for line breaks.
//   notified PATH     (`@name`: abstract)
// It says `listening` first, and ends with its standard input.
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	const size_t length = strlen(argv[1]);
	const int is_abstract = argv[1][0] == '@';
	memcpy(address.sun_path, argv[1], length);
	if (is_abstract)
		address.sun_path[0] = '\0';
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length + !is_abstract) < 0) {
		perror("bind");
		return 1;
	}
	puts("listening");
	fflush(stdout);
	struct pollfd ready[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	for (;;) {
		if (poll(ready, 2, -1) < 0)
			return 1;
		if (ready[1].revents)
			return 0;
		char text[4096];
		const ssize_t size = recv(fd, text, sizeof(text), 0);
		for (ssize_t i = 0; i < size; i++)
			putchar(text[i] == '\n' ? '|' : text[i]);
		putchar('\n');
		fflush(stdout);
	}
}
