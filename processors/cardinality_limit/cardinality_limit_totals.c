/* totals: the memory of totals and of last values. */
#include "processors/cardinality_limit/cardinality_limit_totals.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- what is counted in places beyond those in the table */

static size_t extra_places(size_t bytes)
{
	return (bytes + sizeof(struct last_place) - 1) / sizeof(struct last_place);
}

bool lasts_admit(const struct cardinality *p, size_t new_places, size_t extra)
{
	size_t wanted = p->lasts.count + p->extra + new_places + extra_places(extra);
	return wanted <= p->config->max_tracked;
}

static void *extra_alloc(struct cardinality *p, size_t bytes)
{
	void *made;

	if (!budget_take(p->component.host->budget, bytes))
		return NULL;
	made = calloc(1, bytes);
	if (made)
		p->extra += extra_places(bytes);
	else
		budget_return(p->component.host->budget, bytes);
	return made;
}

static void extra_free(struct cardinality *p, void *made, size_t bytes)
{
	if (!made)
		return;
	free(made);
	p->extra -= extra_places(bytes);
	budget_return(p->component.host->budget, bytes);
}

/* ---- aggregates */

struct aggregate *aggregate_new(struct cardinality *p, struct arena *arena)
{
	struct aggregate *total;

	if (arena) {
		total = arena_alloc(arena, sizeof *total);
		if (total)
			total->arena = arena;
		return total;
	}
	if (!budget_take(p->component.host->budget, sizeof *total))
		return NULL;
	total = calloc(1, sizeof *total);
	if (!total)
		budget_return(p->component.host->budget, sizeof *total);
	return total;
}

size_t aggregate_bound(void)
{
	return sizeof(struct aggregate);
}

int aggregate_alloc(struct cardinality *p, const struct aggregate *total, size_t bytes, void **ret)
{
	void *made;

	if (!total->arena && !lasts_admit(p, 0, bytes))
		return -ENOSPC;
	made = total->arena ? arena_alloc(total->arena, bytes) : extra_alloc(p, bytes);
	if (!made)
		return -ENOMEM;
	*ret = made;
	return 0;
}

void aggregate_release(struct cardinality *p, const struct aggregate *total, void *made,
                       size_t bytes)
{
	if (!total->arena)
		extra_free(p, made, bytes);
}

bool aggregate_is_held(const struct aggregate *total)
{
	return total && total->gauges && gauges_live(total->gauges);
}

void aggregate_free(struct cardinality *p, struct aggregate *total)
{
	if (!total)
		return;
	if (total->buckets)
		extra_free(p, total->buckets, bucket_total_size(total->buckets));
	if (total->exponential)
		extra_free(p, total->exponential, exponential_total_size(total->exponential));
	gauges_free(p, total);
	free(total);
	budget_return(p->component.host->budget, sizeof *total);
}

void aggregate_add_summed(struct aggregate *total, const struct summed *point)
{
	bool first = !total->begun;

	total->count += point->count;
	total->has_sum = point->has_sum && (first || total->has_sum);
	total->has_min = point->has_min && (first || total->has_min);
	total->has_max = point->has_max && (first || total->has_max);
	if (point->has_sum)
		amount_add_real(&total->sum, point->sum);
	if (point->has_min)
		total->min = first ? point->min : fmin(total->min, point->min);
	if (point->has_max)
		total->max = first ? point->max : fmax(total->max, point->max);
	total->begun = true;
}

/* ---- last values */

void last_free(struct cardinality *p, struct last_place *last)
{
	if (last->kind == LAST_OBJECT)
		extra_free(p, last->object, last->object->bytes);
	else if (last->kind == LAST_GAUGE)
		gauges_leave(last->gauges, last->slot);
}

int last_object_fit(struct cardinality *p, uint64_t key, struct last_place **last, size_t bytes,
                    uint32_t is)
{
	struct last_object *made, *had = *last ? (*last)->object : NULL;
	size_t room = had ? extra_places(had->bytes) : 0;

	if (had && had->bytes == bytes)
		return 0;
	/* The old one goes, but is there until then: no more than one of all is too many. */
	p->extra -= room;
	if (!lasts_admit(p, !had, bytes)) {
		p->extra += room;
		return -ENOSPC;
	}
	p->extra += room;
	made = extra_alloc(p, bytes);
	if (!made)
		return -ENOMEM;
	if (!had)
		*last = places_add(&p->lasts, key);
	else
		extra_free(p, had, had->bytes);
	(*last)->kind = LAST_OBJECT;
	(*last)->object = made;
	made->bytes = (uint32_t)bytes;
	made->is = is;
	return 0;
}

/* The start time is kept as a hash of 22 bits. */
static uint32_t start_hash(const struct cardinality *p, uint64_t start_ns)
{
	return (uint32_t)key_pair(p, start_ns, 2) & UINT32_C(0x3fffff);
}

enum news last_news(const struct cardinality *p, const struct last_place *last, uint64_t start_ns,
                    uint64_t time_ns, bool fallen)
{
	int32_t later = (int32_t)((uint32_t)(time_ns >> LAST_TIME_SHIFT) - last->time);
	bool same_start = start_hash(p, start_ns) == last->start;

	if (later < 0 || (later == 0 && fallen && same_start))
		return NEWS_NONE;
	return fallen || !same_start ? NEWS_ALL : NEWS_MORE;
}

void last_mark(const struct cardinality *p, struct last_place *last, uint64_t start_ns,
               uint64_t time_ns)
{
	last->time = (uint32_t)(time_ns >> LAST_TIME_SHIFT);
	last->start = start_hash(p, start_ns);
}

void last_see(const struct cardinality *p, struct last_place *last, uint64_t now_ns)
{
	last->seen = (uint8_t)(now_ns / (p->config->idle / LAST_STEPS));
}
