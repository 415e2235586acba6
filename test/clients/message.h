/* DNS messages of the test clients: builds a query, reads id and response code of an answer. */
#ifndef WHODNS_TEST_MESSAGE_H
#define WHODNS_TEST_MESSAGE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE_MAX 300
#define TYPE_A      1
#define TYPE_AAAA   28

struct message {
	uint8_t prefix[2]; /* length, network order: what goes before the message on TCP */
	uint8_t bytes[MESSAGE_MAX];
	size_t length;
};

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/* "name" or "name/AAAA", in presentation form without escapes; asks with recursion desired, class IN. */
static inline struct message build_query(const char *spec, uint16_t id)
{
	struct message m = {.bytes = {id >> 8, id & 0xff, 1, 0, 0, 1}};
	const char *slash = strchr(spec, '/');
	const char *end = slash ? slash : spec + strlen(spec);
	uint8_t *out = m.bytes + 12;

	for (const char *label = spec; label < end;) {
		const char *dot = memchr(label, '.', end - label);
		size_t n = (dot ? dot : end) - label;
		if (n == 0 || n > 63 || out - m.bytes + n > MESSAGE_MAX - 8) {
			fprintf(stderr, "not a name: %s\n", spec);
			exit(2);
		}
		*out++ = n;
		memcpy(out, label, n);
		out += n;
		label += n + 1;
	}
	*out++ = 0;
	*out++ = 0;
	*out++ = slash && strcmp(slash + 1, "AAAA") == 0 ? TYPE_AAAA : TYPE_A;
	*out++ = 0;
	*out++ = 1;
	m.length = out - m.bytes;
	m.prefix[0] = m.length >> 8;
	m.prefix[1] = m.length & 0xff;
	return m;
}

/* An address of either family; "::ffff:127.0.0.1" gives an AF_INET6 socket address, v4-mapped. */
static inline socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return sizeof *v6;
	}
	fprintf(stderr, "not an address: %s\n", text);
	exit(2);
}

#endif
