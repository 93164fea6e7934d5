/* exponential: the buckets of exponential histograms, added to and subtracted from one another.
 *
 * Counts lie in the caller's memory. Where two differ, the coarser scale and the larger zero
 * threshold hold: buckets are merged pairwise, which is exact. Offsets and scales may be anything;
 * a side keeps no more than EXPONENTIAL_BUCKETS buckets, at as coarse a scale as that takes. */
#ifndef WEIR_PROCESSORS_CARDINALITY_LIMIT_EXPONENTIAL_H
#define WEIR_PROCESSORS_CARDINALITY_LIMIT_EXPONENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What makers keep. Scales beyond 20 tell nothing that doubles hold, nor do those below -11, where
 * all that is above 1 is one bucket. */
enum { EXPONENTIAL_BUCKETS = 160, EXPONENTIAL_FINEST = 20, EXPONENTIAL_COARSEST = -11 };

/* Counts of the buckets low, low + 1, ...; low fits into an int32. */
struct exponential_side {
	int64_t low;
	size_t n;
	uint64_t *counts;
};

struct exponential {
	int32_t scale;
	double zero_threshold;
	uint64_t zero_count;
	struct exponential_side sides[2]; /* positive, negative */
};

/* Brings what came from outside into bounds: after it the following may be asked. */
void exponential_tidy(struct exponential *e);

/* The same scale and zero threshold for both, so coarse that both together fit. */
void exponential_align(struct exponential *a, struct exponential *b);

/* Buckets of that side that both together have at most, when they are aligned. */
size_t exponential_union(const struct exponential *a, const struct exponential *b, int side);

/* Both are aligned, and into has room for the union. */
void exponential_add(struct exponential *into, const struct exponential *e);

/* Both are aligned. False: a bucket has less than what would be taken from it; nothing changed. */
bool exponential_subtract(struct exponential *from, const struct exponential *e);

/* A copy whose counts lie there, in the order of the sides. */
struct exponential exponential_copy(const struct exponential *e, uint64_t *counts);

#endif
