#include "config/value.h"
#include "config/document.h"
#include "config/suggest.h"

#include "core/base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum { SHOWN_MAX = 64 }; /* bytes of a value in a message */

int value_refuse(struct walk *w, const struct option *option, const struct node *node,
                 const struct path *path, const char *format, ...)
{
	char text[PATH_TEXT_MAX], sentence[512];
	const char *reference = node->reference;
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (option->flags & OPTION_SECRET)
		reference = NULL; /* a default, or what stands around it, is secret too */
	diagnostics_error(w->diagnostics, node->at, path_text(path, text), "'%s' %s%s%.*s%s",
	                  option->name, sentence, reference ? " (from " : "", SHOWN_MAX,
	                  reference ? reference : "", reference ? ")" : "");
	return -EINVAL;
}

int value_no_memory(struct walk *w, struct position at, const struct path *path)
{
	char text[PATH_TEXT_MAX];

	diagnostics_error(w->diagnostics, at, path_text(path, text),
	                  "out of memory while reading the configuration");
	return -ENOMEM;
}

/* The value as it may be shown: secrets are not. */
static const char *shown(const struct option *option, const struct node *node,
                         char text[SHOWN_MAX + 8])
{
	const char *value = node->original ? node->original : node->text;
	bool cut = strlen(value) > SHOWN_MAX;

	if (option->flags & OPTION_SECRET)
		return "[REDACTED]";
	snprintf(text, SHOWN_MAX + 8, "\"%.*s%s\"", SHOWN_MAX, value, cut ? "..." : "");
	return text;
}

static int refuse_type(struct walk *w, const struct option *option, const struct node *node,
                       const struct path *path, const char *expected, const char *hint)
{
	return value_refuse(w, option, node, path,
	                    "expected type '%s', got unconvertible type '%s'%s", expected,
	                    node_type_name(node), hint);
}

/* The text for a target of type string, or NULL: it is none. */
static const char *string_of(const struct node *node)
{
	if (node->original)
		return node->original;
	return node->kind == NODE_SCALAR && node->type == SCALAR_STRING ? node->text : NULL;
}

static bool is_type(const struct node *node, enum scalar_type type)
{
	return node->kind == NODE_SCALAR && node->type == type;
}

/* For a quoted number: what the quotes do. */
static const char *number_hint(const struct node *node)
{
	struct node plain = *node;

	if (!is_type(node, SCALAR_STRING))
		return "";
	node_resolve_plain(&plain);
	return is_type(&plain, SCALAR_INT) || is_type(&plain, SCALAR_FLOAT)
	               ? "; write it without quotes"
	               : "";
}

static int set_bool(struct walk *w, const struct option *option, bool *field,
                    const struct node *node, const struct path *path)
{
	if (!is_type(node, SCALAR_BOOL))
		return refuse_type(w, option, node, path, "bool", "; write true or false");
	*field = node_bool(node);
	return 0;
}

static void print_bound(const struct option *option, double value, char text[48])
{
	struct buffer out = BUFFER_INIT;
	const char *s;

	if (option->kind == KIND_DURATION && fabs(value) < 9e18)
		duration_format(&out, (int64_t)value);
	else
		buffer_printf(&out, fabs(value) < 1e15 && value == floor(value) ? "%.0f" : "%g",
		              value);
	s = buffer_string(&out);
	snprintf(text, 48, "%s", s ? s : "?");
	buffer_fini(&out);
}

static int check_bounds(struct walk *w, const struct option *option, double value,
                        const struct node *node, const struct path *path)
{
	bool has_bounds = option->min != 0 || option->max != 0;
	bool has_max = has_bounds && option->max >= option->min;
	char least[48], most[48], text[SHOWN_MAX + 8];

	if (!has_bounds || (value >= option->min && (!has_max || value <= option->max)))
		return 0;
	shown(option, node, text);
	print_bound(option, option->min, least);
	print_bound(option, option->max, most);
	if (has_max)
		return value_refuse(w, option, node, path, "must be between %s and %s, got %s",
		                    least, most, text);
	if (option->min == 1 && option->kind != KIND_FLOAT)
		return value_refuse(w, option, node, path, "must be positive, got %s", text);
	return value_refuse(w, option, node, path, "must be at least %s, got %s", least, text);
}

