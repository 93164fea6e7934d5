/* Starting, stopping and counting a built graph.
 *
 * Stopping: every node knows how many upstream nodes are still open. advance() shuts down those
 * that wait for nobody; each closed() lowers the count of what is downstream and calls advance()
 * again. Extensions go when nothing else is left, the last one first. At the deadline everything
 * not yet told to shut down is told. */
#include "core/pipeline/graph.h"

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/loop/timer.h"
#include "core/pipeline/graph_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void report(void *arg, struct metrics_sink *sink)
{
	struct graph *g = arg;
	struct edge *e;

	LIST_FOR_EACH(e, &g->edges, link)
		edge_report(e, sink);
	health_collect(g->health, sink);
}

/* What components ask of their host. */

size_t graph_examine(struct graph *g, void (*tell)(const struct error *error))
{
	size_t failures = 0;
	struct node *n;

	LIST_FOR_EACH(n, &g->nodes, link) {
		struct error error = ERROR_INIT;

		if (!n->plan->type->examine || n->plan->type->examine(n->instance, &error) == 0)
			continue;
		error_wrap(&error, "%s", n->instance->subject);
		tell(&error);
		failures++;
	}
	return failures;
}

static bool is_extension(const struct node *n)
{
	return n->plan->type->kind == EXTENSION;
}

static struct component *find_extension(const struct host *host, const char *id)
{
	struct graph *g = CONTAINER_OF(host, struct graph, host);
	struct node *n;

	LIST_FOR_EACH(n, &g->nodes, link)
		if (is_extension(n) && strcmp(n->plan->id, id) == 0)
			return n->instance;
	return NULL;
}

static void on_report(const struct host *host, const struct component *c,
                      enum component_status status, const struct error *error)
{
	struct graph *g = CONTAINER_OF(host, struct graph, host);
	struct node *n;

	LIST_FOR_EACH(n, &g->nodes, link)
		if (n->instance == c)
			health_report(n->health, status, error);
	if (g->outer->report)
		g->outer->report(g->outer, c, status, error);
}

struct graph *graph_new(const struct plan *plan, const struct host *host)
{
	struct graph *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->plan = plan;
	g->health = health_new(host->budget);
	if (!g->health) {
		free(g);
		return NULL;
	}
	g->outer = host;
	g->host = *host;
	g->host.extension = find_extension;
	g->host.report = on_report;
	g->host.health = g->health;
	g->log = (struct logger){.sink = host->log, .subject = ""};
	arena_init(&g->arena, NULL);
	list_init(&g->nodes);
	list_init(&g->edges);
	if (host->metrics) {
		g->collector = metrics_register(host->metrics, report, g);
		if (!g->collector) {
			health_free(g->health);
			free(g);
			return NULL;
		}
	}
	return g;
}

int graph_start(struct graph *g, struct error *error)
{
	struct node *n;

	LIST_FOR_EACH(n, &g->nodes, link) {
		const struct component_type *type = n->plan->type;

		if (!type->start || type->start(n->instance, error) == 0) {
			if (n->health->status == STATUS_STARTING) /* it says nothing worse */
				health_report(n->health, STATUS_OK, NULL);
			continue;
		}
		error_wrap(error, "failed to start \"%s\" %s", n->plan->id,
		           component_kind_name(type->kind));
		return error_wrap(error, type->kind == EXTENSION ? "failed to start extensions"
		                                                 : "cannot start pipelines");
	}
	g->started = true;
	health_run(g->health);
	log_info(&g->log, "Everything is ready. Begin running and processing data.");
	return 0;
}

/* The next node to shut down, or NULL while all that could be are busy closing. Sources stand last
 * in the list, so when everything is forced they still go first. */
static struct node *next_to_shut_down(struct graph *g)
{
	struct node *extension = NULL;
	bool pipelines_open = false;

	for (struct list *at = g->nodes.prev; at != &g->nodes; at = at->prev) {
		struct node *n = CONTAINER_OF(at, struct node, link);

		if (n->closed)
			continue;
		if (is_extension(n)) {
			extension = extension ? extension : n;
			continue;
		}
		pipelines_open = true;
		if (!n->shutting_down && (n->upstream_open == 0 || g->forced))
			return n;
	}
	if (pipelines_open || !extension || extension->shutting_down)
		return NULL;
	return extension;
}

static void advance(struct graph *g);

static void on_closed(void *arg)
{
	struct node *n = arg;
	struct graph *g = n->graph;

	assert(n->shutting_down && !n->closed);
	n->closed = true;
	health_report(n->health, STATUS_STOPPED, NULL);
	g->n_open--;
	for (struct node_link *l = n->downstream; l; l = l->next)
		l->to->upstream_open--;
	advance(g);
}

/* The items behind the edge that an exporter counts as queued while their pipeline still waits for
 * the answer. */
