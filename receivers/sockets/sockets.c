/* sockets: every TCP connection of this host as metrics and log records, read from the kernel with
 * eBPF (sockets_kernel). No hook runs per packet or per call of a program.
 *
 * Happy path: on_tick -> walk (pool thread) -> on_walked: what the walk found, then what closed
 * meanwhile, is added to the series; delivery hands these on. on_ring empties the ring between ticks
 * when many connections close; what it brings while a collection is being sent is in the parts that
 * were not sent yet, under the collection's one moment.
 *
 * Fails: rights or kernel features are missing (start fails and says which) · a walk fails (the
 * status is RECOVERABLE_ERROR until one works; what closes is still counted) · the next component
 * does not keep up (delivery says what waits and what is dropped) · the ring was full (counted; the
 * number of open connections is counted anew from one full walk) · no memory (the same as not keeping
 * up, or the overflow series).
 *
 * Closing: a last walk, a last batch of each, then until the deadline for their outcomes. */
#include "receivers/sockets/sockets.h"

#include "bpf/host/program_stats.h"
#include "core/base/clock.h"
#include "core/loop/work.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	STASH_LIMIT = 65536,  /* records that close while a walk runs */
	DRAIN_AT_ONCE = 4096, /* records, before the loop serves others */
	PROCESSES_KEPT = 4096,
};
#define FIRST_COLLECTION_NS NS_PER_S
#define CLOSING_TICK_NS (100 * NS_PER_MS)

static const char *const temporality_values[] = {"cumulative", "delta", NULL};
static const char *const events_values[] = {"none", "failed", "all", NULL};

static const struct option sockets_options[] = {
	OPTION_DURATION(
		struct sockets_config, collection_interval, .text = "10s", .min = 1e8,
		.max = 3.6e12,
		.doc = "Time between two readings of all sockets; the first comes after one "
		       "second at the latest."),
	OPTION_ENUM(struct sockets_config, temporality, temporality_values, .text = "cumulative",
                    .doc = "Whether counters and histograms count from the start or from the last "
                           "batch; weir.tcp.connections is always cumulative."),
	OPTION_ENUM(struct sockets_config, events, events_values, .text = "failed",
                    .doc = "Which connections become log records: none, those that failed to be "
                           "established, or all that ended."),
	OPTION_BOOL(struct sockets_config, client_address, .text = "false",
                    .doc = "Whether series of servers are told apart by client.address."),
	OPTION_BOOL(struct sockets_config, per_process, .text = "false",
                    .doc = "Whether each process is a resource of its own with process.pid; "
                           "otherwise processes of one executable and container share one."),
	OPTION_UINT(struct sockets_config, max_series, .text = "10000", .min = 1, .max = 10e6,
                    .doc = "Sets of attributes (over all resources) that are kept; what comes "
                           "beyond is added up in one overflow series."),
	OPTION_DURATION(struct sockets_config, series_ttl, .text = "5m", .min = 1e9,
                        .max = 6.048e14,
                        .doc = "A series without open connections that nothing has touched for so "
                               "long is dropped."),
	OPTION_SIZE(struct sockets_config, ring_size, .text = "1MiB", .min = 65536, .max = 1 << 28,
                    .doc = "Room for records of closed connections on their way from the kernel; "
                           "rounded up to a power of two."),
	OPTION_BOOL(
		struct sockets_config, program_statistics, .text = "false",
		.doc = "Whether the kernel measures the runs and the time of the eBPF programs for "
		       "weir's "
		       "own metrics; that costs some 20 ns a run, of all programs of the host."),
	OPTION_END,
};

static void maybe_closed(struct sockets *s);

/* ---- records in */

static bool is_wanted_as_log(const struct sockets *s, const struct sockets_record *r)
{
	if (!s->delivery.logs || !(r->flags & (SOCKETS_CLOSED | SOCKETS_FAILED)))
		return false;
	return s->config->events == EVENTS_ALL ||
	       (s->config->events == EVENTS_FAILED && (r->flags & SOCKETS_FAILED));
}

static void log_wait(struct sockets *s, struct resource *resource, const struct sockets_record *r)
{
	struct sockets_log *log;

	if (!delivery_may_observe(&s->delivery, sizeof *log))
		return;
	log = malloc(sizeof *log);
	if (!log) {
		s->delivery.logs_dropped++;
		return;
	}
	*log = (struct sockets_log){.base.resource = resource ? resource_ref(resource) : NULL,
	                            .record = *r};
	delivery_observe(&s->delivery, &log->base, sizeof *log);
}

