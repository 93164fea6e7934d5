/* From a plan to instances. Pipelines are built sink to source; a pipeline that ends in a connector
 * waits until those that begin with it are built, and a circle of connectors is an error. */
#include "core/pipeline/fanout.h"
#include "core/pipeline/graph_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int build_pipeline(struct graph *g, struct built_pipeline *p, struct error *error);

static void node_consume(void *self, struct batch *batch, struct done done)
{
	struct node *n = self;
	n->plan->type->consume(n->instance, batch, done);
}

static bool is_shared(const struct plan_component *c)
{
	return (c->type->caps & CAP_SHARED) != 0;
}

static bool node_link_to(struct node *from, struct node *to)
{
	struct node_link *link;

	for (link = from->downstream; link; link = link->next)
		if (link->to == to)
			return true;
	link = arena_alloc(&from->graph->arena, sizeof *link);
	if (!link)
		return false;
	*link = (struct node_link){.next = from->downstream, .to = to};
	from->downstream = link;
	to->upstream_open++;
	return true;
}

static int node_new(struct graph *g, const struct plan_component *c, enum signal signal,
                    const struct consumer next[SIGNAL_COUNT], struct node **ret,
                    struct error *error)
{
	struct create_args args = {.id = c->id,
	                           .config = c->config,
	                           .host = &g->host,
	                           .signal = signal};
	struct node *n = arena_alloc(&g->arena, sizeof *n);
	int r;

	if (n)
		n->health = health_add_part(g->health, component_kind_name(c->type->kind), c->id);
	if (!n || !n->health)
		return error_no_memory(error);
	if (next)
		memcpy(args.next, next, sizeof args.next);
	r = c->type->create(&args, &n->instance, error);
	if (r < 0) {
		if (c->type->kind == EXTENSION)
			return error_wrap(error, "failed to create \"%s\" extension", c->id);
		return error_wrap(error, "failed to create \"%s\" %s for data type \"%s\"", c->id,
		                  component_kind_name(c->type->kind), signal_name(signal));
	}
	n->graph = g;
	n->plan = c;
	n->signal = signal;
	list_push(&g->nodes, &n->link);
	*ret = n;
	return 0;
}

static struct node *node_find(struct graph *g, const struct plan_component *c, enum signal signal)
{
	struct node *n;

	LIST_FOR_EACH(n, &g->nodes, link)
		if (n->plan == c && (n->signal == signal || is_shared(c)))
			return n;
	return NULL;
}

/* next behind a new edge; not set: no memory. */
static struct consumer count(struct graph *g, enum signal signal, const struct edge_role *role,
                             struct consumer next)
{
	struct edge *e = arena_alloc(&g->arena, sizeof *e);

	if (!e)
		return (struct consumer){NULL, NULL};
	edge_init(e, role, signal, next);
	list_push(&g->edges, &e->link);
	return edge_consumer(e);
}

static bool listed(struct plan_component *const *list, size_t n, const struct plan_component *c)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == c)
			return true;
	return false;
}

/* What c, as a source of this signal, is to call: every pipeline that lists it. Not set and no
 * error: none does. The pipelines are built. */
static int source_next(struct graph *g, const struct plan_component *c, enum signal signal,
                       struct consumer *ret, struct error *error)
{
	struct fanout_branch *branches =
		arena_alloc_array(&g->arena, g->plan->n_pipelines, sizeof *branches);
	struct edge_role role = {.receiver = c->type->kind == RECEIVER ? c->id : NULL};
	size_t n = 0;

	if (!branches)
		return error_no_memory(error);
	for (size_t i = 0; i < g->plan->n_pipelines; i++) {
		struct built_pipeline *p = &g->pipelines[i];
		if (p->plan->signal == signal &&
		    listed(p->plan->receivers, p->plan->n_receivers, c))
			branches[n++] = (struct fanout_branch){p->head, p->writes};
	}
	if (n == 0)
		return 0;
	*ret = fanout_new(&g->arena, branches, n);
	if (consumer_is_set(*ret))
		*ret = count(g, signal, &role, *ret);
	return consumer_is_set(*ret) ? 0 : error_no_memory(error);
}

