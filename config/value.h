/* value: one value of an option table's row, checked and stored; private to the walker. */
#ifndef WEIR_CONFIG_VALUE_H
#define WEIR_CONFIG_VALUE_H

#include "config/walk.h"

/* Stores a scalar, string list or string map (no null without a text, no broken node) in field.
 * Mistakes are reported below path. Returns 0, -EINVAL or -ENOMEM; field is then unchanged. */
int value_set(struct walk *w, const struct option *option, void *field, const struct node *node,
              const struct path *path);

/* Reports a mistake in a value: "'name' " and the sentence, and what the value came from. Always
 * -EINVAL. */
int value_refuse(struct walk *w, const struct option *option, const struct node *node,
                 const struct path *path, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

int value_no_memory(struct walk *w, struct position at, const struct path *path);

#endif
