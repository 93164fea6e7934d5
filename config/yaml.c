#include "config/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

/* A list or map that is still open. Its children are collected here and copied into the arena when
 * it closes, because only then their number is known. */
struct open_node {
	struct node *node;
	const char *anchor;
	struct node_entry *entries;
	size_t count, capacity;
	const char *key; /* MAP: the key that waits for its value */
	struct position key_at;
};

struct anchor {
	const char *name;
	const struct node *node; /* NULL while it is still open */
	struct anchor *next;
};

struct reader {
	yaml_parser_t parser;
	const char *name;
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct anchor *anchors;
	unsigned n_anchors;
	struct open_node open[YAML_DEPTH_MAX];
	size_t depth;
	size_t weight;   /* nodes so far, aliases written out */
	size_t compared; /* keys, by merge keys so far */
	const struct node *root;
};

static struct position position_of(const struct reader *r, yaml_mark_t mark)
{
	return (struct position){r->name, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static int no_memory(struct reader *r)
{
	diagnostics_error(r->diagnostics, (struct position){.file = r->name}, NULL,
	                  "out of memory while reading the configuration");
	return -ENOMEM;
}

#define REFUSE(r, at, ...) (diagnostics_error((r)->diagnostics, at, NULL, __VA_ARGS__), -EINVAL)

static struct node *make_node(struct reader *r, enum node_kind kind, struct position at)
{
	struct node *n = arena_alloc(r->arena, sizeof *n);

	if (n)
		*n = (struct node){.kind = kind, .at = at, .text = "", .weight = 1};
	return n;
}

/* libyaml's text is UTF-8, may hold NUL (written "\0"), and dies with the event. */
static int copy_scalar(struct reader *r, const yaml_char_t *text, size_t len, struct position at,
                       const char **ret)
{
	struct slice copy;

	if (len && memchr(text, '\0', len))
		return REFUSE(r, at, "text must not contain a NUL byte");
	if (!arena_copy(r->arena, slice_of(text, len), &copy))
		return no_memory(r);
	*ret = (const char *)copy.data;
	return 0;
}

static struct anchor *find_anchor(const struct reader *r, const char *name)
{
	struct anchor *a = r->anchors;

	while (a && strcmp(a->name, name) != 0)
		a = a->next;
	return a;
}

static int set_anchor(struct reader *r, const char *name, const struct node *node,
                      struct position at)
{
	struct anchor *a = find_anchor(r, name);

	if (!a) {
		if (r->n_anchors++ == YAML_ANCHORS_MAX)
			return REFUSE(r, at, "has more than %d anchors", YAML_ANCHORS_MAX);
		a = arena_alloc(r->arena, sizeof *a);
		if (!a)
			return no_memory(r);
		*a = (struct anchor){.name = name, .next = r->anchors};
		r->anchors = a;
	}
	a->node = node;
	return 0;
}

static int count_nodes(struct reader *r, size_t weight, struct position at)
{
	if (weight > YAML_NODES_MAX || (r->weight += weight) > YAML_NODES_MAX)
		return REFUSE(r, at, "has more than %d values (with every alias written out)",
		              YAML_NODES_MAX);
	return 0;
}

static int append_entry(struct reader *r, struct open_node *o, struct node_entry entry)
{
	if (o->count == o->capacity) {
		size_t capacity = o->capacity ? 2 * o->capacity : 8;
		struct node_entry *bigger = realloc(o->entries, capacity * sizeof *bigger);
		if (!bigger)
			return no_memory(r);
		o->entries = bigger;
		o->capacity = capacity;
	}
	o->entries[o->count++] = entry;
	return 0;
}

/* A finished value goes to where it belongs: the root, a list, or a map's waiting key. */
static int place(struct reader *r, const struct node *value)
{
	struct open_node *o;
	struct node_entry entry = {.value = value};

	if (r->depth == 0) {
		r->root = value;
		return 0;
	}
	o = &r->open[r->depth - 1];
	if (o->node->kind == NODE_MAP) {
		if (!o->key)
			return REFUSE(r, value->at, "a key must be text, not a list or a map");
		entry.key = o->key;
		entry.key_at = o->key_at;
		o->key = NULL;
	} else {
		entry.key_at = value->at;
	}
	o->node->weight += value->weight;
	return append_entry(r, o, entry);
}

static bool awaits_key(const struct reader *r)
{
	return r->depth && r->open[r->depth - 1].node->kind == NODE_MAP &&
	       !r->open[r->depth - 1].key;
}

/* What a tag says of a scalar: 1 text, 0 as it looks, -1 not known here. */
static int tag_meaning(const yaml_char_t *tag)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	const char *t = (const char *)tag;

	if (!t)
		return 0;
	if (strcmp(t, "!") == 0)
		return 1;
	if (strncmp(t, prefix, sizeof prefix - 1) != 0)
		return -1;
	t += sizeof prefix - 1;
	if (strcmp(t, "str") == 0)
		return 1;
	return strcmp(t, "int") == 0 || strcmp(t, "float") == 0 || strcmp(t, "bool") == 0 ||
	                       strcmp(t, "null") == 0 || strcmp(t, "map") == 0 ||
	                       strcmp(t, "seq") == 0
	               ? 0
	               : -1;
}

static int on_scalar(struct reader *r, const yaml_event_t *e, struct position at)
{
	struct node *n;
	const char *text = NULL, *anchor = NULL;
	int meaning = tag_meaning(e->data.scalar.tag), failed;

	if (meaning < 0)
		return REFUSE(r, at, "the tag %s is not supported",
		              (const char *)e->data.scalar.tag);
	failed = copy_scalar(r, e->data.scalar.value, e->data.scalar.length, at, &text);
	if (failed)
		return failed;
	n = make_node(r, NODE_SCALAR, at);
	if (!n)
		return no_memory(r);
	n->text = text;
	if (meaning == 0 && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		node_resolve_plain(n);
	if (e->data.scalar.anchor) {
		failed = copy_scalar(r, e->data.scalar.anchor,
		                     strlen((const char *)e->data.scalar.anchor), at, &anchor);
		if (failed || (failed = set_anchor(r, anchor, n, at)))
			return failed;
	}
	if (!awaits_key(r))
		return place(r, n);
	if (n->kind == NODE_NULL)
		return REFUSE(r, at, "a key must not be empty");
	r->open[r->depth - 1].key = text;
	r->open[r->depth - 1].key_at = at;
	return 0;
}

static int on_alias(struct reader *r, const yaml_event_t *e, struct position at)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct anchor *a = find_anchor(r, name);

	if (!a)
		return REFUSE(r, at, "unknown anchor \"%s\"", name);
	if (!a->node)
		return REFUSE(r, at, "the anchor \"%s\" contains itself", name);
	if (awaits_key(r))
		return REFUSE(r, at, "a key must be text, not an alias");
	int failed = count_nodes(r, a->node->weight, at);
	return failed ? failed : place(r, a->node);
}

static int on_open(struct reader *r, enum node_kind kind, const yaml_char_t *anchor,
                   const yaml_char_t *tag, struct position at)
{
	struct open_node *o;
	const char *name = NULL;
	int failed;

	if (tag_meaning(tag) != 0)
		return REFUSE(r, at, "the tag %s is not supported here", (const char *)tag);
	if (awaits_key(r))
		return REFUSE(r, at, "a key must be text, not a list or a map");
	if (r->depth == YAML_DEPTH_MAX)
		return REFUSE(r, at, "is nested deeper than %d levels", YAML_DEPTH_MAX);
	if (anchor) {
		failed = copy_scalar(r, anchor, strlen((const char *)anchor), at, &name);
		if (failed || (failed = set_anchor(r, name, NULL, at)))
			return failed;
	}
	o = &r->open[r->depth];
	*o = (struct open_node){.node = make_node(r, kind, at), .anchor = name};
	if (!o->node)
		return no_memory(r);
	r->depth++;
	return 0;
}

static int compare_keys(const void *left, const void *right)
{
	const struct node_entry *const *a = left, *const *b = right;
	int r = strcmp((*a)->key, (*b)->key);

	if (r)
		return r;
	return *a < *b ? -1 : 1;
}

/* The first of two equal keys may have set what the reader of the file did not mean: refused. */
static int refuse_duplicates(struct reader *r, const struct open_node *o)
{
	const struct node_entry **sorted;
	int result = 0;

	if (o->count < 2)
		return 0;
	sorted = malloc(o->count * sizeof *sorted);
	if (!sorted)
		return no_memory(r);
	for (size_t i = 0; i < o->count; i++)
		sorted[i] = &o->entries[i];
	qsort(sorted, o->count, sizeof *sorted, compare_keys);
	for (size_t i = 1; i < o->count; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			result = REFUSE(r, sorted[i]->key_at,
			                "the key \"%s\" is already set in line %u", sorted[i]->key,
			                sorted[i - 1]->key_at.line);
	free(sorted);
	return result;
}

static bool holds_key(const struct open_node *o, const char *key)
{
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->entries[i].key, key) == 0)
			return true;
	return false;
}

