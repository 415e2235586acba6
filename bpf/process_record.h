/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * The process record: what is known of a process beside struct owner, read once, in the process's own context, before
 * its first message.
 */
#ifndef WHODNS_PROCESS_RECORD_H
#define WHODNS_PROCESS_RECORD_H

#include "drops.h"
#include "payload.h"
#include "process_strings.h"

static __always_inline __u32 controlling_terminal(struct task_struct *task)
{
	struct signal_struct *signal = PROBE(task, signal);
	struct tty_struct *tty = PROBE(signal, tty);
	struct tty_driver *driver;
	__u32 minor;

	if (!tty)
		return 0;
	driver = PROBE(tty, driver);
	minor = PROBE(driver, minor_start) + PROBE(tty, index);
	/* As /proc/PID/stat shows it (include/linux/kdev_t.h: new_encode_dev). */
	return (minor & 0xff) | (PROBE(driver, major) << 8) | ((minor & ~0xffu) << 12);
}

/* NULL: all places are taken. Unrolled: verifiers up to 6.12 lose a counter that is a map's key as well. */
static __always_inline struct process_scratch *scratch_claim(void)
{
	struct process_scratch *scratch;

#pragma unroll
	for (int i = 0; i < SCRATCHES; i++) {
		__u32 index = i;

		scratch = bpf_map_lookup_elem(&process_scratch, &index);
		if (!scratch)
			break;
		/* Kernels before 5.12 give no result of an atomic operation. */
		__sync_fetch_and_add(&scratch->claims, 1);
		if (*(volatile __u64 *)&scratch->claims == 1)
			return scratch;
		__sync_fetch_and_add(&scratch->claims, -1);
	}
	return NULL;
}

static __always_inline void scratch_release(struct process_scratch *scratch)
{
	__sync_fetch_and_add(&scratch->claims, -1);
}

static __always_inline bool ring_has(__u64 room)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + room < bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
}

static __always_inline void fill_process(struct process_record *record, __u32 owner, __u32 hook)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *parent;
	struct mm_struct *mm;
	struct fs_struct *fs;
	__u32 start;

	__builtin_memset(&record->event, 0, sizeof(record->event));
	record->event.owner_id = owner;
	record->event.header.time = bpf_ktime_get_ns();
	record->event.header.kind = EVENT_PROCESS;
	record->event.header.hook = hook;
	task = PROBE(task, group_leader);
	if (PROBE(task, flags) & PF_KTHREAD)
		record->event.flags |= PROCESS_KERNEL_THREAD;
	record->event.tty = controlling_terminal(task);
	parent = PROBE(task, real_parent);
	parent = PROBE(parent, group_leader);
	bpf_core_read(record->event.parent_comm, COMM_LEN, &parent->comm);

	mm = PROBE((struct task_struct *)bpf_get_current_task(), mm);
	if (mm) {
		append_executable(record, mm);
		append_arguments(record, mm);
	}
	fs = PROBE(task, fs);
	start = cursor(record);
	if (fs)
		append_path(record, PROBE(fs, pwd.dentry), PROBE(fs, pwd.mnt), PROCESS_CWD_CUT);
	record->event.cwd_bytes = cursor(record) - start;
	start = cursor(record);
	append_cgroup(record, cgroup_node(record, task));
	record->event.cgroup_bytes = cursor(record) - start;
	start = cursor(record);
	append_environment(record);
	record->event.environment_bytes = cursor(record) - start;
	record->event.header.size += sizeof(record->event);
}

/*
 * Puts the process record of the current task into the ring; `owner` is its id. 0: no room.
 * Global: the verifier checks it once, a static function for every way that leads to it. Kernels before 5.12 know
 * no other arguments of such than numbers.
 */
__noinline int emit_process(__u32 owner, __u32 hook)
{
	struct process_scratch *scratch = NULL;
	long failed = -1;
	__u64 size;

	/* For a full ring no record is put together: it would be again at each message of the process. */
	if (ring_has(sizeof(struct process_event)))
		scratch = scratch_claim();
	if (scratch) {
		fill_process(&scratch->record, owner, hook);
		size = cursor(&scratch->record);
		AT_MOST(size, sizeof(scratch->record));
		failed = bpf_ringbuf_output(&events, &scratch->record, size, BPF_RB_NO_WAKEUP);
		scratch_release(scratch);
	}
	if (failed) {
		drop(DROP_PROCESS_RING_FULL);
		return 0;
	}
	count(COUNTER_PROCESSES);
	return 1;
}

#endif
