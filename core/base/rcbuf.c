#include "core/base/rcbuf.h"

#include <assert.h>
#include <stdlib.h>

/* charged: of the data. */
static struct rcbuf *make(size_t size, size_t charged, struct budget *budget)
{
	struct rcbuf *b;

	if (!budget_take(budget, sizeof *b + charged))
		return NULL;
	b = malloc(sizeof *b + size);
	if (!b) {
		budget_return(budget, sizeof *b + charged);
		return NULL;
	}
	*b = (struct rcbuf){.budget = budget, .refs = 1, .size = size, .charged = charged};
	return b;
}

struct rcbuf *rcbuf_new(size_t size, struct budget *budget)
{
	return size > SIZE_MAX - sizeof(struct rcbuf) ? NULL : make(size, size, budget);
}

struct rcbuf *rcbuf_claim(size_t size, struct budget *budget)
{
	if (size > SIZE_MAX - sizeof(struct rcbuf) ||
	    !budget_admits(budget, sizeof(struct rcbuf) + size))
		return NULL;
	return make(size, 0, budget);
}

bool rcbuf_charge(struct rcbuf *b, size_t used)
{
	assert(b->refs == 1 && used <= b->size);
	if (used <= b->charged)
		return true;
	if (!budget_take(b->budget, used - b->charged))
		return false;
	b->charged = used;
	return true;
}

struct rcbuf *rcbuf_resize(struct rcbuf *b, size_t size)
{
	size_t more = size > b->charged ? size - b->charged : 0;
	struct budget *budget = b->budget;
	struct rcbuf *moved;

	assert(b->refs == 1);
	if (size > SIZE_MAX - sizeof *b || !budget_take(budget, more))
		return NULL;
	moved = realloc(b, sizeof *b + size);
	if (!moved) {
		budget_return(budget, more);
		return NULL;
	}
	if (size < moved->charged)
		budget_return(budget, moved->charged - size);
	moved->size = moved->charged = size;
	return moved;
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
	budget_return(b->budget, sizeof *b + b->charged);
	free(b);
}
