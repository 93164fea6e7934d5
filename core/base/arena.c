#include "core/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHUNK_FIRST = 1024, /* small batches stay small */
	CHUNK_LARGEST =
		64 * 1024 /* chunks double up to this; larger requests get a chunk of their own */
};

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of the whole chunk, this header included */
	_Alignas(8) uint8_t data[];
};

void arena_init(struct arena *a, struct budget *budget)
{
	*a = (struct arena){.budget = budget};
}

void arena_fini(struct arena *a)
{
	struct arena_chunk *chunk = a->head;
	while (chunk) {
		struct arena_chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
	budget_return(a->budget, a->charged);
	*a = (struct arena){.budget = a->budget};
}

void arena_join(struct arena *into, struct arena *from)
{
	struct arena_chunk **last = &from->head;

	assert(into->budget == from->budget);
	while (*last)
		last = &(*last)->next;
	if (into->end - into->at > from->end - from->at) { /* the head is where there is room */
		*last = into->head->next;
		into->head->next = from->head;
	} else {
		*last = into->head;
		into->head = from->head;
		into->at = from->at;
		into->end = from->end;
	}
	into->charged += from->charged;
	*from = (struct arena){.budget = from->budget};
}

void *arena_alloc_chunk(struct arena *a, size_t size)
{
	size_t rounded, wanted;
	struct arena_chunk *chunk;

	if (size > SIZE_MAX - sizeof *chunk - 7)
		return NULL;
	rounded = size ? (size + 7) & ~(size_t)7 : 8;
	if (rounded <= (size_t)(a->end - a->at)) { /* only for size 0 */
		void *p = a->at;
		a->at += rounded;
		return p;
	}
	wanted = a->head ? a->head->size * 2 : CHUNK_FIRST;
	if (wanted > CHUNK_LARGEST)
		wanted = CHUNK_LARGEST;
	if (wanted < rounded + sizeof *chunk)
		wanted = rounded + sizeof *chunk;
	if (!budget_take(a->budget, wanted))
		return NULL;
	chunk = calloc(1, wanted);
	if (!chunk) {
		budget_return(a->budget, wanted);
		return NULL;
	}
	a->charged += wanted;
	chunk->size = wanted;
	if (wanted > CHUNK_LARGEST && a->head) { /* keep bumping in the chunk that still has room */
		chunk->next = a->head->next;
		a->head->next = chunk;
		return chunk->data;
	}
	chunk->next = a->head;
	a->head = chunk;
	a->at = chunk->data + rounded;
	a->end = (uint8_t *)chunk + wanted;
	return chunk->data;
}

void *arena_alloc_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return arena_alloc(a, bytes);
}

bool arena_copy(struct arena *a, struct slice bytes, struct slice *ret)
{
	uint8_t *p;
	if (bytes.len == SIZE_MAX)
		return false;
	p = arena_alloc(a, bytes.len + 1);
	if (!p)
		return false;
	if (bytes.len)
		memcpy(p, bytes.data, bytes.len);
	*ret = slice_of(p, bytes.len);
	return true;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	char *p = NULL;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n >= 0 && (p = arena_alloc(a, (size_t)n + 1)))
		vsnprintf(p, (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	return p;
}
