/* request: what one attempt sends, and whom its outcome concerns.
 *
 * Every batch that consume() took is an entry: the account of its room in the queue and of its
 * done. A request holds parts of one or more entries in the order of their items: merging joins
 * part lists, splitting cuts them. An entry is answered when the last of its parts has been. */
#ifndef WEIR_EXPORT_REQUEST_H
#define WEIR_EXPORT_REQUEST_H

#include "core/base/list.h"
#include "core/export/retry.h"

struct entry;

struct part {
	struct part *next;
	struct entry *entry;
	size_t items;
};

struct entry {
	struct done done;       /* fn NULL once answered */
	size_t size;            /* of the batch as it came, by the queue's sizer */
	size_t parts;           /* not answered yet */
	struct outcome outcome; /* joined from the answered parts */
	char *message;          /* the outcome's, while parts are missing; or NULL */
	struct part own;
};

struct request {
	struct list link;
	struct exporter *exporter; /* NULL: it has been freed */
	struct batch *batch;
	size_t size; /* by the batcher's sizer */
	struct part *first, *last;

	bool attempted, abandoned; /* abandoned: counted as lost, its attempt is still out */
	uint64_t attempt_started_ns, due_ns;
	struct retry retry;
};

/* A request of one entry. Takes the reference to batch when it succeeds. NULL: no memory. */
struct request *request_new(struct exporter *e, struct batch *batch, size_t queue_size,
                            size_t batch_size, struct done done);

/* Drops the batch. The parts were answered or moved. Takes NULL. */
void request_free(struct request *r);

/* Moves batch and parts of from to the end of r and frees from. False when there is no memory; then
 * nothing changed. */
bool request_merge(struct request *r, struct request *from);

/* Cuts off the front as its own request of at most limit (or of one item that is larger). Both
 * sizes are set anew. r is left without items when nothing remains. -ENOMEM or -EBADMSG: nothing
 * changed. */
int request_split(struct request *r, enum batch_sizer sizer, size_t limit, struct request **ret,
                  struct error *error);

/* Answers all parts and empties the part list. Calls on_entry(arg, entry) for each entry whose last
 * part this was, with the joined outcome in place, whose message is valid until the call returns and is
 * that of a failure or of rejected items, never another sender's. on_entry frees entry->message and the
 * entry. */
void request_answer(struct request *r, const struct outcome *outcome,
                    void (*on_entry)(void *arg, struct entry *entry), void *arg);

#endif
