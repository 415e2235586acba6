/*
 * Publishes a process context (OTEP 4719), well or badly:
 *
 *     process_context HOW PAYLOAD [OTHER]
 *
 * PAYLOAD is hexadecimal. HOW: memfd+prctl, prctl, memfd (the three forms of the OTEP); busy (time 0), garbage (other
 * signature), version3, huge (payload size 10 MB), outside (payload pointer into nothing), file (payload in a file's
 * mapping), changing (switches between PAYLOAD and OTHER without pause), late (publishes only when told).
 *
 * Prints "ready", then obeys each line of its standard input: "publish HEX" (a new payload), "ask ADDRESS NAME" (a query;
 * prints "PID NAME" first). Ends with its input.
 */
#define _GNU_SOURCE
#include "message.h"
#include "publish.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD_MAX 65536
/* How long a state stays: long enough to be read now and then, short enough to change during many reads. */
#define STATE_NS 30000

struct bytes {
	uint8_t data[PAYLOAD_MAX];
	size_t length;
};

/* On the heap, as publishers have it: readers need not follow a pointer into a file's mapping. */
static struct bytes *first, *second, *shown;

static void from_hex(const char *text, struct bytes *out)
{
	unsigned int byte;

	for (out->length = 0; out->length < PAYLOAD_MAX && sscanf(text, "%2x", &byte) == 1; text += 2)
		out->data[out->length++] = byte;
}

static void spoil(struct header *header, const char *how)
{
	if (!strcmp(how, "busy"))
		header->published_at = 0;
	if (!strcmp(how, "garbage"))
		memcpy(header->signature, "OTEL_XXX", 8);
	if (!strcmp(how, "version3"))
		header->version = 3;
	if (!strcmp(how, "huge"))
		header->payload_size = 10 * 1024 * 1024;
	if (!strcmp(how, "outside"))
		header->payload = 0x10;
	if (!strcmp(how, "file")) {
		int fd = open("/proc/self/exe", O_RDONLY);
		void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map == MAP_FAILED)
			die("mmap of a file");
		header->payload = (uintptr_t)map;
	}
}

static void stay(uint64_t since)
{
	while (now() - since < STATE_NS)
		;
}

/*
 * One payload in place, torn all the time: a reader without care sees half of each. It stays torn as long as whole, for a
 * reader that shares its processor sees it only where it was interrupted.
 */
static void change_for_ever(struct header *header)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	for (unsigned int i = 0;; i++) {
		const struct bytes *next = i % 2 ? second : first;

		__atomic_store_n(&header->published_at, 0, __ATOMIC_SEQ_CST);
		header->payload = (uintptr_t)shown->data;
		header->payload_size = next->length;
		for (size_t k = 0; k < next->length; k++) {
			if (k == next->length / 2)
				stay(now());
			((volatile uint8_t *)shown->data)[k] = next->data[k];
		}
		uint64_t published = now();
		__atomic_store_n(&header->published_at, published, __ATOMIC_SEQ_CST);
		stay(published);
		if (i % 1024 == 0 && poll(&input, 1, 0) > 0)
			return;
	}
}

static void ask(const char *server, const char *name)
{
	struct message m = build_query(name, 0x4719);
	struct sockaddr_storage address;
	socklen_t length = parse_address(server, 53, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0);
	struct pollfd answer = {.fd = fd, .events = POLLIN};

	printf("%d %s\n", getpid(), name);
	fflush(stdout);
	if (fd < 0 || sendto(fd, m.bytes, m.length, 0, (void *)&address, length) != (ssize_t)m.length)
		die("sendto");
	if (poll(&answer, 1, 2000) == 1)
		recv(fd, m.bytes, sizeof m.bytes, 0);
	close(fd);
}

int main(int argc, char **argv)
{
	static char line[2 * PAYLOAD_MAX + 64], server[64], name[300];
	const char *how = argc > 2 ? argv[1] : "";
	struct header *header = NULL;

	if (!*how) {
		fprintf(stderr, "usage: process_context HOW PAYLOAD [OTHER]\n");
		return 2;
	}
	first = malloc(sizeof *first);
	second = malloc(sizeof *second);
	shown = malloc(sizeof *shown);
	if (!first || !second || !shown)
		die("malloc");
	from_hex(argv[2], first);
	if (argc > 3)
		from_hex(argv[3], second);
	if (strcmp(how, "late")) {
		header = map_header(how);
		*header = (struct header){.signature = "OTEL_CTX", .version = 2};
		publish(header, first->data, first->length);
		spoil(header, how);
	}
	puts("ready");
	fflush(stdout);
	if (!strcmp(how, "changing"))
		change_for_ever(header);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "ask %63s %299s", server, name) == 2)
			ask(server, name);
		if (!strncmp(line, "publish ", 8)) {
			from_hex(line + 8, second);
			if (!header) {
				header = map_header("memfd+prctl");
				*header = (struct header){.signature = "OTEL_CTX", .version = 2};
			}
			publish(header, second->data, second->length);
			puts("published");
			fflush(stdout);
		}
	}
	return 0;
}
