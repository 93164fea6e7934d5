#include "core/observe/distribution.h"
#include "core/observe/sentence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct distribution_bounds bounds = {3, {1, 2, 4}};

static void a_value_on_a_bound_belongs_below_it(void **state)
{
	struct distribution d = {0};

	distribution_add(&d, &bounds, 1);
	distribution_add(&d, &bounds, 1.5);
	distribution_add(&d, &bounds, 4);
	distribution_add(&d, &bounds, 9);
	assert_int_equal(d.count, 4);
	assert_int_equal(d.buckets[0], 1);
	assert_int_equal(d.buckets[1], 1);
	assert_int_equal(d.buckets[2], 1);
	assert_int_equal(d.buckets[3], 1);
	assert_float_equal(d.sum, 15.5, 1e-12);
	assert_float_equal(d.min, 1, 0);
	assert_float_equal(d.max, 9, 0);
	(void)state;
}

static void a_point_has_a_bucket_more_than_bounds(void **state)
{
	struct distribution d = {0};
	Otlp__HistogramDataPoint *p;
	struct arena a;

	arena_init(&a, NULL);
	distribution_add(&d, &bounds, 3);
	p = distribution_build(&a, &d, &bounds);
	assert_non_null(p);
	assert_int_equal(p->n_explicit_bounds, 3);
	assert_int_equal(p->n_bucket_counts, 4);
	assert_int_equal(p->bucket_counts[2], 1);
	assert_int_equal(p->count, 1);
	arena_fini(&a);
	(void)state;
}

static void a_sentence_names_endpoints_and_is_cut_at_its_end(void **state)
{
	struct address address;
	struct sentence s = {.len = 0};

	assert_true(address_parse(SLICE_LITERAL("2001:db8::1"), &address));
	sentence_say_endpoint(&s, &address, 53);
	assert_true(slice_equal(slice_of(s.text, s.len), SLICE_LITERAL("[2001:db8::1]:53")));
	s.len = 0;
	assert_true(address_parse(SLICE_LITERAL("10.0.0.1"), &address));
	sentence_say_endpoint(&s, &address, 65535);
	assert_true(slice_equal(slice_of(s.text, s.len), SLICE_LITERAL("10.0.0.1:65535")));
	for (int i = 0; i < 1000; i++)
		sentence_say_string(&s, "words ");
	assert_int_equal(s.len, sizeof s.text);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_on_a_bound_belongs_below_it),
		cmocka_unit_test(a_point_has_a_bucket_more_than_bounds),
		cmocka_unit_test(a_sentence_names_endpoints_and_is_cut_at_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
