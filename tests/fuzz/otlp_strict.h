/* otlp_strict: what in a message protobuf-c treats otherwise than core/wire/otlp.h promises, found by a
 * walk of its own over the bytes. */
#ifndef WEIR_TESTS_FUZZ_OTLP_STRICT_H
#define WEIR_TESTS_FUZZ_OTLP_STRICT_H

#include "core/wire/otlp.h"

enum {
	STRICT = 1, /* accepted by protobuf-c, refused by otlp_decode() */
	MERGED = 2, /* a message field that comes twice: protobuf-c loses part of the first, and
	                      reads before its table of fields when a oneof in it is not set */
	NEGATIVE_ZERO = 4, /* protobuf-c does not write it */
};
unsigned otlp_strict(const ProtobufCMessageDescriptor *type, struct slice bytes);

/* Whether protobuf_c_message_unpack() accepts the bytes. Of message fields that come more than once all
 * but the last are given to it by themselves, so that it has nothing to merge: that one comes behind
 * another changes nothing about whether it is one. */
bool otlp_protobuf_c_accepts(const ProtobufCMessageDescriptor *type, struct slice bytes);

#endif
