#include "config/load.h"
#include "config/expand.h"
#include "config/merge.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* What one load may take, whatever its sources say. */
#define LOAD_BYTES_MAX ((size_t)128 << 20)

struct load {
	const struct expand_io *io;
	struct document *document;
	struct diagnostics *diagnostics;
	const struct node *merged;
};

static int no_memory(struct load *l, struct position at)
{
	if (l->document->budget.refusals)
		diagnostics_error(l->diagnostics, at, NULL,
		                  "the configuration needs more than %zu MiB of memory",
		                  LOAD_BYTES_MAX >> 20);
	else
		diagnostics_error(l->diagnostics, at, NULL,
		                  "out of memory while reading the configuration");
	return -ENOMEM;
}

/* Length of a scheme before ":", or 0. One letter is no scheme, nor is what holds a slash. */
static size_t scheme_length(const char *text)
{
	size_t n = 0;

	if (!isalpha((unsigned char)text[0]))
		return 0;
	while (isalnum((unsigned char)text[n]) || text[n] == '+' || text[n] == '.' ||
	       text[n] == '-')
		n++;
	return n > 1 && text[n] == ':' ? n : 0;
}

/* Appends the text of one --config. name is what positions say. */
static int read_source(struct load *l, const char *config, const char **ret_name,
                       struct buffer *out)
{
	size_t scheme = scheme_length(config);
	const char *rest = scheme ? config + scheme + 1 : config, *found;
	struct position at = {.file = config};
	int r;

	if (scheme == 3 && memcmp(config, "env", 3) == 0) {
		found = l->io->getenv(l->io->arg, rest);
		*ret_name = config;
		if (!found) {
			diagnostics_error(l->diagnostics, at, NULL,
			                  "the environment variable \"%s\" is not set", rest);
			return -EINVAL;
		}
		buffer_append_string(out, found);
		return out->failed ? no_memory(l, at) : 0;
	}
	if (scheme == 4 && memcmp(config, "yaml", 4) == 0) {
		*ret_name = "yaml:";
		buffer_append_string(out, rest);
		return out->failed ? no_memory(l, at) : 0;
	}
	if (scheme && (scheme != 4 || memcmp(config, "file", 4) != 0)) {
		diagnostics_error(l->diagnostics, (struct position){.file = "--config"}, NULL,
		                  "scheme \"%.*s\" is not supported for uri \"%s\"", (int)scheme,
		                  config, config);
		return -EINVAL;
	}
	*ret_name = rest;
	r = l->io->read_file(l->io->arg, rest, YAML_BYTES_MAX, out);
	if (r == -ENOMEM)
		return no_memory(l, at);
	if (r == -EFBIG)
		diagnostics_error(l->diagnostics, (struct position){0}, NULL,
		                  "unable to read the file %s: it is larger than %d MiB", rest,
		                  YAML_BYTES_MAX >> 20);
	else if (r < 0)
		diagnostics_error(l->diagnostics, (struct position){0}, NULL,
		                  "unable to read the file %s: %s", rest, strerror(-r));
	return r;
}

static int merge(struct load *l, const struct node *tree)
{
	if (tree->kind == NODE_NULL)
		return 0; /* an empty source says nothing */
	if (tree->kind != NODE_MAP) {
		diagnostics_error(l->diagnostics, tree->at, NULL,
		                  "retrieved value (type=%s) cannot be used as a Conf: a "
		                  "configuration is a map of sections (receivers, exporters, "
		                  "service, ...)",
		                  node_type_name(tree));
		return -EINVAL;
	}
	l->merged = merge_trees(l->merged, tree, &l->document->arena);
	return l->merged ? 0 : no_memory(l, tree->at);
}

static int load_config(struct load *l, const char *config)
{
	struct buffer text = BUFFER_INIT;
	const struct node *tree;
	const char *name;
	struct slice copy;
	int r = read_source(l, config, &name, &text);

	if (r == 0 && !arena_copy(&l->document->arena, slice_from_string(name), &copy))
		r = no_memory(l, (struct position){.file = name});
	if (r == 0)
		r = yaml_read(buffer_slice(&text), (const char *)copy.data, &l->document->arena,
		              l->diagnostics, &tree);
	if (r == 0)
		r = merge(l, tree);
	buffer_fini(&text);
	return r;
}

/* {key: value}, both standing where at says. */
static const struct node *wrap(struct load *l, const char *key, const struct node *value,
                               struct position at)
{
	struct node *map = arena_alloc(&l->document->arena, sizeof *map);
	struct node_entry *entry = arena_alloc(&l->document->arena, sizeof *entry);

