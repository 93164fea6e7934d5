/* delivery: how what a receiver has observed gets to the next component: its series once in each
 * collection, in batches of which one is made in a turn of the loop, and log records as they come.
 *
 * Happy path: delivery_collect -> build a part -> outbox -> the next turn -> ... -> the last part;
 * delivery_observe ... -> delivery_send_logs -> outbox.
 * Fails: the next component does not keep up (DELIVERY_UNFINISHED batches have no outcome) or there
 * is no memory: the rest of the collection waits, and is left to the next one when that begins:
 * cumulative points are then newer, delta points went on adding up; log records wait up to a bound
 * and are then dropped and counted · a batch is told to come again: log records and delta points are
 * sent again by delivery_retry(), cumulative ones are repeated by the next collection anyhow. */
#ifndef WEIR_OBSERVE_DELIVERY_H
#define WEIR_OBSERVE_DELIVERY_H

#include "core/loop/timer.h"
#include "core/observe/outbox.h"
#include "core/observe/aggregate.h"
#include "core/observe/source.h"

enum {
	DELIVERY_UNFINISHED = 4,              /* batches of each signal */
	DELIVERY_SERIES_AT_ONCE = 256,        /* in one batch: about 1 ms and half a MiB */
	DELIVERY_LOGS_AT_ONCE = 1024,         /* the same */
	DELIVERY_LOGS_WAITING = 8192,         /* records that wait for room in that window, */
	DELIVERY_LOGS_WAITING_BYTES = 8 << 20 /* and what they take */
};

/* What the receiver gives; outlives the delivery. */
struct delivery_content {
	const struct source *source;
	struct aggregates *series;
	bool delta;

	/* The points of a part, as of that moment; *ret stays NULL when there are none. False: no
	 * memory. */
	bool (*build_metrics)(void *arg, struct aggregate_part part, uint64_t now_unix_ns,
	                      struct batch **ret);
	observation_build build_log;

	/* Something is through: the moment to see whether everything is (delivery_is_calling()). */
	void (*on_progress)(void *arg);
	void *arg;
};

struct delivery {
	const struct delivery_content *content;
	struct outbox *metrics, *logs; /* NULL: not wired */
	struct timer *turn;            /* the next part, in another turn of the loop */
	struct list waiting;           /* struct observation */
	size_t n_waiting, waiting_bytes;
	bool collecting; /* parts of the collection of this moment were not sent yet */
	uint64_t collection_unix_ns;
	uint64_t refused_before;      /* items, when it began */
	unsigned calling;             /* inside a call to the next component */
	uint64_t logs_dropped;        /* no room */
	uint64_t collections_skipped; /* no room */
};

/* Consumers that are not set: that signal is not wanted. A negative errno: no memory. */
int delivery_init(struct delivery *d, const struct delivery_content *content,
                  struct consumer metrics, struct consumer logs);
int delivery_start(struct delivery *d, struct loop *loop); /* -ENOMEM */
void delivery_stop(struct delivery *d); /* nothing is called back any more, but on_progress */
void delivery_fini(struct delivery *d); /* takes a zeroed one */

/* A collection begins now. */
void delivery_collect(struct delivery *d);

/* Whether there is room for a log record of so many bytes; false is counted as one dropped. */
bool delivery_may_observe(struct delivery *d, size_t size);
/* Takes what malloc() gave, of that size. */
void delivery_observe(struct delivery *d, struct observation *o, size_t size);
/* Sends what waits, as far as there is room. */
void delivery_send_logs(struct delivery *d);

/* Sends again what was told to wait and has waited long enough, and what else there is room for. */
void delivery_retry(struct delivery *d, uint64_t now_ns);

/* It is calling the next component: not the moment to free it. */
bool delivery_is_calling(const struct delivery *d);
/* Nothing is to be sent and nothing without an outcome. */
bool delivery_is_finished(const struct delivery *d);

/* For the log, at the end: what was given up. Nothing when all was delivered. */
void delivery_log_undelivered(const struct delivery *d, const struct logger *log);

#endif
