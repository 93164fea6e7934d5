/* forward: joins pipelines of one signal. What comes in as an exporter of one pipeline goes on as a
 * receiver of others, the same batch, untouched. It holds nothing and answers nothing itself: the
 * outcome is that of the pipelines behind it, so nothing can fail here. */
#include "core/component.h"

#include <stdlib.h>

struct forward {
	struct component component;
	struct consumer next;
};

static void forward_consume(struct component *component, struct batch *b, struct done done)
{
	struct forward *f = (struct forward *)component;

	consumer_consume(f->next, b, done);
}

static void forward_shutdown(struct component *component, uint64_t deadline_ns,
                             void (*closed)(void *arg), void *arg)
{
	closed(arg);
}

static void forward_destroy(struct component *component)
{
	free(component);
}

extern const struct component_type connector_forward_type;

static int forward_create(const struct create_args *args, struct component **ret,
                          struct error *error)
{
	struct forward *f = calloc(1, sizeof *f);

	if (!f)
		return error_no_memory(error);
	component_init(&f->component, &connector_forward_type, args);
	f->next = args->next[args->signal];
	*ret = &f->component;
	return 0;
}

const struct component_type connector_forward_type = {
	.name = "forward",
	.kind = CONNECTOR,
	.signals = SIGNAL_ALL,
	.caps = CAP_SAME_SIGNAL,
	.summary = "Joins pipelines of one signal.",
	.stability = "alpha",
	.create = forward_create,
	.consume = forward_consume,
	.shutdown = forward_shutdown,
	.destroy = forward_destroy,
};
