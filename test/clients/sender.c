/*
 * Sends DNS queries in one particular way and waits for their answers:
 *
 *     sender METHOD ADDRESS PORT NAME[/AAAA] ...
 *
 * One line on standard output per answer: id and response code. Exit code 0 if every query was answered within 5 s.
 */
#define _GNU_SOURCE
#include "message.h"
#include <liburing.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_QUERIES       64
#define ANSWER_TIMEOUT_MS 5000
#define FIRST_ID          0x1000

struct request {
	int fd;
	struct sockaddr_storage address;
	socklen_t address_length;
	struct message *messages;
	int count;
};

static void expect(ssize_t got, size_t wanted, const char *what)
{
	if (got < 0)
		die(what);
	if ((size_t)got != wanted) {
		fprintf(stderr, "%s: %zd of %zu bytes\n", what, got, wanted);
		exit(2);
	}
}

/* Cuts a message into `pieces` parts, an empty one before each of them if `empty`. Returns the number of iovecs. */
static int cut(struct message *m, int pieces, int empty, struct iovec *out)
{
	size_t offset = 0;
	int n = 0;

	for (int i = 0; i < pieces; i++) {
		size_t end = m->length * (i + 1) / pieces;
		if (empty)
			out[n++] = (struct iovec){m->bytes, 0};
		out[n++] = (struct iovec){m->bytes + offset, end - offset};
		offset = end;
	}
	return n;
}

static void by_write(struct request *r)
{
	for (int i = 0; i < r->count; i++)
		expect(write(r->fd, r->messages[i].bytes, r->messages[i].length), r->messages[i].length, "write");
}

static void by_writev(struct request *r, int pieces)
{
	struct iovec iov[8];

	for (int i = 0; i < r->count; i++)
		expect(writev(r->fd, iov, cut(&r->messages[i], pieces, 0, iov)), r->messages[i].length, "writev");
}

static void by_writev2(struct request *r)
{
	by_writev(r, 2);
}

static void by_writev5(struct request *r)
{
	by_writev(r, 5);
}

static void by_sendto(struct request *r)
{
	for (int i = 0; i < r->count; i++)
		expect(sendto(r->fd, r->messages[i].bytes, r->messages[i].length, 0, (void *)&r->address,
			      r->address_length),
		       r->messages[i].length, "sendto");
}

/* Unconnected, the address in msg_name, empty iovecs between the others. */
static void by_empty_iovecs(struct request *r)
{
	struct iovec iov[8];

	for (int i = 0; i < r->count; i++) {
		struct msghdr header = {
		    .msg_name = &r->address,
		    .msg_namelen = r->address_length,
		    .msg_iov = iov,
		    .msg_iovlen = cut(&r->messages[i], 3, 1, iov),
		};
		expect(sendmsg(r->fd, &header, 0), r->messages[i].length, "sendmsg");
	}
}

/* All queries in one system call, each of two iovecs. */
static void by_sendmmsg(struct request *r)
{
	struct mmsghdr headers[MAX_QUERIES] = {0};
	struct iovec iov[MAX_QUERIES][2];

	for (int i = 0; i < r->count; i++) {
		headers[i].msg_hdr.msg_iov = iov[i];
		headers[i].msg_hdr.msg_iovlen = cut(&r->messages[i], 2, 0, iov[i]);
	}
	expect(sendmmsg(r->fd, headers, r->count, 0), r->count, "sendmmsg");
}

static void by_more(struct request *r)
{
	for (int i = 0; i < r->count; i++) {
		struct message *m = &r->messages[i];
		expect(send(r->fd, m->bytes, 20, MSG_MORE), 20, "send MSG_MORE");
		expect(send(r->fd, m->bytes + 20, m->length - 20, 0), m->length - 20, "send");
	}
}

static void by_cork(struct request *r)
{
	for (int i = 0; i < r->count; i++) {
		struct message *m = &r->messages[i];
		if (setsockopt(r->fd, IPPROTO_UDP, UDP_CORK, &(int){1}, sizeof(int)))
			die("UDP_CORK");
		expect(write(r->fd, m->bytes, 13), 13, "write");
		expect(write(r->fd, m->bytes + 13, m->length - 13), m->length - 13, "write");
		if (setsockopt(r->fd, IPPROTO_UDP, UDP_CORK, &(int){0}, sizeof(int)))
			die("UDP_CORK");
	}
}

