#include "core/prometheus/exposition.h"
#include "core/wire/cursor.h"
#include "tests/unit/prometheus/translation_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

struct fixture {
	struct translator *translator;
	struct exposition exposition;
	struct buffer page;
	unsigned results[EXPOSITION_NO_MEMORY + 1];
};

static void on_series_end(void *arg, struct series *s)
{
	exposition_on_series_end(&((struct fixture *)arg)->exposition, s);
}

static void on_family_end(void *arg, struct series_family *family)
{
	exposition_on_family_end(&((struct fixture *)arg)->exposition, family);
}

static void begin_with(struct fixture *f, struct translator_options options)
{
	*f = (struct fixture){0};
	options.one_type = options.tell_late = true;
	options.on_series_end = on_series_end;
	options.on_family_end = on_family_end;
	options.arg = f;
	f->translator = translator_new(&options);
	assert_non_null(f->translator);
	assert_int_equal(exposition_init(&f->exposition, translator_table(f->translator), NULL), 0);
}

static void begin(struct fixture *f)
{
	begin_with(f,
	           (struct translator_options){.no_target_info = true, .expiry_ns = 300 * SECOND});
}

static void end(struct fixture *f)
{
	exposition_fini(&f->exposition);
	translator_free(f->translator);
	buffer_fini(&f->page);
}

static void tell(struct fixture *f, const struct translation *t)
{
	for (size_t i = 0; i < t->n_samples; i++)
		f->results[exposition_tell(&f->exposition, &t->samples[i])]++;
}

/* Metrics of one resource, as JSON with ' for ". */
static void say(struct fixture *f, const char *metrics)
{
	struct buffer json = BUFFER_INIT;
	struct translation t;
	struct batch *b;

	buffer_printf(&json, "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[%s]}]}]}", metrics);
	b = translation_batch(buffer_string(&json));
	assert_non_null(b);
	assert_int_equal(translator_batch(f->translator, b, SECOND, &t, NULL), 0);
	tell(f, &t);
	batch_unref(b);
	buffer_fini(&json);
}

static void expire_all(struct fixture *f)
{
	struct translation t;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(translator_expire(f->translator, 1000 * SECOND, 5000, 1 << 20, &t),
		                 0);
		tell(f, &t);
	}
}

static const struct exposition_choice text = {EXPOSITION_TEXT, false},
				      openmetrics = {EXPOSITION_OPENMETRICS, false},
				      protobuf = {EXPOSITION_PROTOBUF, false};

static const char *page_in(struct fixture *f, struct exposition_choice choice, bool timestamps,
                           size_t enough)
{
	struct exposition_cursor c;

	buffer_clear(&f->page);
	exposition_begin(&c, &f->exposition, choice, timestamps);
	while (exposition_write(&c, &f->page, enough))
		;
	exposition_end(&c);
	assert_false(f->page.failed);
	return buffer_string(&f->page);
}

static const char *page(struct fixture *f, struct exposition_choice choice)
{
	return page_in(f, choice, false, 1 << 20);
}

static unsigned count(const char *haystack, const char *needle)
{
	unsigned n = 0;

	for (; (haystack = strstr(haystack, needle)); haystack++)
		n++;
	return n;
}

#define AT(ms) "'timeUnixNano':'" ms "000000','startTimeUnixNano':'1000000'"
#define FROM(start, ms) "'timeUnixNano':'" ms "000000','startTimeUnixNano':'" start "000000'"
#define COUNTER(name, point)                                                                       \
	"{'name':'" name                                                                           \
	"','sum':{'isMonotonic':true,'aggregationTemporality':2,'dataPoints':[" point "]}}"
#define GAUGE(name, point) "{'name':'" name "','gauge':{'dataPoints':[" point "]}}"
#define LABEL(key, value) "'attributes':[{'key':'" key "','value':{'stringValue':'" value "'}}]"

