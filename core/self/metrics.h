/* metrics: weir's own figures.
 *
 * Nothing is stored here: components keep plain counters in their own structs and register a
 * collector that reports them when somebody reads (a scrape, an export). Names follow the Collector
 * (otelcol_*) where it has one, weir_* otherwise. Not thread-safe: collectors run on the loop. */
#ifndef WEIR_SELF_METRICS_H
#define WEIR_SELF_METRICS_H

#include "core/base/buffer.h"

#include <stdint.h>

struct batch;
struct budget;

struct metrics;
struct metrics_sink; /* where the points of one reading go */

struct metrics_label {
	const char *name, *value;
};
#define METRICS_LABELS(...)                                                                        \
	(const struct metrics_label[])                                                             \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			NULL, NULL                                                                 \
		}                                                                                  \
	}

struct metrics *metrics_new(void); /* NULL: no memory */
void metrics_free(struct metrics *m);

/* A part of weir that has figures. collect() is called for every reading. False: no memory. */
struct metrics_collector;
struct metrics_collector *metrics_register(struct metrics *m,
                                           void (*collect)(void *arg, struct metrics_sink *sink),
                                           void *arg);
void metrics_unregister(struct metrics *m, struct metrics_collector *c); /* takes NULL */

/* Called from collectors. name and help are constants; labels end with {NULL, NULL} or are NULL;
 * their strings are copied; a label without a value is left out. Points of one name may come from
 * many collectors; where name and labels are equal the values are added up, so that instances which
 * the Collector's names do not tell apart (one processor in two pipelines) give one series. */
void metrics_counter(struct metrics_sink *sink, const char *name, const char *help,
                     const struct metrics_label *labels, double value);
/* The same for those who watch from outside: gives way when anybody reports that series himself. */
void metrics_counter_fallback(struct metrics_sink *sink, const char *name, const char *help,
                              const struct metrics_label *labels, double value);
void metrics_gauge(struct metrics_sink *sink, const char *name, const char *help,
                   const struct metrics_label *labels, double value);
/* counts has n_bounds + 1 entries, not cumulative. */
void metrics_histogram(struct metrics_sink *sink, const char *name, const char *help,
                       const struct metrics_label *labels, const double *bounds, size_t n_bounds,
                       const uint64_t *counts, double sum);

/* All figures in Prometheus text format 0.0.4, families sorted by name, appended to out.
 * -ENOMEM. */
int metrics_write_text(struct metrics *m, struct buffer *out);

/* All figures as OTLP metrics of one resource (name and value of each of its attributes, ended by
 * {NULL, NULL}, or NULL for none): counters are cumulative sums that began with metrics_new(). now is
 * the wall clock; budget may be NULL. NULL: no memory. */
struct batch *metrics_batch(struct metrics *m, const struct metrics_label *resource,
                            const char *version, uint64_t now_unix_ns, struct budget *budget);

/* The sum of all counters and gauges of that name which carry all of these labels (NULL: of that
 * name), read now. 0 when there is none. */
double metrics_sum(struct metrics *m, const char *name, const struct metrics_label *labels);

#endif