/* Everything that a source in front of these pipelines is upstream of. */
static int link_source(struct graph *g, struct node *source,
                       const struct consumer next[SIGNAL_COUNT], struct error *error)
{
	for (size_t i = 0; i < g->plan->n_pipelines; i++) {
		struct built_pipeline *p = &g->pipelines[i];
		if (!consumer_is_set(next[p->plan->signal]) ||
		    !listed(p->plan->receivers, p->plan->n_receivers, source->plan))
			continue;
		for (size_t k = 0; k < p->n_first; k++)
			if (!node_link_to(source, p->first[k]))
				return error_no_memory(error);
		if (!health_add_seat(g->health, p->health, source->health))
			return error_no_memory(error);
	}
	return 0;
}

/* An instance that feeds pipelines: a receiver, or a connector for one signal of its input. */
static int build_source(struct graph *g, const struct plan_component *c, enum signal signal,
                        const struct consumer next[SIGNAL_COUNT], struct node **ret,
                        struct error *error)
{
	int r = node_new(g, c, signal, next, ret, error);

	return r < 0 ? r : link_source(g, *ret, next, error);
}

static int build_receiver(struct graph *g, const struct plan_component *c, struct error *error)
{
	struct consumer next[SIGNAL_COUNT] = {{NULL, NULL}};
	struct node *n;
	int r = 0, first = -1;

	for (int s = 0; s < SIGNAL_COUNT && r == 0; s++) {
		r = source_next(g, c, (enum signal)s, &next[s], error);
		if (consumer_is_set(next[s]) && first < 0)
			first = s;
	}
	if (r < 0 || first < 0)
		return r;
	if (is_shared(c))
		return build_source(g, c, (enum signal)first, next, &n, error);
	for (int s = 0; s < SIGNAL_COUNT && r == 0; s++) {
		struct consumer only[SIGNAL_COUNT] = {{NULL, NULL}};
		only[s] = next[s];
		if (consumer_is_set(next[s]))
			r = build_source(g, c, (enum signal)s, only, &n, error);
	}
	return r;
}

/* A connector's instance for the signal that comes in is given every signal it is listed for as a
 * receiver: one per pair in the Collector, one per input here, with the same wiring. */
static int build_connector(struct graph *g, const struct plan_component *c, enum signal signal,
                           struct node **ret, struct error *error)
{
	struct consumer next[SIGNAL_COUNT] = {{NULL, NULL}};
	int r = 0;

	for (size_t i = 0; i < g->plan->n_pipelines && r == 0; i++) {
		struct built_pipeline *p = &g->pipelines[i];
		if (!listed(p->plan->receivers, p->plan->n_receivers, c))
			continue;
		if (p->state == BUILDING)
			return error_set(error, -ELOOP,
			                 "cycle detected: connector \"%s\" (%s to %s) leads back "
			                 "into pipeline %s",
			                 c->id, signal_name(signal), signal_name(p->plan->signal),
			                 p->plan->id);
		r = build_pipeline(g, p, error);
	}
	for (int s = 0; s < SIGNAL_COUNT && r == 0; s++)
		r = source_next(g, c, (enum signal)s, &next[s], error);
	return r < 0 ? r : build_source(g, c, signal, next, ret, error);
}

static int build_sink(struct graph *g, const struct plan_component *c, enum signal signal,
                      struct node **ret, struct error *error)
{
	*ret = node_find(g, c, signal);
	if (*ret)
		return 0;
	if (c->type->kind == CONNECTOR)
		return build_connector(g, c, signal, ret, error);
	return node_new(g, c, signal, NULL, ret, error);
}

/* The end of a pipeline: one consumer for all its exporters. p->first are their nodes. */
static int build_exporters(struct graph *g, struct built_pipeline *p, struct error *error)
{
	const struct plan_pipeline *plan = p->plan;
	struct fanout_branch *branches =
		arena_alloc_array(&g->arena, plan->n_exporters, sizeof *branches);

	p->first = arena_alloc_array(&g->arena, plan->n_exporters, sizeof *p->first);
	if (!branches || !p->first)
		return error_no_memory(error);
	p->writes = true;
	for (size_t i = 0; i < plan->n_exporters; i++) {
		const struct plan_component *c = plan->exporters[i];
		struct edge_role role = {.pipeline = plan->id};
		struct node *n;
		int r = build_sink(g, c, plan->signal, &n, error);

		if (r < 0)
			return r;
		role.to = n->instance;
		branches[i].writes = (c->type->caps & CAP_MUTATES) != 0;
		branches[i].to = count(g, plan->signal, &role, (struct consumer){node_consume, n});
		if (!consumer_is_set(branches[i].to) ||
		    !health_add_seat(g->health, p->health, n->health))
			return error_no_memory(error);
		p->writes = p->writes && branches[i].writes;
		p->first[p->n_first++] = n;
	}
	p->head = fanout_new(&g->arena, branches, plan->n_exporters);
	return consumer_is_set(p->head) ? 0 : error_no_memory(error);
}

