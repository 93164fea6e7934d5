/* Native histograms: what each source has told last, and their sum. */
#include "core/prometheus/exposition_internal.h"

#include <math.h>
#include <stdlib.h>

/* What a further source counts for beside those of counters: it is so much larger. */
enum { NATIVE_WEIGHT = 16 };
/* The start time of what was given up. */
#define BASE INT64_MIN

/* ---- copies */

static size_t arrays_size(const struct native_histogram *h)
{
	return (h->n_positive_deltas + h->n_negative_deltas) * sizeof(int64_t) +
	       h->n_custom_values * sizeof(double) +
	       (h->n_positive_spans + h->n_negative_spans) * sizeof(struct native_span);
}

static const void *copy_array(uint8_t **at, const void *from, size_t bytes)
{
	const void *copy = *at;

	if (bytes > 0)
		memcpy(*at, from, bytes);
	*at += bytes;
	return copy;
}

static struct exposition_native *copy(const struct native_histogram *from, int64_t start_ms,
                                      int64_t ms)
{
	struct exposition_native *n = malloc(sizeof *n + arrays_size(from));
	struct native_histogram *h;
	uint8_t *at;

	if (!n)
		return NULL;
	*n = (struct exposition_native){.start_ms = start_ms, .ms = ms, .histogram = *from};
	at = (uint8_t *)(n + 1);
	h = &n->histogram;
	h->positive_deltas = copy_array(&at, from->positive_deltas,
	                                from->n_positive_deltas * sizeof *from->positive_deltas);
	h->negative_deltas = copy_array(&at, from->negative_deltas,
	                                from->n_negative_deltas * sizeof *from->negative_deltas);
	h->custom_values = copy_array(&at, from->custom_values,
	                              from->n_custom_values * sizeof *from->custom_values);
	h->positive_spans = copy_array(&at, from->positive_spans,
	                               from->n_positive_spans * sizeof *from->positive_spans);
	h->negative_spans = copy_array(&at, from->negative_spans,
	                               from->n_negative_spans * sizeof *from->negative_spans);
	return n;
}

/* ---- sums */

struct bucket {
	int64_t index;
	uint64_t count;
};

struct side {
	struct bucket *buckets;
	size_t n;
};

static void gather(struct side *side, const struct native_span *spans, size_t n_spans,
                   const int64_t *deltas, unsigned shift)
{
	int64_t index = 0, count = 0;

	for (size_t i = 0; i < n_spans; i++) {
		index += spans[i].offset;
		for (uint32_t j = 0; j < spans[i].length; j++, index++) {
			count += *deltas++;
			side->buckets[side->n++] =
				(struct bucket){.index = ((index - 1) >> shift) + 1,
			                        .count = (uint64_t)count};
		}
	}
}

