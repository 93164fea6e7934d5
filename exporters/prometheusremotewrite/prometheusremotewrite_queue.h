/* prometheusremotewrite_queue, private: samples that wait for their shard, and the account of whose
 * they are.
 *
 * A batch becomes one ticket and a parcel for every shard that has samples of it. Parcels are copies:
 * they hold references to their series and nothing of the batch. A queue is read from the front and
 * popped when its samples' fate is known, so that a queue on disk may take its place: put, peek,
 * pop. */
#ifndef WEIR_EXPORTERS_PROMETHEUSREMOTEWRITE_QUEUE_H
#define WEIR_EXPORTERS_PROMETHEUSREMOTEWRITE_QUEUE_H

#include "core/base/budget.h"
#include "core/base/list.h"
#include "core/data/outcome.h"
#include "core/prometheus/translate.h"
#include "core/self/drops.h"

/* One batch. A point has its fate when its last sample has: sent, or lost for the reason of the first
 * that was. */
struct ticket {
	struct list link;  /* of the finished */
	struct done done;  /* fn NULL: told already, or nobody waits */
	size_t items;      /* points of the batch that were translated */
	size_t rejected;   /* and those that could not be */
	size_t left;       /* samples made of them, without a fate yet */
	bool canceled;     /* of them some were lost at shutdown */
	struct drops lost; /* points */
	size_t n_points;
	uint8_t points[]; /* bit by sample.point: it is lost */
};

/* For a batch with so many points. NULL: no memory. */
struct ticket *ticket_new(size_t n_points);

struct parcel {
	struct list link;
	struct ticket *ticket;
	struct budget *budget; /* charged, or NULL */
	uint64_t queued_ns;
	size_t bytes;
	size_t n, at; /* samples; those before at are gone */
	struct sample samples[];
};

struct sample_queue {
	struct series_table *table;
	struct list parcels;
	struct list *finished; /* where tickets go whose last sample was popped */
	size_t samples, bytes;
};

/* Samples divided among n queues by their series: ret[i] is NULL where there are none. Adds to
 * ticket->left. False: no memory, nothing changed. */
bool parcels_pack(const struct translation *t, struct ticket *ticket, size_t n,
                  struct budget *budget, uint64_t now_ns, struct parcel **ret);

void sample_queue_init(struct sample_queue *q, struct series_table *table, struct list *finished);

void sample_queue_put(struct sample_queue *q, struct parcel *p); /* takes p; NULL: nothing */

/* Since when the first sample waits; the queue is not empty. */
uint64_t sample_queue_since_ns(const struct sample_queue *q);

/* The next samples in order; *place is NULL for the first. False: there are no more. */
bool sample_queue_peek(const struct sample_queue *q, const struct parcel **place,
                       const struct sample **ret, size_t *ret_n);

/* The first n have their fate: sent, or lost for that reason. */
void sample_queue_pop_sent(struct sample_queue *q, size_t n);
void sample_queue_pop_lost(struct sample_queue *q, size_t n, enum drop_reason reason);
/* lost of them were, and nobody says which: in the account the last that belong to points. */
void sample_queue_pop_partly(struct sample_queue *q, size_t n, size_t lost,
                             enum drop_reason reason);

#endif
