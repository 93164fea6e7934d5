/* What becomes of the points of each kind of metric: samples, types, native histograms, exemplars. */
#include "tests/unit/prometheus/translate_test.h"

static void sums_and_gauges_are_one_sample_each(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"", "{'name':'requests','unit':'1','sum':{'aggregationTemporality':2,'"
			    "isMonotonic':"
			    "true,'dataPoints':[" STARTED(
				    "500", "1000",
				    "7") "]}},"
					 "{'name':'open','sum':{'aggregationTemporality':2,'"
					 "dataPoints':["
					 "{'startTimeUnixNano':'1','timeUnixNano':'1000000000','"
					 "asInt':'-3'}]}},"
					 "{'name':'load','unit':'1','gauge':{'dataPoints':[" VALUE(
						 "1000", "0.5") "]}}"),
		"requests_total{} 7 @1000 from 500\n"
		"open{} -3 @1000\n"
		"load_ratio{} 0.5 @1000\n");
}

static void metadata_says_what_a_gauge_is(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	struct batch *b = translate_come(
		translate_metrics("",
	                          "{'name':'x','unit':'1','gauge':{'dataPoints':[" VALUE(
					  "1000", "1") "]},'metadata':[" STRING("prometheus.type",
	                                                                        "unknown") "]}"));
	struct translation tr;
	struct error error = ERROR_INIT;

	(void)state;
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	assert_int_equal(tr.n_samples, 1);
	assert_int_equal(tr.samples[0].series->shape->family->type, METRIC_UNKNOWN);
	batch_unref(b);
	translator_free(t);
}

static void classic_histograms_are_cumulative_buckets(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics("",
	                          "{'name':'d','unit':'s','histogram':{'aggregationTemporality':2,'"
	                          "dataPoints':["
	                          "{'startTimeUnixNano':'500000000','timeUnixNano':'1000000000','"
	                          "count':'6','sum':3.5,"
	                          "'explicitBounds':[0.005,1],'bucketCounts':['1','2','3'],"
	                          "'attributes':[" STRING("le", "mine") "]}]}}"),
		"d_seconds_bucket{exported_le=\"mine\",le=\"0.005\"} 1 @1000 from 500\n"
		"d_seconds_bucket{exported_le=\"mine\",le=\"1\"} 3 @1000 from 500\n"
		"d_seconds_bucket{exported_le=\"mine\",le=\"+Inf\"} 6 @1000 from 500\n"
		"d_seconds_sum{exported_le=\"mine\"} 3.5 @1000 from 500\n"
		"d_seconds_count{exported_le=\"mine\"} 6 @1000 from 500\n");
}

static void a_histogram_without_buckets_or_sum_has_count_alone(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"", "{'name':'d','histogram':{'aggregationTemporality':2,'dataPoints':["
			    "{'timeUnixNano':'1000000000','count':'6'}]}}"),
		"d_bucket{le=\"+Inf\"} 6 @1000\n"
		"d_count{} 6 @1000\n");
}

static void summaries_are_quantiles_sum_and_count(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"", "{'name':'d','summary':{'dataPoints':[{'timeUnixNano':'1000000000',"
			    "'count':'6',"
			    "'sum':3.5,'quantileValues':[{'quantile':0.5,'value':2},{'quantile'"
			    ":0.99,'value':9}]}]}}"),
		"d{quantile=\"0.5\"} 2 @1000\n"
		"d{quantile=\"0.99\"} 9 @1000\n"
		"d_sum{} 3.5 @1000\n"
		"d_count{} 6 @1000\n");
}

static void exponential_histograms_are_native_ones(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"", EXPONENTIAL(CUMULATIVE,
	                                "{'timeUnixNano':'1000000000','count':'10','sum':3,'"
	                                "scale':3,'zeroCount':'1',"
	                                "'positive':{'offset':-2,'bucketCounts':['2','0','0','"
	                                "1','0','0','0','4']},"
	                                "'negative':{'offset':5,'bucketCounts':['0','2']}}")),
		"e{} schema 3 count 10 zero 1 sum 3 positive -1:2 0:0 1:0 2:1 6:4 negative 7:2 "
		"@1000\n");
}

static void scales_above_8_are_merged_down(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"", EXPONENTIAL(CUMULATIVE,
	                                "{'timeUnixNano':'1000000000','count':'10','scale':10,"
	                                "'positive':{'offset':-3,'bucketCounts':['1','1','1','"
	                                "1','1','1','1','3']}}")),
		"e{} schema 8 count 10 zero 0 sum 0 positive 0:3 1:4 2:3 @1000\n");
}

