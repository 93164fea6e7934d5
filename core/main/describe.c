#include "config/describe.h"

#include "core/main/arguments.h"
#include "core/main/command.h"

#include <stdio.h>
#include <string.h>

static const struct component_type *type_from(const char *written)
{
	const char *slash = strchr(written, '/');

	for (int kind = RECEIVER; slash && kind <= EXTENSION; kind++) {
		const char *name = component_kind_name((enum component_kind)kind);
		size_t len = strlen(name), given = (size_t)(slash - written);

		if (strncmp(written, name, len) == 0 &&
		    (given == len || (given == len + 1 && written[len] == 's')))
			return component_type_find(component_types, (enum component_kind)kind,
			                           slash + 1);
	}
	return NULL;
}

static enum exit_code unknown(const char *written)
{
	enum { TYPES_MAX = 128, NAME_MAX_BYTES = 80 };
	char names[TYPES_MAX][NAME_MAX_BYTES];
	const char *candidates[TYPES_MAX + 1], *near;
	size_t n = 0;

	for (const struct component_type *const *t = component_types; *t && n < TYPES_MAX; t++) {
		snprintf(names[n], sizeof names[n], "%s/%s", component_kind_name((*t)->kind),
		         (*t)->name);
		candidates[n] = names[n];
		n++;
	}
	candidates[n] = NULL;
	near = nearest_name(written, candidates);
	if (near)
		return usage_error("describe", "no component \"%s\"; did you mean \"%s\"?", written,
		                   near);
	return usage_error("describe",
	                   "no component \"%s\"; 'weir components' lists what is built in",
	                   written);
}

static void print_heading(const struct component_type *type, struct buffer *out)
{
	size_t n = 0;

	buffer_printf(out, "%s/%s: %s\nstability: %s", component_kind_name(type->kind), type->name,
	              type->summary, type->stability);
	for (int s = 0; s < SIGNAL_COUNT && type->kind != EXTENSION; s++)
		if (type->signals & SIGNAL_BIT(s))
			buffer_printf(out, "%s%s",
			              n++ ? ", " : "; signals: ", signal_name((enum signal)s));
	for (const char *const *alias = type->aliases; alias && *alias; alias++)
		buffer_printf(out, "%s%s", alias == type->aliases ? "; also called: " : ", ",
		              *alias);
	buffer_append_string(out, "\n\n");
}

static enum exit_code describe(const struct component_type *type, const char *format)
{
	struct buffer out = BUFFER_INIT;
	char title[128];

	snprintf(title, sizeof title, "%s/%s", component_kind_name(type->kind), type->name);
	if (strcmp(format, "markdown") == 0) {
		describe_markdown(type->options, &out);
	} else if (strcmp(format, "schema") == 0) {
		describe_schema(title, type->options, &out);
	} else {
		print_heading(type, &out);
		describe_text(type->options, &out);
	}
	return print_out(&out);
}

enum exit_code describe_command(int argc, char **argv)
{
	static const struct argument known[] = {{"format", 'f', true}, {NULL, 0, false}};
	static const char *const formats[] = {"text", "markdown", "schema", NULL};
	const char *value, *format = "text";
	const struct component_type *type;
	const char *const *f = formats;
	int letter;

	while ((letter = argument_next(argc, argv, known, &value)) != ARGUMENTS_END) {
		if (letter != 'f')
			return usage_error("describe", "wrong option");
		format = value;
	}
	while (*f && strcmp(*f, format) != 0)
		f++;
	if (!*f)
		return usage_error("describe",
		                   "--format must be text, markdown or schema, not "
		                   "\"%s\"",
		                   format);
	if (argument_operands() != argc - 1)
		return usage_error("describe", "name one component, for example exporter/otlp");
	type = type_from(argv[argc - 1]);
	return type ? describe(type, format) : unknown(argv[argc - 1]);
}
