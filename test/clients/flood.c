/*
 * Sends DNS queries as fast as asked with sendmmsg and counts what the kernel took. Answers are not read.
 *
 *     flood ADDRESS PORT RATE SECONDS [THREADS]
 *
 * RATE is queries a second of all threads together, 0 = no limit. Every query has another name, n00000000.flood.test and so on.
 * Prints one line of JSON: {"pid":P,"sent":N,"failed":N,"seconds":S}.
 */
#define _GNU_SOURCE
#include "message.h"
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64
#define THREADS_MAX 16
#define DIGITS_AT   14 /* after header, label length and the 'n' */
#define DIGITS      8

struct worker {
	pthread_t thread;
	double rate;
	unsigned long long sent, failed;
	uint32_t first; /* of the numbers in the names */
};

static struct sockaddr_storage address;
static socklen_t address_length;
static double seconds;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void number(struct message *m, uint32_t value)
{
	for (int i = DIGITS - 1; i >= 0; i--, value >>= 4)
		m->bytes[DIGITS_AT + i] = "0123456789abcdef"[value & 15];
}

static void *flood(void *argument)
{
	struct worker *w = argument;
	struct message messages[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr headers[BATCH];
	int fd = socket(address.ss_family, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, address_length) < 0)
		die("connect");
	for (int i = 0; i < BATCH; i++) {
		messages[i] = build_query("n00000000.flood.test", i);
		iov[i] = (struct iovec){messages[i].bytes, messages[i].length};
		headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	double start = now();
	for (uint32_t n = w->first;; n += BATCH) {
		double elapsed = now() - start;
		if (elapsed >= seconds)
			break;
		double ahead = w->rate > 0 ? w->sent / w->rate - elapsed : 0;
		if (ahead > 0) {
			struct timespec pause = {.tv_nsec = ahead < 0.01 ? ahead * 1e9 : 10000000};
			nanosleep(&pause, NULL);
			n -= BATCH;
			continue;
		}
		for (int i = 0; i < BATCH; i++) {
			number(&messages[i], n + i);
			messages[i].bytes[0] = (n + i) >> 8;
			messages[i].bytes[1] = n + i;
		}
		int did = sendmmsg(fd, headers, BATCH, 0);
		if (did < 0)
			w->failed++;
		else
			w->sent += did;
	}
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	int threads = argc > 5 ? atoi(argv[5]) : 1;
	unsigned long long sent = 0, failed = 0;

	if (argc < 5 || threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: flood ADDRESS PORT RATE SECONDS [THREADS]\n");
		return 2;
	}
	address_length = parse_address(argv[1], atoi(argv[2]), &address);
	seconds = atof(argv[4]);
	double start = now();
	for (int i = 0; i < threads; i++) {
		workers[i].rate = atof(argv[3]) / threads;
		workers[i].first = i * (UINT32_MAX / threads);
		if (pthread_create(&workers[i].thread, NULL, flood, &workers[i]) != 0)
			die("pthread_create");
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		sent += workers[i].sent;
		failed += workers[i].failed;
	}
	printf("{\"pid\":%d,\"sent\":%llu,\"failed\":%llu,\"seconds\":%.3f}\n", getpid(), sent, failed, now() - start);
	return 0;
}
