/* series: the bounded table of everything that has a Prometheus name and labels.
 *
 * One per exporter. A family is one metric name of one type with its help and unit; a shape is a
 * family and the sorted names of labels, shared by all series that differ only in values; a series
 * holds one value for each of them. One set of labels is one series, whatever it was made of. A
 * series is in the table for as long as it is seen, and in memory until the last reference goes, so
 * a queue may hold what has ended. Users read these structs; only this room writes them, but for
 * the members user. Not thread-safe. */
#ifndef WEIR_PROMETHEUS_SERIES_H
#define WEIR_PROMETHEUS_SERIES_H

#include "core/base/map.h"
#include "core/prometheus/name.h"
#include "core/prometheus/symbols.h"

struct series_family {
	struct map_node node;
	uint32_t name; /* with _total, without _bucket, _sum, _count */
	uint32_t help; /* symbols; SYMBOL_EMPTY: none */
	uint32_t unit;
	enum metric_type type;
	uint32_t n_series; /* in the table */
	uint32_t refs;     /* of shapes */
	void *user;        /* the exporter's; see on_family_end */
};

struct series_shape {
	struct map_node node;
	struct series_family *family;
	uint32_t refs;
	uint32_t n_labels;
	uint32_t names[]; /* sorted by text, none twice, none empty; __name__ is one of them */
};

/* What a series counts for in its family, in the order in which expositions want them. */
enum series_role {
	SERIES_VALUE,    /* a gauge, a counter, target_info */
	SERIES_BUCKET,   /* _bucket, label le */
	SERIES_QUANTILE, /* label quantile */
	SERIES_SUM,
	SERIES_COUNT,
	SERIES_NATIVE, /* native histograms: the only one without float samples */
};

struct series {
	struct series_shape *shape;
	uint64_t hash; /* of all names and values; the same for equal labels within this process */
	int64_t last_ms;            /* timestamp of the newest sample told; INT64_MIN: none yet */
	void *user;                 /* the exporter's: NULL at first; see on_series_end */
	struct series_state *state; /* totals of deltas, or NULL */
	uint32_t refs;
	uint32_t streams; /* of OTLP, that it is made of */
	uint32_t pending; /* its last point, then its last sample in the translation being made */
	uint8_t role;     /* enum series_role */
	bool ended;       /* no longer in the table: it will get no samples */
	bool stale;       /* its last sample was a stale marker */
	uint32_t values[];
};

struct series_label {
	uint32_t name, value; /* symbols */
};

static inline struct series_label series_label(const struct series *s, uint32_t i)
{
	return (struct series_label){s->shape->names[i], s->values[i]};
}

struct series_table {
	struct symbols symbols;
	struct map families, shapes;
	struct series **slots; /* by labels, open addressing */
	size_t mask, count;    /* count: series in the table */
	size_t limit;          /* of count */
	/* Called before the family is freed, when user is not NULL. */
	void (*on_family_end)(void *arg, struct series_family *family);
	void *arg;
};

void series_ref(struct series *s);
void series_unref(struct series_table *t, struct series *s); /* takes NULL */

/* A series' label by name; an empty slice: it has none. */
struct slice series_find_label(const struct series_table *t, const struct series *s,
                               const char *name);

#endif
