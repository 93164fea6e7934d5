/* Series in time: their order, staleness, ends and bounds, and what is dropped and counted. */
#include "tests/unit/prometheus/translate_test.h"

#define SECOND UINT64_C(1000000000)

static void what_contradicts_itself_is_dropped_and_counted(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	const struct translator_figures *f = translator_figures(t);

	(void)state;
	translate_expect(
		t,
		translate_metrics("",
	                          EXPONENTIAL(CUMULATIVE,
	                                      "{'timeUnixNano':'1000000000','count':'1','scale':-"
	                                      "5,'zeroCount':'1'},"
	                                      "{'timeUnixNano':'1000000000','count':'2','"
	                                      "zeroCount':'1'},"
	                                      "{'timeUnixNano':'1000000000','count':'1','"
	                                      "positive':{'offset':2147483647,'bucketCounts':['1'"
	                                      "]}}") ",{'name':'h','histogram':{'"
	                                             "aggregationTemporality':2,'dataPoints':["
	                                             "{'timeUnixNano':'1000000000','count':'6','"
	                                             "explicitBounds':[1,1],'bucketCounts':['1','"
	                                             "2','3']},"
	                                             "{'timeUnixNano':'1000000000','count':'6','"
	                                             "explicitBounds':[1],'bucketCounts':['1','2'"
	                                             ",'3']}]}},"
	                                             "{'name':'s','summary':{'dataPoints':[{'"
	                                             "timeUnixNano':'1000000000','quantileValues'"
	                                             ":[{'quantile':2}]}]}},"
	                                             "{'name':'g','gauge':{'dataPoints':[{'"
	                                             "asDouble':1}]}},"
	                                             "{'name':'@','gauge':{'dataPoints':[" VALUE(
							     "1000",
							     "1") "]}},"
	                                                          "{'name':'u','sum':{'"
	                                                          "dataPoints':[" VALUE("1000",
	                                                                                "1") "]}}"),
		"");
	assert_int_equal(f->dropped[TRANSLATE_SCALE], 1);
	assert_int_equal(f->dropped[TRANSLATE_INVALID], 6);
	assert_int_equal(f->dropped[TRANSLATE_NO_NAME], 1);
	assert_int_equal(f->dropped[TRANSLATE_TEMPORALITY], 1);
	assert_int_equal(f->points, 9);
	translator_free(t);
}

