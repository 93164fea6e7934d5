/* sockets_owners: from the owner that a record names to the resource of its series.
 *
 * What /proc says of a process may change while its connections are open: it ends, it executes
 * another program, the cache lets go of it. An owner with open connections therefore keeps the
 * resource that it was given with the first one, so that every connection is subtracted where it
 * was added. There is one entry for each owner of open connections; the kernel bounds them. */
#ifndef WEIR_RECEIVERS_SOCKETS_OWNERS_H
#define WEIR_RECEIVERS_SOCKETS_OWNERS_H

#include "core/observe/resource.h"
#include "receivers/sockets/sockets_series.h"

struct owners {
	struct map map;
	struct proc_cache *processes;
	struct resources *resources;
	bool per_process;
};

/* Both outlive it. */
void owners_init(struct owners *o, struct proc_cache *processes, struct resources *resources,
                 bool per_process);
void owners_fini(struct owners *o);

/* The resource of a record that is about to be added to the series, with a reference. NULL: no
 * memory. Counts the owner's open connections by the record's flags: once for each record. */
struct resource *owners_resource(struct owners *o, const struct sockets_record *record,
                                 uint64_t now_ns);

/* As sockets_table_recount*(), in step with it. */
void owners_recount(struct owners *o);
struct resource *owners_recount_seen(struct owners *o, const struct sockets_record *record,
                                     uint64_t now_ns);
void owners_recount_end(struct owners *o);

#endif
