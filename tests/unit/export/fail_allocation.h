/* fail_allocation: lets one allocation of the code under test fail. Link the program with
 * -Wl,--wrap for malloc, calloc, realloc and reallocarray. */
#ifndef WEIR_TESTS_FAIL_ALLOCATION_H
#define WEIR_TESTS_FAIL_ALLOCATION_H

#include <stdbool.h>

/* From now on the nth allocation fails, once; 1 is the next. 0: none. */
void fail_allocation(unsigned nth);

/* Whether it has come to that, and nothing fails any more. */
bool fail_allocation_end(void);

#endif
