/* batch: telemetry of one signal on its way through a pipeline.
 *
 * A batch is a list of groups; a group is one ResourceSpans, ResourceMetrics or ResourceLogs
 * message. A group starts as the bytes that came over the wire, validated and counted but not
 * decoded, and is opened only as deep as somebody needs (batch_open). One reference count, one
 * arena, pinned receive buffers; every byte of them is charged to the budget and returned when the
 * last reference goes.
 *
 * Reference rule: consume() moves one reference, always. The sole owner (refs == 1) may write; a
 * shared batch is read-only (asserted). Not thread-safe: a batch belongs to one loop; a pool thread
 * may read a batch that the loop holds a reference to and does not touch meanwhile. */
#ifndef WEIR_DATA_BATCH_H
#define WEIR_DATA_BATCH_H

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/rcbuf.h"
#include "core/base/signal.h"
#include "core/wire/otlp.pb-c.h"

#include <assert.h>

enum depth {
	DEPTH_WIRE,     /* bytes of the whole group message */
	DEPTH_RESOURCE, /* .resource decoded, everything else untouched bytes */
	DEPTH_FULL,     /* .message decoded, strings still in the pinned buffer */
};

struct batch_metadata {
	const char *name; /* lower case */
	const char *value;
};

/* Where a batch came from. NULL members: not known, or not the same for all of a merged batch. Owned by
 * the batch's arena. */
struct batch_origin {
	const char *receiver;                  /* id of the receiver */
	const char *peer;                      /* address of the client, text */
	const char *identity;                  /* who the client is, as an authenticator says */
	const struct batch_metadata *metadata; /* the request's, where include_metadata is on */
	size_t n_metadata;
};

struct group {
	struct group *next;
	enum depth depth;
	size_t items;      /* spans, data points or log records */
	struct slice wire; /* the body of the group's message (no tag, no length) for as long as
	                      nobody has opened it to write; then empty (.data NULL). Exporters send
	                      it untouched. */
	Otlp__Resource *resource; /* RESOURCE and FULL; never NULL there, at FULL the message's own:
	                             write through it, or replace both */
	bool resource_absent;     /* none came: while it is empty, none is sent */
	struct slice *rest;       /* RESOURCE: the other fields as they came, tags included */
	size_t n_rest;
	union { /* FULL */
		ProtobufCMessage *message;
		Otlp__ResourceSpans *spans;
		Otlp__ResourceMetrics *metrics;
		Otlp__ResourceLogs *logs;
	};
	struct rcbuf *pin;  /* holds wire, and the strings of what was decoded from it; or NULL */
	struct batch *home; /* the batch whose arena holds the decoded structs; NULL: this one's */
};

struct batch {
	unsigned refs;
	enum signal signal;
	struct group *first, **last;
	size_t n_groups;
	size_t items; /* sum over the groups */
	struct arena arena;
	size_t placed;   /* groups that ever had their place in this arena */
	unsigned guests; /* groups of other batches that live in this arena: it outlasts refs */
	struct batch_origin origin;
};

/* An empty batch with one reference, or NULL when there is no memory. */
struct batch *batch_new(enum signal signal, struct budget *budget);

/* The batch came from there; all of it is copied. False: no memory, nothing changed. */
bool batch_set_origin(struct batch *b, const struct batch_origin *origin);

/* What tells batches apart by the values of that metadata (names in any case): appended to out are
 * bytes that are equal exactly when all values of all names are; a name that did not come differs
 * from an empty value. False: no memory. */
bool batch_metadata_key(const struct batch *b, const char *const *names, size_t n,
                        struct buffer *out);

/* The first of these names that stands there a second time, in any case; NULL: none. */
const char *batch_metadata_repeated(const char *const *names, size_t n);

struct batch *batch_ref(struct batch *b);
void batch_unref(struct batch *b); /* takes NULL */

