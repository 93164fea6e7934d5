/* dns: every DNS look-up of this host and its containers as metrics and log records, seen in the
 * kernel with eBPF (dns_kernel); and the names that addresses were asked for under (host->names).
 *
 * Happy path: on_drain (every DRAIN_NS) and on_ring (when much has come) -> drain -> dns_exchanges
 * puts question and answer together -> on_exchange: series, log records, names. on_drain also looks
 * for questions that nobody answered, once a second. on_tick -> collect: delivery hands the series on.
 *
 * Fails: rights or kernel features are missing (start fails and says which) · a sweep fails (the
 * status is RECOVERABLE_ERROR until one works; answers are still counted, unanswered questions later)
 * · the ring or the table of open questions was full (counted by the programs; said in the log with
 * the option that helps) · the next component does not keep up, no memory (delivery says what waits
 * and what is dropped; the overflow series).
 *
 * Closing: the ring is emptied, what has waited longer than the timeout is told as unanswered, a last
 * collection is sent, then until the deadline for outcomes. */
#include "receivers/dns/dns.h"

#include "core/base/clock.h"
#include "core/names/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DRAIN_AT_ONCE = 4096, /* events, before the loop serves others: a few ms */
	SWEEP_AT_ONCE = 1024, /* open questions looked at; the same */
	PROCESSES_KEPT = 4096,
	STREAMS_KEPT = 4096, /* TCP connections followed at once */
	STREAM_OPEN = 128,   /* questions of each that wait for their answers, */
	STREAMS_OPEN = 16384 /* and of all together */
};
#define DRAIN_NS (100 * NS_PER_MS)
#define DRAIN_AGAIN_NS NS_PER_MS /* when there was more; 0 would be the same turn of the loop */
#define SWEEP_NS NS_PER_S
#define FIRST_COLLECTION_NS NS_PER_S
#define CLOSING_TICK_NS (100 * NS_PER_MS)

static const char *const temporality_values[] = {"cumulative", "delta", NULL};
static const char *const events_values[] = {"none", "failed", "all", NULL};

static const struct option names_options[] = {
	OPTION_UINT(struct dns_names_config, max_entries, .text = "65536", .max = 16e6,
                    .doc = "Addresses whose names are kept, for the whole of weir; 0: none. Of "
                           "several receivers the largest number holds."),
	OPTION_DURATION(struct dns_names_config, max_age, .text = "5m", .max = 6.048e14,
                        .doc = "How long a name is kept beyond the time to live that the answer "
                               "gave it."),
	OPTION_END,
};

static const struct option dns_options[] = {
	OPTION_DURATION(struct dns_config, collection_interval, .text = "10s", .min = 1e8,
                        .max = 3.6e12,
                        .doc = "Time between two batches of metrics; the first comes after one "
                               "second at the latest."),
	OPTION_ENUM(struct dns_config, temporality, temporality_values, .text = "cumulative",
                    .doc = "Whether counters and histograms count from the start or from the last "
                           "batch."),
	OPTION_ENUM(struct dns_config, events, events_values, .text = "failed",
                    .doc = "Which look-ups become log records: none, those with an error.type, or "
                           "all."),
	OPTION_UINT_LIST(struct dns_config, ports, .text = "53", .min = 1, .max = 65535,
                         .doc = "Ports of servers that are watched, at most 16; 5353 adds "
                                "multicast DNS."),
	OPTION_DURATION(struct dns_config, timeout, .text = "5s", .min = 1e8, .max = 6e10,
                        .doc = "A question that has no answer after so long is a failed look-up."),
	OPTION_UINT(struct dns_config, max_names, .text = "100", .max = 1e4,
                    .doc = "Names of each resource that have series of their own, the most "
                           "frequent ones; all others are counted under ~other. 0: "
                           "dns.question.name is left out."),
	OPTION_UINT(struct dns_config, name_labels, .text = "0", .max = 127,
                    .doc = "Names in metrics are cut to so many last labels (2: example.org); 0: "
                           "they are left whole."),
	OPTION_BOOL(struct dns_config, per_process, .text = "false",
                    .doc = "Whether each process is a resource of its own with process.pid; "
                           "otherwise processes of one executable and container share one."),
	OPTION_UINT(struct dns_config, max_series, .text = "10000", .min = 1, .max = 10e6,
                    .doc = "Sets of attributes (over all resources) that are kept; what comes "
                           "beyond is added up in one overflow series."),
	OPTION_DURATION(struct dns_config, series_ttl, .text = "5m", .min = 1e9, .max = 6.048e14,
                        .doc = "A series that nothing has touched for so long is dropped."),
	OPTION_GROUP(struct dns_config, names, names_options,
                     .doc = "Names of addresses as answers told them, kept for other components."),
	OPTION_SIZE(struct dns_config, ring_size, .text = "4MiB", .min = 65536, .max = 1 << 28,
                    .doc = "Room for answers on their way from the kernel; rounded up to a power "
                           "of two."),
	OPTION_UINT(struct dns_config, max_pending, .text = "16384", .min = 64, .max = 4e6,
                    .doc = "Questions over UDP that may wait for their answers at once, each in "
                           "some 500 bytes of kernel memory that are taken at the start; "
                           "answers to those beyond are not counted as look-ups."),
	OPTION_BOOL(struct dns_config, program_statistics, .text = "false",
                    .doc = "Whether the kernel measures the runs and the time of the eBPF programs "
                           "for weir's own metrics; that costs some 20 ns a run, of all programs "
                           "of the host."),
	OPTION_END,
};

