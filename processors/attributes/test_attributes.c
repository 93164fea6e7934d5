#include "tests/support/component_stage.h"
#include "tests/support/json_batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

extern const struct component_type processor_attributes_type;
static const struct component_type *const attributes = &processor_attributes_type;

/* ---- actions: one span with these attributes becomes one with those */

#define SPAN(attributes)                                                                           \
	"{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"spans\":[{\"attributes\":"        \
	"[" attributes "]}]}]}]}"
#define S(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define I(key, value) "{\"key\":\"" key "\",\"value\":{\"intValue\":\"" value "\"}}"
#define D(key, value) "{\"key\":\"" key "\",\"value\":{\"doubleValue\":" value "}}"
#define B(key, value) "{\"key\":\"" key "\",\"value\":{\"boolValue\":" value "}}"
#define LIST(key, text)                                                                            \
	"{\"key\":\"" key "\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"" text     \
	"\"}]}}}"

static const struct row {
	const char *action, *before, *after;
} rows[] = {
	/* insert */
	{"{key: a, action: insert, value: x}", SPAN(S("b", "1")),
         SPAN(S("b", "1") "," S("a", "x"))},
	{"{key: b, action: insert, value: x}", SPAN(S("b", "1")), SPAN(S("b", "1"))},
	{"{key: a, action: insert, value: 5}", SPAN(S("b", "1")),
         SPAN(S("b", "1") "," I("a", "5"))},
	{"{key: a, action: insert, value: '5'}", SPAN(S("b", "1")),
         SPAN(S("b", "1") "," S("a", "5"))},
	{"{key: a, action: insert, value: 2.5}", SPAN(S("b", "1")),
         SPAN(S("b", "1") "," D("a", "2.5"))},
	{"{key: a, action: INSERT, value: true}", SPAN(S("b", "1")),
         SPAN(S("b", "1") "," B("a", "true"))},
	{"{key: a, action: insert, from_attribute: b}", SPAN(I("b", "7")),
         SPAN(I("b", "7") "," I("a", "7"))},
	{"{key: a, action: insert, from_attribute: b}", SPAN(LIST("b", "t")),
         SPAN(LIST("b", "t") "," LIST("a", "t"))},
	{"{key: a, action: insert, from_attribute: none}", SPAN(I("b", "7")), SPAN(I("b", "7"))},
	{"{key: a, action: insert, from_attribute: none, default_value: 3}", SPAN(I("b", "7")),
         SPAN(I("b", "7") "," I("a", "3"))},
	{"{key: a, action: insert, from_attribute: b, default_value: 3}", SPAN(I("b", "7")),
         SPAN(I("b", "7") "," I("a", "7"))},
	/* update */
	{"{key: b, action: update, value: x}", SPAN(I("b", "1") "," S("c", "2")),
         SPAN(S("b", "x") "," S("c", "2"))},
	{"{key: a, action: update, value: x}", SPAN(I("b", "1")), SPAN(I("b", "1"))},
	/* upsert */
	{"{key: a, action: upsert, value: x}", SPAN(I("b", "1")),
         SPAN(I("b", "1") "," S("a", "x"))},
	{"{key: b, action: upsert, value: 1}", SPAN(I("b", "1")), SPAN(I("b", "1"))},
	{"{key: b, action: upsert, value: 2}", SPAN(I("b", "1")), SPAN(I("b", "2"))},
	/* delete */
	{"{key: b, action: delete}", SPAN(I("b", "1") "," I("c", "2") "," I("b", "3")),
         SPAN(I("c", "2"))},
	{"{key: a, action: delete}", SPAN(I("b", "1")), SPAN(I("b", "1"))},
	{"{pattern: '^http[.]', action: delete}",
         SPAN(I("http.a", "1") "," I("b", "2") "," I("http.c", "3")), SPAN(I("b", "2"))},
	{"{key: b, pattern: '^http[.]', action: delete}",
         SPAN(I("http.a", "1") "," I("b", "2") "," I("d", "3")), SPAN(I("d", "3"))},
	/* hash: the SHA-256 of "abc", of one byte 1, of 1 and of 1.0 as eight bytes */
	{"{key: a, action: hash}", SPAN(S("a", "abc")),
         SPAN(S("a", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))},
	{"{key: a, action: hash}", SPAN(B("a", "true")),
         SPAN(S("a", "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"))},
	{"{pattern: a, action: hash}", SPAN(I("a", "1")),
         SPAN(S("a", "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8"))},
	{"{key: a, action: hash}", SPAN(LIST("a", "abc")), SPAN(S("a", ""))},
	/* extract */
	{"{key: u, action: extract, pattern: '^(?P<proto>\\w+)://(?P<host>[^/]*)'}",
         SPAN(S("u", "http://weir/x") "," I("host", "1")),
         SPAN(S("u", "http://weir/x") "," S("host", "weir") "," S("proto", "http"))},
	{"{key: u, action: extract, pattern: '^(?P<proto>\\w+)://'}", SPAN(S("u", "weir")),
         SPAN(S("u", "weir"))},
	{"{key: u, action: extract, pattern: '(?P<n>\\d)'}", SPAN(I("u", "5")), SPAN(I("u", "5"))},
	{"{key: u, action: extract, pattern: '(?P<x>a)|(?P<y>b)'}", SPAN(S("u", "b")),
         SPAN(S("u", "b") "," S("x", "") "," S("y", "b"))},
	/* convert */
	{"{key: a, action: convert, converted_type: int}", SPAN(S("a", "-12")),
         SPAN(I("a", "-12"))},
	{"{key: a, action: convert, converted_type: int}", SPAN(S("a", " 12")),
         SPAN(S("a", " 12"))},
	{"{key: a, action: convert, converted_type: int}", SPAN(S("a", "99999999999999999999")),
         SPAN(S("a", "99999999999999999999"))},
	{"{key: a, action: convert, converted_type: int}", SPAN(D("a", "2.9")), SPAN(I("a", "2"))},
	{"{key: a, action: convert, converted_type: int}", SPAN(D("a", "1e30")),
         SPAN(D("a", "1e+30"))},
	{"{key: a, action: convert, converted_type: int}", SPAN(B("a", "true")), SPAN(I("a", "1"))},
	{"{key: a, action: convert, converted_type: int}", SPAN(LIST("a", "1")),
         SPAN(LIST("a", "1"))},
	{"{key: a, action: convert, converted_type: double}", SPAN(S("a", "2.5")),
         SPAN(D("a", "2.5"))},
	{"{key: a, action: convert, converted_type: double}", SPAN(I("a", "2")), SPAN(D("a", "2"))},
	{"{key: a, action: convert, converted_type: string}", SPAN(I("a", "2")), SPAN(S("a", "2"))},
	{"{key: a, action: convert, converted_type: string}", SPAN(D("a", "2.5")),
         SPAN(S("a", "2.5"))},
	{"{key: a, action: convert, converted_type: string}", SPAN(B("a", "false")),
         SPAN(S("a", "false"))},
	{"{key: a, action: convert, converted_type: string}", SPAN(LIST("a", "t")),
         SPAN(S("a", "[\\\"t\\\"]"))},
	{"{key: a, action: convert, converted_type: bool}", SPAN(S("a", "true")),
         SPAN(B("a", "true"))},
	{"{key: a, action: convert, converted_type: bool}", SPAN(S("a", "yes")),
         SPAN(S("a", "yes"))},
	{"{key: a, action: convert, converted_type: bool}", SPAN(I("a", "0")),
         SPAN(B("a", "false"))},
	/* in their order */
	{"{key: a, action: insert, value: 1}, {key: a, action: update, value: 2}, {key: c, action: "
         "upsert, from_attribute: a}, {key: b, action: delete}",
         SPAN(I("b", "1")), SPAN(I("a", "2") "," I("c", "2"))},
};

