/* mounts: where a kind of file system is mounted, from /proc/self/mountinfo and nowhere else:
 * hybrid hosts have cgroup v2 below the v1 tree. */
#ifndef WEIR_BPF_HOST_MOUNTS_H
#define WEIR_BPF_HOST_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the first mount point of that file system type ("cgroup2", "bpf", "tracefs"). Returns 0,
 * -ENOENT when there is none, -ENAMETOOLONG, or why mountinfo cannot be read. */
int mounts_find(const char *type, char *ret_path, size_t size);

/* Whether the directory is the root of the host's cgroup v2 tree. In a container with a cgroup
 * namespace, what looks like the root is the container's own cgroup. */
bool mounts_is_cgroup_root(const char *path);

#endif
