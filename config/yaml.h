/* yaml: a YAML document as a tree of nodes, each knowing where it stood.
 *
 * Read through libyaml's events. One document per source; keys are unique; anchors, aliases and
 * merge keys (<<) work as YAML users expect, with aliases that multiply refused. Nodes live in the
 * caller's arena and are read-only once made; an aliased node appears in several places. */
#ifndef WEIR_CONFIG_YAML_H
#define WEIR_CONFIG_YAML_H

#include "config/diagnostics.h"

enum {
	YAML_DEPTH_MAX = 64,     /* nesting that would exhaust the stack of a recursive reader */
	YAML_NODES_MAX = 100000, /* nodes counted with every alias written out: "billion laughs" */
	YAML_ANCHORS_MAX = 1000, /* each anchor and alias is sought among them one by one */
	YAML_COMPARISONS_MAX = 10000000, /* of keys with keys, for << */
	YAML_BYTES_MAX = 4 << 20,        /* of one source */
};

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

/* What a scalar is by YAML's core schema, as the Collector reads it. */
enum scalar_type { SCALAR_STRING, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT };

struct node_entry {
	const char *key; /* NULL in lists */
	struct position key_at;
	const struct node *value;
};

struct node {
	enum node_kind kind;
	enum scalar_type type; /* SCALAR: quoted text is always a string */
	struct position at;
	const char *text; /* SCALAR: NUL-terminated, holds no NUL; "" otherwise */
	/* Of values that came from ${...} (config/expand.h), otherwise NULL. original: when one
	 * ${...} made the whole value, the text it was read from, which is what a target of type
	 * string gets (0123 stays 0123). reference: the value as it was written, for messages. */
	const char *original, *reference;
	bool broken; /* null in place of what could not be expanded; was reported, says nothing */
	struct node_entry *entries; /* MAP, LIST */
	size_t count;
	size_t weight; /* nodes from here down, aliases written out */
};

/* Reads one source. name stands in every position and must outlive the arena. Returns 0 (an empty
 * document is a NODE_NULL), -EINVAL with the mistakes in d, or -ENOMEM, also in d. d may be NULL.
 */
int yaml_read(struct slice text, const char *name, struct arena *arena, struct diagnostics *d,
              const struct node **ret);

/* The value of that key in a map, or NULL: absent (or not a map). */
const struct node *node_get(const struct node *map, const char *key);

/* "null", "string", "bool", "int", "float", "list", "map". */
const char *node_type_name(const struct node *node);

/* The value of a scalar of type INT or BOOL or FLOAT. node_int fails with -ERANGE. */
int node_int(const struct node *node, bool *ret_negative, uint64_t *ret_magnitude);
bool node_bool(const struct node *node);
double node_float(const struct node *node); /* INT too */

/* Type and kind of a plain scalar. Used again for text that came from an expansion. */
void node_resolve_plain(struct node *scalar);

#endif
