#include "core/data/build.h"
#include "exporters/debug/debug_render.h"
#include "exporters/debug/debug_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define NOW UINT64_C(1700000000123456789) /* 22:13:20 UTC */

/* ---- batches */

static Otlp__Resource *make_resource(struct arena *a, const char *service)
{
	Otlp__Resource *r = BUILD(a, Otlp__Resource, otlp__resource);
	struct build_list l = {0};

	assert_true(build_string(a, &l, "host.name", SLICE_LITERAL("vm")));
	assert_true(build_string(a, &l, "service.name", slice_from_string(service)));
	assert_true(build_string(a, &l, "process.executable.name", slice_from_string(service)));
	r->attributes = (Otlp__KeyValue **)l.items;
	r->n_attributes = l.count;
	return r;
}

/* Attributes of a client of 10.0.0.1:port, and one more. */
static Otlp__KeyValue **make_attributes(struct arena *a, int port, const char *key,
                                        const char *value, size_t *ret_n)
{
	struct build_list l = {0};

	assert_true(build_string(a, &l, "network.type", SLICE_LITERAL("ipv4")));
	assert_true(build_string(a, &l, "server.address", SLICE_LITERAL("10.0.0.1")));
	assert_true(build_int(a, &l, "server.port", port));
	if (key)
		assert_true(build_string(a, &l, key, slice_from_string(value)));
	*ret_n = l.count;
	return (Otlp__KeyValue **)l.items;
}

static Otlp__Metric *make_sum(struct arena *a, const char *name, const char *unit, size_t n)
{
	Otlp__Metric *m = BUILD(a, Otlp__Metric, otlp__metric);

	m->name = build_text(name);
	m->unit = build_text(unit);
	m->data_case = OTLP__METRIC__DATA_SUM;
	m->sum = BUILD(a, Otlp__Sum, otlp__sum);
	m->sum->is_monotonic = true;
	m->sum->aggregation_temporality =
		OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
	m->sum->data_points = arena_alloc_array(a, n, sizeof *m->sum->data_points);
	return m;
}

static void add_number(struct arena *a, Otlp__Metric *m, int64_t value, int port, const char *key,
                       const char *extra)
{
	Otlp__NumberDataPoint *p = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);

	p->attributes = make_attributes(a, port, key, extra, &p->n_attributes);
	p->time_unix_nano = NOW;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = value;
	m->sum->data_points[m->sum->n_data_points++] = p;
}

static Otlp__Metric *make_histogram(struct arena *a, const char *name, int port)
{
	static double bounds[] = {0.001, 0.01, 0.1};
	static uint64_t counts[] = {0, 90, 10, 0};
	Otlp__Metric *m = BUILD(a, Otlp__Metric, otlp__metric);
	Otlp__HistogramDataPoint *p =
		BUILD(a, Otlp__HistogramDataPoint, otlp__histogram_data_point);

	m->name = build_text(name);
	m->unit = build_text("s");
	m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
	m->histogram = BUILD(a, Otlp__Histogram, otlp__histogram);
	m->histogram->data_points = arena_alloc(a, sizeof *m->histogram->data_points);
	m->histogram->data_points[0] = p;
	m->histogram->n_data_points = 1;
	p->attributes = make_attributes(a, port, NULL, NULL, &p->n_attributes);
	p->count = 100;
	p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = 0.8;
	p->optional_max_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX;
	p->max = 0.05;
	p->bucket_counts = counts;
	p->n_bucket_counts = 4;
	p->explicit_bounds = bounds;
	p->n_explicit_bounds = 3;
	return m;
}

