/* translate_internal: the two halves of a translation. For core/prometheus only.
 *
 * translate_collect.c walks the batch, finds or makes the series of every point, builds what is
 * independent of other points, and allocates all that is needed: it may fail, and then nothing has
 * happened. translate_tell.c then adds deltas up and writes the samples; it drops single samples
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
	POINT_STALE, /* NoRecordedValue */
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
	size_t samples_needed; /* by the points, and for streams that were retired */
	struct sample
		*sorted; /* room to sort the samples in, made when the first is out of order */
	size_t sorted_capacity;
	bool deltas_disordered; /* a stream's deltas do not come in the order of their times */
	bool disordered;        /* a series' samples */
	struct stream *retired; /* their layout has changed */
	struct series **ended;  /* told for the last time; let go with the next call */
	size_t n_ended, ended_capacity;
	size_t sweep; /* where the next expiry begins */
	uint32_t now; /* seconds */
};

/* ---- translate_collect.c */

/* -ENOMEM. */
int collect_group(struct translator *t, const Otlp__ResourceMetrics *group);

/* ---- exemplars.c */

/* Exemplars of a point whose time is ms, into arena. bounds: of classic buckets, or NULL. False: no
 * memory. */
bool exemplars_build(struct translator *t, Otlp__Exemplar *const *list, size_t n, int64_t ms,
                     const double *bounds, size_t n_bounds, struct point *ret);

/* ---- translate_tell.c */

void tell_points(struct translator *t);
/* A stale marker; room for it there is. */
void tell_stale(struct translator *t, struct series *s, int64_t ms);
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
