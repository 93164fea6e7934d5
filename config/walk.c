#include "config/walk.h"
#include "config/suggest.h"
#include "config/value.h"

#include <errno.h>

static void *field_of(const struct option *option, void *config)
{
	return (char *)config + option->offset;
}

static bool *enabled_of(const struct option *option, void *config)
{
	return (bool *)((char *)field_of(option, config) + option->enabled);
}

const struct option *walk_find(const struct option *options, const char *name)
{
	for (; options && options->name; options++)
		if (strcmp(options->name, name) == 0)
			return options;
	return NULL;
}

bool walk_is_empty(const struct option *option, const void *field)
{
	const char *text;

	switch (option->kind) {
	case KIND_STRING:
	case KIND_COMPONENT:
		text = *(const char *const *)field;
		return !text || !*text;
	case KIND_ENDPOINT:
		return !endpoint_is_set(field);
	case KIND_STRING_LIST:
		return ((const struct string_list *)field)->count == 0;
	case KIND_UINT_LIST:
		return ((const struct uint_list *)field)->count == 0;
	case KIND_STRING_MAP:
		return ((const struct string_map *)field)->count == 0;
	case KIND_SCALAR:
		return ((const struct scalar *)field)->kind == SCALAR_IS_ABSENT;
	case KIND_GROUP_LIST:
		return ((const struct group_list *)field)->count == 0;
	default:
		return false;
	}
}

static int set_default(struct walk *w, const struct option *option, void *config)
{
	static const struct path path = {NULL, "default", 0};
	struct node node = {.kind = NODE_SCALAR, .text = option->text};

	if (!option->text)
		return 0;
	if (option->kind != KIND_STRING && option->kind != KIND_ENUM &&
	    option->kind != KIND_ENDPOINT && option->kind != KIND_STRING_LIST)
		node_resolve_plain(&node);
	return value_set(w, option, field_of(option, config), &node, &path);
}

int walk_defaults(struct walk *w, const struct option *options, void *config)
{
	int r = 0;

	for (; options && options->name && r == 0; options++) {
		if (options->flags & OPTION_IGNORED || options->kind == KIND_GROUP_LIST)
			continue;
		if (options->kind == KIND_OPTIONAL)
			*enabled_of(options, config) =
				options->text && strcmp(options->text, "on") == 0;
		if (options->kind == KIND_GROUP || options->kind == KIND_OPTIONAL)
			r = walk_defaults(w, options->options, field_of(options, config));
		else
			r = set_default(w, options, config);
	}
	return r;
}

static void refuse_unknown(struct walk *w, const struct option *options, bool takes_enabled,
                           const struct node_entry *entry, const struct path *path)
{
	struct suggestion nearest;
	char near[SUGGESTION_TEXT_MAX], where[PATH_TEXT_MAX];

	suggestion_init(&nearest, diagnostics_is_full(w->diagnostics) ? "" : entry->key);
	for (; options && options->name; options++)
		suggestion_consider(&nearest, options->name);
	if (takes_enabled)
		suggestion_consider(&nearest, "enabled");
	diagnostics_error(w->diagnostics, entry->key_at, path_text(path, where),
	                  "has invalid keys: %s%s", entry->key, suggestion_text(&nearest, near));
}

/* What a flag says to whoever wrote the key. */
static void notify(struct walk *w, const struct option *option, const struct node_entry *entry,
                   const struct path *path)
{
	size_t len = strlen(option->doc ? option->doc : "");
	char where[PATH_TEXT_MAX];

	if (len && option->doc[len - 1] == '.')
		len--;
	diagnostics_warn(w->diagnostics, entry->key_at, path_text(path, where), "'%s' %s%s%.*s",
	                 option->name,
	                 option->flags & OPTION_IGNORED ? "has no effect here" : "is deprecated",
	                 len ? ": " : "", (int)len, option->doc ? option->doc : "");
}

static int fill(struct walk *w, const struct option *options, void *config, const struct node *node,
                struct position at, const struct path *path, bool takes_enabled);

/* Keeps the first failure, but no memory before all others. */
static void keep(int *result, int r)
{
	if (r < 0 && *result != -ENOMEM)
		*result = r;
}

static int fill_group(struct walk *w, const struct option *option, void *config,
                      const struct node *node, struct position at, const struct path *path)
{
	struct path here = {path, option->name, 0};

	if (node && node->kind != NODE_MAP && node->kind != NODE_NULL)
		return value_refuse(w, option, node, path, "expected a map or struct, got \"%s\"",
		                    node_type_name(node));
	return fill(w, option->options, field_of(option, config), node, at, &here,
	            option->kind == KIND_OPTIONAL);
}

