/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * The process record: what is known of a process besides struct owner, read once, in the process's own context, before
 * its first message. And the per-process counters.
 */
#ifndef WHODNS_PROCESS_H
#define WHODNS_PROCESS_H

#include "drops.h"
#include "message.h"
#include "owner.h"
#include "owner_ids.h"
#include "packet.h"
#include "payload.h"
#include "share.h"
#include "thread_context.h"

#define NAME_BYTES          256 /* NAME_MAX + NUL: one path component at most */
#define PATH_COMPONENTS     40  /* bound of a walk: components and mount crossings */
#define CGROUP_COMPONENTS   24
#define VARIABLE_BYTES      1024 /* NAME=value and NUL */
#define ENVIRONMENT_STRINGS 256  /* bound of a walk; a pod of a namespace with many services has hundreds */

_Static_assert(2 * PATH_BYTES + ARGS_BYTES + PATH_BYTES <= STRINGS_BYTES, "strings fit");
_Static_assert(VARIABLE_BYTES <= ARGS_BYTES, "a variable fits behind the last place");

/*
 * Strings are appended at record->event.header.size, which counts them until the record is complete. The cursor lives in
 * the record and not in a variable so that the verifier forgets its value: else it would follow every path through the
 * walks for every length.
 */
static __always_inline __u32 cursor(struct process_record *record)
{
	return *(volatile __u32 *)&record->event.header.size;
}

/* Appends a NUL-terminated name; nothing if it cannot be read. */
static __always_inline void append_name(struct process_record *record, const void *name)
{
	__u32 at = cursor(record) & (STRINGS_BYTES - 1);
	long length = bpf_probe_read_kernel_str(record->strings + at, NAME_BYTES, name);

	if (length > 0)
		record->event.header.size += length;
}

/*
 * Appends the components of a path, leaf first, as fs/d_path.c prepend_path walks them: up the dentries, and at the root
 * of a mount on from its mount point. The root directory itself is one empty component. Sets `cut` in the record's flags
 * when a bound was met.
 */
static __noinline int append_path(struct process_record *record, struct dentry *dentry, struct vfsmount *vfsmount,
				  __u32 cut)
{
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	__u32 start = cursor(record), i;

	REPEAT(i, PATH_COMPONENTS)
	{
		struct dentry *parent;

		if (dentry == PROBE(vfsmount, mnt_root)) {
			struct mount *above = PROBE(mount, mnt_parent);

			if (above == mount || !above)
				goto complete;
			dentry = PROBE(mount, mnt_mountpoint);
			mount = above;
			vfsmount = (void *)above + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		if (cursor(record) - start > PATH_BYTES - NAME_BYTES)
			break;
		parent = PROBE(dentry, d_parent);
		append_name(record, PROBE(dentry, d_name.name));
		if (parent == dentry || !parent) /* not reachable by a path: memory files, detached mounts */
			goto complete;
		dentry = parent;
	}
	record->event.flags |= cut;
complete:
	if (cursor(record) == start)
		append_name(record, "");
	return 0;
}

/* Appends the components of a control group's path, leaf first; the root is one empty component. */
static __noinline int append_cgroup(struct process_record *record, struct kernfs_node *node)
{
	__u32 start = cursor(record), i;

	REPEAT(i, CGROUP_COMPONENTS)
	{
		struct kernfs_node *parent = kernfs_parent(node);

		if (!parent)
			goto complete;
		if (cursor(record) - start > PATH_BYTES - NAME_BYTES)
			break;
		append_name(record, PROBE(node, name));
		node = parent;
	}
	record->event.flags |= PROCESS_CGROUP_CUT;
complete:
	if (cursor(record) == start)
		append_name(record, "");
	return 0;
}

/* The task's control group under one v1 controller (or, on a v2 host, the v2 group that holds the controller). */
static __always_inline struct kernfs_node *controller_node(struct css_set *set, __u32 controller)
{
	struct cgroup_subsys_state *state;
	struct cgroup *group;

	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(set->subsys) + controller * sizeof(void *));
	group = PROBE(state, cgroup);
	return PROBE(group, kn);
}

/*
 * The control group that says most: the v2 group, unless that is the root and a v1 controller has a deeper one (hybrid
 * and v1 hosts). The controllers asked are the ones container runtimes always set.
 */
static __always_inline struct kernfs_node *cgroup_node(struct process_record *record, struct task_struct *task)
{
	struct css_set *set = PROBE(task, cgroups);
	struct cgroup *v2 = PROBE(set, dfl_cgrp);
	struct kernfs_node *root = PROBE(v2, kn);
	struct kernfs_node *node;

	if (kernfs_parent(root))
		return root;
#define TRY_CONTROLLER(id)                                                                                             \
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, id)) {                                                   \
		node = controller_node(set, bpf_core_enum_value(enum cgroup_subsys_id, id));                           \
		if (kernfs_parent(node)) {                                                                             \
			record->event.flags |= PROCESS_CGROUP_V1;                                                      \
			return node;                                                                                   \
		}                                                                                                      \
	}
	TRY_CONTROLLER(memory_cgrp_id)
	TRY_CONTROLLER(pids_cgrp_id)
	TRY_CONTROLLER(cpu_cgrp_id)
