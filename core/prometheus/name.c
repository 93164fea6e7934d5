#include "core/prometheus/name.h"

#include "core/base/utf8.h"

const char *const name_strategies[] = {
	"UnderscoreEscapingWithSuffixes",
	"UnderscoreEscapingWithoutSuffixes",
	"NoUTF8EscapingWithSuffixes",
	"NoTranslation",
	NULL,
};

const char *metric_type_name(enum metric_type type)
{
	static const char *const names[] = {
		[METRIC_UNKNOWN] = "unknown",
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
		[METRIC_GAUGEHISTOGRAM] = "gaugehistogram",
		[METRIC_SUMMARY] = "summary",
		[METRIC_INFO] = "info",
		[METRIC_STATESET] = "stateset",
	};
	return names[type];
}

static bool is_escaping(enum name_strategy strategy)
{
	return strategy == NAME_ESCAPED_SUFFIXED || strategy == NAME_ESCAPED;
}

static bool is_suffixing(enum name_strategy strategy)
{
	return strategy == NAME_ESCAPED_SUFFIXED || strategy == NAME_UTF8_SUFFIXED;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alphanumeric(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

bool name_is_legacy_metric(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!is_alphanumeric(name.data[i]) && name.data[i] != '_' && name.data[i] != ':')
			return false;
	return name.len && !is_digit(name.data[0]);
}

bool name_is_legacy_label(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!is_alphanumeric(name.data[i]) && name.data[i] != '_')
			return false;
	return name.len && !is_digit(name.data[0]);
}

/* ---- words: what a name falls into where it is escaped */

/* The next word of *rest, which moves behind it. Empty: there are no more. */
static struct slice word_next(struct slice *rest)
{
	size_t start = 0, end;

	if (!rest->len)
		return *rest;
	while (start < rest->len && !is_alphanumeric(rest->data[start]) && rest->data[start] != ':')
		start++;
	for (end = start; end < rest->len; end++)
		if (!is_alphanumeric(rest->data[end]) && rest->data[end] != ':')
			break;
	struct slice word = slice_of(rest->data + start, end - start);
	*rest = slice_of(rest->data + end, rest->len - end);
	return word;
}

static bool words_contain(struct slice text, struct slice wanted)
{
	struct slice word;

	while ((word = word_next(&text)).len)
		if (slice_equal(word, wanted))
			return true;
	return false;
}

/* Appends the words of text but for those that equal left_out, each after a `_` unless it begins
 * what was appended since start. */
static void words_append(struct buffer *out, size_t start, struct slice text, struct slice left_out)
{
	struct slice word;

	while ((word = word_next(&text)).len) {
		if (left_out.len && slice_equal(word, left_out))
			continue;
		if (out->len > start)
			buffer_append_byte(out, '_');
		buffer_append_slice(out, word);
	}
}

/* ---- units */

struct unit_word {
	const char *unit, *word;
};

static struct slice unit_find(const struct unit_word *table, struct slice unit)
{
	for (; table->unit; table++)
		if (slice_equal(slice_from_string(table->unit), unit))
			return slice_from_string(table->word);
	return unit;
}

static struct slice unit_main(struct slice unit)
{
	static const struct unit_word table[] = {
		{"d", "days"},          {"h", "hours"},
		{"min", "minutes"},     {"s", "seconds"},
		{"ms", "milliseconds"}, {"us", "microseconds"},
		{"ns", "nanoseconds"},  {"By", "bytes"},
		{"KiBy", "kibibytes"},  {"MiBy", "mebibytes"},
		{"GiBy", "gibibytes"},  {"TiBy", "tebibytes"},
		{"kBy", "kilobytes"},   {"KBy", "kilobytes"},
		{"MBy", "megabytes"},   {"GBy", "gigabytes"},
		{"TBy", "terabytes"},   {"m", "meters"},
		{"V", "volts"},         {"A", "amperes"},
		{"J", "joules"},        {"W", "watts"},
		{"g", "grams"},         {"Cel", "celsius"},
		{"Hz", "hertz"},        {"1", ""},
		{"%", "percent"},       {NULL, NULL},
	};
	return unit_find(table, unit);
}

