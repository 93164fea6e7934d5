/* otlp_json_decode: yajl's events, driving protobuf-c's descriptors.
 *
 * Each open object or list that is known has a frame; what is unknown is only counted. The elements of
 * an open list wait on a stack of their own, in which the lists inside them come and go, so that each
 * list is allocated once and exactly.
 *
 * Of yajl three things are not taken as they are. It does not look whether it was given memory: so its
 * memory comes from an arena, and a refusal leaves it for good by a long jump. It loses surrogates
 * without their other half: so a string with escapes, which it hands out as a copy, is read again from
 * the text, where its end is known. And it has no limit of depth: the frames are counted. */
#include "core/wire/otlp_json_decode.h"

#include "core/wire/json_values.h"
#include "core/wire/otlp_fields.h"
#include "core/wire/otlp_json_names.h"
#include "core/wire/otlp_json_value.h"

#include <errno.h>
#include <setjmp.h>
#include <yajl/yajl_parse.h>

enum {
	/* A message is an object, and stands in a list at most. What is unknown may nest as deep. */
	FRAME_LIMIT = 2 * OTLP_DEPTH_LIMIT,
	STACK_FIRST = 1024, /* bytes */
	PATH_SHOWN = 200,
};

struct frame {
	ProtobufCMessage *message;
	/* Of an object: of its last key, NULL when that is unknown. Of a list: the list's. */
	const ProtobufCFieldDescriptor *field;
	bool is_list;
	size_t start,
		count; /* of a list: where its elements begin on the stack, how many they are */
};

struct decoder {
	const ProtobufCMessageDescriptor *type;
	struct slice text;
	struct arena *arena;  /* of what is decoded */
	struct arena scratch; /* of yajl and of the stack */
	size_t begin;         /* of what yajl reads in text: behind a byte order mark */
	yajl_handle yajl;
	jmp_buf refused;
	bool finishing; /* yajl reads a byte of its own, which is not in text */
	ProtobufCMessage *root;
	struct frame frames[FRAME_LIMIT];
	size_t n_frames, n_messages, skipped; /* open; of them messages; open objects and lists
	                                         inside what is unknown */
	uint8_t *stack;
	size_t stack_used, stack_size;
	int code;
	struct error *error;
};

/* ---- yajl's memory */

static void *scratch_alloc(void *arg, size_t size)
{
	struct decoder *d = arg;
	size_t *p = NULL;

	if (size < SIZE_MAX - sizeof *p)
		p = arena_alloc(&d->scratch, sizeof *p + size);
	if (!p)
		longjmp(d->refused, 1);
	*p = size;
	return p + 1;
}

static void *scratch_realloc(void *arg, void *old, size_t size)
{
	size_t had = old ? ((size_t *)old)[-1] : 0;
	void *p = had < size ? scratch_alloc(arg, size) : old;

	if (had && p != old)
		memcpy(p, old, had);
	return p;
}

static void scratch_free(void *arg, void *p)
{
}

/* ---- faults: each returns false, which ends the parse */

static bool no_memory(struct decoder *d)
{
	d->code = error_no_memory(d->error);
	return false;
}

static void append_path(const struct decoder *d, struct buffer *out)
{
	for (size_t i = 0; i < d->n_frames; i++) {
		const struct frame *f = &d->frames[i];
		uint8_t *to;

		if (f->is_list) {
			bool inside = i + 1 < d->n_frames;
			/* an element is counted before it is opened, or after it was read */
			buffer_printf(out, "[%zu]", f->count - inside);
		} else if (f->field) {
			if (out->len)
				buffer_append_byte(out, '.');
			to = buffer_reserve(out, strlen(f->field->name));
			if (to)
				out->len += otlp_json_key_write(f->field->name, to);
		}
	}
}

/* Where in text yajl stands: behind the token of the event. */
static size_t position(const struct decoder *d)
{
	return d->finishing ? d->text.len : d->begin + yajl_get_bytes_consumed(d->yajl);
}

