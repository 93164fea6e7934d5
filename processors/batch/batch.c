/* batch: joins small batches into larger ones, until there are send_batch_size items or timeout has
 * passed.
 *
 * Happy path: consume -> pending grows -> size or timer -> shipment -> done of the shipment ->
 * done of every batch that went into it. A batch that was cut over several shipments is done when
 * the last of them is, with the worst of their outcomes (see outcome_join()).
 * Fails: no memory, or UNFINISHED_LIMIT batches wait for their outcome (RETRY) · a batch that
 * cannot be cut (the outcome of all that is pending) · shut down (CANCELED).
 *
 * Unlike the Collector's, whose batch processor answers OK before it sends, the outcome flows back,
 * so nothing is lost between a client that was told OK and an exporter that failed. */
#include "core/base/list.h"
#include "core/component.h"
#include "core/loop/timer.h"
#include "core/self/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	UNFINISHED_LIMIT = 100000
}; /* batches that wait for their outcome: a source without a
      window must not grow this list without end */

struct batch_config {
	uint64_t timeout;
	uint64_t send_batch_size, send_batch_max_size;
	struct string_list metadata_keys;
	uint64_t metadata_cardinality_limit;
};

static const struct option batch_options[] = {
	OPTION_DURATION(struct batch_config, timeout, .text = "200ms",
                        .doc = "The longest time that data waits; 0: it is passed on at once and "
                               "only cut by send_batch_max_size."),
	OPTION_UINT(struct batch_config, send_batch_size, .text = "8192", .max = 1 << 30,
                    .doc = "Items (spans, data points, log records) at which a batch is sent; 0: "
                           "at once."),
	OPTION_UINT(struct batch_config, send_batch_max_size, .text = "0", .max = 1 << 30,
                    .doc = "Larger batches are cut; 0: never."),
	OPTION_STRING_LIST(struct batch_config, metadata_keys,
                           .doc = "Not supported yet; must be empty."),
	OPTION_UINT(struct batch_config, metadata_cardinality_limit, .text = "1000",
                    .flags = OPTION_IGNORED,
                    .doc = "It bounds metadata_keys, which is not supported yet."),
	OPTION_END,
};

enum trigger { TRIGGER_SIZE, TRIGGER_TIMEOUT, TRIGGER_SHUTDOWN };

/* The bounds of the Collector's batch_send_size. */
static const double size_bounds[] = {10,   25,   50,   75,   100,  250,  500, 750, 1000, 2000, 3000,
                                     4000, 5000, 6000, 7000, 8000, 9000, 1e4, 2e4, 3e4,  5e4,  1e5};
enum { SIZE_BOUNDS = sizeof size_bounds / sizeof *size_bounds };

/* One incoming batch: whom to tell what became of it. */
struct ticket {
	struct list waiting; /* in processor.tickets while some of its items are pending */
	struct done done;
	size_t pending_items;
	size_t shares; /* shipments under way that carry items of it */
	bool whole;    /* no items of it are pending any more */
	struct outcome joined;
	char message[160];
};

struct processor;

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

struct processor {
	struct component component;
	const struct batch_config *config;
	struct consumer next;
	struct timer *timer;
	struct batch *pending; /* NULL: nothing */
	struct list tickets;   /* in the order of their items in pending */
	size_t n_tickets;      /* of tickets */
	size_t unfinished;     /* tickets without an outcome */
	struct list shipments; /* under way */
	bool sending;          /* a loop further up the stack sends what is ready */
	unsigned busy;         /* calls on the stack that use the processor: not closed before */
	bool stopping;
	void (*closed)(void *arg);
	void *closed_arg;
	struct timer *deadline;
	struct metrics_collector *metrics;
	uint64_t triggers[TRIGGER_SHUTDOWN + 1];
	uint64_t sizes[SIZE_BOUNDS + 1];
	double sizes_sum;
};