/* m is a minute here, not a metre: that is how rates are written. */
static struct slice unit_per(struct slice unit)
{
	static const struct unit_word table[] = {
		{"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
		{"w", "week"},   {"mo", "month"}, {"y", "year"}, {NULL, NULL},
	};
	return unit_find(table, unit);
}

static struct slice trim(struct slice s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = slice_of(s.data + 1, s.len - 1);
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool is_annotation(struct slice unit)
{
	return unit.len && (memchr(unit.data, '{', unit.len) || memchr(unit.data, '}', unit.len));
}

struct unit {
	struct slice main, per; /* words, "" where there are none */
};

static struct unit unit_read(struct slice unit)
{
	const uint8_t *slash = unit.len ? memchr(unit.data, '/', unit.len) : NULL;
	struct slice main = unit, per = {0};
	struct unit ret = {0};

	if (slash) {
		main.len = (size_t)(slash - unit.data);
		per = trim(slice_of(slash + 1, unit.len - main.len - 1));
	}
	main = trim(main);
	if (!is_annotation(main))
		ret.main = unit_main(main);
	if (!is_annotation(per))
		ret.per = unit_per(per);
	return ret;
}

static void unit_append_escaped(struct buffer *out, size_t start, struct unit unit)
{
	struct slice rest = unit.per;

	words_append(out, start, unit.main, (struct slice){0});
	if (word_next(&rest).len) {
		words_append(out, start, SLICE_LITERAL("per"), (struct slice){0});
		words_append(out, start, unit.per, (struct slice){0});
	}
}

void name_unit(struct buffer *out, enum name_strategy strategy, struct slice text)
{
	struct unit unit = unit_read(text);

	if (is_escaping(strategy)) {
		unit_append_escaped(out, out->len, unit);
		return;
	}
	utf8_append(out, unit.main);
	if (unit.per.len) {
		buffer_append_string(out, unit.main.len ? "_per_" : "per_");
		utf8_append(out, unit.per);
	}
}

/* ---- metrics */

/* What the type wants at the end. */
static struct slice type_word(enum metric_type type, struct slice unit)
{
	if (type == METRIC_COUNTER)
		return SLICE_LITERAL("total");
	if (type == METRIC_GAUGE && slice_equal(trim(unit), SLICE_LITERAL("1")))
		return SLICE_LITERAL("ratio");
	return (struct slice){0};
}

/* Whether the words of text end in those of the whole unit "a_per_b". */
static bool ends_in_per(struct slice text, struct slice per)
{
	struct slice word, before = {0}, last = {0}, rest = per, first = word_next(&rest);

	if (!first.len || word_next(&rest).len)
		return false;
	while ((word = word_next(&text)).len) {
		before = last;
		last = word;
	}
	return slice_equal(before, SLICE_LITERAL("per")) && slice_equal(last, first);
}

/* A name must not begin with a digit. */
static void shield_digit(struct buffer *out, size_t start)
{
	if (out->failed || out->len == start || !is_digit(out->data[start]) ||
	    !buffer_reserve(out, 1))
		return;
	memmove(out->data + start + 1, out->data + start, out->len - start);
	out->data[start] = '_';
	out->len++;
}

static void escaped_suffixed(struct buffer *out, struct slice ns, struct slice name,
                             struct slice unit_text, enum metric_type type)
{
	struct slice suffix = type_word(type, unit_text), bare = name, rest, word, kept = {0};
	struct unit unit = unit_read(unit_text);
	size_t start = out->len;

	words_append(out, start, ns, kept);
	words_append(out, start, name, suffix);
	/* a name that ends in what the type wants is compared without it */
	while (suffix.len && bare.len >= suffix.len &&
	       memcmp(bare.data + bare.len - suffix.len, suffix.data, suffix.len) == 0)
		bare.len -= suffix.len;
	rest = unit.main;
	word = word_next(&rest);
	if (words_contain(name, word) && !word_next(&rest).len)
		unit.main = (struct slice){0};
	if (ends_in_per(bare, unit.per))
		unit = (struct unit){0};
	unit_append_escaped(out, start, unit);
	words_append(out, start, suffix, kept);
	shield_digit(out, start);
}

/* Appends text with what is not [a-zA-Z0-9:] as `_`, and one of those where many follow each other,
 * what stands in out since start included. */
static void escaped(struct buffer *out, size_t start, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (!is_alphanumeric(c) && c != ':')
			c = '_';
		if (c != '_' || out->len == start || out->data[out->len - 1] != '_')
			buffer_append_byte(out, c);
	}
}

/* text without suffix and the character before it, where it ends so. */
static struct slice without(struct slice text, struct slice suffix)
{
	if (suffix.len && text.len > suffix.len + 1 &&
	    memcmp(text.data + text.len - suffix.len, suffix.data, suffix.len) == 0 &&
	    !is_alphanumeric(text.data[text.len - suffix.len - 1]))
		text.len -= suffix.len + 1;
	return text;
}

static void utf8_suffixed(struct buffer *out, struct slice name, struct slice unit_text,
                          enum metric_type type)
{
	struct slice suffix = type_word(type, unit_text);
	struct unit unit = unit_read(unit_text);
	struct slice bare = without(name, suffix);

