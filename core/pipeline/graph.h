/* graph: the running form of a plan: instances of components, wired, counted, started and stopped
 * in order.
 *
 * graph_new -> graph_build -> graph_start -> graph_stop -> graph_free. When build or start fails
 * the graph is stopped and freed like any other: whatever was created is shut down in one place.
 * Several graphs may live on one loop at the same time. Plan and host outlive the graph. */
#ifndef WEIR_PIPELINE_GRAPH_H
#define WEIR_PIPELINE_GRAPH_H

#include "core/pipeline/plan.h"

struct graph;

/* NULL: no memory. */
struct graph *graph_new(const struct plan *plan, const struct host *host);

/* Creates every instance, exporters first, so that each is given its next. Nothing runs yet. */
int graph_build(struct graph *g, struct error *error);

/* Has every component that can read the files its configuration names; tells each failure. Returns
 * how many there were. For a graph that will not be started. */
size_t graph_examine(struct graph *g, void (*tell)(const struct error *error));

/* Starts extensions, then sinks before sources. */
int graph_start(struct graph *g, struct error *error);

/* Shuts down sources first, each stage when everything upstream of it has closed, extensions last,
 * all with the same deadline (monotonic). A stage that holds up the others beyond the deadline is
 * not waited for: the rest is shut down then. When all have closed, logs what was lost and calls
 * stopped(arg), once, maybe before this returns. */
void graph_stop(struct graph *g, uint64_t deadline_ns, void (*stopped)(void *arg), void *arg);

/* One log line: what the shutdown has cost so far, and which components have not closed. For a
 * caller that cannot wait for stopped. */
void graph_log_losses(const struct graph *g);

void graph_free(struct graph *g); /* after stopped, or before graph_build(); takes NULL */

#endif
