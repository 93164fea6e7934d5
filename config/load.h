/* load: from the command line to a document: read every source, merge, expand, read the shape.
 *
 * Sources are merged in the order given, maps key by key, lists and scalars replaced whole; then
 * ${...} is expanded; all --set come after all --config, as in the Collector. */
#ifndef WEIR_CONFIG_LOAD_H
#define WEIR_CONFIG_LOAD_H

#include "config/document.h"

struct expand_io;

struct config_sources {
	/* What --config named: a path, file:PATH, env:NAME or yaml:TEXT. */
	const char *const *configs;
	size_t n_configs;
	/* What --set named: a.b.c=value, the value in YAML. */
	const char *const *sets;
	size_t n_sets;
	/* Where ${env:} and ${file:} and the files themselves are read from (config/expand.h);
	 * NULL: the process's environment and the file system. */
	const struct expand_io *io;
};

/* Returns 0 and a document, which may still lack much: d holds what is wrong with its shape, and
 * plan_make() finds the rest and fails then. Returns a negative errno and no document when there is
 * nothing to go on with (a file cannot be read, or is not YAML). */
int config_load(const struct config_sources *sources, struct diagnostics *d, struct document **ret);

#endif
