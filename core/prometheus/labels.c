#include "core/prometheus/labels.h"

#include "core/base/base64.h"
#include "core/base/json_string.h"
#include "core/base/utf8.h"
#include "core/prometheus/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum item_kind { ITEM_FIXED, ITEM_ATTRIBUTE, ITEM_EXTERNAL };

struct label_item {
	size_t name_at, name_len, value_at, value_len; /* in text */
	struct label label;                            /* the same, once text stays where it is */
	struct slice key;
	uint32_t order;
	uint8_t kind, rank;
};

void labels_fini(struct labels *l)
{
	free(l->items);
	free(l->list);
	buffer_fini(&l->text);
	*l = (struct labels){0};
}

void labels_begin(struct labels *l)
{
	buffer_clear(&l->text);
	l->n_items = l->n = 0;
	l->failed = l->full = false;
}

/* ---- values */

static void append_base64(struct buffer *out, ProtobufCBinaryData bytes)
{
	char *at = (char *)buffer_reserve(out, BASE64_TEXT(bytes.len));

	if (at)
		out->len += base64_encode(slice_of(bytes.data, bytes.len), true, at);
}

static void append_json(struct buffer *out, const Otlp__AnyValue *v)
{
	bool quoted;

	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		json_string_append(out, slice_of(v->string_value.data, v->string_value.len));
		break;
	case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
		buffer_append_byte(out, '[');
		for (size_t i = 0; i < v->array_value->n_values; i++) {
			if (i)
				buffer_append_byte(out, ',');
			append_json(out, v->array_value->values[i]);
		}
		buffer_append_byte(out, ']');
		break;
	case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
		buffer_append_byte(out, '{');
		for (size_t i = 0; i < v->kvlist_value->n_values; i++) {
			const Otlp__KeyValue *kv = v->kvlist_value->values[i];

			if (i)
				buffer_append_byte(out, ',');
			json_string_append(out, slice_of(kv->key.data, kv->key.len));
			buffer_append_byte(out, ':');
			append_json(out, kv->value);
		}
		buffer_append_byte(out, '}');
		break;
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		quoted = v->value_case == OTLP__ANY_VALUE__VALUE_BYTES_VALUE ||
		         !isfinite(v->double_value);
		if (quoted)
			buffer_append_byte(out, '"');
		labels_append_value(out, v);
		if (quoted)
			buffer_append_byte(out, '"');
		break;
	case OTLP__ANY_VALUE__VALUE__NOT_SET:
		buffer_append_string(out, "null");
		break;
	default:
		labels_append_value(out, v);
	}
}

void labels_append_value(struct buffer *out, const Otlp__AnyValue *v)
{
	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		utf8_append(out, slice_of(v->string_value.data, v->string_value.len));
		break;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		buffer_append_string(out, v->bool_value ? "true" : "false");
		break;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		buffer_printf(out, "%" PRId64, v->int_value);
		break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		number_append(out, v->double_value);
		break;
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
		append_base64(out, v->bytes_value);
		break;
	case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
	case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
		append_json(out, v);
		break;
	default:
		break;
	}
}

/* ---- collecting */

static struct label_item *item_add(struct labels *l, enum item_kind kind)
{
	struct label_item *item;

	if (l->text.len > SERIES_LABEL_BYTES_LIMIT || l->n_items > 2 * SERIES_LABELS_LIMIT)
		l->full = true;
	if (l->full || l->failed)
		return NULL;
	if (l->n_items == l->capacity) {
		size_t capacity = l->capacity ? l->capacity * 2 : 32;
		struct label_item *items = reallocarray(l->items, capacity, sizeof *items);

		if (!items) {
			l->failed = true;
			return NULL;
		}
		l->items = items;
		l->capacity = capacity;
	}
	item = &l->items[l->n_items];
	*item = (struct label_item){.name_at = l->text.len,
	                            .order = (uint32_t)l->n_items,
	                            .kind = (uint8_t)kind};
	return item;
}

/* name and value stand at the end of text; item is one more when both are there. */
static void item_keep(struct labels *l, struct label_item *item)
{
	item->value_len = l->text.len - item->value_at;
	l->failed |= l->text.failed;
	if (item->name_len && item->value_len)
		l->n_items++;
}

static void item_value_next(struct labels *l, struct label_item *item)
{
	item->name_len = l->text.len - item->name_at;
	item->value_at = l->text.len;
}

void labels_attribute(struct labels *l, enum name_strategy strategy, enum label_rank rank,
                      struct slice prefix, struct slice key, const Otlp__AnyValue *value)
{
	struct label_item *item = item_add(l, ITEM_ATTRIBUTE);

