/* rcbuf: a reference-counted block of bytes charged to a budget: what a socket, a file or an
 * inflater fills and a batch pins. Written by its maker before it is shared, read-only afterwards.
 * Not thread-safe. */
#ifndef WEIR_BASE_RCBUF_H
#define WEIR_BASE_RCBUF_H

#include "core/base/budget.h"
#include "core/base/slice.h"

struct rcbuf {
	struct budget *budget;
	unsigned refs;
	size_t size; /* bytes of data that may be used */
	size_t charged;
	uint8_t data[];
};

/* size bytes, not zeroed, one reference. NULL when the budget or the system refuses. */
struct rcbuf *rcbuf_new(size_t size, struct budget *budget);

/* For size bytes that are announced but have not come: admitted as rcbuf_new() does, but charged only
 * as they come, so that announcing costs nobody else's memory (what is not written to is not resident
 * either). */
struct rcbuf *rcbuf_claim(size_t size, struct budget *budget);

/* The first used bytes are in use from now on. False when the budget refuses. Sole owner. */
bool rcbuf_charge(struct rcbuf *b, size_t used);

/* The same bytes in a buffer of that size, all of it charged. NULL when the budget or the system
 * refuses; then b is as it was. Sole owner. */
struct rcbuf *rcbuf_resize(struct rcbuf *b, size_t size);

struct rcbuf *rcbuf_ref(struct rcbuf *b);
void rcbuf_unref(struct rcbuf *b); /* takes NULL */

#endif