static int batch_check(const void *config, struct error *error)
{
	const struct batch_config *c = config;

	if (c->send_batch_max_size && c->send_batch_max_size < c->send_batch_size)
		return error_set(error, -EINVAL,
		                 "send_batch_max_size must be greater or equal to send_batch_size");
	for (size_t i = 0; i < c->metadata_keys.count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcasecmp(c->metadata_keys.items[i], c->metadata_keys.items[j]) == 0)
				return error_set(error, -EINVAL,
				                 "duplicate entry in metadata_keys: \"%s\" "
				                 "(case-insensitive)",
				                 c->metadata_keys.items[i]);
	if (c->metadata_keys.count)
		return error_set(error, -EINVAL,
		                 "metadata_keys is not supported yet: remove it, or batch in the "
		                 "exporter, once for each backend");
	return 0;
}

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
static void tickets_fail(struct processor *p, const struct outcome *o)
{
	struct list settled = LIST_INIT(settled);
	struct ticket *t;

	batch_unref(TAKE(p->pending));
	while ((t = LIST_FIRST(&p->tickets, struct ticket, waiting))) {
		list_remove(&t->waiting);
		t->whole = true;
		ticket_join(t, o);
		if (!t->shares)
			list_push(&settled, &t->waiting);
	}
	p->n_tickets = 0;
	tickets_settle(p, &settled);
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

static void processor_maybe_closed(struct processor *p);

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
static struct shipment *shipment_load(struct processor *p, size_t items)
{
	struct shipment *s = calloc(1, sizeof *s + p->n_tickets * sizeof *s->shares);
	struct ticket *t;

	if (!s)
		return NULL;
	s->processor = p;
	while ((t = LIST_FIRST(&p->tickets, struct ticket, waiting))) {
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
		p->n_tickets--;
	}
	return s;
}

static void count_size(struct processor *p, size_t items)
{
	size_t i = 0;

	while (i < SIZE_BOUNDS && (double)items > size_bounds[i])
		i++;
	p->sizes[i]++;
	p->sizes_sum += (double)items;
}

/* Sends pending, or as much of it as one batch may hold. */
static void processor_send(struct processor *p, enum trigger trigger)
{
	size_t max = p->config->send_batch_max_size;
	struct error error = ERROR_INIT;
	struct batch *head = NULL;
	struct shipment *s;
	int r;

	if (max && p->pending->items > max) {
		r = batch_split(&p->pending, BATCH_ITEMS, max, &head, &error);
		if (r < 0) {
			tickets_fail(p, &(struct outcome){.status = error.kind == ERROR_RETRYABLE
			                                                    ? OUTCOME_RETRY
			                                                    : OUTCOME_PERMANENT,
			                                  .message = error.message});
			return;
		}
	} else {
		head = TAKE(p->pending);
	}
	s = shipment_load(p, head->items);
	if (!s) {
		/* the items of head are the first tickets': all must send again */
		batch_unref(head);
		tickets_fail(p, &(struct outcome){.status = OUTCOME_RETRY,
		                                  .message = "out of memory"});
		return;
	}
	list_push(&p->shipments, &s->member);
	p->triggers[trigger]++;
	count_size(p, head->items);
	consumer_consume(p->next, head, (struct done){.fn = on_shipment_done, .arg = s});
}

/* True when pending is large enough to go without waiting for the timer. */
static bool processor_is_ready(const struct processor *p)
{
	const struct batch_config *c = p->config;

	return p->pending && (!c->timeout || p->pending->items >= c->send_batch_size);
}

/* Sends all that is ready. A done that comes at once may bring the next batch: it only adds to
 * pending, and this loop goes on, so that the stack does not grow. */
static void processor_flush(struct processor *p, bool all, enum trigger trigger)
{
	if (p->sending)
		return;
	p->sending = true;
	p->busy++;
	while (all || p->stopping ? p->pending != NULL : processor_is_ready(p))
		processor_send(p, processor_is_ready(p) ? TRIGGER_SIZE : trigger);
	p->busy--;
	p->sending = false;
	if (!p->pending)
		timer_stop(p->timer);
	else if (!timer_is_active(p->timer))
		timer_start(p->timer, p->config->timeout, 0);
	processor_maybe_closed(p);
}

static void on_timeout(void *arg)
{
	processor_flush(arg, true, TRIGGER_TIMEOUT);
}

static int pending_add(struct processor *p, struct batch **b, struct error *error)
{
	int r = batch_open(b, DEPTH_WIRE, error); /* only so that nobody else holds it */

	if (r < 0)
		return r;
	if (!p->pending)
		p->pending = TAKE(*b);
	else if (batch_merge(p->pending, *b))
		*b = NULL;
	else
		return error_no_memory(error);
	return 0;
}

static void batch_consume(struct component *component, struct batch *b, struct done done)
{
	struct processor *p = (struct processor *)component;
	struct error error = ERROR_INIT;
	struct outcome refusal = {.status = OUTCOME_RETRY};
	size_t items = b->items;
	struct ticket *t = NULL;

	if (p->stopping) {
		refusal = (struct outcome){.status = OUTCOME_CANCELED,
		                           .message = "the batch processor is shutting down"};
		goto refused;
	}
	if (p->unfinished >= UNFINISHED_LIMIT) {
		refusal.message = "too many batches wait for their outcome";
		goto refused;
	}
	t = calloc(1, sizeof *t);
	if (!t) {
		refusal.message = "out of memory";
		goto refused;
	}
	if (pending_add(p, &b, &error) < 0) {
		refusal.message = error.message;
		if (error.kind == ERROR_PERMANENT)
			refusal.status = OUTCOME_PERMANENT;
		goto refused;
	}
	t->done = done;
	t->pending_items = items;
	list_push(&p->tickets, &t->waiting);
	p->n_tickets++;
	p->unfinished++;
	processor_flush(p, false, TRIGGER_SIZE);
	return;

refused:
	free(t);
	batch_unref(b);
	done_call(done, &refusal);
}

/* ---- life */

/* The shipments end on their own, whenever their done comes; their senders are told now. */
static void on_given_up(void *arg)
{
	struct list settled = LIST_INIT(settled);
	struct processor *p = arg;
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
	log_warn(&p->component.log, "gave up waiting for the outcome of %zu items at shutdown",
	         lost);
	tickets_settle(p, &settled);
	processor_maybe_closed(p);
}

static void processor_maybe_closed(struct processor *p)
{
	void (*closed)(void *arg) = p->closed;

	if (!closed || p->busy || p->pending || !list_is_empty(&p->shipments))
		return;
	p->closed = NULL;
	timer_free(TAKE(p->timer));
	timer_free(TAKE(p->deadline));
	closed(p->closed_arg);
}

static void batch_shutdown(struct component *component, uint64_t deadline_ns,
                           void (*closed)(void *arg), void *arg)
{
	struct processor *p = (struct processor *)component;
	uint64_t now = loop_now_ns(component->host->loop);

	p->stopping = true;
	p->closed = closed;
	p->closed_arg = arg;
	timer_start(p->deadline, deadline_ns > now ? deadline_ns - now : 0, 0);
	processor_flush(p, true, TRIGGER_SHUTDOWN);
}

static void batch_destroy(struct component *component)
{
	struct processor *p = (struct processor *)component;

	if (!p)
		return;
	metrics_unregister(component->host->metrics, p->metrics);
	timer_free(p->timer);
	timer_free(p->deadline);
	free(p);
}

static void batch_collect(void *arg, struct metrics_sink *sink)
{
	const struct processor *p = arg;
	const struct metrics_label *labels = METRICS_LABELS({"processor", p->component.id});

	metrics_counter(sink, "otelcol_processor_batch_batch_size_trigger_send",
	                "Batches sent because they were large enough.", labels,
	                (double)p->triggers[TRIGGER_SIZE]);
	metrics_counter(sink, "otelcol_processor_batch_timeout_trigger_send",
	                "Batches sent because the timeout had passed.", labels,
	                (double)p->triggers[TRIGGER_TIMEOUT]);
	metrics_histogram(sink, "otelcol_processor_batch_batch_send_size",
	                  "Items in the batches that were sent.", labels, size_bounds, SIZE_BOUNDS,
	                  p->sizes, p->sizes_sum);
}

extern const struct component_type processor_batch_type;

static int batch_create(const struct create_args *args, struct component **ret, struct error *error)
{
	struct processor *p = calloc(1, sizeof *p);

	if (!p)
		return error_no_memory(error);
	component_init(&p->component, &processor_batch_type, args);
	p->config = args->config;
	p->next = args->next[args->signal];
	list_init(&p->tickets);
	list_init(&p->shipments);
	p->timer = timer_new(args->host->loop, on_timeout, p);
	p->deadline = timer_new(args->host->loop, on_given_up, p);
	p->metrics = metrics_register(args->host->metrics, batch_collect, p);
	if (!p->timer || !p->deadline || !p->metrics) {
		batch_destroy(&p->component);
		return error_no_memory(error);
	}
	*ret = &p->component;
	return 0;
}

const struct component_type processor_batch_type = {
	.name = "batch",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.caps = CAP_MUTATES,
	.summary = "Joins small batches into larger ones.",
	.stability = "alpha",
	.config_size = sizeof(struct batch_config),
	.options = batch_options,
	.check = batch_check,
	.create = batch_create,
	.consume = batch_consume,
	.shutdown = batch_shutdown,
	.destroy = batch_destroy,
};
