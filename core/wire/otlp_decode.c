/* otlp_decode: bytes to protobuf-c's structs, in place.
 *
 * A repeated field is counted by looking ahead over its run of equal tags, so that its list is
 * allocated once and exactly; a list that comes in several runs doubles. */
#include "core/wire/otlp_fields.h"

#include <errno.h>

struct decoder {
	struct arena *arena;
	struct otlp_fault fault;
};

/* One field on its way into a message. at stands behind the tag. */
struct place {
	ProtobufCMessage *message;
	const ProtobufCFieldDescriptor *field;
	const uint8_t *at, *end;
	uint32_t tag;
	unsigned depth; /* of message */
};

static bool decode_message(struct decoder *d, ProtobufCMessage *m, const uint8_t *at,
                           const uint8_t *end, unsigned depth);

static bool no_memory(struct decoder *d)
{
	d->fault.code = -ENOMEM;
	return false;
}

static bool refuse(struct decoder *d, const struct place *p, const char *reason)
{
	return otlp_fault_set(&d->fault, reason, p->message->descriptor, p->tag >> 3, p->at);
}

static void *member_of(ProtobufCMessage *m, unsigned offset)
{
	return (char *)m + offset;
}

static ProtobufCMessage *message_new(struct decoder *d, const ProtobufCMessageDescriptor *type)
{
	return otlp_message_new(d->arena, type);
}

/* Room for add more elements behind count of them. False: no memory. */
static bool list_reserve(struct decoder *d, void **list, size_t count, size_t add, size_t size)
{
	return otlp_list_reserve(d->arena, list, count, add, size) || no_memory(d);
}

static bool keep_unknown(struct decoder *d, struct place *p)
{
	ProtobufCMessage *m = p->message;
	const uint8_t *after = cursor_skip(p->at, p->end, p->tag);

	if (!after)
		return refuse(d, p, OTLP_FAULT_VALUE);
	if (!list_reserve(d, (void **)&m->unknown_fields, m->n_unknown_fields, 1,
	                  sizeof *m->unknown_fields))
		return false;
	m->unknown_fields[m->n_unknown_fields++] = (ProtobufCMessageUnknownField){
		.tag = p->tag >> 3,
		.wire_type = (ProtobufCWireType)(p->tag & 7),
		.len = (size_t)(after - p->at),
		.data = (uint8_t *)p->at,
	};
	p->at = after;
	return true;
}

/* ---- values */

static int32_t unzigzag32(uint32_t v)
{
	return (int32_t)(v >> 1 ^ -(v & 1));
}

static int64_t unzigzag64(uint64_t v)
{
	return (int64_t)(v >> 1 ^ -(v & 1));
}

/* One value that is neither bytes nor a message. Returns the byte after it, or NULL. */
static const uint8_t *decode_scalar(ProtobufCType type, const uint8_t *at, const uint8_t *end,
                                    void *ret)
{
	uint64_t value;

	switch (otlp_wire_types[type]) {
	case WIRE_FIXED64:
		if (end - at < 8)
			return NULL;
		memcpy(ret, at, 8);
		return at + 8;
	case WIRE_FIXED32:
		if (end - at < 4)
			return NULL;
		memcpy(ret, at, 4);
		return at + 4;
	default:
		at = cursor_varint(at, end, &value);
		if (!at)
			return NULL;
	}
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		*(uint64_t *)ret = value;
		break;
	case PROTOBUF_C_TYPE_SINT64:
		*(int64_t *)ret = unzigzag64(value);
		break;
	case PROTOBUF_C_TYPE_SINT32:
		*(int32_t *)ret = unzigzag32((uint32_t)value);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)ret = value != 0;
		break;
	default:
		*(uint32_t *)ret = (uint32_t)value;
		break;
	}
	return at;
}