/* at: a byte of the text. */
static bool fault_at(struct decoder *d, size_t at, const char *reason)
{
	struct buffer path = BUFFER_INIT;
	const char *shown;
	size_t hidden;

	append_path(d, &path);
	if (path.len == 0)
		buffer_append_string(&path, d->type->short_name);
	hidden = path.len > PATH_SHOWN ? path.len - PATH_SHOWN : 0;
	shown = buffer_string(&path);
	error_set(d->error, -EBADMSG, "not OTLP/JSON: %s%s: %s, at byte %zu", hidden ? "..." : "",
	          shown ? shown + hidden : "a value", reason, at);
	d->code = -EBADMSG;
	buffer_fini(&path);
	return false;
}

static bool too_deep(struct decoder *d)
{
	error_set(d->error, -E2BIG,
	          "not acceptable as OTLP/JSON: nested too deep at byte %zu, at most %d levels of "
	          "messages inside messages are allowed",
	          position(d) - 1, OTLP_DEPTH_LIMIT);
	d->code = -E2BIG;
	return false;
}

/* Where a token begins. */
static size_t token_at(const struct decoder *d, const struct json_token *t)
{
	switch (t->kind) {
	case JSON_NULL:
		return position(d) - 4;
	case JSON_BOOL:
		return position(d) - (t->truth ? 4 : 5);
	case JSON_STRING:
		return (size_t)(t->text.data - d->text.data) - 1;
	default:
		return (size_t)(t->text.data - d->text.data);
	}
}

static bool fault(struct decoder *d, const struct json_token *t, const char *reason)
{
	return fault_at(d, d->finishing ? d->text.len : token_at(d, t), reason);
}

/* ---- where values go */

static void *member_of(ProtobufCMessage *m, unsigned offset)
{
	return (char *)m + offset;
}

static void choose(ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)member_of(m, field->quantifier_offset) = field->id;
}

static bool stack_push(struct decoder *d, struct frame *list, const union otlp_value *value)
{
	size_t size = otlp_element_sizes[list->field->type];

	if (d->stack_size - d->stack_used < sizeof *value) {
		size_t bytes = d->stack_size ? d->stack_size * 2 : STACK_FIRST;
		uint8_t *stack = arena_alloc(&d->scratch, bytes);

		if (!stack)
			return no_memory(d);
		if (d->stack_used)
			memcpy(stack, d->stack, d->stack_used);
		d->stack = stack;
		d->stack_size = bytes;
	}
	memcpy(d->stack + d->stack_used, value, size);
	d->stack_used += size;
	list->count++;
	return true;
}

/* The top frame; NULL when no object is open yet. */
static struct frame *top(struct decoder *d)
{
	return d->n_frames ? &d->frames[d->n_frames - 1] : NULL;
}

static bool frame_push(struct decoder *d, const struct frame *f)
{
	if (d->n_frames == FRAME_LIMIT)
		return too_deep(d);
	d->frames[d->n_frames++] = *f;
	return true;
}

static bool message_push(struct decoder *d, ProtobufCMessage *m)
{
	if (!m)
		return no_memory(d);
	if (d->n_messages == OTLP_DEPTH_LIMIT)
		return too_deep(d);
	d->n_messages++;
	return frame_push(d, &(struct frame){.message = m});
}

/* An object or a list inside what is unknown. */
static bool skip(struct decoder *d)
{
	if (d->n_frames + d->skipped >= FRAME_LIMIT)
		return too_deep(d);
	d->skipped++;
	return true;
}

static bool is_unknown(const struct decoder *d)
{
	return d->skipped || (d->n_frames && !d->frames[d->n_frames - 1].field);
}

static bool read_value(struct decoder *d, const ProtobufCFieldDescriptor *field,
                       const struct json_token *t, union otlp_value *ret)
{
	const char *reason = otlp_json_value_read(field, t, d->arena, &d->scratch, ret);

	if (reason == otlp_json_no_memory)
		return no_memory(d);
	return !reason || fault(d, t, reason);
}

static bool decode_token(struct decoder *d, const struct json_token *t)
{
	struct frame *f = top(d);
	union otlp_value value;

	if (is_unknown(d))
		return true;
	if (!f)
		return fault(d, t, "must be an object");
	if (f->is_list) {
		if (t->kind == JSON_NULL)
			return fault(d, t, "null cannot be an element of a list");
		return read_value(d, f->field, t, &value) && stack_push(d, f, &value);
	}
	if (t->kind == JSON_NULL)
		return true;
	if (f->field->label == PROTOBUF_C_LABEL_REPEATED)
		return fault(d, t, "must be a list");
	if (!read_value(d, f->field, t, &value))
		return false;
	memcpy(member_of(f->message, f->field->offset), &value, otlp_element_sizes[f->field->type]);
	choose(f->message, f->field);
	return true;
}

