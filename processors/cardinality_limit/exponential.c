#include "processors/cardinality_limit/exponential.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Shifts beyond what an int32 has make 0 or -1 of every index. */
enum { SHIFT_MAX = 32 };

static int64_t high_of(const struct exponential_side *s)
{
	return s->low + (int64_t)s->n - 1;
}

static void side_trim(struct exponential_side *s)
{
	size_t empty = 0;

	while (s->n && !s->counts[s->n - 1])
		s->n--;
	while (empty < s->n && !s->counts[empty] && s->low + (int64_t)empty < INT32_MAX)
		empty++;
	if (!empty)
		return;
	s->n -= empty;
	s->low += (int64_t)empty;
	memmove(s->counts, s->counts + empty, s->n * sizeof *s->counts);
}

static void side_coarsen(struct exponential_side *s, unsigned shift)
{
	int64_t low = s->low >> shift;
	size_t at = 0;

	if (!s->n)
		return;
	for (size_t i = 1; i < s->n; i++) {
		size_t into = (size_t)(((s->low + (int64_t)i) >> shift) - low);

		if (into == at) {
			s->counts[at] += s->counts[i];
		} else {
			s->counts[into] = s->counts[i];
			at = into;
		}
	}
	s->n = at + 1;
	s->low = low;
}

static void coarsen(struct exponential *e, int64_t by)
{
	unsigned shift = by > SHIFT_MAX ? SHIFT_MAX : (unsigned)by;

	if (by <= 0)
		return;
	for (int i = 0; i < 2; i++)
		side_coarsen(&e->sides[i], shift);
	e->scale = (int32_t)(e->scale - by);
}

/* Steps by which a side from low to high must become coarser to be within bounds. */
static unsigned steps_to_fit(int64_t low, int64_t high)
{
	unsigned steps = 0;

	while ((high >> steps) - (low >> steps) >= EXPONENTIAL_BUCKETS)
		steps++;
	return steps;
}

/* ---- the zero bucket */

/* The first bucket that is not wholly within the threshold. True: the threshold is inside of it. */
static bool threshold_cuts(const struct exponential *e, int64_t *ret_first)
{
	int exponent;
	double mantissa = frexp(e->zero_threshold, &exponent);
	double power = exponent + log2(mantissa), at = ldexp(power, e->scale), bound = rint(at);
	/* What rounding may have done to the power and to the threshold. */
	double slack = ldexp(fmax(fabs(power), 1), e->scale - 44);
	bool on_bound = fabs(at - bound) <= slack;

	*ret_first = (int64_t)(on_bound ? bound : floor(at));
	return !on_bound;
}

static bool has_counts(const struct exponential *e, int64_t index)
{
	bool has = false;

	for (int i = 0; i < 2; i++) {
		const struct exponential_side *s = &e->sides[i];
		has |= s->n && index >= s->low && index <= high_of(s) && s->counts[index - s->low];
	}
	return has;
}

static void swallow(struct exponential *e, int64_t first)
{
	for (int i = 0; i < 2; i++) {
		struct exponential_side *s = &e->sides[i];

		for (size_t k = 0; k < s->n && s->low + (int64_t)k < first; k++) {
			e->zero_count += s->counts[k];
			s->counts[k] = 0;
		}
		side_trim(s);
	}
}

void exponential_tidy(struct exponential *e)
{
	unsigned steps = 0;
	int64_t first;

	if (e->scale < EXPONENTIAL_COARSEST)
		e->scale = EXPONENTIAL_COARSEST;
	if (!isfinite(e->zero_threshold) || e->zero_threshold < 0)
		e->zero_threshold = 0;
	coarsen(e, (int64_t)e->scale - EXPONENTIAL_FINEST);
	for (int i = 0; i < 2; i++) {
		struct exponential_side *s = &e->sides[i];
		unsigned own;

		side_trim(s);
		own = s->n ? steps_to_fit(s->low, high_of(s)) : 0;
		steps = own > steps ? own : steps;
	}
	coarsen(e, steps);
	if (e->zero_threshold > 0) {
		threshold_cuts(e, &first);
		swallow(e, first);
	}
}

/* narrow has the smaller threshold. Where the larger one is inside of one of its buckets, all of
 * that bucket may be zero: the threshold rises to its upper bound. */
static void align_zero(struct exponential *narrow, struct exponential *wide)
{
	int64_t first;
	double risen;

	if (threshold_cuts(wide, &first) && has_counts(narrow, first)) {
		risen = exp2(ldexp((double)++first, -wide->scale));
		wide->zero_threshold = fmax(wide->zero_threshold, fmin(risen, DBL_MAX));
	}
	narrow->zero_threshold = wide->zero_threshold;
	swallow(narrow, first);
	swallow(wide, first);
}

