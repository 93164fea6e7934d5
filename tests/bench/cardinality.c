/* bench cardinality: what a point costs in cardinality_limit: passing, losing an attribute, being
 * folded, and what a tracked series takes.
 *
 * Points of six attributes each, of which one is different for every series, in batches of 1,000
 * from one resource: cumulative sums, and of each other kind what its folding costs. Histograms have
 * 14 bounds, exponential ones 20 buckets. The cost of validating them comes with every receiver and is left
 * out. Told is the median of all batches of which the series are known, which other programs on the
 * machine disturb least; of new ones it is the mean, since tables that grow are part of it. Without
 * an argument 10,000 and 1,000,000 series; with one, so many. */
#include "core/base/clock.h"
#include "core/component.h"
#include "core/data/build.h"
#include "core/loop/loop.h"
#include "core/self/metrics.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 1000, ROUNDS = 4, BOUNDS = 14, BUCKETS = 20 };
enum kind { COUNTER, DELTA, GAUGE, HISTOGRAM, EXPONENTIAL };

extern const struct component_type processor_cardinality_limit_type;

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench cardinality: out of memory, or a wrong answer\n");
		exit(1);
	}
}

static struct build_list attributes_make(struct arena *a, unsigned id)
{
	static const char *const pairs[][2] = {{"http.request.method", "GET"},
	                                       {"http.route", "/api/v1/orders/{id}"},
	                                       {"server.address", "orders.example.com"},
	                                       {"network.protocol.version", "1.1"},
	                                       {"url.scheme", "https"}};
	struct build_list list = {0};
	char text[32];

	snprintf(text, sizeof text, "client-%08u", id);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		must(build_string(a, &list, pairs[i][0], slice_from_string(pairs[i][1])));
	must(build_string(a, &list, "client.id", slice_from_string(text)));
	return list;
}

static void *number_make(struct arena *a, unsigned id, uint64_t time_ns)
{
	Otlp__NumberDataPoint *p = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);
	struct build_list attributes = attributes_make(a, id);

	must(p);
	p->attributes = (Otlp__KeyValue **)attributes.items;
	p->n_attributes = attributes.count;
	p->start_time_unix_nano = NS_PER_S;
	p->time_unix_nano = time_ns;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = (int64_t)(time_ns / NS_PER_S);
	return p;
}

static uint64_t *counts_make(struct arena *a, size_t n, uint64_t time_ns)
{
	uint64_t *counts = arena_alloc_array(a, n, sizeof *counts);

	must(counts);
	for (size_t i = 0; i < n; i++)
		counts[i] = time_ns / NS_PER_S;
	return counts;
}

static void *histogram_make(struct arena *a, unsigned id, uint64_t time_ns)
{
	static double bounds[BOUNDS] = {.005, .01, .025, .05, .075, .1,  .25,
	                                .5,   .75, 1,    2.5, 5,    7.5, 10};
	Otlp__HistogramDataPoint *p =
		BUILD(a, Otlp__HistogramDataPoint, otlp__histogram_data_point);
	struct build_list attributes = attributes_make(a, id);

	must(p);
	p->attributes = (Otlp__KeyValue **)attributes.items;
	p->n_attributes = attributes.count;
	p->start_time_unix_nano = NS_PER_S;
	p->time_unix_nano = time_ns;
	p->n_explicit_bounds = BOUNDS;
	p->explicit_bounds = bounds;
	p->n_bucket_counts = BOUNDS + 1;
	p->bucket_counts = counts_make(a, BOUNDS + 1, time_ns);
	p->count = (BOUNDS + 1) * (time_ns / NS_PER_S);
	p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = (double)p->count;
	return p;
}