	if (!map || !entry)
		return NULL;
	*entry = (struct node_entry){.key = key, .key_at = at, .value = value};
	*map = (struct node){
		.kind = NODE_MAP, .at = at, .text = "", .entries = entry, .count = 1, .weight = 2};
	return map;
}

/* Values of --set have no lines worth telling: every node stands at the source as a whole. The tree
 * was just made and is ours to change; aliases are set twice, to the same. */
static void relocate(const struct node *node, struct position at)
{
	((struct node *)(uintptr_t)node)->at = at;
	for (size_t i = 0; i < node->count; i++) {
		node->entries[i].key_at = at;
		relocate(node->entries[i].value, at);
	}
}

/* The value as YAML, or as text where it is none. */
static int read_set_value(struct load *l, const char *value, struct position at,
                          const struct node **ret)
{
	struct arena *arena = &l->document->arena;
	int r = yaml_read(slice_from_string(value), at.file, arena, NULL, ret);

	if (r == -EINVAL) {
		struct node *text = arena_alloc(arena, sizeof *text);
		struct slice copy;
		if (!text || !arena_copy(arena, slice_from_string(value), &copy))
			return no_memory(l, at);
		*text = (struct node){.kind = NODE_SCALAR,
		                      .text = (const char *)copy.data,
		                      .weight = 1};
		*ret = text;
	} else if (r < 0) {
		return no_memory(l, at);
	}
	relocate(*ret, at);
	return 0;
}

/* "a.b.c=value" is {a: {b: {c: value}}}. */
static int load_set(struct load *l, const char *set)
{
	const char *equals = strchr(set, '='), *end = equals, *start;
	struct position at = {.file = "--set"};
	const struct node *tree;
	int r;

	if (!equals) {
		diagnostics_error(l->diagnostics, at, NULL, "missing equal sign in \"%s\"", set);
		return -EINVAL;
	}
	at.file = arena_printf(&l->document->arena, "--set %.*s", (int)(equals - set), set);
	if (!at.file)
		return no_memory(l, (struct position){.file = "--set"});
	r = read_set_value(l, equals + 1, at, &tree);
	if (r < 0)
		return r;
	do { /* the last key first */
		const char *key;
		start = end;
		while (start > set && start[-1] != '.')
			start--;
		if (start == end) {
			diagnostics_error(l->diagnostics, at, NULL, "a key must not be empty");
			return -EINVAL;
		}
		key = arena_printf(&l->document->arena, "%.*s", (int)(end - start), start);
		if (!key || !(tree = wrap(l, key, tree, at)))
			return no_memory(l, at);
		end = start > set ? start - 1 : set;
	} while (start > set);
	return merge(l, tree);
}

static int load_all(struct load *l, const struct config_sources *sources)
{
	int r = 0, failed;

	for (size_t i = 0; i < sources->n_configs; i++)
		if ((failed = load_config(l, sources->configs[i])) < 0)
			r = failed;
	for (size_t i = 0; i < sources->n_sets; i++)
		if ((failed = load_set(l, sources->sets[i])) < 0)
			r = failed;
	if (r < 0)
		return r;
	if (!l->merged) {
		diagnostics_error(l->diagnostics,
		                  (struct position){.file = sources->n_configs ? sources->configs[0]
		                                                               : NULL},
		                  NULL, "empty configuration file");
		return -EINVAL;
	}
	r = expand_tree(l->merged, l->io, &l->document->arena, l->diagnostics, &l->document->root);
	if (r < 0)
		return r;
	l->document->at = (struct position){.file = l->document->root->at.file};
	return document_read(l->document, l->diagnostics);
}

int config_load(const struct config_sources *sources, struct diagnostics *d, struct document **ret)
{
	struct load l = {.io = sources->io ? sources->io : &expand_process_io, .diagnostics = d};
	int r;

	if (!sources->n_configs && !sources->n_sets) {
		diagnostics_error(d, (struct position){0}, NULL,
		                  "at least one config flag must be provided; name the "
		                  "configuration file with --config FILE");
		return -EINVAL;
	}
	l.document = calloc(1, sizeof *l.document);
	if (!l.document) {
		diagnostics_error(d, (struct position){0}, NULL,
		                  "out of memory while reading the configuration");
		return -ENOMEM;
	}
	l.document->budget.limit = LOAD_BYTES_MAX;
	arena_init(&l.document->arena, &l.document->budget);
	r = load_all(&l, sources);
	if (r < 0)
		document_free(l.document);
	else
		*ret = l.document;
	return r;
}