/* Puts processor i in front of what p is so far. */
static int build_processor(struct graph *g, struct built_pipeline *p, size_t i, struct error *error)
{
	const struct plan_component *c = p->plan->processors[i];
	struct edge_role out = {.processor_out = c->id}, in = {.pipeline = p->plan->id};
	struct consumer next[SIGNAL_COUNT] = {{NULL, NULL}}, after;
	enum signal signal = p->plan->signal;
	struct node *n;
	int r;

	after = next[signal] = count(g, signal, &out, p->head);
	if (!consumer_is_set(after))
		return error_no_memory(error);
	r = node_new(g, c, signal, next, &n, error);
	if (r < 0)
		return r;
	for (size_t k = 0; k < p->n_first; k++)
		if (!node_link_to(n, p->first[k]))
			return error_no_memory(error);
	p->first[0] = n;
	p->n_first = 1;
	p->writes = p->writes || (c->type->caps & CAP_MUTATES);
	in.to = n->instance;
	p->head = count(g, signal, &in, (struct consumer){node_consume, n});
	if (!consumer_is_set(p->head) || !health_add_seat(g->health, p->health, n->health))
		return error_no_memory(error);
	return 0;
}

static int build_pipeline(struct graph *g, struct built_pipeline *p, struct error *error)
{
	struct edge_role role = {.pipeline_head = p->plan->id};
	int r;

	if (p->state == BUILT)
		return 0;
	p->state = BUILDING;
	r = build_exporters(g, p, error);
	for (size_t i = p->plan->n_processors; i > 0 && r == 0; i--)
		r = build_processor(g, p, i - 1, error);
	if (r < 0)
		return r;
	p->head = count(g, p->plan->signal, &role, p->head);
	p->state = BUILT;
	return consumer_is_set(p->head) ? 0 : error_no_memory(error);
}

static int build_extension(struct graph *g, const struct plan_component *c, struct error *error)
{
	struct node *n;
	int r = node_new(g, c, SIGNAL_TRACES, NULL, &n, error);

	if (r < 0)
		return r;
	return health_add_seat(g->health, &g->health->extensions, n->health)
	               ? 0
	               : error_no_memory(error);
}

static int build_extensions(struct graph *g, struct error *error)
{
	int r = 0;

	for (size_t i = 0; i < g->plan->n_extensions && r == 0; i++)
		r = build_extension(g, g->plan->extensions[i], error);
	return r < 0 ? error_wrap(error, "failed to build extensions") : 0;
}

int graph_build(struct graph *g, struct error *error)
{
	const struct plan *plan = g->plan;
	int r = build_extensions(g, error);

	if (r < 0)
		return r;
	g->pipelines = arena_alloc_array(&g->arena, plan->n_pipelines, sizeof *g->pipelines);
	if (!g->pipelines)
		return error_no_memory(error);
	for (size_t i = 0; i < plan->n_pipelines; i++) {
		g->pipelines[i].plan = &plan->pipelines[i];
		g->pipelines[i].health = health_add_pipeline(g->health, plan->pipelines[i].id);
		if (!g->pipelines[i].health)
			return error_no_memory(error);
	}
	for (size_t i = 0; i < plan->n_pipelines && r == 0; i++)
		r = build_pipeline(g, &g->pipelines[i], error);
	for (size_t i = 0; i < plan->n_components && r == 0; i++)
		if (plan->components[i].type->kind == RECEIVER)
			r = build_receiver(g, &plan->components[i], error);
	return r < 0 ? error_wrap(error, "failed to build pipelines") : 0;
}
