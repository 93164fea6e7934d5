/* Deltas become totals. */
#include "tests/unit/prometheus/translate_test.h"

static void deltas_are_added_up(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(t, translate_metrics("", SUM("c", DELTA, STARTED("1000", "2000", "5"))),
	                 "c_total{} 5 @2000 from 1000\n");
	translate_expect(t,
	                 translate_metrics("", SUM("c", DELTA,
	                                           STARTED("3000", "4000",
	                                                   "2") "," STARTED("2000", "3000", "1"))),
	                 "c_total{} 6 @3000 from 1000\nc_total{} 8 @4000 from 1000\n");
	/* what came before is not added again */
	translate_expect(t, translate_metrics("", SUM("c", DELTA, STARTED("3000", "4000", "2"))),
	                 "");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 1);
	translator_free(t);
}

static void deltas_of_two_sources_of_one_series_add_up(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(
		t,
		"{'resourceMetrics':[{'resource':{'attributes':[" STRING(
			"pid",
			"1") "]},'scopeMetrics':[{'metrics':[" SUM("c", DELTA,
	                                                           STARTED("1000", "2000",
	                                                                   "5")) "]}]},"
										 "{'resource':{'"
										 "attributes':"
										 "[" STRING("pid", "2") "]},'scopeMetrics':[{'metrics':[" SUM(
											 "c", DELTA,
											 STARTED("1"
	                                                                                         "0"
	                                                                                         "0"
	                                                                                         "0",
	                                                                                         "2"
	                                                                                         "0"
	                                                                                         "0"
	                                                                                         "0",
	                                                                                         "7")) "]}]}]}",
		"c_total{} 12 @2000 from 1000\n");
	assert_int_equal(translator_table(t)->count, 1);
	translator_free(t);
}

static void delta_histograms_add_up_and_begin_anew_with_new_bounds(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

#define DELTA_HISTOGRAM(start, ms, bound, a, b)                                                    \
	translate_metrics("", "{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':[" \
	                      "{'startTimeUnixNano':'" start "000000','timeUnixNano':'" ms         \
	                      "000000','count':'3','sum':1.5,'explicitBounds':[" bound             \
	                      "],'bucketCounts':['" a "','" b "']}]}}")
	(void)state;
	translate_expect(
		t, DELTA_HISTOGRAM("1000", "2000", "1", "1", "2"),
		"h_bucket{le=\"1\"} 1 @2000 from 1000\nh_bucket{le=\"+Inf\"} 3 @2000 from 1000\n"
		"h_sum{} 1.5 @2000 from 1000\nh_count{} 3 @2000 from 1000\n");
	translate_expect(
		t, DELTA_HISTOGRAM("2000", "3000", "1", "2", "1"),
		"h_bucket{le=\"1\"} 3 @3000 from 1000\nh_bucket{le=\"+Inf\"} 6 @3000 from 1000\n"
		"h_sum{} 3 @3000 from 1000\nh_count{} 6 @3000 from 1000\n");
	translate_expect(
		t, DELTA_HISTOGRAM("3000", "4000", "2", "3", "0"),
		"h_bucket{le=\"2\"} 3 @4000 from 3000\nh_bucket{le=\"+Inf\"} 3 @4000 from 3000\n"
		"h_sum{} 1.5 @4000 from 3000\nh_count{} 3 @4000 from 3000\nh_bucket{le=\"1\"} "
		"stale "
		"@4000\n");
	translator_free(t);
}

static void exponential_deltas_meet_at_the_lower_scale(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(
		t,
		translate_metrics("",
	                          EXPONENTIAL(DELTA,
	                                      "{'startTimeUnixNano':'1000000000','timeUnixNano':'"
	                                      "2000000000','count':'4',"
	                                      "'sum':2,'scale':2,'positive':{'offset':0,'"
	                                      "bucketCounts':['1','1','1','1']}}")),
		"e{} schema 2 count 4 zero 0 sum 2 positive 1:1 2:1 3:1 4:1 @2000 from 1000\n");
	translate_expect(
		t,
		translate_metrics("",
	                          EXPONENTIAL(DELTA,
	                                      "{'timeUnixNano':'3000000000','count':'3','sum':1,'"
	                                      "scale':1,'zeroCount':'1',"
	                                      "'positive':{'offset':1,'bucketCounts':['2']}}")),
		"e{} schema 1 count 7 zero 1 sum 3 positive 1:2 2:4 @3000 from 1000\n");
	translate_expect(
		t,
		translate_metrics(
			"",
			EXPONENTIAL(DELTA,
	                            "{'timeUnixNano':'4000000000','count':'1','sum':1,'scale':5,"
	                            "'negative':{'offset':-16,'bucketCounts':['1']}}")),
		"e{} schema 1 count 8 zero 1 sum 4 positive 1:2 2:4 negative 0:1 @4000 from "
		"1000\n");
	translator_free(t);
}