static void explicit_histograms_are_custom_buckets_by_option(void **state)
{
	struct translator_options options = translate_plain;

	(void)state;
	options.custom_buckets = true;
	translate_expect_once(
		&options,
		translate_metrics(
			"", "{'name':'d','histogram':{'aggregationTemporality':2,'dataPoints':["
			    "{'timeUnixNano':'1000000000','count':'6','sum':3.5,"
			    "'explicitBounds':[0.005,1],'bucketCounts':['1','2','3']}]}}"),
		"d{} schema -53 count 6 zero 0 sum 3.5 positive 0:1 1:2 2:3 bounds 0.005 1 "
		"@1000\n");
}

static void exemplars_go_to_their_buckets(void **state)
{
#define TRACE "'traceId':'000102030405060708090a0b0c0d0e0f','spanId':'0001020304050607'"
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"",
			"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
			"{'timeUnixNano':'1000000000','count':'2','explicitBounds':[1],'"
			"bucketCounts':['1','1'],"
			"'exemplars':[{'timeUnixNano':'900000000','asDouble':5," TRACE "},"
			"{'timeUnixNano':'800000000','asDouble':1,'filteredAttributes':"
			"[" STRING("user", "u") "]}]}]}}," SUM(
				"c", CUMULATIVE,
				"{'timeUnixNano':'1000000000','asInt':'1','exemplars':[{'"
				"asInt':'1'," TRACE
				"}]}") "," GAUGE("g", "{'timeUnixNano':'1000000000','asInt':'1',"
	                                              "'exemplars':[{'asInt':'1'," TRACE "}]}")),
		"h_bucket{le=\"1\"} 1 @1000 # 1@800 user=u\n"
		"h_bucket{le=\"+Inf\"} 2 @1000 # 5@900 span_id=0001020304050607 "
		"trace_id=000102030405060708090a0b0c0d0e0f\n"
		"h_count{} 2 @1000\n"
		"c_total{} 1 @1000 # 1@1000 span_id=0001020304050607 "
		"trace_id=000102030405060708090a0b0c0d0e0f\n"
		"g{} 1 @1000\n");
}

static void a_sum_that_may_fall_is_no_ratio(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics("", "{'name':'open','unit':'1','sum':{'aggregationTemporality':2,"
	                              "'dataPoints':[" VALUE("1000", "3") "]}}"),
		"open{} 3 @1000\n");
}

static void metadata_makes_gauges_of_every_type(void **state)
{
	static const struct {
		const char *name;
		enum metric_type type;
	} types[] = {{"info", METRIC_INFO},
	             {"stateset", METRIC_STATESET},
	             {"unknown", METRIC_UNKNOWN},
	             {"counter", METRIC_GAUGE}};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof types / sizeof *types; i++) {
		struct translator *t = translate_begin(&translate_plain);
		struct translation tr;
		char metric[512];

		snprintf(metric, sizeof metric,
		         "{'name':'x','%s':{%s'dataPoints':[" VALUE(
				 "1000", "1") "]},'metadata':[{'key':'prometheus.type',"
		                              "'value':{'stringValue':'%s'}}]}",
		         i % 2 ? "sum" : "gauge", i % 2 ? "'aggregationTemporality':2," : "",
		         types[i / 2].name);
		tr = translate_once(t, translate_metrics("", metric));
		assert_int_equal(tr.n_samples, 1);
		assert_int_equal(tr.samples[0].series->shape->family->type, types[i / 2].type);
		translator_free(t);
	}
}

/* A gauge without metadata, and then with it, is another one. */
static void metadata_that_comes_later_counts(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	struct translation tr;

	(void)state;
	translate_expect(t,
	                 translate_metrics("",
	                                   "{'name':'x','unit':'1','gauge':{'dataPoints':[" VALUE(
						   "1000", "1") "]}}"),
	                 "x_ratio{} 1 @1000\n");
	tr = translate_once(
		t, translate_metrics("", "{'name':'x','unit':'1','gauge':{'dataPoints':[" VALUE(
						 "2000",
						 "1") "]},'metadata':[" STRING("prometheus.type",
	                                                                       "stateset") "]}"));
	assert_int_equal(tr.n_samples, 1);
	assert_int_equal(tr.samples[0].series->shape->family->type, METRIC_STATESET);
	translator_free(t);
}

