/*
 * The floor: the least that user space must do with the agent's own BPF object. Loads the programs of one hook family,
 * takes every record out of the ring every 5 ms, reads the question's name and counts.
 *
 *     consumer OBJECT FAMILY [idle [on|metrics|off]]
 *
 * `idle` attaches and never touches the ring: for counting the kernel's instructions; with a level, visibility is enforced and
 * everybody is at that level. Prints "ready" and, when ended by
 * SIGTERM or SIGINT, one line of JSON: {"requests":N,"responses":N,"processes":N,"nameBytes":N,"lost":N}.
 */
#define _GNU_SOURCE
#include "../bpf/event.h"
#include "../test/bpf/object.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_NS 5000000
#define DNS_HEADER  12
#define CPUS_MAX    1024

static volatile sig_atomic_t ended;
static unsigned long long requests, responses, processes, name_bytes;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static int take(void *context, void *data, size_t size)
{
	const struct event_header *header = data;
	const struct message_event *m = data;
	const __u8 *payload = (const __u8 *)(m + 1), *end = (const __u8 *)data + header->size;

	(void)context;
	if (size < sizeof *header)
		return 0;
	if (header->kind != EVENT_MESSAGE) {
		processes += header->kind == EVENT_PROCESS;
		return 0;
	}
	if (m->flags & MESSAGE_ADDRESSES)
		payload += sizeof(struct message_addresses);
	if (m->direction == DIRECTION_REQUEST)
		requests++;
	else
		responses++;
	for (payload += DNS_HEADER; payload < end && *payload != 0 && *payload < 64; payload += *payload + 1)
		name_bytes += *payload;
	return 0;
}

static unsigned long long sum(struct bpf_object *object, const char *name, __u32 index)
{
	__u64 values[CPUS_MAX] = {};
	unsigned long long total = 0;
	int cpus = libbpf_num_possible_cpus();
	int fd = bpf_object__find_map_fd_by_name(object, name);

	if (fd < 0 || cpus > CPUS_MAX || bpf_map_lookup_elem(fd, &index, values) != 0)
		fail(name);
	for (int i = 0; i < cpus; i++)
		total += values[i];
	return total;
}

/* Sets a 32-bit variable of .rodata, where the object has it. */
static void set_number(struct bpf_object *object, const char *variable_name, __u32 number)
{
	const struct btf *types = bpf_object__btf(object);
	int id = btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
	if (id < 0)
		return;
	const struct btf_type *section = btf__type_by_id(types, id);
	const struct btf_var_secinfo *variable = btf_var_secinfos(section);
	struct bpf_map *map;
	char *data = NULL;
	size_t size;

	/* Strings have a map of their own, .rodata.str1.1. */
	bpf_object__for_each_map(map, object)
	{
		const char *name = strstr(bpf_map__name(map), ".rodata");
		if (name && strcmp(name, ".rodata") == 0)
			data = (char *)bpf_map__initial_value(map, &size);
	}
	for (int i = 0; data && i < btf_vlen(section); i++) {
		const struct btf_type *type = btf__type_by_id(types, variable[i].type);
		if (strcmp(btf__name_by_offset(types, type->name_off), variable_name) == 0)
			memcpy(data + variable[i].offset, &number, sizeof number);
	}
}

/* The level of the root group, which is everybody's. */
static void set_level(struct bpf_object *object, const char *level)
{
	__u64 root = 1; /* fs/kernfs: the root's inode number */
	__u32 value = strcmp(level, "off") == 0       ? VISIBILITY_OFF
		      : strcmp(level, "metrics") == 0 ? VISIBILITY_METRICS
						      : VISIBILITY_ON;

	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "visibility"), &root, &value, BPF_ANY) != 0)
		fail("visibility");
}

static void attach(struct bpf_object *object, const char *family, const char *level)
{
	struct bpf_program *program;
	size_t length = strlen(family);
	int wanted = 0;

	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);
		bool on = strncmp(name, family, length) == 0 && name[length] == '_';
		bpf_program__set_autoload(program, on);
		wanted += on;
	}
	if (wanted == 0) {
		fprintf(stderr, "the object has no programs of family %s\n", family);
		exit(1);
	}
	if (level)
		set_number(object, "visibility_enforced", 1);
	if (bpf_object__load(object) != 0)
		fail("load");
	if (level)
		set_level(object, level);
	bpf_object__for_each_program(program,
				     object) if (bpf_program__autoload(program) && !bpf_program__attach(program))
	    fail(bpf_program__name(program));
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: consumer OBJECT FAMILY [idle [on|metrics|off]]\n");
		return 2;
	}
	bool idle = argc > 3 && strcmp(argv[3], "idle") == 0;
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "dns");
	struct btf *kernel = btf__load_vmlinux_btf();
	struct bpf_object *object = open_object(argv[1], kernel, &options);
	btf__free(kernel);
	if (!object)
		fail("open");
	if (!idle) /* what it can do, not what one workload may */
		set_number(object, "share_rate", 0);
	attach(object, argv[2], argc > 4 ? argv[4] : NULL);
	struct ring_buffer *ring =
	    ring_buffer__new(bpf_object__find_map_fd_by_name(object, "events"), take, NULL, NULL);
	if (!ring)
		fail("ring");
	struct sigaction action = {.sa_handler = end};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	puts("ready");
	fflush(stdout);
	while (!ended) {
		struct timespec pause = {.tv_nsec = INTERVAL_NS};
		if (idle) {
			sleep(1);
			continue;
		}
		nanosleep(&pause, NULL);
		ring_buffer__consume(ring);
	}
	if (!idle)
		ring_buffer__consume(ring);
	printf("{\"requests\":%llu,\"responses\":%llu,\"processes\":%llu,\"nameBytes\":%llu,\"lost\":%llu}\n", requests,
	       responses, processes, name_bytes, sum(object, "drops", DROP_RING_FULL));
	return 0;
}