static void points_of_a_series_are_put_in_order_and_the_last_of_a_time_counts(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(t,
	                 translate_metrics(
				 "", GAUGE("g", VALUE("3000", "3") "," VALUE("1000", "1") "," VALUE(
							"2000", "9") "," VALUE("2000", "2"))),
	                 "g{} 1 @1000\ng{} 2 @2000\ng{} 3 @3000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 1);
	translate_expect(t,
	                 translate_metrics("",
	                                   GAUGE("g", VALUE("2500", "1") "," VALUE(
							      "3000", "1") "," VALUE("4000", "4"))),
	                 "g{} 4 @4000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_LATE], 1);
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 2);
	assert_int_equal(translator_figures(t)->points, 7);
	assert_int_equal(translator_figures(t)->samples, 4);
	translator_free(t);
}

static void late_samples_are_told_as_they_come_to_those_who_ask(void **state)
{
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;
	struct error error = ERROR_INIT;
	struct batch *b = translate_come(translate_metrics(
		"", GAUGE("g", VALUE("4000", "4") "," VALUE("2000", "2") "," VALUE("2000", "3"))));
	struct buffer out = BUFFER_INIT;

	(void)state;
	options.tell_late = true;
	t = translate_begin(&options);
	translate_expect(t, translate_metrics("", GAUGE("g", VALUE("3000", "3"))), "g{} 3 @3000\n");
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	translation_print(t, &tr, &out);
	assert_string_equal(buffer_string(&out),
	                    "g{} 4 @4000\ng{} 2 @2000 late\ng{} 3 @2000 late\n");
	buffer_fini(&out);
	batch_unref(b);
	translator_free(t);
}

static void no_recorded_value_is_a_stale_marker(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(
		t,
		translate_metrics(
			"", GAUGE("g", VALUE("1000", "1") ",{'timeUnixNano':'2000000000','flags':"
	                                                  "1}") ",{'name':'h','histogram':{'"
								"aggregationTemporality':2,'"
								"dataPoints':["
								"{'timeUnixNano':'1000000000','"
								"count':'1','sum':1,'"
								"explicitBounds':[1],'bucketCounts'"
								":['1','0']},"
								"{'timeUnixNano':'2000000000','"
								"flags':1}]}}," EXPONENTIAL(
									CUMULATIVE,
									"{'timeUnixNano':'"
									"1000000000','count':'1','"
									"zeroCount':'1'},"
									"{'timeUnixNano':'"
									"2000000000','flags':1}")),
		"g{} 1 @1000\ng{} stale @2000\n"
		"h_bucket{le=\"1\"} 1 @1000\nh_bucket{le=\"+Inf\"} 1 @1000\nh_sum{} 1 "
		"@1000\nh_count{} 1 @1000\n"
		"h_bucket{le=\"1\"} stale @2000\nh_bucket{le=\"+Inf\"} stale @2000\nh_sum{} stale "
		"@2000\nh_count{} stale @2000\n"
		"e{} schema 0 count 1 zero 1 sum 0 @1000\ne{} stale @2000\n");
	translator_free(t);
}

static void new_bounds_end_the_buckets_that_are_gone(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(
		t,
		translate_metrics(
			"", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
			    "{'timeUnixNano':'1000000000','count':'1','explicitBounds':[1],'"
			    "bucketCounts':['1','0']}]}}"),
		"h_bucket{le=\"1\"} 1 @1000\nh_bucket{le=\"+Inf\"} 1 @1000\nh_count{} 1 @1000\n");
	translate_expect(
		t,
		translate_metrics(
			"", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
			    "{'timeUnixNano':'2000000000','count':'2','explicitBounds':[2],'"
			    "bucketCounts':['2','0']}]}}"),
		"h_bucket{le=\"2\"} 2 @2000\nh_bucket{le=\"+Inf\"} 2 @2000\nh_count{} 2 @2000\n"
		"h_bucket{le=\"1\"} stale @2000\n");
	translator_free(t);
}

#define CLASSIC(ms)                                                                                \
	"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':'" ms   \
	"000000','count':'2','bucketCounts':['1','1'],'explicitBounds':[1]}]}}"

/* The points of the samples, in their order. */
static void expect_points(struct translator *t, const char *json, const uint32_t *wanted, size_t n)
{
	struct batch *b = translate_come(json);
	struct translation tr;
	struct error error = ERROR_INIT;

	assert_non_null(b);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b);
	assert_int_equal(tr.n_samples, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(tr.samples[i].point, wanted[i]);
}

static void every_point_has_one_fate(void **state)
{
	const struct translator_options with_target_info = {.no_target_info = false};
	const char *resource = STRING("service.name", "s") "," STRING("a", "b");
	struct translator *t = translate_begin(&with_target_info);
	const struct translator_figures *f = translator_figures(t);
	const uint32_t none = SAMPLE_OF_NO_POINT;

	(void)state;
	expect_points(
		t,
		translate_metrics(resource,
	                          GAUGE("g", VALUE("1000", "1") "," VALUE("0", "1")) "," CLASSIC(
					  "1000") "," GAUGE("z", VALUE("1000", "1"))),
		(const uint32_t[]){0, 2, 2, 2, 3, none}, 6);
	assert_int_equal(f->dropped[TRANSLATE_INVALID], 1);
	/* all series of a histogram are one point, and target_info is none: it came twice too */
	expect_points(t, translate_metrics(resource, CLASSIC("1000")), NULL, 0);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 1);
	/* the last of one time counts, of the other nothing is left */
	expect_points(t, translate_metrics(resource, CLASSIC("2000") "," CLASSIC("2000")),
	              (const uint32_t[]){1, 1, 1, none}, 4);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 2);
	/* a histogram that loses one series to a gauge of its name: dropped, and the rest is no
	 * point's */
	expect_points(t,
	              translate_metrics(resource,
	                                CLASSIC("3000") "," GAUGE("h_count", VALUE("3000", "7"))),
	              (const uint32_t[]){none, none, 1, none}, 4);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 3);
	assert_int_equal(f->points, 4 + 1 + 2 + 2);
	translator_free(t);
}

static void a_point_is_lost_once_however_many_samples_it_has(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	const struct translator_figures *f = translator_figures(t);
	struct buffer out = BUFFER_INIT;

	(void)state;
	translate_say(t, translate_metrics("", HISTOGRAM(HISTOGRAM_POINT("2000"))), &out);
	translate_expect(t,
	                 translate_metrics("", HISTOGRAM(HISTOGRAM_POINT(
						       "1000") "," HISTOGRAM_POINT("2000"))),
	                 "");
	assert_int_equal(f->dropped[TRANSLATE_LATE], 1);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 1);
	translate_say(t,
	              translate_metrics("", HISTOGRAM(HISTOGRAM_POINT("3000") "," HISTOGRAM_POINT(
						    "3000"))),
	              &out);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 2);
	/* and where they have to be sorted first */
	translate_say(
		t,
		translate_metrics(
			"",
			HISTOGRAM(HISTOGRAM_POINT("5000") "," HISTOGRAM_POINT(
				"4000") "," HISTOGRAM_POINT("6000") "," HISTOGRAM_POINT("5000"))),
		&out);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 3);
	assert_int_equal(f->dropped[TRANSLATE_LATE], 1);
	buffer_fini(&out);
	translator_free(t);
}

