/* number: sums and gauges that become part of another series. */
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#include <errno.h>
#include <stdlib.h>

static double as_real(const Otlp__NumberDataPoint *p)
{
	return p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE ? p->as_double
	                                                                 : (double)p->as_int;
}

static bool is_int(const Otlp__NumberDataPoint *p)
{
	return p->value_case != OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
}

static void set_int(Otlp__NumberDataPoint *p, int64_t value)
{
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = value;
}

static void set_real(Otlp__NumberDataPoint *p, double value)
{
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
	p->as_double = value;
}

void number_join(Otlp__NumberDataPoint *out, const Otlp__NumberDataPoint *point)
{
	int64_t sum;

	if (is_int(out) && is_int(point) &&
	    !__builtin_add_overflow(out->as_int, point->as_int, &sum))
		set_int(out, sum);
	else
		set_real(out, as_real(out) + as_real(point));
}

void number_total_add(struct aggregate *total, const Otlp__NumberDataPoint *point)
{
	int64_t sum;

	if (is_int(point) && !__builtin_add_overflow(total->whole, point->as_int, &sum)) {
		total->whole = sum;
		return;
	}
	total->real += as_real(point);
	total->is_real = true;
}

void number_total_tell(const struct aggregate *total, Otlp__NumberDataPoint *out)
{
	if (total->is_real)
		set_real(out, total->real + (double)total->whole);
	else
		set_int(out, total->whole);
}

/* ---- last values */

bool lasts_admit(const struct cardinality *p, size_t new_places, size_t extra)
{
	size_t size = sizeof(struct last_place);
	size_t wanted = p->lasts.count + p->extra + new_places + (extra + size - 1) / size;

	return wanted <= p->config->max_tracked;
}

static void last_set(struct last_place *last, const Otlp__NumberDataPoint *p)
{
	last->kind = is_int(p) ? LAST_INT : LAST_DOUBLE;
	if (is_int(p))
		last->as_int = p->as_int;
	else
		last->as_double = p->as_double;
}

static bool has_fallen(const struct last_place *last, const Otlp__NumberDataPoint *p)
{
	if (last->kind == LAST_INT && is_int(p))
		return p->as_int < last->as_int;
	return as_real(p) < (last->kind == LAST_INT ? (double)last->as_int : last->as_double);
}

static void subtract(Otlp__NumberDataPoint *p, const struct last_place *last)
{
	int64_t difference;

	if (last->kind == LAST_INT && is_int(p) &&
	    !__builtin_sub_overflow(p->as_int, last->as_int, &difference))
		set_int(p, difference);
	else
		set_real(p, as_real(p) - (last->kind == LAST_INT ? (double)last->as_int
		                                                 : last->as_double));
}

int number_increase(struct cardinality *p, uint64_t key, Otlp__NumberDataPoint *point,
                    bool monotonic, uint64_t now_ns)
{
	struct last_place *last = places_find(&p->lasts, key), before;
	uint32_t time = (uint32_t)(point->time_unix_nano >> LAST_TIME_SHIFT);
	uint32_t start = last_start(p, point->start_time_unix_nano);
	int32_t later;
	bool is_new = !last, fallen;

	if (is_new) {
		if (!lasts_admit(p, 1, 0))
			return -ENOSPC;
		last = places_add(&p->lasts, key);
	}
	last_see(p, last, now_ns);
	later = (int32_t)(time - last->time);
	fallen = !is_new && monotonic && has_fallen(last, point);
	if (!is_new && (later < 0 || (later == 0 && fallen && start == last->start))) {
		set_int(point, 0); /* late: what came after it has told all of it */
		return 0;
	}
	before = *last;
	last_set(last, point);
	last->time = time;
	last->start = start & LAST_START_MASK;
	/* A counter that began anew has all of its value to add. What may fall counts what there is
	 * now, whoever began it. */
	if (!is_new && !(monotonic && (fallen || before.start != last->start)))
		subtract(point, &before);
	return 0;
}

/* ---- totals */

struct aggregate *aggregate_new(struct cardinality *p)
{
	struct aggregate *total;

	if (!budget_take(p->component.host->budget, sizeof *total))
		return NULL;
	total = calloc(1, sizeof *total);
	if (!total)
		budget_return(p->component.host->budget, sizeof *total);
	return total;
}
