#include "config/document.h"
#include "config/suggest.h"

#include <errno.h>
#include <stdlib.h>

static const char *const section_names[] = {"receivers",  "processors", "exporters",
                                            "connectors", "extensions", NULL};

const char *section_name(enum section section)
{
	return section_names[section];
}

struct shape {
	struct document *document;
	struct arena *arena;
	struct diagnostics *diagnostics;
	size_t references; /* read so far */
};

static int no_memory(struct shape *s)
{
	diagnostics_error(s->diagnostics, s->document->at, NULL,
	                  "out of memory while reading the configuration");
	return -ENOMEM;
}

/* Returns the known key that was probably meant, or NULL. */
static const char *refuse_key(struct shape *s, const struct node_entry *entry, const char *path,
                              const char *const *known)
{
	struct suggestion nearest;
	char text[SUGGESTION_TEXT_MAX];

	suggestion_init(&nearest, diagnostics_is_full(s->diagnostics) ? "" : entry->key);
	suggestion_consider_all(&nearest, known);
	diagnostics_error(s->diagnostics, entry->key_at, path, "has invalid keys: %s%s", entry->key,
	                  suggestion_text(&nearest, text));
	return nearest.best;
}

/* A map's entries may be walked: it is one, or there is nothing to walk. */
static bool expect_map(struct shape *s, const struct node *node, const char *path)
{
	if (node->kind == NODE_MAP)
		return true;
	if (node->kind != NODE_NULL)
		diagnostics_error(s->diagnostics, node->at, path, "expected a map, got \"%s\"",
		                  node_type_name(node));
	return false;
}

const struct document_component *document_find(const struct document *document,
                                               enum section section, const char *id)
{
	const struct document_section *in = &document->sections[section];

	for (size_t i = 0; i < in->count; i++)
		if (strcmp(in->items[i].id, id) == 0)
			return &in->items[i];
	return NULL;
}

static int read_component(struct shape *s, enum section section, const struct node_entry *entry)
{
	struct document_section *out = &s->document->sections[section];
	struct document_component c;
	struct error error = ERROR_INIT;
	const char *name = section_names[section];
	int r = component_id_parse(entry->key, s->arena, &c, &error);

	if (r == -ENOMEM)
		return no_memory(s);
	if (r < 0) {
		out->broken = true;
		diagnostics_error(s->diagnostics, entry->key_at, name, "%s", error.message);
		return 0;
	}
	if (document_find(s->document, section, c.id)) {
		diagnostics_error(s->diagnostics, entry->key_at, name,
		                  "duplicate name \"%s\" after unmarshaling", c.id);
		return 0;
	}
	c.at = entry->key_at;
	c.value = entry->value;
	c.path = arena_printf(s->arena, "%s::%s", name, c.id);
	if (!c.path)
		return no_memory(s);
	out->items[out->count++] = c;
	return 0;
}

