/* One request's way:
 *
 * Happy path: exporter_consume -> queue -> batcher -> attempt -> on_attempt_done(OK) -> answered.
 * Fails: no room (refused, or blocked until there is) · RETRY from the destination (waits for its
 * due time, then another attempt; dropped when max_elapsed_time is over) · PERMANENT (dropped).
 *
 * run() is the only place that moves requests on. It is called last wherever something changed: a
 * batch came, an attempt ended, the timer fired, the shutdown began. Calls into it while it runs
 * return at once, because attempts may end before send returns. One timer serves everything that
 * waits: flush, retries, the shutdown's deadline. */
#include "core/export/exporter.h"

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/units.h"
#include "core/export/account.h"
#include "core/export/batcher.h"
#include "core/export/queue.h"
#include "core/loop/timer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct exporter {
	const struct component *owner;
	const struct exporter_config *config;
	enum signal signal;
	exporter_send send;
	void *self;

	struct queue queue;
	struct batcher batcher;
	struct list sending;   /* an attempt is out */
	struct list waiting;   /* for their due time, in its order */
	struct list abandoned; /* counted as lost at the deadline; their attempt is still out */
	size_t in_flight;      /* sending and waiting */
	struct timer *timer;

	struct account account;
	struct metrics_collector *collector;
	bool failing; /* the last attempt failed: what the component's status says */

	bool running, stopping, closed;
	uint64_t deadline_ns;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

static void run(struct exporter *e);

/* Senders hear what became of their batch, not only that it was taken. */
static bool answers_with_result(const struct exporter *e)
{
	return !e->config->sending_queue.enabled || e->config->sending_queue.wait_for_result;
}

static bool batches(const struct exporter *e)
{
	return e->config->sending_queue.enabled && e->config->sending_queue.batch.enabled;
}

static void report(void *arg, struct metrics_sink *sink)
{
	const struct exporter *e = arg;
	const struct account_gauges gauges = {
		.exporter = e->owner->id,
		.signal = e->signal,
		.has_queue = e->config->sending_queue.enabled,
		.queue_size = e->queue.used,
		.queue_capacity = e->config->sending_queue.queue_size,
		.in_flight = e->in_flight,
		.blocked = e->queue.n_blocked,
	};

	account_report(&e->account, &gauges, sink);
}

static void on_timer(void *arg)
{
	run(arg);
}

struct exporter *exporter_new(const struct component *owner, enum signal signal,
                              const struct exporter_config *config, exporter_send send, void *self)
{
	const struct host *host = owner->host;
	struct exporter *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->owner = owner;
	e->config = config;
	e->signal = signal;
	e->send = send;
	e->self = self;
	queue_init(&e->queue, &config->sending_queue);
	batcher_init(&e->batcher, &config->sending_queue);
	list_init(&e->sending);
	list_init(&e->waiting);
	list_init(&e->abandoned);
	e->timer = timer_new(host->loop, on_timer, e);
	if (host->metrics)
		e->collector = metrics_register(host->metrics, report, e);
	if (!e->timer || (host->metrics && !e->collector)) {
		exporter_free(e);
		return NULL;
	}
	return e;
}

/* Status */

static void tell_status(struct exporter *e, bool failing, const char *message)
{
	struct error error = ERROR_INIT;

	if (e->failing == failing)
		return;
	e->failing = failing;
	if (!e->owner->host->report)
		return;
	if (failing)
		error_set_retryable(&error, -1, "%s", message ? message : "sending failed");
	e->owner->host->report(e->owner->host, e->owner,
	                       failing ? STATUS_RECOVERABLE_ERROR : STATUS_OK,
	                       failing ? &error : NULL);
}

/* Answering */

static void on_entry(void *arg, struct entry *entry)
{
	struct exporter *e = arg;
	struct outcome outcome = entry->outcome;
	struct done done = entry->done;
	char *message = entry->message;

	if (outcome.status != OUTCOME_OK)
		outcome.rejected_items = 0; /* all of it comes again, or nothing went through */
	if (e->config->sending_queue.enabled)
		queue_release(&e->queue, entry->size);
	free(entry);
	done_call(done, &outcome);
	free(message);
}

static void answer(struct exporter *e, struct request *r, const struct outcome *outcome)
{
	request_answer(r, outcome, on_entry, e);
}

/* Counts the items of a request under what became of them. With a result to tell, what may succeed
 * later goes back to its sender, who has it still: it is refused, not lost. */
static void settle(struct exporter *e, struct request *r, const struct outcome *outcome,
                   enum drop_reason reason)
{
	struct account *a = &e->account;
	uint64_t items = r->batch->items;
	uint64_t rejected = outcome->rejected_items < items ? outcome->rejected_items : items;
	bool failed = outcome->status != OUTCOME_OK;

