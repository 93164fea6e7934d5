#include "core/wire/otlp_fields.h"

struct copier {
	struct arena *arena;
	struct slice keep;
};

static void *copy_message(struct copier *c, const ProtobufCMessage *m);

static bool copy_bytes(struct copier *c, size_t len, uint8_t **data)
{
	struct slice copy;

	if (len == 0 || (uintptr_t)*data - (uintptr_t)c->keep.data < c->keep.len)
		return true;
	if (!arena_copy(c->arena, slice_of(*data, len), &copy))
		return false;
	*data = (uint8_t *)copy.data;
	return true;
}

static bool copy_value(struct copier *c, ProtobufCType type, void *member)
{
	ProtobufCBinaryData *bytes = member;
	ProtobufCMessage **inner = member;

	if (type == PROTOBUF_C_TYPE_BYTES)
		return copy_bytes(c, bytes->len, &bytes->data);
	if (type != PROTOBUF_C_TYPE_MESSAGE || !*inner)
		return true;
	*inner = copy_message(c, *inner);
	return *inner;
}

static void *copy_array(struct copier *c, const void *array, size_t n, size_t size)
{
	void *copy = arena_alloc_array(c->arena, n, size);

	if (copy && n)
		memcpy(copy, array, n * size);
	return copy;
}

static bool copy_list(struct copier *c, ProtobufCMessage *copy,
                      const ProtobufCFieldDescriptor *field)
{
	size_t n = *(size_t *)((char *)copy + field->quantifier_offset);
	void **list = (void **)((char *)copy + field->offset);
	size_t size = otlp_element_sizes[field->type];

	if (n == 0)
		return true;
	*list = copy_array(c, *list, n, size);
	if (!*list)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!copy_value(c, field->type, (char *)*list + i * size))
			return false;
	return true;
}

static bool copy_unknown(struct copier *c, ProtobufCMessage *copy)
{
	if (copy->n_unknown_fields == 0)
		return true;
	copy->unknown_fields = copy_array(c, copy->unknown_fields, copy->n_unknown_fields,
	                                  sizeof *copy->unknown_fields);
	if (!copy->unknown_fields)
		return false;
	for (unsigned i = 0; i < copy->n_unknown_fields; i++)
		if (!copy_bytes(c, copy->unknown_fields[i].len, &copy->unknown_fields[i].data))
			return false;
	return true;
}

static void *copy_message(struct copier *c, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	ProtobufCMessage *copy = copy_array(c, m, 1, type->sizeof_message);

	if (!copy)
		return NULL;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		char *at = (char *)copy;

		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			if (!copy_list(c, copy, field))
				return NULL;
			continue;
		}
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
		    *(uint32_t *)(at + field->quantifier_offset) != field->id)
			continue;
		if (!copy_value(c, field->type, at + field->offset))
			return NULL;
	}
	return copy_unknown(c, copy) ? copy : NULL;
}

void *otlp_copy(const ProtobufCMessage *message, struct slice keep, struct arena *arena)
{
	return copy_message(&(struct copier){.arena = arena, .keep = keep}, message);
}