static int read_section(struct shape *s, enum section section, const struct node_entry *entry)
{
	struct document_section *out = &s->document->sections[section];
	const struct node *map = entry->value;

	out->at = entry->key_at;
	out->broken = map->broken || (map->kind != NODE_MAP && map->kind != NODE_NULL);
	if (!expect_map(s, map, section_names[section]) || !map->count)
		return 0;
	if (map->count > DOCUMENT_COMPONENTS_MAX) {
		out->broken = true;
		diagnostics_error(s->diagnostics, out->at, section_names[section],
		                  "has more than %d entries", DOCUMENT_COMPONENTS_MAX);
		return 0;
	}
	out->items = arena_alloc_array(s->arena, map->count, sizeof *out->items);
	if (!out->items)
		return no_memory(s);
	for (size_t i = 0; i < map->count; i++)
		if (read_component(s, section, &map->entries[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int read_reference(struct shape *s, const char *text, struct position at, const char *path,
                          struct document_references *out)
{
	struct document_component c;
	struct error error = ERROR_INIT;
	int r = component_id_parse(text, s->arena, &c, &error);

	if (r == -ENOMEM)
		return no_memory(s);
	if (r < 0) {
		diagnostics_error(s->diagnostics, at, path, "%s", error.message);
		out->broken = true;
		return 0;
	}
	out->items[out->count++] = (struct document_reference){.id = c.id, .at = at};
	return 0;
}

/* Makes room for the references of one list, or refuses it: then out->items stays NULL. */
static int reserve_references(struct shape *s, size_t count, struct position at, const char *path,
                              struct document_references *out)
{
	bool told = s->references > DOCUMENT_REFERENCES_MAX;

	s->references += count;
	if (s->references > DOCUMENT_REFERENCES_MAX) {
		out->broken = true;
		if (!told)
			diagnostics_error(s->diagnostics, at, path,
			                  "names too many components: all lists together may hold "
			                  "%d",
			                  DOCUMENT_REFERENCES_MAX);
		return 0;
	}
	out->items = arena_alloc_array(s->arena, count, sizeof *out->items);
	return out->items ? 0 : no_memory(s);
}

/* "a, b" for [a, b], as everywhere where a list of strings is wanted. */
static int read_comma_list(struct shape *s, const struct node *node, const char *path,
                           struct document_references *out)
{
	const char *text = node->original ? node->original : node->text;
	size_t count = 1;

	if (!*text)
		return 0;
	for (const char *p = text; *p; p++)
		count += *p == ',';
	if (reserve_references(s, count, node->at, path, out) < 0)
		return -ENOMEM;
	for (size_t i = 0; out->items && i < count; i++) {
		size_t len = strcspn(text, ",");
		char *one = arena_printf(s->arena, "%.*s", (int)len, text);
		if (!one)
			return no_memory(s);
		if (read_reference(s, one, node->at, path, out) < 0)
			return -ENOMEM;
		text += len + 1;
	}
	return 0;
}

static int read_references(struct shape *s, const struct node_entry *entry, const char *parent,
                           struct document_references *out)
{
	const struct node *list = entry->value;
	const char *path = arena_printf(s->arena, "%s::%s", parent, entry->key);

	if (!path)
		return no_memory(s);
	out->at = entry->key_at;
	out->broken = list->broken;
	if (list->kind == NODE_SCALAR && list->type == SCALAR_STRING)
		return read_comma_list(s, list, path, out);
	if (list->kind != NODE_LIST) {
		if (list->kind == NODE_NULL)
			return 0;
		out->broken = true;
		diagnostics_error(s->diagnostics, list->at, path, "expected a list, got \"%s\"",
		                  node_type_name(list));
		return 0;
	}
	if (!list->count)
		return 0;
	if (reserve_references(s, list->count, list->at, path, out) < 0)
		return -ENOMEM;
	for (size_t i = 0; out->items && i < list->count; i++) {
		const struct node *item = list->entries[i].value;
		const char *text = item->original                ? item->original
		                   : item->type == SCALAR_STRING ? item->text
		                                                 : NULL;
		if (item->broken) {
			out->broken = true;
		} else if (item->kind == NODE_LIST || item->kind == NODE_MAP || !text) {
			out->broken = true;
			diagnostics_error(s->diagnostics, item->at, path,
			                  "expected an id (type or type/name), got \"%s\"",
			                  node_type_name(item));
		} else if (read_reference(s, text, item->at, path, out) < 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

static int read_pipeline(struct shape *s, const struct node *body, struct document_pipeline *p)
{
	static const char *const keys[] = {"receivers", "processors", "exporters", NULL};
	struct document_references *lists[] = {&p->receivers, &p->processors, &p->exporters};

	for (size_t i = 0; i < 3; i++) {
		lists[i]->at = p->at;
		lists[i]->broken = body->kind != NODE_MAP && body->kind != NODE_NULL;
		lists[i]->broken |= body->broken;
	}
	if (!expect_map(s, body, p->path))
		return 0;
	for (size_t i = 0; i < body->count; i++) {
		const struct node_entry *entry = &body->entries[i];
		size_t k = 0;
		while (keys[k] && strcmp(keys[k], entry->key) != 0)
			k++;
		if (!keys[k])
			(void)refuse_key(s, entry, p->path, keys);
		else if (read_references(s, entry, p->path, lists[k]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Fills id, signal and path. False: it was refused. */
static bool identify_pipeline(struct shape *s, const struct node_entry *entry,
                              struct document_pipeline *p, int *ret_failed)
{
	static const char path[] = "service::pipelines";
	struct document_component id;
	struct error error = ERROR_INIT;
	struct suggestion nearest;
	char text[SUGGESTION_TEXT_MAX];
	int r = component_id_parse(entry->key, s->arena, &id, &error);

	*ret_failed = r == -ENOMEM ? no_memory(s) : 0;
	if (r == -EINVAL)
		diagnostics_error(s->diagnostics, entry->key_at, path, "%s", error.message);
	if (r < 0)
		return false;
	*p = (struct document_pipeline){.id = id.id, .at = entry->key_at};
	if (!signal_from_name(id.type, &p->signal)) {
		suggestion_init(&nearest, diagnostics_is_full(s->diagnostics) ? "" : id.type);
		for (int i = 0; i < SIGNAL_COUNT; i++)
			suggestion_consider(&nearest, signal_name((enum signal)i));
		diagnostics_error(s->diagnostics, entry->key_at, path,
		                  "unknown pipeline signal: \"%s\" (valid values: [traces metrics "
		                  "logs])%s",
		                  id.type, suggestion_text(&nearest, text));
		return false;
	}
	for (size_t i = 0; i < s->document->n_pipelines; i++)
		if (strcmp(s->document->pipelines[i].id, p->id) == 0) {
			diagnostics_error(s->diagnostics, entry->key_at, path,
			                  "duplicate name \"%s\" after unmarshaling", p->id);
			return false;
		}
	p->path = arena_printf(s->arena, "%s::%s", path, p->id);
	if (!p->path)
		*ret_failed = no_memory(s);
	return p->path != NULL;
}

static int read_pipelines(struct shape *s, const struct node *map)
{
	struct document *d = s->document;
	int failed = 0;

	d->pipelines_broken = map->broken || (map->kind != NODE_MAP && map->kind != NODE_NULL);
	if (!expect_map(s, map, "service::pipelines") || !map->count)
		return 0;
	if (map->count > DOCUMENT_PIPELINES_MAX) {
		d->pipelines_broken = true;
		diagnostics_error(s->diagnostics, map->at, "service::pipelines",
		                  "has more than %d entries", DOCUMENT_PIPELINES_MAX);
		return 0;
	}
	d->pipelines = arena_alloc_array(s->arena, map->count, sizeof *d->pipelines);
	if (!d->pipelines)
		return no_memory(s);
	for (size_t i = 0; i < map->count && !failed; i++) {
		struct document_pipeline p;
		if (identify_pipeline(s, &map->entries[i], &p, &failed)) {
			failed = read_pipeline(s, map->entries[i].value, &p);
			d->pipelines[d->n_pipelines++] = p;
		} else {
			d->pipelines_broken = true;
		}
	}
	return failed;
}

static int read_service(struct shape *s, const struct node_entry *service)
{
	static const char *const keys[] = {"extensions", "pipelines", "telemetry",
	                                   "shutdown_timeout", NULL};
	struct document *d = s->document;
	const struct node *map = service->value;
	struct node *settings;

	d->service_at = service->key_at;
	d->extensions.at = service->key_at;
	d->pipelines_broken = map->broken || (map->kind != NODE_MAP && map->kind != NODE_NULL);
	if (!expect_map(s, map, "service"))
		return 0;
	settings = arena_alloc(s->arena, sizeof *settings);
	if (!settings)
		return no_memory(s);
	*settings = *map;
	settings->count = 0;
	settings->entries = arena_alloc_array(s->arena, map->count + 1, sizeof *settings->entries);
	if (!settings->entries)
		return no_memory(s);
	d->settings = settings;
	for (size_t i = 0; i < map->count; i++) {
		const struct node_entry *entry = &map->entries[i];
		int r = 0;
		if (strcmp(entry->key, "pipelines") == 0)
			r = read_pipelines(s, entry->value);
		else if (strcmp(entry->key, "extensions") == 0)
			r = read_references(s, entry, "service", &d->extensions);
		else if (strcmp(entry->key, "telemetry") == 0 ||
		         strcmp(entry->key, "shutdown_timeout") == 0)
			settings->entries[settings->count++] = *entry;
		else
			(void)refuse_key(s, entry, "service", keys);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A pipeline could not tell which one it means. */
static void refuse_ambiguous_ids(struct shape *s)
{
	static const enum section others[] = {SECTION_EXPORTERS, SECTION_RECEIVERS};
	static const char *const kinds[] = {"exporter", "receiver"};
	const struct document_section *connectors = &s->document->sections[SECTION_CONNECTORS];

	for (size_t i = 0; i < connectors->count; i++)
		for (size_t k = 0; k < 2; k++) {
			const struct document_component *c = &connectors->items[i];
			if (document_find(s->document, others[k], c->id))
				diagnostics_error(
					s->diagnostics, c->at, c->path,
					"ambiguous ID: Found both \"%s\" %s and \"%s\" connector. "
					"Change one of the components' IDs to eliminate ambiguity "
					"(e.g. rename \"%s\" connector to \"%s/connector\")",
					c->id, kinds[k], c->id, c->id, c->id);
		}
}

/* What a mistyped section should have held is not missed a second time. */
static void expect_nothing_of(struct document *document, const char *section)
{
	if (!section)
		return;
	for (size_t i = 0; section_names[i]; i++)
		if (strcmp(section, section_names[i]) == 0)
			document->sections[i].broken = true;
	if (strcmp(section, "service") == 0)
		document->pipelines_broken = true;
}

int document_read(struct document *document, struct diagnostics *diagnostics)
{
	static const char *const keys[] = {"receivers",  "processors", "exporters", "connectors",
	                                   "extensions", "service",    NULL};
	struct shape s = {document, &document->arena, diagnostics};
	const struct node *root = document->root;

	for (size_t i = 0; i < root->count; i++) {
		const struct node_entry *entry = &root->entries[i];
		size_t section = 0;
		int r = 0;
		while (keys[section] && strcmp(keys[section], entry->key) != 0)
			section++;
		if (section < SECTION_COUNT)
			r = read_section(&s, (enum section)section, entry);
		else if (section == SECTION_COUNT)
			r = read_service(&s, entry);
		else
			expect_nothing_of(document, refuse_key(&s, entry, NULL, keys));
		if (r < 0)
			return r;
	}
	refuse_ambiguous_ids(&s);
	return 0;
}

void document_free(struct document *document)
{
	if (!document)
		return;
	arena_fini(&document->arena);
	free(document);
}