/* TAKE(b) hands a reference over: next->consume(next, TAKE(b), done). */
#define TAKE(pointer)                                                                              \
	__extension__({                                                                            \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	})

/* A batch of the groups in an Export*ServiceRequest (which TracesData, MetricsData and LogsData
 * resemble byte for byte). request lies in pin; a reference to pin is taken on success. Walks the
 * bytes once to validate the whole structure and to count. Fails with -EBADMSG (not OTLP; the
 * sentence names field and byte), -E2BIG (nested deeper than OTLP_DEPTH_LIMIT) or -ENOMEM
 * (retryable). Groups without items are kept: they are what came. Unknown fields are kept from the
 * group downwards; those beside the groups speak of the request, which ends here. */
int batch_from_request(enum signal signal, struct rcbuf *pin, struct slice request,
                       struct budget *budget, struct batch **ret, struct error *error);

/* Appends a decoded group (Otlp__ResourceSpans etc. of the batch's signal), whose memory is in
 * b->arena or static. Counts its items. False when there is no memory. */
bool batch_append(struct batch *b, ProtobufCMessage *message);

/* Decodes every group at least to depth d. When the batch is shared, *b becomes a clone that the
 * caller owns alone (its reference to the old one is dropped). On failure *b is unchanged:
 * -EBADMSG, -ENOMEM. After success (*b)->refs is 1 and everything decoded may be written. Deeper
 * groups stay as they are. */
int batch_open(struct batch **b, enum depth d, struct error *error);

/* Like batch_open() to FULL, but only to read: never clones, and keeps .wire, so that what is only
 * looked at is still sent untouched. A shared batch gains the decoded form for all its holders. */
int batch_read(struct batch *b, struct error *error);

/* A batch of the same content that the caller may write. Bytes are shared, decoded structs copied.
 * NULL: no memory. */
struct batch *batch_clone(struct batch *b);

/* Moves the groups of from to the end of into (sole owner, same signal) and drops the reference to
 * from. Nothing is copied, unless from is shared: then what is decoded of it is. Of into's origin
 * that stays which is true of from as well (a name of metadata: the same values in the same order),
 * the rest is forgotten; when into has no group yet it takes from's. False when there is no memory;
 * then into's groups are unchanged and from is not dropped. */
bool batch_merge(struct batch *into, struct batch *from);

enum batch_sizer { BATCH_REQUESTS, BATCH_ITEMS, BATCH_BYTES };

/* Encoded size of the whole request in bytes (no header of any protocol). Exact; FULL groups are
 * measured. */
size_t batch_bytes(const struct batch *b);
size_t batch_size(const struct batch *b, enum batch_sizer sizer); /* REQUESTS: 1 */

/* Cuts so that *ret_head holds as much as fits in limit and *b the rest. Every head has a group, but groups
 * may hold no item. Cuts between groups where it can, inside a group only when that group alone is larger
 * than limit. *b must be larger than limit; it may be replaced. A single item larger than limit bytes
 * becomes a head of its own; *b is empty when that item was all. On failure nothing changed: -ENOMEM,
 * -EBADMSG. */
int batch_split(struct batch **b, enum batch_sizer sizer, size_t limit, struct batch **ret_head,
                struct error *error);

/* The encoded request as pieces to write one after the other. Pieces point into the batch and into
 * own, and live as long as both. */
struct gather {
	struct slice *pieces;
	size_t n_pieces;
	size_t bytes; /* sum of the pieces */
	struct buffer own;
};
int batch_gather(const struct batch *b, struct gather *ret, struct error *error); /* -ENOMEM */
void gather_fini(struct gather *g);

/* The encoded request appended to out. -ENOMEM. */
int batch_encode(const struct batch *b, struct buffer *out, struct error *error);

/* The request as OTLP/JSON appended to out, on one line without a newline. Reads the batch
 * (batch_read). -EBADMSG, -ENOMEM. */
int batch_encode_json(struct batch *b, struct buffer *out, struct error *error);

#endif
