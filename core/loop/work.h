/* work: blocking work (fsync, large compression, name look-ups in files) on libuv's pool of
 * threads. */
#ifndef WEIR_LOOP_WORK_H
#define WEIR_LOOP_WORK_H

#include "core/loop/loop.h"

/* Calls run(arg) on a pool thread, then on_done(arg) on the loop, always, exactly once. There is no
 * cancelling: the owner of arg waits for on_done before it frees it. Returns 0 or -ENOMEM. */
int work_submit(struct loop *l, void (*run)(void *arg), void (*on_done)(void *arg), void *arg);

#endif
