/* The receiver on a real loop, with a kernel side that does what the test says. */
#include "core/base/clock.h"
#include "core/data/semconv.h"
#include "receivers/sockets/sockets.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type receiver_sockets_type;

/* ---- the kernel side */

enum { SCRIPT_MAX = 20000 };

static struct kernel {
	struct sockets_record ring[SCRIPT_MAX], walk[SCRIPT_MAX];
	size_t ring_from, ring_to, n_walk;
	uint64_t lost;
	int fd, open_error, walk_error;
	unsigned walks, full_walks, closed;
	struct sockets_record closes_during_walk; /* cookie 0: none */
	_Atomic bool walk_waits;                  /* until the ring was emptied */
} kernel;

static void ring_put(struct sockets_record r)
{
	uint64_t one = 1;

	assert_true(kernel.ring_to < SCRIPT_MAX);
	kernel.ring[kernel.ring_to++] = r;
	assert_int_equal(write(kernel.fd, &one, sizeof one), sizeof one);
}

int sockets_kernel_open(const struct logger *log, size_t ring_bytes, struct sockets_kernel **ret,
                        struct error *error)
{
	(void)log, (void)ring_bytes;
	if (kernel.open_error)
		return error_set(error, kernel.open_error, "CAP_BPF is missing; run as root");
	*ret = (struct sockets_kernel *)&kernel;
	return 0;
}

void sockets_kernel_close(struct sockets_kernel *k)
{
	kernel.closed += k != NULL;
}

int sockets_kernel_fd(const struct sockets_kernel *k)
{
	(void)k;
	return kernel.fd;
}

size_t sockets_kernel_drain(struct sockets_kernel *k, size_t max,
                            void (*on_record)(void *arg, const struct sockets_record *record),
                            void *arg)
{
	size_t n = 0;
	uint64_t value;

	(void)k;
	for (; n < max && kernel.ring_from < kernel.ring_to; n++)
		on_record(arg, &kernel.ring[kernel.ring_from++]);
	if (kernel.ring_from == kernel.ring_to) {
		kernel.ring_from = kernel.ring_to = 0;
		kernel.walk_waits = false;
		if (read(kernel.fd, &value, sizeof value) < 0)
			assert_int_equal(errno, EAGAIN);
	}
	return n;
}

int sockets_kernel_walk(struct sockets_kernel *k, bool everything, struct buffer *ret_records,
                        struct error *error)
{
	(void)k;
	kernel.walks++;
	kernel.full_walks += everything;
	while (kernel.walk_waits)
		sched_yield();
	if (kernel.walk_error)
		return error_set(error, kernel.walk_error, "cannot read the sockets");
	buffer_append(ret_records, kernel.walk, kernel.n_walk * sizeof *kernel.walk);
	kernel.n_walk = 0;
	if (kernel.closes_during_walk.cookie) {
		kernel.ring[kernel.ring_to++] = kernel.closes_during_walk;
		kernel.closes_during_walk.cookie = 0;
	}
	return 0;
}

void sockets_kernel_stats(struct sockets_kernel *k, struct sockets_kernel_stats *ret)
{
	(void)k;
	*ret = (struct sockets_kernel_stats){.losses[SOCKETS_LOSS_RING_FULL] = kernel.lost,
	                                     .n_programs = 1,
	                                     .programs = {{.name = "sockets_changed"}}};
}

/* ---- the next component: remembers what came and answers as it is told */

struct sink {
	enum outcome_status answer;
	bool hold; /* answer later */
	struct done held[64];
	size_t n_held;
	struct batch *last;
	unsigned batches;
	size_t items;
};

static void sink_consume(void *self, struct batch *b, struct done done)
{
	struct sink *s = self;
	struct outcome outcome = {.status = s->answer};
	struct error error = ERROR_INIT;

	assert_int_equal(batch_read(b, &error), 0);
	batch_unref(s->last);
	s->last = b;
	s->batches++;
	s->items += b->items;
	if (s->hold)
		s->held[s->n_held++] = done;
	else
		done_call(done, &outcome);
}

static void sink_answer(struct sink *s, enum outcome_status status)
{
	size_t n = s->n_held;

	s->n_held = 0;
	for (size_t i = 0; i < n; i++)
		done_call(s->held[i], &(struct outcome){.status = status});
}

struct seen;

/* ---- one receiver */

struct rig {
	struct loop *loop;
	struct host host;
	struct metrics *own;
	struct sockets_config config;
	struct sink metrics, logs;
	struct seen *seen; /* takes the metrics instead */
	struct component *receiver;
	bool closed;
};

