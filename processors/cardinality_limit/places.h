/* places: a flat hash table of small structs that lie in it. Linear probing, at most three quarters
 * full, grows by doubling and never shrinks. Each struct begins with its key, a hash that is secret
 * and not 0; the key is all that tells one from another.
 *
 * Pointers to places hold until the next places_reserve() or places_remove(). */
#ifndef WEIR_PROCESSORS_CARDINALITY_LIMIT_PLACES_H
#define WEIR_PROCESSORS_CARDINALITY_LIMIT_PLACES_H

#include "core/base/budget.h"

#include <stdint.h>

struct places {
	uint8_t *slots;
	size_t size;     /* of one struct, bytes */
	size_t capacity; /* a power of two, or 0 */
	size_t count;
	struct budget *budget;
};

void places_init(struct places *p, size_t size, struct budget *budget);
void places_fini(struct places *p);

/* Room for count structs in all. False: no memory, nothing changed. */
bool places_reserve(struct places *p, size_t count);

/* NULL: there is none. */
void *places_find(const struct places *p, uint64_t key);

/* Begins to fetch what places_find() will look at. */
void places_prefetch(const struct places *p, uint64_t key);

/* A new one, zeroed but for its key, which is not in the table; there must be room. */
void *places_add(struct places *p, uint64_t key);

/* Takes out the one in that slot. Another one may stand there afterwards. */
void places_remove(struct places *p, size_t slot);

/* The struct in that slot, slot < capacity; NULL: none. */
void *places_at(const struct places *p, size_t slot);

/* The most that a table for so many structs takes, while it grows included. */
size_t places_bound(size_t size, size_t count);

#endif