static int set_integer(struct walk *w, const struct option *option, void *field,
                       const struct node *node, const struct path *path)
{
	bool is_signed = option->kind == KIND_INT, negative = false;
	char text[SHOWN_MAX + 8];
	uint64_t magnitude = 0;
	int r = 0;

	if (option->kind == KIND_BYTES && string_of(node) && !*number_hint(node) &&
	    !is_type(node, SCALAR_INT)) {
		if (size_parse(slice_from_string(string_of(node)), &magnitude) < 0)
			return value_refuse(w, option, node, path,
			                    "must be a number of bytes such as 67108864 or 64MiB, "
			                    "got %s",
			                    shown(option, node, text));
	} else if (!is_type(node, SCALAR_INT)) {
		return refuse_type(w, option, node, path, "int", number_hint(node));
	} else {
		r = node_int(node, &negative, &magnitude);
	}
	if (negative && !is_signed)
		return value_refuse(w, option, node, path, "must not be negative, got %s",
		                    shown(option, node, text));
	if (r < 0 || (is_signed && magnitude > (uint64_t)INT64_MAX + negative))
		return value_refuse(w, option, node, path, "is out of range: %s",
		                    shown(option, node, text));
	r = check_bounds(w, option, negative ? -(double)magnitude : (double)magnitude, node, path);
	if (r < 0)
		return r;
	if (is_signed)
		*(int64_t *)field = (int64_t)(negative ? 0 - magnitude : magnitude);
	else
		*(uint64_t *)field = magnitude;
	return 0;
}

static int set_float(struct walk *w, const struct option *option, double *field,
                     const struct node *node, const struct path *path)
{
	double value;
	char text[SHOWN_MAX + 8];

	if (!is_type(node, SCALAR_FLOAT) && !is_type(node, SCALAR_INT))
		return refuse_type(w, option, node, path, "float64", number_hint(node));
	value = node_float(node);
	if (!isfinite(value))
		return value_refuse(w, option, node, path, "must be a finite number, got %s",
		                    shown(option, node, text));
	if (check_bounds(w, option, value, node, path) < 0)
		return -EINVAL;
	*field = value;
	return 0;
}

/* The Collector reads a bare number as nanoseconds, which nobody means: it is said aloud. */
static int read_nanoseconds(struct walk *w, const struct option *option, const struct node *node,
                            const struct path *path, int64_t *ret)
{
	char text[SHOWN_MAX + 8], where[PATH_TEXT_MAX], read_as[48];
	uint64_t magnitude;
	bool negative;

	if (node_int(node, &negative, &magnitude) < 0 || magnitude > INT64_MAX)
		return value_refuse(w, option, node, path, "is out of range: %s",
		                    shown(option, node, text));
	*ret = (int64_t)(negative ? 0 - magnitude : magnitude);
	print_bound(option, (double)*ret, read_as);
	if (*ret > 0)
		diagnostics_warn(w->diagnostics, node->at, path_text(path, where),
		                 "'%s' has no unit and is read as nanoseconds: %s; write a unit, "
		                 "such as 5s",
		                 option->name, read_as);
	return 0;
}

static int set_duration(struct walk *w, const struct option *option, uint64_t *field,
                        const struct node *node, const struct path *path)
{
	const char *written = string_of(node);
	char text[SHOWN_MAX + 8];
	int64_t ns;

	if (is_type(node, SCALAR_INT)) {
		if (read_nanoseconds(w, option, node, path, &ns) < 0)
			return -EINVAL;
	} else if (!written) {
		return refuse_type(w, option, node, path, "time.Duration",
		                   "; write a number with a unit, such as 5s");
	} else if (duration_parse(slice_from_string(written), &ns) < 0) {
		return value_refuse(w, option, node, path,
		                    "is not a duration: time: %s duration %s; write numbers with "
		                    "units (ns, us, ms, s, m, h), such as 1h30m",
		                    *number_hint(node) ? "missing unit in" : "invalid",
		                    shown(option, node, text));
	}
	if (ns < 0)
		return value_refuse(w, option, node, path, "must not be negative, got %s",
		                    shown(option, node, text));
	if (check_bounds(w, option, (double)ns, node, path) < 0)
		return -EINVAL;
	*field = (uint64_t)ns;
	return 0;
}

static int copy_string(struct walk *w, const char *text, const char **ret)
{
	struct slice copy;

	if (!arena_copy(w->arena, slice_from_string(text), &copy))
		return -ENOMEM;
	*ret = (const char *)copy.data;
	return 0;
}

static const char *string_hint(const struct node *node)
{
	return node->kind == NODE_SCALAR ? "; put it in quotes" : "";
}

static int set_string(struct walk *w, const struct option *option, const char **field,
                      const struct node *node, const struct path *path)
{
	const char *text = string_of(node);

	if (!text)
		return refuse_type(w, option, node, path, "string", string_hint(node));
	return copy_string(w, text, field) < 0 ? value_no_memory(w, node->at, path) : 0;
}