static void on_closed(void *arg)
{
	((struct rig *)arg)->closed = true;
}

static void rig_init(struct rig *r)
{
	struct error error = ERROR_INIT;

	memset(&kernel, 0, sizeof kernel);
	kernel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*r = (struct rig){
		.config = {.collection_interval = 20 * NS_PER_MS,
	                   .events = EVENTS_ALL,
	                   .max_series = 100,
	                   .series_ttl = 300 * NS_PER_S,
	                   .ring_size = 1 << 20},
	};
	assert_int_equal(loop_new(&r->loop, &error), 0);
	r->own = metrics_new();
	r->host = (struct host){.loop = r->loop, .metrics = r->own, .version = "9.9"};
}

static void seen_consume(void *self, struct batch *b, struct done done);

static void rig_create(struct rig *r)
{
	struct create_args args = {
		.id = "sockets",
		.config = &r->config,
		.host = &r->host,
		.signal = SIGNAL_METRICS,
		.next = {[SIGNAL_METRICS] = {sink_consume, &r->metrics},
	                 [SIGNAL_LOGS] = {sink_consume, &r->logs}},
	};
	struct error error = ERROR_INIT;

	if (r->seen)
		args.next[SIGNAL_METRICS] = (struct consumer){seen_consume, r->seen};
	assert_int_equal(receiver_sockets_type.create(&args, &r->receiver, &error), 0);
}

static void rig_start(struct rig *r)
{
	struct error error = ERROR_INIT;

	rig_create(r);
	assert_int_equal(receiver_sockets_type.start(r->receiver, &error), 0);
}

#define WAIT_UNTIL(rig, condition)                                                                 \
	do {                                                                                       \
		uint64_t deadline_ = clock_monotonic_ns() + 10 * NS_PER_S;                         \
		while (!(condition)) {                                                             \
			assert_true(clock_monotonic_ns() < deadline_);                             \
			loop_run_once((rig)->loop);                                                \
		}                                                                                  \
	} while (0)

static void rig_shutdown(struct rig *r, uint64_t within_ns)
{
	receiver_sockets_type.shutdown(r->receiver, clock_monotonic_ns() + within_ns, on_closed, r);
	WAIT_UNTIL(r, r->closed);
}

static void rig_fini(struct rig *r)
{
	receiver_sockets_type.destroy(r->receiver);
	batch_unref(r->metrics.last);
	batch_unref(r->logs.last);
	loop_run(r->loop);
	loop_free(r->loop);
	metrics_free(r->own);
	close(kernel.fd);
}

/* ---- what is in a batch */

static bool has_text(Otlp__KeyValue **attributes, size_t n, const char *key, const char *value)
{
	const Otlp__AnyValue *v = attribute_find(attributes, n, key);

	return v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE &&
	       slice_equal(slice_of(v->string_value.data, v->string_value.len),
	                   slice_from_string(value));
}

static const Otlp__Metric *find_metric(const struct group *g, const char *name)
{
	const Otlp__ScopeMetrics *scope = g->metrics->scope_metrics[0];

	for (size_t i = 0; i < scope->n_metrics; i++)
		if (slice_equal(slice_of(scope->metrics[i]->name.data, scope->metrics[i]->name.len),
		                slice_from_string(name)))
			return scope->metrics[i];
	return NULL;
}

/* The points of a sum added up; where key is given only those with that attribute. */
static int64_t total(struct rig *r, const char *name, const char *key, const char *value)
{
	int64_t sum = 0;

	assert_non_null(r->metrics.last);
	for (struct group *g = r->metrics.last->first; g; g = g->next) {
		const Otlp__Metric *m = find_metric(g, name);

		for (size_t i = 0; m && i < m->sum->n_data_points; i++) {
			const Otlp__NumberDataPoint *p = m->sum->data_points[i];

			assert_true(p->start_time_unix_nano <= p->time_unix_nano);
			if (!key || has_text(p->attributes, p->n_attributes, key, value))
				sum += p->as_int;
		}
	}
	return sum;
}

static struct sockets_record record(uint64_t cookie, uint8_t flags)
{
	return (struct sockets_record){
		.owner = {.pid = 0, .executable = "curl"},
		.cookie = cookie,
		.at_ns = clock_monotonic_ns(),
		.family = AF_INET,
		.local_port = 40001,
		.remote_port = 80,
		.local_address = {127, 0, 0, 1},
		.remote_address = {127, 0, 0, 1},
		.role = ROLE_CLIENT,
		.flags = flags,
	};
}