static void bounds_and_quantiles_rise_and_are_numbers(void **state)
{
	static const char *const points[] = {
		"'count':'2','explicitBounds':['NaN'],'bucketCounts':['1','1']",
		"'count':'2','explicitBounds':['-Infinity'],'bucketCounts':['1','1']",
		"'count':'3','explicitBounds':[2,1],'bucketCounts':['1','1','1']",
		"'count':'3','explicitBounds':[1,1],'bucketCounts':['1','1','1']",
		"'count':'3','explicitBounds':[1]",
		"'count':'3','bucketCounts':['1','2']",
	};
	static const char *const quantiles[] = {"{'quantile':0.5},{'quantile':0.1}",
	                                        "{'quantile':0.5},{'quantile':0.5}",
	                                        "{'quantile':-0.5}", "{'quantile':'NaN'}"};
	struct translator *t = translate_begin(&translate_plain);
	const uint64_t *invalid = &translator_figures(t)->dropped[TRANSLATE_INVALID];
	uint64_t wanted = 0;
	struct buffer bounds = BUFFER_INIT;
	char metric[512];

	(void)state;
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		snprintf(metric, sizeof metric, HISTOGRAM("{'timeUnixNano':'1000000000',%s}"),
		         points[i]);
		translate_expect(t, translate_metrics("", metric), "");
		assert_int_equal(*invalid, ++wanted);
	}
	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
		snprintf(metric, sizeof metric,
		         "{'name':'s','summary':{'dataPoints':[{'timeUnixNano':'1000000000',"
		         "'quantileValues':[%s]}]}}",
		         quantiles[i]);
		translate_expect(t, translate_metrics("", metric), "");
		assert_int_equal(*invalid, ++wanted);
	}
	/* and are not so many that one point fills the table */
	buffer_append_string(&bounds,
	                     "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'name':'h',"
	                     "'histogram':{'aggregationTemporality':2,'dataPoints':[{"
	                     "'timeUnixNano':'1000000000','explicitBounds':[");
	for (int i = 0; i < 2048; i++)
		buffer_printf(&bounds, "%s%d", i ? "," : "", i);
	buffer_append_string(&bounds, "],'bucketCounts':[");
	for (int i = 0; i < 2049; i++)
		buffer_append_string(&bounds, i ? ",'0'" : "'0'");
	buffer_append_string(&bounds, "]}]}}]}]}]}");
	translate_expect(t, buffer_string(&bounds), "");
	assert_int_equal(*invalid, ++wanted);
	buffer_fini(&bounds);
	translator_free(t);
}

#define EXPONENTIAL_POINT(ms, count, more)                                                         \
	"{'startTimeUnixNano':'1000000','timeUnixNano':'" ms "000000','count':'" count "'," more "}"

static void native_histograms_stay_within_their_limits(void **state)
{
	struct translator *t = translate_begin(&translate_plain);
	struct translation tr;
	const struct native_histogram *h;

	(void)state;
	/* the lowest scale; thresholds; the end of the doubles */
	tr = translate_once(
		t, translate_metrics("",
	                             EXPONENTIAL(CUMULATIVE,
	                                         EXPONENTIAL_POINT("1000", "1",
	                                                           "'scale':-4,'zeroCount':'1'"))));
	assert_int_equal(tr.n_samples, 1);
	h = tr.samples[0].histogram;
	assert_int_equal(h->schema, -4);
	assert_true(h->zero_threshold == 1e-128);
	tr = translate_once(
		t,
		translate_metrics("", EXPONENTIAL(CUMULATIVE,
	                                          EXPONENTIAL_POINT("2000", "1",
	                                                            "'scale':0,'zeroThreshold':0.5,"
	                                                            "'positive':{'offset':1100,"
	                                                            "'bucketCounts':['1']}"))));
	assert_int_equal(tr.n_samples, 1);
	assert_true(tr.samples[0].histogram->zero_threshold == 0.5);
	tr = translate_once(
		t, translate_metrics("", EXPONENTIAL(CUMULATIVE,
	                                             EXPONENTIAL_POINT("3000", "1",
	                                                               "'positive':{'offset':1101,"
	                                                               "'bucketCounts':['1']}"))));
	assert_int_equal(tr.n_samples, 0);
	translator_free(t);

	/* totals: the larger threshold, few buckets, and no count that overflows */
	t = translate_begin(&translate_plain);
	translate_once(
		t, translate_metrics("",
	                             EXPONENTIAL(DELTA,
	                                         EXPONENTIAL_POINT("1000", "1",
	                                                           "'scale':8,'zeroThreshold':0.25,"
	                                                           "'zeroCount':'1'"))));
	tr = translate_once(
		t, translate_metrics(
			   "", EXPONENTIAL(DELTA,
	                                   EXPONENTIAL_POINT("2000", "2",
	                                                     "'scale':8,'positive':{"
	                                                     "'offset':-2560,'bucketCounts':['1']},"
	                                                     "'negative':{'offset':5,"
	                                                     "'bucketCounts':['1']}"))));
	assert_true(tr.samples[0].histogram->zero_threshold == 0.25);
	assert_false(tr.samples[0].histogram->reset);
	tr = translate_once(
		t, translate_metrics(
			   "", EXPONENTIAL(DELTA,
	                                   EXPONENTIAL_POINT("3000", "1",
	                                                     "'scale':8,'positive':{'offset':2560,"
	                                                     "'bucketCounts':['1']}"))));
	h = tr.samples[0].histogram;
	assert_int_equal(h->count, 4);
	assert_int_equal(h->schema, 3);
	tr = translate_once(
		t,
		translate_metrics(
			"", EXPONENTIAL(DELTA,
	                                EXPONENTIAL_POINT("4000", "9223372036854775807",
	                                                  "'zeroCount':'9223372036854775807'"))));
	h = tr.samples[0].histogram;
	assert_true(h->count == INT64_MAX && h->zero_count == INT64_MAX && h->reset);
	translator_free(t);
}

