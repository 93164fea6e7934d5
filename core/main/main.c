/* weir: the program. The sub-commands stand in files of their own; without one it runs. */
#include "core/main/command.h"

#include <stdio.h>
#include <string.h>

const struct command commands[] = {
	{"run", "--config FILE [--set KEY=VALUE]...", "run with that configuration (the default)",
         run_command},
	{"validate", "--config FILE [--set KEY=VALUE]...",
         "check the configuration, build everything, start nothing", validate_command},
	{"components", "", "list what is built in, as YAML", components_command},
	{"describe", "KIND/NAME [--format text|markdown|schema]",
         "the keys of a component, e.g. exporter/otlp", describe_command},
	{"print-config",
         "--config FILE [--set KEY=VALUE]... [--mode redacted|unredacted] [--defaults]",
         "the configuration, merged and expanded", print_config_command},
	{"doctor", "[--json]", "what this host allows and what each receiver would lose",
         doctor_command},
	{"version", "", "version, revision and libraries", version_command},
	{NULL, NULL, NULL, NULL},
};

static enum exit_code help(void)
{
	printf("weir %s: takes telemetry from this host and from OTLP, and sends it on.\n\n"
	       "Usage: weir --config FILE           run\n",
	       weir_version);
	for (const struct command *c = commands; c->name; c++)
		printf("       weir %-12s %s\n                         %s\n", c->name, c->arguments,
		       c->summary);
	puts("\n"
	     "  --config FILE    a file, env:NAME or yaml:TEXT; may be repeated, later ones win\n"
	     "  --set KEY=VALUE  one key (a.b.c=value), after all --config; may be repeated\n"
	     "  --version        the version\n"
	     "  --help           this text\n"
	     "\n"
	     "Exit status: 0 fine, 1 it could not start or not go on, 2 wrong command line or\n"
	     "configuration. SIGTERM and SIGINT drain within service.shutdown_timeout; the log\n"
	     "says what could not be delivered by then, and the exit status is 0. A second signal\n"
	     "ends the process at once, with 1.");
	return EXIT_FINE;
}

static enum exit_code unknown(const char *name)
{
	const char *names[sizeof commands / sizeof *commands];
	const char *near;
	size_t n = 0;

	for (; commands[n].name; n++)
		names[n] = commands[n].name;
	names[n] = NULL;
	near = nearest_name(name, names);
	if (near)
		return usage_error(NULL, "unknown command \"%s\"; did you mean \"%s\"?", name,
		                   near);
	return usage_error(NULL, "unknown command \"%s\"", name);
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "--help";

	if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0)
		return (int)help();
	if (strcmp(first, "--version") == 0 || strcmp(first, "-v") == 0)
		return (int)version_command(argc - 1, argv + 1);
	if (first[0] == '-')
		return (int)run_command(argc, argv);
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, first) == 0)
			return (int)c->run(argc - 1, argv + 1);
	return (int)unknown(first);
}
