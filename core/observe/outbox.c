#include "core/observe/outbox.h"

#include "core/base/clock.h"
#include "core/base/list.h"

#include <stdlib.h>

/* Happy path: outbox_send -> consume -> on_done(OK).
 * Fails: on_done(RETRY) -> waiting -> outbox_retry -> consume (keep), or refused (no keep) ·
 * on_done(PERMANENT or CANCELED) -> lost. */

struct parcel {
	struct list link; /* in waiting or under_way */
	struct outbox *outbox;
	struct batch *batch; /* NULL unless it is kept */
	size_t items;
	uint64_t not_before_ns;
};

struct outbox {
	struct consumer next;
	unsigned limit, unfinished;
	bool keep, abandoned;
	struct list waiting, under_way;
	size_t items;
	struct outbox_counts counts;
	void (*on_settled)(void *arg);
	void *arg;
};

struct outbox *outbox_new(struct consumer next, unsigned limit, bool keep,
                          void (*on_settled)(void *arg), void *arg)
{
	struct outbox *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	*o = (struct outbox){
		.next = next, .limit = limit, .keep = keep, .on_settled = on_settled, .arg = arg};
	list_init(&o->waiting);
	list_init(&o->under_way);
	return o;
}

static void parcel_free(struct parcel *p)
{
	struct outbox *o = p->outbox;

	list_remove(&p->link);
	batch_unref(p->batch);
	o->unfinished--;
	o->items -= p->items;
	free(p);
}

static void maybe_free(struct outbox *o)
{
	if (o->abandoned && o->unfinished == 0)
		free(o);
}

void outbox_free(struct outbox *o)
{
	struct parcel *p, *next;

	if (!o)
		return;
	LIST_FOR_EACH_SAFE(p, next, &o->waiting, link)
		parcel_free(p);
	o->abandoned = true;
	maybe_free(o);
}

bool outbox_has_room(const struct outbox *o)
{
	return o->unfinished < o->limit;
}

bool outbox_is_empty(const struct outbox *o)
{
	return o->unfinished == 0;
}

size_t outbox_items(const struct outbox *o)
{
	return o->items;
}

const struct outbox_counts *outbox_counts(const struct outbox *o)
{
	return &o->counts;
}

static void settle(struct parcel *p, uint64_t *counter, uint64_t rejected)
{
	struct outbox *o = p->outbox;

	if (rejected > p->items)
		rejected = p->items;
	*counter += p->items - rejected;
	o->counts.lost += rejected;
	parcel_free(p);
	if (o->abandoned)
		maybe_free(o);
	else if (o->on_settled)
		o->on_settled(o->arg);
}

static void on_done(void *arg, const struct outcome *outcome)
{
	struct parcel *p = arg;
	struct outbox *o = p->outbox;

	switch (outcome->status) {
	case OUTCOME_OK:
		settle(p, &o->counts.delivered, outcome->rejected_items);
		break;
	case OUTCOME_RETRY:
		if (!o->keep || o->abandoned) {
			settle(p, &o->counts.refused, 0);
			break;
		}
		p->not_before_ns = clock_monotonic_ns() + outcome->retry_after_ns;
		list_remove(&p->link);
		list_push(&o->waiting, &p->link);
		break;
	default:
		settle(p, &o->counts.lost, 0);
	}
}

bool outbox_send(struct outbox *o, struct batch *batch)
{
	struct parcel *p = calloc(1, sizeof *p);

	if (!p)
		return false;
	p->outbox = o;
	p->items = batch->items;
	p->batch = o->keep ? batch_ref(batch) : NULL;
	o->unfinished++;
	o->items += p->items;
	list_push(&o->under_way, &p->link);
	consumer_consume(o->next, batch, (struct done){on_done, p});
	return true;
}

void outbox_retry(struct outbox *o, uint64_t now_ns)
{
	struct parcel *p, *next;
	struct list due;

	list_init(&due);
	LIST_FOR_EACH_SAFE(p, next, &o->waiting, link)
		if (p->not_before_ns <= now_ns) {
			list_remove(&p->link);
			list_push(&due, &p->link);
		}
	while ((p = LIST_FIRST(&due, struct parcel, link))) {
		list_remove(&p->link);
		list_push(&o->under_way, &p->link);
		consumer_consume(o->next, batch_ref(p->batch), (struct done){on_done, p});
	}
}
