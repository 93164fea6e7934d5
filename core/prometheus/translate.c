#include "core/prometheus/translate_internal.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_MAX_SERIES ((size_t)10000000)
#define DEFAULT_MAX_SYMBOL_BYTES ((size_t)4 << 30)

const char *translate_drop_name(enum translate_drop reason)
{
	static const char *const names[] = {
		[TRANSLATE_NO_NAME] = "no_name",     [TRANSLATE_TEMPORALITY] = "temporality",
		[TRANSLATE_INVALID] = "invalid",     [TRANSLATE_SCALE] = "scale",
		[TRANSLATE_CONFLICT] = "conflict",   [TRANSLATE_LATE] = "late",
		[TRANSLATE_DUPLICATE] = "duplicate", [TRANSLATE_SERIES_LIMIT] = "series_limit",
		[TRANSLATE_TOO_LARGE] = "too_large", [TRANSLATE_NO_MEMORY] = "no_memory",
	};
	return names[reason];
}

/* ---- life */

struct translator *translator_new(const struct translator_options *options)
{
	struct translator *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->options = *options;
	if (!t->options.namespace)
		t->options.namespace = "";
	if (!t->options.max_series)
		t->options.max_series = DEFAULT_MAX_SERIES;
	if (!t->options.max_symbol_bytes)
		t->options.max_symbol_bytes = DEFAULT_MAX_SYMBOL_BYTES;
	/* a series may come in several streams, as attributes come in several orders; not in any
	 * number of them */
	t->max_streams =
		t->options.max_series < SIZE_MAX / 4 ? t->options.max_series * 2 : SIZE_MAX;
	arena_init(&t->arena, options->budget);
	if (streams_init(&t->streams) &&
	    series_table_init(&t->table, t->options.max_series, t->options.max_symbol_bytes)) {
		t->table.on_family_end = options->on_family_end;
		t->table.arg = options->arg;
		return t;
	}
	streams_fini(&t->streams);
	free(t);
	return NULL;
}

static void retired_free(struct translator *t)
{
	for (struct stream *stream = t->retired, *next; stream; stream = next) {
		next = stream->next;
		for (uint32_t i = 0; i < stream->n; i++)
			series_unref(&t->table, stream->series[i]);
		free(stream);
	}
	t->retired = NULL;
}

static void ended_release(struct translator *t)
{
	for (size_t i = 0; i < t->n_ended; i++)
		series_unref(&t->table, t->ended[i]);
	t->n_ended = 0;
}

void translator_free(struct translator *t)
{
	if (!t)
		return;
	ended_release(t);
	for (size_t i = 0; i <= t->streams.mask; i++)
		free(target_stream(t->streams.slots[i].target));
	streams_fini(&t->streams);
	retired_free(t);
	series_table_fini(&t->table);
	arena_fini(&t->arena);
	buffer_fini(&t->scratch);
	buffer_fini(&t->name);
	buffer_fini(&t->unit);
	buffer_fini(&t->number);
	labels_fini(&t->labels);
	free(t->points);
	free(t->samples);
	free(t->sorted);
	free(t->torn);
	free(t->ended);
	free(t);
}

struct series_table *translator_table(struct translator *t)
{
	return &t->table;
}

const struct translator_figures *translator_figures(const struct translator *t)
{
	return &t->figures;
}

/* ---- a translation */

static void begin(struct translator *t, uint64_t now_ns)
{
	ended_release(t);
	arena_fini(&t->arena);
	t->pending = (struct translator_figures){0};
	t->n_points = t->n_samples = t->samples_needed = 0;
	t->deltas_disordered = t->disordered = t->any_torn = false;
	t->now = (uint32_t)(now_ns / NS_PER_S);
}

/* Room for n more samples and as many series that end. */
static bool reserve(struct translator *t, size_t n)
{
	size_t capacity = t->n_samples + n;

	if (capacity > UINT32_MAX)
		return false;
	if (capacity > t->samples_capacity) {
		struct sample *samples;

		capacity += capacity / 4;
		samples = reallocarray(t->samples, capacity, sizeof *samples);
		if (!samples)
			return false;
		t->samples = samples;
		t->samples_capacity = capacity;
	}
	return true;
}

static bool reserve_ended(struct translator *t, size_t n)
{
	size_t capacity = t->n_ended + n;
	struct series **ended;

	if (capacity <= t->ended_capacity)
		return true;
	capacity += capacity / 4;
	ended = reallocarray(t->ended, capacity, sizeof(struct series *));
	if (!ended)
		return false;
	t->ended = ended;
	t->ended_capacity = capacity;
	return true;
}

bool translator_end_series(struct translator *t, struct series *s)
{
	if (!series_end(&t->table, s))
		return false;
	if (s->last_ms == INT64_MIN)
		return true; /* nobody has heard of it */
	t->figures.ended++;
	if (t->options.on_series_end)
		t->options.on_series_end(t->options.arg, s);
	return true;
}

