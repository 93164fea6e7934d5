/* number: sums that become part of another series.
 *
 * A cumulative sum that may fall is no counter but a gauge: what stands is the sum of the latest
 * values of those that are alive (cardinality_limit_gauge.c). */
#include "processors/cardinality_limit/cardinality_limit_totals.h"

#include <errno.h>
#include <math.h>

static bool is_int(const Otlp__NumberDataPoint *p)
{
	return p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
}

/* ---- amounts */

void amount_add_int(struct amount *a, int64_t value)
{
	if (__builtin_add_overflow(a->whole, value, &a->whole))
		a->carry += value > 0 ? 1 : -1;
}

void amount_subtract_int(struct amount *a, int64_t value)
{
	if (__builtin_sub_overflow(a->whole, value, &a->whole))
		a->carry += value > 0 ? -1 : 1;
}

/* What a sum of two doubles loses is itself a double (Knuth's two-sum), kept beside it. */
static void real_add(struct amount *a, double value)
{
	double sum = a->real + value, part = sum - a->real;
	double lost = (a->real - (sum - part)) + (value - part), low;

	if (!isfinite(sum)) {
		a->real = sum;
		a->rest = 0;
		return;
	}
	low = a->rest + lost;
	a->real = sum + low;
	a->rest = low - (a->real - sum);
}

void amount_add_real(struct amount *a, double value)
{
	a->is_real = true;
	real_add(a, value);
}

void amount_add(struct amount *a, const struct amount *other)
{
	amount_add_int(a, other->whole);
	a->carry += other->carry;
	a->is_real |= other->is_real;
	real_add(a, other->real);
	real_add(a, other->rest);
}

double amount_real(const struct amount *a)
{
	enum { HALF = 32 };
	struct amount all = *a;
	int64_t high = a->whole >> HALF;

	real_add(&all, ldexp((double)a->carry, 2 * HALF));
	real_add(&all, ldexp((double)high, HALF));
	real_add(&all, (double)(a->whole & UINT32_MAX));
	return all.real;
}

bool amount_int(const struct amount *a, int64_t *ret)
{
	if (a->is_real || a->carry)
		return false;
	*ret = a->whole;
	return true;
}

/* ---- points */

void number_open(void *message, struct point *ret)
{
	Otlp__NumberDataPoint *p = message;

	*ret = (struct point){
		.message = p,
		.attributes = &p->attributes,
		.n_attributes = &p->n_attributes,
		.n_exemplars = &p->n_exemplars,
		.start_ns = &p->start_time_unix_nano,
		.time_ns = &p->time_unix_nano,
		.flags = p->flags,
	};
}

bool number_is_valued(const void *message)
{
	const Otlp__NumberDataPoint *p = message;
	return is_int(p) || (p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE &&
	                     isfinite(p->as_double));
}

static int number_add(struct cardinality *p, struct aggregate *total, void *message)
{
	const Otlp__NumberDataPoint *point = message;

	if (is_int(point))
		amount_add_int(&total->sum, point->as_int);
	else
		amount_add_real(&total->sum, point->as_double);
	return 0;
}

void number_tell(const struct amount *sum, Otlp__NumberDataPoint *out)
{
	int64_t whole;

	if (amount_int(sum, &whole)) {
		out->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
		out->as_int = whole;
	} else {
		out->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		out->as_double = amount_real(sum);
	}
}

static int sum_tell(const struct aggregate *total, struct arena *arena, void *message)
{
	return point_gauge.tell(total, arena, message);
}

/* ---- last values */

static bool has_fallen(const struct last_place *last, const Otlp__NumberDataPoint *p)
{
	if (last->kind == LAST_INT && is_int(p))
		return p->as_int < last->as_int;
	return (is_int(p) ? (double)p->as_int : p->as_double) <
	       (last->kind == LAST_INT ? (double)last->as_int : last->as_double);
}

static int number_track(struct cardinality *p, struct aggregate *total, uint64_t key, void *message,
                        const struct family *f, uint64_t now_ns)
{
	Otlp__NumberDataPoint *point = message;
	uint64_t start = point->start_time_unix_nano, time = point->time_unix_nano;
	struct last_place *last = places_find(&p->lasts, key);
	enum news news = NEWS_ALL;

	if (!f->kind.monotonic)
		return point_gauge.track(p, total, key, message, f, now_ns);
	if (!last) {
		if (!lasts_admit(p, 1, 0))
			return -ENOSPC;
		last = places_add(&p->lasts, key);
	} else if (last->kind != LAST_INT && last->kind != LAST_DOUBLE) {
		return -ENOSPC; /* two keys that meet */
	} else {
		news = last_news(p, last, start, time, has_fallen(last, point));
	}
	last_see(p, last, now_ns);
	if (news == NEWS_NONE)
		return 0;
	if (news == NEWS_MORE && last->kind == LAST_INT)
		amount_subtract_int(&total->sum, last->as_int);
	else if (news == NEWS_MORE)
		amount_add_real(&total->sum, -last->as_double);
	last->kind = is_int(point) ? LAST_INT : LAST_DOUBLE;
	if (is_int(point))
		last->as_int = point->as_int;
	else
		last->as_double = point->as_double;
	last_mark(p, last, start, time);
	return number_add(p, total, point);
}

const struct point_kind point_sum = {
	.open = number_open,
	.is_valued = number_is_valued,
	.add = number_add,
	.track = number_track,
	.tell = sum_tell,
};