static int set_enum(struct walk *w, const struct option *option, int *field,
                    const struct node *node, const struct path *path)
{
	const char *text = string_of(node);
	char value[SHOWN_MAX + 8], near[SUGGESTION_TEXT_MAX], known[256];
	struct suggestion nearest;
	size_t at = 0;

	if (!text)
		return refuse_type(w, option, node, path, "string", string_hint(node));
	for (int i = 0; option->values[i]; i++)
		if (strcasecmp(option->values[i], text) == 0) {
			*field = i;
			return 0;
		}
	known[0] = '\0';
	for (int i = 0; option->values[i] && at < sizeof known; i++)
		at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "",
		                       option->values[i]);
	suggestion_init(&nearest, text);
	suggestion_consider_all(&nearest, option->values);
	return value_refuse(w, option, node, path, "must be one of %s, got %s%s", known,
	                    shown(option, node, value), suggestion_text(&nearest, near));
}

static int set_endpoint(struct walk *w, const struct option *option, struct endpoint *field,
                        const struct node *node, const struct path *path)
{
	const char *text = string_of(node);
	struct error error = ERROR_INIT;

	if (!text)
		return refuse_type(w, option, node, path, "string", string_hint(node));
	if (!*text)
		*field = (struct endpoint){0};
	else if (endpoint_parse(text, field, &error) < 0)
		return value_refuse(w, option, node, path, "cannot be used: %s", error.message);
	return 0;
}

static int set_component(struct walk *w, const struct option *option, const char **field,
                         const struct node *node, const struct path *path)
{
	const char *text = string_of(node);
	struct error error = ERROR_INIT;
	struct document_component id;
	struct walk_reference *reference;
	struct path here = {path, option->name, 0};
	char where[PATH_TEXT_MAX];
	int r;

	if (!text)
		return refuse_type(w, option, node, path, "string", string_hint(node));
	if (!*text) {
		*field = NULL;
		return 0;
	}
	r = component_id_parse(text, w->arena, &id, &error);
	if (r == -EINVAL)
		return value_refuse(w, option, node, path, "is not the id of a component: %s",
		                    error.message);
	reference = r < 0 ? NULL : arena_alloc(w->arena, sizeof *reference);
	if (!reference)
		return value_no_memory(w, node->at, path);
	*reference = (struct walk_reference){.id = id.id, .at = node->at, .next = w->references};
	if (copy_string(w, path_text(&here, where), &reference->path) < 0)
		return value_no_memory(w, node->at, path);
	w->references = reference;
	*field = id.id;
	return 0;
}

/* Splits on commas, white space round each part removed. "" is no part at all. */
static int set_comma_list(struct walk *w, const char *text, struct string_list *field)
{
	struct string_list list = {0};
	size_t count = 1;

	if (*text) {
		for (const char *p = text; *p; p++)
			count += *p == ',';
		list.items = arena_alloc_array(w->arena, count, sizeof *list.items);
		if (!list.items)
			return -ENOMEM;
		for (const char *p = text; list.count < count; list.count++) {
			size_t len = strcspn(p, ","), skip = strspn(p, " \t"), end = len;
			skip = skip < len ? skip : len;
			while (end > skip && (p[end - 1] == ' ' || p[end - 1] == '\t'))
				end--;
			list.items[list.count] =
				arena_printf(w->arena, "%.*s", (int)(end - skip), p + skip);
			if (!list.items[list.count])
				return -ENOMEM;
			p += len + 1;
		}
	}
	*field = list;
	return 0;
}

static int set_string_list(struct walk *w, const struct option *option, struct string_list *field,
                           const struct node *node, const struct path *path)
{
	struct string_list list = {0};

	if (node->kind != NODE_LIST) {
		if (!string_of(node) || node->kind == NODE_MAP)
			return value_refuse(w, option, node, path,
			                    "source data must be an array or slice, got %s",
			                    node_type_name(node));
		return set_comma_list(w, string_of(node), field) < 0
		               ? value_no_memory(w, node->at, path)
		               : 0;
	}
	if (node->count)
		list.items = arena_alloc_array(w->arena, node->count, sizeof *list.items);
	if (node->count && !list.items)
		return value_no_memory(w, node->at, path);
	for (; list.count < node->count; list.count++) {
		const struct node *item = node->entries[list.count].value;
		const char *text = string_of(item);
		if (!text)
			return refuse_type(w, option, item, path, "string", string_hint(item));
		if (copy_string(w, text, &list.items[list.count]) < 0)
			return value_no_memory(w, node->at, path);
	}
	*field = list;
	return 0;
}

