/* Happy path: partition_add -> pending grows -> size or timer -> partition_flush -> a shipment -> its done ->
 * done of every batch that went into it. A batch that was cut over several shipments is done when the
 * last of them is, with the worst of their outcomes (see outcome_join()).
 * Fails: no memory (RETRY) · a batch that cannot be cut (the outcome of all that is pending) · given up at
 * the shutdown's deadline (CANCELED). */
#include "processors/batch/batch_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* One incoming batch: whom to tell what became of it. */
struct ticket {
	struct list waiting; /* in partition.tickets while some of its items are pending */
	struct done done;
	size_t pending_items;
	size_t shares; /* shipments under way that carry items of it */
	bool whole;    /* no items of it are pending any more */
	struct outcome joined;
	char message[160];
};

/* One outgoing batch. */
struct shipment {
	struct list member;          /* in processor.shipments */
	struct processor *processor; /* NULL: given up at the deadline, nobody listens */
	size_t n_shares;
	struct share {
		struct ticket *ticket;
		size_t items;
	} shares[];
};

/* ---- outcomes */

static void ticket_join(struct ticket *t, const struct outcome *o)
{
	if (outcome_join(&t->joined, o)) {
		snprintf(t->message, sizeof t->message, "%s", o->message);
		t->joined.message = t->message;
	}
}

/* Tells the sender. The last thing done with the ticket. */
static void ticket_settle(struct processor *p, struct ticket *t)
{
	struct outcome outcome = t->joined;
	struct done done = t->done;
	char message[sizeof t->message];

	if (outcome.status != OUTCOME_OK)
		outcome.rejected_items = 0;
	if (outcome.message) {
		memcpy(message, t->message, sizeof message);
		outcome.message = message;
	}
	free(t);
	p->unfinished--;
	done_call(done, &outcome);
}

/* Those who are told may call back into this processor, so it is busy meanwhile. */
static void tickets_settle(struct processor *p, struct list *settled)
{
	struct ticket *t;

	p->busy++;
	while ((t = LIST_FIRST(settled, struct ticket, waiting))) {
		list_remove(&t->waiting);
		ticket_settle(p, t);
	}
	p->busy--;
}

/* Every ticket that still has items pending gets its outcome, at once or with its last shipment. */
static void tickets_fail(struct partition *b, const struct outcome *o)
{
	struct list settled = LIST_INIT(settled);
	struct ticket *t;

	batch_unref(TAKE(b->pending));
	while ((t = LIST_FIRST(&b->tickets, struct ticket, waiting))) {
		list_remove(&t->waiting);
		t->whole = true;
		ticket_join(t, o);
		if (!t->shares)
			list_push(&settled, &t->waiting);
	}
	b->n_tickets = 0;
	tickets_settle(b->processor, &settled);
}

/* A part of a merged batch that was refused cannot be told apart: the first senders are told, so
 * that the sum is right. */
static uint64_t share_rejected(const struct share *s, uint64_t *left)
{
	uint64_t n = *left < s->items ? *left : s->items;
	*left -= n;
	return n;
}

/* The shipment is on the way no more; tickets that waited only for it go to settled. */
static void shipment_unload(struct shipment *s, const struct outcome *o, struct list *settled)
{
	uint64_t rejected = o->status == OUTCOME_OK ? o->rejected_items : 0;

	list_remove(&s->member);
	s->processor = NULL;
	for (size_t i = 0; i < s->n_shares; i++) {
		struct ticket *t = s->shares[i].ticket;
		t->joined.rejected_items += share_rejected(&s->shares[i], &rejected);
		ticket_join(t, o);
		if (--t->shares == 0 && t->whole)
			list_push(settled, &t->waiting);
	}
}

static void on_shipment_done(void *arg, const struct outcome *outcome)
{
	struct list settled = LIST_INIT(settled);
	struct shipment *s = arg;
	struct processor *p = s->processor;

	if (p)
		shipment_unload(s, outcome, &settled);
	free(s);
	if (!p)
		return;
	tickets_settle(p, &settled);
	processor_maybe_closed(p);
}

/* ---- sending */

/* The tickets whose items are the next `items` of pending, as a shipment. NULL: no memory. */
static struct shipment *shipment_load(struct partition *b, size_t items)
{
	struct shipment *s = calloc(1, sizeof *s + b->n_tickets * sizeof *s->shares);
	struct ticket *t;

	if (!s)
		return NULL;
	s->processor = b->processor;
	while ((t = LIST_FIRST(&b->tickets, struct ticket, waiting))) {
		size_t n = t->pending_items < items ? t->pending_items : items;
		if (!n && t->pending_items)
			break;
		items -= n;
		t->pending_items -= n;
		t->shares++;
		s->shares[s->n_shares++] = (struct share){.ticket = t, .items = n};
		if (t->pending_items)
			break;
		t->whole = true;
		list_remove(&t->waiting);
		b->n_tickets--;
	}
	return s;
}

