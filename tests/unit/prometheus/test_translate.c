#include "tests/unit/prometheus/translation_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct translator *begin(const struct translator_options *options)
{
	struct translator *t = translator_new(options);

	assert_non_null(t);
	return t;
}

/* Metrics of one resource and scope, as JSON. */
static const char *metrics(const char *resource, const char *list)
{
	static char text[16384];

	snprintf(text, sizeof text,
	         "{'resourceMetrics':[{'resource':{'attributes':[%s]},'scopeMetrics':[{'metrics':[%"
	         "s]}]}]}",
	         resource, list);
	return text;
}

/* Whether batches come as bytes that nobody has opened. */
static bool closed;

static struct batch *come(const char *json)
{
	struct batch *open = translation_batch(json), *b = NULL;
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct rcbuf *pin;

	if (!open || !closed)
		return open;
	assert_int_equal(batch_encode(open, &out, &error), 0);
	pin = rcbuf_new(out.len, NULL);
	assert_non_null(pin);
	memcpy(pin->data, out.data, out.len);
	assert_int_equal(batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size),
	                                    NULL, &b, &error),
	                 0);
	rcbuf_unref(pin);
	buffer_fini(&out);
	batch_unref(open);
	return b;
}

static void say(struct translator *t, const char *json, struct buffer *out)
{
	struct batch *b = come(json);
	struct translation tr;
	struct error error = ERROR_INIT;
	const char *wrong;

	assert_non_null(b);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b); /* the samples outlive it */
	wrong = translation_wrong(t, &tr, NAME_ESCAPED_SUFFIXED);
	if (wrong)
		fail_msg("%s", wrong);
	buffer_clear(out);
	translation_print(t, &tr, out);
}

static void expect(struct translator *t, const char *json, const char *wanted)
{
	struct buffer out = BUFFER_INIT;

	say(t, json, &out);
	assert_string_equal(buffer_string(&out), wanted);
	buffer_fini(&out);
}

static void expect_once(const struct translator_options *options, const char *json,
                        const char *wanted)
{
	struct translator *t = begin(options);

	expect(t, json, wanted);
	translator_free(t);
}

static const struct translator_options plain = {.no_target_info = true};

#define SUM(name, temporality, points)                                                             \
	"{'name':'" name "','sum':{'aggregationTemporality':" temporality                          \
	",'isMonotonic':true,'dataPoints':[" points "]}}"
#define GAUGE(name, points) "{'name':'" name "','gauge':{'dataPoints':[" points "]}}"
#define CUMULATIVE "2"
#define DELTA "1"
#define VALUE(ms, value) "{'timeUnixNano':'" ms "000000','asDouble':" value "}"
#define STARTED(start, ms, value)                                                                  \
	"{'startTimeUnixNano':'" start "000000','timeUnixNano':'" ms "000000','asDouble':" value "}"
#define STRING(key, value) "{'key':'" key "','value':{'stringValue':'" value "'}}"

/* ---- kinds */