/* ---- tests */

static void sends_what_the_ring_and_the_walk_bring(void **state)
{
	struct sockets_record r = record(1, SOCKETS_OPENED);
	struct rig rig;

	rig_init(&rig);
	r.sent_bytes = 10;
	kernel.walk[kernel.n_walk++] = r;
	r.cookie = 2;
	r.flags |= SOCKETS_CLOSED;
	r.received_bytes = 7;
	ring_put(r);
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.metrics.batches && rig.logs.batches);

	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL), 1);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS_OPENED, NULL, NULL), 2);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_IO, SEMCONV_NETWORK_IO_DIRECTION, "transmit"),
	                 20);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_IO, SEMCONV_NETWORK_IO_DIRECTION, "receive"),
	                 7);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_IO, SEMCONV_SERVER_ADDRESS, "127.0.0.1"), 27);
	assert_true(has_text(rig.metrics.last->first->metrics->resource->attributes,
	                     rig.metrics.last->first->metrics->resource->n_attributes,
	                     SEMCONV_SERVICE_NAME, "curl"));
	assert_int_equal(rig.logs.items, 1);
	rig_shutdown(&rig, NS_PER_S);
	assert_int_equal(kernel.closed, 1);
	rig_fini(&rig);
	(void)state;
}

static void cumulative_points_are_repeated_and_delta_points_are_not(void **state)
{
	for (int temporality = 0; temporality < 2; temporality++) {
		struct sockets_record r = record(1, SOCKETS_OPENED | SOCKETS_CLOSED);
		struct rig rig;
		unsigned before;

		rig_init(&rig);
		rig.config.temporality = temporality;
		r.sent_bytes = 10;
		ring_put(r);
		rig_start(&rig);
		WAIT_UNTIL(&rig, rig.metrics.batches == 1);
		WAIT_UNTIL(&rig, kernel.walks == 4);
		before = rig.metrics.batches;
		if (temporality == TEMPORALITY_DELTA)
			assert_int_equal(before, 1);
		else
			assert_true(before >= 3);
		r.cookie = 2;
		ring_put(r);
		WAIT_UNTIL(&rig, total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS_OPENED, NULL, NULL) ==
		                                 (temporality == TEMPORALITY_DELTA ? 1 : 2) &&
		                         rig.metrics.batches > before);
		rig_shutdown(&rig, NS_PER_S);
		rig_fini(&rig);
	}
	(void)state;
}

static void log_records_are_those_that_are_wanted(void **state)
{
	static const size_t wanted[] = {[EVENTS_NONE] = 0, [EVENTS_FAILED] = 1, [EVENTS_ALL] = 2};

	for (int events = EVENTS_NONE; events <= EVENTS_ALL; events++) {
		struct sockets_record failed = record(2, SOCKETS_FAILED);
		const Otlp__LogRecord *log;
		struct rig rig;

		rig_init(&rig);
		rig.config.events = events;
		failed.error = ECONNREFUSED;
		ring_put(record(1, SOCKETS_OPENED | SOCKETS_CLOSED));
		ring_put(failed);
		rig_start(&rig);
		WAIT_UNTIL(&rig, rig.metrics.batches);
		rig_shutdown(&rig, NS_PER_S);
		assert_int_equal(rig.logs.items, wanted[events]);
		if (events == EVENTS_FAILED) {
			log = rig.logs.last->first->logs->scope_logs[0]->log_records[0];
			assert_true(has_text(log->attributes, log->n_attributes, SEMCONV_ERROR_TYPE,
			                     "connection_refused"));
			assert_true(has_text(log->attributes, log->n_attributes,
			                     SEMCONV_NETWORK_PEER_ADDRESS, "127.0.0.1"));
			assert_memory_equal(log->event_name.data, "weir.tcp.connection",
			                    log->event_name.len);
		}
		assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS_FAILED, NULL, NULL), 1);
		rig_fini(&rig);
	}
	(void)state;
}

static void log_records_that_are_refused_come_again(void **state)
{
	struct rig rig;

	rig_init(&rig);
	rig.logs.answer = OUTCOME_RETRY;
	ring_put(record(1, SOCKETS_OPENED | SOCKETS_CLOSED));
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.logs.batches >= 3);
	rig.logs.answer = OUTCOME_OK;
	unsigned before = rig.logs.batches;
	WAIT_UNTIL(&rig, rig.logs.batches == before + 1);
	rig_shutdown(&rig, NS_PER_S);
	assert_int_equal(rig.logs.batches, before + 1);
	rig_fini(&rig);
	(void)state;
}

