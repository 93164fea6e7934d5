/* aggregate: a bounded table of series: sets of attributes whose values add up, by resource, and how
 * they are sent part by part. What is added up, and what tells sets apart, is the receiver's: it
 * embeds a struct aggregate at the front of its own series. Pure: no I/O, no clock.
 *
 * Beside the table stands one overflow series, for what finds no place in it, so that totals stay
 * exact. It belongs to no resource and is never freed. */
#ifndef WEIR_OBSERVE_AGGREGATE_H
#define WEIR_OBSERVE_AGGREGATE_H

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/observe/resource.h"

struct aggregate {
	struct map_node node;
	struct list of_resource, by_touch;
	struct resource *resource; /* NULL: the overflow series */
	uint64_t start_unix_ns;    /* since when it counts */
	uint64_t sent_unix_ns;     /* moment of the last collection it was in, or of the start */
	uint64_t touched_ns;       /* monotonic */
	int64_t open;        /* things that are open now: it speaks and stays while there are */
	uint32_t collection; /* the last it was in */
	bool unsent;         /* changed since it was sent: whoever changes it says so */
};

struct aggregate_kind {
	bool (*equal)(const struct map_node *node, const void *key);
	void (*clear)(struct aggregate *s); /* counters and histograms begin again */
	void (*free)(struct aggregate *s);
};

struct aggregates {
	const struct aggregate_kind *kind;
	struct map map;
	struct resources resources;
	struct list by_touch; /* series.by_touch, longest untouched first */
	struct aggregate *overflow;
	size_t limit;
	uint32_t collection;    /* the one that is going on, or the last */
	uint32_t delivered;     /* the last that came through as a whole */
	uint64_t since_unix_ns; /* the last collection: start of series made now */
	uint64_t part_unix_ns;  /* and of those made after the one that is going on */
};

/* The overflow series is a zeroed one, and host_name a string, that outlive the table. */
void aggregates_init(struct aggregates *t, const struct aggregate_kind *kind,
                     struct aggregate *overflow, const char *host_name, size_t limit,
                     uint64_t start_unix_ns);
/* Before anything was added: it begins to count now. */
void aggregates_begin(struct aggregates *t, uint64_t start_unix_ns);
void aggregates_fini(struct aggregates *t);

bool aggregates_is_full(const struct aggregates *t);

struct aggregate *aggregate_find(const struct aggregates *t, uint64_t hash, const void *key);

/* Adds a zeroed series whose key is not in the table. False: the table is full, or no memory; it
 * still is the caller's. */
bool aggregate_insert(struct aggregates *t, struct aggregate *s, uint64_t hash,
                      struct resource *resource);
void aggregate_remove(struct aggregates *t, struct aggregate *s); /* frees it */

/* Something was added to it. */
void aggregate_touch(struct aggregates *t, struct aggregate *s, uint64_t now_ns);

/* All that it has counted came through: it may go, and whoever adds up increases loses nothing. */
bool aggregate_is_delivered(const struct aggregates *t, const struct aggregate *s);

/* Drops series that nothing has touched for ttl_ns, unless something is open or was not delivered
 * yet. One that comes back counts from 0 with a new start time. */
void aggregates_expire(struct aggregates *t, uint64_t now_ns, uint64_t ttl_ns);

/* With delta a series is sent when something changed or is open. */
bool aggregate_is_silent(const struct aggregate *s, bool delta);

/* A collection hands out every series once, part by part, so that no part is too large. More may be
 * added between parts. One that is given up is simply followed by the next, which begins with what
 * the last one left out. */
struct aggregate_part {
	size_t series; /* so many, from the front */
	bool overflow; /* and that one; it is in the last part */
};
void aggregates_collect(struct aggregates *t);

/* The next part: at most limit series that have something to say, among at most 16 times as many. */
struct aggregate_part aggregates_next(const struct aggregates *t, bool delta, size_t limit);

/* Calls back for each resource with its first n series of the part (series.of_resource). False as
 * soon as on_resource() is. */
bool aggregates_part_each(const struct aggregates *t, struct aggregate_part part,
                          bool (*on_resource)(void *arg, struct resource *r, size_t n), void *arg);

/* The part was put in a batch, as of that moment. With delta its counters and histograms begin
 * again. */
void aggregates_sent(struct aggregates *t, struct aggregate_part part, bool delta,
                     uint64_t now_unix_ns);

/* All parts of the collection came through, or will: they are sent again until they do. */
void aggregates_delivered(struct aggregates *t);

#endif
