#include "config/merge.h"

const struct node *merge_trees(const struct node *earlier, const struct node *later,
                               struct arena *arena)
{
	struct node *joined;

	if (!later || !earlier)
		return later ? later : earlier;
	if (earlier->kind != NODE_MAP || later->kind != NODE_MAP)
		return later;
	joined = arena_alloc(arena, sizeof *joined);
	if (!joined)
		return NULL;
	*joined = *earlier;
	joined->count = 0;
	joined->entries =
		arena_alloc_array(arena, earlier->count + later->count, sizeof *joined->entries);
	if (!joined->entries)
		return NULL;
	for (size_t i = 0; i < earlier->count; i++) {
		struct node_entry entry = earlier->entries[i];
		const struct node *over = node_get(later, entry.key);
		if (over) {
			entry.value = merge_trees(entry.value, over, arena);
			if (!entry.value)
				return NULL;
		}
		joined->entries[joined->count++] = entry;
	}
	for (size_t i = 0; i < later->count; i++)
		if (!node_get(earlier, later->entries[i].key))
			joined->entries[joined->count++] = later->entries[i];
	return joined;
}
