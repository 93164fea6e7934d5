#include "core/pipeline/plan_internal.h"

#include "config/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Where a reference of that kind may find its component. A connector stands as exporter in one
 * pipeline and as receiver in another. */
static size_t sections_of(enum component_kind kind, enum section ret[2])
{
	ret[0] = (enum section)kind;
	ret[1] = SECTION_CONNECTORS;
	return kind == RECEIVER || kind == EXPORTER ? 2 : 1;
}

/* before is put in front of the sentence. */
static void refuse_dangling(struct planner *p, enum component_kind kind,
                            const struct document_reference *reference, const char *path,
                            const char *before)
{
	enum section in[2];
	size_t n = sections_of(kind, in);
	struct suggestion nearest;
	char text[SUGGESTION_TEXT_MAX], elsewhere[SUGGESTION_TEXT_MAX] = "";

	suggestion_init(&nearest, diagnostics_is_full(p->diagnostics) ? "" : reference->id);
	for (size_t s = 0; s < SECTION_COUNT; s++) {
		const struct document_section *section = &p->document->sections[s];
		if (s != in[0] && s != in[n - 1]) {
			if (document_find(p->document, (enum section)s, reference->id))
				snprintf(elsewhere, sizeof elsewhere,
				         "; \"%.48s\" is declared under %s", reference->id,
				         section_name((enum section)s));
			continue;
		}
		if (section->broken)
			return; /* perhaps it stands there, and the mistake was reported */
		for (size_t i = 0; i < section->count; i++)
			if (p->plan->components[p->first[s] + i].type)
				suggestion_consider(&nearest, section->items[i].id);
	}
	diagnostics_error(p->diagnostics, reference->at, path,
	                  "%sreferences %s \"%s\" which is not configured%s", before,
	                  component_kind_name(kind), reference->id,
	                  *elsewhere ? elsewhere : suggestion_text(&nearest, text));
}

static struct plan_component *find(struct planner *p, enum component_kind kind, const char *id)
{
	enum section in[2];
	size_t n = sections_of(kind, in);
	struct plan_component *c = NULL;

	for (size_t i = 0; i < n && !c; i++)
		c = planner_find(p, in[i], id);
	return c;
}

/* The components of one list, in order. A processor named twice would be one instance in two
 * places; others are simply named twice. */
static int resolve(struct planner *p, enum component_kind kind,
                   const struct document_references *list, const char *path,
                   struct plan_component ***ret, size_t *ret_count)
{
	struct plan_component **found = arena_alloc_array(&p->plan->arena, list->count + 1,
	                                                  sizeof(struct plan_component *));
	size_t count = 0;

	if (!found)
		return planner_no_memory(p);
	for (size_t i = 0; i < list->count; i++) {
		const struct document_reference *reference = &list->items[i];
		struct plan_component *c = find(p, kind, reference->id);
		size_t before = 0;

		if (!c) {
			refuse_dangling(p, kind, reference, path, "");
			continue;
		}
		while (before < count && found[before] != c)
			before++;
		c->used = true;
		if (before == count)
			found[count++] = c;
		else if (kind == PROCESSOR)
			diagnostics_error(p->diagnostics, reference->at, path,
			                  "references processor \"%s\" multiple times",
			                  reference->id);
		else
			diagnostics_warn(p->diagnostics, reference->at, path,
			                 "references %s \"%s\" multiple times; once is enough",
			                 component_kind_name(kind), reference->id);
	}
	*ret = found;
	*ret_count = count;
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

/* A component that an option refers to: it must be there, run, and be of use. */
static void resolve_reference(struct planner *p, const struct walk_reference *w)
{
	const struct document_reference reference = {w->id, w->at};
	const struct plan_component *c = planner_find(p, SECTION_EXTENSIONS, w->id);
	bool authenticates = ends_with(w->path, "::authenticator");
	char before[128] = "";

	if (authenticates)
		snprintf(before, sizeof before,
		         "failed to resolve authenticator \"%.48s\": authenticator not found: ",
		         w->id);
	if (!c)
		refuse_dangling(p, EXTENSION, &reference, w->path, before);
	else if (!c->used)
		diagnostics_error(p->diagnostics, w->at, w->path,
		                  "%sreferences extension \"%s\" which is not listed in "
		                  "service::extensions",
		                  before, w->id);
	else if (authenticates && c->type && !c->type->authenticator)
		diagnostics_error(
			p->diagnostics, w->at, w->path,
			"failed to resolve authenticator \"%s\": the extension %s does not "
			"authenticate anybody",
			w->id, c->type->name);
}

int planner_resolve_extensions(struct planner *p)
{
	struct plan *plan = p->plan;
	int r = resolve(p, EXTENSION, &p->document->extensions, "service::extensions",
	                &plan->extensions, &plan->n_extensions);

	for (const struct walk_reference *w = p->walk.references; w && r == 0; w = w->next)
		resolve_reference(p, w);
	return r;
}

/* A component that cannot carry the pipeline's signal. */
static void check_signals(struct planner *p, enum component_kind kind,
                          const struct document_pipeline *d, const struct document_references *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct plan_component *c = find(p, kind, list->items[i].id);
		if (c && c->type && !(c->type->signals & SIGNAL_BIT(d->signal)))
			diagnostics_error(p->diagnostics, list->items[i].at, d->path,
			                  "failed to create \"%s\" %s for data type \"%s\": "
			                  "telemetry type is not supported",
			                  c->id, component_kind_name(c->type->kind),
			                  signal_name(d->signal));
	}
}