static void strange_times_are_told_without_a_start_or_not_at_all(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(
		t,
		translate_metrics("",
	                          SUM("c", CUMULATIVE, STARTED("2000", "1000", "1")) "," GAUGE(
					  "g",
					  "{'timeUnixNano':'0','asInt':'1'},"
					  "{'timeUnixNano':'999999','asInt':'1'},"
					  "{'timeUnixNano':'1000000','asInt':'1'},"
					  "{'timeUnixNano':'9223372036854775808','asInt':'2'},"
					  "{'timeUnixNano':'18446744073709551615','asInt':'3'}")),
		"c_total{} 1 @1000\ng{} 1 @1\ng{} 2 @9223372036854\ng{} 3 @18446744073709\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_INVALID], 2);
	translator_free(t);
}

static void an_expiry_below_a_second_is_none_of_zero(void **state)
{
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;

	(void)state;
	options.expiry_ns = SECOND / 2;
	t = translate_begin(&options);
	translate_expect(t, translate_metrics("", GAUGE("g", VALUE("1000", "1"))), "g{} 1 @1000\n");
	assert_int_equal(translator_expire(t, SECOND - 1, 2000, 1000, &tr), 0);
	assert_int_equal(tr.n_samples, 0);
	assert_int_equal(translator_expire(t, 2 * SECOND, 2000, 1000, &tr), 0);
	assert_int_equal(tr.n_samples, 1);
	translator_free(t);
}

/* A point's attributes: how many, and how long the value of the first is. */
static enum translate_drop drop_of_attributes(struct translator *t, size_t n, size_t len)
{
	struct buffer json = BUFFER_INIT;
	struct translator_figures before = *translator_figures(t);
	const struct translator_figures *f = translator_figures(t);
	struct translation tr;
	struct error error = ERROR_INIT;
	enum translate_drop reason = TRANSLATE_DROPS;
	struct batch *b;

	buffer_append_string(&json, "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'name':'g',"
	                            "'gauge':{'dataPoints':[{'timeUnixNano':'1000000000',"
	                            "'attributes':[");
	for (size_t i = 0; i < n; i++) {
		buffer_printf(&json, "%s{'key':'k%zu','value':{'stringValue':'", i ? "," : "", i);
		for (size_t j = 0; j < (i ? 1 : len); j++)
			buffer_append_byte(&json, 'v');
		buffer_append_string(&json, "'}}");
	}
	buffer_append_string(&json, "]}]}}]}]}]}");
	b = translate_come(buffer_string(&json));
	assert_non_null(b);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	assert_null(translation_wrong(t, &tr, NAME_ESCAPED_SUFFIXED));
	for (int i = 0; i < TRANSLATE_DROPS; i++)
		if (f->dropped[i] != before.dropped[i])
			reason = (enum translate_drop)i;
	assert_int_equal(tr.n_samples, reason == TRANSLATE_DROPS ? 1 : 0);
	batch_unref(b);
	buffer_fini(&json);
	return reason;
}

static void labels_are_bounded_in_number_and_length(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	assert_int_equal(drop_of_attributes(t, 1, 65536), TRANSLATE_DROPS);
	assert_int_equal(drop_of_attributes(t, 255, 1), TRANSLATE_DROPS);
	assert_int_equal(drop_of_attributes(t, 256, 1), TRANSLATE_TOO_LARGE);
	assert_int_equal(drop_of_attributes(t, 10000, 1), TRANSLATE_TOO_LARGE);
	assert_int_equal(drop_of_attributes(t, 1, 1 << 20), TRANSLATE_TOO_LARGE);
	assert_int_equal(translator_table(t)->count, 2);
	translator_free(t);
}

static void series_over_the_bound_leave_nothing_behind(void **state)
{
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;
	struct error error = ERROR_INIT;
	size_t bytes;

	(void)state;
	options.max_series = 10;
	t = translate_begin(&options);
	for (int i = 0; i < 10; i++)
		assert_int_equal(drop_of_attributes(t, 1, (size_t)i + 1), TRANSLATE_DROPS);
	bytes = translator_table(t)->symbols.bytes;
	for (int round = 0; round < 20; round++) {
		struct buffer json = BUFFER_INIT;
		struct batch *b;

		buffer_append_string(&json, "{'resourceMetrics':[{'scopeMetrics':[{'metrics':["
		                            "{'name':'g','gauge':{'dataPoints':[");
		for (int i = 0; i < 1000; i++)
			buffer_printf(&json,
			              "%s{'timeUnixNano':'1000000000','attributes':[{'key':'n',"
			              "'value':{'intValue':'%d'}}]}",
			              i ? "," : "", round * 1000 + i);
		buffer_append_string(&json, "]}}]}]}]}");
		b = translate_come(buffer_string(&json));
		assert_non_null(b);
		assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
		assert_int_equal(tr.n_samples, 0);
		batch_unref(b);
		buffer_fini(&json);
	}
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_SERIES_LIMIT], 20000);
	assert_int_equal(translator_table(t)->symbols.bytes, bytes);
	assert_int_equal(translator_table(t)->count, 10);
	translator_free(t);
}