static void append_metrics(struct batch *b, const char *service, Otlp__Metric **metrics, size_t n)
{
	struct arena *a = &b->arena;
	Otlp__ResourceMetrics *g = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);

	g->resource = make_resource(a, service);
	g->n_scope_metrics = 1;
	g->scope_metrics = arena_alloc(a, sizeof *g->scope_metrics);
	g->scope_metrics[0] = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	g->scope_metrics[0]->metrics = arena_alloc_array(a, n, sizeof *metrics);
	memcpy(g->scope_metrics[0]->metrics, metrics, n * sizeof *metrics);
	g->scope_metrics[0]->n_metrics = n;
	assert_true(batch_append(b, &g->base));
}

static struct batch *make_metrics(void)
{
	struct batch *b = batch_new(SIGNAL_METRICS, NULL);
	struct arena *a = &b->arena;
	Otlp__Metric *opened = make_sum(a, "weir.tcp.connections.opened", "{connection}", 1);
	Otlp__Metric *failed = make_sum(a, "weir.tcp.connections.failed", "{connection}", 1);
	Otlp__Metric *io = make_sum(a, "weir.tcp.io", "By", 2);
	Otlp__Metric *resets = make_sum(a, "weir.tcp.resets", "{reset}", 1);
	Otlp__Metric *rtt = make_histogram(a, "weir.tcp.rtt", 80);
	Otlp__Metric *other = make_sum(a, "weir.tcp.connections.opened", "{connection}", 1);

	add_number(a, opened, 64, 80, NULL, NULL);
	add_number(a, failed, 1, 81, "error.type", "refused");
	add_number(a, io, 5000, 80, "network.io.direction", "transmit");
	add_number(a, io, 13000000, 80, "network.io.direction", "receive");
	add_number(a, resets, 1, 81, "network.io.direction", "receive");
	append_metrics(b, "curl", (Otlp__Metric *[]){opened, failed, io, resets, rtt}, 5);
	add_number(a, other, 123456789, 443, NULL, NULL);
	append_metrics(b, "wget", &other, 1);
	return b;
}

static struct batch *make_log(const char *body, const char *value)
{
	struct batch *b = batch_new(SIGNAL_LOGS, NULL);
	struct arena *a = &b->arena;
	Otlp__ResourceLogs *g = BUILD(a, Otlp__ResourceLogs, otlp__resource_logs);
	Otlp__LogRecord *log = BUILD(a, Otlp__LogRecord, otlp__log_record);
	struct build_list l = {0};

	log->time_unix_nano = NOW;
	log->severity_number = OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN;
	log->event_name = build_text("an.event");
	log->body = BUILD(a, Otlp__AnyValue, otlp__any_value);
	log->body->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	log->body->string_value = build_text(body);
	assert_true(build_string(a, &l, "some.key", slice_from_string(value)));
	log->attributes = (Otlp__KeyValue **)l.items;
	log->n_attributes = l.count;
	g->resource = make_resource(a, "curl");
	g->n_scope_logs = 1;
	g->scope_logs = arena_alloc(a, sizeof *g->scope_logs);
	g->scope_logs[0] = BUILD(a, Otlp__ScopeLogs, otlp__scope_logs);
	g->scope_logs[0]->n_log_records = 1;
	g->scope_logs[0]->log_records = arena_alloc(a, sizeof log);
	g->scope_logs[0]->log_records[0] = log;
	assert_true(batch_append(b, &g->base));
	return b;
}

static struct batch *make_span(void)
{
	static const uint8_t trace[16] = {0xab, 0xcd};
	struct batch *b = batch_new(SIGNAL_TRACES, NULL);
	struct arena *a = &b->arena;
	Otlp__ResourceSpans *g = BUILD(a, Otlp__ResourceSpans, otlp__resource_spans);
	Otlp__Span *s = BUILD(a, Otlp__Span, otlp__span);
	struct build_list l = {0};