/* clang-format off */
static const char everything[] =
	"{'name':'jobs','description':'Done.\\nAll \\\\ \\\"of\\\" it','sum':{'isMonotonic':true,"
	"'aggregationTemporality':2,'dataPoints':[{" AT("2000") ",'asInt':'7',"
	LABEL("a", "x\\\"y\\\\z\\n") ",'exemplars':[{'timeUnixNano':'1500000000','asDouble':0.5,"
	"'traceId':'5b8efff798038103d269b633813fc60c','spanId':'eee19b7ec3c1b174'}]}]}},"
	"{'name':'heat','unit':'Cel','gauge':{'dataPoints':[{" AT("2000") ",'asDouble':-0.1}]}},"
	"{'name':'wait','unit':'s','histogram':{'aggregationTemporality':2,'dataPoints':[{" AT("2000")
	",'count':'3','sum':2.5,'bucketCounts':['1','0','2'],'explicitBounds':[0.25,1000000]}]}},"
	"{'name':'size','summary':{'dataPoints':[{" AT("2000") ",'count':'3','sum':2.5,"
	"'quantileValues':[{'quantile':0.5,'value':4},{'quantile':1,'value':9}]}]}},"
	"{'name':'work','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{" AT("2000")
	",'count':'4','sum':8,'scale':0,'zeroCount':'1',"
	"'positive':{'offset':1,'bucketCounts':['1','2']}}]}}";
/* clang-format on */

static void shows_every_type_as_text(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_string_equal(page(&f, text), "");
	say(&f, everything);
	assert_string_equal(page(&f, text), "# HELP jobs_total Done.\\nAll \\\\ \"of\" it\n"
	                                    "# TYPE jobs_total counter\n"
	                                    "jobs_total{a=\"x\\\"y\\\\z\\n\"} 7\n"
	                                    "# TYPE heat_celsius gauge\n"
	                                    "heat_celsius -0.1\n"
	                                    "# TYPE wait_seconds histogram\n"
	                                    "wait_seconds_bucket{le=\"0.25\"} 1\n"
	                                    "wait_seconds_bucket{le=\"1000000\"} 1\n"
	                                    "wait_seconds_bucket{le=\"+Inf\"} 3\n"
	                                    "wait_seconds_sum 2.5\n"
	                                    "wait_seconds_count 3\n"
	                                    "# TYPE size summary\n"
	                                    "size{quantile=\"0.5\"} 4\n"
	                                    "size{quantile=\"1\"} 9\n"
	                                    "size_sum 2.5\n"
	                                    "size_count 3\n"
	                                    "# TYPE work histogram\n"
	                                    "work_bucket{le=\"+Inf\"} 4\n"
	                                    "work_sum 8\n"
	                                    "work_count 4\n");
	end(&f);
}

static void shows_every_type_as_openmetrics(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_string_equal(page(&f, openmetrics), "# EOF\n");
	say(&f, everything);
	assert_string_equal(
		page_in(&f, openmetrics, true, 1),
		"# HELP jobs Done.\\nAll \\\\ \\\"of\\\" it\n"
		"# TYPE jobs counter\n"
		"jobs_total{a=\"x\\\"y\\\\z\\n\"} 7 2.000 # {span_id=\"eee19b7ec3c1b174\","
		"trace_id=\"5b8efff798038103d269b633813fc60c\"} 0.5 1.500\n"
		"# TYPE heat_celsius gauge\n"
		"# UNIT heat_celsius celsius\n"
		"heat_celsius -0.1 2.000\n"
		"# TYPE wait_seconds histogram\n"
		"# UNIT wait_seconds seconds\n"
		"wait_seconds_bucket{le=\"0.25\"} 1 2.000\n"
		"wait_seconds_bucket{le=\"1e+06\"} 1 2.000\n"
		"wait_seconds_bucket{le=\"+Inf\"} 3 2.000\n"
		"wait_seconds_sum 2.5 2.000\n"
		"wait_seconds_count 3 2.000\n"
		"# TYPE size summary\n"
		"size{quantile=\"0.5\"} 4 2.000\n"
		"size{quantile=\"1.0\"} 9 2.000\n"
		"size_sum 2.5 2.000\n"
		"size_count 3 2.000\n"
		"# TYPE work histogram\n"
		"work_bucket{le=\"+Inf\"} 4 2.000\n"
		"work_sum 8 2.000\n"
		"work_count 4 2.000\n"
		"# EOF\n");
	end(&f);
}

