#include "core/base/budget.h"
#include "core/self/drops.h"
#include "core/self/histogram.h"
#include "core/self/metrics.h"
#include "core/self/process.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *page(struct metrics *m, struct buffer *out)
{
	buffer_clear(out);
	assert_int_equal(metrics_write_text(m, out), 0);
	return (char *)(uintptr_t)buffer_string(out);
}

static void collect_zebra(void *arg, struct metrics_sink *sink)
{
	metrics_counter(sink, "zebra", "Stripes\nand \\.", METRICS_LABELS({"a", "1"}), 3);
	metrics_gauge(sink, "ant", "Legs.", NULL, 6);
}

static void collect_more(void *arg, struct metrics_sink *sink)
{
	metrics_counter(sink, "mule", NULL, NULL, *(double *)arg);
	metrics_counter(sink, "zebra", "Stripes\nand \\.",
	                METRICS_LABELS({"a", "q\"b\\c\nd"}, {"empty", ""}), 0.1);
	metrics_counter(sink, "zebra", "Stripes\nand \\.", METRICS_LABELS({"a", "1"}), 4);
}

static void families_are_sorted_contiguous_and_escaped(void **state)
{
	struct metrics *m = metrics_new();
	struct buffer out = BUFFER_INIT;
	double mule = 1e15 + 1;

	assert_non_null(metrics_register(m, collect_zebra, NULL));
	assert_non_null(metrics_register(m, collect_more, &mule));
	assert_string_equal(page(m, &out), "# HELP ant Legs.\n"
	                                   "# TYPE ant gauge\n"
	                                   "ant 6\n"
	                                   "# TYPE mule counter\n"
	                                   "mule 1000000000000001\n"
	                                   "# HELP zebra Stripes\\nand \\\\.\n"
	                                   "# TYPE zebra counter\n"
	                                   "zebra{a=\"1\"} 7\n"
	                                   "zebra{a=\"q\\\"b\\\\c\\nd\"} 0.1\n");
	buffer_fini(&out);
	metrics_free(m);
}

static void collect_strange(void *arg, struct metrics_sink *sink)
{
	metrics_gauge(sink, "g", NULL, METRICS_LABELS({"v", "nan"}), NAN);
	metrics_gauge(sink, "g", NULL, METRICS_LABELS({"v", "inf"}), INFINITY);
	metrics_gauge(sink, "g", NULL, METRICS_LABELS({"v", "ninf"}), -INFINITY);
	metrics_gauge(sink, "g", NULL, METRICS_LABELS({"v", "a\xff\xc3"}), 1e300);
	metrics_gauge(sink, "g", NULL, METRICS_LABELS({"v", "\xc3\xa9\xe2\x82\xac"}), -0.5);
}

static void writes_special_numbers_and_repairs_text_that_is_not_utf8(void **state)
{
	struct metrics *m = metrics_new();
	struct buffer out = BUFFER_INIT;

	assert_non_null(metrics_register(m, collect_strange, NULL));
	assert_string_equal(page(m, &out), "# TYPE g gauge\n"
	                                   "g{v=\"nan\"} NaN\n"
	                                   "g{v=\"inf\"} +Inf\n"
	                                   "g{v=\"ninf\"} -Inf\n"
	                                   "g{v=\"a\xef\xbf\xbd\xef\xbf\xbd\"} 1e+300\n"
	                                   "g{v=\"\xc3\xa9\xe2\x82\xac\"} -0.5\n");
	buffer_fini(&out);
	metrics_free(m);
}

static void collect_histogram(void *arg, struct metrics_sink *sink)
{
	static const double bounds[] = {0.5, 1};
	static const uint64_t counts[] = {2, 0, 3};
	metrics_histogram(sink, "h", "H.", METRICS_LABELS({"l", "x"}), bounds, 2, counts, 9.5);
}

static void histograms_are_cumulative_with_le(void **state)
{
	struct metrics *m = metrics_new();
	struct buffer out = BUFFER_INIT;

	assert_non_null(metrics_register(m, collect_histogram, NULL));
	assert_string_equal(page(m, &out), "# HELP h H.\n"
	                                   "# TYPE h histogram\n"
	                                   "h_bucket{l=\"x\",le=\"0.5\"} 2\n"
	                                   "h_bucket{l=\"x\",le=\"1\"} 2\n"
	                                   "h_bucket{l=\"x\",le=\"+Inf\"} 5\n"
	                                   "h_sum{l=\"x\"} 9.5\n"
	                                   "h_count{l=\"x\"} 5\n");
	/* Two instances with one name and one set of labels are one series. */
	assert_non_null(metrics_register(m, collect_histogram, NULL));
	assert_non_null(strstr(page(m, &out), "h_bucket{l=\"x\",le=\"1\"} 4\n"));
	assert_non_null(strstr(page(m, &out), "h_count{l=\"x\"} 10\n"));
	buffer_fini(&out);
	metrics_free(m);
}