static void does_what_each_action_says(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct stage s = {0};
		char yaml[512];

		print_message("%s\n", rows[i].action);
		stage_begin(&s);
		s.answer_at_once = false;
		snprintf(yaml, sizeof yaml, "{actions: [%s]}", rows[i].action);
		stage_create(&s, attributes, yaml, SIGNAL_TRACES);
		stage_consume(&s, json_batch(SIGNAL_TRACES, rows[i].before, &s.budget));
		assert_int_equal(s.n_kept, 1);
		json_batch_expect(s.kept[0], rows[i].after);
		stage_end(&s);
	}
}

static void takes_values_from_the_request(void **state)
{
	static const struct batch_metadata metadata[] = {{"x-tenant", "blue"},
	                                                 {"x-tenant", "green"},
	                                                 {"other", "no"}};
	static const struct batch_origin origin = {.peer = "[::1]:4000",
	                                           .identity = "anna",
	                                           .metadata = metadata,
	                                           .n_metadata = 3};
	struct stage *s = *state;
	struct batch *b = json_batch(SIGNAL_TRACES, SPAN(I("b", "1")), &s->budget);

	stage_create(s, attributes,
	             "{actions: ["
	             "{key: t, action: insert, from_context: metadata.X-Tenant},"
	             "{key: u, action: insert, from_context: auth.username},"
	             "{key: p, action: insert, from_context: client.address},"
	             "{key: n, action: insert, from_context: metadata.none},"
	             "{key: d, action: insert, from_context: metadata.none, default_value: red}]}",
	             SIGNAL_TRACES);
	assert_true(batch_set_origin(b, &origin));
	stage_consume(s, b);
	json_batch_expect(s->kept[0], SPAN(I("b", "1") "," S("t", "blue;green") "," S(
					      "u", "anna") "," S("p", "::1") "," S("d", "red")));
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	/* the next batch came from nobody */
	stage_consume(s, json_batch(SIGNAL_TRACES, SPAN(I("b", "1")), &s->budget));
	json_batch_expect(s->kept[0], SPAN(I("b", "1") "," S("d", "red")));
}

