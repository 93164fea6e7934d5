/* value: what the actions and the matching need to know of an attribute's value. Internal to core/attributes. */
#ifndef WEIR_ATTRIBUTES_VALUE_H
#define WEIR_ATTRIBUTES_VALUE_H

#include "config/option.h"
#include "core/base/buffer.h"
#include "core/data/batch.h"

static inline struct slice slice_of_bytes(ProtobufCBinaryData b)
{
	return slice_of(b.data, b.len);
}

static inline ProtobufCBinaryData bytes_of_slice(struct slice s)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)s.data, .len = s.len};
}

/* The first attribute of that key: its place, or n. */
size_t value_find(Otlp__KeyValue *const *items, size_t n, struct slice key);

/* The value that stands in a configuration; its string is the configuration's. */
Otlp__AnyValue value_from_scalar(const struct scalar *s);

/* Of one type and equal; lists, maps and bytes are never equal. */
bool value_equal(const Otlp__AnyValue *a, const Otlp__AnyValue *b);

enum value_target { VALUE_TO_STRING, VALUE_TO_INT, VALUE_TO_DOUBLE, VALUE_TO_BOOL };

/* The value as another type, in *ret: a new string lies in the arena, text is room to work in. 1; 0 when it is of that
 * type already or cannot be converted; -ENOMEM. */
int value_convert(const Otlp__AnyValue *v, enum value_target to, struct arena *arena,
                  struct buffer *text, Otlp__AnyValue *ret);

#endif
