#include "processors/cardinality_limit/exponential.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNTS = 4000, ROUNDS = 20000 };

static struct exponential make(int32_t scale, double zero_threshold, uint64_t zero_count)
{
	return (struct exponential){.scale = scale,
	                            .zero_threshold = zero_threshold,
	                            .zero_count = zero_count};
}

static uint64_t total_of(const struct exponential *e)
{
	uint64_t total = e->zero_count;

	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < e->sides[i].n; k++)
			total += e->sides[i].counts[k];
	return total;
}

static void expect_bounded(const struct exponential *e)
{
	for (int i = 0; i < 2; i++) {
		assert_true(e->sides[i].n <= EXPONENTIAL_BUCKETS);
		assert_true(!e->sides[i].n ||
		            (e->sides[i].low >= INT32_MIN && e->sides[i].low <= INT32_MAX));
	}
	assert_true(e->scale <= EXPONENTIAL_FINEST);
	assert_true(isfinite(e->zero_threshold) && e->zero_threshold >= 0);
}

static void expect_side(const struct exponential_side *s, int64_t low, size_t n,
                        const uint64_t *counts)
{
	assert_true(s->low == low);
	assert_int_equal(s->n, n);
	assert_memory_equal(s->counts, counts, n * sizeof *counts);
}

static void a_coarser_scale_merges_buckets_pairwise(void **state)
{
	uint64_t fine[8] = {1, 2, 3, 4, 5}, coarse[8] = {10, 20};
	struct exponential a = make(3, 0, 0), b = make(2, 0, 0);

	a.sides[0] = (struct exponential_side){-3, 5, fine}; /* -3 .. 1 */
	b.sides[0] = (struct exponential_side){0, 2, coarse};
	exponential_align(&a, &b);
	assert_int_equal(a.scale, 2);
	expect_side(&a.sides[0], -2, 3, (uint64_t[]){1, 5, 9});
	assert_int_equal(exponential_union(&a, &b, 0), 4);
	exponential_add(&b, &a);
	expect_side(&b.sides[0], -2, 4, (uint64_t[]){1, 5, 19, 20});
	assert_true(exponential_subtract(&b, &a));
	expect_side(&b.sides[0], 0, 2, (uint64_t[]){10, 20});
	assert_false(exponential_subtract(&b, &a));
	expect_side(&b.sides[0], 0, 2, (uint64_t[]){10, 20});
}

static void the_larger_zero_threshold_swallows_what_is_below(void **state)
{
	/* At scale 0 bucket i is (2^i, 2^(i+1)]. */
	uint64_t narrow[4] = {1, 2, 4, 8}, negative[4] = {16, 32}, wide[4] = {64};
	struct exponential a = make(0, 0, 1), b = make(0, 1, 2);

	a.sides[0] = (struct exponential_side){-2, 4, narrow};
	a.sides[1] = (struct exponential_side){-1, 2, negative};
	b.sides[0] = (struct exponential_side){3, 1, wide};
	exponential_align(&a, &b);
	assert_true(a.zero_threshold == 1 && b.zero_threshold == 1);
	assert_int_equal(a.zero_count, 1 + 1 + 2 + 16);
	expect_side(&a.sides[0], 0, 2, (uint64_t[]){4, 8});
	expect_side(&a.sides[1], 0, 1, (uint64_t[]){32});

	b.zero_threshold = 1.5; /* inside of the bucket with 4 (and 32): all of it may be zero */
	exponential_align(&b, &a);
	assert_true(a.zero_threshold == 2 && b.zero_threshold == 2);
	assert_int_equal(a.zero_count, 20 + 4 + 32);
	expect_side(&a.sides[0], 1, 1, (uint64_t[]){8});
	assert_int_equal(a.sides[1].n, 0);
	expect_side(&b.sides[0], 3, 1, (uint64_t[]){64});

	b.zero_threshold = 5; /* inside of an empty bucket */
	exponential_align(&a, &b);
	assert_true(a.zero_threshold == 5);
	assert_int_equal(a.zero_count, 56 + 8);
}