static void sums_and_gauges_are_one_sample_each(void **state)
{
	(void)state;
	expect_once(&plain,
	            metrics("",
	                    "{'name':'requests','unit':'1','sum':{'aggregationTemporality':2,'"
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
	struct translator *t = begin(&plain);
	struct batch *b =
		come(metrics("", "{'name':'x','unit':'1','gauge':{'dataPoints':[" VALUE(
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
	expect_once(&plain,
	            metrics("", "{'name':'d','unit':'s','histogram':{'aggregationTemporality':2,'"
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
	expect_once(&plain,
	            metrics("", "{'name':'d','histogram':{'aggregationTemporality':2,'dataPoints':["
	                        "{'timeUnixNano':'1000000000','count':'6'}]}}"),
	            "d_bucket{le=\"+Inf\"} 6 @1000\n"
	            "d_count{} 6 @1000\n");
}

static void summaries_are_quantiles_sum_and_count(void **state)
{
	(void)state;
	expect_once(&plain,
	            metrics("", "{'name':'d','summary':{'dataPoints':[{'timeUnixNano':'1000000000',"
	                        "'count':'6',"
	                        "'sum':3.5,'quantileValues':[{'quantile':0.5,'value':2},{'quantile'"
	                        ":0.99,'value':9}]}]}}"),
	            "d{quantile=\"0.5\"} 2 @1000\n"
	            "d{quantile=\"0.99\"} 9 @1000\n"
	            "d_sum{} 3.5 @1000\n"
	            "d_count{} 6 @1000\n");
}

#define EXPONENTIAL(temporality, points)                                                           \
	"{'name':'e','exponentialHistogram':{'aggregationTemporality':" temporality                \
	",'dataPoints':[" points "]}}"

static void exponential_histograms_are_native_ones(void **state)
{
	(void)state;
	expect_once(&plain,
	            metrics("", EXPONENTIAL(CUMULATIVE,
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
	expect_once(&plain,
	            metrics("", EXPONENTIAL(CUMULATIVE,
	                                    "{'timeUnixNano':'1000000000','count':'10','scale':10,"
	                                    "'positive':{'offset':-3,'bucketCounts':['1','1','1','"
	                                    "1','1','1','1','3']}}")),
	            "e{} schema 8 count 10 zero 0 sum 0 positive 0:3 1:4 2:3 @1000\n");
}

static void what_contradicts_itself_is_dropped_and_counted(void **state)
{
	struct translator *t = begin(&plain);
	const struct translator_figures *f = translator_figures(t);

	(void)state;
	expect(t,
	       metrics("",
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
						  "1000", "1") "]}},"
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

static void explicit_histograms_are_custom_buckets_by_option(void **state)
{
	struct translator_options options = plain;

	(void)state;
	options.custom_buckets = true;
	expect_once(&options,
	            metrics("", "{'name':'d','histogram':{'aggregationTemporality':2,'dataPoints':["
	                        "{'timeUnixNano':'1000000000','count':'6','sum':3.5,"
	                        "'explicitBounds':[0.005,1],'bucketCounts':['1','2','3']}]}}"),
	            "d{} schema -53 count 6 zero 0 sum 3.5 positive 0:1 1:2 2:3 bounds 0.005 1 "
	            "@1000\n");
}

/* ---- labels */

static void colliding_attributes_are_joined(void **state)
{
	(void)state;
	expect_once(&plain,
	            metrics("", GAUGE("g",
	                              "{'timeUnixNano':'1000000000','asDouble':1,'attributes':"
	                              "[" STRING("a_b", "3") "," STRING("a.b", "1") "," STRING(
					      "a-b",
					      "0") "," STRING("empty",
	                                                      "") ",{'key':'n','value':{'intValue':"
	                                                          "'5'}},"
	                                                          "{'key':'l','value':{'arrayValue'"
	                                                          ":{'values':[{'boolValue':true},{"
	                                                          "'stringValue':'x'}]}}}]}")),
	            "g{a_b=\"0;1;3\",l=\"[true,\"x\"]\",n=\"5\"} 1 @1000\n");
}

static void resource_and_scope_become_labels(void **state)
{
	static const char *const all[] = {"*", NULL}, *const not [] = {"secret", NULL};
	struct translator_options options = {.resource_included = all, .resource_excluded = not };
	static const struct translator_label external[] = {{"cluster", "c1"}, {"a", "other"}};

	(void)state;
	options.external = external;
	options.n_external = 2;
	expect_once(
		&options,
		"{'resourceMetrics':[{'resource':{'attributes':[" STRING("service.name", "shop") "," STRING(
			"service.namespace",
			"eu") "," STRING("service.instance.id",
	                                 "i1") "," STRING("secret",
	                                                  "x") "," STRING("host.name",
	                                                                  "h") "]},'scopeMetrics':["
									       "{'scope':{'name':'"
									       "lib',"
									       "'version':'1.2','"
									       "attributes':"
									       "[" STRING("kind", "k") "," STRING("name", "no") "]},'schemaUrl':'u','metrics':[" GAUGE(
										       "g",
										       "{'"
										       "timeUnixNan"
										       "o':'"
										       "1000000000'"
										       ",'asDouble'"
										       ":1,'"
										       "attributes'"
										       ":[" STRING("a", "own") "," STRING(
											       "jo"
											       "b",
											       "min"
											       "e") "]}") "]}]}]}",
		"g{a=\"own\",cluster=\"c1\",exported_job=\"mine\",host_name=\"h\",instance=\"i1\","
		"job=\"eu/shop\","
		"otel_scope_kind=\"k\",otel_scope_name=\"lib\",otel_scope_schema_url=\"u\",otel_"
		"scope_version=\"1.2\","
		"service_instance_id=\"i1\",service_name=\"shop\",service_namespace=\"eu\"} 1 "
		"@1000\n"
		"target_info{a=\"other\",cluster=\"c1\",host_name=\"h\",instance=\"i1\",job=\"eu/"
		"shop\",secret=\"x\"} 1 @1000\n");
}

/* A metric whose one point has its time between its attributes, as no SDK writes it. */
static void attributes_may_stand_anywhere(void **state)
{
	static const uint8_t request[] = {0x0a, 0x28, 0x12, 0x26, 0x12, 0x24, 0x0a, 0x01, 'g', 0x2a,
	                                  0x1f, 0x0a, 0x1d,
	                                  /* a = "1" */
	                                  0x3a, 0x08, 0x0a, 0x01, 'a', 0x12, 0x03, 0x0a, 0x01, '1',
	                                  /* time_unix_nano */
	                                  0x19, 0, 0, 0, 0, 0, 0, 0, 0,
	                                  /* b = "2" */
	                                  0x3a, 0x08, 0x0a, 0x01, 'b', 0x12, 0x03, 0x0a, 0x01, '2'};
	struct translator *t = begin(&plain);

	(void)state;
	for (uint8_t ms = 1; ms < 20; ms++) {
		struct rcbuf *pin = rcbuf_new(sizeof request, NULL);
		struct buffer out = BUFFER_INIT;
		struct error error = ERROR_INIT;
		struct translation tr;
		struct batch *b;
		uint64_t time_ns = ms * UINT64_C(1000000);

		assert_non_null(pin);
		memcpy(pin->data, request, sizeof request);
		memcpy(pin->data + 24, &time_ns, sizeof time_ns);
		if (batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size), NULL,
		                       &b, &error) < 0)
			fail_msg("%s", error.message);
		assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
		translation_print(t, &tr, &out);
		assert_int_equal(tr.n_samples, 1);
		assert_memory_equal(out.data, "g{a=\"1\",b=\"2\"} 0 @", 18);
		buffer_fini(&out);
		batch_unref(b);
		rcbuf_unref(pin);
	}
	assert_int_equal(translator_figures(t)->hits, 18);
	translator_free(t);
}

static void target_info_needs_an_identity_and_something_to_say(void **state)
{
	static const struct translator_options options = {0};

	(void)state;
	expect_once(&options,
	            metrics(STRING("service.name", "shop"), GAUGE("g", VALUE("1000", "1"))),
	            "g{job=\"shop\"} 1 @1000\n");
	expect_once(&options, metrics(STRING("host.name", "h"), GAUGE("g", VALUE("1000", "1"))),
	            "g{} 1 @1000\n");
	/* once, with the latest time */
	expect_once(&options,
	            metrics(STRING("service.name", "shop") "," STRING("host.name", "h"),
	                    GAUGE("g", VALUE("1000", "1") "," VALUE("2000", "2"))),
	            "g{job=\"shop\"} 1 @1000\ng{job=\"shop\"} 2 @2000\n"
	            "target_info{host_name=\"h\",job=\"shop\"} 1 @2000\n");
}

/* ---- time */

static void points_of_a_series_are_put_in_order_and_the_last_of_a_time_counts(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       metrics("", GAUGE("g", VALUE("3000", "3") "," VALUE("1000", "1") "," VALUE(
					      "2000", "9") "," VALUE("2000", "2"))),
	       "g{} 1 @1000\ng{} 2 @2000\ng{} 3 @3000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 1);
	expect(t,
	       metrics("", GAUGE("g",
	                         VALUE("2500", "1") "," VALUE("3000", "1") "," VALUE("4000", "4"))),
	       "g{} 4 @4000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_LATE], 1);
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 2);
	assert_int_equal(translator_figures(t)->points, 7);
	assert_int_equal(translator_figures(t)->samples, 4);
	translator_free(t);
}

static void late_samples_are_told_as_they_come_to_those_who_ask(void **state)
{
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;
	struct error error = ERROR_INIT;
	struct batch *b = come(metrics(
		"", GAUGE("g", VALUE("4000", "4") "," VALUE("2000", "2") "," VALUE("2000", "3"))));
	struct buffer out = BUFFER_INIT;

	(void)state;
	options.tell_late = true;
	t = begin(&options);
	expect(t, metrics("", GAUGE("g", VALUE("3000", "3"))), "g{} 3 @3000\n");
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
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       metrics("", GAUGE("g", VALUE("1000", "1") ",{'timeUnixNano':'2000000000','flags':"
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
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       metrics("", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
	                   "{'timeUnixNano':'1000000000','count':'1','explicitBounds':[1],'"
	                   "bucketCounts':['1','0']}]}}"),
	       "h_bucket{le=\"1\"} 1 @1000\nh_bucket{le=\"+Inf\"} 1 @1000\nh_count{} 1 @1000\n");
	expect(t,
	       metrics("", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
	                   "{'timeUnixNano':'2000000000','count':'2','explicitBounds':[2],'"
	                   "bucketCounts':['2','0']}]}}"),
	       "h_bucket{le=\"2\"} 2 @2000\nh_bucket{le=\"+Inf\"} 2 @2000\nh_count{} 2 @2000\n"
	       "h_bucket{le=\"1\"} stale @2000\n");
	translator_free(t);
}

/* ---- exemplars */

static void exemplars_go_to_their_buckets(void **state)
{
#define TRACE "'traceId':'000102030405060708090a0b0c0d0e0f','spanId':'0001020304050607'"
	(void)state;
	expect_once(&plain,
	            metrics("", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
	                        "{'timeUnixNano':'1000000000','count':'2','explicitBounds':[1],'"
	                        "bucketCounts':['1','1'],"
	                        "'exemplars':[{'timeUnixNano':'900000000','asDouble':5," TRACE "},"
	                        "{'timeUnixNano':'800000000','asDouble':1,'filteredAttributes':"
	                        "[" STRING("user", "u") "]}]}]}}," SUM(
					"c", CUMULATIVE,
					"{'timeUnixNano':'1000000000','asInt':'1','exemplars':[{'"
					"asInt':'1'," TRACE
					"}]}") "," GAUGE("g",
	                                                 "{'timeUnixNano':'1000000000','asInt':'1',"
	                                                 "'exemplars':[{'asInt':'1'," TRACE "}]}")),
	            "h_bucket{le=\"1\"} 1 @1000 # 1@800 user=u\n"
	            "h_bucket{le=\"+Inf\"} 2 @1000 # 5@900 span_id=0001020304050607 "
	            "trace_id=000102030405060708090a0b0c0d0e0f\n"
	            "h_count{} 2 @1000\n"
	            "c_total{} 1 @1000 # 1@1000 span_id=0001020304050607 "
	            "trace_id=000102030405060708090a0b0c0d0e0f\n"
	            "g{} 1 @1000\n");
}

/* ---- whose samples they are */

#define CLASSIC(ms)                                                                                \
	"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':'" ms   \
	"000000','count':'2','bucketCounts':['1','1'],'explicitBounds':[1]}]}}"

/* The points of the samples, in their order. */
static void expect_points(struct translator *t, const char *json, const uint32_t *wanted, size_t n)
{
	struct batch *b = come(json);
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
	struct translator *t = begin(&with_target_info);
	const struct translator_figures *f = translator_figures(t);
	const uint32_t none = SAMPLE_OF_NO_POINT;

	(void)state;
	expect_points(t,
	              metrics(resource,
	                      GAUGE("g", VALUE("1000", "1") "," VALUE("0", "1")) "," CLASSIC(
				      "1000") "," GAUGE("z", VALUE("1000", "1"))),
	              (const uint32_t[]){0, 2, 2, 2, 3, none}, 6);
	assert_int_equal(f->dropped[TRANSLATE_INVALID], 1);
	/* all series of a histogram are one point, and target_info is none: it came twice too */
	expect_points(t, metrics(resource, CLASSIC("1000")), NULL, 0);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 1);
	/* the last of one time counts, of the other nothing is left */
	expect_points(t, metrics(resource, CLASSIC("2000") "," CLASSIC("2000")),
	              (const uint32_t[]){1, 1, 1, none}, 4);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 2);
	/* a histogram that loses one series to a gauge of its name: dropped, and the rest is no
	 * point's */
	expect_points(t,
	              metrics(resource, CLASSIC("3000") "," GAUGE("h_count", VALUE("3000", "7"))),
	              (const uint32_t[]){none, none, 1, none}, 4);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 3);
	assert_int_equal(f->points, 4 + 1 + 2 + 2);
	translator_free(t);
}

/* ---- deltas */

static void deltas_are_added_up(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t, metrics("", SUM("c", DELTA, STARTED("1000", "2000", "5"))),
	       "c_total{} 5 @2000 from 1000\n");
	expect(t,
	       metrics("", SUM("c", DELTA,
	                       STARTED("3000", "4000", "2") "," STARTED("2000", "3000", "1"))),
	       "c_total{} 6 @3000 from 1000\nc_total{} 8 @4000 from 1000\n");
	/* what came before is not added again */
	expect(t, metrics("", SUM("c", DELTA, STARTED("3000", "4000", "2"))), "");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 1);
	translator_free(t);
}

static void deltas_of_two_sources_of_one_series_add_up(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       "{'resourceMetrics':[{'resource':{'attributes':[" STRING(
		       "pid",
		       "1") "]},'scopeMetrics':[{'metrics':[" SUM("c", DELTA,
	                                                          STARTED("1000", "2000",
	                                                                  "5")) "]}]},"
	                                                                        "{'resource':{'"
	                                                                        "attributes':"
	                                                                        "[" STRING("pid", "2") "]},'scopeMetrics':[{'metrics':[" SUM(
											"c", DELTA,
											STARTED("10"
	                                                                                        "0"
	                                                                                        "0",
	                                                                                        "20"
	                                                                                        "0"
	                                                                                        "0",
	                                                                                        "7")) "]}]}]}",
	       "c_total{} 12 @2000 from 1000\n");
	assert_int_equal(translator_table(t)->count, 1);
	translator_free(t);
}

static void delta_histograms_add_up_and_begin_anew_with_new_bounds(void **state)
{
	struct translator *t = begin(&plain);

#define DELTA_HISTOGRAM(start, ms, bound, a, b)                                                    \
	metrics("", "{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':["           \
	            "{'startTimeUnixNano':'" start "000000','timeUnixNano':'" ms                   \
	            "000000','count':'3','sum':1.5,'explicitBounds':[" bound                       \
	            "],'bucketCounts':['" a "','" b "']}]}}")
	(void)state;
	expect(t, DELTA_HISTOGRAM("1000", "2000", "1", "1", "2"),
	       "h_bucket{le=\"1\"} 1 @2000 from 1000\nh_bucket{le=\"+Inf\"} 3 @2000 from 1000\n"
	       "h_sum{} 1.5 @2000 from 1000\nh_count{} 3 @2000 from 1000\n");
	expect(t, DELTA_HISTOGRAM("2000", "3000", "1", "2", "1"),
	       "h_bucket{le=\"1\"} 3 @3000 from 1000\nh_bucket{le=\"+Inf\"} 6 @3000 from 1000\n"
	       "h_sum{} 3 @3000 from 1000\nh_count{} 6 @3000 from 1000\n");
	expect(t, DELTA_HISTOGRAM("3000", "4000", "2", "3", "0"),
	       "h_bucket{le=\"2\"} 3 @4000 from 3000\nh_bucket{le=\"+Inf\"} 3 @4000 from 3000\n"
	       "h_sum{} 1.5 @4000 from 3000\nh_count{} 3 @4000 from 3000\nh_bucket{le=\"1\"} stale "
	       "@4000\n");
	translator_free(t);
}

static void exponential_deltas_meet_at_the_lower_scale(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       metrics("", EXPONENTIAL(DELTA, "{'startTimeUnixNano':'1000000000','timeUnixNano':'"
	                                      "2000000000','count':'4',"
	                                      "'sum':2,'scale':2,'positive':{'offset':0,'"
	                                      "bucketCounts':['1','1','1','1']}}")),
	       "e{} schema 2 count 4 zero 0 sum 2 positive 1:1 2:1 3:1 4:1 @2000 from 1000\n");
	expect(t,
	       metrics("", EXPONENTIAL(DELTA, "{'timeUnixNano':'3000000000','count':'3','sum':1,'"
	                                      "scale':1,'zeroCount':'1',"
	                                      "'positive':{'offset':1,'bucketCounts':['2']}}")),
	       "e{} schema 1 count 7 zero 1 sum 3 positive 1:2 2:4 @3000 from 1000\n");
	expect(t,
	       metrics("", EXPONENTIAL(DELTA,
	                               "{'timeUnixNano':'4000000000','count':'1','sum':1,'scale':5,"
	                               "'negative':{'offset':-16,'bucketCounts':['1']}}")),
	       "e{} schema 1 count 8 zero 1 sum 4 positive 1:2 2:4 negative 0:1 @4000 from 1000\n");
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
		struct translator *t = begin(&plain);
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
			b = come(json);
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

/* ---- what senders do that nobody expects */

#define HISTOGRAM_POINT(ms)                                                                        \
	"{'timeUnixNano':'" ms                                                                     \
	"000000','count':'3','sum':1.5,'explicitBounds':[1],'bucketCounts':['1','2']}"
#define HISTOGRAM(points)                                                                          \
	"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[" points "]}}"

static void a_sum_that_may_fall_is_no_ratio(void **state)
{
	(void)state;
	expect_once(&plain,
	            metrics("", "{'name':'open','unit':'1','sum':{'aggregationTemporality':2,"
	                        "'dataPoints':[" VALUE("1000", "3") "]}}"),
	            "open{} 3 @1000\n");
}

static void a_point_is_lost_once_however_many_samples_it_has(void **state)
{
	struct translator *t = begin(&plain);
	const struct translator_figures *f = translator_figures(t);
	struct buffer out = BUFFER_INIT;

	(void)state;
	say(t, metrics("", HISTOGRAM(HISTOGRAM_POINT("2000"))), &out);
	expect(t, metrics("", HISTOGRAM(HISTOGRAM_POINT("1000") "," HISTOGRAM_POINT("2000"))), "");
	assert_int_equal(f->dropped[TRANSLATE_LATE], 1);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 1);
	say(t, metrics("", HISTOGRAM(HISTOGRAM_POINT("3000") "," HISTOGRAM_POINT("3000"))), &out);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 2);
	/* and where they have to be sorted first */
	say(t,
	    metrics("", HISTOGRAM(HISTOGRAM_POINT("5000") "," HISTOGRAM_POINT(
				"4000") "," HISTOGRAM_POINT("6000") "," HISTOGRAM_POINT("5000"))),
	    &out);
	assert_int_equal(f->dropped[TRANSLATE_DUPLICATE], 3);
	assert_int_equal(f->dropped[TRANSLATE_LATE], 1);
	buffer_fini(&out);
	translator_free(t);
}

static void target_info_is_nothing_that_can_be_lost(void **state)
{
	static const struct translator_options options = {0};
	struct translator *t = begin(&options);
	const struct translator_figures *f = translator_figures(t);

#define OF_SHOP(name, ms)                                                                          \
	"{'resource':{'attributes':[" STRING("service.name", "shop") "," STRING(                   \
		"host.name", "h") "]},'scopeMetrics':[{'metrics':[" GAUGE(name,                    \
	                                                                  VALUE(ms, "1")) "]}]}"
	(void)state;
	/* two groups of one resource in a batch, the older one last */
	expect(t,
	       "{'resourceMetrics':[" OF_SHOP("a", "2000") "," OF_SHOP("b", "2000") "," OF_SHOP(
		       "c", "1000") "]}",
	       "a{job=\"shop\"} 1 @2000\n"
	       "target_info{host_name=\"h\",job=\"shop\"} 1 @2000\n"
	       "b{job=\"shop\"} 1 @2000\nc{job=\"shop\"} 1 @1000\n");
	/* and in two, the older one last */
	expect(t, "{'resourceMetrics':[" OF_SHOP("d", "2000") "," OF_SHOP("e", "1000") "]}",
	       "d{job=\"shop\"} 1 @2000\ne{job=\"shop\"} 1 @1000\n");
	expect(t, "{'resourceMetrics':[" OF_SHOP("c", "1500") "," OF_SHOP("d", "2500") "]}",
	       "c{job=\"shop\"} 1 @1500\n"
	       "target_info{host_name=\"h\",job=\"shop\"} 1 @2500\nd{job=\"shop\"} 1 @2500\n");
	for (int i = 0; i < TRANSLATE_DROPS; i++)
		assert_int_equal(f->dropped[i], 0);
	translator_free(t);
}

#define OF_PID(pid, metric)                                                                        \
	"{'resource':{'attributes':[" STRING("pid", pid) "]},'scopeMetrics':[{'metrics':[" metric  \
							 "]}]}"

static void deltas_of_two_sources_are_added_in_the_order_of_their_times(void **state)
{
	struct translator *t = begin(&plain);
	const struct translator_figures *f = translator_figures(t);

	(void)state;
	expect(t,
	       "{'resourceMetrics':[" OF_PID(
		       "1", SUM("c", DELTA,
	                        STARTED("1000", "3000",
	                                "5"))) "," OF_PID("2",
	                                                  SUM("c", DELTA,
	                                                      STARTED("1000", "2000", "7"))) "]}",
	       "c_total{} 7 @2000 from 1000\nc_total{} 12 @3000 from 1000\n");
	/* of one time: nothing is lost; of an earlier one: told with the next */
	expect(t,
	       "{'resourceMetrics':[" OF_PID(
		       "1", SUM("c", DELTA,
	                        STARTED("3000", "4000",
	                                "1"))) "," OF_PID("2",
	                                                  SUM("c", DELTA,
	                                                      STARTED("2000", "4000", "1"))) "]}",
	       "c_total{} 14 @4000 from 1000\n");
	expect(t,
	       "{'resourceMetrics':[" OF_PID("1",
	                                     SUM("c", DELTA, STARTED("4000", "6000", "1"))) "]}",
	       "c_total{} 15 @6000 from 1000\n");
	expect(t,
	       "{'resourceMetrics':[" OF_PID("2",
	                                     SUM("c", DELTA, STARTED("4000", "5000", "1"))) "]}",
	       "");
	expect(t,
	       "{'resourceMetrics':[" OF_PID("1",
	                                     SUM("c", DELTA, STARTED("6000", "7000", "1"))) "]}",
	       "c_total{} 17 @7000 from 1000\n");
	for (int i = 0; i < TRANSLATE_DROPS; i++)
		assert_int_equal(f->dropped[i], 0);
	translator_free(t);
}

static void no_delta_spoils_a_total(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t, metrics("", SUM("c", DELTA, VALUE("1000", "5"))),
	       "c_total{} 5 @1000 from 1000\n");
	expect(t,
	       metrics("",
	               SUM("c", DELTA,
	                   VALUE("2000", "'NaN'") "," VALUE(
				   "3000", "'Infinity'")) "," SUM("c", DELTA, VALUE("4000", "-1"))),
	       "");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_INVALID], 3);
	expect(t, metrics("", SUM("c", DELTA, VALUE("5000", "2"))),
	       "c_total{} 7 @5000 from 1000\n");
	/* what may fall, may fall */
	expect(t,
	       metrics("", "{'name':'d','sum':{'aggregationTemporality':1,'dataPoints':[" VALUE(
				   "1000", "5") "," VALUE("2000", "-7") "]}}"),
	       "d{} 5 @1000\nd{} -2 @2000\n");
	expect(t,
	       metrics("",
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

static void strange_times_are_told_without_a_start_or_not_at_all(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       metrics("", SUM("c", CUMULATIVE, STARTED("2000", "1000", "1")) "," GAUGE(
				   "g", "{'timeUnixNano':'0','asInt':'1'},"
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
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;

	(void)state;
	options.expiry_ns = SECOND / 2;
	t = begin(&options);
	expect(t, metrics("", GAUGE("g", VALUE("1000", "1"))), "g{} 1 @1000\n");
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
	b = come(buffer_string(&json));
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
	struct translator *t = begin(&plain);

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
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;
	struct error error = ERROR_INIT;
	size_t bytes;

	(void)state;
	options.max_series = 10;
	t = begin(&options);
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
		b = come(buffer_string(&json));
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

/* ---- one rule each */

#define IN_SCOPE(resource, scope, schema, list)                                                    \
	"{'resourceMetrics':[{'resource':{'attributes':[" resource                                 \
	"]},'scopeMetrics':[{'scope':{" scope "},'schemaUrl':'" schema "','metrics':[" list        \
	"]}]}]}"

static struct translation tell_once(struct translator *t, const char *json)
{
	struct batch *b = come(json);
	struct translation tr;
	struct error error = ERROR_INIT;

	assert_non_null(b);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b);
	return tr;
}

static void scope_attributes_never_pass_for_its_fields(void **state)
{
	struct translator_options options = plain;
	const char *json =
		IN_SCOPE("",
	                 "'attributes':[" STRING("name", "n") "," STRING("version", "v") "," STRING(
				 "schema_url", "u") "," STRING("kind", "k") "]",
	                 "", GAUGE("g", VALUE("1000", "1")));

	(void)state;
	expect_once(&options, json, "g{otel_scope_kind=\"k\"} 1 @1000\n");
	options.no_scope_labels = true;
	expect_once(&options, json, "g{} 1 @1000\n");
}

static void job_needs_a_name_and_target_info_an_identity(void **state)
{
	static const struct translator_options options = {0};

	(void)state;
	expect_once(&options,
	            metrics(STRING("service.namespace", "eu"), GAUGE("g", VALUE("1000", "1"))),
	            "g{} 1 @1000\n");
	expect_once(&options,
	            metrics(STRING("service.instance.id", "i") "," STRING("host.name", "h"),
	                    GAUGE("g", VALUE("1000", "1"))),
	            "g{instance=\"i\"} 1 @1000\n"
	            "target_info{host_name=\"h\",instance=\"i\"} 1 @1000\n");
}

static void what_makes_a_stream_is_all_that_makes_its_series(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t, IN_SCOPE("", "", "u1", GAUGE("g", VALUE("1000", "1"))),
	       "g{otel_scope_schema_url=\"u1\"} 1 @1000\n");
	expect(t, IN_SCOPE("", "", "u2", GAUGE("g", VALUE("1000", "2"))),
	       "g{otel_scope_schema_url=\"u2\"} 2 @1000\n");
	expect(t, metrics("", GAUGE("x", VALUE("1000", "1"))), "x{} 1 @1000\n");
	expect(t,
	       metrics("",
	               "{'name':'x','unit':'s','gauge':{'dataPoints':[" VALUE("1000", "1") "]}}"),
	       "x_seconds{} 1 @1000\n");
	translator_free(t);
}

static void an_attribute_of_the_point_counts_more_than_one_of_the_resource(void **state)
{
	static const char *const all[] = {"*", NULL};
	struct translator_options options = {.no_target_info = true, .resource_included = all};

	(void)state;
	expect_once(&options,
	            metrics(STRING("a", "resource"),
	                    GAUGE("g", "{'timeUnixNano':'1000000000','asInt':'1','attributes':"
	                               "[" STRING("a", "point") "]}")),
	            "g{a=\"point\"} 1 @1000\n");
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
		struct translator *t = begin(&plain);
		struct translation tr;
		char metric[512];

		snprintf(metric, sizeof metric,
		         "{'name':'x','%s':{%s'dataPoints':[" VALUE(
				 "1000", "1") "]},'metadata':[{'key':'prometheus.type',"
		                              "'value':{'stringValue':'%s'}}]}",
		         i % 2 ? "sum" : "gauge", i % 2 ? "'aggregationTemporality':2," : "",
		         types[i / 2].name);
		tr = tell_once(t, metrics("", metric));
		assert_int_equal(tr.n_samples, 1);
		assert_int_equal(tr.samples[0].series->shape->family->type, types[i / 2].type);
		translator_free(t);
	}
}

/* A gauge without metadata, and then with it, is another one. */
static void metadata_that_comes_later_counts(void **state)
{
	struct translator *t = begin(&plain);
	struct translation tr;

	(void)state;
	expect(t,
	       metrics("",
	               "{'name':'x','unit':'1','gauge':{'dataPoints':[" VALUE("1000", "1") "]}}"),
	       "x_ratio{} 1 @1000\n");
	tr = tell_once(t,
	               metrics("", "{'name':'x','unit':'1','gauge':{'dataPoints':[" VALUE(
					   "2000", "1") "]},'metadata':[" STRING("prometheus.type",
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
	struct translator *t = begin(&plain);
	const uint64_t *invalid = &translator_figures(t)->dropped[TRANSLATE_INVALID];
	uint64_t wanted = 0;
	struct buffer bounds = BUFFER_INIT;
	char metric[512];

	(void)state;
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		snprintf(metric, sizeof metric, HISTOGRAM("{'timeUnixNano':'1000000000',%s}"),
		         points[i]);
		expect(t, metrics("", metric), "");
		assert_int_equal(*invalid, ++wanted);
	}
	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
		snprintf(metric, sizeof metric,
		         "{'name':'s','summary':{'dataPoints':[{'timeUnixNano':'1000000000',"
		         "'quantileValues':[%s]}]}}",
		         quantiles[i]);
		expect(t, metrics("", metric), "");
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
	expect(t, buffer_string(&bounds), "");
	assert_int_equal(*invalid, ++wanted);
	buffer_fini(&bounds);
	translator_free(t);
}

static void layouts_that_change_keep_what_was_added(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
#define ANY_DELTA(start, ms, bounds, counts)                                                       \
	"{'startTimeUnixNano':'" start "000000','timeUnixNano':'" ms                               \
	"000000','count':'3','explicitBounds':[" bounds "],'bucketCounts':[" counts "]}"
#define DELTAS(points)                                                                             \
	metrics("",                                                                                \
	        "{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':[" points "]}}")
	tell_once(t, DELTAS(ANY_DELTA("1000", "2000", "1", "'1','2'")));
	/* what was there before is not added again in another layout */
	expect(t, DELTAS(ANY_DELTA("1000", "2000", "2", "'1','2'")),
	       "h_bucket{le=\"1\"} stale @2001\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_DUPLICATE], 1);
	translator_free(t);

	/* another source with a bucket more: all totals of the series begin anew */
	t = begin(&plain);
	tell_once(t, "{'resourceMetrics':[" OF_PID(
			     "1", "{'name':'h','histogram':{'aggregationTemporality':1,"
				  "'dataPoints':[" ANY_DELTA("1000", "2000", "1",
	                                                     "'1','2'") "]}}") "]}");
	expect(t,
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
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;

	(void)state;
	options.custom_buckets = true;
	t = begin(&options);
	tr = tell_once(t, DELTAS(ANY_DELTA("1000", "2000", "1", "'1','2'")));
	assert_true(tr.samples[0].histogram->reset);
	tr = tell_once(t, DELTAS(ANY_DELTA("2000", "3000", "1", "'1','2'")));
	assert_int_equal(tr.samples[0].histogram->count, 6);
	assert_false(tr.samples[0].histogram->reset);
	tr = tell_once(t, DELTAS(ANY_DELTA("3000", "4000", "2", "'1','2'")));
	assert_int_equal(tr.samples[0].histogram->count, 3);
	assert_true(tr.samples[0].histogram->reset);
	assert_int_equal(tr.samples[0].start_ms, 3000);
	/* nothing lies above infinity */
	tr = tell_once(t, DELTAS(ANY_DELTA("4000", "5000", "2,'Infinity'", "'1','1','1'")));
	assert_int_equal(tr.n_samples, 0);
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_INVALID], 1);
	translator_free(t);
}

#define EXPONENTIAL_POINT(ms, count, more)                                                         \
	"{'startTimeUnixNano':'1000000','timeUnixNano':'" ms "000000','count':'" count "'," more "}"

static void native_histograms_stay_within_their_limits(void **state)
{
	struct translator *t = begin(&plain);
	struct translation tr;
	const struct native_histogram *h;

	(void)state;
	/* the lowest scale; thresholds; the end of the doubles */
	tr = tell_once(t,
	               metrics("", EXPONENTIAL(CUMULATIVE,
	                                       EXPONENTIAL_POINT("1000", "1",
	                                                         "'scale':-4,'zeroCount':'1'"))));
	assert_int_equal(tr.n_samples, 1);
	h = tr.samples[0].histogram;
	assert_int_equal(h->schema, -4);
	assert_true(h->zero_threshold == 1e-128);
	tr = tell_once(t, metrics("", EXPONENTIAL(CUMULATIVE,
	                                          EXPONENTIAL_POINT("2000", "1",
	                                                            "'scale':0,'zeroThreshold':0.5,"
	                                                            "'positive':{'offset':1100,"
	                                                            "'bucketCounts':['1']}"))));
	assert_int_equal(tr.n_samples, 1);
	assert_true(tr.samples[0].histogram->zero_threshold == 0.5);
	tr = tell_once(t, metrics("", EXPONENTIAL(CUMULATIVE,
	                                          EXPONENTIAL_POINT("3000", "1",
	                                                            "'positive':{'offset':1101,"
	                                                            "'bucketCounts':['1']}"))));
	assert_int_equal(tr.n_samples, 0);
	translator_free(t);

	/* totals: the larger threshold, few buckets, and no count that overflows */
	t = begin(&plain);
	tell_once(t,
	          metrics("", EXPONENTIAL(DELTA, EXPONENTIAL_POINT("1000", "1",
	                                                           "'scale':8,'zeroThreshold':0.25,"
	                                                           "'zeroCount':'1'"))));
	tr = tell_once(t,
	               metrics("",
	                       EXPONENTIAL(DELTA,
	                                   EXPONENTIAL_POINT("2000", "2",
	                                                     "'scale':8,'positive':{"
	                                                     "'offset':-2560,'bucketCounts':['1']},"
	                                                     "'negative':{'offset':5,"
	                                                     "'bucketCounts':['1']}"))));
	assert_true(tr.samples[0].histogram->zero_threshold == 0.25);
	assert_false(tr.samples[0].histogram->reset);
	tr = tell_once(t,
	               metrics("",
	                       EXPONENTIAL(DELTA,
	                                   EXPONENTIAL_POINT("3000", "1",
	                                                     "'scale':8,'positive':{'offset':2560,"
	                                                     "'bucketCounts':['1']}"))));
	h = tr.samples[0].histogram;
	assert_int_equal(h->count, 4);
	assert_int_equal(h->schema, 3);
	tr = tell_once(
		t,
		metrics("", EXPONENTIAL(DELTA,
	                                EXPONENTIAL_POINT("4000", "9223372036854775807",
	                                                  "'zeroCount':'9223372036854775807'"))));
	h = tr.samples[0].histogram;
	assert_true(h->count == INT64_MAX && h->zero_count == INT64_MAX && h->reset);
	translator_free(t);
}

static void exemplars_are_short_or_none(void **state)
{
	struct translator_options options = plain;
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
	expect_once(&options, metrics("", metric), wanted);

	long_value[127] = 'x';
	long_value[128] = '\0';
	snprintf(json, sizeof json, point, long_value);
	snprintf(metric, sizeof metric, SUM("c", CUMULATIVE, "%s"), json);
	expect_once(&options, metrics("", metric), "c_total{} 1 @1000 # 1@1000\n");

	/* characters are counted, not bytes */
	for (int i = 0; i < 120; i += 2)
		memcpy(long_value + i, "\xc3\xa4", 2);
	memset(long_value + 120, 'x', 60);
	long_value[180] = '\0';
	snprintf(json, sizeof json, point, long_value);
	snprintf(metric, sizeof metric, SUM("c", CUMULATIVE, "%s"), json);
	snprintf(wanted, sizeof wanted, "c_total{} 1 @1000 # 1@1000 k=%s\n", long_value);
	expect_once(&options, metrics("", metric), wanted);

	options.no_exemplars = true;
	expect_once(&options, metrics("", metric), "c_total{} 1 @1000\n");
}

static void what_is_stale_ends_without_another_marker(void **state)
{
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;

	(void)state;
	options.expiry_ns = SECOND;
	t = begin(&options);
	tell_once(t, metrics("", GAUGE("g", VALUE("1000", "1") ",{'timeUnixNano':'2000000000',"
	                                                       "'flags':1}")));
	assert_int_equal(translator_expire(t, 10 * SECOND, 9000, 1000, &tr), 0);
	assert_int_equal(tr.n_samples, 0);
	assert_int_equal(translator_table(t)->count, 0);
	assert_int_equal(translator_expire(t, 10 * SECOND, 9000, 1000, &tr), 0);
	assert_int_equal(translator_table(t)->symbols.bytes, 0);
	translator_free(t);
}

/* ---- bounds and ends */

static void a_full_table_drops_what_is_new_and_counts_it(void **state)
{
	struct translator_options options = plain;
	struct translator *t;

	(void)state;
	options.max_series = 2;
	t = begin(&options);
	expect(t,
	       metrics("",
	               GAUGE("a", VALUE("1000", "1")) "," GAUGE("b", VALUE("1000", "1")) "," GAUGE(
			       "c", VALUE("1000", "1")) "," GAUGE("a", VALUE("2000", "2"))),
	       "a{} 1 @1000\nb{} 1 @1000\na{} 2 @2000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_SERIES_LIMIT], 1);
	expect(t,
	       metrics("", "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
	                   "{'timeUnixNano':'1000000000','count':'1'}]}}"),
	       "");
	assert_int_equal(translator_table(t)->count, 2);
	translator_free(t);

	options.max_series = 0;
	options.max_symbol_bytes = 100;
	t = begin(&options);
	expect(t,
	       metrics("",
	               GAUGE("a",
	                     "{'timeUnixNano':'1000000000','asInt':'1','attributes':"
	                     "[" STRING("a", "0123456789012345678901234567890123456789") "," STRING(
				     "b", "9876543210987654321098765432109876543210") "]}")),
	       "");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_SERIES_LIMIT], 1);
	assert_int_equal(translator_table(t)->symbols.count, 0);
	translator_free(t);
}

static void one_name_has_one_type_where_that_is_asked(void **state)
{
	struct translator_options options = plain;
	const char *json =
		metrics("",
	                SUM("x", CUMULATIVE, VALUE("1000", "1")) "," GAUGE(
				"x_total",
				"{'timeUnixNano':'1000000000','asInt':'2','attributes':[" STRING(
					"a", "b") "]}"));

	(void)state;
	expect_once(&options, json, "x_total{} 1 @1000\nx_total{a=\"b\"} 2 @1000\n");
	options.one_type = true;
	expect_once(&options, json, "x_total{} 1 @1000\n");
}

static void values_and_native_histograms_are_never_mixed(void **state)
{
	struct translator *t = begin(&plain);

	(void)state;
	expect(t,
	       metrics("", GAUGE("e", VALUE("1000", "1")) "," EXPONENTIAL(
				   CUMULATIVE,
				   "{'timeUnixNano':'1000000000','count':'1','zeroCount':'1'}")),
	       "e{} 1 @1000\n");
	assert_int_equal(translator_figures(t)->dropped[TRANSLATE_CONFLICT], 1);
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
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;
	struct error error = ERROR_INIT;
	struct buffer out = BUFFER_INIT;
	struct batch *b = come(metrics(
		"",
		GAUGE("g",
	              VALUE("1000",
	                    "1")) ",{'name':'h','histogram':{'aggregationTemporality':1,"
				  "'dataPoints':[{'timeUnixNano':'1000000000','count':'1'}]}}"));

	(void)state;
	options.expiry_ns = 300 * SECOND;
	options.on_series_end = on_end;
	options.arg = &ended;
	t = begin(&options);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b);
	b = come(metrics("", GAUGE("g", VALUE("2000", "1"))));
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
	struct translator_options options = plain;
	struct translator *t;
	struct translation tr;
	size_t told = 0;

	(void)state;
	options.expiry_ns = 10 * SECOND;
	t = begin(&options);
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
			b = come(json);
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
	struct translator *t = begin(&plain);
	struct translation tr;
	struct error error = ERROR_INIT;
	struct batch *b = come(metrics("", GAUGE("g", VALUE("1000", "1"))));
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
		cmocka_unit_test(sums_and_gauges_are_one_sample_each),
		cmocka_unit_test(metadata_says_what_a_gauge_is),
		cmocka_unit_test(classic_histograms_are_cumulative_buckets),
		cmocka_unit_test(a_histogram_without_buckets_or_sum_has_count_alone),
		cmocka_unit_test(summaries_are_quantiles_sum_and_count),
		cmocka_unit_test(exponential_histograms_are_native_ones),
		cmocka_unit_test(scales_above_8_are_merged_down),
		cmocka_unit_test(what_contradicts_itself_is_dropped_and_counted),
		cmocka_unit_test(every_point_has_one_fate),
		cmocka_unit_test(explicit_histograms_are_custom_buckets_by_option),
		cmocka_unit_test(colliding_attributes_are_joined),
		cmocka_unit_test(resource_and_scope_become_labels),
		cmocka_unit_test(attributes_may_stand_anywhere),
		cmocka_unit_test(target_info_needs_an_identity_and_something_to_say),
		cmocka_unit_test(points_of_a_series_are_put_in_order_and_the_last_of_a_time_counts),
		cmocka_unit_test(late_samples_are_told_as_they_come_to_those_who_ask),
		cmocka_unit_test(no_recorded_value_is_a_stale_marker),
		cmocka_unit_test(new_bounds_end_the_buckets_that_are_gone),
		cmocka_unit_test(exemplars_go_to_their_buckets),
		cmocka_unit_test(deltas_are_added_up),
		cmocka_unit_test(deltas_of_two_sources_of_one_series_add_up),
		cmocka_unit_test(delta_histograms_add_up_and_begin_anew_with_new_bounds),
		cmocka_unit_test(exponential_deltas_meet_at_the_lower_scale),
		cmocka_unit_test(adding_up_equals_a_reference),
		cmocka_unit_test(a_sum_that_may_fall_is_no_ratio),
		cmocka_unit_test(a_point_is_lost_once_however_many_samples_it_has),
		cmocka_unit_test(target_info_is_nothing_that_can_be_lost),
		cmocka_unit_test(deltas_of_two_sources_are_added_in_the_order_of_their_times),
		cmocka_unit_test(no_delta_spoils_a_total),
		cmocka_unit_test(strange_times_are_told_without_a_start_or_not_at_all),
		cmocka_unit_test(an_expiry_below_a_second_is_none_of_zero),
		cmocka_unit_test(labels_are_bounded_in_number_and_length),
		cmocka_unit_test(series_over_the_bound_leave_nothing_behind),
		cmocka_unit_test(scope_attributes_never_pass_for_its_fields),
		cmocka_unit_test(job_needs_a_name_and_target_info_an_identity),
		cmocka_unit_test(what_makes_a_stream_is_all_that_makes_its_series),
		cmocka_unit_test(an_attribute_of_the_point_counts_more_than_one_of_the_resource),
		cmocka_unit_test(metadata_makes_gauges_of_every_type),
		cmocka_unit_test(metadata_that_comes_later_counts),
		cmocka_unit_test(bounds_and_quantiles_rise_and_are_numbers),
		cmocka_unit_test(layouts_that_change_keep_what_was_added),
		cmocka_unit_test(custom_deltas_begin_anew_with_new_bounds),
		cmocka_unit_test(native_histograms_stay_within_their_limits),
		cmocka_unit_test(exemplars_are_short_or_none),
		cmocka_unit_test(what_is_stale_ends_without_another_marker),
		cmocka_unit_test(a_full_table_drops_what_is_new_and_counts_it),
		cmocka_unit_test(one_name_has_one_type_where_that_is_asked),
		cmocka_unit_test(values_and_native_histograms_are_never_mixed),
		cmocka_unit_test(series_that_are_not_seen_end_with_a_stale_marker),
		cmocka_unit_test(ends_are_found_a_few_places_at_a_time),
		cmocka_unit_test(a_series_outlives_its_end_as_long_as_it_is_held),
	};
	int failed = cmocka_run_group_tests_name("opened", tests, NULL, NULL);

	closed = true;
	return failed + cmocka_run_group_tests_name("as they came", tests, NULL, NULL);
}
