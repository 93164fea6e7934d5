#include "core/base/rcbuf.h"

#include <assert.h>
#include <stdlib.h>

struct rcbuf *rcbuf_new(size_t size, struct budget *budget)
{
	struct rcbuf *b;

	if (size > SIZE_MAX - sizeof *b || !budget_take(budget, sizeof *b + size))
		return NULL;
	b = malloc(sizeof *b + size);
	if (!b) {
		budget_return(budget, sizeof *b + size);
		return NULL;
	}
	*b = (struct rcbuf){.budget = budget, .refs = 1, .size = size};
	return b;
}

struct rcbuf *rcbuf_ref(struct rcbuf *b)
{
	b->refs++;
	return b;
}

void rcbuf_unref(struct rcbuf *b)
{
	if (!b)
		return;
	assert(b->refs > 0);
	if (--b->refs)
		return;
	budget_return(b->budget, sizeof *b + b->size);
	free(b);
}
