/* dns: what the files of the receiver's component share: its configuration and its state. Everything
 * belongs to the loop. */
#ifndef WEIR_RECEIVERS_DNS_DNS_H
#define WEIR_RECEIVERS_DNS_DNS_H

#include "core/component.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "core/names/names.h"
#include "core/observe/delivery.h"
#include "core/self/metrics.h"
#include "receivers/dns/dns_kernel.h"
#include "receivers/dns/dns_series.h"

enum dns_events { DNS_EVENTS_NONE, DNS_EVENTS_FAILED, DNS_EVENTS_ALL };
enum dns_temporality { DNS_CUMULATIVE, DNS_DELTA };
enum { DNS_PORTS_MAX = 16 };

struct dns_names_config {
	uint64_t max_entries, max_age;
};

struct dns_config {
	uint64_t collection_interval;
	int temporality; /* enum dns_temporality */
	int events;      /* enum dns_events */
	struct uint_list ports;
	uint64_t timeout;
	uint64_t max_names, name_labels;
	bool per_process;
	uint64_t max_series, series_ttl;
	struct dns_names_config names;
	uint64_t ring_size, max_pending;
	bool program_statistics;
};

struct dns_counts {
	uint64_t answers, segments; /* events of the ring */
	uint64_t exchanges[DNS_MALFORMED + 1];
	uint64_t misdirected;
	uint64_t sweeps_failed;
};

struct dns {
	struct component component;
	const struct dns_config *config;
	struct source source;
	struct delivery_content content;
	struct delivery delivery;
	char host_name[256];

	struct dns_kernel *kernel; /* NULL before start and after its failure */
	int statistics_fd; /* keeps the kernel's BPF statistics on; -1: not wanted, or refused */
	struct timer *tick, *drain;
	struct poll *poll;
	struct metrics_collector *collector;
	struct dns_exchanges *exchanges;
	struct proc_cache *processes;
	struct dns_table table;
	struct names *names; /* NULL: observed names are not kept */
	struct names_witness witness;

	uint64_t swept_ns;                    /* when unanswered questions were last looked for */
	uint64_t losses_seen[DNS_LOSS_COUNT]; /* when last looked at */
	bool sweeping, sweep_failing;         /* the sweep goes on; the last one has failed */
	struct dns_counts counts;

	/* closing */
	bool started, closing;
	uint64_t deadline_ns;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* delivery_content.build_metrics; arg is the struct dns. */
bool dns_metrics_build(void *arg, struct aggregate_part part, uint64_t now_unix_ns,
                       struct batch **ret);

/* Makes a log record of the look-up wait to be sent. */
void dns_log_wait(struct dns *d, struct resource *resource, const struct dns_exchange *e);
/* observation_build. */
Otlp__LogRecord *dns_log_build(struct arena *a, const struct observation *o, uint64_t now_unix_ns,
                               uint64_t ahead_ns);

/* Collector for host->metrics; arg is the struct dns. */
void dns_report(void *arg, struct metrics_sink *sink);

#endif