	a->queued -= items;
	if (failed && r->attempted)
		a->send_failed += items;
	if (!failed) {
		a->sent += items - rejected;
		a->dropped.items[DROP_PARTIAL_REJECTED] += rejected;
	} else if (outcome->status != OUTCOME_PERMANENT && answers_with_result(e)) {
		a->refused += items;
	} else {
		a->dropped.items[reason] += items;
	}
}

static void complete(struct exporter *e, struct request *r, const struct outcome *outcome,
                     enum drop_reason reason)
{
	settle(e, r, outcome, reason);
	answer(e, r, outcome);
	request_free(r);
}

/* why is what is put before the destination's own words. */
static void drop(struct exporter *e, struct request *r, enum outcome_status status,
                 enum drop_reason reason, const char *why, const struct outcome *last)
{
	bool returned = status != OUTCOME_PERMANENT && answers_with_result(e);
	char text[400];
	struct outcome outcome = {.status = status,
	                          .retry_after_ns = last->retry_after_ns,
	                          .message = text};

	snprintf(text, sizeof text, "%s%s", why, last->message ? last->message : "no reason given");
	log_error(&e->owner->log, "Exporting failed. %s data. %s (%s=%zu)",
	          returned ? "Rejecting" : "Dropping", text,
	          returned ? "rejected_items" : "dropped_items", r->batch->items);
	complete(e, r, &outcome, reason);
}

/* Attempts */

static void on_attempt_done(void *arg, const struct outcome *outcome);

static void attempt(struct exporter *e, struct request *r)
{
	uint64_t now = clock_monotonic_ns(), timeout = e->config->timeout, deadline = 0;

	if (timeout)
		deadline = now + timeout;
	if (e->stopping && (deadline == 0 || deadline > e->deadline_ns))
		deadline = e->deadline_ns;
	if (!r->attempted)
		retry_begin(&r->retry, &e->config->retry_on_failure, now);
	else
		e->account.retries++;
	r->attempted = true;
	r->attempt_started_ns = now;
	e->account.attempts++;
	e->in_flight++;
	list_push(&e->sending, &r->link);
	e->send(e->self, r->batch, deadline, (struct done){on_attempt_done, r});
}

static void insert_waiting(struct exporter *e, struct request *r)
{
	struct list *before = e->waiting.prev;

	while (before != &e->waiting &&
	       CONTAINER_OF(before, struct request, link)->due_ns > r->due_ns)
		before = before->prev;
	list_insert_after(before, &r->link);
}

static void wait_for_retry(struct exporter *e, struct request *r, uint64_t now, uint64_t wait,
                           const char *message)
{
	struct buffer interval = BUFFER_INIT;

	duration_format_short(&interval, (double)wait / (double)NS_PER_S);
	log_info(&e->owner->log,
	         "Exporting failed. Will retry the request after interval. %s (interval=%.*s)",
	         message ? message : "no reason given", (int)interval.len,
	         (const char *)interval.data);
	buffer_fini(&interval);
	r->due_ns = now + wait;
	insert_waiting(e, r);
	e->in_flight++;
}

static void failed(struct exporter *e, struct request *r, const struct outcome *o)
{
	const struct retry_config *retry = &e->config->retry_on_failure;
	uint64_t now = clock_monotonic_ns(), wait;

	if (o->status == OUTCOME_PERMANENT) {
		drop(e, r, OUTCOME_PERMANENT, DROP_PERMANENT_ERROR, "not retryable error: ", o);
	} else if (e->stopping) {
		drop(e, r, OUTCOME_CANCELED, DROP_SHUTDOWN, "interrupted due to shutdown: ", o);
	} else if (!retry->enabled) {
		drop(e, r, OUTCOME_RETRY, DROP_RETRY_EXPIRED, "retry_on_failure is off: ", o);
	} else if (!retry_next(&r->retry, retry, now, o->retry_after_ns, &wait)) {
		drop(e, r, OUTCOME_RETRY, DROP_RETRY_EXPIRED, "no more retries left: ", o);
	} else {
		wait_for_retry(e, r, now, wait, o->message);
	}
}

static void on_attempt_done(void *arg, const struct outcome *outcome)
{
	struct request *r = arg;
	struct exporter *e = r->exporter;

	list_remove(&r->link);
	if (r->abandoned) { /* it was counted and answered at the deadline */
		request_free(r);
		return;
	}
	e->in_flight--;
	histogram_add(&e->account.duration, clock_monotonic_ns() - r->attempt_started_ns);
	tell_status(e, outcome->status != OUTCOME_OK, outcome->message);
	if (outcome->status == OUTCOME_OK)
		complete(e, r, outcome, DROP_PARTIAL_REJECTED);
	else
		failed(e, r, outcome);
	run(e);
}

