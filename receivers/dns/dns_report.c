#include "receivers/dns/dns.h"

static const char *const loss_reasons[DNS_LOSS_COUNT] = {
	[DNS_LOSS_RING_FULL] = "ring_full",       [DNS_LOSS_SEGMENT_FULL] = "segment_ring_full",
	[DNS_LOSS_PENDING_FULL] = "pending_full", [DNS_LOSS_NO_QUESTION] = "no_question",
	[DNS_LOSS_NO_OWNER] = "no_owner",         [DNS_LOSS_UNREADABLE] = "unreadable",
};

static const char *const endings[] = {
	[DNS_ANSWERED] = "answered",
	[DNS_TIMEOUT] = "timeout",
	[DNS_TRUNCATED] = "truncated",
	[DNS_MALFORMED] = "malformed",
};

static void report_programs(struct dns *d, struct metrics_sink *sink,
                            const struct dns_kernel_stats *k)
{
	for (size_t i = 0; i < k->n_programs; i++) {
		const struct program_stats *p = &k->programs[i];
		const struct metrics_label *program =
			METRICS_LABELS({"receiver", d->component.id}, {"program", p->name});

		metrics_counter(sink, "weir_receiver_dns_program_runs",
		                "Runs of each eBPF program.", program, (double)p->runs);
		metrics_counter(sink, "weir_receiver_dns_program_seconds",
		                "Time spent in each eBPF program.", program,
		                (double)p->run_time_ns / 1e9);
		metrics_counter(sink, "weir_receiver_dns_program_missed",
		                "Runs that the kernel left out.", program, (double)p->missed);
	}
}

static void report_kernel(struct dns *d, struct metrics_sink *sink,
                          const struct metrics_label *labels)
{
	struct dns_kernel_stats k;

	dns_kernel_stats(d->kernel, &k);
	for (size_t i = 0; i < DNS_LOSS_COUNT; i++)
		metrics_counter(sink, "weir_receiver_dns_losses",
		                "What the kernel side could not hand over, or not whole.",
		                METRICS_LABELS({"receiver", d->component.id},
		                               {"reason", loss_reasons[i]}),
		                (double)k.losses[i]);
	metrics_gauge(sink, "weir_receiver_dns_ring_bytes", "Size of the ring.", labels,
	              (double)k.ring_bytes);
	metrics_gauge(sink, "weir_receiver_dns_ring_used_bytes",
	              "Bytes in the ring that were not read yet.", labels,
	              (double)k.ring_used_bytes);
	metrics_gauge(sink, "weir_receiver_dns_pending_limit",
	              "Questions that may wait for their answers at once.", labels,
	              (double)k.max_pending);
	report_programs(d, sink, &k);
}

static void report_lookups(struct dns *d, struct metrics_sink *sink,
                           const struct metrics_label *labels)
{
	metrics_counter(sink, "weir_receiver_dns_events", "Events that the kernel side delivered.",
	                METRICS_LABELS({"receiver", d->component.id}, {"kind", "answer"}),
	                (double)d->counts.answers);
	metrics_counter(sink, "weir_receiver_dns_events", "Events that the kernel side delivered.",
	                METRICS_LABELS({"receiver", d->component.id}, {"kind", "segment"}),
	                (double)d->counts.segments);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		metrics_counter(sink, "weir_receiver_dns_lookups", "Look-ups, by how they ended.",
		                METRICS_LABELS({"receiver", d->component.id},
		                               {"ending", endings[i]}),
		                (double)d->counts.exchanges[i]);
	metrics_counter(sink, "weir_receiver_dns_misdirected_answers",
	                "Answers from another address than was asked.", labels,
	                (double)d->counts.misdirected);
	metrics_counter(sink, "weir_receiver_dns_sweeps_failed",
	                "Times that questions without an answer could not be looked for.", labels,
	                (double)d->counts.sweeps_failed);
}

