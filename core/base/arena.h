/* arena: bump allocation for everything that lives and dies with one batch.
 *
 * Memory comes in chunks charged to a budget; arena_fini() returns all of it at once. Nothing is
 * freed singly. Not thread-safe: an arena belongs to one loop. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "core/base/budget.h"
#include "core/base/slice.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *head;
	struct budget *budget;
	uint8_t *at, *end; /* free room of the head chunk */
	size_t charged;    /* bytes taken from the budget */
};

void arena_init(struct arena *a, struct budget *budget);
void arena_fini(struct arena *a);

/* Everything in from becomes into's, as if it had been allocated there; from is empty afterwards.
 * Both have the same budget. What may fail half-way is built in an arena of its own: nothing of it
 * stays behind when that one is given up instead. */
void arena_join(struct arena *into, struct arena *from);

/* Slow path of arena_alloc: a new chunk. */
void *arena_alloc_chunk(struct arena *a, size_t size);

/* Returns size bytes aligned to 8, zeroed, or NULL when the budget or the system refuses (the
 * caller answers RETRY). */
static inline void *arena_alloc(struct arena *a, size_t size)
{
	size_t rounded = (size + 7) & ~(size_t)7;
	if (rounded >= size && rounded <= (size_t)(a->end - a->at) && rounded) {
		void *p = a->at;
		a->at += rounded;
		return p;
	}
	return arena_alloc_chunk(a, size);
}

/* n elements of size bytes each, zeroed; NULL also when n * size overflows. */
void *arena_alloc_array(struct arena *a, size_t n, size_t size);

/* A copy of the bytes, followed by a NUL that is not counted. Returns false when there is no
 * memory. */
bool arena_copy(struct arena *a, struct slice bytes, struct slice *ret);

/* A formatted NUL-terminated string, or NULL. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
