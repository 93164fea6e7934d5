/* What the exporter tells of itself; the names without weir_ are the Collector's. */
#include "exporters/prometheusremotewrite/prometheusremotewrite.h"

#include <stdio.h>

size_t remote_write_queued_samples(const struct remote_write_exporter *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_shards; i++)
		n += e->shards[i].queue.samples;
	return n;
}

size_t remote_write_queued_bytes(const struct remote_write_exporter *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_shards; i++)
		n += e->shards[i].queue.bytes;
	return n;
}

#define NAME(what) "otelcol_exporter_prometheusremotewrite_" what
#define OWN_NAME(what) "weir_exporter_prometheusremotewrite_" what

static void report_translation(const struct remote_write_exporter *e, struct metrics_sink *sink,
                               const struct metrics_label *labels)
{
	const struct translator_figures *f = translator_figures(e->translator);
	const struct series_table *table = translator_table(e->translator);

	for (int i = 0; i < TRANSLATE_DROPS; i++)
		metrics_counter(
			sink, OWN_NAME("untranslated_points"),
			"Points, or parts of them, that have no form in Prometheus, by reason.",
			METRICS_LABELS({"exporter", e->component.id},
		                       {"reason", translate_drop_name((enum translate_drop)i)}),
			(double)f->dropped[i]);
	metrics_gauge(sink, OWN_NAME("series"), "Series that are known.", labels,
	              (double)table->count);
	metrics_gauge(sink, OWN_NAME("series_capacity"), "Series that may be known at once.",
	              labels, (double)e->config->max_series);
	metrics_gauge(sink, OWN_NAME("symbol_bytes"),
	              "Memory of the names and values of all labels.", labels,
	              (double)table->symbols.bytes);
	metrics_counter(sink, OWN_NAME("ended_series"), "Series that were not seen any more.",
	                labels, (double)f->ended);
}

static void report_queue(const struct remote_write_exporter *e, struct metrics_sink *sink,
                         const struct metrics_label *labels)
{
	metrics_gauge(sink, OWN_NAME("queued_samples"), "Samples in the queues of all shards.",
	              labels, (double)remote_write_queued_samples(e));
	metrics_gauge(sink, OWN_NAME("queued_samples_capacity"), "Samples that may be queued.",
	              labels, (double)e->config->queue.max_samples);
	metrics_gauge(sink, OWN_NAME("queued_bytes"), "Memory of the queued samples.", labels,
	              (double)remote_write_queued_bytes(e));
	metrics_gauge(sink, OWN_NAME("queued_bytes_capacity"),
	              "Memory that queued samples may take.", labels,
	              (double)e->config->queue.max_bytes);
	metrics_gauge(sink, OWN_NAME("highest_sent_timestamp_seconds"),
	              "Newest timestamp among the samples that were taken, since 1970.", labels,
	              (double)e->figures.newest_ms / 1000);
	metrics_gauge(sink, OWN_NAME("version"), "Of remote write: 1 or 2; 0: not known yet.",
	              labels,
	              !e->version_known              ? 0
	              : e->version == REMOTE_WRITE_2 ? 2
	                                             : 1);
}

static void report_sent(const struct remote_write_exporter *e, struct metrics_sink *sink,
                        const struct metrics_label *labels)
{
	const struct remote_write_figures *f = &e->figures;
	char status[16];

	metrics_counter(sink, NAME("failed_translations"), "Points that could not be translated.",
	                labels, (double)f->failed_translations);
	metrics_counter(sink, NAME("translated_time_series"),
	                "Series for which points were translated.", labels,
	                (double)f->translated_series);
	metrics_counter(sink, NAME("sent_batches"), "Requests that were taken.", labels,
	                (double)f->sent_batches);
	metrics_counter(sink, NAME("written_samples"), "Samples that were taken.", labels,
	                (double)f->samples);
	metrics_counter(sink, NAME("written_histograms"), "Native histograms that were taken.",
	                labels, (double)f->histograms);
	metrics_counter(sink, NAME("written_exemplars"), "Exemplars that were taken.", labels,
	                (double)f->exemplars);
	metrics_gauge(sink, NAME("consumers"), "Shards: requests that may be out at once.", labels,
	              (double)e->n_shards);
	metrics_counter(sink, OWN_NAME("split_requests"),
	                "Refused requests that were divided to save what is good.", labels,
	                (double)f->splits);
	for (size_t i = 0; i < REFUSED_STATUSES; i++) {
		snprintf(status, sizeof status, "%u", refused_statuses[i]);
		metrics_counter(sink, OWN_NAME("refused_samples"),
		                "Samples that the receiver will never take, by HTTP status.",
		                METRICS_LABELS({"exporter", e->component.id},
		                               {"status", refused_statuses[i] ? status : "other"}),
		                (double)f->refused[i]);
	}
}

void remote_write_report(void *arg, struct metrics_sink *sink)
{
	const struct remote_write_exporter *e = arg;
	const struct metrics_label *labels = METRICS_LABELS({"exporter", e->component.id});
	struct account_gauges gauges = {
		.exporter = e->component.id,
		.signal = SIGNAL_METRICS,
		.has_queue = e->config->queue.enabled,
		.queue_size = e->tickets,
		.queue_capacity = e->config->queue.queue_size,
		.blocked = e->n_held,
	};

	for (size_t i = 0; i < e->n_shards; i++)
		gauges.in_flight += e->shards[i].state != SHARD_IDLE;
	account_report(&e->account, &gauges, sink);
	report_sent(e, sink, labels);
	report_queue(e, sink, labels);
	report_translation(e, sink, labels);
}
