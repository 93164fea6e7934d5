#include "config/print.h"
#include "config/walk.h"

#include "core/base/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char redacted[] = "\"[REDACTED]\"";

void print_quoted(const char *text, struct buffer *out)
{
	buffer_append_byte(out, '"');
	for (; *text; text++) {
		uint8_t c = (uint8_t)*text;
		if (c == '"' || c == '\\')
			buffer_printf(out, "\\%c", c);
		else if (c == '\n')
			buffer_append_string(out, "\\n");
		else if (c == '\t')
			buffer_append_string(out, "\\t");
		else if (c < 0x20 || c == 0x7F)
			buffer_printf(out, "\\u%04x", c);
		else
			buffer_append_byte(out, c);
	}
	buffer_append_byte(out, '"');
}

/* Nothing in it means anything to YAML, of 1.1 either, whatever stands before or after. */
static bool is_plain_safe(const char *text)
{
	static const char *const words[] = {"y",   "n",   "yes", "no",  "on",  "off",
	                                    "Yes", "No",  "On",  "Off", "YES", "NO",
	                                    "ON",  "OFF", "Y",   "N",   NULL};
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_./+-";
	struct node n = {.kind = NODE_SCALAR, .text = text};

	if (!*text || *text == '-' || *text == '.' || *text == '+' ||
	    text[strspn(text, allowed)] != '\0')
		return false;
	for (size_t i = 0; words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return false;
	node_resolve_plain(&n);
	return n.kind == NODE_SCALAR && n.type == SCALAR_STRING;
}

void print_string(const char *text, struct buffer *out)
{
	struct buffer escaped = BUFFER_INIT;
	const char *s;

	for (const char *p = text; *p; p++)
		buffer_append_string(&escaped, *p == '$' ? "$$" : (const char[]){*p, '\0'});
	s = buffer_string(&escaped);
	if (!s)
		out->failed = true;
	else if (is_plain_safe(s))
		buffer_append_string(out, s);
	else
		print_quoted(s, out);
	buffer_fini(&escaped);
}

static void print_indent(unsigned indent, struct buffer *out)
{
	for (; indent; indent--)
		buffer_append_string(out, "  ");
}

static bool takes_string(const struct option *option)
{
	return option && (option->kind == KIND_STRING || option->kind == KIND_ENDPOINT ||
	                  option->kind == KIND_COMPONENT || option->kind == KIND_ENUM ||
	                  option->kind == KIND_STRING_LIST || option->kind == KIND_STRING_MAP);
}

static void print_scalar(const struct node *node, const struct option *option, bool hide,
                         struct buffer *out)
{
	if (hide)
		buffer_append_string(out, redacted);
	else if (takes_string(option) && node->original)
		print_string(node->original, out);
	else if (node->kind == NODE_NULL)
		buffer_append_string(out, "null");
	else if (node->type == SCALAR_STRING)
		print_string(node->text, out);
	else
		buffer_append_string(out, node->text);
}

/* option is the row the value belongs to, or NULL; options the table its keys belong to. */
static void print_value(const struct node *node, const struct option *option,
                        const struct option *options, unsigned indent, unsigned flags,
                        struct buffer *out)
{
	bool hide = option && option->flags & OPTION_SECRET && !(flags & PRINT_SECRETS);

	if (node->kind == NODE_NULL && !node->original) {
		buffer_append_byte(out, '\n');
		return;
	}
	if (node->kind < NODE_LIST || (hide && option->kind == KIND_STRING)) {
		buffer_append_byte(out, ' ');
		print_scalar(node, option, hide, out);
		buffer_append_byte(out, '\n');
		return;
	}
	if (!node->count) {
		buffer_append_string(out, node->kind == NODE_LIST ? " []\n" : " {}\n");
		return;
	}
	buffer_append_byte(out, '\n');
	for (size_t i = 0; i < node->count; i++) {
		const struct node *child = node->entries[i].value;
		const struct option *row = option, *table = NULL;
		print_indent(indent, out);
		if (node->kind == NODE_LIST) {
			buffer_append_byte(out, '-');
			table = options;
		} else {
			if (options)
				row = walk_find(options, node->entries[i].key);
			table = row && row != option ? row->options : NULL;
			print_string(node->entries[i].key, out);
			buffer_append_byte(out, ':');
		}
		print_value(child, row, table, indent + 1, flags, out);
	}
}

void print_node(const struct node *node, const struct option *options, unsigned indent,
                unsigned flags, struct buffer *out)
{
	print_value(node, NULL, options, indent, flags, out);
}

static void print_text(const char *text, bool hide, struct buffer *out)
{
	if (hide)
		buffer_append_string(out, redacted);
	else
		print_string(text, out);
}

static void print_list(const struct string_list *list, bool hide, unsigned indent,
                       struct buffer *out)
{
	buffer_append_string(out, list->count ? "\n" : " []\n");
	for (size_t i = 0; i < list->count; i++) {
		print_indent(indent, out);
		buffer_append_string(out, "- ");
		print_text(list->items[i], hide, out);
		buffer_append_byte(out, '\n');
	}
}

static void print_numbers(const struct uint_list *list, bool hide, struct buffer *out)
{
	buffer_append_string(out, " [");
	for (size_t i = 0; i < list->count; i++) {
		buffer_append_string(out, i ? ", " : "");
		if (hide)
			buffer_append_string(out, redacted);
		else
			buffer_printf(out, "%" PRIu64, list->items[i]);
	}
	buffer_append_string(out, "]\n");
}

static void print_map(const struct string_map *map, bool hide, unsigned indent, struct buffer *out)
{
	buffer_append_string(out, map->count ? "\n" : " {}\n");
	for (size_t i = 0; i < map->count; i++) {
		print_indent(indent, out);
		print_string(map->items[i].key, out);
		buffer_append_string(out, ": ");
		print_text(map->items[i].value, hide, out);
		buffer_append_byte(out, '\n');
	}
}

static void print_groups(const struct option *option, const struct group_list *list,
                         unsigned indent, unsigned flags, struct buffer *out)
{
	buffer_append_string(out, list->count ? "\n" : " []\n");
	for (size_t i = 0; i < list->count; i++) {
		print_indent(indent, out);
		buffer_append_string(out, "-\n");
		print_config(option->options, (const char *)list->items + i * option->size,
		             indent + 1, flags, out);
	}
}

static void print_number(const struct option *option, const void *field, struct buffer *out)
{
	switch (option->kind) {
	case KIND_BOOL:
		buffer_append_string(out, *(const bool *)field ? "true" : "false");
		break;
	case KIND_INT:
		buffer_printf(out, "%" PRId64, *(const int64_t *)field);
		break;
	case KIND_FLOAT:
		buffer_printf(out, "%.15g", *(const double *)field);
		break;
	case KIND_DURATION:
		duration_format(out, (int64_t) * (const uint64_t *)field);
		break;
	case KIND_ENUM:
		print_string(option->values[*(const int *)field], out);
		break;
	default: /* UINT, BYTES */
		buffer_printf(out, "%" PRIu64, *(const uint64_t *)field);
		break;
	}
}

/* Reads back as the same type: a string that looks like a number is quoted, a float has a point. */
static void print_typed(const struct scalar *value, bool hide, struct buffer *out)
{
	char number[32];

	if (hide && value->kind != SCALAR_IS_ABSENT) {
		buffer_append_string(out, redacted);
		return;
	}
	switch (value->kind) {
	case SCALAR_IS_ABSENT:
		buffer_append_string(out, "null");
		break;
	case SCALAR_IS_STRING:
		print_string(value->string, out);
		break;
	case SCALAR_IS_BOOL:
		buffer_append_string(out, value->boolean ? "true" : "false");
		break;
	case SCALAR_IS_INT:
		buffer_printf(out, "%" PRId64, value->integer);
		break;
	case SCALAR_IS_FLOAT:
		if (!isfinite(value->number)) {
			buffer_append_string(out, isnan(value->number) ? ".nan"
			                          : value->number < 0  ? "-.inf"
			                                               : ".inf");
			break;
		}
		snprintf(number, sizeof number, "%.15g", value->number);
		if (strtod(number, NULL) != value->number)
			snprintf(number, sizeof number, "%.17g", value->number);
		buffer_append_string(out, number);
		if (!strpbrk(number, ".e"))
			buffer_append_string(out, ".0");
		break;
	}
}

/* What follows "key:". */
static void print_field(const struct option *option, const void *field, unsigned indent,
                        unsigned flags, struct buffer *out)
{
	bool hide = option->flags & OPTION_SECRET && !(flags & PRINT_SECRETS);
	const char *text;

	switch (option->kind) {
	case KIND_GROUP:
	case KIND_OPTIONAL:
		buffer_append_byte(out, '\n');
		if (option->kind == KIND_OPTIONAL) {
			bool on = *(const bool *)((const char *)field + option->enabled);
			print_indent(indent, out);
			buffer_append_string(out, on ? "enabled: true\n" : "enabled: false\n");
			if (!on)
				return;
		}
		print_config(option->options, field, indent, flags, out);
		return;
	case KIND_GROUP_LIST:
		print_groups(option, field, indent, flags, out);
		return;
	case KIND_STRING_LIST:
		print_list(field, hide, indent, out);
		return;
	case KIND_UINT_LIST:
		print_numbers(field, hide, out);
		return;
	case KIND_STRING_MAP:
		print_map(field, hide, indent, out);
		return;
	default:
		break;
	}
	buffer_append_byte(out, ' ');
	if (option->kind == KIND_STRING || option->kind == KIND_COMPONENT) {
		text = *(const char *const *)field;
		print_text(text ? text : "", hide, out);
	} else if (option->kind == KIND_ENDPOINT)
		print_text(((const struct endpoint *)field)->text, hide, out);
	else if (option->kind == KIND_SCALAR)
		print_typed(field, hide, out);
	else if (hide)
		buffer_append_string(out, redacted);
	else
		print_number(option, field, out);
	buffer_append_byte(out, '\n');
}

void print_config(const struct option *options, const void *config, unsigned indent, unsigned flags,
                  struct buffer *out)
{
	for (; options && options->name; options++) {
		const void *field = (const char *)config + options->offset;
		if (options->flags & OPTION_IGNORED ||
		    (walk_is_empty(options, field) && !options->text))
			continue; /* empty in place of a default is something to tell */
		print_indent(indent, out);
		print_string(options->name, out);
		buffer_append_byte(out, ':');
		print_field(options, field, indent + 1, flags, out);
	}
}
