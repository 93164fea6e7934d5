#include "core/main/command.h"

#include "config/suggest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

bool source_options_take(struct source_options *o, int option, const char *value)
{
	size_t *n = option == 'c' ? &o->n_configs : &o->n_sets;

	if (option != 'c' && option != 's')
		return false;
	if (*n == SOURCES_MAX) {
		fprintf(stderr, "weir: more than %d times --%s\n", SOURCES_MAX,
		        option == 'c' ? "config" : "set");
		return false;
	}
	(option == 'c' ? o->configs : o->sets)[(*n)++] = value;
	return true;
}

static void print_diagnostics(struct diagnostics *d)
{
	struct buffer out = BUFFER_INIT;

	diagnostics_print(d, &out);
	if (out.len)
		fwrite(out.data, 1, out.len, stderr);
	buffer_fini(&out);
}

enum exit_code load_plan(const struct source_options *sources, struct plan **ret,
                         struct document **ret_document)
{
	const struct config_sources from = {
		.configs = sources->configs,
		.n_configs = sources->n_configs,
		.sets = sources->sets,
		.n_sets = sources->n_sets,
	};
	struct document *document = NULL;
	struct diagnostics d;
	int r;

	diagnostics_init(&d);
	r = config_load(&from, &d, &document);
	if (r == 0)
		r = plan_make(document, component_types, &d, ret);
	print_diagnostics(&d);
	if (r < 0 && d.errors == 0)
		fprintf(stderr, "weir: the configuration could not be loaded: %s\n", strerror(-r));
	diagnostics_fini(&d);
	if (r == 0 && ret_document)
		*ret_document = document;
	else
		document_free(document);
	if (r < 0)
		return r == -ENOMEM ? EXIT_RUNTIME : EXIT_USAGE;
	return EXIT_FINE;
}

enum exit_code print_out(struct buffer *out)
{
	bool whole = !out->failed && fwrite(out->data, 1, out->len, stdout) == out->len &&
	             fflush(stdout) == 0;

	buffer_fini(out);
	if (!whole)
		fprintf(stderr, "weir: writing to standard output failed: %s\n", strerror(errno));
	return whole ? EXIT_FINE : EXIT_RUNTIME;
}

enum exit_code usage_error(const char *command, const char *format, ...)
{
	va_list args;

	fputs("weir: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	for (const struct command *c = commands; c->name; c++)
		if (command && strcmp(c->name, command) == 0)
			fprintf(stderr, "Usage: weir %s %s\n", c->name, c->arguments);
	if (!command)
		fputs("Try 'weir --help'.\n", stderr);
	return EXIT_USAGE;
}

const char *nearest_name(const char *written, const char *const *candidates)
{
	struct suggestion s;

	suggestion_init(&s, written);
	suggestion_consider_all(&s, candidates);
	return s.best;
}
