/* What is pushed is what is served: the batch, written out by this test, is the page of /metrics. */
#include "core/base/clock.h"
#include "core/data/batch.h"
#include "core/data/build.h"
#include "core/self/drops.h"
#include "core/self/histogram.h"
#include "core/self/metrics.h"
#include "tests/support/failing_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct drops drops = {{1, 0, 3, 0, 5}};
static const struct histogram histogram = {{1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4}, 12.5};

static void collect(void *arg, struct metrics_sink *sink)
{
	metrics_gauge(sink, "gauge", NULL, NULL, -0.25);
	metrics_gauge(sink, "strange", "Not a number.", METRICS_LABELS({"v", "nan"}), NAN);
	metrics_gauge(sink, "strange", "Not a number.", METRICS_LABELS({"v", "inf"}), INFINITY);
	drops_report(&drops, sink, "dropped", "Lost.", METRICS_LABELS({"exporter", "otlp/a"}));
	drops_report(&drops, sink, "dropped", "Lost.", METRICS_LABELS({"exporter", "a\xff"}));
	histogram_report(&histogram, sink, "took_seconds", "Time.", METRICS_LABELS({"a", "b"}));
	histogram_report(&histogram, sink, "took_seconds", "Time.", METRICS_LABELS({"a", "c"}));
	metrics_counter(sink, "twice", NULL, METRICS_LABELS({"a", "b"}, {"none", NULL}), 20);
	metrics_counter(sink, "twice", NULL, METRICS_LABELS({"a", "b"}), 22);
	metrics_counter_fallback(sink, "twice", NULL, METRICS_LABELS({"a", "b"}), 1000);
}

static void write_labels(struct buffer *out, Otlp__KeyValue *const *attributes, size_t n,
                         const char *le)
{
	const char *separator = "{";

	for (size_t i = 0; i < n; i++, separator = ",")
		buffer_printf(out, "%s%.*s=\"%.*s\"", separator, (int)attributes[i]->key.len,
		              attributes[i]->key.data, (int)attributes[i]->value->string_value.len,
		              attributes[i]->value->string_value.data);
	if (le) {
		buffer_printf(out, "%sle=\"%s\"", separator, le);
		separator = ",";
	}
	if (*separator == ',')
		buffer_append_byte(out, '}');
}

static void write_number(struct buffer *out, const char *name, const Otlp__NumberDataPoint *p)
{
	buffer_append_string(out, name);
	write_labels(out, p->attributes, p->n_attributes, NULL);
	if (isnan(p->as_double))
		buffer_append_string(out, " NaN\n");
	else if (isinf(p->as_double))
		buffer_append_string(out, " +Inf\n");
	else
		buffer_printf(out, " %g\n", p->as_double);
}

static void write_histogram(struct buffer *out, const char *name, const Otlp__HistogramDataPoint *p)
{
	uint64_t total = 0;
	char le[32];

	assert_int_equal(p->n_bucket_counts, p->n_explicit_bounds + 1);
	for (size_t i = 0; i < p->n_bucket_counts; i++) {
		total += p->bucket_counts[i];
		snprintf(le, sizeof le, "%g", i < p->n_explicit_bounds ? p->explicit_bounds[i] : 0);
		buffer_printf(out, "%s_bucket", name);
		write_labels(out, p->attributes, p->n_attributes,
		             i < p->n_explicit_bounds ? le : "+Inf");
		buffer_printf(out, " %llu\n", (unsigned long long)total);
	}
	buffer_printf(out, "%s_sum", name);
	write_labels(out, p->attributes, p->n_attributes, NULL);
	buffer_printf(out, " %g\n%s_count", p->sum, name);
	write_labels(out, p->attributes, p->n_attributes, NULL);
	buffer_printf(out, " %llu\n", (unsigned long long)p->count);
}

static void write_metric(struct buffer *out, const Otlp__Metric *m)
{
	char name[64];
	bool gauge = m->data_case == OTLP__METRIC__DATA_GAUGE;

	snprintf(name, sizeof name, "%.*s", (int)m->name.len, m->name.data);
	if (m->description.len)
		buffer_printf(out, "# HELP %s %.*s\n", name, (int)m->description.len,
		              m->description.data);
	buffer_printf(out, "# TYPE %s %s\n", name,
	              gauge                                          ? "gauge"
	              : m->data_case == OTLP__METRIC__DATA_HISTOGRAM ? "histogram"
	                                                             : "counter");
	if (m->data_case == OTLP__METRIC__DATA_HISTOGRAM) {
		for (size_t i = 0; i < m->histogram->n_data_points; i++)
			write_histogram(out, name, m->histogram->data_points[i]);
		return;
	}
	for (size_t i = 0; i < (gauge ? m->gauge->n_data_points : m->sum->n_data_points); i++)
		write_number(out, name, gauge ? m->gauge->data_points[i] : m->sum->data_points[i]);
}