static void a_collector_that_left_is_not_asked(void **state)
{
	struct metrics *m = metrics_new();
	struct buffer out = BUFFER_INIT;
	struct metrics_collector *c = metrics_register(m, collect_zebra, NULL);

	metrics_unregister(m, c);
	metrics_unregister(m, NULL);
	assert_string_equal(page(m, &out), "");
	buffer_fini(&out);
	metrics_free(m);
}

static void collect_from_outside(void *arg, struct metrics_sink *sink)
{
	metrics_counter_fallback(sink, "sent", NULL, METRICS_LABELS({"exporter", "own"}), 10);
	metrics_counter_fallback(sink, "sent", NULL, METRICS_LABELS({"exporter", "none"}), 10);
}

static void collect_own(void *arg, struct metrics_sink *sink)
{
	metrics_counter(sink, "sent", NULL, METRICS_LABELS({"exporter", "own"}), 7);
}

static void who_watches_from_outside_gives_way(void **state)
{
	for (int order = 0; order < 2; order++) {
		struct metrics *m = metrics_new();
		struct buffer out = BUFFER_INIT;

		metrics_register(m, order ? collect_own : collect_from_outside, NULL);
		metrics_register(m, order ? collect_from_outside : collect_own, NULL);
		metrics_register(m, collect_from_outside, NULL);
		page(m, &out);
		assert_non_null(strstr(buffer_string(&out), "sent{exporter=\"own\"} 7\n"));
		assert_non_null(strstr(buffer_string(&out), "sent{exporter=\"none\"} 20\n"));
		assert_true(metrics_sum(m, "sent", NULL) == 27);
		buffer_fini(&out);
		metrics_free(m);
	}
}

static void collect_drops(void *arg, struct metrics_sink *sink)
{
	drops_report(arg, sink, "dropped", "Lost.", METRICS_LABELS({"exporter", "otlp"}));
}

static void sums_are_read_by_name_and_label(void **state)
{
	struct metrics *m = metrics_new();
	struct drops one = {{0}}, two = {{0}};

	one.items[DROP_SHUTDOWN] = 5;
	one.items[DROP_TOO_LARGE] = 1;
	two.items[DROP_SHUTDOWN] = 7;
	metrics_register(m, collect_drops, &one);
	metrics_register(m, collect_drops, &two);
	metrics_register(m, collect_histogram, NULL);
	assert_true(metrics_sum(m, "dropped", METRICS_LABELS({"reason", "shutdown"})) == 12);
	assert_true(metrics_sum(m, "dropped", NULL) == 13);
	assert_true(metrics_sum(m, "dropped", METRICS_LABELS({"reason", "x"})) == 0);
	assert_true(metrics_sum(m, "h", NULL) == 0);
	assert_true(metrics_sum(m, "nothing", NULL) == 0);
	metrics_free(m);
}

static void durations_fall_into_their_bucket(void **state)
{
	struct histogram h = {{0}, 0};

	histogram_add(&h, 10000);         /* 10 us, the first bound itself */
	histogram_add(&h, 10001);         /* the next */
	histogram_add(&h, 60000000000ul); /* beyond the last */
	assert_int_equal(h.counts[0], 1);
	assert_int_equal(h.counts[1], 1);
	assert_int_equal(h.counts[HISTOGRAM_BOUNDS], 1);
}

static double value_of(const char *text, const char *series)
{
	const char *line = strstr(text, series);
	double value = -1;

	assert_non_null(line);
	assert_int_equal(sscanf(line + strlen(series), " %lf", &value), 1);
	return value;
}

static void the_process_reports_itself(void **state)
{
	struct metrics *m = metrics_new();
	struct budget budget = {.limit = 1000, .used = 10, .peak = 20, .refusals = 3};
	struct process_metrics *p = process_metrics_new(m, &budget, "0.1.0", "abc");
	struct buffer out = BUFFER_INIT;
	const char *text;

	assert_non_null(p);
	text = page(m, &out);
	assert_true(value_of(text, "\nweir_build_info{revision=\"abc\",version=\"0.1.0\"}") == 1);
	assert_true(value_of(text, "\notelcol_process_memory_rss") > 100000);
	assert_true(value_of(text, "\notelcol_process_cpu_seconds") >= 0);
	assert_true(value_of(text, "\notelcol_process_uptime") >= 0);
	assert_true(value_of(text, "\nweir_process_open_descriptors") >= 3);
	assert_true(value_of(text, "\nweir_memory_used_bytes") == 10);
	assert_true(value_of(text, "\nweir_memory_refusals") == 3);
	process_metrics_free(p);
	buffer_fini(&out);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_are_sorted_contiguous_and_escaped),
		cmocka_unit_test(writes_special_numbers_and_repairs_text_that_is_not_utf8),
		cmocka_unit_test(histograms_are_cumulative_with_le),
		cmocka_unit_test(a_collector_that_left_is_not_asked),
		cmocka_unit_test(who_watches_from_outside_gives_way),
		cmocka_unit_test(sums_are_read_by_name_and_label),
		cmocka_unit_test(durations_fall_into_their_bucket),
		cmocka_unit_test(the_process_reports_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