	s->trace_id = (ProtobufCBinaryData){16, (uint8_t *)trace};
	s->span_id = (ProtobufCBinaryData){8, (uint8_t *)trace};
	s->name = build_text("GET /cart");
	s->kind = OTLP__SPAN__SPAN_KIND__SPAN_KIND_SERVER;
	s->start_time_unix_nano = NOW;
	s->end_time_unix_nano = NOW + 12340000;
	s->status = BUILD(a, Otlp__Status, otlp__status);
	s->status->code = OTLP__STATUS__STATUS_CODE__STATUS_CODE_ERROR;
	s->status->message = build_text("timeout");
	assert_true(build_int(a, &l, "http.response.status_code", 504));
	s->attributes = (Otlp__KeyValue **)l.items;
	s->n_attributes = l.count;
	g->resource = make_resource(a, "shop");
	g->n_scope_spans = 1;
	g->scope_spans = arena_alloc(a, sizeof *g->scope_spans);
	g->scope_spans[0] = BUILD(a, Otlp__ScopeSpans, otlp__scope_spans);
	g->scope_spans[0]->n_spans = 1;
	g->scope_spans[0]->spans = arena_alloc(a, sizeof s);
	g->scope_spans[0]->spans[0] = s;
	assert_true(batch_append(b, &g->base));
	return b;
}

/* Takes the batch. */
static void check(struct batch *b, enum verbosity verbosity, size_t width, const char *expected)
{
	struct buffer out = BUFFER_INIT;
	struct render r = {.out = &out, .verbosity = verbosity, .width = width};

	assert_int_equal(batch_read(b, NULL), 0);
	render_batch(&r, b, NOW);
	assert_string_equal(buffer_string(&out), expected);
	buffer_fini(&out);
	batch_unref(b);
}

/* ---- tests */

static void basic_is_one_line(void **state)
{
	check(make_metrics(), VERBOSITY_BASIC, 100,
	      "22:13:20.123  metrics  2 resources  7 data points\n");
	check(make_span(), VERBOSITY_BASIC, 100, "22:13:20.123  traces  1 resource  1 span\n");
	(void)state;
}

static void normal_puts_together_what_has_the_same_attributes(void **state)
{
	check(make_metrics(), VERBOSITY_NORMAL, 100,
	      "22:13:20.123  metrics  2 resources  7 data points  weir.tcp.*\n"
	      "\n"
	      "curl  host.name=vm\n"
	      "  network.type=ipv4 server=10.0.0.1:80\n"
	      "    connections.opened 64           io transmit 4.88 KiB    io receive 12.4 MiB\n"
	      "    rtt  avg 8.00ms  p50 3.59ms  p95 22.4ms  max 50.0ms  count 100\n"
	      "  network.type=ipv4 server=10.0.0.1:81\n"
	      "    connections.failed refused 1    resets receive 1\n"
	      "\n"
	      "wget  host.name=vm\n"
	      "  network.type=ipv4 server=10.0.0.1:443\n"
	      "    connections.opened 123M\n"
	      "\n");
	(void)state;
}

static void normal_breaks_lines_at_the_width_of_the_terminal(void **state)
{
	check(make_metrics(), VERBOSITY_NORMAL, 60,
	      "22:13:20.123  metrics  2 resources  7 data points  weir.tcp.*\n"
	      "\n"
	      "curl  host.name=vm\n"
	      "  network.type=ipv4 server=10.0.0.1:80\n"
	      "    connections.opened 64           io transmit 4.88 KiB\n"
	      "    io receive 12.4 MiB\n"
	      "    rtt  avg 8.00ms  p50 3.59ms  p95 22.4ms  max 50.0ms  count 100\n"
	      "  network.type=ipv4 server=10.0.0.1:81\n"
	      "    connections.failed refused 1    resets receive 1\n"
	      "\n"
	      "wget  host.name=vm\n"
	      "  network.type=ipv4 server=10.0.0.1:443\n"
	      "    connections.opened 123M\n"
	      "\n");
	(void)state;
}

