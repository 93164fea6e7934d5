/* batch_internal: what batch.c and batch_partition.c share. For no one else.
 *
 * The processor has one partition, or one for each combination of metadata values. A partition joins what
 * comes; what it sends is a shipment, which belongs to the processor until its outcome is known. A
 * ticket is an incoming batch, whom its sender waits for. */
#ifndef WEIR_PROCESSORS_BATCH_INTERNAL_H
#define WEIR_PROCESSORS_BATCH_INTERNAL_H

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/component.h"
#include "core/loop/timer.h"
#include "core/self/metrics.h"

struct batch_config {
	uint64_t timeout;
	uint64_t send_batch_size, send_batch_max_size;
	struct string_list metadata_keys;
	uint64_t metadata_cardinality_limit;
};

enum trigger { TRIGGER_SIZE, TRIGGER_TIMEOUT, TRIGGER_SHUTDOWN };

enum { SIZE_BOUNDS = 22 };
extern const double batch_size_bounds[SIZE_BOUNDS];

struct processor {
	struct component component;
	const struct batch_config *config;
	struct consumer next;
	struct list partitions;
	size_t n_partitions;
	struct partition *only; /* without metadata_keys */
	struct map by_values;   /* the partitions, with metadata_keys */
	struct buffer values;   /* of the batch that has come: kept for its memory */
	size_t unfinished;      /* tickets without an outcome */
	struct list shipments;  /* under way */
	unsigned busy;          /* calls on the stack that use the processor: not closed before */
	bool stopping;
	void (*closed)(void *arg);
	void *closed_arg;
	struct timer *deadline;
	struct metrics_collector *metrics;
	uint64_t triggers[TRIGGER_SHUTDOWN + 1];
	uint64_t sizes[SIZE_BOUNDS + 1];
	double sizes_sum;
};

struct partition {
	struct list member;        /* in processor.partitions */
	struct map_node by_values; /* in processor.by_values */
	struct processor *processor;
	struct timer *timer;
	struct batch *pending; /* NULL: nothing */
	struct list tickets;   /* in the order of their items in pending */
	size_t n_tickets;
	bool sending; /* a loop further up the stack sends what is ready */
	size_t n_values;
	uint8_t values[]; /* batch_metadata_key() of what it joins */
};

/* A partition of the processor for these values. NULL: no memory. */
struct partition *partition_new(struct processor *p, struct slice values);
void partition_free(struct partition *b);

/* Takes *batch in, which becomes NULL; its sender is told by done. -ENOMEM: it is still the
 * caller's. */
int partition_add(struct partition *b, struct batch **batch, struct done done, struct error *error);

/* Sends all that is ready, or all there is. */
void partition_flush(struct partition *b, bool all, enum trigger trigger);

/* Tells the senders of all that is under way that it was given up. Returns its items. */
size_t shipments_give_up(struct processor *p);

/* Last thing done by whoever may have ended what the processor waits for at its shutdown. */
void processor_maybe_closed(struct processor *p);

#endif
