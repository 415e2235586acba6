/*
 * A trivial DNS server that counts: answers every query from a template, fast enough not to be what a test measures.
 *
 *     responder ADDRESS PORT [silent] [spin]
 *
 * A is answered with one address, any other type with no data. `silent` answers nothing. `spin` polls the socket instead of
 * sleeping, so that a round trip holds no wake-up. Prints "ready" and, when ended by SIGTERM or SIGINT, one line of JSON:
 * {"pid":P,"received":N,"answered":N,"dropped":N}; `dropped` is what the kernel lost at the socket (SK_MEMINFO_DROPS), its receive
 * buffer being full.
 */
#define _GNU_SOURCE
#include "message.h"
#include <linux/sock_diag.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#define BATCH          64
#define HEADER         12
#define RECEIVE_BUFFER (64 << 20)
#define ANSWER_BYTES   16

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/* Name pointer to the question (RFC 1035 section 4.1.4), A, IN, TTL 60, 192.0.2.1 (RFC 5737). */
static const uint8_t answer_a[ANSWER_BYTES] = {0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};

/* Turns the query in `m` into its answer in place. Returns its length, 0 if it is not a query with one question. */
static size_t answer(uint8_t *m, size_t length)
{
	size_t at = HEADER;

	if (length < HEADER + 5 || m[2] & 0x80 || m[4] != 0 || m[5] != 1)
		return 0;
	while (at < length && m[at] != 0)
		at += m[at] + 1;
	if (at + 5 > length)
		return 0;
	bool is_a = m[at + 1] == 0 && m[at + 2] == TYPE_A;
	at += 5;
	m[2] = 0x80 | (m[2] & 0x01); /* QR, and RD as asked */
	m[3] = 0x80;                 /* RA, NOERROR */
	memset(m + 6, 0, 6);         /* no other records: an OPT record of the query is cut off */
	if (!is_a)
		return at;
	m[7] = 1;
	memcpy(m + at, answer_a, ANSWER_BYTES);
	return at + ANSWER_BYTES;
}

static struct mmsghdr received[BATCH], answers[BATCH];
static struct iovec receive_iov[BATCH], answer_iov[BATCH];
static struct sockaddr_storage peers[BATCH];
static uint8_t buffers[BATCH][2048];

/*
 * The kernel's count of datagrams that found the receive buffer full, from 0 at the socket's creation. SO_RXQ_OVFL would tell it
 * with a datagram that came after the loss only, so not what the end of a flood cost.
 */
static uint32_t dropped(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof memory;

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0)
		die("SO_MEMINFO");
	return memory[SK_MEMINFO_DROPS];
}

static int receive(int fd, bool spin)
{
	for (int i = 0; i < BATCH; i++) {
		receive_iov[i] = (struct iovec){buffers[i], sizeof buffers[i] - ANSWER_BYTES};
		received[i].msg_hdr = (struct msghdr){
		    .msg_name = &peers[i], .msg_namelen = sizeof peers[i], .msg_iov = &receive_iov[i], .msg_iovlen = 1};
	}
	int n = recvmmsg(fd, received, BATCH, spin ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
	if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ECONNREFUSED)
		die("recvmmsg");
	return n < 0 ? 0 : n;
}

static int answer_all(int fd, int n)
{
	int wanted = 0, sent = 0;

	for (int i = 0; i < n; i++) {
		size_t length = answer(buffers[i], received[i].msg_len);
		if (length == 0)
			continue;
		answer_iov[wanted] = (struct iovec){buffers[i], length};
		answers[wanted].msg_hdr = (struct msghdr){.msg_name = &peers[i],
							  .msg_namelen = received[i].msg_hdr.msg_namelen,
							  .msg_iov = &answer_iov[wanted],
							  .msg_iovlen = 1};
		wanted++;
	}
	while (sent < wanted) {
		int did = sendmmsg(fd, answers + sent, wanted - sent, 0);
		if (did < 0 && errno == EINTR)
			continue;
		if (did < 0)
			break;
		sent += did;
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;
	bool silent = false, spin = false;
	int buffer = RECEIVE_BUFFER;
	unsigned long long total = 0, answered = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: responder ADDRESS PORT [silent] [spin]\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		silent |= strcmp(argv[i], "silent") == 0;
		spin |= strcmp(argv[i], "spin") == 0;
	}
	socklen_t length = parse_address(argv[1], atoi(argv[2]), &address);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0);
	if (fd < 0)
		die("socket");
	/* Needs CAP_NET_ADMIN; without it the limit of net.core.rmem_max holds. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	if (bind(fd, (struct sockaddr *)&address, length) < 0)
		die("bind");
	struct sigaction action = {.sa_handler = end}; /* no SA_RESTART: recvmmsg must return */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	puts("ready");
	fflush(stdout);
	while (!ended) {
		int n = receive(fd, spin);
		total += n;
		if (!silent)
			answered += answer_all(fd, n);
	}
	for (int n; (n = receive(fd, true)) > 0;)
		total += n;
	printf("{\"pid\":%d,\"received\":%llu,\"answered\":%llu,\"dropped\":%u}\n", getpid(), total, answered,
	       dropped(fd));
	return 0;
}
