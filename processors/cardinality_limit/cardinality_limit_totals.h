/* cardinality_limit_totals: points of every kind that become part of another series.
 *
 * What they come to is an aggregate: of a batch only (delta, the latest gauge), or staying, with
 * the last value of each source among p->lasts. The kinds differ in what they do with a point; who
 * becomes part of what is fold's. */
#ifndef WEIR_PROCESSORS_CARDINALITY_LIMIT_TOTALS_H
#define WEIR_PROCESSORS_CARDINALITY_LIMIT_TOTALS_H

#include "core/base/arena.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"

/* A sum that is rounded when it is told and not before: ints exactly, doubles with twice the digits
 * of one. */
struct amount {
	int64_t whole, carry; /* of ints: whole + carry * 2^64 */
	double real, rest;    /* of doubles */
	bool is_real;         /* there were doubles */
};

void amount_add_int(struct amount *a, int64_t value);
void amount_subtract_int(struct amount *a, int64_t value);
void amount_add_real(struct amount *a, double value);
void amount_add(struct amount *a, const struct amount *other);
double amount_real(const struct amount *a);
/* False: it is no int, or too large for one. */
bool amount_int(const struct amount *a, int64_t *ret);

struct aggregate {
	uint64_t start_ns, time_ns;
	struct arena *arena; /* of the batch that it is of; NULL: it stays */
	struct amount sum;   /* of numbers and histograms; the latest gauge */
	uint64_t count;      /* of histograms; as what follows: */
	double min, max;
	bool has_sum, has_min, has_max;
	bool begun; /* there were points */
	struct bucket_total *buckets;
	struct exponential_total *exponential;
	struct gauges *gauges; /* the latest of each source */
};

/* NULL: no memory. In the arena, or staying. */
struct aggregate *aggregate_new(struct cardinality *p, struct arena *arena);

/* Memory of a total beyond itself, zeroed: of its batch, or counted in places of max_tracked. 0,
 * -ENOSPC, -ENOMEM. */
int aggregate_alloc(struct cardinality *p, const struct aggregate *total, size_t bytes, void **ret);
void aggregate_release(struct cardinality *p, const struct aggregate *total, void *made,
                       size_t bytes);

/* What points of histograms have in common. */
struct summed {
	uint64_t count;
	bool has_sum, has_min, has_max;
	double sum, min, max;
};
void aggregate_add_summed(struct aggregate *total, const struct summed *point);

/* ---- kinds of points */

/* A point, and where its parts stand. */
struct point {
	void *message;
	Otlp__KeyValue ***attributes;
	size_t *n_attributes, *n_exemplars;
	uint64_t *start_ns, *time_ns;
	uint32_t flags;
};

struct point_kind {
	void (*open)(void *message, struct point *ret);
	/* Of what cannot be merged these are NULL. */
	bool (*is_valued)(const void *message); /* finite */
	/* The total takes up the point, and changes it. 0, -ENOSPC, -ENOMEM; then nothing has
	 * changed. */
	int (*add)(struct cardinality *p, struct aggregate *total, void *message);
	/* The same of what the source of that key has more than the last time. */
	int (*track)(struct cardinality *p, struct aggregate *total, uint64_t key, void *message,
	             const struct family *f, uint64_t now_ns);
	/* The point becomes what the total stands at. 0 or -ENOMEM. */
	int (*tell)(const struct aggregate *total, struct arena *arena, void *message);
};

extern const struct point_kind point_sum, point_gauge, point_histogram, point_exponential,
	point_summary;

void number_open(void *message, struct point *ret);
bool number_is_valued(const void *message);
void number_tell(const struct amount *sum, Otlp__NumberDataPoint *out);

/* ---- last values */

/* Whether p->config->max_tracked has so many left; extra bytes are rounded up to places. */
bool lasts_admit(const struct cardinality *p, size_t new_places, size_t extra);

enum { LAST_BUCKETS = 1, LAST_EXPONENTIAL };

/* What a last value points at begins with this. */
struct last_object {
	uint32_t bytes;
	uint32_t is; /* LAST_BUCKETS or LAST_EXPONENTIAL */
};

/* NULL: it is none of those, which is when two keys meet. */
static inline void *last_object(const struct last_place *last, unsigned is)
{
	return last->kind == LAST_OBJECT && last->object->is == is ? last->object : NULL;
}

/* Gives the last value, or a new one where *last is NULL, an object of that size: as it was where it
 * has that size, otherwise zeroed. 0, -ENOSPC, -ENOMEM; then nothing has changed. */
int last_object_fit(struct cardinality *p, uint64_t key, struct last_place **last, size_t bytes,
                    uint32_t is);

/* What a point of a cumulative series tells. fallen: a value is less than it was. */
enum news { NEWS_NONE /* late, or told twice */, NEWS_MORE, NEWS_ALL /* begun anew */ };
enum news last_news(const struct cardinality *p, const struct last_place *last, uint64_t start_ns,
                    uint64_t time_ns, bool fallen);
void last_mark(const struct cardinality *p, struct last_place *last, uint64_t start_ns,
               uint64_t time_ns);
void last_see(const struct cardinality *p, struct last_place *last, uint64_t now_ns);

size_t bucket_total_size(const struct bucket_total *total);
size_t exponential_total_size(const struct exponential_total *total);

/* ---- gauges of which the sum, the least, ... is asked */

void gauges_leave(struct gauges *g, uint32_t slot);
bool gauges_live(const struct gauges *g);
void gauges_free(struct cardinality *p, struct aggregate *total);

#endif
