/* exposition_internal: what the files of exposition share. For no one else.
 *
 * exposition.c         what is shown: families, metrics, points
 * exposition_source.c  several sources of one series
 * exposition_native.c  native histograms: copies and sums
 * exposition_page.c    cursors
 * exposition_text.c, exposition_proto.c  the formats
 * exposition_accept.c  content negotiation */
#ifndef WEIR_PROMETHEUS_EXPOSITION_INTERNAL_H
#define WEIR_PROMETHEUS_EXPOSITION_INTERNAL_H

#include "core/prometheus/exposition.h"

/* series_family.user */
struct exposition_family {
	struct list link; /* of the exposition */
	struct series_family *family;
	struct list metrics;
	uint64_t moment;
};

/* Of a counter: one start time's value. */
struct exposition_source {
	int64_t start_ms, ms;
	double value;
};

struct exposition_sources {
	double base; /* of those that were given up */
	uint32_t n, capacity;
	struct exposition_source all[];
};

/* One start time's native histogram. The arrays lie behind it. */
struct exposition_native {
	struct exposition_native *next; /* other sources */
	int64_t start_ms, ms;
	struct native_histogram histogram;
};

struct exposition_exemplars {
	size_t n;
	struct exemplar all[]; /* their labels and texts lie behind */
};

/* series.user: what is shown of a series. */
struct exposition_point {
	struct series *series;
	struct exposition_metric *metric;
	int64_t ms, start_ms; /* of value; start_ms 0: not known */
	double value;         /* the sum over sources */
	double bound;         /* le, quantile: orders a distribution's points */
	union {
		struct exposition_sources *sources; /* NULL: one, which is what stands above */
		struct exposition_native *native;   /* SERIES_NATIVE; the first source */
	};
	struct exposition_exemplars *exemplars;
	bool present; /* there is a value */
};

/* What a scraper takes for one thing: a gauge or counter, or a distribution with all its points. */
struct exposition_metric {
	struct list link; /* of the family */
	struct exposition_family *family;
	uint64_t moment;
	struct map_node node; /* of groups; distributions */
	bool grouped;
	bool too_large; /* not shown */
	uint32_t n, capacity;
	struct exposition_point **points; /* by role, then bound */
};

/* ---- exposition_source.c */

/* A sample of a counter. */
enum exposition_result exposition_add_source(struct exposition *e, struct exposition_point *p,
                                             const struct sample *s);
/* A source's value has ended: false when none is left. */
bool exposition_end_source(struct exposition_point *p, const struct sample *s);
void exposition_free_sources(struct exposition *e, struct exposition_point *p);

/* ---- exposition_native.c */

enum exposition_result exposition_add_native(struct exposition *e, struct exposition_point *p,
                                             const struct sample *s);
void exposition_free_natives(struct exposition *e, struct exposition_point *p);
/* The sum over the sources; the caller frees *ret_memory after use. False: no memory. */
bool exposition_sum_natives(const struct exposition_native *first, struct native_histogram *ret,
                            void **ret_memory);

/* ---- what the formats write */

static inline struct slice exposition_text(const struct exposition_cursor *c, uint32_t symbol)
{
	return symbols_text(&c->exposition->table->symbols, symbol);
}

/* The first point of that role that has a value, or NULL. */
const struct exposition_point *exposition_find_point(const struct exposition_metric *m,
                                                     enum series_role role);

/* The name, or what Prometheus 2 takes in its place. */
void exposition_append_name(const struct exposition_cursor *c, struct buffer *out,
                            struct slice name, bool is_label);

/* "1.0", "0.005", "1e+06": le and quantile in OpenMetrics and of who reads protobuf. */
void exposition_append_bound(struct buffer *out, double value);

void exposition_write_text(struct exposition_cursor *c, const struct exposition_metric *m,
                           struct buffer *out);
void exposition_write_text_end(struct exposition_cursor *c, struct buffer *out);
void exposition_write_proto(struct exposition_cursor *c, const struct exposition_metric *m,
                            struct buffer *out);
/* The message that is being made, if there is one. */
void exposition_flush_proto(struct exposition_cursor *c, struct buffer *out);

#endif