static void maybe_closed(struct dns *d);

/* ---- look-ups in */

struct observed {
	struct dns *dns;
	const struct dns_exchange *exchange;
	struct slice name;
	uint64_t now_ns;
};

static void on_address(void *arg, const struct address *address, uint32_t ttl_s)
{
	struct observed *o = arg;

	names_add(o->dns->names, o->exchange->netns, address, o->name, ttl_s, o->now_ns);
}

static void names_take(struct dns *d, const struct dns_exchange *e, uint64_t now_ns)
{
	char lower[DNS_NAME_TEXT];
	struct observed o = {d, e, {(const uint8_t *)lower, e->question.len}, now_ns};

	if (!d->names || e->role != ROLE_CLIENT || e->ending != DNS_ANSWERED || e->rcode ||
	    e->other_address || !e->question.len || e->question.len > sizeof lower)
		return;
	memcpy(lower, e->question.data, e->question.len);
	dns_name_lower(lower, e->question.len);
	dns_answer_addresses(e->answer, on_address, &o);
}

static bool is_wanted_as_log(const struct dns *d, const struct dns_exchange *e)
{
	return d->delivery.logs && (d->config->events == DNS_EVENTS_ALL || dns_exchange_error(e));
}

static void on_exchange(void *arg, const struct dns_exchange *e)
{
	struct dns *d = arg;
	uint64_t now = loop_now_ns(d->component.host->loop);
	struct proc_key key = resource_process_key(e->owner);
	struct resource *resource = resource_of_process(&d->table.series.resources, d->processes,
	                                                &key, d->config->per_process, now);

	if (e->other_address)
		d->counts.misdirected++;
	else
		d->counts.exchanges[e->ending]++;
	if (d->delivery.metrics)
		dns_table_add(&d->table, resource, e, now);
	if (is_wanted_as_log(d, e))
		dns_log_wait(d, resource, e);
	names_take(d, e, now);
	resource_unref(resource);
}

static void on_answer(void *arg, const struct dns_answer *answer, struct slice message)
{
	struct dns *d = arg;

	d->counts.answers++;
	dns_exchanges_answer(d->exchanges, answer, message);
}

static void on_segment(void *arg, const struct dns_segment *segment, struct slice bytes)
{
	struct dns *d = arg;

	d->counts.segments++;
	dns_exchanges_segment(d->exchanges, segment, bytes);
}

static void on_unanswered(void *arg, const struct dns_pending *pending)
{
	struct dns *d = arg;

	dns_exchanges_unanswered(d->exchanges, pending);
}

/* ---- the ring */

static bool drain(struct dns *d)
{
	bool more = dns_kernel_drain(d->kernel, DRAIN_AT_ONCE) == DRAIN_AT_ONCE;

	delivery_send_logs(&d->delivery);
	return more;
}