static int merge_map(struct reader *r, struct open_node *o, const struct node *from)
{
	for (size_t i = 0; i < from->count; i++) {
		int failed;
		r->compared += o->count;
		if (r->compared > YAML_COMPARISONS_MAX)
			return REFUSE(r, from->at, "has too many keys to be merged with <<");
		if (holds_key(o, from->entries[i].key))
			continue;
		failed = count_nodes(r, from->entries[i].value->weight, from->at);
		if (failed || (failed = append_entry(r, o, from->entries[i])))
			return failed;
		o->node->weight += from->entries[i].value->weight;
	}
	return 0;
}

/* "<<: *defaults": the keys of another map, or of several, for those not given here. */
static int resolve_merge_key(struct reader *r, struct open_node *o)
{
	const struct node *source;
	size_t i = 0;
	int failed = 0;

	while (i < o->count && strcmp(o->entries[i].key, "<<") != 0)
		i++;
	if (i == o->count)
		return 0;
	source = o->entries[i].value;
	memmove(&o->entries[i], &o->entries[i + 1], (o->count - i - 1) * sizeof *o->entries);
	o->count--;
	if (source->kind == NODE_MAP)
		return merge_map(r, o, source);
	for (i = 0; source->kind == NODE_LIST && i < source->count && !failed; i++) {
		if (source->entries[i].value->kind != NODE_MAP)
			break;
		failed = merge_map(r, o, source->entries[i].value);
	}
	if (!failed && (source->kind != NODE_LIST || i < source->count))
		return REFUSE(r, source->at, "the merge key << takes a map or a list of maps");
	return failed;
}