#undef TRY_CONTROLLER
	return root;
}

static __noinline int append_executable(struct process_record *record, struct mm_struct *mm)
{
	struct file *file = PROBE(mm, exe_file);
	struct inode *inode = PROBE(file, f_inode);
	struct dentry *dentry = PROBE(file, f_path.dentry);

	if (!file)
		return 0;
	record->event.exe_inode = PROBE(inode, i_ino);
	/* No link left, or unlinked under a hard link's name (fs/d_path.c: d_unlinked). */
	if (!PROBE(inode, i_nlink) || !PROBE(dentry, d_hash.pprev))
		record->event.flags |= PROCESS_EXE_DELETED;
	append_path(record, dentry, PROBE(file, f_path.mnt), PROCESS_EXE_CUT);
	record->event.exe_bytes = cursor(record);
	return 0;
}

/* The argument strings as the process holds them (it may have rewritten them, as setproctitle does). */
static __noinline int append_arguments(struct process_record *record, struct mm_struct *mm)
{
	unsigned long start = PROBE(mm, arg_start);
	unsigned long length = PROBE(mm, arg_end) - start;
	__u32 at = cursor(record) & (STRINGS_BYTES - 1);

	record->event.args_length = length;
	if (length > ARGS_BYTES) {
		length = ARGS_BYTES;
		record->event.flags |= PROCESS_ARGS_CUT;
	}
	if (bpf_probe_read_user(record->strings + at, length, (void *)start)) {
		/* The second page is not in memory: take what lies in the first. */
		length = 4096 - (start & 4095);
		record->event.flags |= PROCESS_ARGS_CUT;
		if (length > ARGS_BYTES || bpf_probe_read_user(record->strings + at, length, (void *)start))
			length = 0;
	}
	record->event.args_bytes = length;
	record->event.header.size += length;
	return 0;
}

#define WORD(text) (*(const __u64 *)(text))

/* Whether a NUL-terminated string of VARIABLE_BYTES of room is a variable that names the service (enum process_flags). */
static __always_inline bool names_service(const char *string)
{
	const __u64 *words = (const __u64 *)string;
	__u64 name =
	    (words[0] ^ WORD("OTEL_SER")) | (words[1] ^ WORD("VICE_NAM")) | (string[16] ^ 'E') | (string[17] ^ '=');
	__u64 attributes = (words[0] ^ WORD("OTEL_RES")) | (words[1] ^ WORD("OURCE_AT")) |
			   (words[2] ^ WORD("TRIBUTES")) | (string[24] ^ '=');

	return !name || !attributes;
}

/*
 * The variables that name the service, out of the strings as the process holds them. PROCESS_ENVIRONMENT says that all of
 * them were looked at: not when there are too many, when a page is not in memory, when a wanted one does not fit.
 */
static __noinline int append_environment(struct process_record *record)
{
	/* Not given by the caller, whose stack is full. */
	struct mm_struct *mm = PROBE((struct task_struct *)bpf_get_current_task(), mm);
	unsigned long at = PROBE(mm, env_start);
	unsigned long end = PROBE(mm, env_end);
	bool cut = false; /* `at` lies within a string longer than VARIABLE_BYTES */
	__u32 i;

	REPEAT(i, ENVIRONMENT_STRINGS)
	{
		__u32 place = cursor(record);
		char *string = record->strings + (place & (STRINGS_BYTES - 1));
		long length;

		if (at >= end) {
			record->event.flags |= PROCESS_ENVIRONMENT;
			break;
		}
		if (place >= STRINGS_BYTES)
			break;
		length = bpf_probe_read_user_str(string, VARIABLE_BYTES, (void *)at);
		if (length <= 0)
			break;
		if (!cut && names_service(string)) {
			if (length == VARIABLE_BYTES)
				break;
			record->event.header.size += length;
		}
		cut = length == VARIABLE_BYTES;
		at += cut ? VARIABLE_BYTES - 1 : length;
	}
	return 0;
}

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

static __always_inline struct process_value *process_find(const struct owner *owner)
{
	struct process_key key = {.start_time = owner->start_time, .tgid = owner->tgid};

	return bpf_map_lookup_elem(&processes, &key);
}

/* Which exec of the process this is: a program replaced by exec keeps pid and start time. */
static __always_inline __u32 current_exec(void)
{
	struct task_struct *task;

	if (LINUX_KERNEL_VERSION >= TASK_BTF) {
		task = (struct task_struct *)bpf_get_current_task_btf();
		return task->self_exec_id;
	}
	task = (struct task_struct *)bpf_get_current_task();
	return PROBE(task, self_exec_id);
}

static __always_inline void process_count(struct process_value *value, __u64 time, __u32 length, __u32 protocol)
{
	if (protocol == PROTOCOL_UDP)
		__sync_fetch_and_add(&value->udp_requests, 1);
	else if (protocol == PROTOCOL_TCP && length)
		__sync_fetch_and_add(&value->tcp_requests, 1);
	__sync_fetch_and_add(&value->request_bytes, length);
	value->last_seen = time;
}

