/* prometheusremotewrite: sends metrics as Prometheus' remote write.
 *
 * Happy path: consume -> room in the queue -> translator -> parcels by the hash of their series ->
 * the shards' queues (done(OK) here, or with wait_for_result when the last sample has its answer) ->
 * prometheusremotewrite_shard.c. Series of one shard are sent one request after the other, so the samples of
 * a series arrive in their order whatever has to be repeated.
 * Fails: no room (RETRY before anything was translated, or held with block_on_overflow) · no memory (the
 * same; once the translator has told its samples they cannot be told again, and what then finds no memory
 * is dropped and counted) · not OTLP (PERMANENT) · points that cannot be translated (dropped and counted,
 * told as rejected).
 *
 * A ticket is a batch's account, in points: a histogram is one point and many samples, and sent when all of
 * them are. */
#include "exporters/prometheusremotewrite/prometheusremotewrite.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

enum {
	HELD_LIMIT = 1024,     /* a source that does not stop must not grow the list without end */
	EXPIRY_ROUNDS = 1000,  /* in each the expiry looks at such a part of the table */
	STALE_PORTION = 10000, /* series that end at once when weir stops */
	METADATA_PERIOD_S = 60,
};

struct held {
	struct list link;
	struct batch *batch;
	struct done done;
};

/* ---- tickets */

static bool answers_with_result(const struct remote_write_exporter *e)
{
	return !e->config->queue.enabled || e->config->queue.wait_for_result;
}

static void settle(struct remote_write_exporter *e, struct ticket *t)
{
	struct account *a = &e->account;
	uint64_t lost = drops_total(&t->lost);

	a->queued -= t->items;
	a->sent += t->items - lost;
	for (int i = 0; i < DROP_REASON_COUNT; i++)
		a->dropped.items[i] += t->lost.items[i];
	a->send_failed += lost;
	if (t->items + t->rejected > 0) /* otherwise they are stale markers */
		e->tickets--;
	if (t->canceled)
		done_call(t->done, &(struct outcome){.status = OUTCOME_CANCELED,
		                                     .message = "interrupted due to shutdown"});
	else
		done_call(t->done,
		          &(struct outcome){
				  .status = OUTCOME_OK,
				  .rejected_items = t->rejected + lost,
				  .message =
					  t->rejected + lost ? "some points were not taken" : NULL,
			  });
	free(t);
}

static void settle_finished(struct remote_write_exporter *e)
{
	struct ticket *t;

	if (e->finishing)
		return;
	e->finishing = true;
	while ((t = LIST_FIRST(&e->finished, struct ticket, link))) {
		list_remove(&t->link);
		settle(e, t);
	}
	e->finishing = false;
}

/* ---- batches that come in */

/* Asked before the batch is translated, when a point counts as a sample: histograms may overshoot. An
 * empty queue takes any batch. */
static bool has_room(const struct remote_write_exporter *e, size_t items)
{
	const struct remote_write_queue_config *c = &e->config->queue;

	if (e->tickets == 0)
		return true;
	return e->tickets < c->queue_size &&
	       remote_write_queued_samples(e) + items <= c->max_samples &&
	       remote_write_queued_bytes(e) + items * sizeof(struct sample) <= c->max_bytes;
}

static void refuse(struct remote_write_exporter *e, struct batch *batch, struct done done,
                   const char *message)
{
	e->account.refused += batch->items;
	e->account.enqueue_failed += batch->items;
	batch_unref(batch);
	done_retry(done, 0, message);
}

/* Points of which every sample was told. */
static uint64_t translated_points(const struct remote_write_exporter *e)
{
	const struct translator_figures *f = translator_figures(e->translator);
	uint64_t n = f->points;

	for (size_t i = 0; i < TRANSLATE_DROPS; i++)
		n -= f->dropped[i];
	return n;
}

