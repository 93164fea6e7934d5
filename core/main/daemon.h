/* daemon: one process that runs a plan: loop, memory account, own metrics, log, and the graph.
 *
 * A daemon holds one generation (a plan and its graph) at a time; the surroundings (host) outlive
 * it, so a second graph can be built beside a running one. */
#ifndef WEIR_MAIN_DAEMON_H
#define WEIR_MAIN_DAEMON_H

#include "core/pipeline/graph.h"

struct daemon;

/* Takes the plan, always. NULL and an error: not enough memory or descriptors. */
struct daemon *daemon_new(struct plan *plan, struct error *error);

/* Builds the graph, has it read the files that the configuration names, and takes it down again:
 * what `validate` does. tell is given every mistake. */
int daemon_try(struct daemon *d, void (*tell)(const struct error *error));

/* Runs until SIGTERM or SIGINT, or until a component reports a fatal error, and drains. A second
 * signal, or a component that does not close in time, ends the process here. Returns 0 after an
 * orderly stop; otherwise the error, with everything taken down. */
int daemon_run(struct daemon *d, struct error *error);

/* Takes NULL. False when a thread of the pool still hangs in the kernel (a disk, a name server):
 * then what it works with stays, and only _exit() ends the process without waiting for it. */
bool daemon_free(struct daemon *d);

#endif