static void count_size(struct processor *p, size_t items)
{
	size_t i = 0;

	while (i < SIZE_BOUNDS && (double)items > batch_size_bounds[i])
		i++;
	p->sizes[i]++;
	p->sizes_sum += (double)items;
}

/* Sends pending, or as much of it as one batch may hold. */
static void partition_send(struct partition *b, enum trigger trigger)
{
	struct processor *p = b->processor;
	size_t max = p->config->send_batch_max_size;
	struct error error = ERROR_INIT;
	struct batch *head = NULL;
	struct shipment *s;
	int r;

	if (max && b->pending->items > max) {
		r = batch_split(&b->pending, BATCH_ITEMS, max, &head, &error);
		if (r < 0) {
			tickets_fail(b, &(struct outcome){.status = error.kind == ERROR_RETRYABLE
			                                                    ? OUTCOME_RETRY
			                                                    : OUTCOME_PERMANENT,
			                                  .message = error.message});
			return;
		}
	} else {
		head = TAKE(b->pending);
	}
	s = shipment_load(b, head->items);
	if (!s) {
		/* the items of head are the first tickets': all must send again */
		batch_unref(head);
		tickets_fail(b, &(struct outcome){.status = OUTCOME_RETRY,
		                                  .message = "out of memory"});
		return;
	}
	list_push(&p->shipments, &s->member);
	p->triggers[trigger]++;
	count_size(p, head->items);
	consumer_consume(p->next, head, (struct done){.fn = on_shipment_done, .arg = s});
}

/* True when pending is large enough to go without waiting for the timer. */
static bool partition_is_ready(const struct partition *b)
{
	const struct batch_config *c = b->processor->config;

	return b->pending && (!c->timeout || b->pending->items >= c->send_batch_size);
}

/* A done that comes at once may bring the next batch: it only adds to pending, and this loop goes on, so
 * that the stack does not grow. */
void partition_flush(struct partition *b, bool all, enum trigger trigger)
{
	struct processor *p = b->processor;

	if (b->sending)
		return;
	b->sending = true;
	p->busy++;
	while (all || p->stopping ? b->pending != NULL : partition_is_ready(b))
		partition_send(b, partition_is_ready(b) ? TRIGGER_SIZE : trigger);
	p->busy--;
	b->sending = false;
	if (!b->pending)
		timer_stop(b->timer);
	else if (!timer_is_active(b->timer))
		timer_start(b->timer, p->config->timeout, 0);
	processor_maybe_closed(p);
}

static void on_timeout(void *arg)
{
	partition_flush(arg, true, TRIGGER_TIMEOUT);
}

static int pending_add(struct partition *b, struct batch **batch, struct error *error)
{
	int r = batch_open(batch, DEPTH_WIRE, error); /* only so that nobody else holds it */

	if (r < 0)
		return r;
	if (!b->pending)
		b->pending = TAKE(*batch);
	else if (batch_merge(b->pending, *batch))
		*batch = NULL;
	else
		return error_no_memory(error);
	return 0;
}

int partition_add(struct partition *b, struct batch **batch, struct done done, struct error *error)
{
	struct ticket *t = calloc(1, sizeof *t);
	size_t items = (*batch)->items;
	int r;

	if (!t)
		return error_no_memory(error);
	r = pending_add(b, batch, error);
	if (r < 0) {
		free(t);
		return r;
	}
	t->done = done;
	t->pending_items = items;
	list_push(&b->tickets, &t->waiting);
	b->n_tickets++;
	b->processor->unfinished++;
	return 0;
}

/* The shipments end on their own, whenever their done comes; their senders are told now. */
size_t shipments_give_up(struct processor *p)
{
	struct list settled = LIST_INIT(settled);
	struct shipment *s;
	size_t lost = 0;

	while ((s = LIST_FIRST(&p->shipments, struct shipment, member))) {
		for (size_t i = 0; i < s->n_shares; i++)
			lost += s->shares[i].items;
		shipment_unload(s,
		                &(struct outcome){.status = OUTCOME_CANCELED,
		                                  .message = "shut down"},
		                &settled);
	}
	tickets_settle(p, &settled);
	return lost;
}

struct partition *partition_new(struct processor *p, struct slice values)
{
	struct partition *b = calloc(1, sizeof *b + values.len);

	if (!b)
		return NULL;
	b->timer = timer_new(p->component.host->loop, on_timeout, b);
	if (!b->timer) {
		free(b);
		return NULL;
	}
	b->processor = p;
	list_init(&b->tickets);
	b->n_values = values.len;
	if (values.len)
		memcpy(b->values, values.data, values.len);
	list_push(&p->partitions, &b->member);
	p->n_partitions++;
	return b;
}

void partition_free(struct partition *b)
{
	if (!b)
		return;
	list_remove(&b->member);
	b->processor->n_partitions--;
	timer_free(b->timer);
	free(b);
}
