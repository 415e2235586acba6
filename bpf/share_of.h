/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Fair shares (share.h): whose share a process's is, and what it may take. */
#ifndef WHODNS_SHARE_OF_H
#define WHODNS_SHARE_OF_H

#include "maps.h"
#include "owner.h"
#include "repeat.h"

#define SHARE_DEPTH_MAX 64 /* bound of a walk up the control groups */
#define USER_NS_DEPTH   33 /* levels of user namespaces (kernel/user_namespace.c) */

/* The start of an entry; on the stack there is no room for it. */
static const struct share_value no_share = {};

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(struct kernfs_node, __parent))
		return PROBE(node, __parent);
	return PROBE((struct kernfs_node___old *)node, parent);
}

/*
 * The user that answers for the current task. In a user namespace other than the initial one: who made the outermost of them,
 * for its user ids cost nothing. In a container: the container as a whole. Not the effective id, which a program can lend.
 */
static __always_inline __u32 share_user(struct task_struct *task)
{
	struct cred *cred = PROBE(task, cred);
	struct user_namespace *space = PROBE(cred, user_ns);
	struct pid *pid = PROBE(task, thread_pid);
	__u32 i, maker = 0;
	bool made = false;

	REPEAT(i, USER_NS_DEPTH)
	{
		int level = PROBE(space, level);

		if (level == 1) {
			maker = PROBE(space, owner.val);
			made = true;
		}
		if (level <= 1)
			break;
		space = PROBE(space, parent);
	}
	if (made)
		return maker;
	return PROBE(pid, level) ? SHARE_CONTAINER : PROBE(cred, uid.val);
}

/* Whether a group is user.slice at the top, below which are those of users (systemd.special(7)). */
static __always_inline bool is_user_slice(struct kernfs_node *parent, struct kernfs_node *node)
{
	__u64 name[2] = {};

	if (kernfs_parent(parent))
		return false;
	bpf_probe_read_kernel_str(name, sizeof(name), PROBE(node, name));
	return name[0] == *(const __u64 *)"user.sli" && (__u32)name[1] == *(const __u32 *)"ce\0";
}

/*
 * Finds the share of the current task: its own control group, unless an upper one answers for all below it. That is the highest
 * one that a user has been given (its directory is not root's: whoever it is can make as many below it as he likes), the
 * root of the task's cgroup namespace (the same for root in a container), one with a rate of its own, or the slice that systemd makes for a
 * user who is logged in, as often as he likes.
 */
static __noinline int share_find(struct process_value *value, __u32 generation)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct nsproxy *nsproxy = PROBE(task, nsproxy);
	struct cgroup_namespace *space = PROBE(nsproxy, cgroup_ns);
	struct css_set *set = PROBE(space, root_cset);
	struct cgroup *group = PROBE(set, dfl_cgrp);
	struct kernfs_node *root = PROBE(group, kn), *node;
	__u64 charged, below, share = 0;
	__u32 i;

	if (!value)
		return 0;
	set = PROBE(task, cgroups);
	group = PROBE(set, dfl_cgrp);
	node = PROBE(group, kn);
	charged = below = PROBE(node, id);
	value->share.user = share_user(task);
	value->generation = generation;
	value->found = 1;
	REPEAT(i, SHARE_DEPTH_MAX)
	{
		struct kernfs_node *parent = kernfs_parent(node);
		struct kernfs_iattrs *attributes;
		__u64 id;

		if (!parent) { /* the host's own root: every group is below it */
			share = charged;
			break;
		}
		id = PROBE(node, id);
		attributes = PROBE(node, iattr);
		if (is_user_slice(parent, node))
			charged = below;
		below = id;
		if (node == root || (attributes && PROBE(attributes, ia_uid.val)) || bpf_map_lookup_elem(&rates, &id))
			charged = id;
		node = parent;
	}
	value->share.cgroup_id = share;
	return 0;
}

/*
 * The share of a process (NULL: one of enum common_share), with its rate. Keys are where they are, not on the stack, of which 512
 * bytes are there for all functions on the way together; hence all the functions here that are not inlined.
 */
static __noinline struct share_value *share_of(struct process_value *value, __u32 common)
{
	struct share_value *share = NULL;
	struct share_rate *rate = NULL;
	__u32 zero = 0, *generation = bpf_map_lookup_elem(&rates_generation, &zero);

	if (!generation)
		return NULL;
	if (value && value->found && value->share.cgroup_id) {
		share = bpf_map_lookup_elem(&shares, &value->share);
		if (!share) {
			bpf_map_update_elem(&shares, &value->share, &no_share, BPF_NOEXIST);
			share = bpf_map_lookup_elem(&shares, &value->share);
		}
		common = COMMON_TABLE_FULL;
	} else if (value) {
		common = value->found ? COMMON_TOO_DEEP : COMMON_UNKNOWN;
	}
	if (!share)
		share = bpf_map_lookup_elem(&common_shares, &common);
	if (!share || share->generation == *generation + 1)
		return share;
	if (value)
		rate = bpf_map_lookup_elem(&rates, &value->share.cgroup_id);
	share->rate = rate ? rate->rate : share_rate;
	share->burst = rate ? rate->burst : share_burst;
	share->generation = *generation + 1;
	return share;
}

#endif
