/* cardinality_limit_internal: what the files of the processor share.
 *
 * scan       batches as they came: may they go on?     key     what tells series apart
 * fold       batches of which something must change    limits  which series go on, and when they leave
 * totals     what several points come to, and the last values of their sources; of each kind in
 *            number, gauge, histogram, exponential (beside it exponential.c: the arithmetic)
 * follow     attributes with most values (distinct.c: how many they are)
 * places.c   the hash table of all that is kept */
#ifndef WEIR_PROCESSORS_CARDINALITY_LIMIT_INTERNAL_H
#define WEIR_PROCESSORS_CARDINALITY_LIMIT_INTERNAL_H

#include "core/component.h"
#include "processors/cardinality_limit/places.h"

struct metrics_sink;

/* One entry of `metrics`. */
struct rule {
	const char *name; /* glob */
	uint64_t max_series;
	struct string_list keep, drop;
	int gauge; /* enum gauge_choice */
};

/* What stands for gauges that become one. */
enum gauge_choice { GAUGE_LAST, GAUGE_SUM, GAUGE_MIN, GAUGE_MAX, GAUGE_MEAN };

struct cardinality_config {
	uint64_t max_series, max_series_per_metric, max_tracked;
	uint64_t idle; /* ns */
	struct group_list metrics;
};

/* What is known of a metric, by its name. */
struct metric_place {
	uint64_t key;
	uint64_t limit;          /* series, the one of the overflow included */
	const struct rule *rule; /* the first that matches; NULL: none */
	uint32_t n_series;       /* without those of the overflow */
	uint32_t n_overflow;
	bool overflowed; /* and the log says so */
};

/* A series that goes on. */
struct series_place {
	uint64_t key;
	uint64_t metric;         /* key of its metric_place */
	struct aggregate *total; /* cumulative, and made of several: what it stands at */
	struct outgoing *out;    /* what goes on of it in the batch of that turn */
	uint32_t seen;           /* ms */
	uint32_t turn : 31, overflow : 1;
};

enum last_kind { LAST_DOUBLE, LAST_INT, LAST_OBJECT, LAST_GAUGE };

/* The last value of a series that does not go on by itself: of cumulative ones, and of gauges (and
 * sums that may fall) of which the latest is not enough. */
struct last_place {
	uint64_t key;
	union {
		double as_double;
		int64_t as_int;
		struct last_object *object;
		struct gauges *gauges;
	};
	union {
		uint32_t time; /* of the point, ns >> LAST_TIME_SHIFT; compared around the circle */
		uint32_t slot; /* among the gauges */
	};
	uint32_t start : 22; /* a hash of the start time */
	uint32_t kind : 2;   /* enum last_kind */
	uint32_t seen : 8;   /* sixteenths of idle, around the circle */
};
_Static_assert(sizeof(struct last_place) == 24, "max_tracked counts places of 24 bytes");
enum { LAST_TIME_SHIFT = 24, LAST_STEPS = 16 };

enum dropped {
	DROPPED_TRACKED, /* max_tracked is reached */
	DROPPED_SERIES,  /* max_series has no place for the overflow series */
	DROPPED_KIND,    /* summaries, which are not merged */
	DROPPED_VALUE,   /* what is no number cannot be added */
	DROPPED_COUNT
};

/* Attributes that are followed, and since when in this generation. */
enum { FOLLOW_RECENT = 16 };
struct follow {
	struct places places;
	struct followed *recent[FOLLOW_RECENT]; /* by their order in the list they came with */
	size_t hand;
	uint64_t generation;
	uint32_t since_ms;
	uint8_t since_step; /* sixteenths of idle, around the circle */
};

struct cardinality {
	struct component component;
	const struct cardinality_config *config;
	struct consumer next;
	struct metrics_collector *collector;
	uint64_t seed;
	struct places metrics, series, lasts;
	struct follow follow;
	uint32_t turn;     /* batches rewritten, 31 bits */
	size_t n_overflow; /* of the series */
	size_t extra;      /* places of max_tracked that histograms take */
	uint64_t swept_ns;
	size_t series_hand, lasts_hand, metrics_hand;
	struct buffer scratch;
	uint64_t folded, merged, dropped[DROPPED_COUNT]; /* points */
};

/* What a metric's points are, besides its name. */
struct metric_kind {
	unsigned data; /* Otlp__Metric__DataCase */
	unsigned temporality;
	bool monotonic;
};

/* Where a walk over a batch stands: the metric of one scope of one resource. */
struct family {
	uint64_t id;
	struct metric_place *metric;
	uint64_t overflow; /* the key of its overflow series */
	struct slice name;
	struct metric_kind kind;
	bool tracked;   /* of what becomes part of another the last values are needed */
	bool mergeable; /* otherwise label rules leave it alone, and beyond limits it goes */
	enum gauge_choice gauge;
};

