/* What this host allows: for a terminal, or as one JSON object for programs. Ends with 1 when a
 * receiver could not start here. */
#include "bpf/host/doctor.h"

#include "core/base/json_string.h"
#include "core/main/arguments.h"
#include "core/main/command.h"

#include <string.h>

struct report {
	struct buffer out;
	bool json;
	char group[32]; /* of the line before */
	size_t n;
	size_t by_status[DOCTOR_UNKNOWN + 1];
};

static void add_json(struct report *r, const struct doctor_line *line)
{
	const struct {
		const char *key, *value;
	} members[] = {
		{"status", doctor_status_name(line->status)},
		{"group", line->group},
		{"check", line->check},
		{"seen", line->seen},
		{"disables", line->disables},
		{"fix", line->fix},
	};

	buffer_append_string(&r->out, r->n ? ",\n    {" : "\n    {");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		buffer_printf(&r->out, "%s\"%s\": ", i ? ", " : "", members[i].key);
		json_string_append(&r->out, slice_from_string(members[i].value));
	}
	buffer_append_byte(&r->out, '}');
}

static void add_text(struct report *r, const struct doctor_line *line)
{
	if (strncmp(r->group, line->group, sizeof r->group - 1) != 0) {
		buffer_printf(&r->out, "%s%s\n", r->n ? "\n" : "", line->group);
		strncpy(r->group, line->group, sizeof r->group - 1);
	}
	buffer_printf(&r->out, "  %-7s %-32s %s\n", doctor_status_name(line->status), line->check,
	              line->seen);
	if (*line->disables)
		buffer_printf(&r->out, "          without it: %s\n", line->disables);
	if (*line->fix)
		buffer_printf(&r->out, "          what to do: %s\n", line->fix);
}

static void on_line(void *arg, const struct doctor_line *line)
{
	struct report *r = arg;

	if (r->json)
		add_json(r, line);
	else
		add_text(r, line);
	r->by_status[line->status]++;
	r->n++;
}

enum exit_code doctor_command(int argc, char **argv)
{
	static const struct argument known[] = {{"json", 'j', false}, {NULL, 0, false}};
	struct report r = {.out = BUFFER_INIT};
	enum exit_code code;
	const char *value;
	int letter;

	while ((letter = argument_next(argc, argv, known, &value)) != ARGUMENTS_END) {
		if (letter != 'j')
			return usage_error("doctor", "wrong option");
		r.json = true;
	}
	if (argument_operands() != argc)
		return usage_error("doctor", "unexpected argument \"%s\"",
		                   argv[argument_operands()]);
	if (r.json) {
		buffer_append_string(&r.out, "{\n  \"version\": ");
		json_string_append(&r.out, slice_from_string(weir_version));
		buffer_append_string(&r.out, ",\n  \"checks\": [");
	}
	doctor_run(on_line, &r);
	if (r.json)
		buffer_append_string(&r.out, "\n  ]\n}\n");
	else
		buffer_printf(&r.out, "\n%zu ok, %zu warn, %zu fail, %zu unknown\n",
		              r.by_status[DOCTOR_OK], r.by_status[DOCTOR_WARN],
		              r.by_status[DOCTOR_FAIL], r.by_status[DOCTOR_UNKNOWN]);
	code = print_out(&r.out);
	return code == EXIT_FINE && r.by_status[DOCTOR_FAIL] ? EXIT_RUNTIME : code;
}
