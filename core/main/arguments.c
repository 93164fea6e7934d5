#include "core/main/arguments.h"

#include <assert.h>
#include <getopt.h>
#include <stddef.h>

int argument_next(int argc, char **argv, const struct argument *known, const char **ret_value)
{
	enum { MOST = 15 };
	struct option options[MOST + 1] = {{NULL, 0, NULL, 0}};
	int letter;

	for (size_t i = 0; known[i].name; i++) {
		assert(i < MOST);
		options[i] = (struct option){.name = known[i].name,
		                             .has_arg = known[i].has_value ? required_argument
		                                                           : no_argument,
		                             .val = known[i].letter};
	}
	letter = getopt_long(argc, argv, "", options, NULL);
	*ret_value = optarg;
	return letter;
}

int argument_operands(void)
{
	return optind;
}
