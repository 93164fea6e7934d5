/* symbols: byte strings told apart by small numbers.
 *
 * Every name and value of every series lies here once. Ids are dense and used again after the last
 * reference has gone, so that a table beside this one (an encoder's, say) can be an array. Id 0 is
 * the empty string and is never counted. Bounded in bytes. Not thread-safe. */
#ifndef WEIR_PROMETHEUS_SYMBOLS_H
#define WEIR_PROMETHEUS_SYMBOLS_H

#include "core/base/slice.h"

#define SYMBOL_EMPTY 0u
#define SYMBOL_NONE UINT32_MAX

struct symbol {
	uint32_t refs;
	uint32_t len;
	uint32_t hash;
	uint8_t text[];
};

struct symbols {
	struct symbol **entries; /* by id; free ones are chained through free_ids */
	uint32_t end;            /* every id is below: the size of an array beside this one */
	uint32_t capacity;
	uint32_t *slots; /* hash table of ids, 0: empty */
	uint32_t mask;
	uint32_t count;
	uint32_t free_id; /* first of the free ids, SYMBOL_NONE */
	size_t bytes;     /* memory of the texts */
	size_t limit;     /* of bytes; 0: none */
};

bool symbols_init(struct symbols *s, size_t limit); /* false: no memory */
void symbols_fini(struct symbols *s);

/* The text's id with one more reference. SYMBOL_NONE: no memory, or the limit (then *ret_full is
 * true). */
uint32_t symbols_intern(struct symbols *s, struct slice text, bool *ret_full);

void symbols_ref(struct symbols *s, uint32_t id);
void symbols_unref(struct symbols *s, uint32_t id);

/* Lives as long as the reference. */
static inline struct slice symbols_text(const struct symbols *s, uint32_t id)
{
	return slice_of(s->entries[id]->text, s->entries[id]->len);
}

#endif
