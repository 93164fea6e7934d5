#include "core/base/budget.h"

#include <assert.h>

bool budget_admits(struct budget *b, size_t size)
{
	if (!b || !b->limit || (size <= b->limit && b->used <= b->limit - size))
		return true;
	b->refusals++;
	return false;
}

bool budget_take(struct budget *b, size_t size)
{
	if (!b)
		return true;
	if (!budget_admits(b, size))
		return false;
	b->used += size;
	if (b->used > b->peak)
		b->peak = b->used;
	return true;
}

void budget_return(struct budget *b, size_t size)
{
	if (!b)
		return;
	assert(size <= b->used);
	b->used -= size;
}
