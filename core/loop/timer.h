/* timer: calls back once or again and again. Resolution 1 ms; a delay is rounded up. */
#ifndef WEIR_LOOP_TIMER_H
#define WEIR_LOOP_TIMER_H

#include "core/loop/loop.h"

struct timer;

/* NULL when there is no memory. */
struct timer *timer_new(struct loop *l, void (*on_expired)(void *arg), void *arg);
void timer_free(struct timer *t); /* takes NULL */

/* First after delay_ns, then every repeat_ns (0: once). Starting a running timer starts it anew. */
void timer_start(struct timer *t, uint64_t delay_ns, uint64_t repeat_ns);
void timer_stop(struct timer *t);
bool timer_is_active(const struct timer *t);

#endif
