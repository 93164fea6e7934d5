/* loop: one thread's event loop (libuv). Everything of one graph lives on one loop.
 *
 * Handles (timer, poll, unix_signal) are heap objects: x_new() gives one, x_free() stops it at once
 * (no callback comes after it) and lets libuv close and free it later. A loop ends when every
 * handle was freed and all work is done. */
#ifndef WEIR_LOOP_LOOP_H
#define WEIR_LOOP_LOOP_H

#include "core/base/error.h"

#include <stdint.h>

struct loop;
struct uv_loop_s;

int loop_new(struct loop **ret, struct error *error);

/* Runs until nothing is left that could call back. */
void loop_run(struct loop *l);

/* Runs one round: waits for the next event at most, and handles it. False when nothing is left. */
bool loop_run_once(struct loop *l);

/* Runs until nothing is left, but no longer than timeout_ns. False when something still is, which
 * may be a thread of the pool that hangs in the kernel (a disk, a name server): loop_free() would
 * wait for it. */
bool loop_run_for(struct loop *l, uint64_t timeout_ns);

void loop_free(struct loop *l); /* after loop_run(); takes NULL */

/* The moment at which this round of the loop began, on clock_monotonic_ns()'s clock. */
uint64_t loop_now_ns(const struct loop *l);

/* A message to a loop from any thread; embedded in what it is about, in flight at most once. */
struct loop_message {
	void (*deliver)(struct loop_message *m); /* on the loop's thread */
	struct loop_message *next;
};
void loop_post(struct loop *l, struct loop_message *m);

/* For core/net only. */
struct uv_loop_s *loop_uv(struct loop *l);

#endif
