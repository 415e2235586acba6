/*
 * Offers DNS load and measures how it is served.
 *
 *     load round-trips ADDRESS PORT COUNT GAP_US     one query after the other, the socket polled; the time of each
 *     load rate ADDRESS PORT RATE SECONDS NAMES SOCKETS   RATE queries a second whatever comes back
 *
 *     load processes ADDRESS PORT COUNT              one query each from COUNT new processes, one after the other
 *
 * GAP_US is the pause between an answer and the next query, spent polling; 0 = none. NAMES is how many different names go round;
 * 0 = every query has a name of its own. Names are n00000000.bench.test and so on, type A. Ports are the kernel's choice.
 * Each prints one line of JSON; times are ns.
 */
#define _GNU_SOURCE
#include "../test/clients/message.h"
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DIGITS_AT     14 /* after header, label length and the 'n' */
#define DIGITS        8
#define SOCKETS_MAX   256
#define BATCH         32
#define TICK_NS       1000000LL
#define LOST_AFTER_NS 100000000LL
#define GRACE_NS      200000000LL

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void number(struct message *m, uint32_t name, uint16_t id)
{
	for (int i = DIGITS - 1; i >= 0; i--, name >>= 4)
		m->bytes[DIGITS_AT + i] = "0123456789abcdef"[name & 15];
	m->bytes[0] = id >> 8;
	m->bytes[1] = id & 0xff;
}

static int open_socket(const char *address, const char *port)
{
	struct sockaddr_storage to;
	socklen_t length = parse_address(address, atoi(port), &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int buffer = 8 << 20;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, length) < 0)
		die("connect");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
	return fd;
}

static int ascending(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;
	return x < y ? -1 : x > y;
}

static int round_trips(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	int fd = open_socket(argv[2], argv[3]);
	long count = atol(argv[4]), lost = 0, got = 0;
	long long gap = atof(argv[5]) * 1000;
	long long *times = malloc(sizeof *times * (count > 0 ? count : 1));
	struct message m = build_query("n00000000.bench.test", 0);
	uint8_t answer[512];

	if (!times || count < 1)
		die("COUNT");
	for (long i = 0; i < count; i++) {
		number(&m, i & 0x3fff, i);
		long long start = now(), end;
		if (send(fd, m.bytes, m.length, 0) < 0)
			die("send");
		for (;;) {
			ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
			end = now();
			if (n >= 12 && answer[0] == m.bytes[0] && answer[1] == m.bytes[1]) {
				times[got++] = end - start;
				break;
			}
			if (end - start > LOST_AFTER_NS) {
				lost++;
				break;
			}
		}
		while (now() - end < gap)
			;
	}
	qsort(times, got, sizeof *times, ascending);
	if (got == 0)
		die("no answer");
	printf("{\"pid\":%d,\"count\":%ld,\"lost\":%ld,\"min\":%lld,\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"p999\":%"
	       "lld,\"max\":%lld}\n",
	       getpid(), got, lost, times[0], times[got / 2], times[got * 9 / 10], times[got * 99 / 100],
	       times[got * 999 / 1000], times[got - 1]);
	return 0;
}

struct rate_run {
	int fds[SOCKETS_MAX];
	int sockets;
	uint32_t names; /* 0 = all different */
	unsigned long long sent, failed, answered;
	struct message messages[BATCH];
};

/* Sends `wanted` queries from one socket with one sendmmsg per BATCH. */
static void send_some(struct rate_run *r, int fd, unsigned long long wanted)
{
	struct iovec iov[BATCH];
	struct mmsghdr headers[BATCH];

	while (wanted > 0) {
		unsigned n = wanted < BATCH ? wanted : BATCH;
		for (unsigned i = 0; i < n; i++) {
			unsigned long long serial = r->sent + i;
			number(&r->messages[i], r->names ? serial % r->names : serial, serial / r->sockets);
			iov[i] = (struct iovec){r->messages[i].bytes, r->messages[i].length};
			headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
		}
		int did = sendmmsg(fd, headers, n, 0);
		if (did < 0) {
			r->failed++;
			return;
		}
		r->sent += did;
		wanted -= did;
	}
}

