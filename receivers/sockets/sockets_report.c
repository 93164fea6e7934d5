#include "receivers/sockets/sockets.h"

static void report_kernel(struct sockets *s, struct metrics_sink *sink,
                          const struct metrics_label *labels)
{
	struct sockets_kernel_stats k;

	sockets_kernel_stats(s->kernel, &k);
	metrics_counter(sink, "weir_receiver_sockets_lost_records",
	                "Connections whose last record found no room in the ring.", labels,
	                (double)k.losses[SOCKETS_LOSS_RING_FULL]);
	metrics_counter(sink, "weir_receiver_sockets_lost_bytes",
	                "Payload that those records would have counted.", labels,
	                (double)k.losses[SOCKETS_LOSS_RING_BYTES]);
	metrics_counter(sink, "weir_receiver_sockets_lost_resets",
	                "Resets sent for closed connections whose records found no room.", labels,
	                (double)k.losses[SOCKETS_LOSS_RING_RESETS]);
	metrics_counter(sink, "weir_receiver_sockets_unfollowed_sockets",
	                "Sockets that the kernel had no memory to follow.", labels,
	                (double)k.losses[SOCKETS_LOSS_NO_STORAGE]);
	metrics_counter(sink, "weir_receiver_sockets_unowned_sockets",
	                "Sockets whose process is not known.", labels,
	                (double)k.losses[SOCKETS_LOSS_NO_OWNER]);
	metrics_gauge(sink, "weir_receiver_sockets_ring_bytes", "Size of the ring.", labels,
	              (double)k.ring_bytes);
	metrics_gauge(sink, "weir_receiver_sockets_ring_used_bytes",
	              "Bytes in the ring that were not read yet.", labels,
	              (double)k.ring_used_bytes);
	metrics_gauge(sink, "weir_receiver_sockets_namespaces",
	              "Network namespaces searched for sockets that existed at the start.", labels,
	              (double)k.namespaces);
	metrics_gauge(sink, "weir_receiver_sockets_namespaces_failed",
	              "Of those, the ones that could not be searched.", labels,
	              (double)k.namespaces_failed);
	for (size_t i = 0; i < k.n_programs; i++) {
		const struct program_stats *p = &k.programs[i];
		const struct metrics_label *program =
			METRICS_LABELS({"receiver", s->component.id}, {"program", p->name});

		metrics_counter(sink, "weir_receiver_sockets_program_runs",
		                "Runs of each eBPF program.", program, (double)p->runs);
		metrics_counter(sink, "weir_receiver_sockets_program_seconds",
		                "Time spent in each eBPF program.", program,
		                (double)p->run_time_ns / 1e9);
		metrics_counter(sink, "weir_receiver_sockets_program_missed",
		                "Runs that the kernel left out.", program, (double)p->missed);
	}
}

static void report_outbox(struct sockets *s, struct metrics_sink *sink, enum signal signal)
{
	const struct outbox *o = signal == SIGNAL_METRICS ? s->delivery.metrics : s->delivery.logs;
	const struct metrics_label *labels =
		METRICS_LABELS({"receiver", s->component.id}, {"signal", signal_name(signal)});

	if (!o)
		return;
	metrics_gauge(sink, "weir_receiver_sockets_unfinished_items",
	              "Data points and log records whose outcome is not known yet.", labels,
	              (double)outbox_items(o));
	metrics_counter(
		sink, "weir_receiver_sockets_refused_items",
		"Cumulative data points that were refused; the next collection repeats them.",
		labels, (double)outbox_counts(o)->refused);
	metrics_counter(sink, "weir_receiver_sockets_undeliverable_items",
	                "Data points and log records that the next component would never take.",
	                labels, (double)outbox_counts(o)->lost);
}

static void report_own(struct sockets *s, struct metrics_sink *sink,
                       const struct metrics_label *labels)
{
	metrics_counter(sink, "weir_receiver_sockets_records",
	                "Records that the kernel side delivered.",
	                METRICS_LABELS({"receiver", s->component.id}, {"source", "ring"}),
	                (double)s->counts.ring_records);
	metrics_counter(sink, "weir_receiver_sockets_records",
	                "Records that the kernel side delivered.",
	                METRICS_LABELS({"receiver", s->component.id}, {"source", "walk"}),
	                (double)s->counts.walk_records);
	metrics_gauge(sink, "weir_receiver_sockets_series", "Sets of attributes that are kept.",
	              labels, (double)s->series.series.map.count);
	metrics_gauge(sink, "weir_receiver_sockets_series_limit", "max_series.", labels,
	              (double)s->config->max_series);
	metrics_counter(sink, "weir_receiver_sockets_overflowed_records",
	                "Records added to the overflow series.", labels,
	                (double)s->series.overflowed);
	metrics_counter(sink, "weir_receiver_sockets_dropped_log_records",
	                "Log records that were not made because too many waited.",
	                METRICS_LABELS({"receiver", s->component.id}, {"reason", "queue_full"}),
	                (double)s->delivery.logs_dropped);
	metrics_counter(sink, "weir_receiver_sockets_collections_skipped",
	                "Collections left out because the next component did not keep up, or for "
	                "want of memory.",
	                labels,
	                (double)(s->delivery.collections_skipped + s->counts.walks_skipped));
	metrics_counter(sink, "weir_receiver_sockets_walks_failed",
	                "Walks over the open sockets that failed.", labels,
	                (double)s->counts.walks_failed);
	metrics_counter(sink, "weir_receiver_sockets_recounts",
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
