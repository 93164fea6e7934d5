#include "core/pipeline/edge.h"

#include "core/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { IDLE_FLIGHTS = 64 };

/* One batch on the other side of the edge. */
struct flight {
	struct list link;
	struct edge *edge;
	struct done done;
	uint64_t items, started_ns;
};

void edge_init(struct edge *e, const struct edge_role *role, enum signal signal,
               struct consumer next)
{
	*e = (struct edge){.next = next, .signal = signal, .role = *role};
	list_init(&e->link);
	list_init(&e->busy);
	list_init(&e->idle);
}

static void free_flights(struct list *flights)
{
	struct flight *f, *next;

	LIST_FOR_EACH_SAFE(f, next, flights, link)
		free(f);
	list_init(flights);
}

void edge_fini(struct edge *e)
{
	free_flights(&e->busy);
	free_flights(&e->idle);
}

static struct flight *flight_new(struct edge *e)
{
	struct flight *f = LIST_FIRST(&e->idle, struct flight, link);

	if (f) {
		list_remove(&f->link);
		e->n_idle--;
	} else {
		f = malloc(sizeof *f);
		if (!f)
			return NULL;
	}
	list_push(&e->busy, &f->link);
	return f;
}

static void flight_free(struct edge *e, struct flight *f)
{
	list_remove(&f->link);
	if (e->n_idle >= IDLE_FLIGHTS) {
		free(f);
		return;
	}
	list_push_front(&e->idle, &f->link);
	e->n_idle++;
}

static void settle(struct edge *e, uint64_t items, const struct outcome *o)
{
	uint64_t rejected = o->rejected_items < items ? o->rejected_items : items;

	switch (o->status) {
	case OUTCOME_OK:
		e->sent += items - rejected;
		e->dropped.items[DROP_PARTIAL_REJECTED] += rejected;
		break;
	case OUTCOME_RETRY:
		e->refused += items;
		break;
	case OUTCOME_PERMANENT:
		e->dropped.items[DROP_PERMANENT_ERROR] += items;
		break;
	case OUTCOME_CANCELED:
		e->dropped.items[DROP_SHUTDOWN] += items;
		break;
	}
}

static void on_done(void *arg, const struct outcome *outcome)
{
	struct flight *f = arg;
	struct edge *e = f->edge;
	struct done done = f->done;

	e->in_flight -= f->items;
	settle(e, f->items, outcome);
	histogram_add(&e->duration, clock_monotonic_ns() - f->started_ns);
	flight_free(e, f);
	done_call(done, outcome);
}

static void edge_consume(void *self, struct batch *batch, struct done done)
{
	struct edge *e = self;
	struct flight *f = flight_new(e);
	uint64_t items = batch->items;

	e->batches++;
	e->received += items;
	if (!f) {
		e->refused += items;
		batch_unref(batch);
		done_retry(done, 0, "out of memory");
		return;
	}
	/* Here batches are mostly bytes still, and their size costs nothing to know. */
	if (e->role.receiver)
		e->bytes += batch_bytes(batch);
	f->edge = e;
	f->done = done;
	f->items = items;
	f->started_ns = clock_monotonic_ns();
	e->in_flight += items;
	consumer_consume(e->next, batch, (struct done){on_done, f});
}

struct consumer edge_consumer(struct edge *e)
{
	return (struct consumer){edge_consume, e};
}

/* The Collector's names that end in the signal's word for its items. */
static const char *const receiver_accepted[SIGNAL_COUNT] = {
	"otelcol_receiver_accepted_spans",
	"otelcol_receiver_accepted_metric_points",
	"otelcol_receiver_accepted_log_records",
};
static const char *const receiver_refused[SIGNAL_COUNT] = {
	"otelcol_receiver_refused_spans",
	"otelcol_receiver_refused_metric_points",
	"otelcol_receiver_refused_log_records",
};
static const char *const receiver_failed[SIGNAL_COUNT] = {
	"otelcol_receiver_failed_spans",
	"otelcol_receiver_failed_metric_points",
	"otelcol_receiver_failed_log_records",
};
static const char *const exporter_sent[SIGNAL_COUNT] = {
	"otelcol_exporter_sent_spans",
	"otelcol_exporter_sent_metric_points",
	"otelcol_exporter_sent_log_records",
};
static const char *const exporter_send_failed[SIGNAL_COUNT] = {
	"otelcol_exporter_send_failed_spans",
	"otelcol_exporter_send_failed_metric_points",
	"otelcol_exporter_send_failed_log_records",
};