	if (!item || !key.len)
		return;
	item->key = key;
	item->rank = (uint8_t)rank;
	buffer_append_slice(&l->text, prefix);
	if (prefix.len && !l->text.failed) {
		/* behind a prefix a digit needs no shield of its own */
		struct buffer *out = &l->text;
		size_t at = out->len;

		name_label(out, strategy, key);
		if (!out->failed && key.data[0] >= '0' && key.data[0] <= '9' && out->len - at > 4 &&
		    memcmp(out->data + at, "key_", 4) == 0) {
			memmove(out->data + at, out->data + at + 4, out->len - at - 4);
			out->len -= 4;
		}
	} else {
		name_label(&l->text, strategy, key);
	}
	item_value_next(l, item);
	labels_append_value(&l->text, value);
	item_keep(l, item);
}

void labels_fixed(struct labels *l, const char *name, struct slice value)
{
	struct label_item *item = item_add(l, ITEM_FIXED);

	if (!item)
		return;
	buffer_append_string(&l->text, name);
	item_value_next(l, item);
	utf8_append(&l->text, value);
	item_keep(l, item);
}

void labels_external(struct labels *l, const char *name, const char *value)
{
	struct label_item *item = item_add(l, ITEM_EXTERNAL);

	if (!item)
		return;
	buffer_append_string(&l->text, name);
	item_value_next(l, item);
	buffer_append_string(&l->text, value);
	item_keep(l, item);
}

/* ---- finishing */

static struct slice item_name(const struct labels *l, const struct label_item *item)
{
	return slice_of(l->text.data + item->name_at, item->name_len);
}

static bool is_fixed(const struct labels *l, struct slice name)
{
	for (size_t i = 0; i < l->n_items && l->items[i].kind == ITEM_FIXED; i++)
		if (slice_equal(item_name(l, &l->items[i]), name))
			return true;
	return false;
}

/* exported_exported_job is possible: only what is fixed begins this, and no fixed name begins with
 * exported_. */
static void move_aside(struct labels *l)
{
	for (size_t i = 0; i < l->n_items; i++) {
		struct label_item *item = &l->items[i];
		size_t at = l->text.len;

		if (item->kind != ITEM_ATTRIBUTE || !is_fixed(l, item_name(l, item)))
			continue;
		buffer_append_string(&l->text, "exported_");
		if (!buffer_reserve(&l->text, item->name_len))
			return;
		memcpy(l->text.data + l->text.len, l->text.data + item->name_at, item->name_len);
		l->text.len += item->name_len;
		item->name_at = at;
		item->name_len = l->text.len - at;
	}
}

static int compare_items(const void *a, const void *b)
{
	const struct label_item *x = a, *y = b;
	int r = slice_compare(x->label.name, y->label.name);

	if (!r)
		r = x->kind - y->kind;
	if (!r && x->kind == ITEM_ATTRIBUTE)
		r = slice_compare(x->key, y->key);
	if (!r)
		r = y->rank - x->rank;
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

/* What the items first..last-1, which have one name, come to. */
static void join(struct labels *l, size_t first, size_t last)
{
	const struct label_item *item = &l->items[first];
	struct slice value = item->label.value;

	if (item->kind == ITEM_ATTRIBUTE && last - first > 1) {
		uint8_t *start = l->text.data + l->text.len;

		for (size_t i = first; i < last && l->items[i].kind == ITEM_ATTRIBUTE; i++) {
			if (i > first && slice_equal(l->items[i].key, l->items[i - 1].key))
				continue;
			if (i > first)
				buffer_append_byte(&l->text, ';');
			buffer_append_slice(&l->text, l->items[i].label.value);
		}
		value = slice_of(start, (size_t)(l->text.data + l->text.len - start));
	}
	l->list[l->n++] = (struct label){item->label.name, value};
}

bool labels_finish(struct labels *l)
{
	move_aside(l);
	/* what is joined is no longer than its parts with `;` between: text stays where it is */
	if (l->failed || l->full || !buffer_reserve(&l->text, l->text.len + l->n_items + 1)) {
		l->failed |= !l->full;
		return false;
	}
	if (l->list_capacity < l->n_items) {
		struct label *list = reallocarray(l->list, l->n_items, sizeof *list);

		if (!list) {
			l->failed = true;
			return false;
		}
		l->list = list;
		l->list_capacity = l->n_items;
	}
	for (size_t i = 0; i < l->n_items; i++) {
		struct label_item *item = &l->items[i];

		item->label.name = item_name(l, item);
		item->label.value = slice_of(l->text.data + item->value_at, item->value_len);
	}
	if (l->n_items)
		qsort(l->items, l->n_items, sizeof *l->items, compare_items);
	for (size_t i = 0, end; i < l->n_items; i = end) {
		for (end = i + 1; end < l->n_items; end++)
			if (!slice_equal(l->items[end].label.name, l->items[i].label.name))
				break;
		join(l, i, end);
	}
	l->full = l->n > SERIES_LABELS_LIMIT || l->text.len > 2 * SERIES_LABEL_BYTES_LIMIT;
	return !l->full;
}
