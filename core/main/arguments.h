/* arguments: the options of a command line, by getopt_long(). A file of its own, because <getopt.h>
 * and config/option.h both have a struct option. */
#ifndef WEIR_MAIN_ARGUMENTS_H
#define WEIR_MAIN_ARGUMENTS_H

#include <stdbool.h>

struct argument {
	const char *name; /* without the dashes; NULL ends the list, which has at most 15 */
	char letter;      /* what argument_next() returns for it */
	bool has_value;
};

enum { ARGUMENTS_END = -1, ARGUMENTS_WRONG = '?' };

/* The next option: its letter, ARGUMENTS_END, or ARGUMENTS_WRONG after a line on standard error. */
int argument_next(int argc, char **argv, const struct argument *known, const char **ret_value);

/* After ARGUMENTS_END: the index of the first argument that is not an option. */
int argument_operands(void);

#endif