static void what_is_beyond_the_bounds_becomes_coarser(void **state)
{
	static uint64_t counts[COUNTS];
	struct exponential e = make(INT32_MAX, NAN, 0), f;
	uint64_t ends[2][2] = {{1, 1}, {1, 1}}, room[EXPONENTIAL_BUCKETS + 2] = {5};

	for (size_t i = 0; i < COUNTS; i++)
		counts[i] = 1;
	e.sides[0] = (struct exponential_side){INT32_MAX, COUNTS, counts};
	exponential_tidy(&e);
	expect_bounded(&e);
	assert_int_equal(total_of(&e), COUNTS);

	/* One at each end of all offsets: no more than a bucket below 1 and one above. */
	e = make(INT32_MIN, -1, 0);
	f = make(20, INFINITY, 0);
	e.sides[1] = (struct exponential_side){INT32_MIN, 1, room};
	f.sides[1] = (struct exponential_side){INT32_MAX, 2, ends[0]};
	exponential_tidy(&e);
	exponential_tidy(&f);
	exponential_align(&e, &f);
	expect_bounded(&e);
	assert_true(exponential_union(&e, &f, 1) <= EXPONENTIAL_BUCKETS);
	exponential_add(&e, &f);
	expect_bounded(&e);
	assert_int_equal(total_of(&e), 7);

	e = make(0, DBL_MAX, 3);
	f = make(-4, DBL_TRUE_MIN, 0);
	f.sides[0] = (struct exponential_side){-70, 2, ends[1]};
	exponential_tidy(&e);
	exponential_tidy(&f);
	exponential_align(&e, &f);
	expect_bounded(&f);
	assert_int_equal(total_of(&f), 2);
}

static struct exponential random_make(uint64_t counts[2][COUNTS])
{
	static const double zeros[] = {0,     0,        0x1p-10, 0.3,  1,      7,
	                               1e300, INFINITY, NAN,     -5.0, 1e-320, DBL_TRUE_MIN};
	static const int32_t ends[] = {INT32_MIN, -100000,        -3,       0, 7,
	                               1000000,   INT32_MAX - 10, INT32_MAX};
	struct exponential e = make(rand() % 50 - 20, zeros[rand() % 12], (uint64_t)rand() % 5);

	if (rand() % 20 == 0)
		e.scale = rand() % 2 ? INT32_MIN : INT32_MAX;
	for (int i = 0; i < 2; i++) {
		size_t n = (size_t)rand() % (rand() % 10 ? 50 : COUNTS);

		for (size_t k = 0; k < n; k++)
			counts[i][k] = rand() % 3 ? 0 : (uint64_t)rand() % 100;
		e.sides[i] = (struct exponential_side){ends[rand() % 8] / (1 << rand() % 8), n,
		                                       counts[i]};
	}
	return e;
}

static uint64_t count_at(const struct exponential_side *s, int64_t index)
{
	return index >= s->low && index < s->low + (int64_t)s->n ? s->counts[index - s->low] : 0;
}

/* What is added can be taken away again, and leaves what was there. */
static void whatever_is_added_stays_bounded_and_whole(void **state)
{
	static uint64_t first[2][COUNTS], second[2][COUNTS], sums[2][EXPONENTIAL_BUCKETS];
	static uint64_t copies[2][2 * EXPONENTIAL_BUCKETS];

	srand(4);
	for (int i = 0; i < ROUNDS; i++) {
		struct exponential a = random_make(first), b = random_make(second), sum, was, part;
		uint64_t total = total_of(&a) + total_of(&b);

		exponential_tidy(&a);
		exponential_tidy(&b);
		expect_bounded(&a);
		assert_true(total_of(&a) + total_of(&b) == total);
		part = exponential_copy(&b, copies[0]);
		size_t unions[2] = {exponential_union(&a, &b, 0), exponential_union(&a, &b, 1)};
		exponential_align(&a, &b);
		expect_bounded(&a);
		expect_bounded(&b);
		assert_true(a.scale == b.scale && a.zero_threshold == b.zero_threshold);
		assert_true(total_of(&a) + total_of(&b) == total);
		was = exponential_copy(&a, copies[1]);
		sum = a;
		for (int k = 0; k < 2; k++) {
			assert_true(exponential_union(&a, &b, k) <= unions[k]);
			sum.sides[k].counts = sums[k];
			if (a.sides[k].n)
				memcpy(sums[k], a.sides[k].counts, a.sides[k].n * sizeof **sums);
		}
		exponential_add(&sum, &b);
		expect_bounded(&sum);
		assert_true(total_of(&sum) == total);
		assert_int_equal(sum.zero_count, a.zero_count + b.zero_count);
		exponential_align(&sum, &part); /* as it came */
		assert_true(exponential_subtract(&sum, &part));
		exponential_align(&sum, &was);
		assert_true(total_of(&sum) == total_of(&was));
		/* Below that scale are buckets of what no double holds, and no zero threshold. */
		for (int k = 0; k < 2 && sum.scale >= EXPONENTIAL_COARSEST; k++)
			for (size_t at = 0; at < was.sides[k].n; at++)
				assert_true(
					count_at(&sum.sides[k], was.sides[k].low + (int64_t)at) ==
					was.sides[k].counts[at]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_coarser_scale_merges_buckets_pairwise),
		cmocka_unit_test(the_larger_zero_threshold_swallows_what_is_below),
		cmocka_unit_test(what_is_beyond_the_bounds_becomes_coarser),
		cmocka_unit_test(whatever_is_added_stays_bounded_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
