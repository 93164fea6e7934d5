/* cgroup: what the path of a cgroup tells about containers. Pure. */
#ifndef WEIR_PROC_CGROUP_H
#define WEIR_PROC_CGROUP_H

#include "core/base/slice.h"

enum { CGROUP_CONTAINER_ID_LEN = 64, CGROUP_POD_UID_LEN = 36 };

struct cgroup_names {
	char container_id[CGROUP_CONTAINER_ID_LEN + 1]; /* "" when in none */
	char pod_uid[CGROUP_POD_UID_LEN + 1];
};

/* Reads the text of /proc/PID/cgroup: cgroup v1, v2 and hybrid, as docker, containerd, cri-o,
 * podman and the kubelet (with either cgroup driver) name their cgroups. Of containers in
 * containers the innermost. */
void cgroup_parse(struct slice text, struct cgroup_names *ret);

#endif