static bool decode_singular(struct decoder *d, struct place *p)
{
	const ProtobufCFieldDescriptor *field = p->field;
	void *member = member_of(p->message, field->offset);
	uint32_t *chosen = NULL;
	ProtobufCMessage *inner = NULL;
	size_t length;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		chosen = member_of(p->message, field->quantifier_offset);
	if ((p->tag & 7) != otlp_wire_types[field->type])
		return refuse(d, p, OTLP_FAULT_TYPE);

	if ((p->tag & 7) != WIRE_LENGTH) {
		const uint8_t *after = decode_scalar(field->type, p->at, p->end, member);
		if (!after)
			return refuse(d, p, OTLP_FAULT_VALUE);
		p->at = after;
	} else {
		const uint8_t *body = cursor_length(p->at, p->end, &length);
		if (!body)
			return refuse(d, p, OTLP_FAULT_VALUE);
		p->at = body + length;
		if (field->type == PROTOBUF_C_TYPE_BYTES) {
			*(ProtobufCBinaryData *)member =
				(ProtobufCBinaryData){.len = length, .data = (uint8_t *)body};
		} else {
			if (!chosen || *chosen == field->id)
				inner = *(ProtobufCMessage **)member;
			if (!inner) {
				inner = message_new(d, field->descriptor);
				if (!inner)
					return no_memory(d);
				*(ProtobufCMessage **)member = inner;
			}
			if (!decode_message(d, inner, body, p->at, p->depth + 1))
				return false;
		}
	}
	if (chosen)
		*chosen = field->id;
	return true;
}

/* Elements of a packed list: every value counts, whatever its length. */
static size_t packed_count(ProtobufCType type, const uint8_t *at, size_t length)
{
	size_t count = 0;

	switch (otlp_wire_types[type]) {
	case WIRE_FIXED64:
		return length / 8;
	case WIRE_FIXED32:
		return length / 4;
	default:
		for (size_t i = 0; i < length; i++)
			count += at[i] < 0x80;
		return count;
	}
}

/* Repeated numbers, packed or one by one: writers may do either, readers take both. */
static bool decode_numbers(struct decoder *d, struct place *p)
{
	const ProtobufCFieldDescriptor *field = p->field;
	void **list = member_of(p->message, field->offset);
	size_t *count = member_of(p->message, field->quantifier_offset);
	size_t size = otlp_element_sizes[field->type], add = 1;
	const uint8_t *at = p->at, *end = p->end;
	const char *fault = OTLP_FAULT_VALUE;

	if ((p->tag & 7) == WIRE_LENGTH) {
		size_t length;
		at = cursor_length(at, end, &length);
		if (!at)
			return refuse(d, p, OTLP_FAULT_VALUE);
		end = at + length;
		fault = OTLP_FAULT_PACKED;
		add = packed_count(field->type, at, length);
		if (add == 0 && length)
			return refuse(d, p, fault);
		if (add == 0) {
			p->at = end;
			return true;
		}
	} else if ((p->tag & 7) != otlp_wire_types[field->type]) {
		return refuse(d, p, OTLP_FAULT_TYPE);
	}
	if (!list_reserve(d, list, *count, add, size))
		return false;
	for (size_t i = 0; i < add; i++) {
		at = decode_scalar(field->type, at, end, (char *)*list + *count * size);
		if (!at)
			return refuse(d, p, fault);
		++*count;
	}
	if ((p->tag & 7) == WIRE_LENGTH && at != end)
		return refuse(d, p, fault);
	p->at = at;
	return true;
}

/* Fields of this tag that follow each other, the one whose length is at included. */
static size_t run_length(const uint8_t *at, const uint8_t *end, uint32_t tag)
{
	size_t n = 0, length;

	do {
		n++;
		at = cursor_length(at, end, &length);
		if (!at)
			break; /* found again and reported when it is decoded */
		at += length;
	} while (tag < 0x80 && at < end && *at++ == tag);
	return n;
}

