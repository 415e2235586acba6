/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel programs without anything of the agent around them: loads build/dns.bpf.o with one hook family and prints
 * each ring record as a line of JSON, or only counts. For the tests of bpf/, and as the bare C consumer of the same ring
 * that the benchmarks compare the agent with.
 *
 *   loader OBJECT FAMILY [--count] [--seconds N] [--limit BYTES] [--ring BYTES] [--port P]... [--rate N] [--self PID]
 *          [--connections] [--exits] [--trace] [--level CGROUP=LEVEL]... [--taken N] [--load] [--verbose]
 *
 * With --load it says "loaded" on stderr as soon as the verifier took everything, attaches nothing and ends. Else it
 * writes "ready" to stderr when attached, ends on SIGINT, SIGTERM or end of stdin (not with --seconds), and then writes
 * counters, drops and processes as a last line each.
 */
#include "../../bpf/event.h"
#include "object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;
static bool verbose, count_only, connections, load_only, exits, redirects;
static unsigned long long records, bytes;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static int log_line(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_DEBUG && !verbose)
		return 0;
	return vfprintf(stderr, format, arguments);
}

static void print_string(const char *text, size_t most)
{
	putchar('"');
	for (size_t i = 0; i < most && text[i]; i++) {
		unsigned char c = text[i];
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_address(const void *address)
{
	char text[INET6_ADDRSTRLEN];
	printf("\"%s\"", inet_ntop(AF_INET6, address, text, sizeof(text)));
}

/* Network order; `ipv6` NULL: the other. */
static void print_either(__u32 ipv4, const void *ipv6)
{
	__u32 mapped[4] = {0, 0, htonl(0xffff), ipv4};

	print_address(ipv6 ? ipv6 : mapped);
}

/* Components leaf first, each NUL-terminated, as a path from the root. */
static void print_path(const char *components, size_t length)
{
	char path[2 * PATH_BYTES + 2];
	size_t at = sizeof(path) - 1;

	path[at] = 0;
	for (size_t start = 0; start < length;) {
		size_t size = strnlen(components + start, length - start);
		if (at < size + 1)
			break;
		at -= size;
		memcpy(path + at, components + start, size);
		path[--at] = '/';
		start += size + 1;
	}
	print_string(path + at, sizeof(path) - at);
}

/* By id: what the ring has told of owners. */
static struct owner owners[OWNER_SLOTS];

static void keep_owner(const struct owner_event *event)
{
	owners[event->owner.id % OWNER_SLOTS] = event->owner;
}

static void print_owner(__u32 id)
{
	static const struct owner unknown;
	const struct owner *owner = &owners[id % OWNER_SLOTS];

	if (id && owner->id != id) {
		fprintf(stderr, "owner %u was not told\n", id);
		exit(3);
	}
	if (!id)
		owner = &unknown;
	printf("{\"id\":%u,\"tgid\":%u,\"tid\":%u,\"ppid\":%u,\"vpid\":%u,\"uid\":%u,\"gid\":%u,\"pid_ns\":%u,\"mnt_"
	       "ns\":%u,"
	       "\"net_ns\":%u,"
	       "\"start_time\":\"%llu\",\"cgroup_id\":\"%llu\",\"comm\":",
	       id, owner->tgid, owner->tid, owner->ppid, owner->vpid, owner->uid, owner->gid, owner->pid_ns,
	       owner->mnt_ns, owner->net_ns, owner->start_time, owner->cgroup_id);
	print_string(owner->comm, COMM_LEN);
	printf(",\"leader\":");
	print_string(owner->leader_comm, COMM_LEN);
	putchar('}');
}

static void print_message(const struct message_event *event)
{
	static const struct message_addresses unspecified;
	const struct message_addresses *addresses = NULL;
	const struct trace_context *trace = NULL;
	const unsigned char *payload = (const unsigned char *)(event + 1);
	__u32 captured;

	if (event->flags & MESSAGE_ADDRESSES) {
		addresses = (const struct message_addresses *)payload;
		payload += sizeof(*addresses);
	}
	if (event->flags & MESSAGE_TRACE) {
		trace = (const struct trace_context *)payload;
		payload += sizeof(*trace);
	}
	captured = event->header.size - (payload - (const unsigned char *)event);
	printf("{\"kind\":\"message\",\"time\":\"%llu\",\"hook\":%u,\"direction\":\"%s\",\"protocol\":%u,\"family\":%u,"
	       "\"flags\":%u,"
	       "\"socket\":\"%llu\",\"local\":",
	       event->header.time, event->header.hook, event->direction == DIRECTION_REQUEST ? "request" : "response",
	       event->protocol, event->family, event->flags, event->socket);
	print_either(event->local_ipv4, addresses ? addresses->local_address : NULL);
	printf(",\"local_port\":%u,\"remote\":", event->local_port);
	print_either(event->remote_ipv4, addresses ? addresses->remote_address : NULL);
	printf(",\"remote_port\":%u,\"dialed\":", event->remote_port);
	print_address(addresses ? addresses->dialed_address : unspecified.dialed_address);
	printf(",\"dialed_port\":%u,\"sequence\":%u,\"net_ns\":%u,\"interface\":%u,\"length\":%u,\"captured\":%u,"
	       "\"owner\":",
	       event->dialed_port, event->sequence, event->net_ns, event->interface, event->length, captured);
	print_owner(event->owner_id);
	if (trace) {
		printf(",\"valid\":%u,\"span\":\"", trace->valid);
		for (__u32 i = 0; i < sizeof(trace->span_id); i++)
			printf("%02x", trace->span_id[i]);
		putchar('"');
	}
	printf(",\"payload\":\"");
	for (__u32 i = 0; i < captured; i++)
		printf("%02x", payload[i]);
	printf("\"}\n");
}

static void print_strings(const char *at, size_t bytes)
{
	for (size_t start = 0; start < bytes;) {
		size_t size = strnlen(at + start, bytes - start);
		if (start)
			putchar(',');
		print_string(at + start, size);
		start += size + 1;
	}
}

static void print_process(const struct process_event *event)
{
	const char *at = (const char *)(event + 1);

	printf("{\"kind\":\"process\",\"flags\":%u,\"tty\":%u,\"inode\":\"%llu\",\"exe\":", event->flags, event->tty,
	       event->exe_inode);
	print_path(at, event->exe_bytes);
	at += event->exe_bytes;
	printf(",\"args_length\":%u,\"args\":[", event->args_length);
	print_strings(at, event->args_bytes);
	at += event->args_bytes;
	printf("],\"cwd\":");
	print_path(at, event->cwd_bytes);
	at += event->cwd_bytes;
	printf(",\"cgroup\":");
	print_path(at, event->cgroup_bytes);
	at += event->cgroup_bytes;
	printf(",\"environment\":[");
	print_strings(at, event->environment_bytes);
	printf("],\"parent\":");
	print_string(event->parent_comm, COMM_LEN);
	printf(",\"owner\":");
	print_owner(event->owner_id);
	printf("}\n");
}

static void print_connection(const struct connection_event *event)
{
	const struct connection_addresses *addresses = event->family == 4 ? NULL : (const void *)(event + 1);

	printf("{\"kind\":\"connection\",\"time\":\"%llu\",\"flags\":%u,\"family\":%u,\"socket\":\"%llu\",\"local\":",
	       event->header.time, event->flags, event->family, event->socket);
	print_either(event->local_ipv4, addresses ? addresses->local_address : NULL);
	printf(",\"local_port\":%u,\"remote\":", event->local_port);
	print_either(event->remote_ipv4, addresses ? addresses->remote_address : NULL);
	printf(",\"remote_port\":%u,\"net_ns\":%u,\"owner\":", event->remote_port, event->net_ns);
	print_owner(event->owner_id);
	printf("}\n");
}

static void print_exit(const struct exit_event *event)
{
	printf("{\"kind\":\"exit\",\"tgid\":%u,\"start_time\":\"%llu\",\"udp\":%llu,\"tcp\":%llu,\"bytes\":%llu,"
	       "\"exited\":%u}\n",
	       event->process.tgid, event->process.start_time, event->counted.udp_requests, event->counted.tcp_requests,
	       event->counted.request_bytes, event->counted.exited);
}

static int on_record(void *context, void *data, size_t size)
{
	const struct event_header *header = data;

	(void)context;
	records += header->kind != EVENT_OWNER;
	bytes += size;
	if (header->size > size || (header->kind == EVENT_PROCESS && header->size != size)) {
		fprintf(stderr, "record of %zu bytes says %u\n", size, header->size);
		exit(3);
	}
	if (count_only)
		return 0;
	if (header->kind == EVENT_OWNER)
		keep_owner(data);
	else if (header->kind == EVENT_MESSAGE)
		print_message(data);
	else if (header->kind == EVENT_PROCESS)
		print_process(data);
	else if (header->kind == EVENT_CONNECTION)
		print_connection(data);
	else if (header->kind == EVENT_EXIT)
		print_exit(data);
	else
		exit(3);
	return 0;
}

static bool has_target(const struct btf *btf, const char *section)
{
	char name[128];
	const char *target = strrchr(section, '/');

	if (!target)
		return true;
	if (strncmp(section, "tp_btf/", 7) == 0) {
		snprintf(name, sizeof(name), "btf_trace_%s", target + 1);
		return btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) > 0;
	}
	if (strncmp(section, "fentry/", 7) == 0 || strncmp(section, "fexit/", 6) == 0 ||
	    strncmp(target, "/__cgroup_bpf_", 14) == 0)
		return btf__find_by_name_kind(btf, target + 1, BTF_KIND_FUNC) > 0;
	return true;
}

/* Writes a `const volatile` variable before the load. */
static void set_knob(struct bpf_object *object, const char *name, const void *value, size_t size)
{
	struct btf *btf = bpf_object__btf(object);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = btf__type_by_id(btf, id);
	const struct btf_var_secinfo *variable = btf_var_secinfos(section);
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		size_t room;
		char *data = NULL;
		if (strstr(bpf_map__name(map), ".rodata"))
			data = (char *)bpf_map__initial_value(map, &room);
		for (int i = 0; data && i < btf_vlen(section); i++) {
			const struct btf_type *type = btf__type_by_id(btf, variable[i].type);
			if (strcmp(btf__name_by_offset(btf, type->name_off), name) == 0 && size <= variable[i].size) {
				memcpy(data + variable[i].offset, value, size);
				return;
			}
		}
	}
	fprintf(stderr, "no knob %s\n", name);
	exit(2);
}

