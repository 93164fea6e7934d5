/* translate_internal: the two halves of a translation. For core/prometheus only.
 *
 * Collecting walks the batch, finds or makes the series of every point, builds what is independent of
 * other points, and allocates all that is needed: it may fail, and then nothing has happened. translate_tell.c then adds deltas up and writes the samples; it drops single samples
 * when memory is short, but does not fail. */
#ifndef WEIR_PROMETHEUS_TRANSLATE_INTERNAL_H
#define WEIR_PROMETHEUS_TRANSLATE_INTERNAL_H

#include "core/prometheus/identity.h"
#include "core/prometheus/labels.h"
#include "core/prometheus/native.h"
#include "core/prometheus/streams.h"
#include "core/prometheus/translate.h"

enum point_kind {
	POINT_VALUE,
	POINT_NATIVE, /* built already: cumulative, exponential or custom buckets */
	POINT_EXPONENTIAL_DELTA,
	POINT_CUSTOM_DELTA,
	POINT_CLASSIC,
	POINT_SUMMARY,
	POINT_STALE,       /* NoRecordedValue */
	POINT_TARGET_INFO, /* none that came */
};

/* What was collected of one point. */
struct point {
	stream_target target;
	uint64_t time_ns;
	int64_t start_ms;
	union {
		double value;
		const struct native_histogram *native;
		const Otlp__HistogramDataPoint *histogram;
		const Otlp__ExponentialHistogramDataPoint *exponential;
		const Otlp__SummaryDataPoint *summary;
	};
	const struct exemplar *exemplars; /* by bucket where there are buckets, then by time */
	const uint32_t *buckets;          /* of the exemplars */
	uint32_t n_exemplars;
	uint32_t order;
	uint32_t of; /* sample.point */
	uint8_t kind;
	bool delta;
	bool starts; /* counts since a time */
};

struct translator {
	struct translator_options options;
	struct series_table table;
	struct streams streams;
	size_t max_streams;
	struct translator_figures figures;
	struct translator_figures pending; /* of this translation; added when it succeeds */
	struct arena arena;                /* of this translation */
	struct buffer scratch, name, unit, number;
	struct labels labels;
	struct point *points;
	size_t n_points, points_capacity;
	struct sample *samples;
	size_t n_samples, samples_capacity;
	uint8_t *torn; /* bit by point: one of its samples was dropped */
	size_t torn_capacity;
	bool any_torn;
	size_t samples_needed; /* by the points, and for streams that were retired */
	struct sample
		*sorted; /* room to sort the samples in, made when the first is out of order */
	size_t sorted_capacity;
	bool deltas_disordered; /* a series' deltas do not come in the order of their times */
	bool disordered;        /* a series' samples */
	struct stream *retired; /* their layout has changed */
	struct series **ended;  /* told for the last time; let go with the next call */
	size_t n_ended, ended_capacity;
	size_t sweep; /* where the next expiry begins */
	uint32_t now; /* seconds */
};

/* Where the walk stands. Names and family are made when the first series of a metric is. */
struct place {
	struct translator *t;
	const Otlp__ResourceMetrics *group;
	const Otlp__ScopeMetrics *scope;
	const Otlp__Metric *metric;
	struct identity resource_id, scope_id, metric_id;
	enum metric_type type;
	struct series_family *family; /* NULL: none yet */
	bool delta, starts;           /* starts: has a time since when it counts */
	uint64_t newest_ns;           /* of the group's points */
};

static inline struct slice slice_of_bytes(ProtobufCBinaryData b)
{
	return slice_of(b.data, b.len);
}

/* ---- translate_target.c: which series */

/* What a classic histogram or a summary is made of. */
struct layout {
	Otlp__KeyValue *const *attributes;
	size_t n_attributes;
	const char *label; /* "le", "quantile" */
	enum series_role role;
	const char *suffix;   /* of the series with that label */
	const double *values; /* of that label; infinity is added to those of le */
	Otlp__SummaryDataPoint__ValueAtQuantile *const *quantiles; /* in place of values */
	size_t n_values;                                           /* series with that label */
	uint64_t hash;
};

/* The target of a point that gives one series. 0 and *ret 0: it was dropped. Otherwise -ENOMEM. */
int target_single(struct place *at, struct stream_id id, Otlp__KeyValue *const *attributes,
                  size_t n, enum series_role role, stream_target *ret);
int target_native(struct place *at, Otlp__KeyValue *const *attributes, size_t n,
                  stream_target *ret);
/* The same for several. known_only: the point says nothing of its layout (NoRecordedValue). */
int target_multiple(struct place *at, const struct layout *layout, bool known_only,
                    uint64_t time_ns, stream_target *ret);
/* What becomes of a point for which there is no series. -ENOMEM stays that; what else there is to
 * say is counted, and 0 returned. */
int target_dropped(struct translator *t, int r);

/* NULL: no memory. */
struct point *point_add(struct place *at, stream_target target, uint64_t time_ns,
                        uint64_t start_ns);

/* The group's target_info, after its points. */
int collect_target_info(struct place *at);

/* ---- translate_collect.c: decoded messages. All: 0 or -ENOMEM. */

int collect_group(struct translator *t, const Otlp__ResourceMetrics *group);
/* at->scope_id is known. */
int collect_metric(struct place *at, const Otlp__Metric *m);
int collect_number(struct place *at, const Otlp__NumberDataPoint *n, struct stream_id id);
/* Type and temporality of the metric's points into at. False: there is no telling, the n points are
 * dropped. */
bool collect_begin(struct place *at, const Otlp__Metric *m, size_t n);
/* So many points are hashed before the first is looked up: with a million series each look-up is a
 * miss in every cache, and these overlap. */
enum { LOOKED_UP_TOGETHER = 16 };

/* ---- translate_wire.c: messages as they came. -ENOMEM, -EBADMSG. */

int collect_wire_group(struct translator *t, const struct group *g, struct error *error);

/* ---- exemplars.c */

/* Exemplars of a point whose time is ms, into arena. bounds: of classic buckets, or NULL. False: no
 * memory. */
bool exemplars_build(struct translator *t, Otlp__Exemplar *const *list, size_t n, int64_t ms,
                     const double *bounds, size_t n_bounds, struct point *ret);

/* ---- translate_tell.c */

/* False: no memory, nothing was told. */
bool tell_points(struct translator *t);
/* A stale marker; room for it there is. */
void tell_stale(struct translator *t, struct series *s, int64_t ms, uint32_t point);
/* Sorts what needs it, and writes down what was told last. */
void tell_commit(struct translator *t);

/* ---- translate.c */

/* Takes a series that no stream is left of out of the table and says so to the exporter. True: the
 * table's reference is now the caller's. */
bool translator_end_series(struct translator *t, struct series *s);

static inline void translator_drop(struct translator *t, enum translate_drop reason, uint64_t n)
{
	t->pending.dropped[reason] += n;
}

#endif