/* `flags` of the submission, IOSQE_ASYNC: the send runs in a kernel worker thread of this process. */
static void by_uring(struct request *r, int with_address, unsigned flags)
{
	struct io_uring ring;
	int error = io_uring_queue_init(MAX_QUERIES, &ring, 0);

	if (error < 0) {
		errno = -error;
		die("io_uring_queue_init");
	}
	for (int i = 0; i < r->count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
		struct iovec iov = {r->messages[i].bytes, r->messages[i].length};
		struct msghdr header = {
		    .msg_name = &r->address, .msg_namelen = r->address_length, .msg_iov = &iov, .msg_iovlen = 1};
		struct io_uring_cqe *cqe;
		if (with_address)
			io_uring_prep_sendmsg(sqe, r->fd, &header, 0);
		else
			io_uring_prep_send(sqe, r->fd, r->messages[i].bytes, r->messages[i].length, 0);
		sqe->flags |= flags;
		io_uring_submit(&ring);
		if (io_uring_wait_cqe(&ring, &cqe))
			die("io_uring_wait_cqe");
		errno = cqe->res < 0 ? -cqe->res : 0;
		expect(cqe->res < 0 ? -1 : cqe->res, r->messages[i].length, "io_uring send");
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
}

static void by_uring_send(struct request *r)
{
	by_uring(r, 0, 0);
}

static void by_uring_sendmsg(struct request *r)
{
	by_uring(r, 1, 0);
}

static void by_uring_async(struct request *r)
{
	by_uring(r, 0, IOSQE_ASYNC);
}

/* All queries with their length prefixes in one send (RFC 7766 section 6.2.1.1). */
static void by_tcp_pipeline(struct request *r)
{
	uint8_t all[MAX_QUERIES * (MESSAGE_MAX + 2)];
	size_t n = 0;

	for (int i = 0; i < r->count; i++) {
		memcpy(all + n, r->messages[i].prefix, 2);
		memcpy(all + n + 2, r->messages[i].bytes, r->messages[i].length);
		n += 2 + r->messages[i].length;
	}
	expect(send(r->fd, all, n, 0), n, "send");
}

/* Length prefix and message as two iovecs of one call, as kdig does. */
static void by_tcp_iovecs(struct request *r)
{
	for (int i = 0; i < r->count; i++) {
		struct message *m = &r->messages[i];
		struct iovec iov[] = {{m->prefix, 2}, {m->bytes, m->length}};
		expect(writev(r->fd, iov, 2), m->length + 2, "writev");
	}
}

/* Four segments with a pause between them, the first cut inside the length prefix. */
static void by_tcp_split(struct request *r)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	for (int i = 0; i < r->count; i++) {
		struct message *m = &r->messages[i];
		const struct iovec pieces[] = {
		    {m->prefix, 1}, {m->prefix + 1, 1}, {m->bytes, 14}, {m->bytes + 14, m->length - 14}};
		for (int piece = 0; piece < 4; piece++) {
			expect(send(r->fd, pieces[piece].iov_base, pieces[piece].iov_len, 0), pieces[piece].iov_len,
			       "send");
			nanosleep(&pause, NULL);
		}
	}
}

static const struct method {
	const char *name;
	void (*send)(struct request *);
	int tcp;
	int connect;
} methods[] = {
    {"write", by_write, 0, 1},
    {"writev2", by_writev2, 0, 1},
    {"writev5", by_writev5, 0, 1},
    {"sendto", by_sendto, 0, 0},
    {"empty-iovecs", by_empty_iovecs, 0, 0},
    {"sendmmsg", by_sendmmsg, 0, 1},
    {"more", by_more, 0, 1},
    {"cork", by_cork, 0, 1},
    {"uring-send", by_uring_send, 0, 1},
    {"uring-sendmsg", by_uring_sendmsg, 0, 0},
    {"uring-async", by_uring_async, 0, 1},
    {"tcp-pipeline", by_tcp_pipeline, 1, 1},
    {"tcp-iovecs", by_tcp_iovecs, 1, 1},
    {"tcp-split", by_tcp_split, 1, 1},
};

static void await_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, ANSWER_TIMEOUT_MS) != 1) {
		fprintf(stderr, "no answer\n");
		exit(1);
	}
}

static void read_exactly(int fd, uint8_t *into, size_t n)
{
	while (n > 0) {
		await_readable(fd);
		ssize_t got = read(fd, into, n);
		if (got <= 0)
			die("read");
		into += got;
		n -= got;
	}
}

static void read_answer(int fd, int tcp)
{
	uint8_t answer[65536];
	size_t n;

	if (tcp) {
		uint8_t prefix[2];
		read_exactly(fd, prefix, 2);
		n = prefix[0] << 8 | prefix[1];
		read_exactly(fd, answer, n);
	} else {
		await_readable(fd);
		ssize_t got = recv(fd, answer, sizeof answer, 0);
		if (got < 0)
			die("recv");
		n = got;
	}
	if (n < 12) {
		fprintf(stderr, "answer of %zu bytes\n", n);
		exit(1);
	}
	printf("%u %u\n", answer[0] << 8 | answer[1], answer[3] & 0xf);
}

int main(int argc, char **argv)
{
	const struct method *method = NULL;
	struct message messages[MAX_QUERIES];
	struct request r = {.messages = messages, .count = argc - 4};

	for (size_t i = 0; argc > 1 && i < sizeof methods / sizeof *methods; i++)
		if (strcmp(methods[i].name, argv[1]) == 0)
			method = &methods[i];
	if (!method || r.count < 1 || r.count > MAX_QUERIES) {
		fprintf(stderr, "usage: sender METHOD ADDRESS PORT NAME[/AAAA] ...\n");
		return 2;
	}
	r.address_length = parse_address(argv[2], atoi(argv[3]), &r.address);
	for (int i = 0; i < r.count; i++)
		messages[i] = build_query(argv[4 + i], FIRST_ID + i);
	r.fd = socket(r.address.ss_family, method->tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (r.fd < 0)
		die("socket");
	if (method->connect && connect(r.fd, (void *)&r.address, r.address_length))
		die("connect");
	if (method->tcp && setsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
		die("TCP_NODELAY");
	method->send(&r);
	for (int i = 0; i < r.count; i++)
		read_answer(r.fd, method->tcp);
	return 0;
}