static void leaves_events_alone(void **state)
{
#define EVENT(own)                                                                                 \
	"{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"spans\":[{\"attributes\":[" own   \
	"],\"events\":[{\"name\":\"e\",\"attributes\":[" S("a", "1") "]}]}]}]}]}"
	struct stage *s = *state;

	stage_create(s, attributes, "{actions: [{key: a, action: update, value: x}]}",
	             SIGNAL_TRACES);
	stage_consume(s, json_batch(SIGNAL_TRACES, EVENT(S("a", "1")), &s->budget));
	json_batch_expect(s->kept[0], EVENT(S("a", "x")));
}

#define GAUGE(attributes)                                                                          \
	"{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{\"attributes\":[" attributes                  \
	"],\"timeUnixNano\":\"1\",\"asInt\":\"1\"}]}}"
#define SUM(attributes)                                                                            \
	"{\"name\":\"s\",\"sum\":{\"dataPoints\":[{\"attributes\":[" attributes                    \
	"],\"timeUnixNano\":\"1\",\"asInt\":\"1\"}]}}"
#define HISTOGRAM(attributes)                                                                      \
	"{\"name\":\"h\",\"histogram\":{\"dataPoints\":[{\"attributes\":[" attributes              \
	"],\"timeUnixNano\":\"1\"}]}}"
#define EXPONENTIAL(attributes)                                                                    \
	"{\"name\":\"e\",\"exponentialHistogram\":{\"dataPoints\":[{\"attributes\":[" attributes   \
	"],\"timeUnixNano\":\"1\"}]}}"
#define SUMMARY(attributes)                                                                        \
	"{\"name\":\"q\",\"summary\":{\"dataPoints\":[{\"attributes\":[" attributes                \
	"],\"timeUnixNano\":\"1\"}]}}"
#define METRICS(metrics)                                                                           \
	"{\"resourceMetrics\":[{\"resource\":{\"attributes\":[" S(                                 \
		"r", "1") "]},\"scopeMetrics\":[{\"metrics\":[" metrics "]}]}]}"
#define ALL_METRICS(a) GAUGE(a) "," SUM(a) "," HISTOGRAM(a) "," EXPONENTIAL(a) "," SUMMARY(a)