/* What has no _total is no counter to OpenMetrics, and keeps its name. */
static void keeps_names_without_suffixes(void **state)
{
	struct fixture f;

	(void)state;
	begin_with(&f,
	           (struct translator_options){.strategy = NAME_ESCAPED, .no_target_info = true});
	say(&f, COUNTER("jobs", "{" AT("2000") ",'asInt':'7'}"));
	assert_string_equal(page(&f, openmetrics), "# TYPE jobs unknown\njobs 7\n# EOF\n");
	assert_string_equal(page(&f, text), "# TYPE jobs counter\njobs 7\n");
	end(&f);
}

static void gives_utf8_names_to_who_takes_them(void **state)
{
	const struct exposition_choice utf8 = {EXPOSITION_TEXT, true};
	struct fixture f;

	(void)state;
	begin_with(&f, (struct translator_options){.strategy = NAME_UTF8, .no_target_info = true});
	say(&f, COUNTER("jobs.dön\\\"e", "{" AT("2000") ",'asInt':'7'," LABEL("a.b", "c") "}"));
	say(&f, GAUGE("plain", "{" AT("2000") ",'asInt':'8'," LABEL("1", "c") "}"));
	assert_string_equal(page(&f, utf8), "# TYPE \"jobs.dön\\\"e\" counter\n"
	                                    "{\"jobs.dön\\\"e\",\"a.b\"=\"c\"} 7\n"
	                                    "# TYPE plain gauge\n"
	                                    "plain{\"1\"=\"c\"} 8\n");
	assert_string_equal(page(&f, text), "# TYPE jobs_d_n_e counter\n"
	                                    "jobs_d_n_e{a_b=\"c\"} 7\n"
	                                    "# TYPE plain gauge\n"
	                                    "plain{_1=\"c\"} 8\n");
	end(&f);
}

static void is_the_same_in_pieces_of_any_size(void **state)
{
	struct buffer whole = BUFFER_INIT;
	const struct exposition_choice choices[] = {text, openmetrics, protobuf};
	struct fixture f;

	(void)state;
	begin(&f);
	say(&f, everything);
	for (int i = 0; i < 3; i++) {
		buffer_clear(&whole);
		page(&f, choices[i]);
		buffer_append_slice(&whole, buffer_slice(&f.page));
		for (size_t enough = 1; enough < 300; enough += 37) {
			page_in(&f, choices[i], false, enough);
			assert_true(slice_equal(buffer_slice(&f.page), buffer_slice(&whole)));
		}
	}
	buffer_fini(&whole);
	end(&f);
}

/* ---- protobuf */

/* The first field of that number. */
static struct slice find(struct slice message, uint32_t number)
{
	struct cursor c = cursor_of(message);
	struct cursor_field field = {0};

	while (cursor_next(&c, &field))
		if (field.number == number)
			return field.body;
	fail_msg("no field %u", number);
	return field.body;
}

static struct slice first_message(struct fixture *f)
{
	const uint8_t *at;
	size_t len = 0;

	page(f, protobuf);
	at = cursor_length(f->page.data, f->page.data + f->page.len, &len);
	assert_non_null(at);
	return slice_of(at, len);
}

static void shows_native_histograms_as_protobuf(void **state)
{
	/* MetricFamily: name, type HISTOGRAM, a metric with a histogram: count 4, sum 8, schema 0,
	 * threshold 1e-128, 1 zero, a span of two at index 2, deltas 1 and 1,
	 * since second 1. */
	static const uint8_t wanted[] = {0x08, 4,    0x11, 0,    0,    0, 0,    0, 0,    0x20,
	                                 0x40, 0x28, 0,    0x31, 0,    0, 0,    0, 0,    0,
	                                 0,    0,    0x38, 1,    0x62, 4, 0x08, 4, 0x10, 2,
	                                 0x6a, 2,    2,    2,    0x7a, 4, 0x08, 1, 0x10, 0};
	double threshold = 1e-128;
	uint8_t bytes[sizeof wanted];
	struct fixture f;
	struct slice family, histogram;

	(void)state;
	begin(&f);
	say(&f,
	    "{'name':'work','exponentialHistogram':{'aggregationTemporality':2,"
	    "'dataPoints':[{" FROM(
		    "1000",
		    "2000") ",'count':'4','sum':8,'scale':0,"
	                    "'zeroCount':'1','positive':{'offset':1,'bucketCounts':['1','2']}}]}}");
	family = first_message(&f);
	assert_true(slice_equal(find(family, 1), SLICE_LITERAL("work")));
	histogram = find(find(family, 4), 7);
	memcpy(bytes, wanted, sizeof bytes);
	memcpy(bytes + 14, &threshold, 8);
	assert_int_equal(histogram.len, sizeof bytes);
	assert_memory_equal(histogram.data, bytes, sizeof bytes);
	end(&f);
}