static void record_take(struct sockets *s, const struct sockets_record *r)
{
	uint64_t now = loop_now_ns(s->component.host->loop);
	struct resource *resource = owners_resource(&s->owners, r, now);

	if (s->delivery.metrics)
		sockets_table_add(&s->series, resource, r, now);
	if (is_wanted_as_log(s, r))
		log_wait(s, resource, r);
	resource_unref(resource);
}

static void on_ring_record(void *arg, const struct sockets_record *r)
{
	struct sockets *s = arg;

	s->counts.ring_records++;
	if (s->walking) /* after what the walk found: a socket's records are added in order */
		buffer_append(&s->stash, r, sizeof *r);
	else
		record_take(s, r);
	if (s->recount_wanted)
		buffer_append(&s->closed, &r->cookie, sizeof r->cookie);
}

/* ---- batches out */

static bool build_metrics(void *arg, struct aggregate_part part, uint64_t now_unix_ns,
                          struct batch **ret)
{
	struct sockets *s = arg;

	return sockets_metrics_build(&s->source, &s->series, part, s->content.delta, now_unix_ns,
	                             ret);
}

static void on_progress(void *arg)
{
	maybe_closed(arg);
}

/* ---- the ring */

static void on_ring(void *arg, int events)
{
	struct sockets *s = arg;
	size_t room = STASH_LIMIT - s->stash.len / sizeof(struct sockets_record);

	(void)events;
	if (!room) { /* the walk takes too long; what finds no room in the ring is counted there */
		poll_stop(s->poll);
		return;
	}
	sockets_kernel_drain(s->kernel, room < DRAIN_AT_ONCE ? room : DRAIN_AT_ONCE, on_ring_record,
	                     s);
	if (!s->walking)
		delivery_send_logs(&s->delivery);
}

static void ring_empty(struct sockets *s)
{
	for (int i = 0; i < STASH_LIMIT / DRAIN_AT_ONCE; i++) {
		if (sockets_kernel_drain(s->kernel, DRAIN_AT_ONCE, on_ring_record, s) <
		    DRAIN_AT_ONCE)
			break;
		delivery_send_logs(&s->delivery);
	}
}

/* ---- the walk */

static void walk(void *arg)
{
	struct sockets *s = arg;

	sockets_kernel_walk(s->kernel, s->everything, &s->walked, &s->walk_error);
}

static int cookie_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Records of closing sockets were lost: the open ones are those that a walk over everything found,
 * less those that closed while it ran. */
static void recount(struct sockets *s)
{
	const struct sockets_record *r = (const struct sockets_record *)s->walked.data;
	size_t n = s->walked.len / sizeof *r, n_closed = s->closed.len / sizeof(uint64_t);
	uint64_t now = loop_now_ns(s->component.host->loop);

	if (s->closed.failed || s->walked.failed)
		return; /* the next walk tries again */
	if (n_closed)
		qsort(s->closed.data, n_closed, sizeof(uint64_t), cookie_compare);
	sockets_table_recount(&s->series);
	owners_recount(&s->owners);
	for (size_t i = 0; i < n; i++) {
		struct resource *resource;

		if (n_closed && bsearch(&r[i].cookie, s->closed.data, n_closed, sizeof(uint64_t),
		                        cookie_compare))
			continue;
		resource = owners_recount_seen(&s->owners, &r[i], now);
		sockets_table_recount_seen(&s->series, resource, &r[i]);
		resource_unref(resource);
	}
	owners_recount_end(&s->owners);
	s->counts.recounts++;
	s->recount_wanted = false;
}

static void take_all(struct sockets *s, const struct buffer *records)
{
	const struct sockets_record *r = (const struct sockets_record *)records->data;
	size_t n = records->len / sizeof *r;

	for (size_t i = 0; i < n; i++)
		record_take(s, &r[i]);
}

static void report_walk(struct sockets *s)
{
	const struct host *host = s->component.host;
	bool failed = error_is_set(&s->walk_error);

	s->counts.walks_failed += failed;
	if (failed)
		log_warn(&s->component.log, "%s; open connections are read again at the next tick",
		         s->walk_error.message);
	if (failed != s->walk_failing && host->report)
		host->report(host, &s->component, failed ? STATUS_RECOVERABLE_ERROR : STATUS_OK,
		             failed ? &s->walk_error : NULL);
	s->walk_failing = failed;
}