/* Wire order of a point's fields is not that of its JSON, so both sides are printed by weir. */
static void expect_same(struct stage *s, enum signal signal, const char *json)
{
	struct batch *expected = json_batch(signal, json, &s->budget);
	struct buffer text = BUFFER_INIT;

	assert_true(s->n_kept > 0);
	assert_int_equal(batch_encode_json(expected, &text, NULL), 0);
	json_batch_expect(s->kept[0], buffer_string(&text));
	buffer_fini(&text);
	batch_unref(expected);
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
}

static void acts_on_points_of_every_kind(void **state)
{
	struct stage *s = *state;

	stage_create(s, attributes, "{actions: [{key: a, action: update, value: x}]}",
	             SIGNAL_METRICS);
	stage_consume(s, json_batch(SIGNAL_METRICS, METRICS(ALL_METRICS(S("a", "1"))), &s->budget));
	expect_same(s, SIGNAL_METRICS, METRICS(ALL_METRICS(S("a", "x"))));
}

static void chooses_metrics_by_name_and_resource(void **state)
{
	struct stage *s = *state;

	stage_create(
		s, attributes,
		"{include: {match_type: regexp, metric_names: ['^[gs]$'], resources: [{key: r, "
		"value: '[0-9]'}]}, exclude: {match_type: strict, metric_names: [s]}, actions: "
		"[{key: a, action: update, value: x}]}",
		SIGNAL_METRICS);
	stage_consume(s, json_batch(SIGNAL_METRICS,
	                            METRICS(GAUGE(S("a", "1")) "," SUM(S("a", "1")) "," SUMMARY(
					    S("a", "1"))),
	                            &s->budget));
	expect_same(s, SIGNAL_METRICS,
	            METRICS(GAUGE(S("a", "x")) "," SUM(S("a", "1")) "," SUMMARY(S("a", "1"))));
}

/* ---- include and exclude: which of the items are acted on, by their names */

#define RESOURCE "\"resource\":{\"attributes\":[" S("service.name", "shop") "," I("n", "4") "]}"
#define SCOPE "\"scope\":{\"name\":\"lib\",\"version\":\"1.2\"}"
static const char spans[] =
	"{\"resourceSpans\":[{" RESOURCE ",\"scopeSpans\":[{" SCOPE ",\"spans\":["
	"{\"name\":\"a\",\"kind\":2,\"attributes\":[" S(
		"k", "v") "]},"
			  "{\"name\":\"b\",\"kind\":3,\"attributes\":[" I(
				  "k", "5") "]},"
					    "{\"name\":\"ab\",\"kind\":2}]}]}]}";
static const char logs[] =
	"{\"resourceLogs\":[{" RESOURCE ",\"scopeLogs\":[{" SCOPE ",\"logRecords\":["
	"{\"eventName\":\"a\",\"severityNumber\":9,\"severityText\":\"INFO\","
	"\"body\":{\"stringValue\":\"hello\"}},"
	"{\"eventName\":\"b\",\"severityNumber\":17,\"severityText\":\"ERROR\","
	"\"body\":{\"intValue\":\"42\"},\"attributes\":[" S("k", "v") "]},"
								      "{\"eventName\":\"c\"}]}]}]}";

static bool is_marked(Otlp__KeyValue *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (items[i]->key.len == 4 && memcmp(items[i]->key.data, "mark", 4) == 0)
			return true;
	return false;
}