static void *exponential_make(struct arena *a, unsigned id, uint64_t time_ns)
{
	Otlp__ExponentialHistogramDataPoint *p = BUILD(a, Otlp__ExponentialHistogramDataPoint,
	                                               otlp__exponential_histogram_data_point);
	struct build_list attributes = attributes_make(a, id);

	must(p);
	p->positive = BUILD(a, Otlp__ExponentialHistogramDataPoint__Buckets,
	                    otlp__exponential_histogram_data_point__buckets);
	must(p->positive);
	p->attributes = (Otlp__KeyValue **)attributes.items;
	p->n_attributes = attributes.count;
	p->start_time_unix_nano = NS_PER_S;
	p->time_unix_nano = time_ns;
	p->scale = 3;
	p->positive->offset = (int32_t)(id % 8);
	p->positive->n_bucket_counts = BUCKETS;
	p->positive->bucket_counts = counts_make(a, BUCKETS, time_ns);
	p->count = BUCKETS * (time_ns / NS_PER_S);
	p->optional_sum_case = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = (double)p->count;
	return p;
}

static Otlp__Metric *metric_make(struct arena *a, enum kind kind, unsigned first, uint64_t time_ns)
{
	static void *(*const makers[])(struct arena *, unsigned,
	                               uint64_t) = {[COUNTER] = number_make,
	                                            [DELTA] = number_make,
	                                            [GAUGE] = number_make,
	                                            [HISTOGRAM] = histogram_make,
	                                            [EXPONENTIAL] = exponential_make};
	Otlp__Metric *m = BUILD(a, Otlp__Metric, otlp__metric);
	struct build_list points = {0};

	must(m);
	for (unsigned i = 0; i < POINTS; i++)
		must(build_list_add(a, &points, makers[kind](a, first + i, time_ns)));
	m->name = build_text("http.server.requests");
	if (kind == GAUGE) {
		m->data_case = OTLP__METRIC__DATA_GAUGE;
		must((m->gauge = BUILD(a, Otlp__Gauge, otlp__gauge)));
		m->gauge->data_points = (Otlp__NumberDataPoint **)points.items;
		m->gauge->n_data_points = POINTS;
	} else if (kind == HISTOGRAM) {
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		must((m->histogram = BUILD(a, Otlp__Histogram, otlp__histogram)));
		m->histogram->data_points = (Otlp__HistogramDataPoint **)points.items;
		m->histogram->n_data_points = POINTS;
		m->histogram->aggregation_temporality = 2;
	} else if (kind == EXPONENTIAL) {
		Otlp__ExponentialHistogram *e =
			BUILD(a, Otlp__ExponentialHistogram, otlp__exponential_histogram);

		must(e);
		m->data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
		m->exponential_histogram = e;
		e->data_points = (Otlp__ExponentialHistogramDataPoint **)points.items;
		e->n_data_points = POINTS;
		e->aggregation_temporality = 2;
	} else {
		m->data_case = OTLP__METRIC__DATA_SUM;
		must((m->sum = BUILD(a, Otlp__Sum, otlp__sum)));
		m->sum->data_points = (Otlp__NumberDataPoint **)points.items;
		m->sum->n_data_points = POINTS;
		m->sum->is_monotonic = true;
		m->sum->aggregation_temporality = kind == DELTA ? 1 : 2;
	}
	return m;
}

static struct batch *batch_make(enum kind kind, unsigned first, uint64_t time_ns,
                                struct budget *budget)
{
	struct batch *b = batch_new(SIGNAL_METRICS, NULL), *ret;
	struct build_list metrics = {0}, scopes = {0}, resource = {0};
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct rcbuf *pin;

	must(b);
	struct arena *a = &b->arena;
	Otlp__ResourceMetrics *group = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);
	Otlp__ScopeMetrics *scope = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	must(group && scope);
	group->resource = BUILD(a, Otlp__Resource, otlp__resource);
	must(group->resource);
	must(build_list_add(a, &metrics, metric_make(a, kind, first, time_ns)));
	scope->metrics = (Otlp__Metric **)metrics.items;
	scope->n_metrics = 1;
	must(build_list_add(a, &scopes, scope));
	group->scope_metrics = (Otlp__ScopeMetrics **)scopes.items;
	group->n_scope_metrics = 1;
	must(build_string(a, &resource, "service.name", SLICE_LITERAL("orders")));
	group->resource->attributes = (Otlp__KeyValue **)resource.items;
	group->resource->n_attributes = resource.count;
	must(batch_append(b, &group->base) && batch_encode(b, &out, &error) == 0);
	pin = rcbuf_new(out.len, budget);
	must(pin);
	memcpy(pin->data, out.data, out.len);
	must(batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size), budget, &ret,
	                        &error) == 0);
	rcbuf_unref(pin);
	buffer_fini(&out);
	batch_unref(b);
	return ret;
}