static uint64_t step(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* Where a value of an index at a scale lies at another: counted without merging anything. */
static void adding_up_equals_a_reference(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct translator *t = translate_begin(&translate_plain);
		double total = 0;
		/* at scale -4 every index is one of few: the reference is kept there */
		uint64_t reference[512] = {0}, count = 0;

		for (int i = 0; i < 12; i++) {
			int scale = (int)(step(&seed) % 14) - 3,
			    offset = (int)(step(&seed) % 60) - 30;
			double value = (double)(step(&seed) % 1000);
			char json[4096], counts[1024] = "";
			struct batch *b;
			struct translation tr;
			struct error error = ERROR_INIT;
			uint64_t sum = 0;

			for (int k = 0; k < 30; k++) {
				unsigned n = (unsigned)(step(&seed) % 4);

				snprintf(counts + strlen(counts), sizeof counts - strlen(counts),
				         "%s'%u'", k ? "," : "", n);
				reference[256 + ((offset + k) >> (scale + 4))] += n;
				sum += n;
			}
			total += value;
			count += sum;
			snprintf(
				json, sizeof json,
				"{'resourceMetrics':[{'scopeMetrics':[{'metrics':[" SUM("c", DELTA, "{'timeUnixNano':'%d000000','asDouble':%g}") "," EXPONENTIAL(
					DELTA,
					"{'timeUnixNano':'%d000000','count':'%llu','scale':%d,"
					"'positive':{'offset':%d,'bucketCounts':[%s]}}") "]}]}]}",
				1000 + i, value, 1000 + i, (unsigned long long)sum, scale, offset,
				counts);
			b = translate_come(json);
			assert_non_null(b);
			assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
			assert_null(translation_wrong(t, &tr, NAME_ESCAPED_SUFFIXED));
			assert_int_equal(tr.n_samples, 2);
			assert_true(tr.samples[0].value == total);
			assert_int_equal(tr.samples[1].histogram->count, count);

			uint64_t merged[512] = {0};
			const struct native_histogram *h = tr.samples[1].histogram;
			const int64_t *delta = h->positive_deltas;
			int64_t index = 0, bucket = 0;

			for (size_t k = 0; k < h->n_positive_spans; k++) {
				index += h->positive_spans[k].offset;
				for (uint32_t j = 0; j < h->positive_spans[k].length;
				     j++, index++) {
					bucket += *delta++;
					merged[256 + ((index - 1) >> (h->schema + 4))] +=
						(uint64_t)bucket;
				}
			}
			assert_memory_equal(merged, reference, sizeof merged);
			batch_unref(b);
		}
		translator_free(t);
	}
}

#define OF_PID(pid, metric)                                                                        \
	"{'resource':{'attributes':[" STRING("pid", pid) "]},'scopeMetrics':[{'metrics':[" metric  \
							 "]}]}"

static void deltas_of_two_sources_are_added_in_the_order_of_their_times(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	const struct translator_figures *f = translator_figures(t);

	(void)state;
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_PID(
				 "1", SUM("c", DELTA,
	                                  STARTED("1000", "3000",
	                                          "5"))) "," OF_PID("2", SUM("c", DELTA,
	                                                                     STARTED("1000", "2000",
	                                                                             "7"))) "]}",
	                 "c_total{} 7 @2000 from 1000\nc_total{} 12 @3000 from 1000\n");
	/* of one time: nothing is lost; of an earlier one: told with the next */
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_PID(
				 "1", SUM("c", DELTA,
	                                  STARTED("3000", "4000",
	                                          "1"))) "," OF_PID("2", SUM("c", DELTA,
	                                                                     STARTED("2000", "4000",
	                                                                             "1"))) "]}",
	                 "c_total{} 14 @4000 from 1000\n");
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_PID("1", SUM("c", DELTA,
	                                                        STARTED("4000", "6000", "1"))) "]}",
	                 "c_total{} 15 @6000 from 1000\n");
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_PID("2", SUM("c", DELTA,
	                                                        STARTED("4000", "5000", "1"))) "]}",
	                 "");
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_PID("1", SUM("c", DELTA,
	                                                        STARTED("6000", "7000", "1"))) "]}",
	                 "c_total{} 17 @7000 from 1000\n");
	for (int i = 0; i < TRANSLATE_DROPS; i++)
		assert_int_equal(f->dropped[i], 0);
	translator_free(t);
}