static int on_close(struct reader *r)
{
	struct open_node *o = &r->open[r->depth - 1];
	struct node *n = o->node;
	int failed = 0;

	if (n->kind == NODE_MAP && !(failed = refuse_duplicates(r, o)))
		failed = resolve_merge_key(r, o);
	if (!failed && o->count) {
		n->entries = arena_alloc_array(r->arena, o->count, sizeof *n->entries);
		if (n->entries) {
			memcpy(n->entries, o->entries, o->count * sizeof *n->entries);
			n->count = o->count;
		} else {
			failed = no_memory(r);
		}
	}
	free(o->entries);
	o->entries = NULL;
	r->depth--;
	if (failed)
		return failed;
	if (o->anchor && (failed = set_anchor(r, o->anchor, n, n->at)))
		return failed;
	return place(r, n);
}

static int on_event(struct reader *r, const yaml_event_t *e)
{
	struct position at = position_of(r, e->start_mark);
	int failed;

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		failed = count_nodes(r, 1, at);
		return failed ? failed : on_scalar(r, e, at);
	case YAML_SEQUENCE_START_EVENT:
		failed = count_nodes(r, 1, at);
		return failed ? failed
		              : on_open(r, NODE_LIST, e->data.sequence_start.anchor,
		                        e->data.sequence_start.tag, at);
	case YAML_MAPPING_START_EVENT:
		failed = count_nodes(r, 1, at);
		return failed ? failed
		              : on_open(r, NODE_MAP, e->data.mapping_start.anchor,
		                        e->data.mapping_start.tag, at);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(r);
	case YAML_ALIAS_EVENT:
		return on_alias(r, e, at);
	case YAML_DOCUMENT_START_EVENT:
		if (r->root)
			return REFUSE(r, at, "a second document (\"---\") is not allowed here");
		return 0;
	default:
		return 0;
	}
}