/* Choosing what goes next */

static struct request *due_retry(struct exporter *e, uint64_t now)
{
	struct request *r = LIST_FIRST(&e->waiting, struct request, link);

	return r && (e->stopping || r->due_ns <= now) ? r : NULL;
}

static struct request *next_batched(struct exporter *e, uint64_t now)
{
	struct batcher *b = &e->batcher;

	while (now >= b->paused_until) {
		bool drained = list_is_empty(&e->queue.ready);
		struct request *broken = NULL, *first;
		struct error error = ERROR_INIT;
		struct request *r = batcher_take(b, e->stopping && drained, now, &broken, &error);

		if (broken) {
			drop(e, broken, OUTCOME_PERMANENT, DROP_PERMANENT_ERROR,
			     "not retryable error: ", &(struct outcome){.message = error.message});
			continue;
		}
		if (r && batcher_is_too_large(b, r)) {
			drop(e, r, OUTCOME_PERMANENT, DROP_TOO_LARGE, "element size too large: ",
			     &(struct outcome){.message = "one item exceeds batch::max_size"});
			continue;
		}
		if (r)
			return r;
		first = queue_first(&e->queue);
		if (!first)
			return NULL;
		queue_pop(&e->queue, first);
		if (!batcher_add(b, first, now))
			queue_return(&e->queue, first);
	}
	return NULL;
}

static struct request *next_queued(struct exporter *e, uint64_t now)
{
	const struct queue_config *config = &e->config->sending_queue;
	struct request *r;

	if (config->enabled && e->in_flight >= config->num_consumers)
		return NULL;
	if (batches(e))
		return next_batched(e, now);
	r = queue_first(&e->queue);
	if (r)
		queue_pop(&e->queue, r);
	return r;
}

/* A blocked sender gets its OK now that the queue has its batch. */
static bool unblock(struct exporter *e)
{
	struct request *r = queue_unblock(&e->queue);

	if (!r)
		return false;
	if (!answers_with_result(e)) {
		struct done done = r->first->entry->done;
		r->first->entry->done = (struct done){NULL, NULL};
		done_ok(done);
	}
	return true;
}

/* Shutdown */

static void abandon(struct exporter *e, struct request *r)
{
	const struct outcome outcome = {.status = OUTCOME_CANCELED,
	                                .message = "interrupted due to shutdown"};

	settle(e, r, &outcome, DROP_SHUTDOWN);
	r->abandoned = true;
	list_push(&e->abandoned, &r->link);
	answer(e, r, &outcome);
}

static void refuse_blocked(struct exporter *e)
{
	struct request *r;

	while ((r = queue_take_blocked(&e->queue))) {
		struct done done = r->first->entry->done;
		uint64_t items = r->batch->items;

		e->account.queued -= items;
		e->account.refused += items;
		e->account.enqueue_failed += items;
		free(r->first->entry);
		request_free(r);
		done_retry(done, 0, "the exporter is shutting down");
	}
}

/* The deadline has come: whatever is left is lost. */
static void give_up(struct exporter *e)
{
	const struct outcome outcome = {.status = OUTCOME_CANCELED,
	                                .message = "interrupted due to shutdown"};
	struct request *r;

	while ((r = LIST_FIRST(&e->sending, struct request, link))) {
		list_remove(&r->link);
		e->in_flight--;
		abandon(e, r);
	}
	while ((r = LIST_FIRST(&e->waiting, struct request, link))) {
		list_remove(&r->link);
		e->in_flight--;
		complete(e, r, &outcome, DROP_SHUTDOWN);
	}
	while ((r = batcher_give_up(&e->batcher)))
		complete(e, r, &outcome, DROP_SHUTDOWN);
	while ((r = queue_first(&e->queue))) {
		queue_pop(&e->queue, r);
		complete(e, r, &outcome, DROP_SHUTDOWN);
	}
}

static void maybe_closed(struct exporter *e)
{
	void (*on_closed)(void *arg) = e->on_closed;
	uint64_t lost = e->account.dropped.items[DROP_SHUTDOWN];

	if (!e->stopping || e->closed || e->in_flight || !batcher_is_empty(&e->batcher) ||
	    !list_is_empty(&e->queue.ready) || !list_is_empty(&e->queue.blocked))
		return;
	e->closed = true;
	timer_stop(e->timer);
	if (lost)
		log_warn(&e->owner->log,
		         "Dropped %llu %s at shutdown: the destination did not take them in time.",
		         (unsigned long long)lost, signal_item_name(e->signal));
	on_closed(e->on_closed_arg);
}

/* The engine */