	if (unit.per.len) {
		struct slice before = without(bare, unit.per);
		struct slice shorter =
			before.len < bare.len ? without(before, SLICE_LITERAL("per")) : before;
		if (shorter.len < before.len)
			bare = shorter;
	}
	utf8_append(out, bare);
	if (unit.main.len && without(bare, unit.main).len == bare.len) {
		buffer_append_byte(out, '_');
		utf8_append(out, unit.main);
	}
	if (unit.per.len) {
		buffer_append_string(out, "_per_");
		utf8_append(out, unit.per);
	}
	if (suffix.len) {
		buffer_append_byte(out, '_');
		buffer_append_slice(out, suffix);
	}
}

void name_metric(struct buffer *out, enum name_strategy strategy, struct slice ns,
                 struct slice name, struct slice unit, enum metric_type type)
{
	struct slice rest = name;

	if (!name.len || (is_escaping(strategy) && !word_next(&rest).len))
		return;
	if (strategy == NAME_ESCAPED_SUFFIXED) {
		escaped_suffixed(out, ns, name, unit, type);
		return;
	}
	if (strategy == NAME_ESCAPED) {
		size_t start = out->len;

		escaped(out, start, ns);
		escaped(out, start, ns.len ? SLICE_LITERAL("_") : ns);
		escaped(out, start, name);
		shield_digit(out, start);
		return;
	}
	if (ns.len) {
		utf8_append(out, ns);
		buffer_append_byte(out, '_');
	}
	if (is_suffixing(strategy))
		utf8_suffixed(out, name, unit, type);
	else
		utf8_append(out, name);
}

/* ---- labels */

void name_label(struct buffer *out, enum name_strategy strategy, struct slice key)
{
	if (!key.len)
		return;
	if (!is_escaping(strategy)) {
		if (key.len >= 2 && key.data[0] == '_' && key.data[1] == '_')
			buffer_append_string(out, "key");
		utf8_append(out, key);
		return;
	}
	if (is_digit(key.data[0]))
		buffer_append_string(out, "key_");
	for (size_t i = 0, start = out->len; i < key.len; i++) {
		uint8_t c = is_alphanumeric(key.data[i]) ? key.data[i] : '_';

		if (c != '_' || out->len == start || out->data[out->len - 1] != '_')
			buffer_append_byte(out, c);
	}
}
