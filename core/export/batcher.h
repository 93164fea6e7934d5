/* batcher: joins requests until they are worth sending, and cuts what is too large.
 *
 * One request is open for each combination of values of partition::metadata_keys; without keys, one. It
 * leaves when it has min_size, when flush_timeout has passed since it was opened, when a new
 * combination needs its place (the oldest gives way), or when the exporter drains; never with more
 * than max_size. */
#ifndef WEIR_EXPORT_BATCHER_H
#define WEIR_EXPORT_BATCHER_H

#include "core/base/map.h"
#include "core/export/request.h"

/* Combinations that are open at once: clients that make up values must not take all memory. */
enum { BATCHER_OPEN_LIMIT = 1000 };

struct batcher {
	const struct batcher_config *config;
	size_t min_size;       /* the configured one, at most what the queue can hold */
	struct list open;      /* in the order of their flush time */
	struct list leaving;   /* large enough, or in the way */
	struct map by_values;  /* both */
	struct buffer values;  /* of the request that has come: kept for its memory */
	uint64_t paused_until; /* no memory to go on: try again then; 0: not paused */
};

void batcher_init(struct batcher *b, const struct queue_config *config);
void batcher_fini(struct batcher *b); /* when it is empty */
bool batcher_is_empty(const struct batcher *b);

/* Adds to the open request of the same values, or opens r. False: not now, r is as it was; either
 * batcher_take() has something that is in the way, or the batcher pauses for want of memory. */
bool batcher_add(struct batcher *b, struct request *r, uint64_t now_ns);

/* The next request to send, or NULL. With flush the open ones go whatever their size. A result that
 * is still larger than max_size is one item that cannot be cut. Permanent errors (the bytes are
 * not OTLP) leave the request in *ret_broken. */
struct request *batcher_take(struct batcher *b, bool flush, uint64_t now_ns,
                             struct request **ret_broken, struct error *error);

/* Takes any request out as it is. NULL: it is empty. */
struct request *batcher_give_up(struct batcher *b);

/* When batcher_take() is to be asked again, monotonic; 0: not before something is added. */
uint64_t batcher_due(const struct batcher *b);

/* Single items above max_size are not sent. */
bool batcher_is_too_large(const struct batcher *b, const struct request *r);

#endif
