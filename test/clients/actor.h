/* What the roles of the actor share. */
#ifndef WHODNS_TEST_ACTOR_H
#define WHODNS_TEST_ACTOR_H

#include "message.h"
#include <sys/types.h>

/* Address of the server, port 53. */
extern const char *server;

/* A datagram socket for the server; without `connected` it has no peer. */
int open_socket(int connected);
/* Says "PID NAME" on standard output, then sends the query. */
void send_query(int fd, const char *name);
/* Waits up to a second: whether the answer comes to this very process is not the point. */
void await_answer(int fd);
/* Sends from a socket of its own and awaits the answer. */
void ask(const char *name);
/* Waits for the child's end; anything but exit code 0 ends this process too. */
void await(pid_t child);

void role_fork(char **arguments);
void role_pass(char **arguments);
void role_receive(char **arguments);
void role_reuseport(char **arguments);
void role_bound(char **arguments);
void role_setns(char **arguments);

#endif
