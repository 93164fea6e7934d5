/* What is built in, in the form of the Collector's `components`. */
#include "config/print.h"
#include "core/main/command.h"

static void print_type(const struct component_type *type, struct buffer *out)
{
	buffer_printf(out, "  - name: %s\n", type->name);
	for (const char *const *alias = type->aliases; alias && *alias; alias++)
		buffer_printf(out, "%s%s%s", alias == type->aliases ? "    aliases: [" : ", ",
		              *alias, alias[1] ? "" : "]\n");
	buffer_append_string(out, "    summary: ");
	print_string(type->summary, out);
	buffer_append_string(out, "\n    stability:");
	if (type->kind == EXTENSION) {
		buffer_printf(out, " %s\n", type->stability);
		return;
	}
	buffer_append_byte(out, '\n');
	for (int s = 0; s < SIGNAL_COUNT; s++)
		if (type->signals & SIGNAL_BIT(s))
			buffer_printf(out, "      %s: %s\n", signal_name((enum signal)s),
			              type->stability);
}

static void print_kind(enum component_kind kind, struct buffer *out)
{
	size_t n = 0;

	buffer_printf(out, "%ss:", component_kind_name(kind));
	for (const struct component_type *const *type = component_types; *type; type++)
		if ((*type)->kind == kind) {
			if (n++ == 0)
				buffer_append_byte(out, '\n');
			print_type(*type, out);
		}
	if (n == 0)
		buffer_append_string(out, " []\n");
}

enum exit_code components_command(int argc, char **argv)
{
	struct buffer out = BUFFER_INIT;

	if (argc > 1)
		return usage_error("components", "unexpected argument \"%s\"", argv[1]);
	buffer_printf(&out, "buildinfo:\n  command: weir\n  version: %s\n", weir_version);
	for (int kind = RECEIVER; kind <= EXTENSION; kind++)
		print_kind((enum component_kind)kind, &out);
	return print_out(&out);
}
