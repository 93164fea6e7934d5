/* metrics_internal: one reading of weir's own figures, for the files that write it out. For
 * core/self only. */
#ifndef WEIR_SELF_METRICS_INTERNAL_H
#define WEIR_SELF_METRICS_INTERNAL_H

#include "core/base/arena.h"
#include "core/base/map.h"
#include "core/self/metrics.h"

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* One series of a family and its value. */
struct metrics_point {
	struct map_node node; /* by key */
	struct metrics_point *next;
	struct slice key; /* the family's name, then label, value, label, ...: each ended by NUL */
	struct slice labels; /* the part of key behind the name */
	double value;        /* of a histogram the sum */
	const double *bounds;
	size_t n_bounds;
	uint64_t *counts; /* n_bounds + 1, not cumulative; NULL: no histogram */
	bool fallback;    /* reported by nobody but those who watch from outside */
	bool wanted;      /* counts for the query */
};

struct metrics_family {
	const char *name, *help; /* help may be NULL */
	enum metrics_type type;
	struct metrics_point *first, *last; /* in the order of first mention */
};

/* One reading. Points live in its arena; families stand sorted by name. */
struct metrics_sink {
	struct arena arena;
	struct metrics_family *families;
	size_t n_families, capacity;
	struct map points;
	struct buffer key; /* scratch */
	bool failed;       /* no memory: something is missing */

	const char *wanted; /* a query for metrics_sum(); or NULL */
	const struct metrics_label *wanted_labels;
};

/* Everything that weir counts, read now. Look at failed, and end it. */
void metrics_read(struct metrics *m, struct metrics_sink *sink);
void metrics_sink_fini(struct metrics_sink *sink);

/* Takes the next label off the list. False: that was all. Both are ended by NUL and not empty, the
 * value is UTF-8. */
bool metrics_next_label(struct slice *labels, struct slice *ret_name, struct slice *ret_value);

/* When weir began to count. */
uint64_t metrics_started_unix_ns(const struct metrics *m);

#endif
