/* poll: tells when a file descriptor is readable or writable. The descriptor stays the caller's,
 * who closes it only after poll_free(). */
#ifndef WEIR_LOOP_POLL_H
#define WEIR_LOOP_POLL_H

#include "core/loop/loop.h"

enum { POLL_READABLE = 1, POLL_WRITABLE = 2 };

struct poll;

/* NULL when there is no memory or the descriptor cannot be polled. */
struct poll *poll_new(struct loop *l, int fd, void (*on_ready)(void *arg, int events), void *arg);
void poll_free(struct poll *p); /* takes NULL */

void poll_start(struct poll *p, int events);
void poll_stop(struct poll *p);

#endif
