/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* fentry and kprobe families: DNS over TCP, as it goes through a socket's functions (calls.h). */
#ifndef WHODNS_STREAM_CALLS_H
#define WHODNS_STREAM_CALLS_H

#include "calls.h"

/* A stream's ends; a v4-mapped peer on an AF_INET6 socket is IPv4. */
static __always_inline void fill_stream(struct message *message, struct sock *sk, __u16 port, const bool direct)
{
	if (LOAD(direct, sk, __sk_common.skc_family) == AF_INET6) {
		fill_ends(message, sk, NULL, direct, true);
		if (is_v4_mapped(message->remote_address))
			message->family = 4;
	} else {
		fill_ends(message, sk, NULL, direct, false);
	}
	message->remote_port = port;
	message->protocol = PROTOCOL_TCP;
	if (any_redirect)
		fill_asked(message, address_of(sk), NULL);
	forget_dialed(message);
}

/* Is what `sk` is connected to, at `port`, a name server to the program? */
static __always_inline bool is_dns_stream(struct sock *sk, __u16 port)
{
	return is_dns_port(port) || (is_translated_port(port) && is_redirected(address_of(sk), port));
}

/*
 * Is the next byte to be sent the first of the connection? snd_una starts one behind the SYN, which is counted in
 * bytes_acked (net/ipv4/tcp_input.c: tcp_snd_una_update).
 */
static __always_inline bool first_byte_sent(struct tcp_sock *tcp, __u32 sequence)
{
	return sequence - LOAD(false, tcp, snd_una) + (__u32)LOAD(false, tcp, bytes_acked) == 1;
}

/* `opens`: the bytes are given to the SYN, which takes the place before them. */
static __always_inline void send_dns_stream(struct sock *sk, struct msghdr *msg, __u64 length, __u16 port, __u32 level,
					    const __u32 hook, const bool direct, const bool opens)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct message message = {};
	struct buffer buffer;

	fill_stream(&message, sk, port, direct);
	message.length = length;
	message.sequence = LOAD(false, tcp, write_seq) + opens;
	fill_call(&message, sk, hook, direct, DIRECTION_REQUEST);
	if (opens || first_byte_sent(tcp, message.sequence))
		message.flags |= MESSAGE_STREAM_START;
	if (!account(&message, level, hook))
		return;
	fill_zone(&message, sk, 0, hook, direct);
	buffer = buffer_of(msg, direct && !opens);
	emit_buffer(&message, &buffer);
}

/*
 * TCP_FASTOPEN_CONNECT: connect() has only said where to, and this send is what connects (net/ipv4/tcp_fastopen.c:
 * tcp_fastopen_defer_connect). A socket that has sent its SYN has offered a window with it.
 */
static __always_inline bool is_connect_deferred(struct sock *sk, const bool direct)
{
	return LOAD(direct, sk, __sk_common.skc_state) == TCP_SYN_SENT && !LOAD(false, (struct tcp_sock *)sk, rcv_wnd);
}

static __always_inline void send_stream(struct sock *sk, struct msghdr *msg, __u64 length, const __u32 hook,
					const bool direct)
{
	__u16 port = bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport));
	__u32 level;

	if (!is_dns_stream(sk, port)) {
		count(COUNTER_SKIPPED);
		return;
	}
	if (is_connect_deferred(sk, direct)) /* tcp_connect comes, within this very call */
		return;
	level = current_level();
	if (level == VISIBILITY_OFF) {
		count(COUNTER_OFF);
		return;
	}
	send_dns_stream(sk, msg, length, port, level, hook, direct, false);
}

/*
 * tcp_connect: a send with MSG_FASTOPEN, or one after TCP_FASTOPEN_CONNECT, has come so far that the ends and the first sequence number
 * are known. What does not go with the SYN (the server has given no cookie yet, there is not so much room) goes after it, within the
 * same call; a program that does not wait for that sends it again, which is then a retransmission.
 */
static __always_inline void open_stream(struct sock *sk, const __u32 hook, const bool direct)
{
	struct tcp_fastopen_request *request;
	struct msghdr *data;
	__u16 port = bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport));
	__u32 level;

	if (!is_dns_stream(sk, port))
		return;
	request = PROBE((struct tcp_sock *)sk, fastopen_req);
	data = request ? PROBE(request, data) : NULL;
	if (!data)
		return;
	level = current_level();
	if (level == VISIBILITY_OFF) {
		count(COUNTER_OFF);
		return;
	}
	send_dns_stream(sk, data, PROBE(request, size), port, level, hook, direct, true);
}

