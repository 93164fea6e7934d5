/* graph_internal: what graph_build.c makes and graph.c runs. */
#ifndef WEIR_PIPELINE_GRAPH_INTERNAL_H
#define WEIR_PIPELINE_GRAPH_INTERNAL_H

#include "core/pipeline/edge.h"
#include "core/pipeline/graph.h"
#include "core/self/health.h"

struct timer;

/* One instance. Lives in the graph's arena. */
struct node {
	struct list link; /* graph.nodes: in the order in which they were created and start */
	struct graph *graph;
	const struct plan_component *plan;
	struct component *instance;
	struct health_part *health;
	enum signal signal; /* the first wired one with CAP_SHARED */
	bool shutting_down, closed;
	unsigned upstream_open; /* links into it from nodes that have not closed */
	struct node_link *downstream;
};

struct node_link {
	struct node_link *next;
	struct node *to;
};

/* Set when the pipeline is built. */
struct built_pipeline {
	const struct plan_pipeline *plan;
	enum { NOT_BUILT, BUILDING, BUILT } state;
	struct consumer head;
	struct health_pipeline *health;
	bool writes;         /* something in it may write to the batches it is given */
	struct node **first; /* the nodes that get them: a processor, or the exporters */
	size_t n_first;
};

struct graph {
	const struct plan *plan;
	const struct host *outer; /* what the graph was given */
	struct host host;         /* what its components are given: outer, but for the hooks */
	struct logger log;
	struct arena arena;
	struct list nodes;
	struct list edges;
	struct built_pipeline *pipelines; /* as many as the plan has */
	struct metrics_collector *collector;
	struct health *health;

	bool started, stopping, advancing, forced;
	size_t n_open; /* nodes that have not closed */
	uint64_t deadline_ns;
	struct timer *deadline_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

#endif
