/* actions: an ordered list of changes to a list of attributes, as the Collector's attributes and resource processors
 * know them: insert, update, upsert, delete, hash, extract, convert.
 *
 * Made once from a configuration, applied to every item. The attributes of an item may be shared or constant (whoever
 * built the batch may give a thousand points one list), so nothing is written in place: what changes is replaced in a
 * copy of the list, and where nothing changes nothing is allocated. Keys and constants are copied into an arena once
 * for all items of it. For one loop. */
#ifndef WEIR_ATTRIBUTES_ACTIONS_H
#define WEIR_ATTRIBUTES_ACTIONS_H

#include "config/option.h"
#include "core/data/batch.h"

/* One element of `actions`. */
struct attribute_action {
	const char *key;
	int action;
	struct scalar value, default_value;
	const char *from_attribute, *from_context, *pattern, *converted_type;
};
extern const struct option attribute_action_options[];

struct actions;

/* list: of struct attribute_action, which must outlive the actions. -EINVAL, with the Collector's sentence; -ENOMEM. */
int actions_new(const struct group_list *list, struct actions **ret, struct error *error);
void actions_free(struct actions *a); /* takes NULL */

/* Before the first list of a batch: what from_context asks for is of that origin. */
void actions_begin(struct actions *a, const struct batch_origin *origin);

/* Applies all of them to a list, whose new content comes from that arena. -ENOMEM: the list is as it was. */
int actions_apply(struct actions *a, struct arena *arena, size_t *n, Otlp__KeyValue ***items);

/* The same for the attributes of a group's span, resource, ... in the arena that the group lives in. */
static inline struct arena *actions_arena(struct batch *b, const struct group *g)
{
	return g->home ? &g->home->arena : &b->arena;
}

/* Matches that were given up at a pattern's limit, since the last call. */
unsigned actions_given_up(struct actions *a);

#endif