static void what_is_stale_ends_without_another_marker(void **state)
{
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;

	(void)state;
	options.expiry_ns = SECOND;
	t = translate_begin(&options);
	translate_once(t,
	               translate_metrics("", GAUGE("g", VALUE("1000",
	                                                      "1") ",{'timeUnixNano':'2000000000',"
	                                                           "'flags':1}")));
	assert_int_equal(translator_expire(t, 10 * SECOND, 9000, 1000, &tr), 0);
	assert_int_equal(tr.n_samples, 0);
	assert_int_equal(translator_table(t)->count, 0);
	assert_int_equal(translator_expire(t, 10 * SECOND, 9000, 1000, &tr), 0);
	assert_int_equal(translator_table(t)->symbols.bytes, 0);
	translator_free(t);
}

static void a_full_table_drops_what_is_new_and_counts_it(void **state)
{
	struct translator_options options = translate_plain;
	struct translator *t;

	(void)state;
	options.max_series = 2;
	t = translate_begin(&options);
	translate_expect(
		t,
		translate_metrics(
			"",
			GAUGE("a", VALUE("1000", "1")) "," GAUGE("b", VALUE("1000", "1")) "," GAUGE(
				"c", VALUE("1000", "1")) "," GAUGE("a", VALUE("2000", "2"))),
		"a{} 1 @1000\nb{} 1 @1000\na{} 2 @2000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_SERIES_LIMIT], 1);
	translate_expect(
		t,
		translate_metrics(
			"", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
			    "{'timeUnixNano':'1000000000','count':'1'}]}}"),
		"");
	assert_int_equal(translator_table(t)->count, 2);
	translator_free(t);

	options.max_series = 0;
	options.max_symbol_bytes = 100;
	t = translate_begin(&options);
	translate_expect(
		t,
		translate_metrics(
			"",
			GAUGE("a", "{'timeUnixNano':'1000000000','asInt':'1','attributes':"
	                           "[" STRING("a", "012345678901234567890123456789012345678"
	                                           "9") "," STRING("b", "98765432109876543210987654"
	                                                                "32109876543210") "]"
	                                                                                  "}")),
		"");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_SERIES_LIMIT], 1);
	assert_int_equal(translator_table(t)->symbols.count, 0);
	translator_free(t);
}

static void on_end(void *arg, struct series *s)
{
	(void)s;
	++*(int *)arg;
}

static void series_that_are_not_seen_end_with_a_stale_marker(void **state)
{
	int ended = 0;
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;
	struct error error = ERROR_INIT;
	struct buffer out = BUFFER_INIT;
	struct batch *b = translate_come(translate_metrics(
		"",
		GAUGE("g",
	              VALUE("1000",
	                    "1")) ",{'name':'h','histogram':{'aggregationTemporality':1,"
				  "'dataPoints':[{'timeUnixNano':'1000000000','count':'1'}]}}"));

	(void)state;
	options.expiry_ns = 300 * SECOND;
	options.on_series_end = on_end;
	options.arg = &ended;
	t = translate_begin(&options);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b);
	b = translate_come(translate_metrics("", GAUGE("g", VALUE("2000", "1"))));
	assert_int_equal(translator_batch(t, b, 200 * SECOND, &tr, &error), 0);
	assert_int_equal(translator_expire(t, 301 * SECOND, 9000, 1000, &tr), 0);
	assert_int_equal(ended, 2);
	translation_print(t, &tr, &out);
	assert_string_equal(buffer_string(&out),
	                    "h_bucket{le=\"+Inf\"} stale @9000\nh_count{} stale @9000\n");
	assert_true(tr.samples[0].series->ended);
	assert_int_equal(translator_table(t)->count, 1);

	/* at the end of everything, right after a sample that is ahead */
	buffer_clear(&out);
	assert_int_equal(translator_end(t, 1500, 1000, &tr), 0);
	translation_print(t, &tr, &out);
	assert_string_equal(buffer_string(&out), "g{} stale @2001\n");
	assert_int_equal(translator_end(t, 1500, 1000, &tr), 0);
	assert_int_equal(tr.n_samples, 0);
	assert_int_equal(translator_table(t)->count, 0);
	assert_int_equal(translator_table(t)->symbols.count, 0);
	batch_unref(b);
	buffer_fini(&out);
	translator_free(t);
}