static void earlier(uint64_t *due, uint64_t candidate)
{
	if (candidate && (*due == 0 || candidate < *due))
		*due = candidate;
}

static void arm_timer(struct exporter *e)
{
	const struct request *r = LIST_FIRST(&e->waiting, struct request, link);
	uint64_t due = r ? r->due_ns : 0, now = clock_monotonic_ns();

	/* While all consumers are busy, the end of an attempt flushes what is due. */
	if (e->in_flight < e->config->sending_queue.num_consumers)
		earlier(&due, batcher_due(&e->batcher));
	if (e->stopping && !e->closed)
		earlier(&due, e->deadline_ns);
	if (due)
		timer_start(e->timer, due > now ? due - now : 0, 0);
	else
		timer_stop(e->timer);
}

static void run(struct exporter *e)
{
	uint64_t now = clock_monotonic_ns();
	struct request *r;

	if (e->running || e->closed)
		return;
	e->running = true;
	for (;;) {
		if (e->stopping && clock_monotonic_ns() >= e->deadline_ns) {
			give_up(e);
			break;
		}
		if ((r = due_retry(e, now))) {
			list_remove(&r->link);
			e->in_flight--;
			attempt(e, r);
		} else if ((r = next_queued(e, now))) {
			attempt(e, r);
		} else if (!unblock(e)) {
			break;
		}
	}
	e->running = false;
	arm_timer(e);
	maybe_closed(e); /* the last thing: the owner may free us in it */
}

void exporter_consume(struct exporter *e, struct batch *batch, struct done done)
{
	const struct queue_config *config = &e->config->sending_queue;
	uint64_t items = batch->items;
	enum queue_answer answered;
	struct request *r;

	if (items == 0) { /* an envelope without a letter */
		batch_unref(batch);
		done_ok(done);
		return;
	}
	e->account.received += items;
	if (e->stopping) {
		batch_unref(batch);
		e->account.refused += items;
		e->account.enqueue_failed += items;
		done_retry(done, 0, "the exporter is shutting down");
		return;
	}
	r = request_new(e, batch,
	                config->enabled ? batch_size(batch, (enum batch_sizer)config->sizer) : 0,
	                batches(e) ? batch_size(batch, (enum batch_sizer)config->batch.sizer) : 0,
	                done);
	if (!r) {
		batch_unref(batch);
		e->account.refused += items;
		e->account.enqueue_failed += items;
		done_retry(done, 0, "out of memory");
		return;
	}
	e->account.queued += items;
	if (!config->enabled) {
		attempt(e, r);
		run(e);
		return;
	}
	answered = queue_offer(&e->queue, r);
	if (answered == QUEUE_TAKEN && !config->wait_for_result)
		r->first->entry->done = (struct done){NULL, NULL};
	if (answered == QUEUE_FULL || answered == QUEUE_TOO_LARGE) {
		e->account.queued -= items;
		e->account.enqueue_failed += items;
		free(r->first->entry);
		request_free(r);
	}
	switch (answered) {
	case QUEUE_TAKEN:
		run(e);
		if (!config->wait_for_result)
			done_ok(done);
		break;
	case QUEUE_BLOCKED:
		break;
	case QUEUE_FULL:
		e->account.refused += items;
		log_warn(&e->owner->log,
		         "sending queue is full: refusing data until there is "
		         "room (queue_size=%llu)",
		         (unsigned long long)config->queue_size);
		done_retry(done, 0, "sending queue is full");
		break;
	case QUEUE_TOO_LARGE:
		e->account.dropped.items[DROP_TOO_LARGE] += items;
		log_error(&e->owner->log,
		          "element size too large: a batch exceeds the whole sending queue. "
		          "Dropping data. (dropped_items=%llu, queue_size=%llu)",
		          (unsigned long long)items, (unsigned long long)config->queue_size);
		done_permanent(done, "element size too large");
		break;
	}
}

void exporter_shutdown(struct exporter *e, uint64_t deadline_ns, void (*closed)(void *arg),
                       void *arg)
{
	assert(!e->stopping);
	e->stopping = true;
	e->deadline_ns = deadline_ns;
	e->on_closed = closed;
	e->on_closed_arg = arg;
	refuse_blocked(e);
	run(e);
}

void exporter_free(struct exporter *e)
{
	struct request *r;

	if (!e)
		return;
	/* Attempts of abandoned requests may still be out: their done finds no exporter. */
	while ((r = LIST_FIRST(&e->abandoned, struct request, link))) {
		list_remove(&r->link);
		r->exporter = NULL;
	}
	if (e->collector)
		metrics_unregister(e->owner->host->metrics, e->collector);
	timer_free(e->timer);
	batcher_fini(&e->batcher);
	free(e);
}
