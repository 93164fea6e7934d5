/* walk: fills a config struct from a node by an option table.
 *
 * Typing is strict: "5" in quotes is no int, 1 is no bool; a string list also takes one string,
 * split on commas. For every key, three states are kept apart as in the Collector:
 *
 * - OPTIONAL: absent, as .text says; null, on with OPTION_NULL_ON and otherwise as if absent;
 *   {} or a map, on, with its defaults and what is given;
 * - GROUP: defaults, and what a map gives;
 * - list: absent and null, the default; [] replaces it;
 * - string map: absent and null, the default; a map is joined to it;
 * - all else: absent and null, the default.
 *
 * Every OPTIONAL block also takes `enabled: true|false`; false switches it off whatever else it
 * holds, and then the rest is not looked at. Strings are copied into the arena. */
#ifndef WEIR_CONFIG_WALK_H
#define WEIR_CONFIG_WALK_H

#include "config/option.h"
#include "config/path.h"
#include "config/yaml.h"

/* A value of KIND_COMPONENT: whether that component exists is for the caller to check. */
struct walk_reference {
	const char *id, *path;
	struct position at;
	struct walk_reference *next;
};

struct walk {
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct walk_reference *references; /* the latest first */
};

/* Sets every field of the table to its default. config is zeroed. Returns 0, -ENOMEM, or -EINVAL
 * for a table with a default that its own row refuses. */
int walk_defaults(struct walk *w, const struct option *options, void *config);

/* The same, then what node says; NULL, null and broken nodes say nothing. at is where a missing key
 * is complained of, path what its name begins with. Returns 0, or -ENOMEM or -EINVAL after mistakes
 * were reported. options may be NULL: no keys. */
int walk_config(struct walk *w, const struct option *options, void *config, const struct node *node,
                struct position at, const char *path);

/* The row of that name, or NULL. options may be NULL. */
const struct option *walk_find(const struct option *options, const char *name);

/* True when the row's field holds nothing: an empty string, endpoint, list or map. */
bool walk_is_empty(const struct option *option, const void *field);

#endif