/* ---- two of them */

/* The range of both at a scale that is coarser by shifts. False: both are empty. */
static bool range_of(const struct exponential_side *a, int64_t a_shift,
                     const struct exponential_side *b, int64_t b_shift, int64_t *ret_low,
                     int64_t *ret_high)
{
	unsigned sa = a_shift > SHIFT_MAX ? SHIFT_MAX : (unsigned)a_shift;
	unsigned sb = b_shift > SHIFT_MAX ? SHIFT_MAX : (unsigned)b_shift;
	int64_t low = a->low >> sa, high = high_of(a) >> sa;

	if (!a->n || (b->n && b->low >> sb < low))
		low = b->low >> sb;
	if (!a->n || (b->n && high_of(b) >> sb > high))
		high = high_of(b) >> sb;
	*ret_low = low;
	*ret_high = high;
	return a->n || b->n;
}

static int64_t coarser_of(const struct exponential *a, const struct exponential *b)
{
	return a->scale < b->scale ? a->scale : b->scale;
}

void exponential_align(struct exponential *a, struct exponential *b)
{
	int64_t scale = coarser_of(a, b), low, high;
	unsigned steps = 0;

	coarsen(a, a->scale - scale);
	coarsen(b, b->scale - scale);
	if (a->zero_threshold < b->zero_threshold)
		align_zero(a, b);
	else if (b->zero_threshold < a->zero_threshold)
		align_zero(b, a);
	for (int i = 0; i < 2; i++) {
		unsigned own = range_of(&a->sides[i], 0, &b->sides[i], 0, &low, &high)
		                       ? steps_to_fit(low, high)
		                       : 0;
		steps = own > steps ? own : steps;
	}
	coarsen(a, steps);
	coarsen(b, steps);
}

size_t exponential_union(const struct exponential *a, const struct exponential *b, int side)
{
	int64_t scale = coarser_of(a, b), low, high;

	if (!range_of(&a->sides[side], a->scale - scale, &b->sides[side], b->scale - scale, &low,
	              &high))
		return 0;
	return high - low < EXPONENTIAL_BUCKETS ? (size_t)(high - low + 1) : EXPONENTIAL_BUCKETS;
}

void exponential_add(struct exponential *into, const struct exponential *e)
{
	into->zero_count += e->zero_count;
	for (int i = 0; i < 2; i++) {
		struct exponential_side *s = &into->sides[i];
		const struct exponential_side *other = &e->sides[i];
		int64_t low, high;

		if (!other->n)
			continue;
		range_of(s, 0, other, 0, &low, &high);
		if (s->n && s->low > low) {
			size_t before = (size_t)(s->low - low);

			memmove(s->counts + before, s->counts, s->n * sizeof *s->counts);
			memset(s->counts, 0, before * sizeof *s->counts);
			s->n += before;
		}
		s->low = low;
		while (high_of(s) < high)
			s->counts[s->n++] = 0;
		for (size_t k = 0; k < other->n; k++)
			s->counts[other->low - low + (int64_t)k] += other->counts[k];
	}
}

bool exponential_subtract(struct exponential *from, const struct exponential *e)
{
	bool less = from->zero_count < e->zero_count;

	for (int i = 0; i < 2; i++) {
		const struct exponential_side *s = &from->sides[i], *other = &e->sides[i];

		for (size_t k = 0; k < other->n && !less; k++) {
			int64_t at = other->low + (int64_t)k - s->low;
			uint64_t has = at >= 0 && at < (int64_t)s->n ? s->counts[at] : 0;

			less = has < other->counts[k];
		}
	}
	if (less)
		return false;
	from->zero_count -= e->zero_count;
	for (int i = 0; i < 2; i++) {
		struct exponential_side *s = &from->sides[i];
		const struct exponential_side *other = &e->sides[i];

		for (size_t k = 0; k < other->n; k++)
			if (other->counts[k])
				s->counts[other->low - s->low + (int64_t)k] -= other->counts[k];
		side_trim(s);
	}
	return true;
}

struct exponential exponential_copy(const struct exponential *e, uint64_t *counts)
{
	struct exponential copy = *e;

	for (int i = 0; i < 2; i++) {
		struct exponential_side *s = &copy.sides[i];

		if (s->n)
			memcpy(counts, s->counts, s->n * sizeof *counts);
		s->counts = counts;
		counts += s->n;
	}
	return copy;
}
