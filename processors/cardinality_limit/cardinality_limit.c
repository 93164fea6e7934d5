/* cardinality_limit: a hard bound on the series that anything behind weir gets, without losing a
 * total, and metrics without attributes that are not wanted.
 *
 * Happy path: consume -> scan: all series are known or have a place -> the batch goes on as it came.
 * Otherwise it is opened and folded: series without a place become one per metric and resource
 * scope, with otel.metric.overflow=true; of metrics with a label rule those that are equal without
 * the attributes that go become one.
 * Fails: no memory (RETRY; nothing is told twice, see cardinality_limit_fold.c).
 *
 * At the bounds: no place among max_series for an overflow series, or for a last value among
 * max_tracked: those points are dropped and counted, the rest of the batch goes on. */
#include "core/base/clock.h"
#include "core/base/map.h"
#include "core/loop/loop.h"
#include "core/self/metrics.h"
#include "core/wire/otlp.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#include <errno.h>
#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)
enum { SERIES_MAX = 1 << 26, TRACKED_MAX = 1 << 28 };
enum { SCRATCH_KEPT = 64 << 10 }; /* what a batch with a giant attribute leaves */

static const char *const gauge_choices[] = {
	[GAUGE_LAST] = "last", [GAUGE_SUM] = "sum",   [GAUGE_MIN] = "min",
	[GAUGE_MAX] = "max",   [GAUGE_MEAN] = "mean", NULL};

static const struct option rule_options[] = {
	OPTION_STRING(struct rule, name, .flags = OPTION_REQUIRED,
                      .doc = "Name of the metric; * is any text, ? any character. The first entry "
                             "that matches holds."),
	OPTION_UINT(struct rule, max_series, .text = "0", .max = SERIES_MAX,
                    .doc = "Series of each metric of that name, the overflow series included; 0: "
                           "max_series_per_metric."),
	OPTION_STRING_LIST(struct rule, keep,
                           .doc = "Attributes of points that stay; all others go. Not with drop."),
	OPTION_STRING_LIST(struct rule, drop, .doc = "Attributes of points that go."),
	OPTION_ENUM(
		struct rule, gauge, gauge_choices, .text = "last",
		.doc = "What stands for gauges that become one: the last value, or the sum, the "
		       "least, the greatest or the mean of the latest values of all their "
		       "series."),
	OPTION_END,
};

static const struct option cardinality_options[] = {
	OPTION_UINT(struct cardinality_config, max_series, .text = "10000", .min = 1,
                    .max = SERIES_MAX,
                    .doc = "Series in all that go on. A sixteenth of them, at least one, is kept "
                           "for overflow series."),
	OPTION_UINT(struct cardinality_config, max_series_per_metric, .text = "2000", .min = 1,
                    .max = SERIES_MAX,
                    .doc = "Series of one metric name that go on, the overflow series included."),
	OPTION_UINT(struct cardinality_config, max_tracked, .text = "1000000", .max = TRACKED_MAX,
                    .doc = "Places of 24 bytes for the last values of series that are folded or "
                           "merged: a cumulative sum takes one, a cumulative histogram about one "
                           "for each three buckets and three more, a gauge about three (none with "
                           "last), as does a cumulative sum that may fall. Beyond it their points "
                           "are dropped."),
	OPTION_DURATION(struct cardinality_config, idle, .text = "10m", .min = 100e6,
                        .max = 7 * 24 * 3600e9,
                        .doc = "A series that has not come for so long leaves, and its place is "
                               "free within a quarter of it."),
	OPTION_GROUP_LIST(struct cardinality_config, metrics, struct rule, rule_options,
                          .doc = "Limits and attributes by the name of the metric."),
	OPTION_END,
};

static int cardinality_check(const void *config, struct error *error)
{
	const struct cardinality_config *c = config;

	for (size_t i = 0; i < c->metrics.count; i++) {
		const struct rule *rule = (const struct rule *)c->metrics.items + i;

		if (rule->keep.count && rule->drop.count)
			return error_set(error, -EINVAL,
			                 "metrics[%zu]: 'keep' and 'drop' exclude each other", i);
	}
	return 0;
}

/* Of a batch that is open. What it was counted as before may differ where a metric has two kinds of
 * data, of which decoding leaves one. */
static size_t points_of(const struct batch *b)
{
	size_t points = 0;

	for (const struct group *g = b->first; g; g = g->next)
		points += otlp_count(SIGNAL_METRICS, g->message);
	return points;
}

static void cardinality_consume(struct component *component, struct batch *b, struct done done)
{
	struct cardinality *p = (struct cardinality *)component;
	struct error error = ERROR_INIT;
	bool untouched = true;
	size_t points = b->items;
	int r;

	limits_sweep(p, loop_now_ns(component->host->loop));
	follow_turn(p, loop_now_ns(component->host->loop));
	r = limits_reserve(p, points, false) ? scan_batch(p, b, &untouched, &error)
	                                     : error_no_memory(&error);
	if (r == 0 && !untouched) {
		r = batch_open(&b, DEPTH_FULL, &error);
		if (r == 0)
			r = limits_reserve(p, points_of(b), true) ? fold_batch(p, b, &error)
			                                          : error_no_memory(&error);
	}
	if (p->scratch.capacity > SCRATCH_KEPT)
		buffer_fini(&p->scratch);
	if (r == 0 && (b->items || !points)) {
		consumer_consume(p->next, b, done);
		return;
	}
	batch_unref(b);
	if (r == 0)
		done_ok(done); /* every point was dropped, and counted */
	else
		done_error(done, &error);
}

