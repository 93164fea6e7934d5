#include "core/data/build.h"

enum { FIRST_CAPACITY = 8 };

bool build_list_add(struct arena *a, struct build_list *l, void *item)
{
	if (l->count == l->capacity) {
		size_t capacity = l->capacity ? l->capacity * 2 : FIRST_CAPACITY;
		void **items = arena_alloc_array(a, capacity, sizeof *items);

		if (!items)
			return false;
		if (l->count)
			memcpy(items, l->items, l->count * sizeof *items);
		l->items = items;
		l->capacity = capacity;
	}
	l->items[l->count++] = item;
	return true;
}

void *build_message(struct arena *a, const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage *m = arena_alloc(a, descriptor->sizeof_message);

	if (m)
		protobuf_c_message_init(descriptor, m);
	return m;
}

/* An attribute at the end of the list, with a value still to be chosen. */
static Otlp__AnyValue *add_attribute(struct arena *a, struct build_list *attributes,
                                     const char *key)
{
	Otlp__KeyValue *pair = BUILD(a, Otlp__KeyValue, otlp__key_value);
	Otlp__AnyValue *value = BUILD(a, Otlp__AnyValue, otlp__any_value);

	if (!pair || !value || !build_list_add(a, attributes, pair))
		return NULL;
	pair->key = build_text(key);
	pair->value = value;
	return value;
}

bool build_string(struct arena *a, struct build_list *attributes, const char *key,
                  struct slice value)
{
	ProtobufCBinaryData copy;
	Otlp__AnyValue *any;

	if (!build_copy(a, value, &copy))
		return false;
	any = add_attribute(a, attributes, key);
	if (!any)
		return false;
	any->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	any->string_value = copy;
	return true;
}

bool build_int(struct arena *a, struct build_list *attributes, const char *key, int64_t value)
{
	Otlp__AnyValue *any = add_attribute(a, attributes, key);

	if (!any)
		return false;
	any->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	any->int_value = value;
	return true;
}

bool build_double(struct arena *a, struct build_list *attributes, const char *key, double value)
{
	Otlp__AnyValue *any = add_attribute(a, attributes, key);

	if (!any)
		return false;
	any->value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
	any->double_value = value;
	return true;
}

bool build_bool(struct arena *a, struct build_list *attributes, const char *key, bool value)
{
	Otlp__AnyValue *any = add_attribute(a, attributes, key);

	if (!any)
		return false;
	any->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	any->bool_value = value;
	return true;
}

ProtobufCBinaryData build_text(const char *constant)
{
	return (ProtobufCBinaryData){.len = strlen(constant), .data = (uint8_t *)constant};
}

bool build_copy(struct arena *a, struct slice value, ProtobufCBinaryData *ret)
{
	struct slice copy;

	if (!arena_copy(a, value, &copy))
		return false;
	*ret = (ProtobufCBinaryData){.len = copy.len, .data = (uint8_t *)copy.data};
	return true;
}

const Otlp__AnyValue *attribute_find(Otlp__KeyValue *const *attributes, size_t n, const char *key)
{
	struct slice wanted = slice_from_string(key);

	for (size_t i = 0; i < n; i++)
		if (slice_equal(slice_of(attributes[i]->key.data, attributes[i]->key.len), wanted))
			return attributes[i]->value;
	return NULL;
}
