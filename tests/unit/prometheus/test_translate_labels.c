/* Names, labels and target_info. */
#include "tests/unit/prometheus/translate_test.h"

static void colliding_attributes_are_joined(void **state)
{
	(void)state;
	translate_expect_once(
		&translate_plain,
		translate_metrics(
			"",
			GAUGE("g",
	                      "{'timeUnixNano':'1000000000','asDouble':1,'attributes':"
	                      "[" STRING("a_b", "3") "," STRING("a.b", "1") "," STRING(
				      "a-b", "0") "," STRING("empty",
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
	translate_expect_once(
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
	struct translator *t = translate_begin(&translate_plain);

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
	translate_expect_once(&options,
	                      translate_metrics(STRING("service.name", "shop"),
	                                        GAUGE("g", VALUE("1000", "1"))),
	                      "g{job=\"shop\"} 1 @1000\n");
	translate_expect_once(&options,
	                      translate_metrics(STRING("host.name", "h"),
	                                        GAUGE("g", VALUE("1000", "1"))),
	                      "g{} 1 @1000\n");
	/* once, with the latest time */
	translate_expect_once(
		&options,
		translate_metrics(STRING("service.name", "shop") "," STRING("host.name", "h"),
	                          GAUGE("g", VALUE("1000", "1") "," VALUE("2000", "2"))),
		"g{job=\"shop\"} 1 @1000\ng{job=\"shop\"} 2 @2000\n"
		"target_info{host_name=\"h\",job=\"shop\"} 1 @2000\n");
}

static void target_info_is_nothing_that_can_be_lost(void **state)
{
	static const struct translator_options options = {0};
	struct translator *t = translate_begin(&options);
	const struct translator_figures *f = translator_figures(t);

#define OF_SHOP(name, ms)                                                                          \
	"{'resource':{'attributes':[" STRING("service.name", "shop") "," STRING(                   \
		"host.name", "h") "]},'scopeMetrics':[{'metrics':[" GAUGE(name,                    \
	                                                                  VALUE(ms, "1")) "]}]}"
	(void)state;
	/* two groups of one resource in a batch, the older one last */
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_SHOP("a", "2000") "," OF_SHOP(
				 "b", "2000") "," OF_SHOP("c", "1000") "]}",
	                 "a{job=\"shop\"} 1 @2000\n"
	                 "target_info{host_name=\"h\",job=\"shop\"} 1 @2000\n"
	                 "b{job=\"shop\"} 1 @2000\nc{job=\"shop\"} 1 @1000\n");
	/* and in two, the older one last */
	translate_expect(t,
	                 "{'resourceMetrics':[" OF_SHOP("d", "2000") "," OF_SHOP("e", "1000") "]}",
	                 "d{job=\"shop\"} 1 @2000\ne{job=\"shop\"} 1 @1000\n");
	translate_expect(
		t, "{'resourceMetrics':[" OF_SHOP("c", "1500") "," OF_SHOP("d", "2500") "]}",
		"c{job=\"shop\"} 1 @1500\n"
		"target_info{host_name=\"h\",job=\"shop\"} 1 @2500\nd{job=\"shop\"} 1 @2500\n");
	for (int i = 0; i < TRANSLATE_DROPS; i++)
		assert_int_equal(f->dropped[i], 0);
	translator_free(t);
}

#define IN_SCOPE(resource, scope, schema, list)                                                    \
	"{'resourceMetrics':[{'resource':{'attributes':[" resource                                 \
	"]},'scopeMetrics':[{'scope':{" scope "},'schemaUrl':'" schema "','metrics':[" list        \
	"]}]}]}"

static void scope_attributes_never_pass_for_its_fields(void **state)
{
	struct translator_options options = translate_plain;
	const char *json =
		IN_SCOPE("",
	                 "'attributes':[" STRING("name", "n") "," STRING("version", "v") "," STRING(
				 "schema_url", "u") "," STRING("kind", "k") "]",
	                 "", GAUGE("g", VALUE("1000", "1")));

	(void)state;
	translate_expect_once(&options, json, "g{otel_scope_kind=\"k\"} 1 @1000\n");
	options.no_scope_labels = true;
	translate_expect_once(&options, json, "g{} 1 @1000\n");
}

static void job_needs_a_name_and_target_info_an_identity(void **state)
{
	static const struct translator_options options = {0};

	(void)state;
	translate_expect_once(&options,
	                      translate_metrics(STRING("service.namespace", "eu"),
	                                        GAUGE("g", VALUE("1000", "1"))),
	                      "g{} 1 @1000\n");
	translate_expect_once(&options,
	                      translate_metrics(STRING("service.instance.id",
	                                               "i") "," STRING("host.name", "h"),
	                                        GAUGE("g", VALUE("1000", "1"))),
	                      "g{instance=\"i\"} 1 @1000\n"
	                      "target_info{host_name=\"h\",instance=\"i\"} 1 @1000\n");
}

static void what_makes_a_stream_is_all_that_makes_its_series(void **state)
{
	struct translator *t = translate_begin(&translate_plain);

	(void)state;
	translate_expect(t, IN_SCOPE("", "", "u1", GAUGE("g", VALUE("1000", "1"))),
	                 "g{otel_scope_schema_url=\"u1\"} 1 @1000\n");
	translate_expect(t, IN_SCOPE("", "", "u2", GAUGE("g", VALUE("1000", "2"))),
	                 "g{otel_scope_schema_url=\"u2\"} 2 @1000\n");
	translate_expect(t, translate_metrics("", GAUGE("x", VALUE("1000", "1"))), "x{} 1 @1000\n");
	translate_expect(t,
	                 translate_metrics("",
	                                   "{'name':'x','unit':'s','gauge':{'dataPoints':[" VALUE(
						   "1000", "1") "]}}"),
	                 "x_seconds{} 1 @1000\n");
	translator_free(t);
}

static void an_attribute_of_the_point_counts_more_than_one_of_the_resource(void **state)
{
	static const char *const all[] = {"*", NULL};
	struct translator_options options = {.no_target_info = true, .resource_included = all};

	(void)state;
	translate_expect_once(
		&options,
		translate_metrics(STRING("a", "resource"),
	                          GAUGE("g",
	                                "{'timeUnixNano':'1000000000','asInt':'1','attributes':"
	                                "[" STRING("a", "point") "]}")),
		"g{a=\"point\"} 1 @1000\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(colliding_attributes_are_joined),
		cmocka_unit_test(resource_and_scope_become_labels),
		cmocka_unit_test(attributes_may_stand_anywhere),
		cmocka_unit_test(target_info_needs_an_identity_and_something_to_say),
		cmocka_unit_test(target_info_is_nothing_that_can_be_lost),
		cmocka_unit_test(scope_attributes_never_pass_for_its_fields),
		cmocka_unit_test(job_needs_a_name_and_target_info_an_identity),
		cmocka_unit_test(what_makes_a_stream_is_all_that_makes_its_series),
		cmocka_unit_test(an_attribute_of_the_point_counts_more_than_one_of_the_resource),
	};
	return translate_run(tests, sizeof tests / sizeof *tests);
}