static void report_receiver(const struct edge *e, struct metrics_sink *sink)
{
	const struct metrics_label *labels = METRICS_LABELS({"receiver", e->role.receiver});
	const struct metrics_label *own = METRICS_LABELS({"receiver", e->role.receiver},
	                                                 {"data_type", signal_name(e->signal)});

	metrics_counter(sink, receiver_accepted[e->signal],
	                "Items that the receiver handed over and that were taken.", labels,
	                (double)e->sent);
	metrics_counter(sink, receiver_refused[e->signal],
	                "Items that the pipelines of the receiver did not take.", labels,
	                (double)(e->refused + drops_total(&e->dropped)));
	/* A receiver adds its own here: items it could not make a batch of. */
	metrics_counter(sink, receiver_failed[e->signal],
	                "Items that the receiver itself could not handle.", labels, 0);
	metrics_counter(sink, "weir_receiver_batches", "Batches that the receiver handed over.",
	                own, (double)e->batches);
	metrics_counter(sink, "weir_receiver_bytes",
	                "Bytes of OTLP that the receiver's batches would encode to.", own,
	                (double)e->bytes);
}

static void report_pipeline(const struct edge *e, struct metrics_sink *sink)
{
	const struct metrics_label *labels = METRICS_LABELS({"pipeline", e->role.pipeline_head});

	metrics_counter(sink, "weir_pipeline_received_items",
	                "Items given to the pipeline; = refused + sent + dropped + in flight.",
	                labels, (double)e->received);
	metrics_counter(sink, "weir_pipeline_refused_items",
	                "Items the pipeline did not take for now; their sender still has them.",
	                labels, (double)e->refused);
	metrics_counter(sink, "weir_pipeline_sent_items",
	                "Items delivered, or taken over by a queue.", labels, (double)e->sent);
	metrics_gauge(sink, "weir_pipeline_in_flight_items",
	              "Items inside the pipeline whose outcome is not known yet.", labels,
	              (double)e->in_flight);
	drops_report(&e->dropped, sink, "weir_pipeline_dropped_items",
	             "Items the pipeline lost, by reason.", labels);
}

static void report_to(const struct edge *e, struct metrics_sink *sink)
{
	const struct component *c = e->role.to;
	const char *kind = component_kind_name(c->type->kind);
	const struct metrics_label *labels =
		METRICS_LABELS({"kind", kind}, {"component", c->id}, {"pipeline", e->role.pipeline},
	                       {"data_type", signal_name(e->signal)});

	metrics_counter(sink, "weir_consume_batches", "Batches given to the component.", labels,
	                (double)e->batches);
	metrics_counter(sink, "weir_consume_items", "Items given to the component.", labels,
	                (double)e->received);
	metrics_counter(sink, "weir_consume_refused_items",
	                "Items the component did not take for now.", labels, (double)e->refused);
	metrics_counter(sink, "weir_consume_failed_items", "Items the component failed for good.",
	                labels, (double)drops_total(&e->dropped));
	metrics_gauge(sink, "weir_consume_in_flight_items",
	              "Items the component has not answered yet.", labels, (double)e->in_flight);
	histogram_report(&e->duration, sink, "weir_consume_duration_seconds",
	                 "Time from giving a batch to the component to its outcome.", labels);
	if (c->type->kind == PROCESSOR)
		metrics_counter(sink, "otelcol_processor_incoming_items",
		                "Items given to the processor.",
		                METRICS_LABELS({"processor", c->id},
		                               {"otel_signal", signal_name(e->signal)}),
		                (double)e->received);
	if (c->type->kind != EXPORTER)
		return;
	/* An exporter with a queue knows more than what it took: then these are its own. */
	metrics_counter_fallback(sink, exporter_sent[e->signal], "Items that the destination took.",
	                         METRICS_LABELS({"exporter", c->id}), (double)e->sent);
	metrics_counter_fallback(sink, exporter_send_failed[e->signal],
	                         "Items that could not be sent.",
	                         METRICS_LABELS({"exporter", c->id}),
	                         (double)(e->refused + drops_total(&e->dropped)));
}

void edge_report(const struct edge *e, struct metrics_sink *sink)
{
	if (e->role.receiver)
		report_receiver(e, sink);
	if (e->role.pipeline_head)
		report_pipeline(e, sink);
	if (e->role.processor_out)
		metrics_counter(sink, "otelcol_processor_outgoing_items",
		                "Items that the processor handed on.",
		                METRICS_LABELS({"processor", e->role.processor_out},
		                               {"otel_signal", signal_name(e->signal)}),
		                (double)e->received);
	if (e->role.to)
		report_to(e, sink);
}