static void no_delta_spoils_a_total(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(t, translate_metrics("", SUM("c", DELTA, VALUE("1000", "5"))),
	                 "c_total{} 5 @1000 from 1000\n");
	translate_expect(t,
	                 translate_metrics("",
	                                   SUM("c", DELTA,
	                                       VALUE("2000", "'NaN'") "," VALUE(
						       "3000", "'Infinity'")) "," SUM("c", DELTA,
	                                                                              VALUE("4000",
	                                                                                    "-1"))),
	                 "");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_INVALID], 3);
	translate_expect(t, translate_metrics("", SUM("c", DELTA, VALUE("5000", "2"))),
	                 "c_total{} 7 @5000 from 1000\n");
	/* what may fall, may fall */
	translate_expect(
		t,
		translate_metrics(
			"", "{'name':'d','sum':{'aggregationTemporality':1,'dataPoints':[" VALUE(
				    "1000", "5") "," VALUE("2000", "-7") "]}}"),
		"d{} 5 @1000\nd{} -2 @2000\n");
	translate_expect(
		t,
		translate_metrics(
			"",
			"{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':["
			"{'timeUnixNano':'1000000000','count':'1','sum':1},"
			"{'timeUnixNano':'2000000000','count':'1','sum':'NaN'}]}}," EXPONENTIAL(
				DELTA,
				"{'timeUnixNano':'1000000000','count':'1','sum':1,'zeroCount':'1'},"
				"{'timeUnixNano':'2000000000','count':'1','sum':'-Infinity',"
				"'zeroCount':'1'}")),
		"h_bucket{le=\"+Inf\"} 1 @1000 from 1000\nh_sum{} 1 @1000 from 1000\n"
		"h_count{} 1 @1000 from 1000\n"
		"h_bucket{le=\"+Inf\"} 2 @2000 from 1000\nh_sum{} 1 @2000 from 1000\n"
		"h_count{} 2 @2000 from 1000\n"
		"e{} schema 0 count 1 zero 1 sum 1 @1000 from 1000\n"
		"e{} schema 0 count 2 zero 2 sum 1 @2000 from 1000\n");
	translator_free(t);
}

static void layouts_that_change_keep_what_was_added(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
#define ANY_DELTA(start, ms, bounds, counts)                                                       \
	"{'startTimeUnixNano':'" start "000000','timeUnixNano':'" ms                               \
	"000000','count':'3','explicitBounds':[" bounds "],'bucketCounts':[" counts "]}"
#define DELTAS(points)                                                                             \
	translate_metrics(                                                                         \
		"",                                                                                \
		"{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':[" points "]}}")
	translate_once(t, DELTAS(ANY_DELTA("1000", "2000", "1", "'1','2'")));
	/* what was there before is not added again in another layout */
	translate_expect(t, DELTAS(ANY_DELTA("1000", "2000", "2", "'1','2'")),
	                 "h_bucket{le=\"1\"} stale @2001\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 1);
	translator_free(t);

	/* another source with a bucket more: all totals of the series begin anew */
	t = translate_begin(&translate_plain);
	translate_once(t, "{'resourceMetrics':[" OF_PID(
				  "1", "{'name':'h','histogram':{'aggregationTemporality':1,"
				       "'dataPoints':[" ANY_DELTA("1000", "2000", "1",
	                                                          "'1','2'") "]}}") "]}");
	translate_expect(
		t,
		"{'resourceMetrics':[" OF_PID("2",
	                                      "{'name':'h','histogram':{"
	                                      "'aggregationTemporality':1,"
	                                      "'dataPoints':[" ANY_DELTA("2000", "3000", "1,2",
	                                                                 "'1','1','1'") "]}}") "]}",
		"h_bucket{le=\"1\"} 1 @3000 from 2000\nh_bucket{le=\"2\"} 2 @3000 from 2000\n"
		"h_bucket{le=\"+Inf\"} 3 @3000 from 2000\nh_count{} 3 @3000 from 2000\n");
	translator_free(t);
}

static void custom_deltas_begin_anew_with_new_bounds(void **state)
{
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;

	(void)state;
	options.custom_buckets = true;
	t = translate_begin(&options);
	tr = translate_once(t, DELTAS(ANY_DELTA("1000", "2000", "1", "'1','2'")));
	assert_true(tr.samples[0].histogram->reset);
	tr = translate_once(t, DELTAS(ANY_DELTA("2000", "3000", "1", "'1','2'")));
	assert_int_equal(tr.samples[0].histogram->count, 6);
	assert_false(tr.samples[0].histogram->reset);
	tr = translate_once(t, DELTAS(ANY_DELTA("3000", "4000", "2", "'1','2'")));
	assert_int_equal(tr.samples[0].histogram->count, 3);
	assert_true(tr.samples[0].histogram->reset);
	assert_int_equal(tr.samples[0].start_ms, 3000);
	/* nothing lies above infinity */
	tr = translate_once(t, DELTAS(ANY_DELTA("4000", "5000", "2,'Infinity'", "'1','1','1'")));
	assert_int_equal(tr.n_samples, 0);
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_INVALID], 1);
	translator_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deltas_are_added_up),
		cmocka_unit_test(deltas_of_two_sources_of_one_series_add_up),
		cmocka_unit_test(delta_histograms_add_up_and_begin_anew_with_new_bounds),
		cmocka_unit_test(exponential_deltas_meet_at_the_lower_scale),
		cmocka_unit_test(adding_up_equals_a_reference),
		cmocka_unit_test(deltas_of_two_sources_are_added_in_the_order_of_their_times),
		cmocka_unit_test(no_delta_spoils_a_total),
		cmocka_unit_test(layouts_that_change_keep_what_was_added),
		cmocka_unit_test(custom_deltas_begin_anew_with_new_bounds),
	};
	return translate_run(tests, sizeof tests / sizeof *tests);
}