/* Somebody is about to ask for names. While a part of a collection is being handed on the series must
 * stay as they are. */
static void on_catch_up(void *arg)
{
	struct dns *d = arg;

	if (!delivery_is_calling(&d->delivery))
		dns_kernel_drain(d->kernel, DRAIN_AT_ONCE);
}

static void on_ring(void *arg, int events)
{
	(void)events;
	drain(arg);
}

static void report_sweep(struct dns *d, int r)
{
	const struct host *host = d->component.host;
	struct error error = ERROR_INIT;
	bool failed = r < 0;

	d->counts.sweeps_failed += failed;
	if (failed) {
		error_set(&error, r, "cannot look for questions without an answer: %s",
		          strerror(-r));
		log_warn(&d->component.log, "%s; it is tried again in a second", error.message);
	}
	if (failed != d->sweep_failing && host->report)
		host->report(host, &d->component, failed ? STATUS_RECOVERABLE_ERROR : STATUS_OK,
		             failed ? &error : NULL);
	d->sweep_failing = failed;
}

/* Begins a sweep, or goes on with it. Returns how many questions it found. */
static int sweep(struct dns *d, uint64_t now_ns)
{
	uint64_t timeout = d->config->timeout;
	bool more = false;
	int n;

	d->swept_ns = now_ns;
	if (now_ns < timeout)
		return 0;
	if (!d->sweeping)
		dns_exchanges_sweep(d->exchanges, now_ns - timeout);
	n = dns_kernel_sweep(d->kernel, now_ns - timeout, SWEEP_AT_ONCE, &more);
	d->sweeping = n >= 0 && more;
	report_sweep(d, n);
	return n;
}

/* Until it finds none: what the kernel passed over is left to the sweep after it. */
static void sweep_all(struct dns *d)
{
	uint64_t now = clock_monotonic_ns();

	while (sweep(d, now) > 0 || d->sweeping)
		continue;
}

static void on_drain(void *arg)
{
	struct dns *d = arg;
	uint64_t now = clock_monotonic_ns();
	bool more = drain(d);

	if (d->sweeping || now - d->swept_ns >= SWEEP_NS)
		sweep(d, now);
	if (more || d->sweeping)
		timer_start(d->drain, DRAIN_AGAIN_NS, DRAIN_NS);
}

/* What came before now: more than fits the largest ring would be endless. */
static void ring_empty(struct dns *d)
{
	struct dns_kernel_stats stats;
	size_t most;

	dns_kernel_stats(d->kernel, &stats);
	most = stats.ring_bytes / sizeof(struct dns_segment) / DRAIN_AT_ONCE + 1;
	while (most-- && drain(d))
		continue;
}

/* ---- losses */

static void look_for_losses(struct dns *d)
{
	struct dns_kernel_stats stats;
	uint64_t ring, pending;

	dns_kernel_stats(d->kernel, &stats);
	ring = stats.losses[DNS_LOSS_RING_FULL] + stats.losses[DNS_LOSS_SEGMENT_FULL] -
	       d->losses_seen[DNS_LOSS_RING_FULL] - d->losses_seen[DNS_LOSS_SEGMENT_FULL];
	pending = stats.losses[DNS_LOSS_PENDING_FULL] - d->losses_seen[DNS_LOSS_PENDING_FULL];
	if (ring)
		log_warn(&d->component.log,
		         "%llu answers or pieces of them found no room on their way from the "
		         "kernel: these look-ups are missing in all figures; a larger ring_size "
		         "helps",
		         (unsigned long long)ring);
	if (pending)
		log_warn(&d->component.log,
		         "%llu questions found no room to wait for their answers: these look-ups "
		         "are missing in all figures; a larger max_pending helps",
		         (unsigned long long)pending);
	memcpy(d->losses_seen, stats.losses, sizeof d->losses_seen);
}

/* ---- collections */

static void collect(struct dns *d)
{
	drain(d);
	look_for_losses(d);
	aggregates_expire(&d->table.series, clock_monotonic_ns(), d->config->series_ttl);
	delivery_collect(&d->delivery);
	delivery_send_logs(&d->delivery);
}

