/* bench prometheus: what a sample costs on its way from OTLP's bytes to a Prometheus sample, and what a
 * series costs while nothing comes.
 *
 * Gauges of ten attributes each, of which one is different for every series, in batches of 1,000
 * points from one resource. */
#include "core/base/clock.h"
#include "core/data/batch.h"
#include "core/data/build.h"
#include "core/prometheus/translate.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 1000, ROUNDS = 5 };

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench prometheus: out of memory, or a wrong answer\n");
		exit(1);
	}
}

static Otlp__NumberDataPoint *point_make(struct arena *a, unsigned id, uint64_t time_ns)
{
	static const char *const keys[] = {"http.request.method",
	                                   "http.route",
	                                   "server.address",
	                                   "server.port",
	                                   "network.protocol.version",
	                                   "url.scheme",
	                                   "k8s.namespace.name",
	                                   "k8s.pod.name",
	                                   "cloud.region"};
	static const char *const values[] = {
		"GET",   "/api/v1/orders/{id}", "orders.example.com",     "443",         "1.1",
		"https", "production",          "orders-7d9c6b5f4-x2x7p", "eu-central-1"};
	Otlp__NumberDataPoint *p = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);
	struct build_list list = {0};
	char text[32];

	must(p);
	snprintf(text, sizeof text, "client-%08u", id);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		must(build_string(a, &list, keys[i], slice_from_string(values[i])));
	must(build_string(a, &list, "client.id", slice_from_string(text)));
	p->attributes = (Otlp__KeyValue **)list.items;
	p->n_attributes = list.count;
	p->time_unix_nano = time_ns;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
	p->as_double = id;
	return p;
}

/* One request of POINTS gauges, encoded. */
static struct rcbuf *request_make(unsigned first, uint64_t time_ns)
{
	struct batch *b = batch_new(SIGNAL_METRICS, NULL);
	struct build_list points = {0}, resource = {0}, one = {0};
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct rcbuf *ret;

	must(b);
	struct arena *a = &b->arena;
	Otlp__ResourceMetrics *group = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);
	Otlp__ScopeMetrics *scope = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	Otlp__Metric *metric = BUILD(a, Otlp__Metric, otlp__metric);
	must(group && scope && metric);
	group->resource = BUILD(a, Otlp__Resource, otlp__resource);
	metric->gauge = BUILD(a, Otlp__Gauge, otlp__gauge);
	must(group->resource && metric->gauge);
	for (unsigned i = 0; i < POINTS; i++)
		must(build_list_add(a, &points, point_make(a, first + i, time_ns)));
	metric->name = build_text("http.server.active_requests");
	metric->data_case = OTLP__METRIC__DATA_GAUGE;
	metric->gauge->data_points = (Otlp__NumberDataPoint **)points.items;
	metric->gauge->n_data_points = points.count;
	must(build_list_add(a, &one, metric));
	scope->metrics = (Otlp__Metric **)one.items;
	scope->n_metrics = 1;
	one = (struct build_list){0};
	must(build_list_add(a, &one, scope));
	group->scope_metrics = (Otlp__ScopeMetrics **)one.items;
	group->n_scope_metrics = 1;
	must(build_string(a, &resource, "service.name", SLICE_LITERAL("orders")));
	must(build_string(a, &resource, "service.instance.id", SLICE_LITERAL("orders-1")));
	group->resource->attributes = (Otlp__KeyValue **)resource.items;
	group->resource->n_attributes = resource.count;
	must(batch_append(b, &group->base) && batch_encode(b, &out, &error) == 0);
	ret = rcbuf_new(out.len, NULL);
	must(ret);
	memcpy(ret->data, out.data, out.len);
	buffer_fini(&out);
	batch_unref(b);
	return ret;
}

struct cost {
	uint64_t decode_ns, translate_ns;
};

static void interval(struct translator *t, unsigned series, uint64_t time_ns, struct cost *cost)
{
	*cost = (struct cost){0};
	for (unsigned first = 0; first < series; first += POINTS) {
		struct rcbuf *request = request_make(first, time_ns);
		struct error error = ERROR_INIT;
		struct translation tr;
		struct batch *b;
		uint64_t start = clock_monotonic_ns(), decoded;

		must(batch_from_request(SIGNAL_METRICS, request,
		                        slice_of(request->data, request->size), NULL, &b,
		                        &error) == 0);
		decoded = clock_monotonic_ns();
		must(translator_batch(t, b, time_ns, &tr, &error) == 0 && tr.n_samples == POINTS);
		cost->translate_ns += clock_monotonic_ns() - decoded;
		cost->decode_ns += decoded - start;
		batch_unref(b);
		rcbuf_unref(request);
	}
}

static void measure(unsigned series)
{
	static const struct translator_options options = {0};
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, after;
	struct translator *t = translator_new(&options);
	struct cost first, cost, best = {UINT64_MAX, UINT64_MAX};

	must(t);
	interval(t, series, 1000 * NS_PER_S, &first);
	for (int i = 0; i < ROUNDS; i++) {
		interval(t, series, (uint64_t)(1010 + i) * NS_PER_S, &cost);
		if (cost.translate_ns < best.translate_ns)
			best = cost;
	}
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	printf("%9u series: validate %4.0f ns, translate %5.0f ns a sample (new: %5.0f "
	       "ns); "
	       "%4.0f bytes a series\n",
	       series, (double)best.decode_ns / series, (double)best.translate_ns / series,
	       (double)first.translate_ns / series, (double)(after - before) / series);
	translator_free(t);
}

int main(void)
{
	measure(10000);
	measure(1000000);
	return 0;
}
