/* limits: which series go on, and when they leave. */
#include "core/base/clock.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"

/* The whole table is looked through in a quarter of idle. */
enum { SWEEPS_PER_IDLE = 4 };

static bool glob_matches(const char *glob, struct slice name)
{
	const char *star = NULL;
	size_t at = 0, back = 0;

	while (at < name.len) {
		if (*glob == '*') {
			star = ++glob;
			back = at;
		} else if (*glob && (*glob == '?' || *glob == (char)name.data[at])) {
			glob++;
			at++;
		} else if (star) {
			glob = star;
			at = ++back;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return !*glob;
}

static struct metric_place *metric_find(struct cardinality *p, struct slice name)
{
	const struct cardinality_config *c = p->config;
	uint64_t key = key_pair(p, key_bytes(p, name), 1);
	struct metric_place *m = places_find(&p->metrics, key);

	if (m || p->metrics.count >= c->max_series)
		return m;
	m = places_add(&p->metrics, key);
	m->limit = c->max_series_per_metric;
	for (size_t i = 0; i < c->metrics.count; i++) {
		const struct rule *rule = (const struct rule *)c->metrics.items + i;

		if (!glob_matches(rule->name, name))
			continue;
		m->rule = rule;
		if (rule->max_series)
			m->limit = rule->max_series;
		break;
	}
	return m;
}

void limits_family(struct cardinality *p, uint64_t scope, struct slice name, struct slice unit,
                   struct metric_kind kind, struct family *ret)
{
	const uint64_t parts[] = {kind.data, kind.temporality, kind.monotonic};
	uint64_t id = key_pair(p, scope, key_bytes(p, name));

	id = key_pair(p, id, key_bytes(p, unit));
	*ret = (struct family){
		.id = key_pair(p, id, key_bytes(p, slice_of(parts, sizeof parts))),
		.metric = metric_find(p, name),
		.name = name,
		.kind = kind,
	};
	ret->mergeable = kind.data != OTLP__METRIC__DATA_SUMMARY;
	if (kind.data == OTLP__METRIC__DATA_GAUGE) {
		if (ret->metric && ret->metric->rule)
			ret->gauge = (enum gauge_choice)ret->metric->rule->gauge;
		ret->tracked = ret->gauge != GAUGE_LAST;
	} else if (ret->mergeable) {
		ret->tracked = kind.temporality !=
		               OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA;
		ret->gauge = GAUGE_SUM; /* of what may fall */
	}
	ret->overflow = key_pair(p, ret->id, key_overflow(p));
}

/* Places that only overflow series may take. */
static uint64_t kept_for_overflow(const struct cardinality_config *c)
{
	uint64_t sixteenth = c->max_series / 16;
	return sixteenth ? sixteenth : 1;
}

static bool has_room(const struct cardinality *p, const struct metric_place *m)
{
	const struct cardinality_config *c = p->config;

	return m->n_series + UINT64_C(1) < m->limit && p->series.count < c->max_series &&
	       p->series.count - p->n_overflow < c->max_series - kept_for_overflow(c);
}

static struct series_place *series_add(struct cardinality *p, const struct family *f, uint64_t key,
                                       bool overflow)
{
	struct series_place *s = places_add(&p->series, key);

	s->metric = f->metric->key;
	s->overflow = overflow;
	if (overflow) {
		f->metric->n_overflow++;
		p->n_overflow++;
	} else {
		f->metric->n_series++;
	}
	return s;
}

/* Once for each metric, when a series of its own is the first to find no place. */
static void tell_overflow(const struct cardinality *p, const struct family *f, bool folded)
{
	struct metric_place *m = f->metric;
	bool own = m->n_series + UINT64_C(1) >= m->limit;
	char worst[1000];

	if (m->overflowed)
		return;
	m->overflowed = true;
	follow_describe(p, own ? m : NULL, worst, sizeof worst);
	log_warn(&p->component.log,
	         "metric '%.*s' has reached %s: %u series of at most %llu, %zu of %llu in all; "
	         "further ones are %s%s; raise the limit, or take "
	         "attributes off by 'keep' or 'drop' in an entry of 'metrics', those of resources "
	         "by the processor 'resource'",
	         (int)(f->name.len < 200 ? f->name.len : 200), (const char *)f->name.data,
	         own ? "its limit" : "the limit of all metrics", m->n_series,
	         (unsigned long long)m->limit, p->series.count,
	         (unsigned long long)p->config->max_series,
	         folded ? "folded into otel.metric.overflow" : "dropped", worst);
}

static struct series_place *overflow_find(struct cardinality *p, const struct family *f)
{
	struct series_place *s = places_find(&p->series, f->overflow);

	if (s || p->series.count >= p->config->max_series)
		return s;
	return series_add(p, f, f->overflow, true);
}

void limits_prefetch(const struct cardinality *p, const struct family *f, uint64_t source,
                     uint64_t key)
{
	places_prefetch(&p->series, key);
	if (!f->metric || !f->tracked)
		return;
	if (f->metric->n_overflow)
		places_prefetch(&p->lasts, key_pair(p, f->overflow, source));
	if (rule_has_labels(f->metric->rule))
		places_prefetch(&p->lasts, key_pair(p, key, source));
}

struct verdict limits_judge(struct cardinality *p, const struct family *f, uint64_t source,
                            uint64_t key, uint32_t now_ms)
{
	struct series_place *s = NULL;
	const struct last_place *last = NULL;
	bool ruled, overflow, fresh = false;

	if (!f->metric)
		return (struct verdict){0};
	ruled = f->mergeable && rule_has_labels(f->metric->rule);
	/* As SDKs have it, or another weir. */
	overflow = f->mergeable && (source == f->overflow || key == f->overflow);
	if (!overflow) {
		s = places_find(&p->series, key);
		/* What is part of the overflow's total stays it: nothing counts twice. */
		if (f->tracked && (!s || ruled) && f->metric->n_overflow)
			last = places_find(&p->lasts, key_pair(p, f->overflow, source));
		if (last)
			fresh = follow_lacks_last(p, last->seen);
		else
			fresh = !s || follow_lacks_series(p, s->seen);
		if (last)
			s = NULL;
		else if (!s && has_room(p, f->metric))
			s = series_add(p, f, key, false);
	}
	if (s) {
		s->seen = now_ms;
		return (struct verdict){s, .joins = ruled, .fresh = fresh};
	}
	if (f->mergeable)
		s = overflow_find(p, f);
	if (!overflow)
		tell_overflow(p, f, s);
	if (s)
		s->seen = now_ms;
	return (struct verdict){s, .joins = true, .fresh = fresh};
}

bool limits_reserve(struct cardinality *p, size_t points, bool folding)
{
	const struct cardinality_config *c = p->config;
	size_t series = p->series.count + 2 * points, lasts = p->lasts.count + points;
	size_t metrics = p->metrics.count + points;

	if (series > c->max_series)
		series = c->max_series;
	if (lasts > c->max_tracked)
		lasts = c->max_tracked;
	if (metrics > c->max_series)
		metrics = c->max_series;
	return places_reserve(&p->series, series) && places_reserve(&p->metrics, metrics) &&
	       (!folding || places_reserve(&p->lasts, lasts));
}

size_t limits_bound(const struct cardinality_config *c)
{
	enum { ALLOCATED = 16 }; /* what malloc() takes for itself; extra places come in twos */

	return places_bound(sizeof(struct series_place), c->max_series) +
	       c->max_series * (aggregate_bound() + ALLOCATED) +
	       places_bound(sizeof(struct metric_place), c->max_series) +
	       places_bound(sizeof(struct last_place), c->max_tracked) +
	       c->max_tracked * (sizeof(struct last_place) + ALLOCATED / 2) + follow_bound();
}

/* ---- idle */

static void series_remove(struct cardinality *p, size_t slot)
{
	struct series_place *s = places_at(&p->series, slot);
	struct metric_place *m = places_find(&p->metrics, s->metric);

	if (s->overflow) {
		m->n_overflow--;
		p->n_overflow--;
	} else {
		m->n_series--;
	}
	aggregate_free(p, s->total);
	places_remove(&p->series, slot);
}

/* Totals outlive the last values that they are made of. */
static bool series_is_idle(const struct cardinality *p, const struct series_place *s,
                           uint32_t now_ms)
{
	uint64_t idle_ms = p->config->idle / NS_PER_MS * (s->total ? 2 : 1);
	return (uint32_t)(now_ms - s->seen) > idle_ms && !aggregate_is_held(s->total);
}

static size_t steps(const struct cardinality *p, const struct places *places, uint64_t past_ns)
{
	double part = (double)past_ns * SWEEPS_PER_IDLE / (double)p->config->idle;
	return part >= 1 ? places->capacity : (size_t)(part * (double)places->capacity);
}

void limits_sweep(struct cardinality *p, uint64_t now_ns)
{
	uint64_t past = now_ns - p->swept_ns;
	uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS);
	uint8_t step = (uint8_t)(now_ns / (p->config->idle / LAST_STEPS));
	bool all = past > 2 * p->config->idle; /* maybe so long that the circle came round */

	if (past < p->config->idle / 64)
		return;
	p->swept_ns = now_ns;
	for (size_t n = steps(p, &p->series, past); n; n--) {
		size_t slot = p->series_hand++ & (p->series.capacity - 1);

		while (places_at(&p->series, slot) &&
		       series_is_idle(p, places_at(&p->series, slot), now_ms))
			series_remove(p, slot);
	}
	for (size_t n = steps(p, &p->lasts, past); n; n--) {
		size_t slot = p->lasts_hand++ & (p->lasts.capacity - 1);
		struct last_place *last;

		while ((last = places_at(&p->lasts, slot)) &&
		       (all || (uint8_t)(step - last->seen) > LAST_STEPS)) {
			last_free(p, last);
			places_remove(&p->lasts, slot);
		}
	}
	for (size_t n = steps(p, &p->metrics, past); n; n--) {
		size_t slot = p->metrics_hand++ & (p->metrics.capacity - 1);
		struct metric_place *m;

		while ((m = places_at(&p->metrics, slot)) && !m->n_series && !m->n_overflow)
			places_remove(&p->metrics, slot);
	}
}

void limits_fini(struct cardinality *p)
{
	for (size_t i = 0; i < p->lasts.capacity; i++) {
		struct last_place *last = places_at(&p->lasts, i);

		if (last)
			last_free(p, last);
	}
	for (size_t i = 0; i < p->series.capacity; i++) {
		struct series_place *s = places_at(&p->series, i);

		if (s)
			aggregate_free(p, s->total);
	}
	places_fini(&p->series);
	places_fini(&p->lasts);
	places_fini(&p->metrics);
}