static void on_tick(void *arg)
{
	struct dns *d = arg;

	delivery_retry(&d->delivery, clock_monotonic_ns());
	if (d->closing)
		maybe_closed(d);
	else
		collect(d);
}

static void on_progress(void *arg)
{
	maybe_closed(arg);
}

/* ---- life */

extern const struct component_type receiver_dns_type;

static int dns_check(const void *config, struct error *error)
{
	const struct dns_config *c = config;

	if (!c->ports.count || c->ports.count > DNS_PORTS_MAX)
		return error_set(error, -EINVAL, "`ports` must name 1 to %d ports", DNS_PORTS_MAX);
	return 0;
}

static void dns_destroy(struct component *c)
{
	struct dns *d = (struct dns *)c;

	if (!d)
		return;
	delivery_fini(&d->delivery);
	dns_exchanges_free(d->exchanges);
	dns_table_fini(&d->table);
	proc_cache_free(d->processes);
	free(d);
}

static int delivery_create(struct dns *d, const struct create_args *args)
{
	struct consumer logs = {0};

	if (d->config->events != DNS_EVENTS_NONE)
		logs = args->next[SIGNAL_LOGS];
	d->content = (struct delivery_content){.source = &d->source,
	                                       .series = &d->table.series,
	                                       .delta = d->config->temporality == DNS_DELTA,
	                                       .build_metrics = dns_metrics_build,
	                                       .build_log = dns_log_build,
	                                       .on_progress = on_progress,
	                                       .arg = d};
	return delivery_init(&d->delivery, &d->content, args->next[SIGNAL_METRICS], logs);
}

static void table_create(struct dns *d)
{
	const struct dns_table_limits limits = {.max_series = d->config->max_series,
	                                        .max_names = d->config->max_names,
	                                        .name_labels = (unsigned)d->config->name_labels,
	                                        .timeout_ns = d->config->timeout};

	if (gethostname(d->host_name, sizeof d->host_name - 1) < 0)
		strcpy(d->host_name, "unknown");
	dns_table_init(&d->table, d->host_name, &limits, clock_realtime_ns());
}

static int dns_create(const struct create_args *args, struct component **ret, struct error *error)
{
	struct dns *d = calloc(1, sizeof *d);
	const struct dns_exchanges_limits limits = {.max_streams = STREAMS_KEPT,
	                                            .max_open = STREAM_OPEN,
	                                            .max_open_all = STREAMS_OPEN};

	if (!d)
		return error_no_memory(error);
	component_init(&d->component, &receiver_dns_type, args);
	d->config = args->config;
	d->statistics_fd = -1;
	d->source = (struct source){.host_name = d->host_name,
	                            .version = args->host->version,
	                            .scope = "weir/receivers/dns",
	                            .receiver = args->id,
	                            .budget = args->host->budget};
	table_create(d);
	d->exchanges = dns_exchanges_new(&limits, on_exchange, d);
	d->processes = proc_cache_new("/proc", PROCESSES_KEPT);
	if (!d->exchanges || !d->processes || delivery_create(d, args) < 0) {
		dns_destroy(&d->component);
		return error_no_memory(error);
	}
	*ret = &d->component;
	return 0;
}

static int kernel_open(struct dns *d, struct error *error)
{
	const struct uint_list *ports = &d->config->ports;
	uint16_t numbers[DNS_PORTS_MAX];
	const struct dns_kernel_limits limits = {
		.ring_bytes = d->config->ring_size,
		.max_pending = (uint32_t)d->config->max_pending,
		.ports = numbers,
		.n_ports = ports->count < DNS_PORTS_MAX ? ports->count : DNS_PORTS_MAX,
	};
	const struct dns_kernel_handler handler = {on_answer, on_segment, on_unanswered, d};

	for (size_t i = 0; i < limits.n_ports; i++)
		numbers[i] = (uint16_t)ports->items[i];
	return dns_kernel_open(&d->component.log, &limits, &handler, &d->kernel, error);
}