/* Buffers that grew for a burst are given back. */
static void buffer_reset(struct buffer *b)
{
	if (b->capacity > 1 << 20)
		buffer_fini(b);
	buffer_clear(b);
}

static void collect(struct sockets *s)
{
	ring_empty(s);
	if (s->everything && !error_is_set(&s->walk_error))
		recount(s);
	buffer_reset(&s->walked);
	buffer_reset(&s->closed);
	aggregates_expire(&s->series.series, clock_monotonic_ns(), s->config->series_ttl);
	delivery_collect(&s->delivery);
	delivery_send_logs(&s->delivery);
	poll_start(s->poll, POLL_READABLE);
}

static void on_walked(void *arg)
{
	struct sockets *s = arg;

	histogram_add(&s->walk_duration, clock_monotonic_ns() - s->walk_begun_ns);
	report_walk(s);
	s->counts.walk_records += s->walked.len / sizeof(struct sockets_record);
	take_all(s, &s->walked);
	take_all(s, &s->stash);
	if (s->stash.failed)
		s->recount_wanted = true; /* no memory for some of them */
	buffer_reset(&s->stash);
	s->walking = false;
	collect(s);
	s->last_walk_done = s->closing;
	maybe_closed(s);
}

static void look_for_losses(struct sockets *s)
{
	struct sockets_kernel_stats stats;
	uint64_t lost;

	sockets_kernel_stats(s->kernel, &stats);
	lost = stats.losses[SOCKETS_LOSS_RING_FULL] + stats.missed_changes;
	if (lost != s->lost_seen) {
		s->recount_wanted = true;
		log_warn(&s->component.log,
		         "the kernel side could not hand over %llu of its records: they are "
		         "missing in "
		         "all counters but weir.tcp.connections, which is counted anew; a larger "
		         "ring_size helps",
		         (unsigned long long)(lost - s->lost_seen));
	}
	s->lost_seen = lost;
}

/* Without metrics nobody needs the walk. */
static bool walk_begin(struct sockets *s)
{
	if (!s->delivery.metrics)
		return false;
	look_for_losses(s);
	s->everything = s->recount_wanted;
	s->walk_error = (struct error)ERROR_INIT;
	s->walk_begun_ns = clock_monotonic_ns();
	if (work_submit(s->component.host->loop, walk, on_walked, s) < 0)
		return false;
	s->walking = true;
	return true;
}

static void on_tick(void *arg)
{
	struct sockets *s = arg;

	delivery_retry(&s->delivery, clock_monotonic_ns());
	if (s->closing) {
		maybe_closed(s);
		return;
	}
	if (s->walking) {
		s->counts.walks_skipped++;
		return;
	}
	if (!walk_begin(s))
		collect(s);
}

/* ---- life */

extern const struct component_type receiver_sockets_type;

static void sockets_destroy(struct component *c)
{
	struct sockets *s = (struct sockets *)c;

	if (!s)
		return;
	delivery_fini(&s->delivery);
	owners_fini(&s->owners);
	sockets_table_fini(&s->series);
	proc_cache_free(s->processes);
	buffer_fini(&s->walked);
	buffer_fini(&s->stash);
	buffer_fini(&s->closed);
	free(s);
}

static int delivery_create(struct sockets *s, const struct create_args *args)
{
	struct consumer logs = {0};

	if (s->config->events != EVENTS_NONE)
		logs = args->next[SIGNAL_LOGS];
	s->content = (struct delivery_content){.source = &s->source,
	                                       .series = &s->series.series,
	                                       .delta = s->config->temporality == TEMPORALITY_DELTA,
	                                       .build_metrics = build_metrics,
	                                       .build_log = sockets_log_build,
	                                       .on_progress = on_progress,
	                                       .arg = s};
	return delivery_init(&s->delivery, &s->content, args->next[SIGNAL_METRICS], logs);
}

static int sockets_create(const struct create_args *args, struct component **ret,
                          struct error *error)
{
	struct sockets *s = calloc(1, sizeof *s);

