/* edge: the counter that the graph puts in front of every consumer.
 *
 * It counts batches, items, refusals, losses by reason, what is in flight and how long it took,
 * and reports them under the Collector's names where it has them, and as weir_pipeline_* and
 * weir_consume_* otherwise. At any moment received = refused + sent + dropped + in flight, in
 * items: what was refused is still its sender's. */
#ifndef WEIR_PIPELINE_EDGE_H
#define WEIR_PIPELINE_EDGE_H

#include "core/base/list.h"
#include "core/component.h"
#include "core/self/drops.h"
#include "core/self/histogram.h"

/* What an edge stands for; NULL members: not that. The strings outlive the edge. */
struct edge_role {
	const char *receiver;       /* everything this receiver hands over */
	const char *pipeline_head;  /* everything this pipeline is given */
	const char *processor_out;  /* what this processor hands on */
	const struct component *to; /* what this component is given ... */
	const char *pipeline;       /* ... in this pipeline */
};

struct edge {
	struct list link; /* for the owner's list of edges */
	struct consumer next;
	enum signal signal;
	struct edge_role role;

	uint64_t batches, received, refused, sent, in_flight; /* items but for batches */
	uint64_t bytes;                                       /* only with role.receiver */
	struct drops dropped;
	struct histogram duration;

	struct list busy, idle; /* struct flight; idle ones are used again */
	size_t n_idle;
};

void edge_init(struct edge *e, const struct edge_role *role, enum signal signal,
               struct consumer next);

/* When no done can come any more. */
void edge_fini(struct edge *e);

/* The consumer that others are given. */
struct consumer edge_consumer(struct edge *e);

void edge_report(const struct edge *e, struct metrics_sink *sink);

#endif