static void print_sums(struct bpf_object *object, const char *name, __u32 entries)
{
	int cpus = libbpf_num_possible_cpus();
	int fd = bpf_object__find_map_fd_by_name(object, name);
	__u64 values[cpus];

	printf("{\"kind\":\"%s\",\"values\":[", name);
	for (__u32 i = 0; i < entries; i++) {
		unsigned long long sum = 0;
		if (bpf_map_lookup_elem(fd, &i, values) == 0)
			for (int cpu = 0; cpu < cpus; cpu++)
				sum += values[cpu];
		printf("%s%llu", i ? "," : "", sum);
	}
	printf("]}\n");
}

static void print_processes(struct bpf_object *object)
{
	int fd = bpf_object__find_map_fd_by_name(object, "processes");
	struct process_key key, next, *previous = NULL;
	struct process_value value;

	printf("{\"kind\":\"processes\",\"values\":[");
	while (bpf_map_get_next_key(fd, previous, &next) == 0) {
		if (bpf_map_lookup_elem(fd, &next, &value) == 0)
			printf("%s{\"tgid\":%u,\"start_time\":\"%llu\",\"udp\":%llu,\"tcp\":%llu,\"bytes\":%llu}",
			       previous ? "," : "", next.tgid, next.start_time, value.udp_requests, value.tcp_requests,
			       value.request_bytes);
		key = next;
		previous = &key;
	}
	printf("]}\n");
}