static void exemplars_are_short_or_none(void **state)
{
	struct translator_options options = translate_plain;
	char json[1024], long_value[200];
	static const char point[] = "{'timeUnixNano':'1000000000','asInt':'1','exemplars':[{"
				    "'asInt':'1','spanId':'0000000000000000','filteredAttributes':"
				    "[{'key':'k','value':{'stringValue':'%s'}}]}]}";

	(void)state;
	memset(long_value, 'x', sizeof long_value);
	long_value[127] = '\0';
	snprintf(json, sizeof json, point, long_value);
	char metric[1400], wanted[400];
	snprintf(metric, sizeof metric, SUM("c", CUMULATIVE, "%s"), json);
	snprintf(wanted, sizeof wanted, "c_total{} 1 @1000 # 1@1000 k=%s\n", long_value);
	translate_expect_once(&options, translate_metrics("", metric), wanted);

	long_value[127] = 'x';
	long_value[128] = '\0';
	snprintf(json, sizeof json, point, long_value);
	snprintf(metric, sizeof metric, SUM("c", CUMULATIVE, "%s"), json);
	translate_expect_once(&options, translate_metrics("", metric),
	                      "c_total{} 1 @1000 # 1@1000\n");

	/* characters are counted, not bytes */
	for (int i = 0; i < 120; i += 2)
		memcpy(long_value + i, "\xc3\xa4", 2);
	memset(long_value + 120, 'x', 60);
	long_value[180] = '\0';
	snprintf(json, sizeof json, point, long_value);
	snprintf(metric, sizeof metric, SUM("c", CUMULATIVE, "%s"), json);
	snprintf(wanted, sizeof wanted, "c_total{} 1 @1000 # 1@1000 k=%s\n", long_value);
	translate_expect_once(&options, translate_metrics("", metric), wanted);

	options.no_exemplars = true;
	translate_expect_once(&options, translate_metrics("", metric), "c_total{} 1 @1000\n");
}

static void one_name_has_one_type_where_that_is_asked(void **state)
{
	struct translator_options options = translate_plain;
	const char *json = translate_metrics(
		"",
		SUM("x", CUMULATIVE, VALUE("1000", "1")) "," GAUGE(
			"x_total", "{'timeUnixNano':'1000000000','asInt':'2','attributes':[" STRING(
					   "a", "b") "]}"));

	(void)state;
	translate_expect_once(&options, json, "x_total{} 1 @1000\nx_total{a=\"b\"} 2 @1000\n");
	options.one_type = true;
	translate_expect_once(&options, json, "x_total{} 1 @1000\n");
}

static void values_and_native_histograms_are_never_mixed(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(
		t,
		translate_metrics(
			"", GAUGE("e", VALUE("1000", "1")) "," EXPONENTIAL(
				    CUMULATIVE,
				    "{'timeUnixNano':'1000000000','count':'1','zeroCount':'1'}")),
		"e{} 1 @1000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_CONFLICT], 1);
	translator_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_and_gauges_are_one_sample_each),
		cmocka_unit_test(metadata_says_what_a_gauge_is),
		cmocka_unit_test(classic_histograms_are_cumulative_buckets),
		cmocka_unit_test(a_histogram_without_buckets_or_sum_has_count_alone),
		cmocka_unit_test(summaries_are_quantiles_sum_and_count),
		cmocka_unit_test(exponential_histograms_are_native_ones),
		cmocka_unit_test(scales_above_8_are_merged_down),
		cmocka_unit_test(explicit_histograms_are_custom_buckets_by_option),
		cmocka_unit_test(exemplars_go_to_their_buckets),
		cmocka_unit_test(a_sum_that_may_fall_is_no_ratio),
		cmocka_unit_test(metadata_makes_gauges_of_every_type),
		cmocka_unit_test(metadata_that_comes_later_counts),
		cmocka_unit_test(bounds_and_quantiles_rise_and_are_numbers),
		cmocka_unit_test(native_histograms_stay_within_their_limits),
		cmocka_unit_test(exemplars_are_short_or_none),
		cmocka_unit_test(one_name_has_one_type_where_that_is_asked),
		cmocka_unit_test(values_and_native_histograms_are_never_mixed),
	};
	return translate_run(tests, sizeof tests / sizeof *tests);
}
