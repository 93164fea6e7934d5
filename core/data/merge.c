#include "core/data/batch_internal.h"

/* Every group is given its place before the first moves, so that a failure changes nothing. */
bool batch_merge(struct batch *into, struct batch *from)
{
	struct batch *source = from;
	struct group *places, *to, **last = into->last;

	assert(into->refs == 1 && into->signal == from->signal && into != from);
	places = arena_alloc_array(&into->arena, from->n_groups, sizeof *places);
	if (!places)
		return false;
	if (from->refs > 1) {
		source = batch_clone(from);
		if (!source)
			return false;
	}
	if (!batch_join_origin(into, &from->origin)) {
		if (source != from)
			batch_unref(source);
		return false;
	}
	to = places;
	for (struct group *g = source->first; g; g = g->next, to++) {
		group_move(to, g, source);
		*last = to;
		last = &to->next;
	}
	*last = NULL;
	into->last = last;
	into->n_groups += source->n_groups;
	into->placed += source->n_groups;
	into->items += source->items;
	source->first = NULL;
	if (source != from)
		batch_unref(source);
	batch_unref(from);
	return true;
}
