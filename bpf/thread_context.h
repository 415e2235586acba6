/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * The span that the sending thread is in: OTEP 4947, "Thread Context". A thread-local variable points to a record
 * that starts as struct trace_context does. Where the variable is, user space tells (struct trace_place); the OTEP wants
 * the record read while its thread does not run in user space: in its own send it does not.
 *
 * Nothing here can be trusted: whatever cannot be read is no span. A process can only name spans for its own messages.
 */
#ifndef WHODNS_THREAD_CONTEXT_H
#define WHODNS_THREAD_CONTEXT_H

#include "config.h"
#include "maps.h"
#include "owner.h"

/* Bytes of a thread context record that are read: ids, valid, flags. */
#define TRACE_RECORD_BYTES 26

_Static_assert(__builtin_offsetof(struct trace_context, reserved) == TRACE_RECORD_BYTES, "as in the OTEP");

static __always_inline __u64 thread_pointer(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

#ifdef __TARGET_ARCH_x86
	return PROBE((struct task_struct___x86 *)task, thread.fsbase);
#else
	return PROBE((struct task_struct___arm64_thread *)task, thread.uw.tp_value);
#endif
}

static __always_inline __u64 user_word(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/* Address of the thread's own copy of the variable; what is no address reads as nothing. */
static __always_inline __u64 thread_variable(const struct trace_place *place)
{
	__u64 thread = thread_pointer(), vector;

	if (!thread)
		return 0;
	if (!place->module)
		return thread + place->offset;
	vector = user_word(thread + place->vector);
	/* A thread that has not used a library that was loaded late has no entry for it yet. */
	if (!vector || user_word(vector + place->length) < place->module)
		return 0;
	return user_word(vector + (__u64)place->module * place->step) + place->offset;
}

/* Of 64-bit words: the structure is of bytes, and a compiler would clear it byte by byte. */
static __always_inline void clear(struct trace_context *trace)
{
	__u64 *words = (__u64 *)trace;

	words[0] = words[1] = words[2] = words[3] = 0;
}

/* Address of the thread context record of the current task, which is of that process; 0: none. */
static __noinline __u64 thread_context_record(__u64 start_time, __u32 tgid)
{
	struct process_key key = {.start_time = start_time, .tgid = tgid};
	struct trace_place *place;
	__u64 variable;

	place = bpf_map_lookup_elem(&trace_places, &key);
	if (!place)
		return 0;
	variable = thread_variable(place);
	return variable ? user_word(variable) : 0;
}

/* Fills the trace context of a record: of the span its sender is in. */
static __always_inline void read_thread_context(struct trace_context *trace, __u64 record)
{
	clear(trace);
	if (record && (bpf_probe_read_user(trace, TRACE_RECORD_BYTES, (void *)record) || trace->valid != 1))
		clear(trace);
}

#endif