struct sink {
	uint64_t points, passed_ns;
};

static void on_batch(void *self, struct batch *b, struct done done)
{
	struct sink *sink = self;

	sink->passed_ns = clock_monotonic_ns(); /* what follows is not the processor's */
	sink->points += b->items;
	batch_unref(b);
	done_ok(done);
}

static void on_closed(void *arg)
{
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void measure(const char *what, enum kind kind, unsigned series,
                    const struct cardinality_config *config)
{
	const struct component_type *type = &processor_cardinality_limit_type;
	size_t batches = (series + POINTS - 1) / POINTS, known = 0;
	uint64_t first_ns = 0, points = 0, *took = calloc(ROUNDS * batches, sizeof *took);
	struct budget budget = {0};
	struct host host = {.budget = &budget, .metrics = metrics_new()};
	struct sink sink = {0};
	struct component *c;
	struct error error = ERROR_INIT;

	must(took && host.metrics && loop_new(&host.loop, &error) == 0);
	struct create_args args = {.id = "cardinality_limit", .config = config, .host = &host};
	args.next[SIGNAL_METRICS] = (struct consumer){on_batch, &sink};
	must(type->create(&args, &c, &error) == 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		sink.points = 0;
		for (unsigned first = 0; first < series; first += POINTS) {
			struct batch *b = batch_make(kind, first, (10 + round) * NS_PER_S, &budget);
			uint64_t start = clock_monotonic_ns();

			type->consume(c, b, (struct done){0});
			if (round)
				took[known++] = sink.passed_ns - start;
			else
				first_ns += sink.passed_ns - start;
		}
		points = sink.points;
	}
	qsort(took, known, sizeof *took, compare);
	printf("%-19s %9u series: %4.0f ns a point (new: %4.0f ns), %7llu points out, %4.0f bytes "
	       "a series, bound %.0f MiB, held %.0f MiB\n",
	       what, series, (double)took[known / 2] / POINTS, (double)first_ns / series,
	       (unsigned long long)points, (double)budget.used / series,
	       (double)limits_bound(config) / (1 << 20), (double)budget.used / (1 << 20));
	must(budget.used <= limits_bound(config));
	type->shutdown(c, 0, on_closed, NULL);
	type->destroy(c);
	metrics_free(host.metrics);
	loop_run(host.loop);
	loop_free(host.loop);
	must(budget.used == 0);
	free(took);
}

static void measure_all(unsigned series)
{
	static const char *dropped[] = {"client.id"};
	struct rule rule = {.name = "*", .drop = {dropped, 1}};
	struct rule sum = {.name = "*", .gauge = GAUGE_SUM};
	struct cardinality_config open = {.max_series = 2ull * series + 100,
	                                  .max_series_per_metric = 2ull * series + 100,
	                                  .max_tracked = 1000,
	                                  .idle = 600 * NS_PER_S};
	struct cardinality_config shut = open, ruled, large;

	shut.max_series = 10000;
	shut.max_series_per_metric = 2000;
	shut.max_tracked = series;
	ruled = shut;
	ruled.metrics = (struct group_list){&rule, 1};
	large = shut; /* these take several places each */
	large.max_tracked = 16ull * series;
	large.metrics = (struct group_list){&sum, 1};
	measure("passing", COUNTER, series, &open);
	measure("folding", COUNTER, series, &shut);
	measure("folding deltas", DELTA, series, &shut);
	measure("folding gauges", GAUGE, series, &large);
	measure("folding histograms", HISTOGRAM, series, &large);
	measure("folding exponential", EXPONENTIAL, series, &large);
	measure("dropping", COUNTER, series, &ruled);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		measure_all((unsigned)strtoul(argv[1], NULL, 10));
		return 0;
	}
	measure_all(10000);
	measure_all(1000000);
	return 0;
}