static int compare(const void *a, const void *b)
{
	const struct bucket *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static void join_equal(struct side *side)
{
	size_t n = 0;

	if (side->n > 0)
		qsort(side->buckets, side->n, sizeof *side->buckets, compare);
	for (size_t i = 0; i < side->n; i++) {
		if (n > 0 && side->buckets[n - 1].index == side->buckets[i].index)
			side->buckets[n - 1].count += side->buckets[i].count;
		else
			side->buckets[n++] = side->buckets[i];
	}
	side->n = n;
}

/* What lies below the widest zero bucket goes into it. */
static void swallow(struct side *side, struct native_histogram *h)
{
	size_t below = 0;

	while (below < side->n &&
	       exp2(ldexp((double)side->buckets[below].index, -h->schema)) <= h->zero_threshold)
		h->zero_count += side->buckets[below++].count;
	side->buckets += below;
	side->n -= below;
}

static size_t write_spans(const struct side *side, struct native_span *spans, int64_t *deltas)
{
	int64_t next = 0, previous = 0;
	size_t n = 0;

	for (size_t i = 0; i < side->n; i++) {
		const struct bucket *b = &side->buckets[i];

		if (n == 0 || b->index != next)
			spans[n++] = (struct native_span){.offset = (int32_t)(b->index - next)};
		spans[n - 1].length++;
		deltas[i] = (int64_t)b->count - previous;
		previous = (int64_t)b->count;
		next = b->index + 1;
	}
	return n;
}

/* Custom buckets are not added up: the newest stand for all. */
static const struct exposition_native *newest_if_custom(const struct exposition_native *first)
{
	const struct exposition_native *newest = first;
	bool custom = false;

	for (const struct exposition_native *n = first; n; n = n->next) {
		custom |= n->histogram.schema < -4;
		if (n->ms > newest->ms)
			newest = n;
	}
	return custom ? newest : NULL;
}

/* All but the buckets; *ret_n: how many there are of both signs. */
static struct native_histogram sum_heads(const struct exposition_native *first, size_t *ret_n)
{
	struct native_histogram sum = {.schema = first->histogram.schema,
	                               .gauge = first->histogram.gauge};

	*ret_n = 0;
	for (const struct exposition_native *n = first; n; n = n->next) {
		const struct native_histogram *h = &n->histogram;

		sum.count += h->count;
		sum.zero_count += h->zero_count;
		sum.sum += h->sum;
		sum.zero_threshold = fmax(sum.zero_threshold, h->zero_threshold);
		if (h->schema < sum.schema)
			sum.schema = h->schema;
		*ret_n += h->n_positive_deltas + h->n_negative_deltas;
	}
	return sum;
}

bool exposition_sum_natives(const struct exposition_native *first, struct native_histogram *ret,
                            void **ret_memory)
{
	const struct exposition_native *only = first->next ? newest_if_custom(first) : first;
	struct side positive = {0}, negative = {0};
	struct native_histogram sum;
	struct bucket *buckets;
	struct native_span *spans;
	int64_t *deltas;
	size_t total;

	*ret_memory = NULL;
	if (only) {
		*ret = only->histogram;
		return true;
	}
	sum = sum_heads(first, &total);
	buckets = malloc(total * (sizeof *buckets + sizeof *spans + sizeof *deltas) + 1);
	if (!buckets)
		return false;
	deltas = (int64_t *)(buckets + total);
	spans = (struct native_span *)(deltas + total);
	positive.buckets = buckets;
	for (const struct exposition_native *n = first; n; n = n->next)
		gather(&positive, n->histogram.positive_spans, n->histogram.n_positive_spans,
		       n->histogram.positive_deltas, (unsigned)(n->histogram.schema - sum.schema));
	negative.buckets = buckets + positive.n;
	for (const struct exposition_native *n = first; n; n = n->next)
		gather(&negative, n->histogram.negative_spans, n->histogram.n_negative_spans,
		       n->histogram.negative_deltas, (unsigned)(n->histogram.schema - sum.schema));
	join_equal(&positive);
	join_equal(&negative);
	swallow(&positive, &sum);
	swallow(&negative, &sum);
	sum.positive_deltas = deltas;
	sum.n_positive_deltas = positive.n;
	sum.positive_spans = spans;
	sum.n_positive_spans = write_spans(&positive, spans, deltas);
	sum.negative_deltas = deltas + positive.n;
	sum.n_negative_deltas = negative.n;
	sum.negative_spans = spans + sum.n_positive_spans;
	sum.n_negative_spans =
		write_spans(&negative, spans + sum.n_positive_spans, deltas + positive.n);
	*ret = sum;
	*ret_memory = buckets;
	return true;
}

/* ---- sources */

static size_t count_natives(const struct exposition_point *p)
{
	size_t n = 0;

	for (const struct exposition_native *each = p->native; each; each = each->next)
		n++;
	return n;
}

/* The place of the longest silent one, or NULL when it may be running beside one that began at
 * start_ms. */
static struct exposition_native **find_silent(struct exposition_point *p, int64_t start_ms)
{
	struct exposition_native **oldest = NULL;

	for (struct exposition_native **at = &p->native; *at; at = &(*at)->next)
		if ((*at)->start_ms != BASE && (!oldest || (*at)->ms < (*oldest)->ms))
			oldest = at;
	return oldest && (*oldest)->ms <= start_ms ? oldest : NULL;
}

static struct exposition_native **find_source(struct exposition_point *p, int64_t start_ms)
{
	struct exposition_native **at = &p->native;

	while (*at && (*at)->start_ms != start_ms)
		at = &(*at)->next;
	return at;
}

static struct exposition_native *take_out(struct exposition_native **at)
{
	struct exposition_native *n = *at;

	*at = n->next;
	n->next = NULL;
	return n;
}

/* Adds one that is silent to what has been. */
static enum exposition_result give_up_one(struct exposition *e, struct exposition_point *p,
                                          int64_t start_ms)
{
	struct exposition_native **silent = find_silent(p, start_ms), **base;
	struct exposition_native *one, *other, *joined;
	struct native_histogram sum;
	void *memory;

	if (!silent)
		return EXPOSITION_TOO_MANY_SOURCES;
	one = take_out(silent);
	base = find_source(p, BASE);
	other = *base ? take_out(base) : NULL;
	one->next = other;
	joined = NULL;
	if (exposition_sum_natives(one, &sum, &memory)) {
		joined = copy(&sum, BASE, other && other->ms > one->ms ? other->ms : one->ms);
		free(memory);
	}
	if (!joined) { /* back to where they were */
		*(other ? &other->next : &one->next) = p->native;
		p->native = one;
		return EXPOSITION_NO_MEMORY;
	}
	if (other)
		e->n_sources -= NATIVE_WEIGHT;
	free(one);
	free(other);
	joined->next = p->native;
	p->native = joined;
	return EXPOSITION_TOLD;
}

static enum exposition_result make_room(struct exposition *e, struct exposition_point *p,
                                        int64_t start_ms)
{
	if (count_natives(p) >= EXPOSITION_SOURCES)
		return give_up_one(e, p, start_ms);
	return e->n_sources + NATIVE_WEIGHT > e->max_sources ? EXPOSITION_TOO_MANY_SOURCES
	                                                     : EXPOSITION_TOLD;
}

enum exposition_result exposition_add_native(struct exposition *e, struct exposition_point *p,
                                             const struct sample *s)
{
	struct exposition_native *old = *find_source(p, s->start_ms), *new;
	const struct native_histogram *h = s->histogram;
	enum exposition_result r = EXPOSITION_TOLD;

	if (h->n_positive_deltas + h->n_negative_deltas > EXPOSITION_POINTS)
		return EXPOSITION_TOO_LARGE;
	if (old && s->ms < old->ms)
		return EXPOSITION_LATE;
	if (!old && p->native)
		r = make_room(e, p, s->start_ms);
	if (r != EXPOSITION_TOLD)
		return r;
	new = copy(h, s->start_ms, s->ms);
	if (!new)
		return EXPOSITION_NO_MEMORY;
	if (old)
		free(take_out(find_source(p, s->start_ms)));
	else if (p->native)
		e->n_sources += NATIVE_WEIGHT;
	new->next = p->native;
	p->native = new;
	p->start_ms = !p->present || s->start_ms < p->start_ms ? s->start_ms : p->start_ms;
	p->ms = !p->present || s->ms > p->ms ? s->ms : p->ms;
	p->present = true;
	return EXPOSITION_TOLD;
}

void exposition_free_natives(struct exposition *e, struct exposition_point *p)
{
	struct exposition_native *n;

	while ((n = p->native)) {
		p->native = n->next;
		free(n);
		if (p->native)
			e->n_sources -= NATIVE_WEIGHT;
	}
}
