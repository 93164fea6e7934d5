#include "processors/memory_limiter/memory_limiter.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hierarchy {
	const char *mount, *file;
};
static const struct hierarchy v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"};
static const struct hierarchy v2 = {"/sys/fs/cgroup", "memory.max"};

/* Lowers *limit to the number in the file. A file that is missing or says "max" is no limit. */
static void read_limit(const char *path, uint64_t *limit)
{
	FILE *f = fopen(path, "re");
	uint64_t v;

	if (!f)
		return;
	if (fscanf(f, "%" SCNu64, &v) == 1 && v < *limit)
		*limit = v;
	fclose(f);
}

/* The limits of a cgroup and all its ancestors. In a container without a cgroup namespace the path
 * is the host's and only the mount's own root is there. */
static void read_cgroup(const char *root, const struct hierarchy *h, char *cgroup, uint64_t *limit)
{
	char path[PATH_MAX + 128];

	for (;;) {
		char *slash = strrchr(cgroup, '/');
		snprintf(path, sizeof path, "%s%s%s/%s", root, h->mount,
		         strcmp(cgroup, "/") == 0 ? "" : cgroup, h->file);
		read_limit(path, limit);
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* Lines are "0::/path" (v2) and "4:memory,hugetlb:/path" (v1). */
static void read_cgroups(const char *root, uint64_t *limit)
{
	char line[PATH_MAX + 256], path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof line, f)) {
		char *controllers = strchr(line, ':'), *cgroup, *name, *rest;
		const struct hierarchy *h = NULL;
		if (!controllers || !(cgroup = strchr(controllers + 1, ':')))
			continue;
		*controllers++ = *cgroup++ = '\0';
		cgroup[strcspn(cgroup, "\n")] = '\0';
		if (!*controllers)
			h = &v2;
		for (rest = controllers; (name = strsep(&rest, ","));)
			if (strcmp(name, "memory") == 0)
				h = &v1;
		if (h && strlen(cgroup) < PATH_MAX)
			read_cgroup(root, h, cgroup, limit);
	}
	fclose(f);
}

int memory_limiter_total(const char *root, uint64_t *ret, struct error *error)
{
	uint64_t limit = UINT64_MAX, kib;
	char line[256], path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof path, "%s/proc/meminfo", root);
	f = fopen(path, "re");
	if (f) {
		while (fgets(line, sizeof line, f))
			if (sscanf(line, "MemTotal: %" SCNu64 " kB", &kib) == 1)
				limit = kib * 1024;
		fclose(f);
	}
	read_cgroups(root, &limit);
	if (limit == UINT64_MAX)
		return error_set(
			error, -ENODATA,
			"the memory of this machine is not known: neither %s/proc/meminfo nor "
			"a memory cgroup could be read; set limit_mib instead of "
			"limit_percentage",
			root);
	*ret = limit;
	return 0;
}