/* The series' last sample, when no stream is left of it. Room for it there is. */
static void tell_end(struct translator *t, struct series *s, int64_t ms)
{
	if (s->streams || s->ended)
		return;
	if (s->last_ms != INT64_MIN && !s->stale)
		tell_stale(t, s, ms > s->last_ms ? ms : s->last_ms + 1, SAMPLE_OF_NO_POINT);
	if (translator_end_series(t, s))
		t->ended[t->n_ended++] = s;
}

static size_t retired_series(const struct translator *t)
{
	size_t n = 0;

	for (const struct stream *stream = t->retired; stream; stream = stream->next)
		n += stream->n;
	return n;
}

/* Ends what the layouts that are gone had alone. Commits first: the end comes after what the
 * translation itself told. */
static void settle_retired(struct translator *t)
{
	for (struct stream *stream = t->retired; stream; stream = stream->next)
		for (uint32_t i = 0; i < stream->n; i++)
			tell_end(t, stream->series[i], stream->retired_ms);
	retired_free(t);
}

static void finish(struct translator *t, struct translation *ret)
{
	uint64_t *sums = t->figures.dropped, *added = t->pending.dropped;
	size_t told;

	tell_commit(t);
	told = t->n_samples;
	settle_retired(t);
	for (size_t i = told; i < t->n_samples; i++) {
		t->samples[i].series->last_ms = t->samples[i].ms;
		t->samples[i].series->stale = true;
	}
	t->pending.samples = t->n_samples;
	t->figures.points += t->pending.points;
	t->figures.samples += t->pending.samples;
	t->figures.hits += t->pending.hits;
	for (int i = 0; i < TRANSLATE_DROPS; i++)
		sums[i] += added[i];
	*ret = (struct translation){t->samples, t->n_samples};
}

int translator_batch(struct translator *t, const struct batch *b, uint64_t now_ns,
                     struct translation *ret, struct error *error)
{
	size_t retired;
	int r = 0;

	begin(t, now_ns);
	for (const struct group *g = b->first; g && r == 0; g = g->next)
		if (g->depth != DEPTH_FULL)
			r = collect_wire_group(t, g, error);
		else if (collect_group(t, g->metrics) < 0)
			r = error_no_memory(error);
	if (r < 0)
		return r;
	retired = retired_series(t);
	if (!reserve(t, t->samples_needed + retired) || !reserve_ended(t, retired) ||
	    !tell_points(t))
		return error_no_memory(error);
	finish(t, ret);
	return 0;
}

/* ---- ends */

/* Empties the slot; its series end, unless they have other streams. False: no memory. */
static bool end_slot(struct translator *t, struct stream_slot *slot, int64_t now_ms)
{
	stream_target target = slot->target;
	struct stream *stream = target_stream(target);
	uint32_t n = stream ? stream->n : 1;

	if (!reserve(t, n) || !reserve_ended(t, n))
		return false;
	streams_remove(&t->streams, slot);
	for (uint32_t i = 0; i < n; i++) {
		struct series *s = stream ? stream->series[i] : target_series(target);

		series_leave(s);
		tell_end(t, s, now_ms);
	}
	free(stream);
	return true;
}

static int end_some(struct translator *t, uint32_t expiry, bool all, int64_t now_ms, size_t places,
                    size_t samples, struct translation *ret)
{
	size_t retired = retired_series(t);
	bool ok = reserve(t, retired) && reserve_ended(t, retired);
	/* every place is looked at once, and once more for each that moves */
	size_t all_places = t->streams.mask + 1 + t->streams.count;

	if (places > all_places)
		places = all_places;
	if (ok)
		settle_retired(t);
	for (; ok && places && t->n_samples < samples; places--) {
		struct stream_slot *slot;

		t->sweep &= t->streams.mask;
		slot = &t->streams.slots[t->sweep];
		if (slot->target && (all || t->now - slot->seen > expiry))
			ok = end_slot(t, slot, now_ms); /* another may have moved in */
		else
			t->sweep++;
	}
	if (!ok && !t->n_samples && !t->n_ended)
		return -ENOMEM;
	finish(t, ret);
	return 0;
}

int translator_expire(struct translator *t, uint64_t now_ns, int64_t now_ms, size_t limit,
                      struct translation *ret)
{
	/* times are kept in whole seconds: rather one too late than one too early */
	uint64_t expiry = t->options.expiry_ns / NS_PER_S + (t->options.expiry_ns % NS_PER_S != 0);

	begin(t, now_ns);
	*ret = (struct translation){0};
	if (!t->options.expiry_ns)
		return 0;
	return end_some(t, expiry < UINT32_MAX ? (uint32_t)expiry : UINT32_MAX, false, now_ms,
	                limit, SIZE_MAX, ret);
}

int translator_end(struct translator *t, int64_t now_ms, size_t limit, struct translation *ret)
{
	begin(t, t->now * NS_PER_S);
	return end_some(t, 0, true, now_ms, SIZE_MAX, limit, ret);
}

void translator_each(struct translator *t, bool (*visit)(struct series *s, void *arg), void *arg)
{
	for (size_t i = 0; i <= t->table.mask; i++)
		if (t->table.slots[i] && !visit(t->table.slots[i], arg))
			return;
}