	if (!s)
		return error_no_memory(error);
	component_init(&s->component, &receiver_sockets_type, args);
	s->config = args->config;
	s->statistics_fd = -1;
	if (gethostname(s->host_name, sizeof s->host_name - 1) < 0)
		strcpy(s->host_name, "unknown");
	s->source = (struct source){.host_name = s->host_name,
	                            .version = args->host->version,
	                            .scope = "weir/receivers/sockets",
	                            .receiver = args->id,
	                            .budget = args->host->budget};
	sockets_table_init(&s->series, s->host_name, s->config->max_series,
	                   s->config->client_address, clock_realtime_ns());
	s->processes = proc_cache_new("/proc", PROCESSES_KEPT);
	owners_init(&s->owners, s->processes, &s->series.series.resources, s->config->per_process);
	if (!s->processes || delivery_create(s, args) < 0) {
		sockets_destroy(&s->component);
		return error_no_memory(error);
	}
	*ret = &s->component;
	return 0;
}

static int sockets_start(struct component *c, struct error *error)
{
	struct sockets *s = (struct sockets *)c;
	struct loop *loop = c->host->loop;
	uint64_t interval = s->config->collection_interval;

	if (sockets_kernel_open(&c->log, s->config->ring_size, &s->kernel, error) < 0)
		return error_wrap(error, "%s", c->subject);
	if (s->config->program_statistics && (s->statistics_fd = program_stats_enable()) < 0)
		log_warn(
			&c->log,
			"program_statistics: the kernel refused (%s): the runs and the time of the "
			"eBPF programs stay 0; it needs CAP_SYS_ADMIN",
			strerror(-s->statistics_fd));
	aggregates_begin(&s->series.series, clock_realtime_ns());
	s->timer = timer_new(loop, on_tick, s);
	s->poll = poll_new(loop, sockets_kernel_fd(s->kernel), on_ring, s);
	s->collector = metrics_register(c->host->metrics, sockets_report, s);
	if (!s->timer || !s->poll || !s->collector || delivery_start(&s->delivery, loop) < 0)
		return error_no_memory(error);
	s->started = true;
	timer_start(s->timer, interval < FIRST_COLLECTION_NS ? interval : FIRST_COLLECTION_NS,
	            interval);
	poll_start(s->poll, POLL_READABLE);
	return 0;
}

static void say_what_was_lost(struct sockets *s)
{
	if (s->kernel)
		look_for_losses(s);
	delivery_log_undelivered(&s->delivery, &s->component.log);
}

/* The one gate of closing. */
static void maybe_closed(struct sockets *s)
{
	void (*on_closed)(void *arg) = s->on_closed;

	if (!s->closing || s->walking || delivery_is_calling(&s->delivery) || !on_closed)
		return;
	if (!s->last_walk_done)
		return;
	if (!delivery_is_finished(&s->delivery) && clock_monotonic_ns() < s->deadline_ns)
		return;
	say_what_was_lost(s);
	timer_free(s->timer);
	delivery_stop(&s->delivery);
	poll_free(s->poll);
	if (s->collector)
		metrics_unregister(s->component.host->metrics, s->collector);
	sockets_kernel_close(s->kernel);
	if (s->statistics_fd >= 0)
		close(s->statistics_fd);
	s->statistics_fd = -1;
	s->timer = NULL;
	s->poll = NULL;
	s->collector = NULL;
	s->kernel = NULL;
	s->on_closed = NULL;
	on_closed(s->on_closed_arg);
}

static void sockets_shutdown(struct component *c, uint64_t deadline_ns, void (*closed)(void *arg),
                             void *arg)
{
	struct sockets *s = (struct sockets *)c;

	s->closing = true;
	s->deadline_ns = deadline_ns;
	s->on_closed = closed;
	s->on_closed_arg = arg;
	if (s->started) {
		timer_start(s->timer, CLOSING_TICK_NS, CLOSING_TICK_NS);
		if (!s->walking && !walk_begin(s)) {
			collect(s);
			s->last_walk_done = true;
		}
	} else {
		s->last_walk_done = true; /* start failed half-way, or never was */
	}
	maybe_closed(s);
}

const struct component_type receiver_sockets_type = {
	.name = "sockets",
	.kind = RECEIVER,
	.signals = SIGNAL_BIT(SIGNAL_METRICS) | SIGNAL_BIT(SIGNAL_LOGS),
	.caps = CAP_SHARED | CAP_BPF,
	.summary =
		"Every TCP connection of this host, read from the kernel with eBPF: who talks to "
		"whom, how much, how fast, and what failed.",
	.stability = "development",
	.config_size = sizeof(struct sockets_config),
	.options = sockets_options,
	.create = sockets_create,
	.start = sockets_start,
	.shutdown = sockets_shutdown,
	.destroy = sockets_destroy,
};