static void count_series(struct remote_write_exporter *e, const struct translation *t)
{
	for (size_t i = 0; i < t->n_samples; i++)
		if (i == 0 || t->samples[i].series != t->samples[i - 1].series)
			e->figures.translated_series++;
}

static void run_shards(struct remote_write_exporter *e)
{
	for (size_t i = 0; i < e->n_shards; i++)
		shard_run(&e->shards[i]);
}

/* Into the shards' queues, which takes ticket. False: no memory; ticket stays the caller's. */
static bool put(struct remote_write_exporter *e, const struct translation *t, struct ticket *ticket)
{
	struct parcel **parcels = calloc(e->n_shards, sizeof(struct parcel *));
	bool packed = parcels && parcels_pack(t, ticket, e->n_shards, e->component.host->budget,
	                                      clock_monotonic_ns(), parcels);

	for (size_t i = 0; packed && i < e->n_shards; i++)
		sample_queue_put(&e->shards[i].queue, parcels[i]);
	free(parcels);
	if (packed && ticket->left == 0)
		list_push(&e->finished, &ticket->link);
	return packed;
}

/* The translator has told the samples and will not tell them twice. */
static void lose_translated(struct remote_write_exporter *e, struct ticket *ticket,
                            struct done done)
{
	size_t items = ticket->items + ticket->rejected;

	log_error(&e->component.log,
	          "Exporting failed. Dropping data. out of memory (dropped_items=%zu)", items);
	e->account.queued -= ticket->items;
	e->account.dropped.items[DROP_PERMANENT_ERROR] += ticket->items;
	e->account.send_failed += ticket->items;
	e->tickets--;
	free(ticket);
	done_permanent(done, "out of memory");
}

static void take(struct remote_write_exporter *e, struct batch *batch, struct done done)
{
	struct ticket *ticket = ticket_new(batch->items);
	uint64_t before = translated_points(e), items = batch->items, rejected, translated;
	struct error error = ERROR_INIT;
	struct translation translation;
	int r;

	if (!ticket || !budget_admits(e->component.host->budget, items * sizeof(struct sample))) {
		free(ticket);
		refuse(e, batch, done, "out of memory");
		return;
	}
	r = translator_batch(e->translator, batch, clock_monotonic_ns(), &translation, &error);
	if (r < 0 && error.kind == ERROR_RETRYABLE) {
		free(ticket);
		refuse(e, batch, done, error.message);
		return;
	}
	batch_unref(batch);
	translated = r < 0 ? 0 : translated_points(e) - before;
	rejected = translated < items ? items - translated : 0;
	e->figures.failed_translations += rejected;
	e->account.dropped.items[DROP_PERMANENT_ERROR] += rejected;
	if (r < 0) {
		free(ticket);
		done_permanent(done, error.message);
		return;
	}
	ticket->items = (size_t)(items - rejected);
	ticket->rejected = (size_t)rejected;
	if (answers_with_result(e))
		ticket->done = done;
	e->account.queued += ticket->items;
	e->tickets++;
	count_series(e, &translation);
	if (!put(e, &translation, ticket)) {
		lose_translated(e, ticket, done);
		return;
	}
	run_shards(e);
	settle_finished(e);
	if (!answers_with_result(e))
		done_call(done, &(struct outcome){
					.status = OUTCOME_OK,
					.rejected_items = rejected,
					.message = rejected ? "some points have no form in "
		                                              "Prometheus or are late"
		                                            : NULL,
				});
}

static void prometheusremotewrite_consume(struct component *component, struct batch *batch,
                                          struct done done)
{
	struct remote_write_exporter *e = (struct remote_write_exporter *)component;
	struct held *held;

