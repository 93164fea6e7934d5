/* Who owns a socket, read from a task. For every family of programs that tells it.
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_OWNER_BPF_H
#define WEIR_OWNER_BPF_H

#include "bpf/events/owner.h"

/* How a field is read. Tracing programs, whose tasks have a type that the verifier knows, define
 * OWNER_DIRECT and load it, which takes a fraction of the time; others probe. Every pointer is
 * checked although a bad one would only read as zero: newer verifiers want it. */
#ifdef OWNER_DIRECT
#define OWNER_FIELD(pointer, field) ((pointer) ? (pointer)->field : (typeof((pointer)->field))0)
#else
#define OWNER_FIELD(pointer, field) BPF_CORE_READ(pointer, field)
#endif

/* Writes every field, what cannot be read as 0: o may tell of another process before. */
static __always_inline void owner_read(struct process_owner *o, struct task_struct *task)
{
	struct task_struct *leader = OWNER_FIELD(task, group_leader);
	struct mm_struct *mm = OWNER_FIELD(task, mm); /* a kernel thread has none */
	struct file *file = OWNER_FIELD(mm, exe_file);
	struct dentry *dentry = OWNER_FIELD(file, f_path.dentry);
	struct css_set *cgroups = OWNER_FIELD(task, cgroups);
	struct cgroup *cgroup = OWNER_FIELD(cgroups, dfl_cgrp);
	struct kernfs_node *node = OWNER_FIELD(cgroup, kn);

	o->pid = OWNER_FIELD(task, tgid);
	o->start_time_ns = OWNER_FIELD(leader, start_boottime);
	o->cgroup_id = OWNER_FIELD(node, id);
	o->comm[0] = o->executable[0] = 0;
	if (leader)
		bpf_probe_read_kernel(o->comm, sizeof o->comm, leader->comm);
	if (dentry)
		bpf_probe_read_kernel_str(o->executable, sizeof o->executable,
		                          OWNER_FIELD(dentry, d_name.name));
}

#endif
