/* merge: several configurations as one. Maps are joined key by key, at every depth; anything else
 * in the later one replaces what the earlier one says, null too. */
#ifndef WEIR_CONFIG_MERGE_H
#define WEIR_CONFIG_MERGE_H

#include "config/yaml.h"

/* The tree of both, or NULL: no memory. Either may be NULL, and is then absent. */
const struct node *merge_trees(const struct node *earlier, const struct node *later,
                               struct arena *arena);

#endif