	if (batch->items == 0) { /* an envelope without a letter */
		batch_unref(batch);
		done_ok(done);
		return;
	}
	e->account.received += batch->items;
	if (e->stopping) {
		refuse(e, batch, done, "the exporter is shutting down");
		return;
	}
	if (list_is_empty(&e->held) && has_room(e, batch->items)) {
		take(e, batch, done);
		return;
	}
	held = e->config->queue.block_on_overflow && e->n_held < HELD_LIMIT ? malloc(sizeof *held)
	                                                                    : NULL;
	if (!held) {
		log_warn(&e->component.log,
		         "sending queue is full: refusing data until there is room");
		refuse(e, batch, done, "sending queue is full");
		return;
	}
	*held = (struct held){.batch = batch, .done = done};
	list_push(&e->held, &held->link);
	e->n_held++;
	e->account.queued += batch->items;
}

static struct held *pop_held(struct remote_write_exporter *e)
{
	struct held *held = LIST_FIRST(&e->held, struct held, link);

	list_remove(&held->link);
	e->n_held--;
	e->account.queued -= held->batch->items;
	return held;
}

static void take_held(struct remote_write_exporter *e)
{
	while (!e->stopping && !list_is_empty(&e->held) &&
	       has_room(e, LIST_FIRST(&e->held, struct held, link)->batch->items)) {
		struct held *held = pop_held(e);
		struct batch *batch = held->batch;
		struct done done = held->done;

		free(held);
		take(e, batch, done);
	}
}

static void refuse_held(struct remote_write_exporter *e)
{
	while (!list_is_empty(&e->held)) {
		struct held *held = pop_held(e);
		struct batch *batch = held->batch;
		struct done done = held->done;

		free(held);
		refuse(e, batch, done, "the exporter is shutting down");
	}
}

/* ---- series that end */

/* Markers are no items of anybody; without memory they are left out. */
static void put_stale(struct remote_write_exporter *e, const struct translation *t)
{
	struct ticket *ticket = t->n_samples ? ticket_new(0) : NULL;

	if (ticket && !put(e, t, ticket))
		free(ticket);
}

static void on_expiry(void *arg)
{
	struct remote_write_exporter *e = arg;
	const struct series_table *table = translator_table(e->translator);
	struct translation t;
	size_t places = (table->mask + 1) / EXPIRY_ROUNDS + 1;

	if (remote_write_queued_samples(e) + places > e->config->queue.max_samples)
		return; /* they stay known a little longer */
	if (translator_expire(e->translator, clock_monotonic_ns(),
	                      (int64_t)(clock_realtime_ns() / NS_PER_MS), places, &t) < 0)
		return;
	if (!e->config->stale_markers.on_expiry)
		return;
	put_stale(e, &t);
	run_shards(e);
	settle_finished(e);
}

/* The next portion of the series that end with weir. True: there were some. */
static bool end_series(struct remote_write_exporter *e)
{
	struct translation t;

	if (!e->config->stale_markers.on_shutdown || e->all_ended || e->past_deadline || !e->client)
		return false;
	e->all_ended = translator_end(e->translator, (int64_t)(clock_realtime_ns() / NS_PER_MS),
	                              STALE_PORTION, &t) < 0 ||
	               t.n_samples == 0;
	if (e->all_ended)
		return false;
	put_stale(e, &t);
	run_shards(e);
	settle_finished(e);
	return true;
}

/* ---- status */

void remote_write_tell_status(struct remote_write_exporter *e, const char *message)
{
	const struct host *host = e->component.host;
	struct error error = ERROR_INIT;
	bool failing = message != NULL;

	if (e->failing == failing)
		return;
	e->failing = failing;
	if (!host->report)
		return;
	if (failing)
		error_set_retryable(&error, -EIO, "%s", message);
	host->report(host, &e->component, failing ? STATUS_RECOVERABLE_ERROR : STATUS_OK,
	             failing ? &error : NULL);
}

/* ---- life */

/* The family remembers when it was told, in seconds of the monotonic clock. */
static bool wants_metadata(void *arg, struct series_family *family)
{
	uintptr_t now = (uintptr_t)(clock_monotonic_ns() / NS_PER_S) + METADATA_PERIOD_S;

	if (now - (uintptr_t)family->user < METADATA_PERIOD_S)
		return false;
	family->user = (void *)now;
	return true;
}