static int fill_optional(struct walk *w, const struct option *option, void *config,
                         const struct node *node, struct position at, const struct path *path)
{
	bool *enabled = enabled_of(option, config);
	const struct node *given = node_get(node, "enabled");
	struct path here = {path, option->name, 0};
	char where[PATH_TEXT_MAX];

	if (node &&
	    (node->kind == NODE_MAP || (node->kind == NODE_NULL && option->flags & OPTION_NULL_ON)))
		*enabled = true;
	if (given && given->broken)
		return -EINVAL;
	if (given && given->kind != NODE_NULL) {
		if (given->kind != NODE_SCALAR || given->type != SCALAR_BOOL) {
			diagnostics_error(
				w->diagnostics, given->at, path_text(&here, where),
				"unexpected type %s for 'enabled': got '%.64s' value expected "
				"'true' or 'false'",
				node_type_name(given), given->text);
			return -EINVAL;
		}
		*enabled = node_bool(given);
	}
	if (!*enabled && (!node || node->kind == NODE_MAP || node->kind == NODE_NULL))
		return 0;
	return fill_group(w, option, config, node, at, path);
}

static int fill_group_list(struct walk *w, const struct option *option, void *config,
                           const struct node *node, const struct path *path)
{
	struct group_list *field = field_of(option, config), list = {0};
	struct path here = {path, option->name, 0};
	int result = 0;

	if (node->kind != NODE_LIST)
		return value_refuse(w, option, node, path,
		                    "source data must be an array or slice, got %s",
		                    node_type_name(node));
	if (node->count)
		list.items = arena_alloc_array(w->arena, node->count, option->size);
	if (node->count && !list.items)
		return value_no_memory(w, node->at, path);
	for (size_t i = 0; i < node->count; i++) {
		const struct node *element = node->entries[i].value;
		struct path at = {&here, NULL, i};
		void *item = (char *)list.items + i * option->size;
		int r = element->broken ? -EINVAL : walk_defaults(w, option->options, item);
		if (r == 0 && element->kind != NODE_MAP && element->kind != NODE_NULL)
			r = value_refuse(w, option, element, path,
			                 "expected a map or struct, got \"%s\"",
			                 node_type_name(element));
		else if (r == 0)
			r = fill(w, option->options, item, element, element->at, &at, false);
		keep(&result, r);
		list.count++;
	}
	*field = list;
	return result;
}

/* One row; entry NULL: the key is absent. */
static int fill_row(struct walk *w, const struct option *option, void *config,
                    const struct node_entry *entry, struct position at, const struct path *path)
{
	const struct node *node = entry ? entry->value : NULL;
	struct position inner = entry ? entry->key_at : at;
	bool empty, says_nothing;
	char where[PATH_TEXT_MAX];
	int r = 0;

	if (option->flags & (OPTION_IGNORED | OPTION_DEPRECATED) && entry)
		notify(w, option, entry, path);
	if (option->flags & OPTION_IGNORED)
		return 0;
	if (node && node->broken)
		return -EINVAL;
	/* From an unset variable a string gets the empty text; all else keeps its default. */
	says_nothing = !node || (node->kind == NODE_NULL &&
	                         !(node->original &&
	                           (option->kind == KIND_STRING || option->kind == KIND_ENDPOINT ||
	                            option->kind == KIND_COMPONENT)));
	if (option->kind == KIND_GROUP)
		r = fill_group(w, option, config, node, inner, path);
	else if (option->kind == KIND_OPTIONAL)
		r = fill_optional(w, option, config, node, inner, path);
	else if (!says_nothing && option->kind == KIND_GROUP_LIST)
		r = fill_group_list(w, option, config, node, path);
	else if (!says_nothing)
		r = value_set(w, option, field_of(option, config), node, path);
	if (r < 0 || !(option->flags & OPTION_REQUIRED))
		return r;
	empty = walk_is_empty(option, field_of(option, config));
	if (empty || (says_nothing && !option->text && option->kind != KIND_GROUP)) {
		diagnostics_error(w->diagnostics, inner, path_text(path, where),
		                  "requires a non-empty \"%s\"", option->name);
		return -EINVAL;
	}
	return 0;
}

static int fill(struct walk *w, const struct option *options, void *config, const struct node *node,
                struct position at, const struct path *path, bool takes_enabled)
{
	int result = 0;

	for (size_t i = 0; node && i < node->count; i++)
		if (!walk_find(options, node->entries[i].key) &&
		    !(takes_enabled && strcmp(node->entries[i].key, "enabled") == 0)) {
			refuse_unknown(w, options, takes_enabled, &node->entries[i], path);
			keep(&result, -EINVAL);
		}
	for (; options && options->name; options++) {
		const struct node_entry *entry = NULL;
		for (size_t i = 0; node && i < node->count && !entry; i++)
			if (strcmp(node->entries[i].key, options->name) == 0)
				entry = &node->entries[i];
		keep(&result, fill_row(w, options, config, entry, at, path));
	}
	return result;
}

int walk_config(struct walk *w, const struct option *options, void *config, const struct node *node,
                struct position at, const char *path)
{
	struct path root = {NULL, path, 0};
	int r = walk_defaults(w, options, config);

	if (r < 0)
		return r;
	if (node && node->broken)
		return -EINVAL;
	if (node && node->kind != NODE_MAP && node->kind != NODE_NULL) {
		diagnostics_error(w->diagnostics, node->at, path, "expected a map, got \"%s\"",
		                  node_type_name(node));
		return -EINVAL;
	}
	return fill(w, options, config, node, at, &root, false);
}
