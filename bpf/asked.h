/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: what a program asked for, out of the arguments of the system call that it is in. At packet level a request shows
 * where it went. The socket tells the rest only where it is connected and nothing came in between; a sendto() to an address that a program of
 * a control group or IPVS exchanged has left its trace in the caller's registers alone.
 */
#ifndef WHODNS_ASKED_H
#define WHODNS_ASKED_H

#include "packet.h"
#include "redirect.h"
#include "repeat.h"
#include <asm/ptrace.h>

#define SENDMMSG_MAX 8 /* messages of a sendmmsg() looked at */

/* Places in the registers of a task in a system call, as the kernel saves them. */
#ifdef __TARGET_ARCH_x86
#define CALL_CONNECT  42 /* arch/x86/entry/syscalls/syscall_64.tbl */
#define CALL_SENDTO   44
#define CALL_SENDMSG  46
#define CALL_SENDMMSG 307
#define CALL_NUMBER   offsetof(struct pt_regs, orig_rax)
#define CALL_FIRST    offsetof(struct pt_regs, rdi)
#define CALL_SECOND   offsetof(struct pt_regs, rsi)
#define CALL_THIRD    offsetof(struct pt_regs, rdx)
#define CALL_FIFTH    offsetof(struct pt_regs, r8)
#define USER_CODE     0x33 /* __USER_CS: a program of 64 bits; others number their calls otherwise */
#else
#define CALL_CONNECT  203 /* include/uapi/asm-generic/unistd.h */
#define CALL_SENDTO   206
#define CALL_SENDMSG  211
#define CALL_SENDMMSG 269
#define CALL_NUMBER   280 /* arch/arm64/include/asm/ptrace.h: syscallno, orig_x0, regs */
#define CALL_FIRST    272
#define CALL_SECOND   8
#define CALL_THIRD    16
#define CALL_FIFTH    32
#endif

static __always_inline __u64 call_register(const void *registers, __u32 place)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), registers + place);
	return value;
}

/* 0: a program of 32 bits. */
static __always_inline __u32 call_number(const void *registers)
{
#ifdef __TARGET_ARCH_x86
	if (call_register(registers, offsetof(struct pt_regs, cs)) != USER_CODE)
		return 0;
#endif
	return call_register(registers, CALL_NUMBER);
}

/* Reads a struct sockaddr that a program has given. What it says is a claim. */
static __always_inline bool read_user_place(struct place *place, __u64 address)
{
	struct sockaddr_bytes bytes = {};

	if (!address || bpf_probe_read_user(&bytes, 8, (void *)address) ||
	    (bytes.family != AF_INET && bytes.family != AF_INET6))
		return false;
	if (bytes.family == AF_INET6 && bpf_probe_read_user(&bytes, sizeof(bytes), (void *)address))
		return false;
	place_from(place, &bytes);
	return true;
}

/* Places in struct user_msghdr (include/linux/socket.h), and the size of struct mmsghdr. */
#define MESSAGE_NAME 0
#define MESSAGE_IOV  16
#define MMSGHDR      64