static void read_answers(struct rate_run *r)
{
	static uint8_t buffers[BATCH][512];
	struct iovec iov[BATCH];
	struct mmsghdr headers[BATCH];

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buffers[i], sizeof buffers[i]};
		headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	for (int s = 0; s < r->sockets; s++)
		for (int n; (n = recvmmsg(r->fds[s], headers, BATCH, MSG_DONTWAIT, NULL)) > 0;)
			r->answered += n;
}

/* Open loop: what is due by the clock is sent at each tick of 1 ms, each tick from the next socket. */
static int rate(int argc, char **argv)
{
	static struct rate_run r;
	double per_second = argc > 4 ? atof(argv[4]) : 0;
	double seconds = argc > 5 ? atof(argv[5]) : 0;

	if (argc < 8 || per_second <= 0 || seconds <= 0)
		return 2;
	r.names = strtoul(argv[6], NULL, 10);
	r.sockets = atoi(argv[7]);
	if (r.sockets < 1 || r.sockets > SOCKETS_MAX)
		return 2;
	for (int i = 0; i < r.sockets; i++)
		r.fds[i] = open_socket(argv[2], argv[3]);
	for (int i = 0; i < BATCH; i++)
		r.messages[i] = build_query("n00000000.bench.test", 0);
	unsigned long long total = per_second * seconds;
	long long start = now(), end;
	for (unsigned tick = 0; r.sent < total; tick++) {
		unsigned long long due = (now() - start) / 1e9 * per_second + 1;
		due = due > total ? total : due;
		if (due > r.sent)
			send_some(&r, r.fds[tick % r.sockets], due - r.sent);
		read_answers(&r);
		struct timespec pause = {.tv_nsec = TICK_NS};
		if ((now() - start) / 1e9 * per_second < r.sent)
			nanosleep(&pause, NULL);
	}
	end = now();
	while (r.answered < r.sent && now() - end < GRACE_NS)
		read_answers(&r);
	printf("{\"pid\":%d,\"sent\":%llu,\"answered\":%llu,\"failed\":%llu,\"seconds\":%.3f}\n", getpid(), r.sent,
	       r.answered, r.failed, (end - start) / 1e9);
	return 0;
}

/* One query and its answer: what `processes` runs. */
static int single(int argc, char **argv)
{
	struct message m = build_query("once.bench.test", getpid());
	uint8_t answer[512];

	if (argc < 4)
		return 2;
	struct pollfd poll_fd = {.fd = open_socket(argv[2], argv[3]), .events = POLLIN};
	if (send(poll_fd.fd, m.bytes, m.length, 0) < 0)
		die("send");
	return poll(&poll_fd, 1, 1000) == 1 && recv(poll_fd.fd, answer, sizeof answer, 0) > 0 ? 0 : 1;
}

static int processes(int argc, char **argv)
{
	long count = argc > 4 ? atol(argv[4]) : 0, failed = 0;
	char *words[] = {argv[0], "single", argv[2], argv[3], NULL};

	if (count < 1)
		return 2;
	for (long i = 0; i < count; i++) {
		pid_t pid;
		int status;
		if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environ) != 0)
			die("posix_spawn");
		if (waitpid(pid, &status, 0) < 0 || status != 0)
			failed++;
	}
	printf("{\"pid\":%d,\"processes\":%ld,\"failed\":%ld}\n", getpid(), count, failed);
	return 0;
}

int main(int argc, char **argv)
{
	int code = 2;

	if (argc > 1 && strcmp(argv[1], "round-trips") == 0)
		code = round_trips(argc, argv);
	else if (argc > 1 && strcmp(argv[1], "rate") == 0)
		code = rate(argc, argv);
	else if (argc > 1 && strcmp(argv[1], "processes") == 0)
		code = processes(argc, argv);
	else if (argc > 1 && strcmp(argv[1], "single") == 0)
		code = single(argc, argv);
	if (code == 2)
		fprintf(stderr, "usage: load round-trips ADDRESS PORT COUNT GAP_US\n"
				"       load rate ADDRESS PORT RATE SECONDS NAMES SOCKETS\n"
				"       load processes ADDRESS PORT COUNT\n");
	return code;
}
