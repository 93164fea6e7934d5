#include "core/prometheus/symbols.h"

#include "core/base/map.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 64, FIRST_ENTRIES = 64 };

/* A free id holds the number of the next free one in the place of its pointer. */
static struct symbol *free_link(uint32_t next)
{
	return (struct symbol *)(uintptr_t)next;
}

bool symbols_init(struct symbols *s, size_t limit)
{
	*s = (struct symbols){.limit = limit, .free_id = SYMBOL_NONE, .mask = FIRST_SLOTS - 1};
	s->entries = calloc(FIRST_ENTRIES, sizeof(struct symbol *));
	s->slots = calloc(FIRST_SLOTS, sizeof *s->slots);
	s->capacity = FIRST_ENTRIES;
	if (s->entries && s->slots)
		s->entries[SYMBOL_EMPTY] = calloc(1, sizeof *s->entries[0]);
	if (!s->entries || !s->slots || !s->entries[SYMBOL_EMPTY]) {
		free(s->entries);
		free(s->slots);
		*s = (struct symbols){0};
		return false;
	}
	s->end = 1;
	return true;
}

void symbols_fini(struct symbols *s)
{
	for (uint32_t next; s->free_id != SYMBOL_NONE && s->entries; s->free_id = next) {
		next = (uint32_t)(uintptr_t)s->entries[s->free_id];
		s->entries[s->free_id] = NULL;
	}
	for (uint32_t i = 0; i < s->end; i++)
		free(s->entries[i]);
	free(s->entries);
	free(s->slots);
	*s = (struct symbols){.free_id = SYMBOL_NONE};
}

static bool grow_slots(struct symbols *s)
{
	uint32_t mask = s->mask * 2 + 1;
	uint32_t *slots = mask > s->mask ? calloc((size_t)mask + 1, sizeof *slots) : NULL;

	if (!slots)
		return false;
	for (uint32_t i = 0; i <= s->mask; i++)
		if (s->slots[i]) {
			uint32_t at = s->entries[s->slots[i]]->hash & mask;

			while (slots[at])
				at = (at + 1) & mask;
			slots[at] = s->slots[i];
		}
	free(s->slots);
	s->slots = slots;
	s->mask = mask;
	return true;
}

static bool grow_entries(struct symbols *s)
{
	uint32_t capacity = s->capacity + s->capacity / 2;
	struct symbol **entries = NULL;

	if (capacity > s->capacity && capacity < SYMBOL_NONE)
		entries = reallocarray(s->entries, capacity, sizeof(struct symbol *));
	if (!entries)
		return false;
	s->entries = entries;
	s->capacity = capacity;
	return true;
}

/* Memory of a text, as malloc() counts it. */
static size_t cost(const struct symbol *symbol)
{
	return malloc_usable_size((void *)symbol) + sizeof(size_t);
}

static uint32_t add(struct symbols *s, struct slice text, uint32_t hash, uint32_t at,
                    bool *ret_full)
{
	struct symbol *symbol;
	uint32_t id;

	if (s->limit && s->bytes + sizeof *symbol + text.len > s->limit) {
		*ret_full = true;
		return SYMBOL_NONE;
	}
	if (s->free_id == SYMBOL_NONE && s->end == s->capacity && !grow_entries(s))
		return SYMBOL_NONE;
	symbol = malloc(sizeof *symbol + text.len);
	if (!symbol)
		return SYMBOL_NONE;
	*symbol = (struct symbol){.refs = 1, .len = (uint32_t)text.len, .hash = hash};
	memcpy(symbol->text, text.data, text.len);
	if (s->free_id != SYMBOL_NONE) {
		id = s->free_id;
		s->free_id = (uint32_t)(uintptr_t)s->entries[id];
	} else {
		id = s->end++;
	}
	s->entries[id] = symbol;
	s->slots[at] = id;
	s->count++;
	s->bytes += cost(symbol);
	return id;
}

uint32_t symbols_intern(struct symbols *s, struct slice text, bool *ret_full)
{
	uint32_t hash, at;

	if (!text.len)
		return SYMBOL_EMPTY;
	if (text.len > UINT32_MAX / 2) {
		*ret_full = true;
		return SYMBOL_NONE;
	}
	/* at two thirds: probes stay short, and a table of ids is small */
	if (s->count >= s->mask - s->mask / 3 && !grow_slots(s))
		return SYMBOL_NONE;
	hash = (uint32_t)hash_bytes(text.data, text.len);
	for (at = hash & s->mask; s->slots[at]; at = (at + 1) & s->mask) {
		struct symbol *symbol = s->entries[s->slots[at]];

		if (symbol->hash == hash && symbol->len == text.len &&
		    memcmp(symbol->text, text.data, text.len) == 0) {
			if (symbol->refs == UINT32_MAX) {
				*ret_full = true;
				return SYMBOL_NONE;
			}
			symbol->refs++;
			return s->slots[at];
		}
	}
	return add(s, text, hash, at, ret_full);
}

void symbols_ref(struct symbols *s, uint32_t id)
{
	if (id != SYMBOL_EMPTY)
		s->entries[id]->refs++;
}

/* Takes the id out of the hash table and closes the gap, so that no probe ends early. */
static void remove_slot(struct symbols *s, uint32_t id)
{
	uint32_t at = s->entries[id]->hash & s->mask, next;

	while (s->slots[at] != id)
		at = (at + 1) & s->mask;
	for (next = (at + 1) & s->mask; s->slots[next]; next = (next + 1) & s->mask) {
		uint32_t home = s->entries[s->slots[next]]->hash & s->mask;

		if (((next - home) & s->mask) >= ((next - at) & s->mask)) {
			s->slots[at] = s->slots[next];
			at = next;
		}
	}
	s->slots[at] = 0;
}

void symbols_unref(struct symbols *s, uint32_t id)
{
	struct symbol *symbol;

	if (id == SYMBOL_EMPTY)
		return;
	symbol = s->entries[id];
	assert(symbol->refs);
	if (--symbol->refs)
		return;
	remove_slot(s, id);
	s->count--;
	s->bytes -= cost(symbol);
	free(symbol);
	s->entries[id] = free_link(s->free_id);
	s->free_id = id;
}