static __always_inline __u64 word_of_user(__u64 address)
{
	__u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

/* The name of that of `count` messages of a sendmmsg() whose payload begins as the packet's. 0: none. */
static __always_inline __u64 name_in_many(__u64 messages, __u64 count, __u32 id)
{
	__u64 name = 0;
	__u32 i;

	REPEAT(i, SENDMMSG_MAX)
	{
		if (name || i >= count)
			break;
		if ((__u32)word_of_user(word_of_user(word_of_user(messages + MESSAGE_IOV))) == id)
			name = word_of_user(messages + MESSAGE_NAME);
		messages += MMSGHDR;
	}
	return name;
}

/*
 * Where the current task sends the packet to by its own words, when that is a name server. False: it does not, or says nothing
 * (io_uring). `id`: the first four bytes of the packet's payload.
 */
static __always_inline bool current_asks(struct place *asked, __u32 id)
{
	const void *registers = current_registers();
	__u64 name = 0, messages;
	__u32 number;

	if (!registers)
		return false;
	number = call_number(registers);
	messages = call_register(registers, CALL_SECOND);
	if (number == CALL_SENDTO)
		name = call_register(registers, CALL_FIFTH);
	else if (number == CALL_SENDMSG)
		name = word_of_user(messages + MESSAGE_NAME);
	else if (number == CALL_SENDMMSG)
		name = name_in_many(messages, call_register(registers, CALL_THIRD), id);
	return read_user_place(asked, name);
}

/*
 * Remembers what the current task asked for with a packet from an unconnected socket. True: a name server. Inlined: what it has on
 * the stack is where the message will be.
 */
static __always_inline bool note_asked(__u64 socket, const struct packet *packet)
{
	struct place asked = {}, remote;

	if (!current_asks(&asked, packet->id))
		return false;
	__builtin_memcpy(remote.address, packet->destination, 16);
	remote.port = packet->destination_port;
	if (!is_dns_port(asked.port) || is_same_place(&asked, &remote)) {
		forget_redirect(socket, &remote);
		return is_dns_port(asked.port);
	}
	remember_redirect(socket, &remote, &asked, 0);
	return true;
}

/* What was asked for with a packet to there from an unconnected socket. NULL: just that. */
static __noinline struct redirect_value *asked_before(__u64 socket, const struct packet *packet)
{
	struct redirect_key key = {.socket = socket};

	if (!packet || !any_redirect)
		return NULL;
	__builtin_memcpy(key.remote_address, packet->destination, 16);
	key.remote_port = packet->destination_port;
	return bpf_map_lookup_elem(&redirects, &key);
}

/* -- connect() ------------------------------------------------------------------------------------------------------- */

/*
 * State: one bit a socket, by its address, that a connect() to a DNS port was seen of. Never cleared: a stale bit costs a
 * look-up.
 */
__u64 connecting[1024];

static __always_inline bool may_be_redirected(__u64 socket)
{
	return any_redirect && connecting[socket >> 12 & 1023] & 1ull << (socket >> 6 & 63);
}

/* Address of the struct sock behind a descriptor of the current task; 0: there is none. */
static __noinline __u64 socket_of_descriptor(__u32 descriptor)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct files_struct *files = PROBE(task, files);
	struct fdtable *table = PROBE(files, fdt);
	struct file **descriptors = PROBE(table, fd), *file = NULL;
	struct socket *socket;

	if (!files || descriptor >= PROBE(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), descriptors + descriptor);
	socket = PROBE(file, private_data);
	/* Only a socket names the file that it is. */
	return file && PROBE(socket, file) == file ? (__u64)PROBE(socket, sk) : 0;
}

/* connect(): what it asks for is known here alone. */
static __always_inline void trace_connect_call(const void *registers)
{
	struct place asked = {};
	__u64 socket;

	if (call_number(registers) != CALL_CONNECT)
		return;
	socket = socket_of_descriptor(call_register(registers, CALL_FIRST));
	if (!socket)
		return;
	if (!read_user_place(&asked, call_register(registers, CALL_SECOND)) || !is_dns_port(asked.port)) {
		forget_redirect(socket, NULL);
		return;
	}
	remember_redirect(socket, NULL, &asked, 0);
	connecting[socket >> 12 & 1023] |= 1ull << (socket >> 6 & 63);
}

/* Whether the current task's control group has programs that look at what is connected to. */
static __always_inline int current_group_redirects(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct css_set *set = PROBE(task, cgroups);
	__u64 group = (__u64)PROBE(set, dfl_cgrp);

	return group_has_program(group, ATTACH_TYPE(INET4_CONNECT)) ||
	       group_has_program(group, ATTACH_TYPE(INET6_CONNECT));
}

#endif
