/* translate: OTLP metrics as Prometheus' samples.
 *
 * A translator owns a table of series and turns batches into arrays of samples, by the rules of
 * opentelemetry-specification, compatibility/prometheus_and_openmetrics.md. A point that came before
 * is recognised by a hash of its resource, scope, metric and attributes as they come (96 bits of an
 * XXH3 whose seed nobody knows), so that a known series costs no string.
 *
 * Whatever comes, what is told is valid: names and labels are well-formed, sorted, unique and not
 * empty; of one series the timestamps rise strictly within a translation and over all of them
 * (unless tell_late); a series has either values or native histograms, never both. What cannot be
 * told so is dropped and counted. Sans-I/O. Not thread-safe. */
#ifndef WEIR_PROMETHEUS_TRANSLATE_H
#define WEIR_PROMETHEUS_TRANSLATE_H

#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/data/batch.h"
#include "core/prometheus/series.h"

/* What Prometheus takes for "this series has ended": a NaN told apart by its bits. */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
static inline double stale_nan(void)
{
	uint64_t bits = STALE_NAN_BITS;
	double value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

struct translator_label {
	const char *name, *value;
};

/* Strings and lists are the caller's and outlive the translator. Zeroed is useful: add limits. */
struct translator_options {
	enum name_strategy strategy;
	const char *namespace;                   /* NULL: none */
	const struct translator_label *external; /* added where a series has no such label */
	size_t n_external;
	/* Resource attributes that become labels (besides job and instance): keys, "*" for all; those
	 * of excluded never. */
	const char *const *resource_included,
		*const *resource_excluded; /* NULL-terminated or NULL */
	bool no_scope_labels;              /* leave out otel_scope_* */
	bool no_target_info;
	bool custom_buckets; /* explicit histograms as native ones, schema -53 */
	bool no_exemplars;
	bool one_type; /* of two types under one name the second is dropped (expositions) */
	/* Samples not newer than the series' last are told, marked late, and those of one time within a
	 * batch too: equal labels may come from several sources, told apart by start_ms. */
	bool tell_late;
	uint64_t expiry_ns;      /* a series not seen for so long ends; 0: never */
	size_t max_series;       /* 0: 10,000,000 */
	size_t max_symbol_bytes; /* 0: 4 GiB */
	struct budget
		*budget; /* pays for what is decoded and built until the next call; NULL: nobody */
	/* The series leaves the table; its user member is still there. NULL: nobody asks. Not called
	 * by translator_free(). */
	void (*on_series_end)(void *arg, struct series *s);
	void (*on_family_end)(void *arg, struct series_family *family); /* only when user is set */
	void *arg;
};

struct native_span {
	int32_t offset; /* of the first span: index of its first bucket; then: the gap */
	uint32_t length;
};

/* prometheus.Histogram and io.prometheus.write.v2.Histogram, integer flavour. */
struct native_histogram {
	uint64_t count, zero_count;
	double sum; /* stale_nan(): the series has ended here */
	double zero_threshold;
	int32_t schema; /* -4..8, or -53: custom buckets */
	bool reset; /* the first of a series, or counts fell: reset hint YES; otherwise UNKNOWN */
	bool gauge; /* reset hint GAUGE */
	const struct native_span *positive_spans, *negative_spans;
	size_t n_positive_spans, n_negative_spans;
	const int64_t *positive_deltas, *negative_deltas;
	size_t n_positive_deltas, n_negative_deltas;
	const double *custom_values; /* upper bounds, without +Inf; schema -53 */
	size_t n_custom_values;
};

struct exemplar_label {
	struct slice name, value; /* not symbols: few come twice */
};

struct exemplar {
	double value;
	int64_t ms; /* never 0 */
	const struct exemplar_label
		*labels; /* sorted, unique, not empty; trace_id, span_id among them */
	size_t n_labels;
};

/* sample.point of what is no point's, or of a point that was dropped in part. */
#define SAMPLE_OF_NO_POINT UINT32_MAX

struct sample {
	struct series *series;
	int64_t ms;       /* since 1970 */
	int64_t start_ms; /* since when a counter or histogram counts; 0: not known */
	union {
		double value;                             /* series->role != SERIES_NATIVE */
		const struct native_histogram *histogram; /* SERIES_NATIVE */
	};
	const struct exemplar *exemplars;
	uint32_t n_exemplars : 30;
	uint32_t late : 1; /* not newer than what was told before (tell_late) */
	uint32_t stale : 1;
	/* Which of the batch's points it belongs to, counted in its order. Target info and the stale
	 * markers of series that end are SAMPLE_OF_NO_POINT, and so are the samples that are left of
	 * points counted as dropped: every point has one fate. */
	uint32_t point;
};

/* Valid until the next call on the translator; a series for longer with series_ref(). */
struct translation {
	const struct sample *samples;
	size_t n_samples;
};

enum translate_drop {
	TRANSLATE_NO_NAME,     /* a metric without a name, or without data */
	TRANSLATE_TEMPORALITY, /* neither delta nor cumulative */
	TRANSLATE_INVALID, /* a point that contradicts itself: buckets and bounds, bucket offsets */
	TRANSLATE_SCALE,   /* exponential histograms below scale -4 */
	TRANSLATE_CONFLICT,  /* the series exists with another kind of value, or type (one_type) */
	TRANSLATE_LATE,      /* older than the series' last sample */
	TRANSLATE_DUPLICATE, /* the same timestamp again: within a batch the last wins */
	TRANSLATE_SERIES_LIMIT, /* max_series, max_symbol_bytes */
	TRANSLATE_TOO_LARGE,    /* more labels or longer names than anything takes */
	TRANSLATE_NO_MEMORY,    /* a delta that could not be added up */
	TRANSLATE_DROPS,
};
/* "no_name", ... */
const char *translate_drop_name(enum translate_drop reason);

struct translator_figures {
	uint64_t points;                   /* that came */
	uint64_t samples;                  /* told, stale markers included */
	uint64_t hits;                     /* points that were recognised */
	uint64_t dropped[TRANSLATE_DROPS]; /* points of which something is lost */
	uint64_t ended;                    /* series */
};

struct translator;

struct translator *translator_new(const struct translator_options *options); /* NULL: no memory */
void translator_free(struct translator *t); /* takes NULL; no series may be referenced any more */

struct series_table *translator_table(struct translator *t);
const struct translator_figures *translator_figures(const struct translator *t);

/* The samples of a batch of metrics. now_ns is a monotonic clock, for expiry. Reads the batch as it is:
 * what nobody has opened stays closed, which is the fastest. -EBADMSG; -ENOMEM (retryable): then nothing was told and no delta was added up. */
int translator_batch(struct translator *t, const struct batch *b, uint64_t now_ns,
                     struct translation *ret, struct error *error);

/* Ends series that were not seen for options.expiry_ns. Looks at no more than limit places of the
 * table and goes on from there with the next call: about a thousandth of the table every expiry/1000
 * keeps the loop free. ret holds a stale marker for each that is not stale yet, at now_ms or right
 * after its last sample, whichever is later. -ENOMEM: none ended. */
int translator_expire(struct translator *t, uint64_t now_ns, int64_t now_ms, size_t limit,
                      struct translation *ret);

/* The same for series that are left when weir stops: up to limit of them; call until n_samples
 * is 0. */
int translator_end(struct translator *t, int64_t now_ms, size_t limit, struct translation *ret);

/* Walks all series of the table, in no order. visit must not call the translator. */
void translator_each(struct translator *t, bool (*visit)(struct series *s, void *arg), void *arg);

#endif
