/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Who is captured, by control group (cgroup v2). User space says what holds at a few groups (host, pods, containers); a
 * task's level is what the nearest group above it says. That is found once per group and remembered, so that nested groups
 * (a container's own systemd, say) need nobody to announce them.
 */
#ifndef WHODNS_VISIBILITY_H
#define WHODNS_VISIBILITY_H

#include "config.h"
#include "maps.h"
#include "owner.h"
#include "repeat.h"

#define ANCESTOR_HELPER KERNEL(5, 15, 0) /* since when tracing programs have bpf_get_current_ancestor_cgroup_id */
/*
 * How far from the root a group is looked for. From the root down, so that a container cannot get out of sight by groups
 * nested deep in its own: kind in Docker with systemd slices puts its pods at depth 9.
 */
#define CGROUP_DEPTH_MAX 20

/* The current task's group at `depth` below the root; 0: it lies higher. */
static __always_inline __u64 current_ancestor(__u32 depth)
{
	struct cgroup___ids *group;
	struct task_struct *task;
	struct css_set *set;
	__u64 id = 0;

	if (LINUX_KERNEL_VERSION >= ANCESTOR_HELPER)
		return bpf_get_current_ancestor_cgroup_id(depth);
	task = (struct task_struct *)bpf_get_current_task();
	set = PROBE(task, cgroups);
	group = (struct cgroup___ids *)PROBE(set, dfl_cgrp);
	if ((int)depth > PROBE(group, level))
		return 0;
	bpf_probe_read_kernel(&id, sizeof(id),
			      (void *)group + bpf_core_field_offset(group->ancestor_ids) + depth * sizeof(id));
	return id;
}

/*
 * What the nearest group above the current task says, remembered for its own. Global, so that the verifier checks it once.
 * A change in between leaves an entry of the generation before, which nobody believes.
 */
__noinline int resolve_level(__u32 generation)
{
	struct visibility_level_value found = {.level = VISIBILITY_ON, .generation = generation};
	__u64 own = bpf_get_current_cgroup_id();
	__u32 depth;

	REPEAT(depth, CGROUP_DEPTH_MAX)
	{
		__u64 id = current_ancestor(depth);
		__u32 *said;

		if (!id)
			break;
		said = bpf_map_lookup_elem(&visibility, &id);
		if (said)
			found.level = *said;
	}
	bpf_map_update_elem(&visibility_levels, &own, &found, BPF_ANY);
	return found.level;
}

/* enum visibility_level of the current task. One look-up, once its group is known; nothing where nobody asks for it. */
static __always_inline __u32 current_level(void)
{
	struct visibility_level_value *known;
	__u32 zero = 0, *generation;
	__u64 own;

	if (!visibility_enforced)
		return VISIBILITY_ON;
	generation = bpf_map_lookup_elem(&visibility_generation, &zero); /* an array: a load, no call */
	if (!generation)
		return VISIBILITY_ON;
	own = bpf_get_current_cgroup_id();
	known = bpf_map_lookup_elem(&visibility_levels, &own);
	if (known && known->generation == *generation)
		return known->level;
	return resolve_level(*generation);
}

/*
 * The level last found for the group of a task that does not run now: its packet left in softirq context. Nothing known
 * (evicted): captured.
 */
static __always_inline __u32 recalled_level(const struct owner *owner)
{
	struct visibility_level_value *known;
	__u64 group = owner->cgroup_id;

	if (!visibility_enforced)
		return VISIBILITY_ON;
	known = bpf_map_lookup_elem(&visibility_levels, &group);
	return known ? known->level : VISIBILITY_ON;
}

#endif