static void cardinality_collect(void *arg, struct metrics_sink *sink)
{
	static const char *const reasons[DROPPED_COUNT] = {
		[DROPPED_TRACKED] = "max_tracked",
		[DROPPED_SERIES] = "max_series",
		[DROPPED_KIND] = "not_mergeable",
		[DROPPED_VALUE] = "no_value",
	};
	const struct cardinality *p = arg;
	const char *id = p->component.id;
	const struct metrics_label *labels = METRICS_LABELS({"processor", id});

	metrics_gauge(sink, "weir_cardinality_limit_series", "Series that go on now.", labels,
	              (double)p->series.count);
	metrics_gauge(sink, "weir_cardinality_limit_series_limit", "Series that may go on.", labels,
	              (double)p->config->max_series);
	metrics_gauge(sink, "weir_cardinality_limit_overflow_series",
	              "Overflow series among those that go on.", labels, (double)p->n_overflow);
	metrics_gauge(sink, "weir_cardinality_limit_tracked",
	              "Places of last values that are taken.", labels,
	              (double)(p->lasts.count + p->extra));
	metrics_gauge(sink, "weir_cardinality_limit_tracked_limit", "Places of last values.",
	              labels, (double)p->config->max_tracked);
	metrics_counter(sink, "weir_cardinality_limit_folded_points",
	                "Points that became part of an overflow series.", labels,
	                (double)p->folded);
	metrics_counter(sink, "weir_cardinality_limit_merged_points",
	                "Points of metrics with a label rule that became part of a series.", labels,
	                (double)p->merged);
	for (size_t i = 0; i < DROPPED_COUNT; i++)
		metrics_counter(sink, "weir_cardinality_limit_dropped_points",
		                "Points dropped, by reason.",
		                METRICS_LABELS({"processor", id}, {"reason", reasons[i]}),
		                (double)p->dropped[i]);
	follow_collect(p, sink);
}

/* `weir validate` and the start say what all of it may take. */
static int cardinality_tell_bound(struct component *component, struct error *error)
{
	const struct cardinality *p = (const struct cardinality *)component;

	log_info(&component->log,
	         "takes at most %llu MiB for %llu series and %llu places of last values",
	         (unsigned long long)(limits_bound(p->config) / MIB + 1),
	         (unsigned long long)p->config->max_series,
	         (unsigned long long)p->config->max_tracked);
	return 0;
}

static void cardinality_shutdown(struct component *component, uint64_t deadline_ns,
                                 void (*closed)(void *arg), void *arg)
{
	closed(arg); /* holds no batch */
}

static void cardinality_destroy(struct component *component)
{
	struct cardinality *p = (struct cardinality *)component;

	if (!p)
		return;
	metrics_unregister(component->host->metrics, p->collector);
	limits_fini(p);
	follow_fini(p);
	buffer_fini(&p->scratch);
	free(p);
}

extern const struct component_type processor_cardinality_limit_type;

static int cardinality_create(const struct create_args *args, struct component **ret,
                              struct error *error)
{
	static const char domain[] = "weir cardinality_limit";
	struct cardinality *p = calloc(1, sizeof *p);

	if (!p)
		return error_no_memory(error);
	component_init(&p->component, &processor_cardinality_limit_type, args);
	p->config = args->config;
	p->next = args->next[SIGNAL_METRICS];
	p->seed = hash_bytes(domain, sizeof domain); /* as secret as that of the maps */
	p->swept_ns = loop_now_ns(args->host->loop);
	places_init(&p->metrics, sizeof(struct metric_place), args->host->budget);
	places_init(&p->series, sizeof(struct series_place), args->host->budget);
	places_init(&p->lasts, sizeof(struct last_place), args->host->budget);
	follow_init(p, p->swept_ns);
	p->collector = metrics_register(args->host->metrics, cardinality_collect, p);
	if (!p->collector) {
		cardinality_destroy(&p->component);
		return error_no_memory(error);
	}
	*ret = &p->component;
	return 0;
}

const struct component_type processor_cardinality_limit_type = {
	.name = "cardinality_limit",
	.kind = PROCESSOR,
	.signals = SIGNAL_BIT(SIGNAL_METRICS),
	.caps = CAP_MUTATES,
	.summary = "Bounds the number of series, keeping totals, and takes attributes off metrics.",
	.stability = "alpha",
	.config_size = sizeof(struct cardinality_config),
	.options = cardinality_options,
	.check = cardinality_check,
	.create = cardinality_create,
	.examine = cardinality_tell_bound,
	.start = cardinality_tell_bound,
	.consume = cardinality_consume,
	.shutdown = cardinality_shutdown,
	.destroy = cardinality_destroy,
};
