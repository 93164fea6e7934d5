#include "core/pipeline/plan_internal.h"

#include "config/print.h"
#include "config/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The sections of a document are the kinds of components. */
_Static_assert((int)SECTION_RECEIVERS == (int)RECEIVER, "order");
_Static_assert((int)SECTION_PROCESSORS == (int)PROCESSOR, "order");
_Static_assert((int)SECTION_EXPORTERS == (int)EXPORTER, "order");
_Static_assert((int)SECTION_CONNECTORS == (int)CONNECTOR, "order");
_Static_assert((int)SECTION_EXTENSIONS == (int)EXTENSION, "order");

/* Types that users of the Collector may still name, and what became of them. */
static const struct {
	enum component_kind kind;
	const char *name, *advice;
} removed_types[] = {
	{EXPORTER, "logging",
         "the logging exporter has been deprecated, use the debug exporter instead"},
};

int planner_no_memory(struct planner *p)
{
	diagnostics_error(p->diagnostics, p->document->at, NULL,
	                  "out of memory while reading the configuration");
	return -ENOMEM;
}

struct plan_component *planner_find(const struct planner *p, enum section section, const char *id)
{
	const struct document_component *c = document_find(p->document, section, id);

	return c ? &p->plan->components[p->first[section] +
	                                (size_t)(c - p->document->sections[section].items)]
	         : NULL;
}

/* "[batch memory_limiter]" */
static void list_types(const struct planner *p, enum component_kind kind, struct buffer *out)
{
	bool first = true;

	buffer_append_byte(out, '[');
	for (const struct component_type *const *t = p->types; *t; t++)
		if ((*t)->kind == kind) {
			buffer_printf(out, "%s%s", first ? "" : " ", (*t)->name);
			first = false;
		}
	buffer_append_byte(out, ']');
}

static void refuse_type(struct planner *p, enum component_kind kind,
                        const struct document_component *c)
{
	struct buffer known = BUFFER_INIT;
	struct suggestion nearest;
	char text[SUGGESTION_TEXT_MAX], elsewhere[SUGGESTION_TEXT_MAX] = "";
	const char *section = section_name((enum section)kind), *list;

	for (size_t i = 0; i < sizeof removed_types / sizeof *removed_types; i++)
		if (removed_types[i].kind == kind && strcmp(removed_types[i].name, c->type) == 0) {
			diagnostics_error(p->diagnostics, c->at, c->path, "%s",
			                  removed_types[i].advice);
			return;
		}
	suggestion_init(&nearest, c->type);
	for (const struct component_type *const *t = p->types; *t; t++) {
		if ((*t)->kind == kind) {
			suggestion_consider(&nearest, (*t)->name);
			if ((*t)->aliases)
				suggestion_consider_all(&nearest, (*t)->aliases);
		} else if (component_type_find((const struct component_type *const[]){*t, NULL},
		                               (*t)->kind, c->type)) {
			snprintf(elsewhere, sizeof elsewhere, "; \"%.48s\" is one of the %s",
			         c->type, section_name((enum section)(*t)->kind));
		}
	}
	list_types(p, kind, &known);
	list = buffer_string(&known);
	diagnostics_error(p->diagnostics, c->at, section,
	                  "unknown type: \"%s\" for id: \"%s\" (valid values: %s)%s", c->type,
	                  c->id, list ? list : "",
	                  *elsewhere ? elsewhere : suggestion_text(&nearest, text));
	buffer_fini(&known);
}

static int plan_component(struct planner *p, enum component_kind kind,
                          const struct document_component *c, struct plan_component *out)
{
	struct error error = ERROR_INIT;
	struct slice id;
	int r;

	if (!arena_copy(&p->plan->arena, slice_from_string(c->id), &id))
		return planner_no_memory(p);
	out->id = (const char *)id.data;
	out->type = component_type_find(p->types, kind, c->type);
	if (!out->type) {
		refuse_type(p, kind, c);
		return 0;
	}
	out->config = arena_alloc(&p->plan->arena, out->type->config_size);
	if (!out->config)
		return planner_no_memory(p);
	r = walk_config(&p->walk, out->type->options, out->config, c->value, c->at, c->path);
	if (r == -ENOMEM)
		return r;
	if (r == 0 && out->type->check && out->type->check(out->config, &error) < 0)
		diagnostics_error(p->diagnostics, c->at, c->path, "%s",
		                  error_is_set(&error) ? error.message : "is not valid");
	return 0;
}

static int plan_components(struct planner *p)
{
	struct plan *plan = p->plan;
	size_t total = 0;

	for (size_t s = 0; s < SECTION_COUNT; s++) {
		p->first[s] = total;
		total += p->document->sections[s].count;
	}
	plan->components = arena_alloc_array(&plan->arena, total + 1, sizeof *plan->components);
	if (!plan->components)
		return planner_no_memory(p);
	plan->n_components = total;
	for (size_t s = 0; s < SECTION_COUNT; s++)
		for (size_t i = 0; i < p->document->sections[s].count; i++) {
			int r = plan_component(p, (enum component_kind)s,
			                       &p->document->sections[s].items[i],
			                       &plan->components[p->first[s] + i]);
			if (r < 0)
				return r;
		}
	return 0;
}