#define STREAM_ANSWERS 4    /* pieces of an answer over TCP that its request pays for */
#define MESSAGE_BYTES  512u /* what a message and its answer take in the ring, but for the payload */

static const struct process_value no_process = {};

/* The entry of a process, made at first sight; NULL: no room. */
static __always_inline struct process_value *process_entry(const struct owner *owner, __u64 time)
{
	struct process_key key = {.start_time = owner->start_time, .tgid = owner->tgid};
	struct process_value *value = bpf_map_lookup_elem(&processes, &key);

	if (value)
		return value;
	bpf_map_update_elem(&processes, &key, &no_process, BPF_NOEXIST);
	value = bpf_map_lookup_elem(&processes, &key);
	if (!value) {
		drop(DROP_PROCESS_TABLE_FULL);
		return NULL;
	}
	value->created = time;
	value->cgroup_id = owner->cgroup_id;
	value->ppid = owner->ppid;
	return value;
}

/* What is known of a message's process, and what it may do: process_seen. */
enum seen {                    /* beside enum admission */
	    SEEN_ASK = 4,      /* its share has to be asked */
	    SEEN_ANNOUNCE = 8, /* its process's record has to go into the ring before it */
};

#define SEEN_COUNTED_ONLY 32 /* beside enum share_kind: no event, at most a process record */
#define SEEN_OWED         64 /* the answer is counted as paid for in the process's entry */

/* Bytes in the ring of a message, or of a stream's piece, of `length` payload bytes. */
static __always_inline __u32 message_bytes(__u32 length, __u32 protocol, bool announces)
{
	__u32 payload = length < payload_limit || protocol == PROTOCOL_TCP ? length : payload_limit;

	return MESSAGE_BYTES + payload + (announces ? RECORD_BYTES : 0);
}

/*
 * Counts a request of `length` payload bytes in the process's entry; `protocol` 0 counts nothing. Then says what it may do (`kind`:
 * enum share_kind). Not inlined, like the next, for the sake of the stack. Returns enum seen.
 */
static __noinline int process_seen(const struct owner *owner, __u64 time, __u32 length, __u32 protocol, __u32 kind)
{
	struct process_value *value;
	int result = 0;

	if (!owner)
		return 0;
	value = process_entry(owner, time);
	if (value)
		process_count(value, time, length, protocol);
	if (kind & SHARE_HERE && (!value || !value->announced || value->exec_id != current_exec()))
		return SEEN_ASK | SEEN_ANNOUNCE;
	if (kind & SEEN_COUNTED_ONLY)
		return 0;
	if (!(kind & SHARE_HANDSHAKE))
		result = admitted_credit(value, message_bytes(length, protocol, false));
	if (!result)
		return SEEN_ASK;
	if (value && kind >= SHARE_OWED)
		__sync_fetch_and_add(&value->owed, kind / SHARE_OWED);
	return result;
}

static __noinline int process_announced(const struct owner *owner)
{
	struct process_value *value;

	if (!owner)
		return 0;
	value = process_find(owner);
	if (value) {
		value->announced = 1;
		value->exec_id = current_exec();
	}
	return 0;
}

/* The current process's record goes into the ring before its first message. No room: again with its next. */
static __always_inline void process_announce(const struct owner *owner, __u32 id, const __u32 hook)
{
	if (id && emit_process(id, hook))
		process_announced(owner);
}

/*
 * Counts a request in its process's entry, asks its share, announces owner and process before its first. Returns enum
 * admission; 0: it is left out. `id`: of the owner; 0: it found no room.
 */
static __always_inline int process_admits(const struct owner *owner, __u64 time, __u32 length, __u32 protocol,
					  __u32 kind, const __u32 hook, __u32 *id)
{
	int seen = process_seen(owner, time, length, protocol, kind), result = seen;

	if (!seen)
		return 0;
	if (seen & SEEN_ASK) {
		result = share_ask(owner->start_time, owner->tgid, COMMON_TABLE_FULL,
				   message_bytes(length, protocol, seen & SEEN_ANNOUNCE), kind);
		if (!result)
			return 0;
	}
	*id = owner_id(owner, hook);
	if (seen & SEEN_ANNOUNCE)
		process_announce(owner, *id, hook);
	return result;
}

/* The same of a message, which is marked where the reader is to be woken with it. */
static __always_inline bool process_request(struct message *message, __u32 kind, const __u32 hook)
{
	int result = process_admits(&message->owner, message->header.time, message->length, message->protocol, kind,
				    hook, &message->owner_id);

	message->header.reserved = result & ADMITTED_WAKE;
	if (result && !message->owner_id && !(kind & SEEN_COUNTED_ONLY)) {
		message->flags &= ~(MESSAGE_OWNER | MESSAGE_OWNER_CACHED);
		drop(DROP_NO_OWNER);
	}
	if (trace_bytes && result && (message->flags & (MESSAGE_OWNER | MESSAGE_OWNER_CACHED)) == MESSAGE_OWNER)
		message->trace_record = thread_context_record(&message->owner);
	return result;
}

#endif
