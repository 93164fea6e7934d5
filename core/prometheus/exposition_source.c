/* Several sources of one counter: the sum of what each has told last. */
#include "core/prometheus/exposition_internal.h"

#include <stdlib.h>

static void set(struct exposition_point *p, const struct sample *s)
{
	p->value = s->value;
	p->ms = s->ms;
	p->start_ms = s->start_ms;
	p->present = true;
}

static void sum_up(struct exposition_point *p)
{
	const struct exposition_sources *sources = p->sources;

	p->value = sources->base;
	for (uint32_t i = 0; i < sources->n; i++) {
		p->value += sources->all[i].value;
		if (sources->all[i].ms > p->ms)
			p->ms = sources->all[i].ms;
		if (sources->all[i].start_ms < p->start_ms)
			p->start_ms = sources->all[i].start_ms;
	}
}

static struct exposition_source *find(struct exposition_sources *sources, int64_t start_ms)
{
	for (uint32_t i = 0; i < sources->n; i++)
		if (sources->all[i].start_ms == start_ms)
			return &sources->all[i];
	return NULL;
}

/* The table of sources with room for one more; what stands in the point becomes its first. */
static enum exposition_result make_room(struct exposition *e, struct exposition_point *p)
{
	struct exposition_sources *old = p->sources, *sources;
	uint32_t n = old ? old->n : 0, capacity = n ? 2 * n : 2;

	if (old && n < old->capacity)
		return EXPOSITION_TOLD;
	if (e->n_sources + capacity - n > e->max_sources)
		return EXPOSITION_TOO_MANY_SOURCES;
	sources = realloc(old, sizeof *sources + capacity * sizeof *sources->all);
	if (!sources)
		return EXPOSITION_NO_MEMORY;
	if (!old) {
		sources->base = 0;
		sources->n = 1;
		sources->all[0] = (struct exposition_source){p->start_ms, p->ms, p->value};
	}
	e->n_sources += old ? capacity - n : capacity;
	sources->capacity = capacity;
	p->sources = sources;
	return EXPOSITION_TOLD;
}

/* The longest silent one, if it cannot be running beside one that began at start_ms. */
static bool give_up_one(struct exposition_sources *sources, int64_t start_ms)
{
	struct exposition_source *oldest = &sources->all[0];

	for (uint32_t i = 1; i < sources->n; i++)
		if (sources->all[i].ms < oldest->ms)
			oldest = &sources->all[i];
	if (oldest->ms > start_ms)
		return false;
	sources->base += oldest->value;
	*oldest = sources->all[--sources->n];
	return true;
}

static enum exposition_result add(struct exposition *e, struct exposition_point *p,
                                  const struct sample *s)
{
	enum exposition_result r;

	if (p->sources && p->sources->n == EXPOSITION_SOURCES &&
	    !give_up_one(p->sources, s->start_ms))
		return EXPOSITION_TOO_MANY_SOURCES;
	r = make_room(e, p);
	if (r != EXPOSITION_TOLD)
		return r;
	p->sources->all[p->sources->n++] = (struct exposition_source){s->start_ms, s->ms, s->value};
	sum_up(p);
	return EXPOSITION_TOLD;
}

enum exposition_result exposition_add_source(struct exposition *e, struct exposition_point *p,
                                             const struct sample *s)
{
	struct exposition_source *source;

	if (!p->present) {
		set(p, s);
		return EXPOSITION_TOLD;
	}
	if (!p->sources && p->start_ms == s->start_ms) {
		if (s->ms < p->ms)
			return EXPOSITION_LATE;
		set(p, s);
		return EXPOSITION_TOLD;
	}
	source = p->sources ? find(p->sources, s->start_ms) : NULL;
	if (!source)
		return add(e, p, s);
	if (s->ms < source->ms)
		return EXPOSITION_LATE;
	source->ms = s->ms;
	source->value = s->value;
	sum_up(p);
	return EXPOSITION_TOLD;
}

/* A marker that names no source that is known ends them all. */
bool exposition_end_source(struct exposition_point *p, const struct sample *s)
{
	struct exposition_source *source = p->sources ? find(p->sources, s->start_ms) : NULL;

	if (!source || p->sources->n == 1)
		return false;
	p->sources->base += source->value;
	*source = p->sources->all[--p->sources->n];
	sum_up(p);
	return true;
}

void exposition_free_sources(struct exposition *e, struct exposition_point *p)
{
	if (p->sources)
		e->n_sources -= p->sources->capacity;
	free(p->sources);
	p->sources = NULL;
}
