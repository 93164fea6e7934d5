/* unix_signal: SIGTERM and its like, delivered on the loop. */
#ifndef WEIR_LOOP_UNIX_SIGNAL_H
#define WEIR_LOOP_UNIX_SIGNAL_H

#include "core/loop/loop.h"

struct unix_signal;

/* NULL when there is no memory. Several watchers of one number are all called. */
struct unix_signal *unix_signal_new(struct loop *l, int number,
                                    void (*on_signal)(void *arg, int number), void *arg);
void unix_signal_free(struct unix_signal *s); /* takes NULL */

#endif
