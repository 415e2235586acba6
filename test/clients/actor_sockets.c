/* Roles of the actor that are about sockets: who opened one, who holds it, where it lies. */
#define _GNU_SOURCE
#include "actor.h"
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

/* The parent opens and connects, the child sends. */
void role_fork(char **arguments)
{
	int fd = open_socket(1);
	pid_t child = fork();

	if (child == 0) {
		send_query(fd, arguments[0]);
		await_answer(fd);
		_exit(0);
	}
	await(child);
}

/* Started by role_pass: the socket comes as a message on file descriptor 0. */
void role_receive(char **arguments)
{
	char space[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = {&byte, 1};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	int fd;

	if (recvmsg(STDIN_FILENO, &header, 0) != 1 || !CMSG_FIRSTHDR(&header))
		die("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fd);
	send_query(fd, arguments[0]);
	await_answer(fd);
}

/* OTHER NAME: a connected socket goes by SCM_RIGHTS to another program that was running already. */
void role_pass(char **arguments)
{
	char space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {"x", 1};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	struct cmsghdr *control = CMSG_FIRSTHDR(&header);
	int pair[2], fd;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("socketpair");
	child = fork();
	if (child == 0) {
		dup2(pair[1], STDIN_FILENO);
		execl(arguments[0], arguments[0], "receive", server, arguments[1], NULL);
		die("exec");
	}
	fd = open_socket(1);
	*control =
	    (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(control), &fd, sizeof fd);
	if (sendmsg(pair[0], &header, 0) != 1)
		die("sendmsg");
	await(child);
}

static int open_bound(uint16_t port, int share)
{
	struct sockaddr_storage any;
	socklen_t length = parse_address("127.0.0.1", port, &any);
	int fd = open_socket(0);

	if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)))
		die("SO_REUSEPORT");
	if (bind(fd, (void *)&any, length))
		die("bind");
	return fd;
}

/* NAME1 NAME2: two processes with one port and one id, both sockets open before either sends. */
void role_reuseport(char **arguments)
{
	int ready[2];
	pid_t children[2];
	char byte;

	if (pipe(ready))
		die("pipe");
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			int fd = open_bound(4242, 1);
			close(ready[1]);
			if (read(ready[0], &byte, 1) < 0)
				die("pipe");
			send_query(fd, arguments[i]);
			await_answer(fd);
			_exit(0);
		}
	}
	usleep(50 * 1000);
	close(ready[1]);
	for (int i = 0; i < 2; i++)
		await(children[i]);
}

/* PORT NAME: local port and id are given, so that two namespaces can use the same at the same time. */
void role_bound(char **arguments)
{
	int fd = open_bound(atoi(arguments[0]), 0);
	char line[16];

	if (read(STDIN_FILENO, line, sizeof line) < 0)
		die("stdin");
	send_query(fd, arguments[1]);
	await_answer(fd);
}

/* PATH NAME1 NAME2: one socket from before the change of network namespace, one from after. */
void role_setns(char **arguments)
{
	int before = open_socket(0);
	int namespace = open(arguments[0], O_RDONLY);

	if (namespace < 0 || setns(namespace, CLONE_NEWNET))
		die("setns");
	send_query(before, arguments[1]);
	await_answer(before);
	ask(arguments[2]);
}