/* libyaml's own complaint, with the mistakes people make most explained. */
static int report_syntax(struct reader *r, struct slice text)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "error", *hint = "";
	struct position at = position_of(r, p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(r);
	if (p->error == YAML_READER_ERROR) { /* has an offset, but no mark */
		at = (struct position){r->name, 1, 1};
		for (size_t i = 0; i < text.len && i < p->problem_offset; i++)
			at.line += text.data[i] == '\n';
	} else if (p->context && strstr(problem, "unexpected end of stream")) {
		return REFUSE(r, position_of(r, p->context_mark),
		              "is not valid YAML: %s %s; its end is missing", problem, p->context);
	} else if (p->problem_mark.index < text.len && text.data[p->problem_mark.index] == '\t') {
		hint = "; indent with spaces, not with tabs";
	} else if (strstr(problem, "mapping values are not allowed")) {
		hint = "; check the indentation, and put text that holds \": \" in quotes";
	}
	if (p->context && p->context_mark.line != p->problem_mark.line)
		return REFUSE(r, at, "is not valid YAML: %s %s that begins in line %u%s", problem,
		              p->context, (unsigned)p->context_mark.line + 1, hint);
	return REFUSE(r, at, "is not valid YAML: %s%s", problem, hint);
}

static int read_events(struct reader *r, struct slice text)
{
	for (;;) {
		yaml_event_t event;
		bool ended;
		int failed;

		if (!yaml_parser_parse(&r->parser, &event))
			return report_syntax(r, text);
		ended = event.type == YAML_STREAM_END_EVENT;
		failed = on_event(r, &event);
		yaml_event_delete(&event);
		if (failed || ended)
			return failed;
	}
}

int yaml_read(struct slice text, const char *name, struct arena *arena, struct diagnostics *d,
              const struct node **ret)
{
	struct reader *r = calloc(1, sizeof *r);
	struct position start = {name, 1, 1};
	int result;

	if (!r || !yaml_parser_initialize(&r->parser)) {
		free(r);
		diagnostics_error(d, (struct position){.file = name}, NULL,
		                  "out of memory while reading the configuration");
		return -ENOMEM;
	}
	r->name = name;
	r->arena = arena;
	r->diagnostics = d;
	if (text.len > YAML_BYTES_MAX) {
		result = REFUSE(r, (struct position){.file = name},
		                "is larger than %d MiB, the limit of one source",
		                YAML_BYTES_MAX >> 20);
	} else {
		yaml_parser_set_input_string(&r->parser, text.data, text.len);
		result = read_events(r, text);
	}
	if (!result && !r->root && !(r->root = make_node(r, NODE_NULL, start)))
		result = no_memory(r);
	if (!result)
		*ret = r->root;
	while (r->depth)
		free(r->open[--r->depth].entries);
	yaml_parser_delete(&r->parser);
	free(r);
	return result;
}
