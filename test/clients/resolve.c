/* getaddrinfo for each name of the command line; built with musl-gcc -static it is musl's own resolver. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *a;
		char address[64];
		int error = getaddrinfo(argv[i], NULL, &hints, &found);
		if (error) {
			printf("%s: %s\n", argv[i], gai_strerror(error));
			continue;
		}
		for (a = found; a; a = a->ai_next)
			if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) ==
			    0)
				printf("%s %s\n", argv[i], address);
		freeaddrinfo(found);
	}
	return 0;
}