static void normal_shows_log_records_and_spans_on_a_line_each(void **state)
{
	check(make_log("no route", "a b"), VERBOSITY_NORMAL, 100,
	      "22:13:20.123  logs  1 resource  1 log record\n"
	      "\n"
	      "curl  host.name=vm\n"
	      "  22:13:20.123  WARN   no route  key=\"a b\"\n"
	      "\n");
	check(make_log("", "1"), VERBOSITY_NORMAL, 100,
	      "22:13:20.123  logs  1 resource  1 log record\n"
	      "\n"
	      "curl  host.name=vm\n"
	      "  22:13:20.123  WARN   an.event  key=1\n"
	      "\n");
	check(make_span(), VERBOSITY_NORMAL, 100,
	      "22:13:20.123  traces  1 resource  1 span\n"
	      "\n"
	      "shop  host.name=vm\n"
	      "  22:13:20.123   12.3ms  server    GET /cart  error: timeout  status_code=504  "
	      "trace=abcd0000000000000000000000000000\n"
	      "\n");
	(void)state;
}

static void hostile_text_does_not_reach_the_terminal(void **state)
{
	check(make_log("\033[2J\r\nowned\x7f", "\xc2\x9b"
	                                       "31m \xe2\x80\xae \xff"),
	      VERBOSITY_NORMAL, 100,
	      "22:13:20.123  logs  1 resource  1 log record\n"
	      "\n"
	      "curl  host.name=vm\n"
	      "  22:13:20.123  WARN   \\x1b[2J\\x0d\\nowned\\x7f  key=\"\\u{9b}31m \\u{202e} "
	      "\\xff\"\n"
	      "\n");
	(void)state;
}

static void detailed_shows_everything(void **state)
{
	struct batch *b = batch_new(SIGNAL_METRICS, NULL);
	Otlp__Metric *io = make_sum(&b->arena, "weir.tcp.io", "By", 1);
	Otlp__Metric *rtt = make_histogram(&b->arena, "weir.tcp.rtt", 80);

	io->description = build_text("Payload.");
	add_number(&b->arena, io, 5000, 80, NULL, NULL);
	append_metrics(b, "curl", (Otlp__Metric *[]){io, rtt}, 2);
	check(b, VERBOSITY_DETAILED, 100,
	      "22:13:20.123  metrics  1 resource  2 data points\n"
	      "\n"
	      "Resource #0\n"
	      "  Attributes\n"
	      "    host.name                vm\n"
	      "    service.name             curl\n"
	      "    process.executable.name  curl\n"
	      "  Scope #0\n"
	      "    Metric #0  weir.tcp.io\n"
	      "      Description   Payload.\n"
	      "      Unit          By\n"
	      "      Type          sum, cumulative, monotonic\n"
	      "      Point #0\n"
	      "        Attributes\n"
	      "          network.type    ipv4\n"
	      "          server.address  10.0.0.1\n"
	      "          server.port     80\n"
	      "        Time          2023-11-14 22:13:20.123456789 UTC\n"
	      "        Value         5000 By  (4.88 KiB)\n"
	      "    Metric #1  weir.tcp.rtt\n"
	      "      Unit          s\n"
	      "      Type          histogram, no temporality\n"
	      "      Point #0\n"
	      "        Attributes\n"
	      "          network.type    ipv4\n"
	      "          server.address  10.0.0.1\n"
	      "          server.port     80\n"
	      "        Count         100\n"
	      "        Sum           0.80000000000000004 s  (800ms)\n"
	      "        Max           0.050000000000000003 s  (50.0ms)\n"
	      "        Buckets\n"
	      "          <= 1.00ms   0\n"
	      "          <= 10.0ms   90\n"
	      "          <= 100ms    10\n"
	      "          <= ∞        0\n"
	      "\n");
	(void)state;
}