/* Both structs of an attribute of the usual shape in one piece. NULL: no memory. */
static ProtobufCMessage *make_attribute(struct decoder *d, const struct otlp_attribute *attribute)
{
	struct {
		Otlp__KeyValue pair;
		Otlp__AnyValue value;
	} *made = arena_alloc(d->arena, sizeof *made);
	Otlp__AnyValue *value;

	if (!made) {
		no_memory(d);
		return NULL;
	}
	value = &made->value;
	made->pair.base.descriptor = &otlp__key_value__descriptor;
	made->pair.key = (ProtobufCBinaryData){.len = attribute->key.len,
	                                       .data = (uint8_t *)attribute->key.data};
	made->pair.value = value;
	value->base.descriptor = &otlp__any_value__descriptor;
	value->value_case = attribute->kind;
	if (attribute->kind == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
		value->string_value =
			(ProtobufCBinaryData){.len = attribute->string.len,
		                              .data = (uint8_t *)attribute->string.data};
	else if (attribute->kind == OTLP__ANY_VALUE__VALUE_BOOL_VALUE)
		value->bool_value = attribute->number != 0;
	else
		value->int_value = (int64_t)attribute->number; /* or the double beside it */
	return &made->pair.base;
}

static ProtobufCMessage *decode_element(struct decoder *d, const ProtobufCMessageDescriptor *type,
                                        const uint8_t *at, const uint8_t *end, unsigned depth)
{
	struct otlp_attribute attribute;
	ProtobufCMessage *m;

	if (type == &otlp__key_value__descriptor && depth < OTLP_DEPTH_LIMIT &&
	    otlp_attribute_read(at, (size_t)(end - at), &attribute))
		return make_attribute(d, &attribute);
	m = message_new(d, type);
	if (!m) {
		no_memory(d);
		return NULL;
	}
	return decode_message(d, m, at, end, depth) ? m : NULL;
}

/* Repeated bytes or messages: the whole run of fields of this tag. */
static bool decode_run(struct decoder *d, struct place *p)
{
	const ProtobufCFieldDescriptor *field = p->field;
	void **list = member_of(p->message, field->offset);
	size_t *count = member_of(p->message, field->quantifier_offset);
	size_t n;

	if ((p->tag & 7) != WIRE_LENGTH)
		return refuse(d, p, OTLP_FAULT_TYPE);
	n = run_length(p->at, p->end, p->tag);
	if (!list_reserve(d, list, *count, n, otlp_element_sizes[field->type]))
		return false;
	for (;;) {
		size_t length;
		const uint8_t *body = cursor_length(p->at, p->end, &length);

		if (!body)
			return refuse(d, p, OTLP_FAULT_VALUE);
		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			ProtobufCMessage *element = decode_element(d, field->descriptor, body,
			                                           body + length, p->depth + 1);
			if (!element)
				return false;
			((ProtobufCMessage **)*list)[*count] = element;
		} else {
			((ProtobufCBinaryData *)*list)[*count] =
				(ProtobufCBinaryData){.len = length, .data = (uint8_t *)body};
		}
		++*count;
		p->at = body + length;
		if (--n == 0)
			return true;
		p->at++; /* the next tag, seen by run_length() */
	}
}

/* ---- messages */

static bool decode_field(struct decoder *d, struct place *p)
{
	p->field = otlp_field(p->message->descriptor, p->tag >> 3);
	if (!p->field)
		return keep_unknown(d, p);
	if (p->field->label != PROTOBUF_C_LABEL_REPEATED)
		return decode_singular(d, p);
	if (otlp_is_packable(p->field))
		return decode_numbers(d, p);
	return decode_run(d, p);
}

static bool decode_message(struct decoder *d, ProtobufCMessage *m, const uint8_t *at,
                           const uint8_t *end, unsigned depth)
{
	struct place p = {.message = m, .at = at, .end = end, .depth = depth};

	if (depth > OTLP_DEPTH_LIMIT) {
		otlp_fault_set(&d->fault, OTLP_FAULT_DEPTH, m->descriptor, 0, at);
		d->fault.code = -E2BIG;
		return false;
	}
	while (p.at < p.end) {
		const uint8_t *value = cursor_tag(p.at, p.end, &p.tag);
		if (!value)
			return otlp_fault_set(&d->fault, OTLP_FAULT_TAG, m->descriptor, 0, p.at);
		p.at = value;
		if (!decode_field(d, &p))
			return false;
	}
	return true;
}

int otlp_decode_into(ProtobufCMessage *message, struct slice bytes, struct arena *arena,
                     struct error *error)
{
	struct decoder d = {.arena = arena};

	if (bytes.len && !decode_message(&d, message, bytes.data, bytes.data + bytes.len, 1))
		return otlp_fault_report(&d.fault, bytes.data, error);
	return 0;
}

int otlp_decode(const ProtobufCMessageDescriptor *type, struct slice bytes, struct arena *arena,
                ProtobufCMessage **ret, struct error *error)
{
	struct decoder d = {.arena = arena};
	ProtobufCMessage *m = message_new(&d, type);
	int r;

	if (!m)
		return error_no_memory(error);
	r = otlp_decode_into(m, bytes, arena, error);
	if (r == 0)
		*ret = m;
	return r;
}
