#include "core/base/budget.h"

#include <assert.h>

bool budget_take(struct budget *b, size_t size)
{
	if (!b)
		return true;
	if (b->limit && (size > b->limit || b->used > b->limit - size)) {
		b->refusals++;
		return false;
	}
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