static void cuts_large_families_into_messages(void **state)
{
	enum { SERIES = 3000 };
	struct buffer json = BUFFER_INIT;
	unsigned metrics = 0, messages = 0;
	const uint8_t *at;
	struct fixture f;

	(void)state;
	begin(&f);
	buffer_append_string(&json, "{'name':'many','gauge':{'dataPoints':[");
	for (int i = 0; i < SERIES; i++)
		buffer_printf(&json, "%s{" AT("2000") ",'asInt':'1'," LABEL("i", "%d") "}",
		              i ? "," : "", i);
	buffer_append_string(&json, "]}}");
	say(&f, buffer_string(&json));
	page_in(&f, protobuf, true, 1000);
	for (at = f.page.data; at < f.page.data + f.page.len;) {
		struct slice message;
		size_t len;

		at = cursor_length(at, f.page.data + f.page.len, &len);
		assert_non_null(at);
		assert_true(len < 40000);
		message = slice_of(at, len);
		assert_true(slice_equal(find(message, 1), SLICE_LITERAL("many")));
		for (struct cursor c = cursor_of(message); c.at < c.end;) {
			struct cursor_field field;

			assert_true(cursor_next(&c, &field));
			metrics += field.number == 4;
		}
		messages++;
		at += len;
	}
	assert_int_equal(metrics, SERIES);
	assert_true(messages > 1);
	buffer_fini(&json);
	end(&f);
}

/* ---- what changes between two pieces */

static void survives_what_changes_meanwhile(void **state)
{
	struct exposition_cursor c;
	struct buffer out = BUFFER_INIT;
	struct fixture f;

	(void)state;
	for (int format = 0; format < 3; format++)
		for (int pieces = 0; pieces < 7; pieces++) {
			begin(&f);
			say(&f, everything);
			buffer_clear(&out);
			exposition_begin(&c, &f.exposition,
			                 (struct exposition_choice){(enum exposition_format)format,
			                                            false},
			                 false);
			for (int i = 0; i < pieces; i++)
				exposition_write(&c, &out, 1);
			expire_all(&f);
			assert_int_equal(f.exposition.n_points, 0);
			say(&f, everything);
			while (exposition_write(&c, &out, 1))
				;
			/* what came after it had begun is not shown, and nothing twice */
			assert_true(count(buffer_string(&out), "# TYPE jobs") <= 1);
			assert_true(count(buffer_string(&out), "wait_seconds_count") <= 1);
			if (format == EXPOSITION_TEXT && pieces == 0)
				assert_int_equal(out.len, 0);
			exposition_end(&c);
			end(&f);
		}
	buffer_fini(&out);
}

static void hides_what_has_no_value(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	say(&f, GAUGE("level", "{" AT("2000") ",'asInt':'1'," LABEL("n", "1") "},{" AT(
				       "2000") ",'asInt':'2'," LABEL("n", "2") "}"));
	say(&f, GAUGE("level", "{" AT("3000") ",'flags':1," LABEL("n", "1") "}"));
	assert_string_equal(page(&f, text), "# TYPE level gauge\nlevel{n=\"2\"} 2\n");
	say(&f, GAUGE("level", "{" AT("3000") ",'flags':1," LABEL("n", "2") "}"));
	assert_string_equal(page(&f, text), "");
	say(&f, GAUGE("level", "{" AT("4000") ",'asInt':'3'," LABEL("n", "1") "}"));
	assert_string_equal(page(&f, text), "# TYPE level gauge\nlevel{n=\"1\"} 3\n");
	end(&f);
}

/* ---- sources */