static struct {
	__u64 cgroup;
	__u32 level;
} levels[16];
static int level_count;

/* CGROUP=LEVEL: what holds at a control group, enum visibility_level. */
static bool add_level(const char *text)
{
	unsigned long long cgroup;

	if (level_count == 16 || sscanf(text, "%llu=%u", &cgroup, &levels[level_count].level) != 2)
		return false;
	levels[level_count++].cgroup = cgroup;
	return true;
}

static void write_levels(struct bpf_object *object)
{
	int fd = bpf_object__find_map_fd_by_name(object, "visibility");

	for (int i = 0; i < level_count; i++)
		if (bpf_map_update_elem(fd, &levels[i].cgroup, &levels[i].level, BPF_ANY)) {
			fprintf(stderr, "cannot set a level: %s\n", strerror(errno));
			exit(1);
		}
}

/* As if programs that were preempted had the first places where a process record is put together (bpf/maps.h). */
static void take_scratches(struct bpf_object *object, __u32 places)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, "process_scratch");
	size_t size = bpf_map__value_size(map);
	int cpus = libbpf_num_possible_cpus();
	char *values = calloc(cpus, size);

	for (int cpu = 0; cpu < cpus; cpu++)
		values[(cpu + 1) * size - sizeof(__u64)] = 1; /* claims */
	for (__u32 i = 0; i < places; i++)
		if (bpf_map_update_elem(bpf_map__fd(map), &i, values, BPF_ANY)) {
			fprintf(stderr, "cannot take place %u: %s\n", i, strerror(errno));
			exit(1);
		}
	free(values);
}

