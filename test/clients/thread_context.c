/*
 * Publishes thread contexts (OTEP 4947), well or badly, and asks:
 *
 *     thread_context PAYLOAD [LIBRARY]
 *
 * PAYLOAD: the process context, hexadecimal. LIBRARY: loaded while the threads run already, has the variable; without it the
 * variable is the executable's or of a library it is linked with.
 *
 * Prints "ready", then obeys each line of its standard input: "THREAD SERVER NAME HOW IDS". The thread (0 to 2, 0 is the first
 * of the process) attaches a record with IDS (48 hexadecimal digits) and sends a query from inside; prints "NAME" when done. HOW:
 * good; untouched (the thread does not even reach for the variable), detached (no record), invalid (valid 0), other (valid 2), unmapped (pointer to nothing), edge (the record ends where the
 * memory ends), beyond (the same but two bytes too late), huge (says it has 65535 bytes of attributes).
 */
#define _GNU_SOURCE
#include "publish.h"
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>

#define THREADS     3
#define PAYLOAD_MAX 4096

struct record {
	uint8_t ids[24];
	uint8_t valid;
	uint8_t flags;
	uint16_t attributes;
};
_Static_assert(sizeof(struct record) == 28, "as in the OTEP");

#ifdef LOADED
static void (*attach)(void *);
#else
void attach(void *record);
#endif

static char command[THREADS][400];
static pthread_barrier_t turn, done;
static int whose;

/* The last `bytes` bytes before memory that is not there. */
static void *last_bytes(size_t bytes)
{
	uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || munmap(pages + 4096, 4096))
		die("mmap");
	return pages + 4096 - bytes;
}

static void *record_of(const char *how, const char *ids)
{
	struct record record = {.valid = 1, .flags = 1};
	size_t room = !strcmp(how, "edge") ? 26 : !strcmp(how, "beyond") ? 24 : sizeof record;
	void *at = last_bytes(room);

	for (int i = 0; i < 24; i++)
		sscanf(ids + 2 * i, "%2hhx", &record.ids[i]);
	if (!strcmp(how, "invalid"))
		record.valid = 0;
	if (!strcmp(how, "other"))
		record.valid = 2;
	if (!strcmp(how, "huge"))
		record.attributes = 65535;
	memcpy(at, &record, room);
	if (!strcmp(how, "detached"))
		return NULL;
	return !strcmp(how, "unmapped") ? (void *)0x10 : at;
}

static void ask(const char *server, const char *name)
{
	struct message m = build_query(name, 0x4947);
	struct sockaddr_storage address;
	socklen_t length = parse_address(server, 53, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0);
	struct pollfd answer = {.fd = fd, .events = POLLIN};

	if (fd < 0 || sendto(fd, m.bytes, m.length, 0, (void *)&address, length) != (ssize_t)m.length)
		die("sendto");
	if (poll(&answer, 1, 2000) == 1)
		recv(fd, m.bytes, sizeof m.bytes, 0);
	close(fd);
}

static void obey(const char *line)
{
	char server[64], name[300], how[16], ids[64];

	if (sscanf(line, "%*d %63s %299s %15s %63s", server, name, how, ids) != 4 || strlen(ids) != 48)
		die(line);
	if (strcmp(how, "untouched"))
		attach(record_of(how, ids));
	ask(server, name);
	/* Stays attached: the next query of another thread must not get it. */
	puts(name);
	fflush(stdout);
}

static void *serve(void *number)
{
	for (;;) {
		pthread_barrier_wait(&turn);
		if (whose == (int)(intptr_t)number)
			obey(command[whose]);
		pthread_barrier_wait(&done);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	/* On the heap, as publishers have it: readers need not follow a pointer into a file's mapping. */
	uint8_t *payload = malloc(PAYLOAD_MAX);
	struct header *header;
	pthread_t thread;
	size_t length = 0;
	char line[400];

	if (argc < 2 || !payload)
		return 2;
	for (const char *at = argv[1]; length < PAYLOAD_MAX && sscanf(at, "%2hhx", &payload[length]) == 1; at += 2)
		length++;
	pthread_barrier_init(&turn, NULL, THREADS);
	pthread_barrier_init(&done, NULL, THREADS);
	for (intptr_t i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, serve, (void *)i))
			die("pthread_create");
#ifdef LOADED
	void *library = dlopen(argv[2], RTLD_NOW);

	attach = library ? (void (*)(void *))dlsym(library, "attach") : NULL;
	if (!attach) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
#endif
	header = map_header("memfd");
	*header = (struct header){.signature = "OTEL_CTX", .version = 2};
	publish(header, payload, length);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		whose = atoi(line) % THREADS;
		memcpy(command[whose], line, sizeof line);
		pthread_barrier_wait(&turn);
		if (whose == 0)
			obey(line);
		pthread_barrier_wait(&done);
	}
	return 0;
}
