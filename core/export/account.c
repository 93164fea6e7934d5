#include "core/export/account.h"

/* The Collector's names end in the signal's word for its items. */
static const char *const sent_names[SIGNAL_COUNT] = {
	"otelcol_exporter_sent_spans",
	"otelcol_exporter_sent_metric_points",
	"otelcol_exporter_sent_log_records",
};
static const char *const send_failed_names[SIGNAL_COUNT] = {
	"otelcol_exporter_send_failed_spans",
	"otelcol_exporter_send_failed_metric_points",
	"otelcol_exporter_send_failed_log_records",
};
static const char *const enqueue_failed_names[SIGNAL_COUNT] = {
	"otelcol_exporter_enqueue_failed_spans",
	"otelcol_exporter_enqueue_failed_metric_points",
	"otelcol_exporter_enqueue_failed_log_records",
};

static void report_items(const struct account *a, struct metrics_sink *sink,
                         const struct metrics_label *labels)
{
	metrics_counter(sink, "weir_exporter_received_items",
	                "Items given to the exporter; = refused + sent + dropped + queued.", labels,
	                (double)a->received);
	metrics_counter(sink, "weir_exporter_refused_items",
	                "Items the exporter did not take for now; their sender still has them.",
	                labels, (double)a->refused);
	metrics_counter(sink, "weir_exporter_sent_items", "Items that the destination took.",
	                labels, (double)a->sent);
	metrics_gauge(sink, "weir_exporter_queued_items",
	              "Items held, those that are being sent included.", labels, (double)a->queued);
	drops_report(&a->dropped, sink, "weir_exporter_dropped_items",
	             "Items the exporter lost, by reason.", labels);
}

void account_report(const struct account *a, const struct account_gauges *g,
                    struct metrics_sink *sink)
{
	const struct metrics_label *exporter = METRICS_LABELS({"exporter", g->exporter});
	const struct metrics_label *labels =
		METRICS_LABELS({"exporter", g->exporter}, {"data_type", signal_name(g->signal)});

	metrics_counter(sink, sent_names[g->signal], "Items that the destination took.", exporter,
	                (double)a->sent);
	metrics_counter(sink, send_failed_names[g->signal], "Items that could not be sent.",
	                exporter, (double)a->send_failed);
	metrics_counter(sink, enqueue_failed_names[g->signal],
	                "Items that found no room in the sending queue.", exporter,
	                (double)a->enqueue_failed);
	report_items(a, sink, labels);
	metrics_gauge(sink, "otelcol_exporter_in_flight_requests",
	              "Requests being sent or waiting for their retry.", labels,
	              (double)g->in_flight);
	metrics_counter(sink, "weir_exporter_attempts", "Attempts to send a request.", labels,
	                (double)a->attempts);
	metrics_counter(sink, "weir_exporter_retries",
	                "Attempts that were not the first of their request.", labels,
	                (double)a->retries);
	histogram_report(&a->duration, sink, "weir_exporter_attempt_duration_seconds",
	                 "Time one attempt took, whatever came of it.", labels);
	if (!g->has_queue)
		return;
	metrics_gauge(sink, "otelcol_exporter_queue_size",
	              "Room taken in the sending queue, in its sizer's unit.", labels,
	              (double)g->queue_size);
	metrics_gauge(sink, "otelcol_exporter_queue_capacity",
	              "Room of the sending queue, in its sizer's unit.", labels,
	              (double)g->queue_capacity);
	metrics_gauge(sink, "weir_exporter_blocked_requests",
	              "Batches that wait for room in the sending queue.", labels,
	              (double)g->blocked);
}