static int resolve_pipeline(struct planner *p, const struct document_pipeline *d,
                            struct plan_pipeline *out)
{
	struct slice id;
	int r;

	if (!arena_copy(&p->plan->arena, slice_from_string(d->id), &id))
		return planner_no_memory(p);
	*out = (struct plan_pipeline){.id = (const char *)id.data, .signal = d->signal};
	if ((r = resolve(p, RECEIVER, &d->receivers, d->path, &out->receivers, &out->n_receivers)) <
	            0 ||
	    (r = resolve(p, PROCESSOR, &d->processors, d->path, &out->processors,
	                 &out->n_processors)) < 0 ||
	    (r = resolve(p, EXPORTER, &d->exporters, d->path, &out->exporters, &out->n_exporters)) <
	            0)
		return r;
	check_signals(p, RECEIVER, d, &d->receivers);
	check_signals(p, PROCESSOR, d, &d->processors);
	check_signals(p, EXPORTER, d, &d->exporters);
	if (!d->receivers.count && !d->receivers.broken)
		diagnostics_error(p->diagnostics, d->receivers.at, d->path,
		                  "must have at least one receiver");
	if (!d->exporters.count && !d->exporters.broken)
		diagnostics_error(p->diagnostics, d->exporters.at, d->path,
		                  "must have at least one exporter");
	return 0;
}

static bool contains(struct plan_component *const *list, size_t count,
                     const struct plan_component *c)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == c)
			return true;
	return false;
}

/* A connector needs both its ends, or what goes in never comes out. Looks at the pipelines of these
 * signals. */
static void check_ends(struct planner *p, const struct document_component *d, unsigned signals)
{
	const struct plan_component *c = planner_find(p, SECTION_CONNECTORS, d->id);
	struct buffer into = BUFFER_INIT, out_of = BUFFER_INIT;
	const char *exporter_in, *receiver_in;

	for (size_t i = 0; i < p->plan->n_pipelines; i++) {
		const struct plan_pipeline *pipeline = &p->plan->pipelines[i];
		if (!(signals & SIGNAL_BIT(pipeline->signal)))
			continue;
		if (contains(pipeline->exporters, pipeline->n_exporters, c))
			buffer_printf(&into, "%s%s", into.len ? " " : "", pipeline->id);
		if (contains(pipeline->receivers, pipeline->n_receivers, c))
			buffer_printf(&out_of, "%s%s", out_of.len ? " " : "", pipeline->id);
	}
	exporter_in = buffer_string(&into);
	receiver_in = buffer_string(&out_of);
	if (exporter_in && receiver_in && into.len && !out_of.len)
		diagnostics_error(p->diagnostics, d->at, d->path,
		                  "connector \"%s\" used as exporter in [%s] pipeline but not used "
		                  "in any supported receiver pipeline",
		                  d->id, exporter_in);
	if (exporter_in && receiver_in && out_of.len && !into.len)
		diagnostics_error(p->diagnostics, d->at, d->path,
		                  "connector \"%s\" used as receiver in [%s] pipeline but not used "
		                  "in any supported exporter pipeline",
		                  d->id, receiver_in);
	buffer_fini(&into);
	buffer_fini(&out_of);
}

static void check_connector(struct planner *p, const struct document_component *d)
{
	const struct plan_component *c = planner_find(p, SECTION_CONNECTORS, d->id);

	if (!c->type || !(c->type->caps & CAP_SAME_SIGNAL)) {
		check_ends(p, d, SIGNAL_ALL);
		return;
	}
	for (int s = 0; s < SIGNAL_COUNT; s++)
		check_ends(p, d, SIGNAL_BIT(s));
}

