#include "config/describe.h"
#include "config/print.h"

#include "core/base/units.h"

#include <math.h>
#include <stdio.h>

enum { NAME_MAX_LENGTH = 256 };

static const char *const kind_names[] = {
	[KIND_BOOL] = "bool",
	[KIND_INT] = "int",
	[KIND_UINT] = "int",
	[KIND_FLOAT] = "float",
	[KIND_STRING] = "string",
	[KIND_BYTES] = "bytes",
	[KIND_DURATION] = "duration",
	[KIND_ENUM] = "one of ",
	[KIND_ENDPOINT] = "endpoint",
	[KIND_COMPONENT] = "component id",
	[KIND_STRING_LIST] = "list of strings",
	[KIND_UINT_LIST] = "list of ints",
	[KIND_STRING_MAP] = "map of strings",
	[KIND_SCALAR] = "string, number or bool",
	[KIND_GROUP] = "block",
	[KIND_OPTIONAL] = "optional block",
	[KIND_GROUP_LIST] = "list of blocks",
};

static void print_bound(const struct option *option, double value, struct buffer *out)
{
	if (option->kind == KIND_DURATION)
		duration_format(out, (int64_t)value);
	else
		buffer_printf(out, fabs(value) < 1e15 && value == floor(value) ? "%.0f" : "%g",
		              value);
}

void describe_kind(const struct option *option, struct buffer *out)
{
	if (option->flags & OPTION_IGNORED) {
		buffer_append_string(out, "ignored");
		return;
	}
	buffer_append_string(out, kind_names[option->kind]);
	for (size_t i = 0; option->kind == KIND_ENUM && option->values[i]; i++)
		buffer_printf(out, "%s%s", i ? ", " : "", option->values[i]);
	if (option->min == 0 && option->max == 0)
		return;
	buffer_append_string(out, option->max >= option->min ? ", " : ", at least ");
	print_bound(option, option->min, out);
	if (option->max >= option->min) {
		buffer_append_string(out, " to ");
		print_bound(option, option->max, out);
	}
}

/* "required", the default's text, "off"; nothing where nothing is the default. */
static void describe_default(const struct option *option, struct buffer *out)
{
	if (option->flags & OPTION_IGNORED || option->kind == KIND_GROUP)
		return;
	if (option->kind == KIND_OPTIONAL)
		buffer_append_string(out, option->text ? "on" : "off");
	else if (option->flags & OPTION_REQUIRED && !option->text)
		buffer_append_string(out, "required");
	else if (option->text)
		buffer_append_string(out, option->text);
	else if (option->kind == KIND_BOOL)
		buffer_append_string(out, "false");
	else if (option->kind == KIND_ENUM)
		buffer_append_string(out, option->values[0]);
	else if (option->kind == KIND_INT || option->kind == KIND_UINT ||
	         option->kind == KIND_BYTES || option->kind == KIND_FLOAT)
		buffer_append_string(out, "0");
	else if (option->kind == KIND_DURATION)
		buffer_append_string(out, "0s");
}

static void describe_doc(const struct option *option, struct buffer *out)
{
	if (option->flags & OPTION_DEPRECATED)
		buffer_append_string(out, "Deprecated: ");
	buffer_append_string(out, option->doc ? option->doc : "");
	if (option->flags & OPTION_SECRET)
		buffer_append_string(out, " Never printed.");
}

static void text_rows(const struct option *options, unsigned depth, struct buffer *out)
{
	for (; options && options->name; options++) {
		bool required = options->flags & OPTION_REQUIRED && !options->text;
		struct buffer value = BUFFER_INIT;
		buffer_printf(out, "%*s%-*s ", (int)(2 + 2 * depth), "", (int)(30 - 2 * depth),
		              options->name);
		describe_kind(options, out);
		describe_default(options, &value);
		if (value.len)
			buffer_printf(out, "; %s%.*s", required ? "" : "default ",
			              SLICE_PRINTF(buffer_slice(&value)));
		out->failed |= value.failed;
		buffer_fini(&value);
		buffer_printf(out, "\n%*s", (int)(6 + 2 * depth), "");
		describe_doc(options, out);
		buffer_append_byte(out, '\n');
		text_rows(options->options, depth + 1, out);
	}
}

void describe_text(const struct option *options, struct buffer *out)
{
	if (!options || !options->name)
		buffer_append_string(out, "  no keys\n");
	text_rows(options, 0, out);
}

/* A bar would end the cell. */
static void append_cell(const struct buffer *cell, struct buffer *out)
{
	for (size_t i = 0; i < cell->len; i++) {
		if (cell->data[i] == '|')
			buffer_append_byte(out, '\\');
		buffer_append_byte(out, cell->data[i]);
	}
	out->failed |= cell->failed;
}

static void markdown_rows(const struct option *options, const char *prefix, struct buffer *out)
{
	struct buffer cell = BUFFER_INIT;
	char name[NAME_MAX_LENGTH];

	for (; options && options->name; options++) {
		buffer_printf(out, "| `%s%s` | ", prefix, options->name);
		buffer_clear(&cell);
		describe_kind(options, &cell);
		append_cell(&cell, out);
		buffer_append_string(out, " | ");
		buffer_clear(&cell);
		describe_default(options, &cell);
		if (cell.len && !(options->flags & OPTION_REQUIRED && !options->text)) {
			buffer_append_byte(out, '`');
			append_cell(&cell, out);
			buffer_append_byte(out, '`');
		} else {
			append_cell(&cell, out);
		}
		buffer_append_string(out, " | ");
		buffer_clear(&cell);
		describe_doc(options, &cell);
		append_cell(&cell, out);
		buffer_append_string(out, " |\n");
		if (!options->options)
			continue;
		snprintf(name, sizeof name, "%s%s%s.", prefix, options->name,
		         options->kind == KIND_GROUP_LIST ? "[]" : "");
		markdown_rows(options->options, name, out);
	}
	buffer_fini(&cell);
}

