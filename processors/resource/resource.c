/* resource: changes the attributes of resources by an ordered list of actions.
 *
 * Opens only the resource of each group; spans, metrics and log records go on as the bytes that came.
 *
 * Fails: no memory (RETRY: the sender has the batch still); bytes that cannot be decoded (PERMANENT). A regular
 * expression that takes too many steps counts as no match, and the log says so. */
#include "core/attributes/actions.h"
#include "core/attributes/pattern.h"
#include "core/component.h"

#include <stdlib.h>

struct resource_config {
	struct group_list attributes;
};

static const struct option resource_options[] = {
	OPTION_GROUP_LIST(struct resource_config, attributes, struct attribute_action,
                          attribute_action_options, .flags = OPTION_REQUIRED,
                          .doc = "What is done, in this order."),
	OPTION_END,
};

struct resource {
	struct component component;
	struct consumer next;
	struct actions *actions;
};

static int resource_check(const void *config, struct error *error)
{
	const struct resource_config *c = config;
	struct actions *actions = NULL;
	int r = actions_new(&c->attributes, &actions, error);

	actions_free(actions);
	return r;
}

static int act(struct resource *p, struct batch **b, struct error *error)
{
	unsigned given_up;
	int r = batch_open(b, DEPTH_RESOURCE, error);

	if (r < 0)
		return r;
	actions_begin(p->actions, &(*b)->origin);
	for (struct group *g = (*b)->first; g && r == 0; g = g->next)
		r = actions_apply(p->actions, actions_arena(*b, g), &g->resource->n_attributes,
		                  &g->resource->attributes);
	given_up = actions_given_up(p->actions);
	pattern_log_given_up(&p->component.log, given_up);
	return r < 0 ? error_no_memory(error) : 0;
}

static void resource_consume(struct component *component, struct batch *b, struct done done)
{
	struct resource *p = (struct resource *)component;
	struct error error = ERROR_INIT;

	if (act(p, &b, &error) == 0) {
		consumer_consume(p->next, b, done);
		return;
	}
	batch_unref(b);
	done_error(done, &error);
}

static void resource_shutdown(struct component *component, uint64_t deadline_ns,
                              void (*closed)(void *arg), void *arg)
{
	closed(arg); /* holds nothing */
}

static void resource_destroy(struct component *component)
{
	struct resource *p = (struct resource *)component;

	if (!p)
		return;
	actions_free(p->actions);
	free(p);
}

extern const struct component_type processor_resource_type;

static int resource_create(const struct create_args *args, struct component **ret,
                           struct error *error)
{
	const struct resource_config *c = args->config;
	struct resource *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return error_no_memory(error);
	component_init(&p->component, &processor_resource_type, args);
	p->next = args->next[args->signal];
	r = actions_new(&c->attributes, &p->actions, error);
	if (r < 0) {
		resource_destroy(&p->component);
		return r;
	}
	*ret = &p->component;
	return 0;
}

const struct component_type processor_resource_type = {
	.name = "resource",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.caps = CAP_MUTATES,
	.summary = "Changes attributes of resources.",
	.stability = "alpha",
	.config_size = sizeof(struct resource_config),
	.options = resource_options,
	.check = resource_check,
	.create = resource_create,
	.consume = resource_consume,
	.shutdown = resource_shutdown,
	.destroy = resource_destroy,
};