static void quantities_read_like_speech(void **state)
{
	static const struct {
		double value;
		const char *unit, *expected;
	} cases[] = {
		{0.0012, "s", "1.20ms"},
		{1.2, "ms", "1.20ms"},
		{90, "s", "1m30s"},
		{1258291, "By", "1.20 MiB"},
		{3, "KiBy", "3.00 KiB"},
		{42, "1", "42"},
		{0.123456, "", "0.1235"},
		{9999999, "{connection}", "9999999"},
		{12345678, "{connection}", "12.3M"},
		{40, "%", "40 %"},
		{-3, "Cel", "-3 Cel"},
		{1e300, "s", "1e+300 s"},
		{1e300, "By", "1e+300 By"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer out = BUFFER_INIT;

		text_quantity(&out, cases[i].value, slice_from_string(cases[i].unit));
		assert_string_equal(buffer_string(&out), cases[i].expected);
		buffer_fini(&out);
	}
	(void)state;
}

static void keys_are_cut_to_what_tells_enough(void **state)
{
	static const char *const cases[][2] = {
		{"http.route", "route"},
		{"k8s.pod.name", "pod.name"},
		{"name", "name"},
		{"host.name", "host.name"},
		{"", ""},
		{"a.b.c.d", "d"},
		{"service.instance.id", "instance.id"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice key = text_short_key(slice_from_string(cases[i][0]));

		assert_true(slice_equal(key, slice_from_string(cases[i][1])));
	}
	(void)state;
}

static int use_utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

static void normal_shows_the_first_of_many(void **state)
{
	struct batch *b = batch_new(SIGNAL_METRICS, NULL);
	struct arena *a = &b->arena;
	Otlp__Metric *opened = make_sum(a, "weir.tcp.connections.opened", "{connection}", 6000);
	Otlp__Metric *io = make_sum(a, "weir.tcp.io", "By", 12000);
	Otlp__Metric *other = make_sum(a, "weir.tcp.connections.opened", "{connection}", 1);
	struct buffer out = BUFFER_INIT;
	struct render r = {.out = &out, .verbosity = VERBOSITY_NORMAL, .width = 100};
	const char *text;
	size_t rows = 0;

	for (int port = 1; port <= 6000; port++) {
		add_number(a, opened, 1, port, NULL, NULL);
		add_number(a, io, 2, port, "network.io.direction", "transmit");
		add_number(a, io, 3, port, "network.io.direction", "receive");
	}
	add_number(a, other, 1, 443, NULL, NULL);
	append_metrics(b, "curl", (Otlp__Metric *[]){opened, io}, 2);
	append_metrics(b, "wget", &other, 1);
	render_batch(&r, b, NOW);
	text = buffer_string(&out);
	assert_non_null(strstr(text, "  metrics  2 resources  18001 data points  weir.tcp.*\n"));
	/* whole rows: 4096 points are 1365 of three, and one */
	assert_non_null(strstr(text,
	                       "server=10.0.0.1:1365\n    connections.opened 1    io transmit 2 "
	                       "B    io receive 3 B\n"));
	assert_null(strstr(text, "server=10.0.0.1:1366\n"));
	assert_non_null(strstr(text, "\n... and 13905 more data points\n"));
	for (const char *at = text; (at = strstr(at, "server=")); at++)
		rows++;
	assert_int_equal(rows, 1365 + 1);
	assert_non_null(strstr(text, "wget")); /* there was room for one more point */
	buffer_fini(&out);
	batch_unref(b);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basic_is_one_line),
		cmocka_unit_test(normal_puts_together_what_has_the_same_attributes),
		cmocka_unit_test(normal_breaks_lines_at_the_width_of_the_terminal),
		cmocka_unit_test(normal_shows_log_records_and_spans_on_a_line_each),
		cmocka_unit_test(normal_shows_the_first_of_many),
		cmocka_unit_test(hostile_text_does_not_reach_the_terminal),
		cmocka_unit_test(detailed_shows_everything),
		cmocka_unit_test(quantities_read_like_speech),
		cmocka_unit_test(keys_are_cut_to_what_tells_enough),
	};
	return cmocka_run_group_tests(tests, use_utc, NULL);
}