static void prometheusremotewrite_destroy(struct component *component)
{
	struct remote_write_exporter *e = (struct remote_write_exporter *)component;

	if (!e)
		return;
	if (e->collector)
		metrics_unregister(e->component.host->metrics, e->collector);
	timer_free(e->expiry);
	timer_free(e->deadline);
	for (size_t i = 0; i < e->n_shards; i++)
		shard_fini(&e->shards[i]);
	free(e->shards);
	remote_write_fini(&e->writer);
	translator_free(e->translator);
	headers_fini(&e->headers);
	free(e->external);
	free(e);
}

static void maybe_closed(struct remote_write_exporter *e);

static void on_deadline(void *arg)
{
	struct remote_write_exporter *e = arg;

	e->past_deadline = true;
	for (size_t i = 0; i < e->n_shards; i++)
		shard_give_up(&e->shards[i]);
	remote_write_progress(e);
}

static int create_parts(struct remote_write_exporter *e, struct error *error)
{
	const struct prometheusremotewrite_config *c = e->config;
	const struct host *host = e->component.host;
	struct remote_write_options options = {
		.max_bytes = (size_t)c->max_batch_size_bytes,
		.max_samples = (size_t)c->queue.max_request_samples,
		.wants_metadata = c->send_metadata ? wants_metadata : NULL,
		.arg = e,
	};
	struct translator_options translation;
	size_t n = prometheusremotewrite_shards(c);

	e->external = calloc(c->external_labels.count + 1, sizeof *e->external);
	if (!e->external)
		return error_no_memory(error);
	prometheusremotewrite_translation(c, e->external, &translation);
	e->translator = translator_new(&translation);
	e->shards = e->translator ? calloc(n, sizeof *e->shards) : NULL;
	if (!e->shards)
		return error_no_memory(error);
	remote_write_init(&e->writer, &translator_table(e->translator)->symbols, &options);
	for (; e->n_shards < n; e->n_shards++)
		if (!shard_init(&e->shards[e->n_shards], e))
			return error_no_memory(error);
	e->expiry = timer_new(host->loop, on_expiry, e);
	e->deadline = timer_new(host->loop, on_deadline, e);
	if (host->metrics)
		e->collector = metrics_register(host->metrics, remote_write_report, e);
	if (!e->expiry || !e->deadline || (host->metrics && !e->collector))
		return error_no_memory(error);
	return headers_init(&e->headers, &e->http->headers, &e->http->auth, host, error);
}

extern const struct component_type exporter_prometheusremotewrite_type;

static int prometheusremotewrite_create(const struct create_args *args, struct component **ret,
                                        struct error *error)
{
	const struct prometheusremotewrite_config *c = args->config;
	struct remote_write_exporter *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return error_no_memory(error);
	component_init(&e->component, &exporter_prometheusremotewrite_type, args);
	e->config = c;
	e->http = prometheusremotewrite_http(c);
	e->tls = tls_client_settings(&e->http->tls);
	e->version = c->protobuf_message == MESSAGE_1 || c->protobuf_message == MESSAGE_V1
	                     ? REMOTE_WRITE_1
	                     : REMOTE_WRITE_2;
	e->version_known = c->protobuf_message != MESSAGE_AUTO;
	list_init(&e->finished);
	list_init(&e->held);
	headers_user_agent(args->host->version, e->user_agent, sizeof e->user_agent);
	http_client_where(e->http->endpoint, e->where, sizeof e->where);
	r = create_parts(e, error);
	if (r < 0) {
		prometheusremotewrite_destroy(&e->component);
		return r;
	}
	*ret = &e->component;
	return 0;
}

