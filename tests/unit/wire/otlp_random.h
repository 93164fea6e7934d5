/* otlp_random: messages of any type with random contents, always the same for the same seed. */
#ifndef WEIR_TESTS_OTLP_RANDOM_H
#define WEIR_TESTS_OTLP_RANDOM_H

#include "core/wire/otlp.h"

/* Every message type of otlp.proto. */
extern const ProtobufCMessageDescriptor *const otlp_types[];
extern const size_t otlp_types_count;

struct otlp_random {
	struct arena *arena; /* of all that is made; without a limit */
	uint64_t state;      /* the seed */
	unsigned depth;      /* levels of messages to go down at most */
	bool unknown;        /* with unknown fields */
};

uint64_t otlp_random_u64(struct otlp_random *r);
ProtobufCMessage *otlp_random_message(struct otlp_random *r,
                                      const ProtobufCMessageDescriptor *type);

/* The same content, written as no canonical writer would: fields in another order, packed lists
 * taken apart, tags and lengths longer than needed. */
struct slice otlp_random_scramble(struct otlp_random *r, const ProtobufCMessageDescriptor *type,
                                  struct slice bytes);

/* What protobuf-c makes of the message. */
struct slice otlp_protobuf_c_pack(struct arena *arena, const ProtobufCMessage *m);

#endif