int main(int argc, char **argv)
{
	struct bpf_program *program;
	struct bpf_object *object;
	struct ring_buffer *ring;
	struct btf *btf;
	__u16 ports[4] = {53};
	__u32 port_count = 0, rate = 0, limit = 65535, ring_bytes = 16 << 20, self = 0, taken = 0;
	__u64 wakeup, trace = 0;
	double seconds = 0;
	struct bpf_link *links[32];
	int attached = 0;
	struct timespec start, now;

	if (argc < 3) {
		fprintf(stderr, "usage: loader OBJECT FAMILY [options]\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--count") == 0)
			count_only = true;
		else if (strcmp(argv[i], "--connections") == 0)
			connections = true;
		else if (strcmp(argv[i], "--load") == 0)
			load_only = true;
		else if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--trace") == 0)
			trace = sizeof(struct trace_context);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = atof(argv[++i]);
		else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc)
			limit = atoi(argv[++i]);
		else if (strcmp(argv[i], "--ring") == 0 && i + 1 < argc)
			ring_bytes = atoi(argv[++i]);
		else if (strcmp(argv[i], "--rate") == 0 && i + 1 < argc)
			rate = atoi(argv[++i]);
		else if (strcmp(argv[i], "--self") == 0 && i + 1 < argc)
			self = atoi(argv[++i]);
		else if (strcmp(argv[i], "--redirects") == 0)
			redirects = true;
		else if (strcmp(argv[i], "--exits") == 0)
			exits = true;
		else if (strcmp(argv[i], "--taken") == 0 && i + 1 < argc)
			taken = atoi(argv[++i]);
		else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc && port_count < 4)
			ports[port_count++] = atoi(argv[++i]);
		else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc && add_level(argv[i + 1]))
			i++;
		else {
			fprintf(stderr, "unknown option %s\n", argv[i]);
			return 2;
		}
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	libbpf_set_print(log_line);
	/* Until 5.10 maps count against this limit. */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
	btf = btf__load_vmlinux_btf();
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "dns",
		    .kernel_log_level = verbose ? 4 : 0); /* 4: the verifier's statistics */
	object = open_object(argv[1], btf, &options);
	if (!object || !btf) {
		fprintf(stderr, "cannot open %s or the kernel's BTF: %s\n", argv[1], strerror(errno));
		return 1;
	}
	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);
		size_t length = strlen(argv[2]);
		bool wanted = strncmp(name, argv[2], length) == 0 && name[length] == '_';
		bool connect = strncmp(name, "connect_", 8) == 0 && strncmp(name + 8, argv[2], length) == 0 &&
			       name[8 + length] == '_';
		bool redirect = strncmp(name, "redirect_", 9) == 0 && strcmp(argv[2], "tracepoint") == 0;
		bool load = (wanted || (connections && connect) || ((load_only || redirects) && redirect) ||
			     ((load_only || exits) && strncmp(name, "exit_", 5) == 0)) &&
			    has_target(btf, bpf_program__section_name(program));
		bpf_program__set_autoload(program, load);
	}
	if (port_count) {
		set_knob(object, "dns_ports", ports, sizeof(ports));
		set_knob(object, "dns_port_count", &port_count, sizeof(port_count));
	}
	set_knob(object, "share_rate", &rate, sizeof(rate));
	set_knob(object, "payload_limit", &limit, sizeof(limit));
	set_knob(object, "trace_bytes", &trace, sizeof(trace));
	wakeup = ring_bytes / 4;
	set_knob(object, "wakeup_bytes", &wakeup, sizeof(wakeup));
	if (level_count) {
		__u32 one = 1;

		set_knob(object, "visibility_enforced", &one, sizeof(one));
	}
	if (self) {
		struct stat status;
		__u32 inode;

		if (stat("/proc/self/ns/pid", &status))
			return 1;
		inode = status.st_ino;
		set_knob(object, "self_pid_ns", &inode, sizeof(inode));
		set_knob(object, "self_vpid", &self, sizeof(self));
	}
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "events"), ring_bytes);
	if (bpf_object__load(object)) {
		fprintf(stderr, "cannot load: %s\n", strerror(errno));
		return 1;
	}
	if (load_only) {
		fprintf(stderr, "loaded\n");
		return 0;
	}
	write_levels(object);
	if (taken)
		take_scratches(object, taken);
	bpf_object__for_each_program(program, object)
	{
		if (!bpf_program__autoload(program) || strcmp(bpf_program__section_name(program), "raw_tp") == 0)
			continue;
		links[attached] = bpf_program__attach(program);
		if (!links[attached]) {
			fprintf(stderr, "cannot attach %s: %s\n", bpf_program__name(program), strerror(errno));
			return 1;
		}
		attached++;
	}
	if (!attached) {
		fprintf(stderr, "no program of family %s\n", argv[2]);
		return 1;
	}
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "events"), on_record, NULL, NULL);
	if (!ring)
		return 1;
	fprintf(stderr, "ready\n");
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!stop) {
		struct pollfd input = {.fd = 0, .events = POLLIN};
		char waste[64];

		/* No wake-ups: the ring is looked at every 5 ms. */
		if (poll(&input, seconds ? 0 : 1, 5) > 0 && read(0, waste, sizeof(waste)) <= 0)
			break;
		ring_buffer__consume(ring);
		fflush(stdout);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (seconds && now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 >= seconds)
			break;
	}
	for (int i = 0; i < attached; i++)
		bpf_link__destroy(links[i]);
	usleep(50000); /* for programs that still run: afterwards ring and counters stand still */
	ring_buffer__consume(ring);
	print_sums(object, "counters", COUNTER_MAX);
	print_sums(object, "drops", DROP_REASON_MAX);
	print_processes(object);
	printf("{\"kind\":\"total\",\"records\":%llu,\"bytes\":%llu}\n", records, bytes);
	ring_buffer__free(ring);
	bpf_object__close(object);
	btf__free(btf);
	return 0;
}
