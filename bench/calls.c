/*
 * What one system call costs, as the caller sees it.
 *
 *     calls send PORT COUNT ROUNDS      send on a UDP socket connected to 127.0.0.1:PORT
 *     calls sendto PORT COUNT ROUNDS    sendto on an unconnected one
 *     calls getpgid COUNT ROUNDS        a call that nobody traces
 *
 * The receiving socket is this program's own and is never read: once its small buffer is full every datagram takes the same way.
 * The payload is a DNS query. Prints one line of JSON: {"ns":[...],"ticks":[...]}, per round the mean time of a call in ns and the
 * median of its time-stamp counter ticks. Under qemu -icount shift=0 a tick is an instruction, and the median holds
 * neither timer interrupts nor other tasks.
 */
#define _GNU_SOURCE
#include "../test/clients/message.h"
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define WARM_UP    200
#define COUNT_MAX  1000000
#define ROUNDS_MAX 1000

enum call { CALL_SEND, CALL_SENDTO, CALL_GETPGID };

static struct sockaddr_in target;
static struct message query;
static int sender = -1;

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void once(enum call call)
{
	switch (call) {
	case CALL_SEND:
		if (send(sender, query.bytes, query.length, 0) < 0)
			die("send");
		break;
	case CALL_SENDTO:
		if (sendto(sender, query.bytes, query.length, 0, (struct sockaddr *)&target, sizeof target) < 0)
			die("sendto");
		break;
	case CALL_GETPGID:
		getpgid(0);
		break;
	}
}

static void prepare(enum call call, int port)
{
	int receiver = socket(AF_INET, SOCK_DGRAM, 0), small = 1;

	target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	if (bind(receiver, (struct sockaddr *)&target, sizeof target) < 0)
		die("bind");
	sender = socket(AF_INET, SOCK_DGRAM, 0);
	if (call == CALL_SEND && connect(sender, (struct sockaddr *)&target, sizeof target) < 0)
		die("connect");
	query = build_query("n00000000.bench.test", 1);
}

static int ascending(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static unsigned long long ticks[COUNT_MAX], medians[ROUNDS_MAX];
	static double means[ROUNDS_MAX];
	enum call call = CALL_GETPGID;
	int next = 2;

	if (argc > 1 && strcmp(argv[1], "getpgid") != 0)
		call = strcmp(argv[1], "sendto") == 0 ? CALL_SENDTO : CALL_SEND;
	if (call != CALL_GETPGID)
		next = 3;
	long count = argc > next ? atol(argv[next]) : 0, rounds = argc > next + 1 ? atol(argv[next + 1]) : 0;
	if (count < 1 || count > COUNT_MAX || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: calls send|sendto PORT COUNT ROUNDS, calls getpgid COUNT ROUNDS\n");
		return 2;
	}
	if (call != CALL_GETPGID)
		prepare(call, atoi(argv[2]));
	for (int i = 0; i < WARM_UP; i++)
		once(call);
	for (long round = 0; round < rounds; round++) {
		long long start = now();
		for (long i = 0; i < count; i++)
			once(call);
		means[round] = (double)(now() - start) / count;
		for (long i = 0; i < count; i++) {
			unsigned long long before = __rdtsc();
			once(call);
			ticks[i] = __rdtsc() - before;
		}
		qsort(ticks, count, sizeof *ticks, ascending);
		medians[round] = ticks[count / 2];
	}
	printf("{\"ns\":[");
	for (long i = 0; i < rounds; i++)
		printf("%s%.1f", i ? "," : "", means[i]);
	printf("],\"ticks\":[");
	for (long i = 0; i < rounds; i++)
		printf("%s%llu", i ? "," : "", medians[i]);
	printf("]}\n");
	return 0;
}