void describe_markdown(const struct option *options, struct buffer *out)
{
	if (!options || !options->name) {
		buffer_append_string(out, "It has no keys.\n");
		return;
	}
	buffer_append_string(out, "| Key | Type | Default | Meaning |\n"
	                          "|---|---|---|---|\n");
	markdown_rows(options, "", out);
}

static void schema_object(const struct option *options, bool optional, struct buffer *out);

static void schema_number(const struct option *option, struct buffer *out)
{
	buffer_printf(out, "{\"type\":\"%s\"", option->kind == KIND_FLOAT ? "number" : "integer");
	if (option->min != 0 || option->max != 0)
		buffer_printf(out, ",\"minimum\":%.17g", option->min);
	else if (option->kind == KIND_UINT || option->kind == KIND_UINT_LIST)
		buffer_append_string(out, ",\"minimum\":0");
	if ((option->min != 0 || option->max != 0) && option->max >= option->min)
		buffer_printf(out, ",\"maximum\":%.17g", option->max);
	buffer_append_byte(out, '}');
}

/* The type alone; null and ${...} are added round it. */
static void schema_type(const struct option *option, struct buffer *out)
{
	switch (option->kind) {
	case KIND_BOOL:
		buffer_append_string(out, "{\"type\":\"boolean\"}");
		break;
	case KIND_BYTES:
	case KIND_DURATION:
		buffer_append_string(out, "{\"type\":[\"integer\",\"string\"]}");
		break;
	case KIND_INT:
	case KIND_UINT:
	case KIND_FLOAT:
		schema_number(option, out);
		break;
	case KIND_UINT_LIST:
		buffer_append_string(out, "{\"type\":[\"array\",\"integer\"],\"items\":");
		schema_number(option, out);
		buffer_append_byte(out, '}');
		break;
	case KIND_ENUM:
		buffer_append_string(out, "{\"enum\":[");
		for (size_t i = 0; option->values[i]; i++) {
			buffer_append_string(out, i ? "," : "");
			print_quoted(option->values[i], out);
		}
		buffer_append_string(out, "]}");
		break;
	case KIND_STRING_LIST:
		buffer_append_string(out, "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}");
		break;
	case KIND_STRING_MAP:
		buffer_append_string(out, "{\"type\":\"object\",\"additionalProperties\":{"
		                          "\"type\":[\"string\",\"null\"]}}");
		break;
	case KIND_SCALAR:
		buffer_append_string(out, "{\"type\":[\"string\",\"number\",\"boolean\"]}");
		break;
	case KIND_GROUP:
	case KIND_OPTIONAL:
		schema_object(option->options, option->kind == KIND_OPTIONAL, out);
		break;
	case KIND_GROUP_LIST:
		buffer_append_string(out, "{\"type\":\"array\",\"items\":");
		schema_object(option->options, false, out);
		buffer_append_byte(out, '}');
		break;
	default:
		buffer_append_string(out, "{\"type\":\"string\"}");
		break;
	}
}

static void schema_property(const struct option *option, struct buffer *out)
{
	struct buffer doc = BUFFER_INIT;
	const char *text;

	describe_doc(option, &doc);
	text = buffer_string(&doc);
	print_quoted(option->name, out);
	buffer_append_string(out, ":{\"description\":");
	print_quoted(text ? text : "", out);
	buffer_fini(&doc);
	if (option->flags & (OPTION_DEPRECATED | OPTION_IGNORED))
		buffer_append_string(out, ",\"deprecated\":true");
	if (!(option->flags & OPTION_IGNORED)) {
		buffer_append_string(out, ",\"anyOf\":[");
		schema_type(option, out);
		buffer_append_string(out, ",{\"$ref\":\"#/$defs/elsewhere\"}]");
	}
	buffer_append_byte(out, '}');
}

static void schema_object(const struct option *options, bool optional, struct buffer *out)
{
	const char *comma = "";

	buffer_append_string(out, "{\"type\":\"object\",\"additionalProperties\":false,"
	                          "\"properties\":{");
	if (optional) {
		buffer_append_string(out, "\"enabled\":{\"type\":\"boolean\"}");
		comma = ",";
	}
	for (const struct option *o = options; o && o->name; o++, comma = ",") {
		buffer_append_string(out, comma);
		schema_property(o, out);
	}
	buffer_append_byte(out, '}');
	comma = "";
	for (const struct option *o = options; o && o->name; o++)
		if (o->flags & OPTION_REQUIRED && !o->text) {
			buffer_append_string(out, *comma ? "," : ",\"required\":[");
			print_quoted(o->name, out);
			comma = ",";
		}
	buffer_append_string(out, *comma ? "]}" : "}");
}

void describe_schema(const char *title, const struct option *options, struct buffer *out)
{
	buffer_append_string(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
	                          "\"title\":");
	print_quoted(title, out);
	buffer_append_string(out, ",\"$defs\":{\"elsewhere\":{\"anyOf\":[{\"type\":\"null\"},"
	                          "{\"type\":\"string\",\"pattern\":\"[$][{].*[}]\"}]}},"
	                          "\"anyOf\":[{\"type\":\"null\"},");
	schema_object(options, false, out);
	buffer_append_string(out, "]}\n");
}
