#include "receivers/sockets/sockets.h"

static void report_kernel(struct sockets *s, struct metrics_sink *sink,
                          const struct metrics_label *labels)
{
	static const char *const kinds[SOCKETS_LOSS_COUNT] = {
		[SOCKETS_LOSS_RING_FULL] = "ring_full",
		[SOCKETS_LOSS_NO_STORAGE] = "no_storage",
		[SOCKETS_LOSS_NO_OWNER] = "no_owner",
	};
	struct sockets_kernel_stats k;

	sockets_kernel_stats(s->kernel, &k);
	for (size_t i = 0; i < SOCKETS_LOSS_COUNT; i++)
		if (kinds[i])
			metrics_counter(sink, "weir_receiver_sockets_kernel_lost_total",
			                "Sockets whose record found no room in the ring "
			                "(ring_full), that could not be followed (no_storage), or "
			                "whose process is not known (no_owner).",
			                METRICS_LABELS({"receiver", s->component.id},
			                               {"kind", kinds[i]}),
			                (double)k.losses[i]);
	metrics_counter(sink, "weir_receiver_sockets_kernel_lost_bytes_total",
	                "Payload bytes of the records that found no room in the ring.", labels,
	                (double)k.losses[SOCKETS_LOSS_RING_BYTES]);
	metrics_gauge(sink, "weir_receiver_sockets_ring_bytes", "Size of the ring.", labels,
	              (double)k.ring_bytes);
	metrics_gauge(sink, "weir_receiver_sockets_ring_used_bytes",
	              "Bytes in the ring that were not read yet.", labels,
	              (double)k.ring_used_bytes);
	metrics_gauge(sink, "weir_receiver_sockets_namespaces",
	              "Network namespaces seen by the last walk.", labels, (double)k.namespaces);
	metrics_counter(sink, "weir_receiver_sockets_namespaces_failed_total",
	                "Network namespaces that could not be entered or read.", labels,
	                (double)k.namespaces_failed);
	for (size_t i = 0; i < k.n_programs; i++) {
		const struct sockets_program_stats *p = &k.programs[i];
		const struct metrics_label *program =
			METRICS_LABELS({"receiver", s->component.id}, {"program", p->name});

		metrics_counter(sink, "weir_receiver_sockets_program_runs_total",
		                "Runs of each eBPF program.", program, (double)p->runs);
		metrics_counter(sink, "weir_receiver_sockets_program_seconds_total",
		                "Time spent in each eBPF program.", program,
		                (double)p->run_time_ns / 1e9);
		metrics_counter(sink, "weir_receiver_sockets_program_missed_total",
		                "Runs that the kernel left out.", program, (double)p->missed);
	}
}

static void report_outbox(struct sockets *s, struct metrics_sink *sink, enum signal signal)
{
	const struct outbox *o = signal == SIGNAL_METRICS ? s->metrics : s->logs;
	const struct metrics_label *labels =
		METRICS_LABELS({"receiver", s->component.id}, {"signal", signal_name(signal)});

	if (!o)
		return;
	metrics_gauge(sink, "weir_receiver_sockets_unfinished_items",
	              "Data points and log records whose outcome is not known yet.", labels,
	              (double)outbox_items(o));
	metrics_counter(
		sink, "weir_receiver_sockets_refused_items_total",
		"Cumulative data points that were refused; the next collection repeats them.",
		labels, (double)outbox_counts(o)->refused);
	metrics_counter(sink, "weir_receiver_sockets_lost_items_total",
	                "Data points and log records that the next component would never take.",
	                labels, (double)outbox_counts(o)->lost);
}

static void report_own(struct sockets *s, struct metrics_sink *sink,
                       const struct metrics_label *labels)
{
	metrics_counter(sink, "weir_receiver_sockets_records_total",
	                "Records that the kernel side delivered.",
	                METRICS_LABELS({"receiver", s->component.id}, {"source", "ring"}),
	                (double)s->counts.ring_records);
	metrics_counter(sink, "weir_receiver_sockets_records_total",
	                "Records that the kernel side delivered.",
	                METRICS_LABELS({"receiver", s->component.id}, {"source", "walk"}),
	                (double)s->counts.walk_records);
	metrics_gauge(sink, "weir_receiver_sockets_series", "Sets of attributes that are kept.",
	              labels, (double)s->series.series.count);
	metrics_gauge(sink, "weir_receiver_sockets_series_limit", "max_series.", labels,
	              (double)s->config->max_series);
	metrics_counter(sink, "weir_receiver_sockets_overflowed_records_total",
	                "Records added to the overflow series.", labels,
	                (double)s->series.overflowed);
	metrics_counter(sink, "weir_receiver_sockets_dropped_log_records_total",
	                "Log records that were not made because too many waited.",
	                METRICS_LABELS({"receiver", s->component.id}, {"reason", "queue_full"}),
	                (double)s->counts.logs_dropped);
	metrics_counter(sink, "weir_receiver_sockets_collections_skipped_total",
	                "Collections left out because the next component did not keep up, or for "
	                "want of memory.",
	                labels, (double)s->counts.collections_skipped);
	metrics_counter(sink, "weir_receiver_sockets_walks_failed_total",
	                "Walks over the open sockets that failed.", labels,
	                (double)s->counts.walks_failed);
	metrics_counter(sink, "weir_receiver_sockets_recounts_total",
	                "Times that open connections were counted anew after losses.", labels,
	                (double)s->counts.recounts);
	histogram_report(&s->walk_duration, sink, "weir_receiver_sockets_walk_duration_seconds",
	                 "Time of a walk over the open sockets.", labels);
}

void sockets_report(void *arg, struct metrics_sink *sink)
{
	struct sockets *s = arg;
	const struct metrics_label *labels = METRICS_LABELS({"receiver", s->component.id});

	report_kernel(s, sink, labels);
	report_own(s, sink, labels);
	report_outbox(s, sink, SIGNAL_METRICS);
	report_outbox(s, sink, SIGNAL_LOGS);
}