static int set_uint_list(struct walk *w, const struct option *option, struct uint_list *field,
                         const struct node *node, const struct path *path)
{
	bool is_list = node->kind == NODE_LIST;
	struct option item = *option;
	struct uint_list list = {0};
	size_t count = is_list ? node->count : 1;

	item.kind = KIND_UINT;
	if (!is_list && !is_type(node, SCALAR_INT))
		return value_refuse(w, option, node, path,
		                    "source data must be an array or slice, got %s",
		                    node_type_name(node));
	if (count && !(list.items = arena_alloc_array(w->arena, count, sizeof *list.items)))
		return value_no_memory(w, node->at, path);
	for (; list.count < count; list.count++) {
		const struct node *from = is_list ? node->entries[list.count].value : node;

		if (set_integer(w, &item, &list.items[list.count], from, path) < 0)
			return -EINVAL;
	}
	*field = list;
	return 0;
}

/* Joined to what the field holds already: its default. */
static int set_string_map(struct walk *w, const struct option *option, struct string_map *field,
                          const struct node *node, const struct path *path)
{
	struct string_map map = {0};

	if (node->kind != NODE_MAP)
		return value_refuse(w, option, node, path, "expected a map, got '%s'",
		                    node_type_name(node));
	map.items = arena_alloc_array(w->arena, field->count + node->count + 1, sizeof *map.items);
	if (!map.items)
		return value_no_memory(w, node->at, path);
	for (size_t i = 0; i < field->count; i++)
		if (!node_get(node, field->items[i].key))
			map.items[map.count++] = field->items[i];
	for (size_t i = 0; i < node->count; i++) {
		const struct node *value = node->entries[i].value;
		const char *text = value->kind == NODE_NULL ? "" : string_of(value);
		struct string_pair *pair = &map.items[map.count++];
		if (!text)
			return value_refuse(
				w, option, value, path,
				"[%s] expected type 'string', got unconvertible type '%s'%s",
				node->entries[i].key, node_type_name(value), string_hint(value));
		if (copy_string(w, node->entries[i].key, &pair->key) < 0 ||
		    copy_string(w, text, &pair->value) < 0)
			return value_no_memory(w, node->at, path);
	}
	*field = map;
	return 0;
}

/* The type is the value's own: "5" in quotes is a string, 5 an int, 5.0 a float. */
static int set_scalar(struct walk *w, const struct option *option, struct scalar *field,
                      const struct node *node, const struct path *path)
{
	struct scalar value = {0};
	char text[SHOWN_MAX + 8];
	uint64_t magnitude;
	bool negative;

	if (node->kind != NODE_SCALAR)
		return refuse_type(w, option, node, path, "string, number or bool", "");
	switch (node->type) {
	case SCALAR_STRING:
		value.kind = SCALAR_IS_STRING;
		if (copy_string(w, string_of(node), &value.string) < 0)
			return value_no_memory(w, node->at, path);
		break;
	case SCALAR_BOOL:
		value.kind = SCALAR_IS_BOOL;
		value.boolean = node_bool(node);
		break;
	case SCALAR_INT:
		value.kind = SCALAR_IS_INT;
		if (node_int(node, &negative, &magnitude) < 0 ||
		    magnitude > (uint64_t)INT64_MAX + negative)
			return value_refuse(w, option, node, path, "is out of range: %s",
			                    shown(option, node, text));
		value.integer = (int64_t)(negative ? 0 - magnitude : magnitude);
		break;
	case SCALAR_FLOAT:
		value.kind = SCALAR_IS_FLOAT;
		value.number = node_float(node);
		break;
	}
	*field = value;
	return 0;
}

int value_set(struct walk *w, const struct option *option, void *field, const struct node *node,
              const struct path *path)
{
	switch (option->kind) {
	case KIND_BOOL:
		return set_bool(w, option, field, node, path);
	case KIND_INT:
	case KIND_UINT:
	case KIND_BYTES:
		return set_integer(w, option, field, node, path);
	case KIND_FLOAT:
		return set_float(w, option, field, node, path);
	case KIND_STRING:
		return set_string(w, option, field, node, path);
	case KIND_DURATION:
		return set_duration(w, option, field, node, path);
	case KIND_ENUM:
		return set_enum(w, option, field, node, path);
	case KIND_ENDPOINT:
		return set_endpoint(w, option, field, node, path);
	case KIND_COMPONENT:
		return set_component(w, option, field, node, path);
	case KIND_STRING_LIST:
		return set_string_list(w, option, field, node, path);
	case KIND_UINT_LIST:
		return set_uint_list(w, option, field, node, path);
	case KIND_STRING_MAP:
		return set_string_map(w, option, field, node, path);
	case KIND_SCALAR:
		return set_scalar(w, option, field, node, path);
	case KIND_GROUP:
	case KIND_OPTIONAL:
	case KIND_GROUP_LIST:
		break; /* the walker's */
	}
	return -EINVAL;
}
