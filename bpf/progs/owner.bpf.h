/* Who owns a socket, read from a task. For every family of programs that tells it.
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_OWNER_BPF_H
#define WEIR_OWNER_BPF_H

#include "bpf/events/owner.h"

/* task may be any task, of BTF type or not: everything is read by probing. o is zeroed before, or
 * tells of another process: every field is written, what cannot be read as 0. */
static __always_inline void owner_read(struct process_owner *o, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	const unsigned char *name = BPF_CORE_READ(task, mm, exe_file, f_path.dentry, d_name.name);

	o->pid = BPF_CORE_READ(task, tgid);
	o->start_time_ns = BPF_CORE_READ(leader, start_boottime);
	o->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	o->comm[0] = o->executable[0] = 0;
	BPF_CORE_READ_INTO(&o->comm, leader, comm);
	if (name) /* not of a kernel thread */
		bpf_probe_read_kernel_str(o->executable, sizeof o->executable, name);
}

#endif