static void a_batch_says_what_the_page_says(void **state)
{
	struct metrics *m = metrics_new();
	struct buffer page = BUFFER_INIT, written = BUFFER_INIT;
	struct budget budget = {0};
	struct batch *b;

	metrics_register(m, collect, NULL);
	assert_int_equal(metrics_write_text(m, &page), 0);
	b = metrics_batch(m, NULL, "1.2.3", clock_realtime_ns(), &budget);
	assert_non_null(b);
	assert_true(budget.used > 0);
	assert_int_equal(b->n_groups, 1);
	assert_int_equal(b->items, 1 + 2 + 10 + 2 + 1);
	for (size_t i = 0; i < b->first->metrics->scope_metrics[0]->n_metrics; i++)
		write_metric(&written, b->first->metrics->scope_metrics[0]->metrics[i]);
	assert_string_equal(buffer_string(&written), buffer_string(&page));
	batch_unref(b);
	assert_int_equal(budget.used, 0);
	buffer_fini(&page);
	buffer_fini(&written);
	metrics_free(m);
}

static void sums_are_cumulative_since_weir_began_to_count(void **state)
{
	uint64_t before = clock_realtime_ns(), now;
	struct metrics *m = metrics_new();
	const Otlp__ResourceMetrics *group;
	const Otlp__ScopeMetrics *scope;
	struct batch *b;

	metrics_register(m, collect, NULL);
	now = clock_realtime_ns();
	b = metrics_batch(m, METRICS_LABELS({"service.name", "weir"}, {"host.name", "h"}), "1.2.3",
	                  now, NULL);
	assert_non_null(b);
	group = b->first->metrics;
	scope = group->scope_metrics[0];
	assert_int_equal(group->resource->n_attributes, 2);
	assert_non_null(attribute_find(group->resource->attributes, 2, "service.name"));
	assert_memory_equal(scope->scope->version.data, "1.2.3", 5);
	for (size_t i = 0; i < scope->n_metrics; i++) {
		const Otlp__Metric *metric = scope->metrics[i];
		if (metric->data_case == OTLP__METRIC__DATA_GAUGE) {
			assert_int_equal(metric->gauge->data_points[0]->start_time_unix_nano, 0);
			assert_int_equal(metric->gauge->data_points[0]->time_unix_nano, now);
		} else if (metric->data_case == OTLP__METRIC__DATA_SUM) {
			const Otlp__NumberDataPoint *p = metric->sum->data_points[0];
			assert_true(metric->sum->is_monotonic);
			assert_int_equal(metric->sum->aggregation_temporality, 2);
			assert_true(p->start_time_unix_nano >= before);
			assert_true(p->start_time_unix_nano <= p->time_unix_nano);
			assert_int_equal(p->time_unix_nano, now);
		} else {
			const Otlp__HistogramDataPoint *p = metric->histogram->data_points[0];
			assert_int_equal(metric->histogram->aggregation_temporality, 2);
			assert_true(p->start_time_unix_nano >= before);
			assert_int_equal(p->time_unix_nano, now);
		}
	}
	batch_unref(b);
	/* A wall clock that was set back: a start after the end is no time span. */
	b = metrics_batch(m, NULL, "1.2.3", before - NS_PER_S, NULL);
	scope = b->first->metrics->scope_metrics[0];
	assert_int_equal(scope->metrics[0]->sum->data_points[0]->start_time_unix_nano,
	                 before - NS_PER_S);
	batch_unref(b);
	metrics_free(m);
}

static void without_memory_there_is_no_batch(void **state)
{
	struct metrics *m = metrics_new();
	struct budget budget = {0};
	unsigned long n = 0;
	bool failed = true;

	metrics_register(m, collect, NULL);
	while (failed) {
		struct batch *b;

		failing_memory_arm(++n);
		b = metrics_batch(m, METRICS_LABELS({"service.name", "weir"}), "1.2.3", 1000,
		                  &budget);
		failed = failing_memory_disarm();
		assert_true(failed == (b == NULL));
		batch_unref(b);
		assert_int_equal(budget.used, 0);
	}
	assert_true(n > 3);
	metrics_free(m);
}

static void without_memory_there_is_no_page_rather_than_half_of_one(void **state)
{
	struct metrics *m = metrics_new();
	struct buffer whole = BUFFER_INIT;
	unsigned long n = 0;
	bool failed = true;

	metrics_register(m, collect, NULL);
	assert_int_equal(metrics_write_text(m, &whole), 0);
	while (failed) {
		struct buffer page = BUFFER_INIT;
		int r;

		buffer_append_string(&page, "before");
		failing_memory_arm(++n);
		r = metrics_write_text(m, &page);
		failed = failing_memory_disarm();
		if (r == 0)
			assert_string_equal(buffer_string(&page) + strlen("before"),
			                    buffer_string(&whole));
		else
			assert_int_equal(page.len, strlen("before"));
		buffer_fini(&page);
	}
	assert_true(n > 10);
	buffer_fini(&whole);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_says_what_the_page_says),
		cmocka_unit_test(sums_are_cumulative_since_weir_began_to_count),
		cmocka_unit_test(without_memory_there_is_no_batch),
		cmocka_unit_test(without_memory_there_is_no_page_rather_than_half_of_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