static void adds_sources_up(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	say(&f, COUNTER("jobs", "{" FROM("1", "2000") ",'asInt':'100'}"));
	say(&f, COUNTER("jobs", "{" FROM("2", "2000") ",'asInt':'10'}"));
	assert_string_equal(page(&f, text), "# TYPE jobs_total counter\njobs_total 110\n");
	say(&f, COUNTER("jobs", "{" FROM("1", "3000") ",'asInt':'101'}"));
	say(&f, COUNTER("jobs", "{" FROM("2", "2900") ",'asInt':'11'}"));
	assert_string_equal(page(&f, text), "# TYPE jobs_total counter\njobs_total 112\n");
	say(&f, COUNTER("jobs", "{" FROM("1", "2500") ",'asInt':'50'}"));
	assert_int_equal(f.results[EXPOSITION_LATE], 1);
	assert_string_equal(page(&f, text), "# TYPE jobs_total counter\njobs_total 112\n");
	/* both of them in one batch */
	say(&f,
	    COUNTER("jobs",
	            "{" FROM("1", "4000") ",'asInt':'200'},{" FROM("2", "4000") ",'asInt':'20'}"));
	assert_string_equal(page(&f, text), "# TYPE jobs_total counter\njobs_total 220\n");
	end(&f);
}

/* One that is started again and again. */
static void gives_up_sources_that_have_ended(void **state)
{
	char json[256];
	struct fixture f;

	(void)state;
	begin(&f);
	for (int i = 0; i < 3 * EXPOSITION_SOURCES; i++) {
		snprintf(json, sizeof json, COUNTER("jobs", "{" FROM("%d", "%d") ",'asInt':'1'}"),
		         1005 + 10 * i, 1000 + 10 * i);
		say(&f, json);
		snprintf(json, sizeof json,
		         "{'name':'work','exponentialHistogram':{'aggregationTemporality':2,"
		         "'dataPoints':[{" FROM("%d", "%d") ",'count':'1','sum':1,'positive':{"
		                                            "'bucketCounts':['1']}}]}}",
		         1005 + 10 * i, 1000 + 10 * i);
		say(&f, json);
	}
	assert_int_equal(f.results[EXPOSITION_TOLD], 6 * EXPOSITION_SOURCES);
	assert_int_equal(count(page(&f, text), "\njobs_total 192\n"), 1);
	assert_int_equal(count(page(&f, text), "\nwork_count 192\n"), 1);
	end(&f);
}

static void refuses_more_sources_than_it_keeps(void **state)
{
	char json[256];
	struct fixture f;

	(void)state;
	begin(&f);
	for (int i = 0; i < EXPOSITION_SOURCES + 3; i++) { /* all of them at work */
		snprintf(json, sizeof json, COUNTER("jobs", "{" FROM("%d", "%d") ",'asInt':'1'}"),
		         5000 + i, 1000 + i);
		say(&f, json);
	}
	assert_int_equal(f.results[EXPOSITION_TOO_MANY_SOURCES], 3);
	assert_int_equal(count(page(&f, text), "\njobs_total 64\n"), 1);
	end(&f);
}

/* Scales 1 and 0: what is counted at 1 falls into wider buckets. */
static void adds_native_histograms_of_different_scales_up(void **state)
{
	struct fixture f;
	struct slice histogram;

	(void)state;
	begin(&f);
	say(&f, "{'name':'work','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':["
	        "{" FROM("1", "2000") ",'count':'6','sum':8,'scale':1,'positive':{'offset':0,"
	                              "'bucketCounts':['1','2','3']}}]}}");
	say(&f, "{'name':'work','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':["
	        "{" FROM("2", "2000") ",'count':'10','sum':2,'scale':0,'positive':{'offset':1,"
	                              "'bucketCounts':['10']}}]}}");
	histogram = find(find(first_message(&f), 4), 7);
	assert_int_equal(histogram.data[1], 16); /* count */
	/* buckets 1 and 2: 1 + 2, and 3 + 10 */
	assert_true(slice_equal(find(histogram, 12), SLICE_LITERAL("\x08\x02\x10\x02")));
	assert_true(slice_equal(find(histogram, 13), SLICE_LITERAL("\x06\x14")));
	end(&f);
}

