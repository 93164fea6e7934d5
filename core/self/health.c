#include "core/self/health.h"

#include "core/base/clock.h"
#include "core/self/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct health_policy default_policy = {.include_permanent_errors = true,
                                                    .recovery_ns = 300 * NS_PER_S};

struct health *health_new(const struct budget *budget)
{
	struct health *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	arena_init(&h->arena, NULL);
	list_init(&h->parts);
	list_init(&h->pipelines);
	h->budget = budget;
	h->policy = default_policy;
	h->started_ns = clock_monotonic_ns();
	return h;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	arena_fini(&h->arena);
	free(h);
}

struct health_part *health_add_part(struct health *h, const char *kind, const char *id)
{
	struct health_part *part = arena_alloc(&h->arena, sizeof *part);

	if (!part)
		return NULL;
	part->kind = kind;
	part->id = id;
	part->since_ns = clock_monotonic_ns();
	list_push(&h->parts, &part->link);
	return part;
}

struct health_pipeline *health_add_pipeline(struct health *h, const char *id)
{
	struct health_pipeline *p = arena_alloc(&h->arena, sizeof *p);

	if (!p)
		return NULL;
	p->id = id;
	list_push(&h->pipelines, &p->link);
	return p;
}

bool health_add_seat(struct health *h, struct health_pipeline *pipeline, struct health_part *part)
{
	struct health_seat *seat = arena_alloc(&h->arena, sizeof *seat);

	if (!seat)
		return false;
	*seat = (struct health_seat){.next = pipeline->seats, .part = part};
	pipeline->seats = seat;
	return true;
}

void health_report(struct health_part *part, enum component_status status,
                   const struct error *error)
{
	if (part->status >= STATUS_STOPPING && status <= part->status)
		return;
	if (status != part->status)
		part->since_ns = clock_monotonic_ns();
	part->status = status;
	snprintf(part->message, sizeof part->message, "%.255s", error ? error->message : "");
}

void health_run(struct health *h)
{
	h->running = true;
	h->running_ns = clock_monotonic_ns();
}

void health_stop(struct health *h)
{
	h->stopping = true;
}

const struct health_pipeline *health_find(const struct health *h, struct slice id)
{
	const struct health_pipeline *p;

	LIST_FOR_EACH(p, &h->pipelines, link)
		if (slice_equal(slice_from_string(p->id), id))
			return p;
	return NULL;
}

bool health_is_live(const struct health *h)
{
	const struct health_part *part;

	LIST_FOR_EACH(part, &h->parts, link)
		if (part->status == STATUS_FATAL_ERROR)
			return false;
	return true;
}

bool health_is_short_of_memory(struct health *h)
{
	const struct budget *b = h->budget;
	bool refused;

	if (!b || !b->limit)
		return false;
	refused = b->refusals != h->refusals;
	h->refusals = b->refusals;
	h->short_of_memory = b->used >= b->limit || ((h->short_of_memory || refused) &&
	                                             b->used >= b->limit - b->limit / 8);
	return h->short_of_memory;
}

bool health_part_is_healthy(const struct health *h, const struct health_part *part)
{
	switch (part->status) {
	case STATUS_OK:
		return true;
	case STATUS_RECOVERABLE_ERROR:
		return !h->policy.include_recoverable_errors ||
		       clock_monotonic_ns() - part->since_ns <= h->policy.recovery_ns;
	case STATUS_PERMANENT_ERROR:
		return !h->policy.include_permanent_errors;
	default:
		return false;
	}
}

bool health_pipeline_is_healthy(const struct health *h, const struct health_pipeline *pipeline)
{
	for (const struct health_seat *s = pipeline->seats; s; s = s->next)
		if (!health_part_is_healthy(h, s->part))
			return false;
	return true;
}

bool health_all_is_healthy(const struct health *h)
{
	const struct health_part *part;

	LIST_FOR_EACH(part, &h->parts, link)
		if (!health_part_is_healthy(h, part))
			return false;
	return true;
}

/* What speaks for the whole: errors, the worse first, but only where nothing is on its way in or
 * out. */
static int weight(enum component_status status)
{
	static const int weights[] = {
		[STATUS_OK] = 0,
		[STATUS_STOPPED] = 1,
		[STATUS_RECOVERABLE_ERROR] = 2,
		[STATUS_PERMANENT_ERROR] = 3,
		[STATUS_STARTING] = 4,
		[STATUS_STOPPING] = 5,
		[STATUS_FATAL_ERROR] = 6,
	};
	return weights[status];
}

struct sum {
	const struct health_part *worst;
	bool all_stopped;
};

static void sum_add(struct sum *sum, const struct health_part *part)
{
	int more = sum->worst ? weight(part->status) - weight(sum->worst->status) : 1;

	if (more > 0 || (more == 0 && part->since_ns > sum->worst->since_ns))
		sum->worst = part;
	sum->all_stopped = sum->all_stopped && part->status == STATUS_STOPPED;
}

static struct health_part sum_of(const struct sum *sum)
{
	struct health_part part = *sum->worst;

	if (part.status == STATUS_STOPPED && !sum->all_stopped)
		part.status = STATUS_STOPPING;
	return part;
}

struct health_part health_sum_up(const struct health_pipeline *pipeline)
{
	struct sum sum = {.all_stopped = true};

	for (const struct health_seat *s = pipeline->seats; s; s = s->next)
		sum_add(&sum, s->part);
	return sum_of(&sum);
}

struct health_part health_sum_up_all(const struct health *h)
{
	struct sum sum = {.all_stopped = true};
	const struct health_part *part;

	LIST_FOR_EACH(part, &h->parts, link)
		sum_add(&sum, part);
	return sum_of(&sum);
}

static bool takes_data(struct health *h)
{
	return h->running && !h->stopping && health_is_live(h) && !health_is_short_of_memory(h);
}

bool health_pipeline_is_ready(struct health *h, const struct health_pipeline *pipeline)
{
	return takes_data(h) && health_pipeline_is_healthy(h, pipeline);
}

bool health_is_ready(struct health *h)
{
	const struct health_pipeline *p;

	LIST_FOR_EACH(p, &h->pipelines, link)
		if (!health_pipeline_is_healthy(h, p))
			return false;
	return takes_data(h);
}

void health_collect(struct health *h, struct metrics_sink *sink)
{
	const struct health_pipeline *p;

	metrics_gauge(sink, "weir_ready", "1 while weir can be given data, otherwise 0.", NULL,
	              health_is_ready(h));
	LIST_FOR_EACH(p, &h->pipelines, link)
		metrics_gauge(sink, "weir_pipeline_ready",
		              "1 while this pipeline can be given data, otherwise 0.",
		              METRICS_LABELS({"pipeline", p->id}), health_pipeline_is_ready(h, p));
}
