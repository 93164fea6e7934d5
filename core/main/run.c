#include "core/main/arguments.h"
#include "core/main/command.h"
#include "core/main/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* --config and --set, for the commands that know nothing else. */
static enum exit_code parse_sources(int argc, char **argv, const char *command,
                                    struct source_options *ret)
{
	static const struct argument known[] = {{"config", 'c', true},
	                                        {"set", 's', true},
	                                        {NULL, 0, false}};
	const char *value;
	int letter;

	while ((letter = argument_next(argc, argv, known, &value)) != ARGUMENTS_END)
		if (!source_options_take(ret, letter, value))
			return usage_error(command, "wrong option");
	if (argument_operands() != argc)
		return usage_error(command, "unexpected argument \"%s\"",
		                   argv[argument_operands()]);
	return EXIT_FINE;
}

static struct daemon *load(int argc, char **argv, const char *command, enum exit_code *ret_code)
{
	struct source_options sources = {.n_configs = 0};
	struct error error = ERROR_INIT;
	struct plan *plan = NULL;
	struct daemon *d;

	*ret_code = parse_sources(argc, argv, command, &sources);
	if (*ret_code == EXIT_FINE)
		*ret_code = load_plan(&sources, &plan, NULL);
	if (*ret_code != EXIT_FINE)
		return NULL;
	d = daemon_new(plan, &error);
	if (!d) {
		fprintf(stderr, "weir: %s\n", error.message);
		*ret_code = EXIT_RUNTIME;
	}
	return d;
}

static enum exit_code end(struct daemon *d, enum exit_code code)
{
	if (daemon_free(d))
		return code;
	fflush(stderr);
	_exit((int)code);
}

/* The soft limit is 1,024 in most shells, for programs that still use select(); a connection takes
 * one descriptor, and nothing here uses select(). */
static void raise_descriptor_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* refused: what there is has to do */
}

enum exit_code run_command(int argc, char **argv)
{
	struct error error = ERROR_INIT;
	enum exit_code code;
	struct daemon *d;

	signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error of its write */
	raise_descriptor_limit();
	d = load(argc, argv, "run", &code);
	if (!d)
		return code;
	if (daemon_run(d, &error) < 0) {
		fprintf(stderr, "weir: %s\n", error.message);
		code = EXIT_RUNTIME;
	}
	return end(d, code);
}

static void tell(const struct error *error)
{
	fprintf(stderr, "weir: %s\n", error->message);
}

enum exit_code validate_command(int argc, char **argv)
{
	enum exit_code code;
	struct daemon *d = load(argc, argv, "validate", &code);
	int r;

	if (!d)
		return code;
	r = daemon_try(d, tell);
	if (r < 0)
		code = r == -ENOMEM ? EXIT_RUNTIME : EXIT_USAGE;
	else
		puts("The configuration is valid.");
	return end(d, code);
}