/* tcp_close: the program is done with the connection, in both directions. */
static __always_inline void close_stream(struct sock *sk, const __u32 hook, const bool direct)
{
	struct message message = {};
	__u16 port = bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport));
	__u8 state = LOAD(direct, sk, __sk_common.skc_state);
	__u32 level;

	if (!is_dns_stream(sk, port) || state == TCP_CLOSE || state == TCP_LISTEN)
		return;
	level = current_level();
	if (level == VISIBILITY_OFF) {
		count(COUNTER_OFF);
		return;
	}
	fill_stream(&message, sk, port, direct);
	fill_call(&message, sk, hook, direct, DIRECTION_REQUEST);
	message.sequence = LOAD(false, (struct tcp_sock *)sk, write_seq);
	message.flags |= MESSAGE_STREAM_END;
	if (account(&message, level, hook))
		emit_run(&message, 0, 0, false);
}

/* What the call that a task is in will put its bytes into, from here on. */
static __always_inline void note_receive(struct receive_state *state, struct sock *sk, struct msghdr *msg,
					 const bool direct)
{
	struct buffer buffer = buffer_of(msg, direct);

	state->socket = ADDRESS(direct, sk);
	state->message = ADDRESS(direct, msg);
	state->segment = buffer.segment;
	state->offset = buffer.offset;
	state->segments = buffer.segments;
	state->kind = buffer.kind;
	state->sequence = LOAD(false, (struct tcp_sock *)sk, copied_seq);
	state->room = LOAD(false, msg, msg_iter.count);
}

/* tcp_recvmsg is entered: remember where the bytes will go, for the iterator moves on. */
static __always_inline void remember_receive(struct sock *sk, struct msghdr *msg, const bool direct)
{
	struct receive_state state = {};
	__u64 task = bpf_get_current_pid_tgid();

	if (current_is_self())
		return;
	note_receive(&state, sk, msg, direct);
	bpf_map_update_elem(&receives, &task, &state, BPF_ANY);
}

static __always_inline void receive_stream_entry(struct sock *sk, struct msghdr *msg, const bool direct)
{
	if (!is_dns_stream(sk, bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport)))) {
		count(COUNTER_SKIPPED);
		return;
	}
	if (current_level() != VISIBILITY_ON)
		return;
	remember_receive(sk, msg, direct);
}

/* `length` bytes of a stream that the program was given, to where `state` says; NULL: they cannot be read. */
static __always_inline void emit_received(struct sock *sk, const struct receive_state *state, __u32 first, __u32 length,
					  const __u32 hook, const bool direct)
{
	struct message message = {};
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct buffer buffer = {};
	__u32 received;
	int result;

	message.length = length;
	fill_stream(&message, sk, bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport)), direct);
	fill_call(&message, sk, hook, direct, DIRECTION_RESPONSE);
	message.sequence = first;
	/* bytes_received counts up to rcv_nxt, without the SYN (net/ipv4/tcp_input.c: tcp_rcv_nxt_update). */
	received = LOAD(false, tcp, bytes_received);
	if (received == LOAD(false, tcp, rcv_nxt) - first)
		message.flags |= MESSAGE_STREAM_START;
	result = account_response(message.length, message.protocol);
	if (!result)
		return;
	message.header.reserved = result & ADMITTED_WAKE;
	if (state) {
		buffer.segment = state->segment;
		buffer.offset = state->offset;
		buffer.segments = state->segments;
		buffer.kind = state->kind;
	}
	emit_buffer(&message, &buffer);
}

/*
 * tcp_rcv_space_adjust: a receive has copied what it takes of one packet, and copied_seq is behind it (net/ipv4/tcp.c: tcp_recvmsg_locked).
 * With MSG_PEEK it is where it was. Not where tcp_recvmsg returns: a kretprobe is skipped while more receives wait anywhere on the host than
 * the kernel has places for (kernel/kprobes.c: register_kretprobe, maxactive), ten or so.
 */
static __always_inline void receive_stream(struct sock *sk, const __u32 hook, const bool direct)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct receive_state *state;
	struct msghdr *msg;
	__u32 first, end;

	if (!is_dns_stream(sk, bpf_ntohs(LOAD(direct, sk, __sk_common.skc_dport))))
		return;
	if (current_level() != VISIBILITY_ON || current_is_self())
		return;
	state = bpf_map_lookup_elem(&receives, &task);
	if (state && state->socket != ADDRESS(direct, sk))
		state = NULL;
	end = LOAD(false, (struct tcp_sock *)sk, copied_seq);
	if (!state)
		drop(DROP_RECEIVE_STATE);
	/* Of what no state tells of, one byte that cannot be read: this connection has a gap. */
	first = state ? state->sequence : end - 1;
	if (first == end || end - first > 1u << 30)
		return;
	msg = state ? (struct msghdr *)state->message : NULL;
	/*
	 * What was copied is what the iterator moved on by. It is not as much with MSG_TRUNC, and where the call that the state is of is over:
	 * these bytes go another way (splice), and what was its iterator is anything now.
	 */
	if (msg && state->room - LOAD(false, msg, msg_iter.count) != end - first) {
		bpf_map_delete_elem(&receives, &task);
		state = NULL;
	}
	emit_received(sk, state, first, end - first, hook, direct);
	if (state)
		note_receive(state, sk, msg, false);
}

#endif