static void expect_marked(struct stage *s, enum signal signal, const char *yaml, const char *names)
{
	char marked[64] = "", config[512];
	const struct group *g;

	print_message("%s\n", yaml);
	snprintf(config, sizeof config, "{actions: [{key: mark, action: insert, value: 1}], %s}",
	         yaml);
	stage_create(s, attributes, config, signal);
	stage_consume(s, json_batch(signal, signal == SIGNAL_TRACES ? spans : logs, &s->budget));
	assert_int_equal(s->n_kept, 1);
	g = s->kept[0]->first;
	for (size_t i = 0; signal == SIGNAL_TRACES && i < 3; i++) {
		const Otlp__Span *span = g->spans->scope_spans[0]->spans[i];
		if (is_marked(span->attributes, span->n_attributes))
			snprintf(marked + strlen(marked), sizeof marked - strlen(marked), "%.*s ",
			         (int)span->name.len, (const char *)span->name.data);
	}
	for (size_t i = 0; signal == SIGNAL_LOGS && i < 3; i++) {
		const Otlp__LogRecord *log = g->logs->scope_logs[0]->log_records[i];
		if (is_marked(log->attributes, log->n_attributes))
			snprintf(marked + strlen(marked), sizeof marked - strlen(marked), "%.*s ",
			         (int)log->event_name.len, (const char *)log->event_name.data);
	}
	assert_string_equal(marked, names);
}

static void chooses_items_by_include_and_exclude(void **state)
{
	static const struct {
		enum signal signal;
		const char *yaml, *names;
	} choices[] = {
		{SIGNAL_TRACES, "include: {match_type: strict, services: [shop]}", "a b ab "},
		{SIGNAL_TRACES, "include: {match_type: strict, services: [sho]}", ""},
		{SIGNAL_TRACES, "include: {match_type: regexp, services: [sho]}", "a b ab "},
		{SIGNAL_TRACES, "include: {match_type: strict, span_names: [a, b]}", "a b "},
		{SIGNAL_TRACES, "include: {match_type: regexp, span_names: [b$]}", "b ab "},
		{SIGNAL_TRACES, "include: {match_type: strict, span_kinds: [SPAN_KIND_SERVER]}",
	         "a ab "},
		{SIGNAL_TRACES, "include: {match_type: regexp, span_kinds: [CLIENT]}", "b "},
		{SIGNAL_TRACES, "include: {match_type: strict, attributes: [{key: k}]}", "a b "},
		{SIGNAL_TRACES, "include: {match_type: strict, attributes: [{key: k, value: 5}]}",
	         "b "},
		{SIGNAL_TRACES, "include: {match_type: strict, attributes: [{key: k, value: '5'}]}",
	         ""},
		{SIGNAL_TRACES,
	         "include: {match_type: regexp, attributes: [{key: k, value: '[0-9]'}]}", "b "},
		{SIGNAL_TRACES, "include: {match_type: strict, resources: [{key: n, value: 4}]}",
	         "a b ab "},
		{SIGNAL_TRACES, "include: {match_type: strict, resources: [{key: none}]}", ""},
		{SIGNAL_TRACES, "include: {match_type: strict, libraries: [{name: lib}]}",
	         "a b ab "},
		{SIGNAL_TRACES,
	         "include: {match_type: strict, libraries: [{name: lib, version: ''}]}", ""},
		{SIGNAL_TRACES,
	         "include: {match_type: regexp, libraries: [{name: l, version: '^1'}], regexp: "
	         "{cacheenabled: true}}",
	         "a b ab "},
		{SIGNAL_TRACES, "exclude: {match_type: strict, span_names: [a]}", "b ab "},
		{SIGNAL_TRACES,
	         "include: {match_type: regexp, span_names: [a]}, exclude: {match_type: strict, "
	         "span_kinds: [SPAN_KIND_SERVER], attributes: [{key: k}]}",
	         "ab "},
		{SIGNAL_LOGS, "include: {match_type: strict, log_bodies: [hello, '42']}", "a b "},
		{SIGNAL_LOGS, "include: {match_type: regexp, log_bodies: ['^h.*o$']}", "a "},
		{SIGNAL_LOGS, "include: {match_type: strict, log_severity_texts: [ERROR]}", "b "},
		{SIGNAL_LOGS, "include: {match_type: strict, log_severity_number: {min: 13}}",
	         "b "},
		{SIGNAL_LOGS,
	         "include: {match_type: strict, log_severity_number: {min: 13, match_undefined: "
	         "true}}",
	         "b c "},
		{SIGNAL_LOGS, "exclude: {match_type: strict, attributes: [{key: k, value: v}]}",
	         "a c "},
	};

	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		struct stage s = {0};

		stage_begin(&s);
		s.answer_at_once = false;
		expect_marked(&s, choices[i].signal, choices[i].yaml, choices[i].names);
		stage_end(&s);
	}
}