static void beyond_its_bound_log_records_are_dropped_and_counted(void **state)
{
	struct rig rig;

	rig_init(&rig);
	rig.logs.hold = true;
	rig_start(&rig);
	for (unsigned i = 0; i < 4; i++) { /* fill the window */
		ring_put(record(i + 1, SOCKETS_FAILED));
		WAIT_UNTIL(&rig, rig.logs.n_held == i + 1);
	}
	for (unsigned i = 0; i < 8192 + 10; i++)
		ring_put(record(i + 5, SOCKETS_FAILED));
	WAIT_UNTIL(&rig, ((struct sockets *)rig.receiver)->delivery.logs_dropped == 10);
	assert_true(metrics_sum(rig.own, "weir_receiver_sockets_dropped_log_records",
	                        METRICS_LABELS({"receiver", "sockets"},
	                                       {"reason", "queue_full"})) == 10);
	rig.logs.hold = false;
	sink_answer(&rig.logs, OUTCOME_OK);
	WAIT_UNTIL(&rig, rig.logs.items == 4 + 8192);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void what_closes_during_a_walk_becomes_log_records(void **state)
{
	struct rig rig;

	rig_init(&rig);
	rig_start(&rig);
	kernel.walk_waits = true;
	WAIT_UNTIL(&rig, ((struct sockets *)rig.receiver)->walking);
	for (unsigned i = 0; i < 15000; i++) /* more than may wait */
		ring_put(record(i + 1, SOCKETS_OPENED | SOCKETS_CLOSED));
	WAIT_UNTIL(&rig, rig.logs.items == 15000);
	assert_int_equal(((struct sockets *)rig.receiver)->delivery.logs_dropped, 0);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void a_next_component_that_is_stuck_costs_no_delta(void **state)
{
	struct sockets_record r = record(1, SOCKETS_OPENED | SOCKETS_CLOSED);
	struct rig rig;

	rig_init(&rig);
	rig.config.temporality = TEMPORALITY_DELTA;
	rig.config.events = EVENTS_NONE;
	rig.metrics.hold = true;
	rig_start(&rig);
	for (unsigned i = 0; i < 4; i++) {
		ring_put(r);
		WAIT_UNTIL(&rig, rig.metrics.n_held == i + 1);
	}
	unsigned walks = kernel.walks;
	ring_put(r);
	ring_put(r);
	WAIT_UNTIL(&rig, kernel.walks > walks + 3); /* collections without room */
	assert_int_equal(rig.metrics.batches, 4);
	rig.metrics.hold = false;
	sink_answer(&rig.metrics, OUTCOME_OK);
	WAIT_UNTIL(&rig, rig.metrics.batches == 5);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS_OPENED, NULL, NULL), 2);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void shutdown_sends_what_came_last(void **state)
{
	struct rig rig;

	rig_init(&rig);
	rig.config.collection_interval = 3600 * NS_PER_S;
	rig_start(&rig);
	kernel.walk[kernel.n_walk++] = record(1, SOCKETS_OPENED);
	ring_put(record(2, SOCKETS_FAILED));
	rig_shutdown(&rig, NS_PER_S);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL), 1);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS_FAILED, NULL, NULL), 1);
	assert_int_equal(rig.logs.items, 1);
	rig_fini(&rig);
	(void)state;
}

static void shutdown_waits_for_outcomes_but_not_beyond_the_deadline(void **state)
{
	uint64_t begun;
	struct rig rig;

	rig_init(&rig);
	rig.metrics.hold = rig.logs.hold = true;
	ring_put(record(2, SOCKETS_FAILED));
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.metrics.n_held && rig.logs.n_held);
	begun = clock_monotonic_ns();
	rig_shutdown(&rig, 300 * NS_PER_MS);
	assert_true(clock_monotonic_ns() - begun >= 300 * NS_PER_MS);
	receiver_sockets_type.destroy(rig.receiver);
	rig.receiver = NULL;
	sink_answer(&rig.metrics, OUTCOME_CANCELED); /* outcomes come late, to nobody */
	sink_answer(&rig.logs, OUTCOME_RETRY);
	rig_fini(&rig);
	(void)state;
}

