/* make_batch: trace batches whose items can be told apart, as they would come over the wire. */
#ifndef WEIR_TESTS_MAKE_BATCH_H
#define WEIR_TESTS_MAKE_BATCH_H

#include "core/data/batch.h"

/* items spans with the names first, first + 1, ... in decimal, in one group. NULL: the budget
 * refused. */
struct batch *make_batch(size_t items, unsigned first, struct budget *budget);

/* Calls visit with the number of every span, in order. False: the budget refused to open it. */
bool each_number(const struct batch *b, void (*visit)(void *arg, unsigned number), void *arg);

#endif