static void shows_nothing_of_what_has_too_many_buckets(void **state)
{
	struct buffer json = BUFFER_INIT;
	struct fixture f;

	(void)state;
	begin(&f);
	buffer_append_string(&json, "{'name':'wait','histogram':{'aggregationTemporality':2,"
	                            "'dataPoints':[{" AT("2000") ",'count':'0','sum':0,"
	                                                         "'explicitBounds':[0");
	for (int i = 1; i < EXPOSITION_POINTS; i++)
		buffer_printf(&json, ",%d", i);
	buffer_append_string(&json, "],'bucketCounts':['0'");
	for (int i = 0; i < EXPOSITION_POINTS; i++)
		buffer_append_string(&json, ",'0'");
	buffer_append_string(&json, "]}]}}");
	say(&f, buffer_string(&json));
	say(&f, GAUGE("level", "{" AT("2000") ",'asInt':'1'}"));
	assert_int_equal(f.results[EXPOSITION_TOO_LARGE], 3);
	assert_string_equal(page(&f, text), "# TYPE level gauge\nlevel 1\n");
	buffer_fini(&json);
	end(&f);
}

/* ---- negotiation */

static void reads_accept_headers(void **state)
{
	static const struct {
		const char *accept;
		enum exposition_format format;
		bool utf8;
	} cases[] = {
		{"", EXPOSITION_TEXT, false},
		{"*/*", EXPOSITION_TEXT, false},
		{"image/png", EXPOSITION_TEXT, false},
		{"application/openmetrics-text", EXPOSITION_OPENMETRICS, false},
		/* Prometheus 2.42, without and with native histograms; 3.0 */
		{"application/openmetrics-text;version=1.0.0,application/"
	         "openmetrics-text;version=0.0.1;"
	         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	         EXPOSITION_OPENMETRICS, false},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="
	         "delimited,application/openmetrics-text;version=1.0.0;q=0.8,text/"
	         "plain;version=0.0.4;q="
	         "0.5,*/*;q=0.1",
	         EXPOSITION_PROTOBUF, false},
		{"application/"
	         "openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
	         "openmetrics-text;version=0.0.1;q=0.5,text/"
	         "plain;version=1.0.0;escaping=allow-utf-8;q="
	         "0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	         EXPOSITION_OPENMETRICS, true},
		{"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
	         "encoding=text",
	         EXPOSITION_TEXT, false},
		{"text/plain;q=0.4, application/openmetrics-text; version=\"1.0.0\"; q=0.5",
	         EXPOSITION_OPENMETRICS, false},
		{"application/openmetrics-text;version=2.0.0", EXPOSITION_TEXT, false},
		{"application/openmetrics-text;q=0", EXPOSITION_TEXT, false},
		{";;;,=,;q=,\"", EXPOSITION_TEXT, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice accept = slice_from_string(cases[i].accept);
		struct exposition_choice choice = exposition_negotiate(accept, true);

		if (choice.format != cases[i].format || choice.utf8 != cases[i].utf8)
			fail_msg("%s: %d %d", cases[i].accept, choice.format, choice.utf8);
		assert_int_not_equal(exposition_negotiate(accept, false).format,
		                     EXPOSITION_OPENMETRICS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_every_type_as_text),
		cmocka_unit_test(shows_every_type_as_openmetrics),
		cmocka_unit_test(keeps_names_without_suffixes),
		cmocka_unit_test(gives_utf8_names_to_who_takes_them),
		cmocka_unit_test(is_the_same_in_pieces_of_any_size),
		cmocka_unit_test(shows_native_histograms_as_protobuf),
		cmocka_unit_test(cuts_large_families_into_messages),
		cmocka_unit_test(survives_what_changes_meanwhile),
		cmocka_unit_test(hides_what_has_no_value),
		cmocka_unit_test(adds_sources_up),
		cmocka_unit_test(gives_up_sources_that_have_ended),
		cmocka_unit_test(refuses_more_sources_than_it_keeps),
		cmocka_unit_test(adds_native_histograms_of_different_scales_up),
		cmocka_unit_test(shows_nothing_of_what_has_too_many_buckets),
		cmocka_unit_test(reads_accept_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