static void a_refusing_kernel_is_named(void **state)
{
	struct error error = ERROR_INIT;
	struct rig rig;

	rig_init(&rig);
	kernel.open_error = -EPERM;
	rig_create(&rig);
	assert_int_equal(receiver_sockets_type.start(rig.receiver, &error), -EPERM);
	assert_string_equal(error.message, "receiver sockets: CAP_BPF is missing; run as root");
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void closes_without_having_been_started(void **state)
{
	struct rig rig;

	rig_init(&rig);
	rig_create(&rig);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void a_walk_that_fails_does_not_stop_what_closes(void **state)
{
	struct rig rig;

	rig_init(&rig);
	kernel.walk_error = -EIO;
	ring_put(record(1, SOCKETS_OPENED | SOCKETS_CLOSED));
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.metrics.batches);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS_OPENED, NULL, NULL), 1);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void records_of_one_socket_are_added_in_order(void **state)
{
	struct sockets_record r = record(1, SOCKETS_OPENED);
	struct rig rig;

	rig_init(&rig);
	kernel.walk[kernel.n_walk++] = r;
	r.flags = SOCKETS_CLOSED;
	kernel.closes_during_walk = r;
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.metrics.batches);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL), 0);
	assert_int_equal(((struct sockets *)rig.receiver)->series.overflowed, 0);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void lost_closing_records_lead_to_a_recount(void **state)
{
	struct rig rig;

	rig_init(&rig);
	for (uint64_t cookie = 1; cookie <= 5; cookie++)
		kernel.walk[kernel.n_walk++] = record(cookie, SOCKETS_OPENED);
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.metrics.batches);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL), 5);
	assert_int_equal(kernel.full_walks, 0);

	/* 1 and 2 are lost; 3 closes after the full walk has seen it */
	for (uint64_t cookie = 3; cookie <= 5; cookie++)
		kernel.walk[kernel.n_walk++] = record(cookie, 0);
	kernel.closes_during_walk = record(3, SOCKETS_CLOSED);
	kernel.lost = 2;
	WAIT_UNTIL(&rig, total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL) == 2);
	assert_int_equal(kernel.full_walks, 1);
	ring_put(record(4, SOCKETS_CLOSED));
	ring_put(record(5, SOCKETS_CLOSED));
	WAIT_UNTIL(&rig, total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL) == 0);
	assert_int_equal(((struct sockets *)rig.receiver)->owners.map.count, 0);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

static void the_overflow_series_is_one_for_each_metric(void **state)
{
	const Otlp__Metric *io;
	struct group *last;
	struct rig rig;

	rig_init(&rig);
	rig.config.max_series = 1;
	for (uint64_t cookie = 1; cookie <= 5; cookie++) {
		struct sockets_record r = record(cookie, SOCKETS_OPENED);
		r.remote_port += cookie;
		r.sent_bytes = 100;
		r.received_bytes = 10;
		kernel.walk[kernel.n_walk++] = r;
	}
	rig_start(&rig);
	WAIT_UNTIL(&rig, rig.metrics.batches);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_CONNECTIONS, NULL, NULL), 5);
	assert_int_equal(total(&rig, SEMCONV_WEIR_TCP_IO, NULL, NULL), 550);
	for (last = rig.metrics.last->first; last->next; last = last->next)
		continue;
	io = find_metric(last, SEMCONV_WEIR_TCP_IO);
	assert_int_equal(io->sum->n_data_points, 1);
	assert_int_equal(io->sum->data_points[0]->as_int, 440);
	assert_int_equal(io->sum->data_points[0]->n_attributes, 1);
	assert_true(
		attribute_find(io->sum->data_points[0]->attributes, 1, SEMCONV_OTEL_METRIC_OVERFLOW)
			->bool_value);
	rig_shutdown(&rig, NS_PER_S);
	rig_fini(&rig);
	(void)state;
}

/* Remembers which points came, by server.port: 10,000 + the series. */
struct seen {
	struct sink sink;
	unsigned points[3000];
	uint64_t moment; /* of the collection that is coming in */
	unsigned moments, most;
};

static void count_series(struct seen *s, const struct batch *b)
{
	for (const struct group *g = b->first; g; g = g->next) {
		const Otlp__Metric *m = find_metric(g, SEMCONV_WEIR_TCP_CONNECTIONS_OPENED);

		for (size_t i = 0; m && i < m->sum->n_data_points; i++) {
			const Otlp__NumberDataPoint *p = m->sum->data_points[i];
			const Otlp__AnyValue *port =
				attribute_find(p->attributes, p->n_attributes, SEMCONV_SERVER_PORT);

			assert_in_range(port->int_value, 10000, 12999);
			s->points[port->int_value - 10000] += (unsigned)p->as_int;
			s->moments += p->time_unix_nano != s->moment;
			s->moment = p->time_unix_nano;
		}
	}
	if (b->items > s->most)
		s->most = (unsigned)b->items;
}

