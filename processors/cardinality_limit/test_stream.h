/* test_stream: a random stream of points of one kind, and what it is made of.
 *
 * Each source counts what it observed, value by value; points of every kind are made of that: with
 * bounds, scales and zero thresholds that differ and change. */
#ifndef WEIR_PROCESSORS_CARDINALITY_LIMIT_TEST_STREAM_H
#define WEIR_PROCESSORS_CARDINALITY_LIMIT_TEST_STREAM_H

#include "tests/support/component_stage.h"

enum { SOURCES = 24, GROUPS = 4, ROUNDS = 12, SAMPLES = 3 * SOURCES * ROUNDS, BOUNDS_MAX = 6 };
enum { VALUES = 24 };
enum kind { SUM_INT, SUM_REAL, UPDOWN, BUCKETS, EXPONENTIAL, GAUGE, KINDS };

/* What is observed. Sums of few bits each: exact in any order. */
extern const double values[VALUES];

struct counts {
	uint64_t of[VALUES];
};

/* A point as the stream has it. */
struct sample {
	unsigned source;
	uint64_t start, time;
	struct counts counts;
	int64_t level; /* of gauges and what may fall */
	unsigned bounds;
	int scale;
	double zero;
};

uint64_t count_of(const struct counts *c);
double sum_of(const struct counts *c);
void extremes_of(const struct counts *c, double *ret_min, double *ret_max);
/* The bucket of an exponential histogram. */
int64_t bucket_of(double value, int scale);

/* A life: sources restart, fall, are late, tell twice, become coarser. Returns how many of SAMPLES
 * there are. */
size_t life_make(struct sample *ret, bool cumulative);

/* One request as it comes over the wire: one metric, one point a sample, with the attributes id (the
 * source) and group. */
struct batch *stream_batch(struct stage *s, enum kind kind, bool cumulative,
                           const struct sample *samples, size_t n);
/* The same of a metric that somebody made. */
struct batch *wire_batch(struct stage *s, struct arena *a, Otlp__Metric *m);

#endif
