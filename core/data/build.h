/* build: what makers of telemetry (receivers, connectors, weir's own metrics) use to fill decoded
 * groups. Everything is allocated from the batch's arena. Every function returns NULL or false when
 * there is no memory; what was made so far goes with the batch. */
#ifndef WEIR_DATA_BUILD_H
#define WEIR_DATA_BUILD_H

#include "core/data/batch.h"

/* A list under construction of pointers to messages; grows by doubling. */
struct build_list {
	void **items;
	size_t count, capacity;
};
bool build_list_add(struct arena *a, struct build_list *l, void *item);

/* A zeroed and initialised message of that type: BUILD(arena, Otlp__Span, otlp__span). */
#define BUILD(arena, type, name) ((type *)build_message(arena, &name##__descriptor))
void *build_message(struct arena *a, const ProtobufCMessageDescriptor *descriptor);

/* Attribute lists. The key is not copied (a constant from semconv.h); string values are copied. */
bool build_string(struct arena *a, struct build_list *attributes, const char *key,
                  struct slice value);
bool build_int(struct arena *a, struct build_list *attributes, const char *key, int64_t value);
bool build_double(struct arena *a, struct build_list *attributes, const char *key, double value);
bool build_bool(struct arena *a, struct build_list *attributes, const char *key, bool value);

/* A constant as protobuf-c bytes, not copied. */
ProtobufCBinaryData build_text(const char *constant);
/* A copy. False: no memory. */
bool build_copy(struct arena *a, struct slice value, ProtobufCBinaryData *ret);

/* The attribute of that key, or NULL. The first where a key stands twice. */
const Otlp__AnyValue *attribute_find(Otlp__KeyValue *const *attributes, size_t n, const char *key);

#endif
