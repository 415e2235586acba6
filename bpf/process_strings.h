/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* The strings of a process record: paths, arguments, variables, one after the other. */
#ifndef WHODNS_PROCESS_STRINGS_H
#define WHODNS_PROCESS_STRINGS_H

#include "maps.h"
#include "owner.h"
#include "repeat.h"
#include "share_of.h"

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
	if (read_user(record->strings + at, length, (void *)start)) {
		/* The second page is not in memory: take what lies in the first. */
		length = 4096 - (start & 4095);
		record->event.flags |= PROCESS_ARGS_CUT;
		if (length > ARGS_BYTES || read_user(record->strings + at, length, (void *)start))
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

#endif
