#include "config/print.h"

#include "core/main/arguments.h"
#include "core/main/command.h"

#include <string.h>

enum exit_code print_config_command(int argc, char **argv)
{
	static const struct argument known[] = {{"config", 'c', true},
	                                        {"set", 's', true},
	                                        {"mode", 'm', true},
	                                        {"defaults", 'd', false},
	                                        {NULL, 0, false}};
	struct source_options sources = {.n_configs = 0};
	struct document *document = NULL;
	struct buffer out = BUFFER_INIT;
	struct plan *plan = NULL;
	enum exit_code code;
	unsigned flags = 0;
	const char *value;
	int letter;

	while ((letter = argument_next(argc, argv, known, &value)) != ARGUMENTS_END) {
		if (letter == 'd')
			flags |= PRINT_DEFAULTS;
		else if (letter == 'm' && strcmp(value, "unredacted") == 0)
			flags |= PRINT_SECRETS;
		else if (letter == 'm' && strcmp(value, "redacted") == 0)
			flags &= ~(unsigned)PRINT_SECRETS;
		else if (letter == 'm')
			return usage_error("print-config",
			                   "--mode must be redacted or unredacted, not \"%s\"",
			                   value);
		else if (!source_options_take(&sources, letter, value))
			return usage_error("print-config", "wrong option");
	}
	if (argument_operands() != argc)
		return usage_error("print-config", "unexpected argument \"%s\"",
		                   argv[argument_operands()]);
	code = load_plan(&sources, &plan, &document);
	if (code != EXIT_FINE)
		return code;
	plan_print(plan, document, flags, &out);
	plan_free(plan);
	document_free(document);
	return print_out(&out);
}