static void seen_consume(void *self, struct batch *b, struct done done)
{
	struct seen *s = self;

	batch_ref(b);
	sink_consume(&s->sink, b, done);
	count_series(s, b);
	batch_unref(b);
}

static void many_series_put(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct sockets_record r = record(i + 1, SOCKETS_OPENED | SOCKETS_CLOSED);

		r.remote_port = (uint16_t)(10000 + i);
		r.owner.executable[0] = (char)('a' + i % 3); /* several resources */
		kernel.walk[kernel.n_walk++] = r;
	}
}

static bool has_all(const struct seen *s, unsigned each)
{
	for (size_t i = 0; i < 3000; i++)
		if (s->points[i] != each)
			return false;
	return true;
}

static void many_series_come_in_parts_of_one_moment(void **state)
{
	struct seen seen = {0};
	struct rig rig;

	rig_init(&rig);
	rig.config.max_series = 10000;
	rig.config.collection_interval = 3600 * NS_PER_S; /* the first comes after one second */
	rig.seen = &seen;
	rig_start(&rig);
	many_series_put(3000);
	WAIT_UNTIL(&rig, has_all(&seen, 1));
	assert_true(seen.sink.batches >= 3000 / 256);
	assert_true(seen.most <= 256 * 16);
	assert_int_equal(seen.moments, 1);
	rig_shutdown(&rig, 5 * NS_PER_S);
	assert_int_equal(seen.moments, 2);
	assert_true(has_all(&seen, 2)); /* cumulative, once more at the end */
	batch_unref(seen.sink.last);
	rig_fini(&rig);
	(void)state;
}

static void parts_wait_for_a_slow_next_component(void **state)
{
	struct seen seen = {.sink = {.hold = true}};
	struct rig rig;

	rig_init(&rig);
	rig.config.max_series = 10000;
	rig.config.temporality = TEMPORALITY_DELTA;
	rig.seen = &seen;
	rig_start(&rig);
	many_series_put(3000);
	WAIT_UNTIL(&rig, seen.sink.n_held == 4);
	unsigned walks = kernel.walks;
	WAIT_UNTIL(&rig, kernel.walks > walks + 3); /* other collections begin meanwhile */
	assert_int_equal(seen.sink.batches, 4);
	assert_true(((struct sockets *)rig.receiver)->delivery.collections_skipped > 0);
	while (!has_all(&seen, 1)) { /* each exactly once, in however many collections */
		unsigned batches = seen.sink.batches;

		sink_answer(&seen.sink, OUTCOME_OK);
		WAIT_UNTIL(&rig, seen.sink.batches > batches);
	}
	seen.sink.hold = false;
	sink_answer(&seen.sink, OUTCOME_OK);
	rig_shutdown(&rig, 5 * NS_PER_S);
	assert_true(has_all(&seen, 1));
	batch_unref(seen.sink.last);
	rig_fini(&rig);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_what_the_ring_and_the_walk_bring),
		cmocka_unit_test(cumulative_points_are_repeated_and_delta_points_are_not),
		cmocka_unit_test(log_records_are_those_that_are_wanted),
		cmocka_unit_test(log_records_that_are_refused_come_again),
		cmocka_unit_test(beyond_its_bound_log_records_are_dropped_and_counted),
		cmocka_unit_test(what_closes_during_a_walk_becomes_log_records),
		cmocka_unit_test(a_next_component_that_is_stuck_costs_no_delta),
		cmocka_unit_test(shutdown_sends_what_came_last),
		cmocka_unit_test(shutdown_waits_for_outcomes_but_not_beyond_the_deadline),
		cmocka_unit_test(a_refusing_kernel_is_named),
		cmocka_unit_test(closes_without_having_been_started),
		cmocka_unit_test(a_walk_that_fails_does_not_stop_what_closes),
		cmocka_unit_test(records_of_one_socket_are_added_in_order),
		cmocka_unit_test(lost_closing_records_lead_to_a_recount),
		cmocka_unit_test(the_overflow_series_is_one_for_each_metric),
		cmocka_unit_test(many_series_come_in_parts_of_one_moment),
		cmocka_unit_test(parts_wait_for_a_slow_next_component),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