/* Depth-first search for pipelines that feed themselves through connectors. */
struct search {
	struct planner *planner;
	enum { NEW, ON_PATH, DONE } * state; /* by pipeline */
	struct {
		const struct plan_pipeline *pipeline;
		const struct plan_component *by; /* the connector through which it was entered */
	} * path;
	size_t depth;
};

static void print_step(const struct plan_component *connector, enum signal from, enum signal to,
                       struct buffer *out)
{
	buffer_printf(out, "connector \"%s\" (%s to %s)", connector->id, signal_name(from),
	              signal_name(to));
}

static void refuse_cycle(struct search *s, size_t start, const struct plan_component *closing)
{
	struct planner *p = s->planner;
	const struct plan_pipeline *first = s->path[start].pipeline;
	const struct plan_pipeline *last = s->path[s->depth - 1].pipeline;
	const struct document_pipeline *d = &p->document->pipelines[first - p->plan->pipelines];
	struct buffer text = BUFFER_INIT;
	const char *steps;

	print_step(closing, last->signal, first->signal, &text);
	for (size_t i = start; i < s->depth; i++) {
		const struct plan_pipeline *pipeline = s->path[i].pipeline;
		for (size_t k = 0; k < pipeline->n_processors; k++)
			buffer_printf(&text, " -> processor \"%s\" in pipeline \"%s\"",
			              pipeline->processors[k]->id, pipeline->id);
		buffer_append_string(&text, " -> ");
		if (i + 1 < s->depth)
			print_step(s->path[i + 1].by, pipeline->signal,
			           s->path[i + 1].pipeline->signal, &text);
		else
			print_step(closing, last->signal, first->signal, &text);
	}
	steps = buffer_string(&text);
	diagnostics_error(p->diagnostics, d->at, d->path, "cycle detected: %s",
	                  steps ? steps : "out of memory");
	buffer_fini(&text);
}

static void search_from(struct search *s, const struct plan_pipeline *pipeline,
                        const struct plan_component *by)
{
	const struct plan *plan = s->planner->plan;

	s->state[pipeline - plan->pipelines] = ON_PATH;
	s->path[s->depth].pipeline = pipeline;
	s->path[s->depth++].by = by;
	for (size_t i = 0; i < pipeline->n_exporters; i++) {
		const struct plan_component *c = pipeline->exporters[i];
		if (!c->type || c->type->kind != CONNECTOR)
			continue;
		for (size_t k = 0; k < plan->n_pipelines; k++) {
			const struct plan_pipeline *to = &plan->pipelines[k];
			size_t start = 0;
			if (s->state[k] == DONE || !contains(to->receivers, to->n_receivers, c))
				continue;
			if (s->state[k] == NEW) {
				search_from(s, to, c);
				continue;
			}
			while (s->path[start].pipeline != to)
				start++;
			refuse_cycle(s, start, c);
		}
	}
	s->depth--;
	s->state[pipeline - plan->pipelines] = DONE;
}

static int refuse_cycles(struct planner *p)
{
	struct search s = {.planner = p};
	size_t n = p->plan->n_pipelines + 1;

	s.state = arena_alloc_array(&p->plan->arena, n, sizeof *s.state);
	s.path = arena_alloc_array(&p->plan->arena, n, sizeof *s.path);
	if (!s.state || !s.path)
		return planner_no_memory(p);
	for (size_t i = 0; i < p->plan->n_pipelines; i++)
		if (s.state[i] == NEW)
			search_from(&s, &p->plan->pipelines[i], NULL);
	return 0;
}

int planner_resolve_pipelines(struct planner *p)
{
	const struct document *d = p->document;
	const struct document_section *connectors = &d->sections[SECTION_CONNECTORS];
	struct plan *plan = p->plan;

	if (!d->n_pipelines && !d->pipelines_broken)
		diagnostics_error(p->diagnostics, d->service_at.file ? d->service_at : d->at,
		                  d->service_at.file ? "service" : NULL,
		                  "service must have at least one pipeline");
	plan->pipelines =
		arena_alloc_array(&plan->arena, d->n_pipelines + 1, sizeof *plan->pipelines);
	if (!plan->pipelines)
		return planner_no_memory(p);
	for (size_t i = 0; i < d->n_pipelines; i++) {
		int r = resolve_pipeline(p, &d->pipelines[i], &plan->pipelines[i]);
		if (r < 0)
			return r;
		plan->n_pipelines++;
	}
	for (size_t i = 0; i < connectors->count; i++)
		check_connector(p, &connectors->items[i]);
	return connectors->count ? refuse_cycles(p) : 0;
}