static void report_streams(struct dns *d, struct metrics_sink *sink,
                           const struct metrics_label *labels)
{
	struct dns_exchanges_stats s;

	dns_exchanges_stats(d->exchanges, &s);
	metrics_gauge(sink, "weir_receiver_dns_streams", "TCP connections that are followed.",
	              labels, (double)s.streams);
	metrics_counter(sink, "weir_receiver_dns_streams_evicted",
	                "TCP connections that made room for others while they were open.", labels,
	                (double)s.streams_evicted);
	metrics_counter(sink, "weir_receiver_dns_stream_gaps",
	                "Gaps in what was seen of TCP connections.", labels, (double)s.stream_gaps);
	metrics_counter(sink, "weir_receiver_dns_stream_missing_bytes", "Bytes in those gaps.",
	                labels, (double)s.stream_missing_bytes);
	metrics_counter(sink, "weir_receiver_dns_stream_ignored_bytes",
	                "Bytes of which it was not known where a message begins.", labels,
	                (double)s.stream_ignored_bytes);
	metrics_counter(sink, "weir_receiver_dns_stream_dropped_questions",
	                "Questions over TCP that were not followed: too many were open, or no "
	                "memory; and what is no question beyond the first of a segment.",
	                labels, (double)s.questions_dropped);
	metrics_counter(sink, "weir_receiver_dns_stream_unmatched_answers",
	                "Answers over TCP without an open question.", labels,
	                (double)s.answers_unmatched);
}

static void report_series(struct dns *d, struct metrics_sink *sink,
                          const struct metrics_label *labels)
{
	metrics_gauge(sink, "weir_receiver_dns_series", "Sets of attributes that are kept.", labels,
	              (double)d->table.series.map.count);
	metrics_gauge(sink, "weir_receiver_dns_series_limit", "max_series.", labels,
	              (double)d->config->max_series);
	metrics_counter(sink, "weir_receiver_dns_overflowed_lookups",
	                "Look-ups added to the overflow series.", labels,
	                (double)d->table.overflowed);
	metrics_counter(sink, "weir_receiver_dns_folded_lookups",
	                "Look-ups counted under ~other because of max_names.", labels,
	                (double)d->table.names.folded);
	metrics_counter(sink, "weir_receiver_dns_replaced_names",
	                "Names whose series ended to make room for a name that is "
	                "asked for more often.",
	                labels, (double)d->table.names.replaced);
	metrics_counter(sink, "weir_receiver_dns_dropped_log_records",
	                "Log records that were not made because too many waited.",
	                METRICS_LABELS({"receiver", d->component.id}, {"reason", "queue_full"}),
	                (double)d->delivery.logs_dropped);
	metrics_counter(sink, "weir_receiver_dns_collections_skipped",
	                "Collections that were not sent to their end because the next component "
	                "did not keep up, or for want of memory.",
	                labels, (double)d->delivery.collections_skipped);
}

static void report_outbox(struct dns *d, struct metrics_sink *sink, enum signal signal)
{
	const struct outbox *o = signal == SIGNAL_METRICS ? d->delivery.metrics : d->delivery.logs;
	const struct metrics_label *labels =
		METRICS_LABELS({"receiver", d->component.id}, {"signal", signal_name(signal)});

	if (!o)
		return;
	metrics_gauge(sink, "weir_receiver_dns_unfinished_items",
	              "Data points and log records whose outcome is not known yet.", labels,
	              (double)outbox_items(o));
	metrics_counter(
		sink, "weir_receiver_dns_refused_items",
		"Cumulative data points that were refused; the next collection repeats them.",
		labels, (double)outbox_counts(o)->refused);
	metrics_counter(sink, "weir_receiver_dns_undeliverable_items",
	                "Data points and log records that the next component would never take.",
	                labels, (double)outbox_counts(o)->lost);
}

void dns_report(void *arg, struct metrics_sink *sink)
{
	struct dns *d = arg;
	const struct metrics_label *labels = METRICS_LABELS({"receiver", d->component.id});

	report_kernel(d, sink, labels);
	report_lookups(d, sink, labels);
	report_streams(d, sink, labels);
	report_series(d, sink, labels);
	report_outbox(d, sink, SIGNAL_METRICS);
	report_outbox(d, sink, SIGNAL_LOGS);
}
