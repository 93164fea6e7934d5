#include "core/attributes/value.h"

#include "core/prometheus/labels.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 127 }; /* bytes of a text that may be a number */

size_t value_find(Otlp__KeyValue *const *items, size_t n, struct slice key)
{
	size_t i = 0;

	while (i < n && !slice_equal(slice_of_bytes(items[i]->key), key))
		i++;
	return i;
}

Otlp__AnyValue value_from_scalar(const struct scalar *s)
{
	Otlp__AnyValue v;

	otlp__any_value__init(&v);
	switch (s->kind) {
	case SCALAR_IS_ABSENT:
		break;
	case SCALAR_IS_STRING:
		v.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
		v.string_value = bytes_of_slice(slice_from_string(s->string));
		break;
	case SCALAR_IS_BOOL:
		v.value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
		v.bool_value = s->boolean;
		break;
	case SCALAR_IS_INT:
		v.value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
		v.int_value = s->integer;
		break;
	case SCALAR_IS_FLOAT:
		v.value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
		v.double_value = s->number;
		break;
	}
	return v;
}

bool value_equal(const Otlp__AnyValue *a, const Otlp__AnyValue *b)
{
	if (!a || !b || a->value_case != b->value_case)
		return false;
	switch (a->value_case) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		return slice_equal(slice_of_bytes(a->string_value),
		                   slice_of_bytes(b->string_value));
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		return !a->bool_value == !b->bool_value;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		return a->int_value == b->int_value;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		return a->double_value == b->double_value;
	default:
		return false;
	}
}

/* What strconv reads: no white space, no trailing bytes; NUL-terminated in text. */
static bool number_text(ProtobufCBinaryData s, char text[NUMBER_MAX + 1])
{
	static const char allowed[] = "0123456789+-.abcdefABCDEFxXpPiInNtTyY";

	if (!s.len || s.len > NUMBER_MAX)
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return strspn(text, allowed) == s.len;
}

static int to_int(const Otlp__AnyValue *v, Otlp__AnyValue *ret)
{
	char text[NUMBER_MAX + 1], *end;

	ret->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	switch (v->value_case) {
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		if (!(v->double_value >= -0x1p63 && v->double_value < 0x1p63))
			return 0;
		ret->int_value = (int64_t)v->double_value;
		return 1;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		ret->int_value = v->bool_value ? 1 : 0;
		return 1;
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		if (!number_text(v->string_value, text))
			return 0;
		errno = 0;
		ret->int_value = strtoll(text, &end, 10);
		return errno == 0 && end != text && *end == '\0';
	default:
		return 0;
	}
}

static int to_double(const Otlp__AnyValue *v, Otlp__AnyValue *ret)
{
	char text[NUMBER_MAX + 1], *end;

	ret->value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
	switch (v->value_case) {
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		ret->double_value = (double)v->int_value;
		return 1;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		ret->double_value = v->bool_value ? 1 : 0;
		return 1;
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		if (!number_text(v->string_value, text))
			return 0;
		errno = 0;
		ret->double_value = strtod(text, &end);
		/* what is too small for a double is zero, as in Go; what is too large is none */
		return end != text && *end == '\0' &&
		       !(errno == ERANGE && isinf(ret->double_value));
	default:
		return 0;
	}
}

/* strconv.ParseBool. */
static int to_bool(const Otlp__AnyValue *v, Otlp__AnyValue *ret)
{
	static const char *const words[2][6] = {{"0", "f", "F", "false", "False", "FALSE"},
	                                        {"1", "t", "T", "true", "True", "TRUE"}};

	ret->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	switch (v->value_case) {
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		ret->bool_value = v->int_value != 0;
		return 1;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		ret->bool_value = v->double_value != 0;
		return 1;
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		for (size_t i = 0; i < 12; i++)
			if (slice_equal(slice_of_bytes(v->string_value),
			                slice_from_string(words[i / 6][i % 6]))) {
				ret->bool_value = i / 6 != 0;
				return 1;
			}
		return 0;
	default:
		return 0;
	}
}

static int to_string(const Otlp__AnyValue *v, struct arena *arena, struct buffer *text,
                     Otlp__AnyValue *ret)
{
	struct slice copy;

	buffer_clear(text);
	labels_append_value(text, v);
	if (text->failed || !arena_copy(arena, buffer_slice(text), &copy))
		return -ENOMEM;
	ret->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	ret->string_value = bytes_of_slice(copy);
	return 1;
}

int value_convert(const Otlp__AnyValue *v, enum value_target to, struct arena *arena,
                  struct buffer *text, Otlp__AnyValue *ret)
{
	static const Otlp__AnyValue__ValueCase cases[] = {
		[VALUE_TO_STRING] = OTLP__ANY_VALUE__VALUE_STRING_VALUE,
		[VALUE_TO_INT] = OTLP__ANY_VALUE__VALUE_INT_VALUE,
		[VALUE_TO_DOUBLE] = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE,
		[VALUE_TO_BOOL] = OTLP__ANY_VALUE__VALUE_BOOL_VALUE,
	};

	otlp__any_value__init(ret);
	if (v->value_case == cases[to])
		return 0;
	switch (to) {
	case VALUE_TO_STRING:
		return to_string(v, arena, text, ret);
	case VALUE_TO_INT:
		return to_int(v, ret);
	case VALUE_TO_DOUBLE:
		return to_double(v, ret);
	case VALUE_TO_BOOL:
		return to_bool(v, ret);
	}
	return 0;
}
