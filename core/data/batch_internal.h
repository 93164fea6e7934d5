/* batch_internal: what the files of core/data share. */
#ifndef WEIR_DATA_BATCH_INTERNAL_H
#define WEIR_DATA_BATCH_INTERNAL_H

#include "core/data/batch.h"

/* The group messages of the three signals have one shape: whoever handles a group without caring
 * for its items takes it for a ResourceSpans. */
_Static_assert(sizeof(Otlp__ResourceSpans) == sizeof(Otlp__ResourceMetrics) &&
                       sizeof(Otlp__ResourceSpans) == sizeof(Otlp__ResourceLogs),
               "groups are alike");
_Static_assert(offsetof(Otlp__ResourceSpans, resource) ==
                               offsetof(Otlp__ResourceMetrics, resource) &&
                       offsetof(Otlp__ResourceSpans, resource) ==
                               offsetof(Otlp__ResourceLogs, resource),
               "groups are alike");

/* An empty batch of the same signal, budget and origin; NULL: no memory. */
struct batch *batch_new_like(const struct batch *b);

/* into is about to take groups of that origin: see batch_merge(). False: no memory. */
bool batch_join_origin(struct batch *into, const struct batch_origin *from);

/* A zeroed group at the end of b's list, whose items its caller counts; NULL: no memory. */
struct group *batch_add_group(struct batch *b);

/* A group of that body, whose bytes pin holds (a reference is taken). False: no memory. */
bool batch_add_wire(struct batch *b, struct slice wire, size_t items, struct rcbuf *pin);

/* Lets go of what a group holds, as its batch ends or gives it up. */
void group_release(struct group *g);

/* Gives group from of batch owner to the (empty) group to of another batch. */
void group_move(struct group *to, struct group *from, struct batch *owner);

/* The group's message as it is sent, in *shell: group.resource, or none when none came and none was
 * put there. Valid while group and shell are. */
const ProtobufCMessage *group_sent_message(const struct group *g, Otlp__ResourceSpans *shell);
const Otlp__Resource *group_sent_resource(const struct group *g);

/* The encoded body of a group of any depth, appended to out. False: no memory. */
bool group_encode(const struct group *g, struct buffer *out);
size_t group_body_size(const struct group *g);

/* Bytes of a group in a request: tag, length and body. */
size_t group_field_size(size_t body);

/* A deep copy. Bytes that lie in pin are shared, others copied. NULL: no memory. */
void *message_copy(struct arena *a, const ProtobufCMessage *m, const struct rcbuf *pin);

/* One group cut into groups of at most limit each; see chop.c. */
struct chopped {
	struct rcbuf *body;
	size_t items;
};
int group_chop(const struct group *g, enum signal signal, enum batch_sizer sizer, size_t limit,
               struct arena *scratch, struct chopped **ret, size_t *ret_n, struct error *error);

#endif
