/* resource: which resource of telemetry a process belongs to: its executable and its container, or
 * where that is wanted the process alone. Shared by the series of the resource and by log records
 * that wait to be sent; one that nobody holds any more goes. Pure: what /proc knows comes through a
 * proc_cache. */
#ifndef WEIR_OBSERVE_RESOURCE_H
#define WEIR_OBSERVE_RESOURCE_H

#include "bpf/events/owner.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/proc/proc.h"

enum { RESOURCE_INSTANCE_TEXT = 37 }; /* a UUID and its NUL */

/* What tells processes apart in the output. Strings are "" where nothing is known. */
struct resource_owner {
	const char *executable, *path, *container_id;
	uint32_t pid; /* 0 unless a resource is wanted for each process */
	uint64_t start_time_ns;
};

struct resource {
	struct map_node node;
	struct list link;   /* in resources.all */
	struct list series; /* series.of_resource */
	struct resources *home;
	unsigned refs;
	uint32_t collection;         /* the last that is through with it */
	struct resource_owner owner; /* its own copies */
	char instance_id[RESOURCE_INSTANCE_TEXT];
	void *names;   /* the receiver's, who frees it with the last series; NULL otherwise */
	void *scratch; /* for whoever builds a batch; NULL otherwise */
};

struct resources {
	struct map map;
	struct list all; /* resource.link, in the order of collection */
	const char *host_name;
};

/* host_name outlives it. */
void resources_init(struct resources *r, const char *host_name);
void resources_fini(struct resources *r); /* when nobody holds one */

/* The resource of that owner, with a reference for the caller. NULL: no memory. */
struct resource *resource_get(struct resources *r, const struct resource_owner *owner);
struct resource *resource_ref(struct resource *r);
void resource_unref(struct resource *r); /* takes NULL */

/* As proc_cache knows the owner that a program tells. */
struct proc_key resource_process_key(const struct process_owner *owner);

/* The resource of that process, as resource_get(). */
struct resource *resource_of_process(struct resources *r, struct proc_cache *processes,
                                     const struct proc_key *key, bool per_process, uint64_t now_ns);

#endif
