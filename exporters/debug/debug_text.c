#include "exporters/debug/debug_text.h"

#include "core/base/units.h"
#include "core/base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

static uint32_t code_point(const uint8_t *p, size_t size)
{
	uint32_t c = size == 1 ? p[0] : p[0] & (0x7fu >> size);

	for (size_t i = 1; i < size; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Controls (C0, DEL, C1), marks that turn the direction of writing, invisible separators. */
static bool is_dangerous(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static void escape(struct buffer *out, const uint8_t *p, size_t size)
{
	uint32_t c = size ? code_point(p, size) : 0;

	if (!size)
		buffer_printf(out, "\\x%02x", p[0]);
	else if (c == '\n')
		buffer_append_string(out, "\\n");
	else if (c == '\t')
		buffer_append_string(out, "\\t");
	else if (c < 0x80)
		buffer_printf(out, "\\x%02x", c);
	else
		buffer_printf(out, "\\u{%x}", c);
}

void text_escaped(struct buffer *out, struct slice text, size_t max)
{
	size_t shown = 0;

	for (size_t at = 0; at < text.len; shown++) {
		const uint8_t *p = text.data + at;
		size_t size = utf8_character(p, text.len - at);

		if (max && shown == max) {
			buffer_append_string(out, "…");
			return;
		}
		if (size && !is_dangerous(code_point(p, size)))
			buffer_append(out, p, size);
		else
			escape(out, p, size);
		at += size ? size : 1;
	}
}

size_t text_width(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += (text.data[i] & 0xc0) != 0x80;
	return n;
}

void text_spaces(struct buffer *out, size_t n)
{
	uint8_t *at = buffer_reserve(out, n);

	if (!at)
		return;
	memset(at, ' ', n);
	out->len += n;
}

void text_left(struct buffer *out, struct slice text, size_t width)
{
	size_t own = text_width(text);

	buffer_append_slice(out, text);
	if (own < width)
		text_spaces(out, width - own);
}

void text_right(struct buffer *out, struct slice text, size_t width)
{
	size_t own = text_width(text);

	if (own < width)
		text_spaces(out, width - own);
	buffer_append_slice(out, text);
}

void text_hex(struct buffer *out, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		buffer_printf(out, "%02x", bytes.data[i]);
}

/* ---- values */

static void text_string(struct buffer *out, struct slice s, size_t max)
{
	bool quotes = s.len == 0;

	for (size_t i = 0; i < s.len && !quotes; i++)
		quotes = s.data[i] == ' ' || s.data[i] == '"' || s.data[i] == ',';
	if (quotes)
		buffer_append_byte(out, '"');
	text_escaped(out, s, max);
	if (quotes)
		buffer_append_byte(out, '"');
}

static void text_bytes(struct buffer *out, struct slice s, size_t max)
{
	size_t shown = max && s.len > max / 2 ? max / 2 : s.len;

	buffer_append_string(out, "0x");
	text_hex(out, slice_of(s.data, shown));
	if (shown < s.len)
		buffer_append_string(out, "…");
}

static void text_array(struct buffer *out, const Otlp__ArrayValue *a, size_t max)
{
	buffer_append_byte(out, '[');
	for (size_t i = 0; i < a->n_values; i++) {
		if (i)
			buffer_append_string(out, ", ");
		text_value(out, a->values[i], max);
	}
	buffer_append_byte(out, ']');
}

static void text_map(struct buffer *out, const Otlp__KeyValueList *l, size_t max)
{
	buffer_append_byte(out, '{');
	for (size_t i = 0; i < l->n_values; i++) {
		if (i)
			buffer_append_string(out, ", ");
		text_escaped(out, text_slice(l->values[i]->key), max);
		buffer_append_byte(out, '=');
		text_value(out, l->values[i]->value, max);
	}
	buffer_append_byte(out, '}');
}

void text_value(struct buffer *out, const Otlp__AnyValue *v, size_t max)
{
	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		text_string(out, text_slice(v->string_value), max);
		break;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		buffer_append_string(out, v->bool_value ? "true" : "false");
		break;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		buffer_printf(out, "%" PRId64, v->int_value);
		break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		buffer_printf(out, "%.*g", max ? 6 : 17, v->double_value);
		break;
	case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
		text_array(out, v->array_value, max);
		break;
	case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
		text_map(out, v->kvlist_value, max);
		break;
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
		text_bytes(out, text_slice(v->bytes_value), max);
		break;
	default:
		buffer_append_byte(out, '-');
	}
}

/* ---- numbers in units */

static const struct unit {
	const char *name;
	double factor; /* to seconds or bytes */
	void (*format)(struct buffer *out, double value);
} units[] = {
	{"s", 1, duration_format_short},
	{"ms", 1e-3, duration_format_short},
	{"us", 1e-6, duration_format_short},
	{"ns", 1e-9, duration_format_short},
	{"min", 60, duration_format_short},
	{"h", 3600, duration_format_short},
	{"By", 1, size_format_short},
	{"KiBy", 1024, size_format_short},
	{"MiBy", 1024 * 1024, size_format_short},
	{"kBy", 1e3, size_format_short},
	{"MBy", 1e6, size_format_short},
};

static void text_number(struct buffer *out, double v)
{
	if (fabs(v) >= 1e7 && fabs(v) < 1e17)
		count_format_short(out, v);
	else if (v == floor(v) && fabs(v) < 1e7)
		buffer_printf(out, "%.0f", v);
	else
		buffer_printf(out, "%.4g", v);
}

void text_quantity(struct buffer *out, double value, struct slice unit)
{
	/* a unit in braces is a remark: "{connection}" */
	bool bare = unit.len == 0 || unit.data[0] == '{' || slice_equal(unit, SLICE_LITERAL("1"));

	for (size_t i = 0; i < sizeof units / sizeof *units && fabs(value) < 1e17; i++)
		if (slice_equal(unit, slice_from_string(units[i].name))) {
			units[i].format(out, value * units[i].factor);
			return;
		}
	text_number(out, value);
	if (bare)
		return;
	buffer_append_byte(out, ' ');
	text_escaped(out, unit, 20);
}

/* ---- attributes */

static bool slice_ends_with(struct slice s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.len >= n && memcmp(s.data + s.len - n, suffix, n) == 0;
}

static struct slice last_parts(struct slice key, int parts)
{
	size_t at = key.len;

	while (at > 0 && (key.data[at - 1] != '.' || --parts > 0))
		at--;
	return at ? slice_of(key.data + at, key.len - at) : key;
}

struct slice text_short_key(struct slice key)
{
	static const char *const vague[] = {"name",    "id",      "uid",  "type",
	                                    "version", "address", "port", "status",
	                                    "code",    "message", "size"};
	struct slice last = last_parts(key, 1);

	for (size_t i = 0; i < sizeof vague / sizeof *vague; i++)
		if (slice_equal(last, slice_from_string(vague[i])))
			return last_parts(key, 2);
	return last;
}

/* Looking for pairs is quadratic: not in lists so long that nobody reads them. */
enum { SIBLINGS_MAX = 128 };

/* The attribute whose key is that of a with suffix in place of its last part, or NULL. */
static const Otlp__KeyValue *sibling(Otlp__KeyValue *const *attributes, size_t n,
                                     const Otlp__KeyValue *a, const char *from, const char *to)
{
	struct slice key = text_slice(a->key);
	size_t stem = key.len - strlen(from);

	if (n > SIBLINGS_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct slice other = text_slice(attributes[i]->key);

		if (other.len == stem + strlen(to) && memcmp(other.data, key.data, stem) == 0 &&
		    slice_ends_with(other, to))
			return attributes[i];
	}
	return NULL;
}

static bool is_string(const Otlp__AnyValue *v)
{
	return v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE;
}

static void text_endpoint(struct buffer *out, const Otlp__KeyValue *address,
                          const Otlp__KeyValue *port)
{
	struct slice key = text_slice(address->key),
		     host = text_slice(address->value->string_value);
	bool brackets = host.len && memchr(host.data, ':', host.len);

	key.len -= strlen(".address");
	text_escaped(out, last_parts(key, 1), TEXT_SHORT);
	buffer_append_string(out, brackets ? "=[" : "=");
	text_escaped(out, host, TEXT_SHORT);
	buffer_append_string(out, brackets ? "]:" : ":");
	text_value(out, port->value, TEXT_SHORT);
}

static void text_attribute(struct buffer *out, Otlp__KeyValue *const *attributes, size_t n,
                           const Otlp__KeyValue *a)
{
	static const char address[] = ".address", port[] = ".port";
	const Otlp__KeyValue *other = NULL;

	if (slice_ends_with(text_slice(a->key), address) && is_string(a->value))
		other = sibling(attributes, n, a, address, port);
	else if (slice_ends_with(text_slice(a->key), port)) {
		other = sibling(attributes, n, a, port, address);
		if (other && is_string(other->value))
			return; /* said with the address */
		other = NULL;
	}
	if (out->len)
		buffer_append_byte(out, ' ');
	if (other) {
		text_endpoint(out, a, other);
		return;
	}
	text_escaped(out, text_short_key(text_slice(a->key)), TEXT_SHORT);
	buffer_append_byte(out, '=');
	text_value(out, a->value, TEXT_SHORT);
}

void text_attributes(struct buffer *out, Otlp__KeyValue *const *attributes, size_t n,
                     struct slice skip)
{
	struct buffer line = BUFFER_INIT;

	for (size_t i = 0; i < n; i++) {
		const Otlp__AnyValue *v = attributes[i]->value;

		if (skip.len && is_string(v) && slice_equal(text_slice(v->string_value), skip))
			continue;
		text_attribute(&line, attributes, n, attributes[i]);
	}
	buffer_append_slice(out, buffer_slice(&line));
	out->failed |= line.failed;
	buffer_fini(&line);
}

/* ---- time */

void text_time_of_day(struct buffer *out, uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000);
	struct tm tm;

	if (!unix_ns || !localtime_r(&seconds, &tm))
		buffer_append_byte(out, '-');
	else
		buffer_printf(out, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		              (unsigned)(unix_ns / 1000000 % 1000));
}

void text_moment(struct buffer *out, uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000);
	struct tm tm;

	if (!unix_ns || !gmtime_r(&seconds, &tm))
		buffer_append_byte(out, '-');
	else
		buffer_printf(out, "%04d-%02d-%02d %02d:%02d:%02d.%09u UTC", tm.tm_year + 1900,
		              tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		              (unsigned)(unix_ns % 1000000000));
}