/* ---- mistakes */

static void refuses_actions_that_make_no_sense(void **state)
{
	static const char *const cases[][2] = {
		{"{action: insert, value: 1}", "error creating AttrProc due to missing required "
	                                       "field \"key\" at the 0-th actions"},
		{"{key: a, action: insert}",
	         "error creating AttrProc. Either field \"value\", \"from_attribute\" or "
	         "\"from_context\" setting must be specified for 0-th action"},
		{"{key: a, action: upsert, value: 1, from_attribute: b}",
	         "error creating AttrProc due to multiple value sources being set at the 0-th "
	         "actions"},
		{"{key: a, action: update, value: 1, pattern: b}",
	         "error creating AttrProc. Action \"update\" does not use the \"pattern\" field. "
	         "This must not be specified for 0-th action"},
		{"{action: delete}",
	         "error creating AttrProc due to missing required field (at least one of \"key\" "
	         "and \"pattern\" have to be used) at the 0-th actions"},
		{"{key: a, action: hash, value: 1}", "error creating AttrProc. Action \"hash\" "
	                                             "does not use a value source field. These "
	                                             "must not be specified for 0-th action"},
		{"{key: a, action: delete, default_value: 1}",
	         "error creating AttrProc. Action \"delete\" does not use the \"default_value\" "
	         "field. This must not be specified for 0-th action"},
		{"{key: a, action: extract}",
	         "error creating AttrProc due to missing required field \"pattern\" for action "
	         "\"extract\" at the 0-th action"},
		{"{key: a, action: extract, pattern: abc}",
	         "error creating AttrProc. Field \"pattern\" contains no named matcher groups at "
	         "the 0-th actions"},
		{"{key: a, action: extract, pattern: '(?P<x>a)(b)'}",
	         "error creating AttrProc. Field \"pattern\" contains at least one unnamed matcher "
	         "group at the 0-th actions"},
		{"{key: a, action: delete}, {key: a, action: hash, pattern: 'a(b'}",
	         "error creating AttrProc. Field \"pattern\" at the 1-th actions: invalid pattern: "
	         "\"a(b\", at character 4: missing closing parenthesis"},
		{"{key: a, action: convert}",
	         "error creating AttrProc due to missing required field \"converted_type\" for "
	         "action \"convert\" at the 0-th action"},
		{"{key: a, action: convert, converted_type: number}",
	         "error creating AttrProc due to invalid value \"number\" in field "
	         "\"converted_type\" for action \"convert\" at the 0-th action: it is string, int, "
	         "double or bool"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char yaml[256];

		snprintf(yaml, sizeof yaml, "{actions: [%s]}", cases[i][0]);
		stage_expect_refused(*state, attributes, yaml, cases[i][1]);
	}
}

static void refuses_properties_that_the_signal_has_not(void **state)
{
	static const struct {
		enum signal signal;
		const char *yaml, *message;
	} cases[] = {
		{SIGNAL_TRACES, "include: {match_type: strict, log_bodies: [a]}",
	         "include: log_bodies should not be specified for trace spans"},
		{SIGNAL_TRACES,
	         "exclude: {match_type: strict, services: [a], log_severity_number: {min: 1}}",
	         "exclude: log_severity_number should not be specified for trace spans"},
		{SIGNAL_TRACES, "include: {match_type: strict}",
	         "include: at least one of \"services\", \"span_names\", \"span_kinds\", "
	         "\"attributes\", \"libraries\" or \"resources\" field must be specified"},
		{SIGNAL_LOGS, "include: {match_type: strict, services: [a]}",
	         "include: services, span_names, and span_kinds are not valid for log records"},
		{SIGNAL_LOGS, "include: {match_type: strict}",
	         "include: at least one of \"attributes\", \"libraries\", \"resources\", "
	         "\"log_bodies\", \"log_severity_texts\" or \"log_severity_number\" field must be "
	         "specified"},
		{SIGNAL_TRACES, "include: {match_type: strict, span_kinds: [server]}",
	         "include: span_kinds string must match one of the standard span kinds when "
	         "match_type=strict: [SPAN_KIND_CLIENT SPAN_KIND_CONSUMER SPAN_KIND_INTERNAL "
	         "SPAN_KIND_PRODUCER SPAN_KIND_SERVER], got \"server\""},
		{SIGNAL_TRACES, "include: {match_type: regexp, attributes: [{key: a, value: 1}]}",
	         "include: match_type=regexp for \"a\" only supports Str, but found Int"},
		{SIGNAL_TRACES, "include: {match_type: strict, attributes: [{value: 1}]}",
	         "include: can't have empty key in the list of attributes"},
		{SIGNAL_METRICS, "include: {match_type: regexp, metric_names: ['[']}",
	         "include: error creating metric name filters: invalid pattern: \"[\", at "
	         "character 2: missing terminating ] for character class"},
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char yaml[256];
		struct create_args args = {.id = "attributes",
		                           .host = &s->host,
		                           .signal = cases[i].signal};
		struct error error = ERROR_INIT;
		struct component *c = NULL;

		snprintf(yaml, sizeof yaml, "{actions: [{key: a, action: delete}], %s}",
		         cases[i].yaml);
		args.config = stage_config(s, attributes, yaml);
		assert_int_equal(attributes->create(&args, &c, &error), -EINVAL);
		assert_string_equal(error.message, cases[i].message);
	}
}

static void gives_up_a_pattern_that_takes_too_long(void **state)
{
	struct stage *s = *state;
	static const char text[] =
		SPAN(S("u", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));

	stage_create(s, attributes,
	             "{actions: [{key: u, action: extract, pattern: '^(?P<x>(?P<y>a+)+)+$'}]}",
	             SIGNAL_TRACES);
	stage_consume(s, json_batch(SIGNAL_TRACES, text, &s->budget));
	json_batch_expect(s->kept[0], text);
}

/* The sender keeps its reference: what it holds must stay as it was. */
static void leaves_a_shared_batch_alone(void **state)
{
	struct stage *s = *state;
	struct batch *b = json_batch(SIGNAL_TRACES, SPAN(I("b", "1")), &s->budget);

	stage_create(s, attributes, "{actions: [{key: b, action: update, value: 2}]}",
	             SIGNAL_TRACES);
	stage_consume(s, batch_ref(b));
	json_batch_expect(s->kept[0], SPAN(I("b", "2")));
	json_batch_expect(b, SPAN(I("b", "1")));
	batch_unref(b);
}

static void asks_to_try_again_when_there_is_no_memory(void **state)
{
	struct stage *s = *state;
	struct batch *b = json_batch(SIGNAL_TRACES, SPAN(I("b", "1")), &s->budget);
	struct result *r;

	stage_create(s, attributes, "{actions: [{key: a, action: insert, value: 2}]}",
	             SIGNAL_TRACES);
	s->budget.limit = s->budget.used;
	r = stage_consume(s, b);
	s->budget.limit = 0;
	assert_true(r->told);
	assert_int_equal(r->outcome.status, OUTCOME_RETRY);
	assert_int_equal(s->n_kept, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_what_each_action_says),
		cmocka_unit_test_setup_teardown(takes_values_from_the_request, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(leaves_events_alone, stage_setup, stage_teardown),
		cmocka_unit_test_setup_teardown(acts_on_points_of_every_kind, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(chooses_metrics_by_name_and_resource, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test(chooses_items_by_include_and_exclude),
		cmocka_unit_test_setup_teardown(refuses_actions_that_make_no_sense, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(refuses_properties_that_the_signal_has_not,
	                                        stage_setup, stage_teardown),
		cmocka_unit_test_setup_teardown(gives_up_a_pattern_that_takes_too_long, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(leaves_a_shared_batch_alone, stage_setup,
	                                        stage_teardown),
		cmocka_unit_test_setup_teardown(asks_to_try_again_when_there_is_no_memory,
	                                        stage_setup, stage_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
