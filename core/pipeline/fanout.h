/* fanout: one batch to several consumers, one outcome back.
 *
 * Readers share the batch; each writer gets a clone, except that the last writer takes the original
 * when nobody reads. The outcomes are joined: RETRY when any branch says so (with the longest
 * delay, so the sender may repeat data on branches that had succeeded, as in the Collector), else
 * PERMANENT, else CANCELED when any branch says so, else OK. */
#ifndef WEIR_PIPELINE_FANOUT_H
#define WEIR_PIPELINE_FANOUT_H

#include "core/base/arena.h"
#include "core/component.h"

struct fanout_branch {
	struct consumer to;
	bool writes; /* something in this branch may write to the batch it is given */
};

/* One consumer in front of n >= 1 branches, which are copied into the arena; a single branch is
 * that branch itself. A consumer that is not set: no memory. */
struct consumer fanout_new(struct arena *arena, const struct fanout_branch *branches, size_t n);

#endif
