#include "core/observe/delivery.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_NS NS_PER_MS /* 0 would be the same turn of the loop */

/* Cumulative points that are refused are told by the next collection, so their series must still be
 * there; delta points are kept until they are taken. Where the next component always has a batch of
 * the last collection when another begins, nothing is known to be delivered and all series stay. */
static void look_for_delivered(struct delivery *d)
{
	if (!d->collecting &&
	    (d->content->delta || (outbox_is_empty(d->metrics) &&
	                           outbox_counts(d->metrics)->refused == d->refused_before)))
		aggregates_delivered(d->content->series);
}

/* The next batch of the collection, and the rest in other turns of the loop. */
static void send_metrics(struct delivery *d)
{
	const struct delivery_content *c = d->content;
	struct aggregate_part part;
	struct batch *b = NULL;

	if (!d->collecting || !outbox_has_room(d->metrics))
		return;
	part = aggregates_next(c->series, c->delta, DELIVERY_SERIES_AT_ONCE);
	if (!c->build_metrics(c->arg, part, d->collection_unix_ns, &b))
		return;
	d->calling++;
	if (!b || outbox_send(d->metrics, b)) {
		aggregates_sent(c->series, part, c->delta, d->collection_unix_ns);
		d->collecting = !part.overflow;
		if (d->collecting && d->turn)
			timer_start(d->turn, TURN_NS, 0);
	} else {
		batch_unref(b);
	}
	d->calling--;
	look_for_delivered(d);
}

void delivery_collect(struct delivery *d)
{
	if (!d->metrics)
		return;
	d->collections_skipped += d->collecting;
	d->collecting = true;
	d->collection_unix_ns = clock_realtime_ns();
	d->refused_before = outbox_counts(d->metrics)->refused;
	aggregates_collect(d->content->series);
	send_metrics(d);
}

/* ---- log records */

/* The first n. */
static void forget(struct delivery *d, size_t n)
{
	struct observation *o;

	while (n-- && (o = LIST_FIRST(&d->waiting, struct observation, link))) {
		list_remove(&o->link);
		d->n_waiting--;
		d->waiting_bytes -= o->size;
		resource_unref(o->resource);
		free(o);
	}
}

void delivery_send_logs(struct delivery *d)
{
	while (d->n_waiting && outbox_has_room(d->logs)) {
		size_t n =
			d->n_waiting < DELIVERY_LOGS_AT_ONCE ? d->n_waiting : DELIVERY_LOGS_AT_ONCE;
		struct batch *b =
			source_logs(d->content->source, &d->waiting, n, d->content->build_log);
		bool taken;

		if (!b)
			break;
		d->calling++;
		taken = outbox_send(d->logs, b);
		d->calling--;
		if (!taken) {
			batch_unref(b);
			break;
		}
		forget(d, n);
	}
}

static bool has_room(const struct delivery *d, size_t size)
{
	return d->n_waiting < DELIVERY_LOGS_WAITING &&
	       d->waiting_bytes + size <= DELIVERY_LOGS_WAITING_BYTES;
}

bool delivery_may_observe(struct delivery *d, size_t size)
{
	if (!has_room(d, size))
		delivery_send_logs(d); /* many came at once */
	if (has_room(d, size))
		return true;
	d->logs_dropped++;
	return false;
}

void delivery_observe(struct delivery *d, struct observation *o, size_t size)
{
	o->size = size;
	list_push(&d->waiting, &o->link);
	d->n_waiting++;
	d->waiting_bytes += size;
}

/* ---- life */

static void on_turn(void *arg)
{
	struct delivery *d = arg;

	send_metrics(d);
	delivery_send_logs(d);
	d->content->on_progress(d->content->arg);
}

/* There is room again. */
static void on_settled(void *arg)
{
	struct delivery *d = arg;

	if (d->metrics)
		look_for_delivered(d);
	if (d->turn && (d->collecting || d->n_waiting))
		timer_start(d->turn, TURN_NS, 0);
	d->content->on_progress(d->content->arg);
}

void delivery_retry(struct delivery *d, uint64_t now_ns)
{
	d->calling++;
	if (d->metrics)
		outbox_retry(d->metrics, now_ns);
	if (d->logs)
		outbox_retry(d->logs, now_ns);
	d->calling--;
	send_metrics(d);
	delivery_send_logs(d);
}

int delivery_init(struct delivery *d, const struct delivery_content *content,
                  struct consumer metrics, struct consumer logs)
{
	*d = (struct delivery){.content = content};
	list_init(&d->waiting);
	if (consumer_is_set(metrics) &&
	    !(d->metrics = outbox_new(metrics, DELIVERY_UNFINISHED, content->delta, on_settled, d)))
		return -ENOMEM;
	if (consumer_is_set(logs) &&
	    !(d->logs = outbox_new(logs, DELIVERY_UNFINISHED, true, on_settled, d)))
		return -ENOMEM;
	return 0;
}

int delivery_start(struct delivery *d, struct loop *loop)
{
	d->turn = timer_new(loop, on_turn, d);
	return d->turn ? 0 : -ENOMEM;
}

void delivery_stop(struct delivery *d)
{
	timer_free(d->turn);
	d->turn = NULL;
}

void delivery_fini(struct delivery *d)
{
	delivery_stop(d);
	if (d->content)
		forget(d, d->n_waiting);
	outbox_free(d->metrics);
	outbox_free(d->logs);
}

bool delivery_is_calling(const struct delivery *d)
{
	return d->calling > 0;
}

bool delivery_is_finished(const struct delivery *d)
{
	return (!d->metrics || (outbox_is_empty(d->metrics) && !d->collecting)) &&
	       (!d->logs || (outbox_is_empty(d->logs) && !d->n_waiting));
}

void delivery_log_undelivered(const struct delivery *d, const struct logger *log)
{
	size_t points = d->metrics ? outbox_items(d->metrics) : 0;
	size_t logs = d->n_waiting + (d->logs ? outbox_items(d->logs) : 0);

	if (points || logs || d->collecting)
		log_warn(log, "stopped before %zu data points%s and %zu log records were delivered",
		         points, d->collecting ? ", the last collection" : "", logs);
}
