#include "processors/cardinality_limit/distinct.h"

#include <math.h>
#include <string.h>

enum { INDEX_BITS = 8 };
_Static_assert(1 << INDEX_BITS == DISTINCT_REGISTERS, "the hash's first bits choose the register");

static unsigned register_at(const struct distinct *d, unsigned at)
{
	return d->now[at] > d->before[at] ? d->now[at] : d->before[at];
}

/* What a register of that height takes off the sum. */
static double raised_by(unsigned height)
{
	return 1 - ldexp(1, -(int)height);
}

void distinct_add(struct distinct *d, uint64_t hash)
{
	unsigned at = (unsigned)(hash >> (64 - INDEX_BITS));
	/* The place of the first bit that is set among the others; they end with one. */
	uint8_t rank = (uint8_t)(1 + __builtin_clzll(hash << INDEX_BITS | 1u << (INDEX_BITS - 1)));
	unsigned had = register_at(d, at);

	if (rank > had) {
		d->filled += !had;
		d->raised += raised_by(rank) - raised_by(had);
	}
	if (rank > d->now[at])
		d->now[at] = rank;
}

void distinct_turn(struct distinct *d)
{
	memcpy(d->before, d->now, sizeof d->before);
	memset(d->now, 0, sizeof d->now);
	d->filled = 0;
	d->raised = 0;
	for (unsigned i = 0; i < DISTINCT_REGISTERS; i++) {
		d->filled += d->before[i] != 0;
		d->raised += raised_by(d->before[i]);
	}
}

double distinct_estimate(const struct distinct *d)
{
	const double m = DISTINCT_REGISTERS, alpha = 0.7213 / (1 + 1.079 / m);
	double estimate = alpha * m * m / (m - d->raised);

	/* Few values are counted by the registers that none has reached. */
	if (estimate <= 2.5 * m && d->filled < DISTINCT_REGISTERS)
		estimate = m * log(m / (m - d->filled));
	return estimate;
}
