/* streams: which series a point belongs to, found by the hash of its identity as it came. For
 * core/prometheus only.
 *
 * A stream is what OTLP sends under one resource, scope, metric and list of attributes. Most give
 * one series, which then is the slot's target itself; those that give several, or whose deltas are
 * added up, have a struct stream. */
#ifndef WEIR_PROMETHEUS_STREAMS_H
#define WEIR_PROMETHEUS_STREAMS_H

#include "core/prometheus/series_internal.h"

/* 96 of the 128 bits of an XXH3. Two streams with one id would be taken for each other: at ten
 * million streams that happens with a probability below 10^-14. */
struct stream_id {
	uint64_t low;
	uint32_t high;
};

struct stream {
	uint64_t layout;  /* hash of what decides which series there are: bounds, quantiles */
	uint64_t last_ns; /* of deltas: end of the last one that was added */
	uint32_t n;
	bool reset;          /* totals begin anew with the next delta */
	int64_t retired_ms;  /* another layout took its place then */
	struct stream *next; /* of those retired */
	struct series *series[];
};

/* A struct series *, or a struct stream * with the lowest bit set. */
typedef uintptr_t stream_target;

static inline stream_target target_of_stream(struct stream *stream)
{
	return (uintptr_t)stream | 1;
}

static inline stream_target target_of_series(struct series *s)
{
	return (uintptr_t)s;
}

/* NULL: it is a series. */
static inline struct stream *target_stream(stream_target target)
{
	return target & 1 ? (struct stream *)(target - 1) : NULL;
}

static inline struct series *target_series(stream_target target)
{
	return (struct series *)target;
}

struct stream_slot {
	uint64_t low;
	uint32_t high;
	uint32_t seen;        /* seconds */
	stream_target target; /* 0: empty */
};

struct streams {
	struct stream_slot *slots; /* open addressing */
	size_t mask, count;
};

bool streams_init(struct streams *s); /* false: no memory */
void streams_fini(struct streams *s); /* the targets are the caller's */

/* What streams_find() will look at comes into the cache meanwhile. */
static inline void streams_prefetch(const struct streams *s, struct stream_id id)
{
	__builtin_prefetch(&s->slots[id.low & s->mask], 1);
}

struct stream_slot *streams_find(const struct streams *s, struct stream_id id);
/* For an id that is not there. NULL: no memory. */
struct stream_slot *streams_add(struct streams *s, struct stream_id id, stream_target target);
/* Others may move into the slot. */
void streams_remove(struct streams *s, struct stream_slot *slot);

#endif
