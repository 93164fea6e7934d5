/* expand: ${...} in the values of a configuration, as the Collector does it.
 *
 *   ${env:NAME}  ${NAME}       the environment variable; unset: null, with a warning
 *   ${env:NAME:-default}       with a default for when it is unset
 *   ${file:/path}              the contents of a file of at most EXPAND_FILE_MAX bytes, verbatim:
 *                              a newline at its end belongs to it
 *   ${yaml:text}               the text itself
 *   $$                         a dollar sign
 *
 * Inner references are resolved first (${env:${env:X}}), and a result that holds references is
 * expanded again. When a reference is the whole value, the text it gives is read as YAML and keeps
 * its type, while targets of type string get the text itself; text that is not YAML is a string.
 * Keys are not expanded. */
#ifndef WEIR_CONFIG_EXPAND_H
#define WEIR_CONFIG_EXPAND_H

#include "config/yaml.h"

enum {
	EXPAND_MAX = 1000,         /* references of one load: a reference to itself never ends */
	EXPAND_FILE_MAX = 1 << 20, /* bytes of one file */
	EXPAND_TEXT_MAX = 1 << 20, /* bytes of one value: references that double */
	/* Bytes written over all steps: long texts with many references. Four of the largest files,
	 * or two hundred references in a text of 20 KiB. */
	EXPAND_WORK_MAX = 1 << 22,
};

/* Where the values come from. */
struct expand_io {
	void *arg;
	const char *(*getenv)(void *arg, const char *name); /* NULL: not set */
	/* Appends the contents to out; -EFBIG beyond limit bytes, -ENOMEM, or open's and read's. */
	int (*read_file)(void *arg, const char *path, size_t limit, struct buffer *out);
};

/* The process's environment and the file system. */
extern const struct expand_io expand_process_io;

/* A copy of the tree with everything expanded. Mistakes go to d and leave broken nulls, so that the
 * rest can still be checked. Returns 0 or -ENOMEM. */
int expand_tree(const struct node *tree, const struct expand_io *io, struct arena *arena,
                struct diagnostics *d, const struct node **ret);

#endif