/* The message that a singular field holds already, or a new one. */
static ProtobufCMessage *message_in(struct decoder *d, const struct frame *f)
{
	ProtobufCMessage **member = member_of(f->message, f->field->offset);
	const uint32_t *chosen = member_of(f->message, f->field->quantifier_offset);
	bool is_oneof = f->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

	if (!*member || (is_oneof && *chosen != f->field->id))
		*member = otlp_message_new(d->arena, f->field->descriptor);
	choose(f->message, f->field);
	return *member;
}

/* ---- yajl's events */

static int on_start_map(void *arg)
{
	struct decoder *d = arg;
	struct frame *f = top(d);
	union otlp_value value;

	if (is_unknown(d))
		return skip(d);
	if (!f) {
		d->root = otlp_message_new(d->arena, d->type);
		return message_push(d, d->root);
	}
	if (f->is_list || f->field->label != PROTOBUF_C_LABEL_REPEATED) {
		if (f->field->type != PROTOBUF_C_TYPE_MESSAGE)
			return fault_at(d, position(d) - 1, "must not be an object");
		if (!f->is_list)
			return message_push(d, message_in(d, f));
		value.message = otlp_message_new(d->arena, f->field->descriptor);
		return stack_push(d, f, &value) && message_push(d, value.message);
	}
	return fault_at(d, position(d) - 1, "must be a list");
}

static int on_end_map(void *arg)
{
	struct decoder *d = arg;

	if (d->skipped) {
		d->skipped--;
	} else {
		d->n_frames--;
		d->n_messages--;
	}
	return true;
}

static int on_start_array(void *arg)
{
	struct decoder *d = arg;
	struct frame *f = top(d);

	if (is_unknown(d))
		return skip(d);
	if (!f)
		return fault_at(d, position(d) - 1, "must be an object");
	if (f->is_list || f->field->label != PROTOBUF_C_LABEL_REPEATED)
		return fault_at(d, position(d) - 1, "must not be a list");
	return frame_push(d, &(struct frame){.message = f->message,
	                                     .field = f->field,
	                                     .is_list = true,
	                                     .start = d->stack_used});
}

static int on_end_array(void *arg)
{
	struct decoder *d = arg;
	struct frame *f = top(d);
	size_t *count, size;
	void **list;

	if (d->skipped) {
		d->skipped--;
		return true;
	}
	list = member_of(f->message, f->field->offset);
	count = member_of(f->message, f->field->quantifier_offset);
	size = otlp_element_sizes[f->field->type];
	if (f->count) {
		if (!otlp_list_reserve(d->arena, list, *count, f->count, size))
			return no_memory(d);
		memcpy((char *)*list + *count * size, d->stack + f->start, f->count * size);
		*count += f->count;
	}
	d->stack_used = f->start;
	d->n_frames--;
	return true;
}

/* What yajl gives lies in the text, unless it had escapes. Then the text has it before the closing
 * quote, which yajl has just read, back to the quote that no backslash takes away. */
static bool find_string(struct decoder *d, const unsigned char *s, size_t len, struct slice *ret)
{
	const uint8_t *start = d->text.data, *end, *at;

	if ((uintptr_t)s >= (uintptr_t)start && (uintptr_t)s <= (uintptr_t)start + d->text.len) {
		*ret = slice_of(s, len);
		return false;
	}
	end = at = start + position(d) - 1;
	for (;;) {
		const uint8_t *slash;

		while (at[-1] != '"')
			at--;
		for (slash = at - 1; slash > start && slash[-1] == '\\'; slash--)
			;
		if ((at - 1 - slash) % 2 == 0)
			break;
		at--;
	}
	*ret = slice_of(at, (size_t)(end - at));
	return true;
}

/* ExportPartialSuccess.rejected, by the name that any signal gives it. */
static bool is_rejected(struct slice key)
{
	static const char *const names[] = {"rejectedSpans", "rejectedDataPoints",
	                                    "rejectedLogRecords", "rejectedProfiles"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_equal(key, slice_from_string(names[i])))
			return true;
	return false;
}

