#include "exporters/prometheusremotewrite/prometheusremotewrite_queue.h"

#include <assert.h>
#include <stdlib.h>

enum { ALIGNMENT = 8 };

static size_t aligned(size_t size)
{
	return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

struct ticket *ticket_new(size_t n_points)
{
	struct ticket *t = calloc(1, sizeof *t + n_points / 8 + 1);

	if (t)
		t->n_points = n_points;
	return t;
}

static void ticket_lose(struct ticket *t, uint32_t point, enum drop_reason reason)
{
	uint8_t bit = (uint8_t)(1 << point % 8);

	t->canceled |= reason == DROP_SHUTDOWN;
	if (point >= t->n_points || (t->points[point / 8] & bit)) /* nobody's, or lost already */
		return;
	t->points[point / 8] |= bit;
	t->lost.items[reason]++;
}

/* ---- copies of what a sample points to, behind the samples of its parcel */

static size_t histogram_bytes(const struct native_histogram *h)
{
	return aligned(sizeof *h) +
	       (h->n_positive_spans + h->n_negative_spans) * sizeof(struct native_span) +
	       (h->n_positive_deltas + h->n_negative_deltas) * sizeof(int64_t) +
	       h->n_custom_values * sizeof(double);
}

static size_t exemplar_bytes(const struct exemplar *e)
{
	size_t bytes = sizeof *e + e->n_labels * sizeof *e->labels;

	for (size_t i = 0; i < e->n_labels; i++)
		bytes += e->labels[i].name.len + e->labels[i].value.len;
	return aligned(bytes);
}

static size_t sample_bytes(const struct sample *s)
{
	size_t bytes = sizeof *s;

	if (s->series->role == SERIES_NATIVE && s->histogram)
		bytes += histogram_bytes(s->histogram);
	for (uint32_t i = 0; i < s->n_exemplars; i++)
		bytes += exemplar_bytes(&s->exemplars[i]);
	return bytes;
}

static const void *copy(uint8_t **at, const void *data, size_t len)
{
	void *to = *at;

	if (len == 0)
		return NULL;
	memcpy(to, data, len);
	*at += len;
	return to;
}

static const struct native_histogram *copy_histogram(uint8_t **at, const struct native_histogram *h)
{
	struct native_histogram *to = (struct native_histogram *)*at;

	*to = *h;
	*at += aligned(sizeof *h);
	to->positive_spans =
		copy(at, h->positive_spans, h->n_positive_spans * sizeof *h->positive_spans);
	to->negative_spans =
		copy(at, h->negative_spans, h->n_negative_spans * sizeof *h->negative_spans);
	to->positive_deltas =
		copy(at, h->positive_deltas, h->n_positive_deltas * sizeof *h->positive_deltas);
	to->negative_deltas =
		copy(at, h->negative_deltas, h->n_negative_deltas * sizeof *h->negative_deltas);
	to->custom_values =
		copy(at, h->custom_values, h->n_custom_values * sizeof *h->custom_values);
	return to;
}

/* The exemplars stand side by side, their labels and texts behind them. */
static const struct exemplar *copy_exemplars(uint8_t **at, const struct exemplar *from, uint32_t n)
{
	struct exemplar *to = (struct exemplar *)*at;

	*at += n * sizeof *to;
	for (uint32_t i = 0; i < n; i++) {
		struct exemplar_label *labels = (struct exemplar_label *)*at;

		to[i] = from[i];
		to[i].labels = labels;
		*at += from[i].n_labels * sizeof *labels;
		for (size_t k = 0; k < from[i].n_labels; k++) {
			const struct exemplar_label *l = &from[i].labels[k];

			labels[k].name = slice_of(copy(at, l->name.data, l->name.len), l->name.len);
			labels[k].value =
				slice_of(copy(at, l->value.data, l->value.len), l->value.len);
		}
		*at = (uint8_t *)aligned((uintptr_t)*at);
	}
	return to;
}

/* ---- parcels */

struct measure {
	size_t n, bytes;
};

static void parcel_free(struct parcel *p)
{
	if (p->budget)
		budget_return(p->budget, p->bytes);
	free(p);
}

static bool make_parcels(const struct measure *measures, size_t n, struct budget *budget,
                         struct parcel **ret)
{
	for (size_t i = 0; i < n; i++) {
		size_t bytes = sizeof(struct parcel) + measures[i].bytes;

		ret[i] = NULL;
		if (measures[i].n == 0)
			continue;
		ret[i] = malloc(bytes);
		if (!ret[i]) {
			while (i-- > 0)
				if (ret[i])
					parcel_free(ret[i]);
			return false;
		}
		*ret[i] = (struct parcel){.bytes = bytes, .n = measures[i].n};
		/* What has been translated is kept, also above the limit that admits more. */
		if (budget_take(budget, bytes))
			ret[i]->budget = budget;
	}
	return true;
}

static void fill_sample(struct parcel *p, const struct sample *from, uint8_t **extra)
{
	struct sample *s = &p->samples[p->at++];

	*s = *from;
	series_ref(s->series);
	if (s->series->role == SERIES_NATIVE && s->histogram)
		s->histogram = copy_histogram(extra, s->histogram);
	s->exemplars = s->n_exemplars ? copy_exemplars(extra, s->exemplars, s->n_exemplars) : NULL;
}

bool parcels_pack(const struct translation *t, struct ticket *ticket, size_t n,
                  struct budget *budget, uint64_t now_ns, struct parcel **ret)
{
	struct measure *measures = calloc(n, sizeof *measures);
	uint8_t **extras = calloc(n, sizeof *extras);
	bool made = false;

	if (!measures || !extras)
		goto out;
	for (size_t i = 0; i < t->n_samples; i++) {
		struct measure *m = &measures[t->samples[i].series->hash % n];

		m->n++;
		m->bytes += sample_bytes(&t->samples[i]);
	}
	made = make_parcels(measures, n, budget, ret);
	if (!made)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (ret[i]) {
			ret[i]->ticket = ticket;
			ret[i]->queued_ns = now_ns;
			extras[i] = (uint8_t *)&ret[i]->samples[ret[i]->n];
		}
	for (size_t i = 0; i < t->n_samples; i++) {
		size_t shard = t->samples[i].series->hash % n;

		fill_sample(ret[shard], &t->samples[i], &extras[shard]);
	}
	for (size_t i = 0; i < n; i++)
		if (ret[i])
			ret[i]->at = 0;
	ticket->left += t->n_samples;
out:
	free(measures);
	free(extras);
	return made;
}

/* ---- the queue */

void sample_queue_init(struct sample_queue *q, struct series_table *table, struct list *finished)
{
	*q = (struct sample_queue){.table = table, .finished = finished};
	list_init(&q->parcels);
}

void sample_queue_put(struct sample_queue *q, struct parcel *p)
{
	if (!p)
		return;
	list_push(&q->parcels, &p->link);
	q->samples += p->n;
	q->bytes += p->bytes;
}

uint64_t sample_queue_since_ns(const struct sample_queue *q)
{
	return LIST_FIRST(&q->parcels, struct parcel, link)->queued_ns;
}

bool sample_queue_peek(const struct sample_queue *q, const struct parcel **place,
                       const struct sample **ret, size_t *ret_n)
{
	const struct list *next = *place ? (*place)->link.next : q->parcels.next;
	const struct parcel *p;

	if (next == &q->parcels)
		return false;
	p = CONTAINER_OF(next, struct parcel, link);
	*place = p;
	*ret = p->samples + p->at;
	*ret_n = p->n - p->at;
	return true;
}

/* Of the samples that belong to points the first kept are sent; what comes then is lost. */
static void pop(struct sample_queue *q, size_t n, size_t kept, enum drop_reason reason)
{
	assert(n <= q->samples);
	q->samples -= n;
	while (n > 0) {
		struct parcel *p = LIST_FIRST(&q->parcels, struct parcel, link);
		size_t here = p->n - p->at < n ? p->n - p->at : n;
		struct ticket *ticket = p->ticket;

		for (size_t i = p->at; i < p->at + here; i++) {
			const struct sample *s = &p->samples[i];

			if (kept == 0)
				ticket_lose(ticket, s->point, reason);
			else if (s->point != SAMPLE_OF_NO_POINT)
				kept--;
			series_unref(q->table, s->series);
		}
		p->at += here;
		n -= here;
		ticket->left -= here;
		if (ticket->left == 0)
			list_push(q->finished, &ticket->link);
		if (p->at == p->n) {
			q->bytes -= p->bytes;
			list_remove(&p->link);
			parcel_free(p);
		}
	}
}

void sample_queue_pop_sent(struct sample_queue *q, size_t n)
{
	pop(q, n, SIZE_MAX, DROP_PERMANENT_ERROR);
}

void sample_queue_pop_lost(struct sample_queue *q, size_t n, enum drop_reason reason)
{
	pop(q, n, 0, reason);
}

void sample_queue_pop_partly(struct sample_queue *q, size_t n, size_t lost, enum drop_reason reason)
{
	const struct parcel *place = NULL;
	const struct sample *samples;
	size_t of_points = 0, here;

	for (size_t left = n; left > 0 && sample_queue_peek(q, &place, &samples, &here);
	     left -= here) {
		here = here < left ? here : left;
		for (size_t i = 0; i < here; i++)
			of_points += samples[i].point != SAMPLE_OF_NO_POINT;
	}
	pop(q, n, of_points > lost ? of_points - lost : 0, reason);
}
