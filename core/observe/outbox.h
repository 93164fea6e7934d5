/* outbox: batches on their way to the next component, at most limit of them unfinished.
 *
 * With keep, a batch that is told to come again is sent again by outbox_retry(); a reference is
 * held for it, so whoever wants to write to the batch works on a clone. Without keep it is counted
 * as refused and let go: for data that the next batch says again. */
#ifndef WEIR_OBSERVE_OUTBOX_H
#define WEIR_OBSERVE_OUTBOX_H

#include "core/component.h"

struct outbox;

/* Items (data points, log records). */
struct outbox_counts {
	uint64_t delivered, refused, lost;
};

/* on_settled is called when a batch is through, for good or not, maybe from within outbox_send()
 * and outbox_retry(); it must not free the outbox there. NULL: no memory. */
struct outbox *outbox_new(struct consumer next, unsigned limit, bool keep,
                          void (*on_settled)(void *arg), void *arg);

/* Gives up what is unfinished (outbox_items() says how much). Batches that are still with the next
 * component come back later, to nobody. Takes NULL. */
void outbox_free(struct outbox *o);

bool outbox_has_room(const struct outbox *o);
bool outbox_is_empty(const struct outbox *o);

/* Takes the reference. False: no memory, and the batch still is the caller's. */
bool outbox_send(struct outbox *o, struct batch *batch);

/* Sends again what was told to wait and has waited long enough. */
void outbox_retry(struct outbox *o, uint64_t now_ns);

size_t outbox_items(const struct outbox *o); /* unfinished */
const struct outbox_counts *outbox_counts(const struct outbox *o);

#endif
