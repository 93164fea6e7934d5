/* command: what the weir program can be told to do. One file per sub-command. */
#ifndef WEIR_MAIN_COMMAND_H
#define WEIR_MAIN_COMMAND_H

#include "config/load.h"
#include "core/pipeline/plan.h"

/* What weir ends with. */
enum exit_code {
	EXIT_FINE = 0,
	EXIT_RUNTIME = 1, /* it could not start, not go on, or not end in order */
	EXIT_USAGE = 2,   /* the command line or the configuration is wrong */
};

/* argv[0] is the name of the sub-command, or "weir". */
struct command {
	const char *name, *arguments, *summary;
	enum exit_code (*run)(int argc, char **argv);
};

/* NULL-named at the end; main.c. */
extern const struct command commands[];

enum exit_code run_command(int argc, char **argv);
enum exit_code validate_command(int argc, char **argv);
enum exit_code components_command(int argc, char **argv);
enum exit_code describe_command(int argc, char **argv);
enum exit_code print_config_command(int argc, char **argv);
enum exit_code doctor_command(int argc, char **argv);
enum exit_code version_command(int argc, char **argv);

/* "0.1.0" and the git revision it was built from. */
extern const char weir_version[], weir_revision[];

/* --config and --set, as often as they stand on the command line. */
enum { SOURCES_MAX = 64 };
struct source_options {
	const char *configs[SOURCES_MAX], *sets[SOURCES_MAX];
	size_t n_configs, n_sets;
};

/* Takes an option of getopt_long() that is about sources: 'c' and 's'. False when it is another, or
 * there are too many (then it was said). */
bool source_options_take(struct source_options *o, int option, const char *value);

/* Loads, checks and resolves; every mistake and warning goes to standard error. ret_document may be
 * NULL. */
enum exit_code load_plan(const struct source_options *sources, struct plan **ret,
                         struct document **ret_document);

/* Writes the buffer to standard output and frees it. */
enum exit_code print_out(struct buffer *out);

/* Says on standard error that the command line is wrong and how it would be right. */
enum exit_code usage_error(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The name nearest to what was written, or NULL when none is near. Candidates end with NULL. */
const char *nearest_name(const char *written, const char *const *candidates);

#endif