static void ends_are_found_a_few_places_at_a_time(void **state)
{
	enum { SERIES = 3000 };
	struct translator_options options = translate_plain;
	struct translator *t;
	struct translation tr;
	size_t told = 0;

	(void)state;
	options.expiry_ns = 10 * SECOND;
	t = translate_begin(&options);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < SERIES; i += 1 + pass) { /* the second time every other */
			struct error error = ERROR_INIT;
			char json[512];
			struct batch *b;

			snprintf(json, sizeof json,
			         "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[" GAUGE(
					 "g",
					 "{'timeUnixNano':'%d000000','asInt':'1','attributes':["
					 "{'key':'n','value':{'intValue':'%d'}}]}") "]}]}]}",
			         1000 + pass, i);
			b = translate_come(json);
			assert_int_equal(translator_batch(t, b, (uint64_t)pass * 5 * SECOND, &tr,
			                                  &error),
			                 0);
			assert_int_equal(tr.n_samples, 1);
			batch_unref(b);
		}
	assert_int_equal(translator_table(t)->count, SERIES);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(translator_expire(t, 12 * SECOND, 5000, 7, &tr), 0);
		assert_true(tr.n_samples <= 7);
		told += tr.n_samples;
	}
	assert_int_equal(told, SERIES / 2);
	assert_int_equal(translator_table(t)->count, SERIES / 2);
	assert_int_equal(translator_figures(t)->ended, SERIES / 2);
	do {
		assert_int_equal(translator_end(t, 6000, 100, &tr), 0);
		told += tr.n_samples;
	} while (tr.n_samples);
	assert_int_equal(told, SERIES);
	assert_int_equal(translator_table(t)->count, 0);
	translator_free(t);
}

static void a_series_outlives_its_end_as_long_as_it_is_held(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	struct translation tr;
	struct error error = ERROR_INIT;
	struct batch *b = translate_come(translate_metrics("", GAUGE("g", VALUE("1000", "1"))));
	struct series *s;

	(void)state;
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	s = tr.samples[0].series;
	series_ref(s);
	assert_int_equal(translator_end(t, 2000, 10, &tr), 0);
	assert_int_equal(translator_end(t, 2000, 10, &tr), 0);
	assert_true(s->ended);
	assert_true(slice_equal(series_find_label(translator_table(t), s, "__name__"),
	                        SLICE_LITERAL("g")));
	/* what comes now is another series */
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	assert_ptr_not_equal(tr.samples[0].series, s);
	series_unref(translator_table(t), s);
	batch_unref(b);
	translator_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_contradicts_itself_is_dropped_and_counted),
		cmocka_unit_test(points_of_a_series_are_put_in_order_and_the_last_of_a_time_counts),
		cmocka_unit_test(late_samples_are_told_as_they_come_to_those_who_ask),
		cmocka_unit_test(no_recorded_value_is_a_stale_marker),
		cmocka_unit_test(new_bounds_end_the_buckets_that_are_gone),
		cmocka_unit_test(every_point_has_one_fate),
		cmocka_unit_test(a_point_is_lost_once_however_many_samples_it_has),
		cmocka_unit_test(strange_times_are_told_without_a_start_or_not_at_all),
		cmocka_unit_test(an_expiry_below_a_second_is_none_of_zero),
		cmocka_unit_test(labels_are_bounded_in_number_and_length),
		cmocka_unit_test(series_over_the_bound_leave_nothing_behind),
		cmocka_unit_test(what_is_stale_ends_without_another_marker),
		cmocka_unit_test(a_full_table_drops_what_is_new_and_counts_it),
		cmocka_unit_test(series_that_are_not_seen_end_with_a_stale_marker),
		cmocka_unit_test(ends_are_found_a_few_places_at_a_time),
		cmocka_unit_test(a_series_outlives_its_end_as_long_as_it_is_held),
	};
	return translate_run(tests, sizeof tests / sizeof *tests);
}