static int prometheusremotewrite_start(struct component *component, struct error *error)
{
	struct remote_write_exporter *e = (struct remote_write_exporter *)component;
	const struct remote_write_http *h = e->http;
	struct http_client_config client = {
		.tls = strncasecmp(h->endpoint, "https:", 6) == 0 ? &e->tls : NULL,
		.proxy_url = h->proxy_url,
		.user_agent = e->user_agent,
		.http2 = h->force_attempt_http2,
		.max_connections = h->max_conns_per_host,
		.max_idle_connections = h->max_idle_conns,
		.idle_timeout = h->idle_conn_timeout,
	};
	int r = http_client_new(component->host->loop, &client, &component->log, &e->client, error);

	if (r == 0 && e->config->series_expiry) {
		uint64_t every = e->config->series_expiry / EXPIRY_ROUNDS;

		every = every > NS_PER_MS ? every : NS_PER_MS;
		timer_start(e->expiry, every, every);
	}
	return r;
}

void remote_write_progress(struct remote_write_exporter *e)
{
	settle_finished(e);
	take_held(e);
	run_shards(e);
	settle_finished(e);
	maybe_closed(e); /* the last thing: the owner may free us in it */
}

static void on_client_closed(void *arg)
{
	struct remote_write_exporter *e = arg;

	e->client_closed = true;
	maybe_closed(e);
}

static bool is_busy(const struct remote_write_exporter *e)
{
	for (size_t i = 0; i < e->n_shards; i++)
		if (e->shards[i].state != SHARD_IDLE)
			return true;
	return false;
}

/* The one gate: everything was sent or given up, and the client is gone. */
static void maybe_closed(struct remote_write_exporter *e)
{
	void (*closed)(void *arg) = e->closed;
	uint64_t lost = e->account.dropped.items[DROP_SHUTDOWN];

	if (!closed || e->finishing)
		return;
	do {
		if (is_busy(e) || remote_write_queued_samples(e) > 0)
			return;
	} while (end_series(e));
	if (!e->client_closing) {
		e->client_closing = true;
		timer_stop(e->deadline);
		if (lost)
			log_warn(&e->component.log,
			         "Dropped %llu data points at shutdown: %s did not take them in "
			         "time.",
			         (unsigned long long)lost, e->where);
		http_client_close(TAKE(e->client), on_client_closed, e);
		return;
	}
	if (!e->client_closed)
		return;
	e->closed = NULL;
	closed(e->closed_arg);
}

static void prometheusremotewrite_shutdown(struct component *component, uint64_t deadline_ns,
                                           void (*closed)(void *arg), void *arg)
{
	struct remote_write_exporter *e = (struct remote_write_exporter *)component;
	uint64_t now = clock_monotonic_ns();

	e->stopping = true;
	e->closed = closed;
	e->closed_arg = arg;
	timer_stop(e->expiry);
	refuse_held(e);
	if (!e->client || now >= deadline_ns) {
		on_deadline(e);
		return;
	}
	timer_start(e->deadline, deadline_ns - now, 0);
	remote_write_progress(e);
}

static const char *const prometheusremotewrite_aliases[] = {"prometheus_remote_write", NULL};

const struct component_type exporter_prometheusremotewrite_type = {
	.name = "prometheusremotewrite",
	.aliases = prometheusremotewrite_aliases,
	.kind = EXPORTER,
	.signals = SIGNAL_BIT(SIGNAL_METRICS),
	.summary = "Sends metrics to Prometheus, Mimir or VictoriaMetrics by remote write.",
	.stability = "alpha",
	.config_size = sizeof(struct prometheusremotewrite_config),
	.options = prometheusremotewrite_options,
	.check = prometheusremotewrite_check,
	.create = prometheusremotewrite_create,
	.start = prometheusremotewrite_start,
	.consume = prometheusremotewrite_consume,
	.shutdown = prometheusremotewrite_shutdown,
	.destroy = prometheusremotewrite_destroy,
};
