/* budget: an exact account of bytes with a hard limit.
 *
 * The process has one (host->budget): every arena chunk and every rcbuf of every batch is charged
 * to it when it is taken and returned when it is freed. memory_limiter and the receivers' admission
 * read it; nothing is sampled. Not thread-safe: a budget belongs to one loop. Take and return on
 * the loop's thread. */
#ifndef WEIR_BASE_BUDGET_H
#define WEIR_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct budget {
	size_t limit; /* bytes; 0: no limit */
	size_t used;
	size_t peak;
	unsigned long refusals; /* calls of budget_take() that were refused */
};

/* Charges size bytes. False when that would exceed the limit; then nothing was charged. NULL always
 * grants. */
bool budget_take(struct budget *b, size_t size);
/* Whether budget_take() would grant so much now; a no counts as a refusal. */
bool budget_admits(struct budget *b, size_t size);
void budget_return(struct budget *b, size_t size);

#endif
