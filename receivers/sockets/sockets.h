/* sockets: what the files of the receiver's component share: its configuration and its state.
 * Everything belongs to the loop, but walked and walk_error to the pool thread while walking. */
#ifndef WEIR_RECEIVERS_SOCKETS_SOCKETS_H
#define WEIR_RECEIVERS_SOCKETS_SOCKETS_H

#include "core/component.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "core/observe/delivery.h"
#include "core/self/histogram.h"
#include "core/self/metrics.h"
#include "receivers/sockets/sockets_batch.h"
#include "receivers/sockets/sockets_kernel.h"
#include "receivers/sockets/sockets_owners.h"

enum events { EVENTS_NONE, EVENTS_FAILED, EVENTS_ALL };
enum temporality { TEMPORALITY_CUMULATIVE, TEMPORALITY_DELTA };

struct sockets_config {
	uint64_t collection_interval;
	int temporality; /* enum temporality */
	int events;      /* enum events */
	bool client_address, per_process;
	uint64_t max_series;
	uint64_t series_ttl;
	uint64_t ring_size;
	bool program_statistics;
};

struct sockets_counts {
	uint64_t ring_records, walk_records;
	uint64_t walks_skipped; /* the one before was still running */
	uint64_t walks_failed, recounts;
};

struct sockets {
	struct component component;
	const struct sockets_config *config;
	struct source source;
	struct delivery_content content;
	struct delivery delivery;
	char host_name[256];

	struct sockets_kernel *kernel; /* NULL before start and after its failure */
	int statistics_fd; /* keeps the kernel's BPF statistics on; -1: not wanted, or refused */
	struct timer *timer;
	struct poll *poll;
	struct metrics_collector *collector;
	struct proc_cache *processes;
	struct sockets_table series;
	struct owners owners;

	bool walking;    /* walked and walk_error are the pool thread's */
	bool everything; /* this walk is to count open connections anew */
	struct buffer walked;
	struct error walk_error;

	struct buffer stash;  /* sockets_record: closed while a walk ran */
	struct buffer closed; /* their cookies, for the recount */
	uint64_t
		lost_seen; /* records that the kernel side could not hand over, when last looked at */
	bool recount_wanted;
	bool walk_failing;
	uint64_t walk_begun_ns;

	struct sockets_counts counts;
	struct histogram walk_duration;

	/* closing */
	bool started, closing, last_walk_done;
	uint64_t deadline_ns;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* Collector for host->metrics; arg is the struct sockets. */
void sockets_report(void *arg, struct metrics_sink *sink);

#endif