/* A configuration without a way in or out is a mistake, as in the Collector. */
static void require_sections(struct planner *p)
{
	static const enum section needed[] = {SECTION_RECEIVERS, SECTION_EXPORTERS};

	for (size_t i = 0; i < 2; i++) {
		const struct document_section *s = &p->document->sections[needed[i]];
		if (s->count || s->broken)
			continue;
		diagnostics_error(p->diagnostics, s->at.file ? s->at : p->document->at, NULL,
		                  "no %s configuration specified in config",
		                  component_kind_name((enum component_kind)needed[i]));
	}
}

static int plan_service(struct planner *p)
{
	int r = walk_config(&p->walk, service_options, &p->plan->service, p->document->settings,
	                    p->document->service_at, "service");

	if (r == 0)
		service_apply_readers(&p->plan->service);
	return r == -ENOMEM ? r : 0;
}

static void warn_of_unused(struct planner *p)
{
	for (size_t s = 0; s < SECTION_COUNT; s++)
		for (size_t i = 0; i < p->document->sections[s].count; i++) {
			const struct document_component *c = &p->document->sections[s].items[i];
			if (!p->plan->components[p->first[s] + i].used)
				diagnostics_warn(p->diagnostics, c->at, c->path,
				                 s == SECTION_EXTENSIONS
				                         ? "is not used: service::extensions does "
				                           "not list it"
				                         : "is not used by any pipeline");
		}
}

int plan_make(const struct document *document, const struct component_type *const *types,
              struct diagnostics *diagnostics, struct plan **ret)
{
	struct planner p = {.document = document, .types = types, .diagnostics = diagnostics};
	int r;

	p.plan = calloc(1, sizeof *p.plan);
	if (!p.plan)
		return planner_no_memory(&p);
	arena_init(&p.plan->arena, NULL);
	p.walk = (struct walk){.arena = &p.plan->arena, .diagnostics = diagnostics};
	require_sections(&p);
	r = plan_components(&p);
	if (r == 0)
		r = plan_service(&p);
	if (r == 0)
		r = planner_resolve_extensions(&p);
	if (r == 0)
		r = planner_resolve_pipelines(&p);
	if (r == 0 && diagnostics->errors)
		r = -EINVAL;
	if (r == 0) /* with mistakes about, much looks unused that is not meant to be */
		warn_of_unused(&p);
	if (r < 0)
		plan_free(p.plan);
	else
		*ret = p.plan;
	return r;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	arena_fini(&p->arena);
	free(p);
}

static void print_references(const char *name, const struct document_references *list,
                             unsigned indent, struct buffer *out)
{
	if (!list->count)
		return;
	buffer_printf(out, "%*s%s:", (int)(2 * indent), "", name);
	for (size_t i = 0; i < list->count; i++) {
		buffer_append_string(out, i ? ", " : " [");
		print_string(list->items[i].id, out);
	}
	buffer_append_string(out, "]\n");
}

static void print_service(const struct plan *plan, const struct document *d, unsigned flags,
                          struct buffer *out)
{
	buffer_append_string(out, "service:\n");
	print_references("extensions", &d->extensions, 1, out);
	buffer_append_string(out, "  pipelines:\n");
	for (size_t i = 0; i < d->n_pipelines; i++) {
		const struct document_pipeline *p = &d->pipelines[i];
		buffer_append_string(out, "    ");
		print_string(p->id, out);
		buffer_append_string(out, ":\n");
		print_references("receivers", &p->receivers, 3, out);
		print_references("processors", &p->processors, 3, out);
		print_references("exporters", &p->exporters, 3, out);
	}
	if (flags & PRINT_DEFAULTS) {
		print_config(service_options, &plan->service, 1, flags, out);
		return;
	}
	for (size_t i = 0; d->settings && i < d->settings->count; i++) {
		const struct node_entry *entry = &d->settings->entries[i];
		const struct option *row = service_options;
		while (row->name && strcmp(row->name, entry->key) != 0)
			row++;
		buffer_printf(out, "  %s:", entry->key);
		print_node(entry->value, row->options, 2, flags, out);
	}
}

void plan_print(const struct plan *plan, const struct document *document, unsigned flags,
                struct buffer *out)
{
	const struct plan_component *c = plan->components;

	for (size_t s = 0; s < SECTION_COUNT; s++) {
		const struct document_section *section = &document->sections[s];
		if (section->count)
			buffer_printf(out, "%s:\n", section_name((enum section)s));
		for (size_t i = 0; i < section->count; i++, c++) {
			buffer_append_string(out, "  ");
			print_string(c->id, out);
			buffer_append_byte(out, ':');
			if (!(flags & PRINT_DEFAULTS)) {
				print_node(section->items[i].value, c->type->options, 2, flags,
				           out);
				continue;
			}
			buffer_append_byte(out, '\n');
			print_config(c->type->options, c->config, 2, flags, out);
		}
	}
	print_service(plan, document, flags, out);
}
