/* queue: requests that wait for a consumer, bounded by requests, items or bytes.
 *
 * Room is held from the moment a batch is taken until its outcome is known, so the bound covers
 * what is being sent as well. With blocking, batches that find no room wait in a second list,
 * itself bounded, and move up in the order in which they came. */
#ifndef WEIR_EXPORT_QUEUE_H
#define WEIR_EXPORT_QUEUE_H

#include "core/export/request.h"

/* A source that does not stop at its window must not grow the list of the waiting without end. */
enum { QUEUE_BLOCKED_LIMIT = 1024 };

struct queue {
	const struct queue_config *config;
	struct list ready, blocked;
	size_t used; /* room taken, in the config's sizer */
	size_t n_blocked;
};

enum queue_answer {
	QUEUE_TAKEN,     /* the request is the queue's */
	QUEUE_BLOCKED,   /* the request is the queue's, but waits for room */
	QUEUE_FULL,      /* not taken */
	QUEUE_TOO_LARGE, /* not taken: larger than the whole queue */
};

void queue_init(struct queue *q, const struct queue_config *config);

/* A request of one entry. */
enum queue_answer queue_offer(struct queue *q, struct request *r);

/* The oldest ready request, or NULL. It stays in the queue until queue_pop(). */
struct request *queue_first(const struct queue *q);
void queue_pop(struct queue *q, struct request *r);
void queue_return(struct queue *q, struct request *r); /* it was the first and is again */

/* Gives back the room of an entry that was answered. */
void queue_release(struct queue *q, size_t size);

/* Moves one blocked request up if it has room now. Returns it, or NULL. */
struct request *queue_unblock(struct queue *q);

/* Takes one blocked request out. NULL: there is none. */
struct request *queue_take_blocked(struct queue *q);

#endif
