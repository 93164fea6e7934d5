/* outcome: what became of a batch, said exactly once.
 *
 * The done of a consume() is called on the same loop, maybe before consume() returns: copy what you
 * need, clear your fields, and call out last. */
#ifndef WEIR_DATA_OUTCOME_H
#define WEIR_DATA_OUTCOME_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome_status {
	OUTCOME_OK,        /* delivered, or taken over by a queue */
	OUTCOME_RETRY,     /* not now; the same batch may succeed later */
	OUTCOME_PERMANENT, /* never; drop it and count it */
	OUTCOME_CANCELED,  /* given up by a shutdown */
};

struct outcome {
	enum outcome_status status;
	uint64_t retry_after_ns; /* with RETRY: wait at least so long; 0: not said */
	uint64_t rejected_items; /* with OK: items that the destination refused for good (partial
	                            success) */
	const char *message;     /* NULL or a sentence; valid only during the call */
};

/* Adds the outcome of a part to that of the whole: RETRY over PERMANENT over CANCELED over OK, and
 * the longest delay. The sender learns the worst; after RETRY parts that went through come again.
 * True when the part's message now speaks for the whole: whoever wants it copies it into
 * whole->message, which is NULL then. rejected_items are left to the caller, whose parts may hold
 * the same items or different ones. */
static inline bool outcome_join(struct outcome *whole, const struct outcome *part)
{
	static const int weights[] = {[OUTCOME_OK] = 0,
	                              [OUTCOME_CANCELED] = 1,
	                              [OUTCOME_PERMANENT] = 2,
	                              [OUTCOME_RETRY] = 3};

	if (part->retry_after_ns > whole->retry_after_ns)
		whole->retry_after_ns = part->retry_after_ns;
	if (weights[part->status] > weights[whole->status]) {
		whole->status = part->status;
		whole->message = NULL;
	}
	return part->status == whole->status && part->message && !whole->message;
}

struct done {
	void (*fn)(void *arg, const struct outcome *outcome);
	void *arg;
};

static inline void done_call(struct done d, const struct outcome *outcome)
{
	if (d.fn)
		d.fn(d.arg, outcome);
}

static inline void done_ok(struct done d)
{
	done_call(d, &(struct outcome){.status = OUTCOME_OK});
}

static inline void done_retry(struct done d, uint64_t retry_after_ns, const char *message)
{
	done_call(d, &(struct outcome){.status = OUTCOME_RETRY,
	                               .retry_after_ns = retry_after_ns,
	                               .message = message});
}

static inline void done_permanent(struct done d, const char *message)
{
	done_call(d, &(struct outcome){.status = OUTCOME_PERMANENT, .message = message});
}

/* RETRY or PERMANENT, as the error is. */
static inline void done_error(struct done d, const struct error *error)
{
	if (error->kind == ERROR_RETRYABLE)
		done_retry(d, 0, error->message);
	else
		done_permanent(d, error->message);
}

#endif
