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
	uint8_t data[];
};

/* size bytes, not zeroed, one reference. NULL when the budget or the system refuses. */
struct rcbuf *rcbuf_new(size_t size, struct budget *budget);
struct rcbuf *rcbuf_ref(struct rcbuf *b);
void rcbuf_unref(struct rcbuf *b); /* takes NULL */

#endif