/* Writers keep to an order, so the search begins behind the last key. */
static const ProtobufCFieldDescriptor *find_field(const struct frame *f, struct slice key)
{
	const ProtobufCMessageDescriptor *type = f->message->descriptor;
	const ProtobufCFieldDescriptor *field = f->field, *end = type->fields + type->n_fields;

	if (key.len == 0)
		return NULL;
	if (type == &otlp__export_partial_success__descriptor && is_rejected(key))
		return type->fields;
	for (unsigned i = 0; i < type->n_fields; i++) {
		field = !field || field + 1 == end ? type->fields : field + 1;
		if ((uint8_t)field->name[0] != key.data[0] || !otlp_json_key_is(key, field->name))
			continue;
		/* An Any and "rejected" have forms of their own. */
		if (field->descriptor == &otlp__rpc_any__descriptor ||
		    (type == &otlp__export_partial_success__descriptor && field->id == 1))
			return NULL;
		return field;
	}
	return NULL;
}

static int on_key(void *arg, const unsigned char *s, size_t len)
{
	struct decoder *d = arg;
	struct frame *f = top(d);
	struct slice key;

	if (d->skipped)
		return true;
	if (find_string(d, s, len, &key)) {
		uint8_t *to = arena_alloc(&d->scratch, key.len);
		if (!to)
			return no_memory(d);
		key = slice_of(to, json_string_read(key, to));
	}
	f->field = find_field(f, key);
	return true;
}

static int on_string(void *arg, const unsigned char *s, size_t len)
{
	struct decoder *d = arg;
	struct json_token t = {.kind = JSON_STRING};

	if (is_unknown(d))
		return true;
	t.escaped = find_string(d, s, len, &t.text);
	return decode_token(d, &t);
}

static int on_number(void *arg, const char *s, size_t len)
{
	return decode_token(arg,
	                    &(struct json_token){.kind = JSON_NUMBER, .text = slice_of(s, len)});
}

static int on_boolean(void *arg, int truth)
{
	return decode_token(arg, &(struct json_token){.kind = JSON_BOOL, .truth = truth});
}

static int on_null(void *arg)
{
	return decode_token(arg, &(struct json_token){.kind = JSON_NULL});
}

/* ---- the whole */

/* What yajl says about it, without the full stop and the newline. */
static void syntax_fault(struct decoder *d)
{
	char *text = (char *)yajl_get_error(d->yajl, 0, NULL, 0);

	if (text)
		text[strcspn(text, ".\n")] = '\0';
	error_set(d->error, -EBADMSG, "not JSON: %s, at byte %zu",
	          text ? text : "it cannot be parsed", position(d));
	d->code = -EBADMSG;
}

static void parse(struct decoder *d)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_start_map,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end_map,
		.yajl_start_array = on_start_array,
		.yajl_end_array = on_end_array,
	};
	yajl_alloc_funcs memory = {scratch_alloc, scratch_realloc, scratch_free, d};
	yajl_status status;

	if (setjmp(d->refused)) {
		no_memory(d);
		return;
	}
	d->yajl = yajl_alloc(&callbacks, &memory, d);
	status = yajl_parse(d->yajl, d->text.data + d->begin, d->text.len - d->begin);
	if (status == yajl_status_ok) {
		d->finishing = true;
		status = yajl_complete_parse(d->yajl);
	}
	if (status == yajl_status_error)
		syntax_fault(d);
}

int otlp_json_decode_message(const ProtobufCMessageDescriptor *type, struct slice text,
                             struct arena *arena, ProtobufCMessage **ret, struct error *error)
{
	static const struct slice mark = SLICE_LITERAL("\xef\xbb\xbf");
	struct decoder d = {.type = type, .text = text, .arena = arena, .error = error};

	if (text.len == 0)
		return error_set(error, -EBADMSG, "not JSON: there is nothing");
	if (text.len >= mark.len && memcmp(text.data, mark.data, mark.len) == 0)
		d.begin = mark.len;
	arena_init(&d.scratch, arena->budget);
	parse(&d);
	arena_fini(&d.scratch);
	if (d.code == 0)
		*ret = d.root;
	return d.code;
}

int otlp_json_decode(enum signal signal, struct slice text, struct arena *arena,
                     ProtobufCMessage **ret, struct error *error)
{
	return otlp_json_decode_message(otlp_request_descriptor(signal), text, arena, ret, error);
}