/* Points that are hashed before the first of them is judged: what they are looked up by is fetched
 * meanwhile. */
enum { LOOKED_UP_TOGETHER = 16 };

/* What becomes of a point. */
struct verdict {
	struct series_place *series; /* of which it becomes part; NULL: dropped */
	bool joins;                  /* it is one of several that make up the series */
	bool fresh;                  /* its attributes may be new: they are to be followed */
};

/* ---- keys */

uint64_t key_bytes(const struct cardinality *p, struct slice bytes);
uint64_t key_pair(const struct cardinality *p, uint64_t a, uint64_t b); /* never 0 */
uint64_t key_scope(const struct cardinality *p, uint64_t resource, struct slice name,
                   struct slice version, uint64_t attributes);
uint64_t key_overflow(const struct cardinality *p); /* of the overflow's one attribute */

/* The sum of the hashes of all attributes, and of those that the rule keeps; p->scratch.failed: no
 * memory. */
uint64_t key_attributes(struct cardinality *p, Otlp__KeyValue *const *attributes, size_t n);
uint64_t key_attributes_ruled(struct cardinality *p, Otlp__KeyValue *const *attributes, size_t n,
                              const struct rule *rule, uint64_t *ret_kept);
uint64_t key_attribute(struct cardinality *p, const Otlp__KeyValue *attribute);
/* The same of the fields of that number in a message. */
uint64_t key_wire(const struct cardinality *p, struct slice message, uint32_t field);

bool rule_keeps(const struct rule *rule, struct slice key);
bool rule_has_labels(const struct rule *rule);

/* ---- limits */

/* Finds or makes what is known of a metric that has points. NULL in ret->metric: there are too many. */
void limits_family(struct cardinality *p, uint64_t scope, struct slice name, struct slice unit,
                   struct metric_kind kind, struct family *ret);
/* source: the point by all its attributes; key: by those that stay. */
struct verdict limits_judge(struct cardinality *p, const struct family *f, uint64_t source,
                            uint64_t key, uint32_t now_ms);
/* Begins to fetch from memory what limits_judge() will look at, and the last value. */
void limits_prefetch(const struct cardinality *p, const struct family *f, uint64_t source,
                     uint64_t key);
void limits_fini(struct cardinality *p);
void limits_sweep(struct cardinality *p, uint64_t now_ns);
size_t limits_bound(const struct cardinality_config *c);
/* Places for one walk over so many points, those of last values only when it folds. False: no
 * memory. */
bool limits_reserve(struct cardinality *p, size_t points, bool folding);

/* ---- attributes with most values. family: of the points; NULL: they are attributes of a resource */

void follow_init(struct cardinality *p, uint64_t now_ns);
void follow_fini(struct cardinality *p);
size_t follow_bound(void);
/* Once for each batch, before anything of it is judged. */
void follow_turn(struct cardinality *p, uint64_t now_ns);
void follow_wire(struct cardinality *p, const struct family *family, struct slice message,
                 uint32_t field);
void follow_attributes(struct cardinality *p, const struct family *family,
                       Otlp__KeyValue *const *attributes, size_t n, const struct rule *rule);
void follow_collect(const struct cardinality *p, struct metrics_sink *sink);
/* For the log: "; attributes with most values: client.id (about 1990), ..." or nothing. Of that
 * metric, or of all (NULL), and of resources. */
void follow_describe(const struct cardinality *p, const struct metric_place *metric, char *ret,
                     size_t size);

/* Whether a series that was last seen then has not been followed in this generation. */
static inline bool follow_lacks_series(const struct cardinality *p, uint32_t seen_ms)
{
	return (int32_t)(seen_ms - p->follow.since_ms) < 0;
}

static inline bool follow_lacks_last(const struct cardinality *p, uint8_t seen_step)
{
	return (int8_t)(seen_step - p->follow.since_step) < 0;
}

/* ---- walks: -ENOMEM or -EBADMSG */

/* Whether the batch may go on as it came. */
int scan_batch(struct cardinality *p, const struct batch *b, bool *ret_untouched,
               struct error *error);
/* The batch is open and ours. */
int fold_batch(struct cardinality *p, struct batch *b, struct error *error);

/* ---- totals and last values; the rest of them in cardinality_limit_totals.h */

void last_free(struct cardinality *p, struct last_place *last);
void aggregate_free(struct cardinality *p, struct aggregate *total); /* takes NULL */
/* Last values point at it. */
bool aggregate_is_held(const struct aggregate *total);
size_t aggregate_bound(void); /* bytes of one, without what it has beyond max_tracked */

#endif
