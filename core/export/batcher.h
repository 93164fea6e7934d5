/* batcher: joins requests until they are worth sending, and cuts what is too large.
 *
 * One request is open at a time. It leaves when it has min_size, when flush_timeout has passed
 * since it was opened, or when the exporter drains; never with more than max_size. */
#ifndef WEIR_EXPORT_BATCHER_H
#define WEIR_EXPORT_BATCHER_H

#include "core/export/request.h"

struct batcher {
	const struct batcher_config *config;
	size_t min_size; /* the configured one, at most what the queue can hold */
	struct request *open;
	uint64_t flush_at_ns;  /* of the open one */
	uint64_t paused_until; /* no memory to split: try again then; 0: not paused */
};

void batcher_init(struct batcher *b, const struct queue_config *config);

/* Adds to the open request, or opens r. False when it cannot be merged: take the open one first. */
bool batcher_add(struct batcher *b, struct request *r, uint64_t now_ns);

/* The next request to send, or NULL. With flush the open one goes whatever its size. A result that
 * is still larger than max_size is one item that cannot be cut. Permanent errors (the bytes are
 * not OTLP) leave the request in *ret_broken. */
struct request *batcher_take(struct batcher *b, bool flush, uint64_t now_ns,
                             struct request **ret_broken, struct error *error);

/* When batcher_take() is to be asked again, monotonic; 0: not before something is added. */
uint64_t batcher_due(const struct batcher *b);

/* Single items above max_size are not sent. */
bool batcher_is_too_large(const struct batcher *b, const struct request *r);

#endif
