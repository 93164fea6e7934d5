/* path: where in the configuration a reader is, as "exporters::otlp::tls". Kept as links on the
 * readers' stacks and only written out for a message. */
#ifndef WEIR_CONFIG_PATH_H
#define WEIR_CONFIG_PATH_H

#include <stddef.h>

struct path {
	const struct path *parent; /* NULL: the outermost */
	const char *key;           /* NULL: an element of a list */
	size_t index;
};

enum { PATH_TEXT_MAX = 512 };

/* Writes the whole path into text, cut when it is longer, and returns text. NULL gives "". */
const char *path_text(const struct path *path, char text[PATH_TEXT_MAX]);

#endif