static double queued_unanswered(struct metrics *m, const struct edge *e)
{
	const struct component *to = e->role.to;

	if (!to || to->type->kind != EXPORTER || !e->in_flight ||
	    metrics_sum(m, "weir_exporter_queued_items",
	                METRICS_LABELS({"exporter", to->id},
	                               {"data_type", signal_name(e->signal)})) == 0)
		return 0;
	return (double)e->in_flight;
}

/* Adds up what the pipelines gave up and what the exporters did; what they still hold is lost as
 * well when nobody waits for it any more. An item that both hold is the pipeline's. */
static void count_losses(const struct graph *g, uint64_t *ret_pipelines, uint64_t *ret_exporters)
{
	struct metrics *m = g->host.metrics;
	uint64_t pipelines = 0;
	double exporters = 0;
	struct edge *e;

	if (m)
		exporters =
			metrics_sum(m, "weir_exporter_queued_items", NULL) +
			metrics_sum(m, "weir_exporter_dropped_items",
		                    METRICS_LABELS({"reason", drop_reason_name(DROP_SHUTDOWN)}));
	LIST_FOR_EACH(e, &g->edges, link) {
		if (e->role.pipeline_head)
			pipelines += e->in_flight + e->dropped.items[DROP_SHUTDOWN];
		if (m)
			exporters -= queued_unanswered(m, e);
	}
	*ret_pipelines = pipelines;
	*ret_exporters = exporters > 0 ? (uint64_t)exporters : 0;
}

static void log_open_nodes(const struct graph *g)
{
	struct buffer names = BUFFER_INIT;
	struct node *n;

	LIST_FOR_EACH(n, &g->nodes, link)
		if (!n->closed)
			buffer_printf(&names, "%s%s %s", names.len ? ", " : "",
			              component_kind_name(n->plan->type->kind), n->plan->id);
	if (names.len && !names.failed)
		log_warn(&g->log, "Not closed yet: %s.", buffer_string(&names));
	buffer_fini(&names);
}

void graph_log_losses(const struct graph *g)
{
	uint64_t pipelines, exporters;

	log_open_nodes(g);
	count_losses(g, &pipelines, &exporters);
	if (pipelines + exporters)
		log_warn(&g->log,
		         "Stopped. Lost (reason shutdown): %llu items in pipelines, %llu items in "
		         "exporter queues.",
		         (unsigned long long)pipelines, (unsigned long long)exporters);
	else
		log_info(&g->log, "Stopped. Nothing that was received is lost.");
}

static void finish(struct graph *g)
{
	void (*stopped)(void *arg) = g->stopped;

	timer_free(g->deadline_timer);
	g->deadline_timer = NULL;
	if (g->started) /* otherwise the error is what there is to say */
		graph_log_losses(g);
	g->stopped = NULL;
	stopped(g->stopped_arg);
}

/* closed() may come inside shutdown(): the outermost call does the work. */
static void advance(struct graph *g)
{
	struct node *n;

	if (g->advancing)
		return;
	g->advancing = true;
	while ((n = next_to_shut_down(g))) {
		n->shutting_down = true;
		health_report(n->health, STATUS_STOPPING, NULL);
		n->plan->type->shutdown(n->instance, g->deadline_ns, on_closed, n);
	}
	g->advancing = false;
	if (g->n_open == 0 && g->stopped)
		finish(g);
}

static void on_deadline(void *arg)
{
	struct graph *g = arg;

	g->forced = true;
	advance(g);
}

void graph_stop(struct graph *g, uint64_t deadline_ns, void (*stopped)(void *arg), void *arg)
{
	uint64_t now = clock_monotonic_ns();
	struct node *n;

	assert(!g->stopping);
	g->stopping = true;
	health_stop(g->health);
	g->deadline_ns = deadline_ns;
	g->stopped = stopped;
	g->stopped_arg = arg;
	LIST_FOR_EACH(n, &g->nodes, link)
		g->n_open++;
	/* Without the timer only a stage that does not keep its deadline holds up the rest. */
	g->deadline_timer = timer_new(g->host.loop, on_deadline, g);
	if (g->deadline_timer)
		timer_start(g->deadline_timer, deadline_ns > now ? deadline_ns - now : 0, 0);
	advance(g);
}

/* Sinks go first: what they have not answered yet may be told while they go, and those who asked
 * are still there to hear it. Extensions, which others use, go last. */
static void destroy_nodes(struct graph *g, bool extensions)
{
	struct node *n, *next;

	LIST_FOR_EACH_SAFE(n, next, &g->nodes, link) {
		if (is_extension(n) != extensions)
			continue;
		list_remove(&n->link);
		n->plan->type->destroy(n->instance);
	}
}

void graph_free(struct graph *g)
{
	struct edge *e, *next;

	if (!g)
		return;
	timer_free(g->deadline_timer);
	destroy_nodes(g, false);
	destroy_nodes(g, true);
	if (g->collector)
		metrics_unregister(g->host.metrics, g->collector);
	LIST_FOR_EACH_SAFE(e, next, &g->edges, link)
		edge_fini(e);
	health_free(g->health);
	arena_fini(&g->arena);
	free(g);
}