static void names_open(struct dns *d)
{
	const struct dns_names_config *c = &d->config->names;

	if (!c->max_entries || !d->component.host->names)
		return;
	d->names = d->component.host->names;
	names_limit(d->names, c->max_entries, c->max_age);
	d->witness = (struct names_witness){.catch_up = on_catch_up, .arg = d};
	names_join(d->names, &d->witness);
}

static int dns_start(struct component *c, struct error *error)
{
	struct dns *d = (struct dns *)c;
	struct loop *loop = c->host->loop;
	uint64_t interval = d->config->collection_interval;

	if (kernel_open(d, error) < 0)
		return error_wrap(error, "%s", c->subject);
	if (d->config->program_statistics && (d->statistics_fd = program_stats_enable()) < 0)
		log_warn(
			&c->log,
			"program_statistics: the kernel refused (%s): the runs and the time of the "
			"eBPF programs stay 0; it needs CAP_SYS_ADMIN",
			strerror(-d->statistics_fd));
	names_open(d);
	aggregates_begin(&d->table.series, clock_realtime_ns());
	d->swept_ns = clock_monotonic_ns();
	d->tick = timer_new(loop, on_tick, d);
	d->drain = timer_new(loop, on_drain, d);
	d->poll = poll_new(loop, dns_kernel_fd(d->kernel), on_ring, d);
	d->collector = metrics_register(c->host->metrics, dns_report, d);
	if (!d->tick || !d->drain || !d->poll || !d->collector ||
	    delivery_start(&d->delivery, loop) < 0)
		return error_no_memory(error);
	d->started = true;
	timer_start(d->tick, interval < FIRST_COLLECTION_NS ? interval : FIRST_COLLECTION_NS,
	            interval);
	timer_start(d->drain, DRAIN_NS, DRAIN_NS);
	poll_start(d->poll, POLL_READABLE);
	return 0;
}

static void teardown(struct dns *d)
{
	timer_free(d->tick);
	timer_free(d->drain);
	poll_free(d->poll);
	delivery_stop(&d->delivery);
	names_leave(&d->witness);
	if (d->collector)
		metrics_unregister(d->component.host->metrics, d->collector);
	dns_kernel_close(d->kernel);
	if (d->statistics_fd >= 0)
		close(d->statistics_fd);
	d->tick = d->drain = NULL;
	d->poll = NULL;
	d->collector = NULL;
	d->kernel = NULL;
	d->statistics_fd = -1;
}

/* The one gate of closing. */
static void maybe_closed(struct dns *d)
{
	void (*on_closed)(void *arg) = d->on_closed;

	if (!d->closing || !on_closed || delivery_is_calling(&d->delivery))
		return;
	if (!delivery_is_finished(&d->delivery) && clock_monotonic_ns() < d->deadline_ns)
		return;
	if (d->kernel)
		look_for_losses(d);
	delivery_log_undelivered(&d->delivery, &d->component.log);
	teardown(d);
	d->on_closed = NULL;
	on_closed(d->on_closed_arg);
}

static void dns_shutdown(struct component *c, uint64_t deadline_ns, void (*closed)(void *arg),
                         void *arg)
{
	struct dns *d = (struct dns *)c;

	d->closing = true;
	d->deadline_ns = deadline_ns;
	if (d->started) {
		timer_stop(d->drain);
		poll_stop(d->poll);
		ring_empty(d);
		sweep_all(d);
		collect(d);
		timer_start(d->tick, CLOSING_TICK_NS, CLOSING_TICK_NS);
	}
	d->on_closed = closed;
	d->on_closed_arg = arg;
	maybe_closed(d);
}

const struct component_type receiver_dns_type = {
	.name = "dns",
	.kind = RECEIVER,
	.signals = SIGNAL_BIT(SIGNAL_METRICS) | SIGNAL_BIT(SIGNAL_LOGS),
	.caps = CAP_SHARED | CAP_BPF,
	.summary = "Every DNS look-up of this host and its containers, seen in the kernel with "
		   "eBPF: who asks for which name at which resolver, how long it takes and how it "
		   "fails.",
	.stability = "development",
	.config_size = sizeof(struct dns_config),
	.options = dns_options,
	.check = dns_check,
	.create = dns_create,
	.start = dns_start,
	.shutdown = dns_shutdown,
	.destroy = dns_destroy,
};
