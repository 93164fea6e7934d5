/* Life: build -> listen for /metrics -> start -> loop -> stop. Whatever fails on the way, stop()
 * takes down what exists: the graph through graph_stop(), the rest when it has stopped. */
#include "core/main/daemon.h"

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/loop/timer.h"
#include "core/loop/unix_signal.h"
#include "core/main/command.h"
#include "core/names/names.h"
#include "core/net/http_pages.h"
#include "core/self/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How long a component may be late after the deadline before the process ends without it. */
#define LATE_NS (2 * NS_PER_S)

struct daemon {
	struct host host;
	struct budget budget;
	struct log_sink log_sink;
	struct logger log;
	struct loop *loop;
	struct metrics *metrics;
	struct process_metrics *process;
	struct names *names; /* of the process: graphs come and go */
	struct metrics_collector *names_metrics;
	struct http_pages *server;
	struct unix_signal *signals[3];
	struct timer *late;

	/* the one generation */
	struct plan *plan;
	struct graph *graph;

	bool running, stopping, graph_stopped, server_closed;
	struct error fatal; /* what a component could not go on with */
};

static void begin_stop(struct daemon *d);

static void on_report(const struct host *host, const struct component *c,
                      enum component_status status, const struct error *error)
{
	struct daemon *d = CONTAINER_OF(host, struct daemon, host);
	const char *why = error && error_is_set(error) ? error->message : "no reason given";

	if (status == STATUS_PERMANENT_ERROR)
		log_error(&c->log, "needs attention: %s", why);
	if (status != STATUS_FATAL_ERROR)
		return;
	log_error(&c->log, "Asynchronous error received, terminating process: %s", why);
	error_set(&d->fatal, -EIO, "%s: %s", c->subject, why);
	/* During the start nothing is stopped half-way: daemon_run() looks when it is over. */
	if (d->running)
		begin_stop(d);
}

static void names_collect(void *arg, struct metrics_sink *sink)
{
	struct names_stats s;

	names_stats(arg, &s);
	if (!s.capacity)
		return; /* nobody observes */
	metrics_gauge(sink, "weir_observed_names",
	              "Names of addresses that answers of resolvers told.", NULL, (double)s.count);
	metrics_gauge(sink, "weir_observed_names_limit", "At most so many observed names are kept.",
	              NULL, (double)s.capacity);
	metrics_gauge(sink, "weir_observed_names_bytes", "Memory of the observed names.", NULL,
	              (double)s.bytes);
	metrics_counter(sink, "weir_observed_names_added",
	                "Names of addresses that had none before.", NULL, (double)s.added);
	metrics_counter(sink, "weir_observed_names_replaced",
	                "Names of addresses that had one, the same or another.", NULL,
	                (double)s.replaced);
	metrics_counter(sink, "weir_observed_names_evicted",
	                "Observed names that made room for others before their time.", NULL,
	                (double)s.evicted);
	metrics_counter(sink, "weir_observed_names_expired", "Observed names that were too old.",
	                NULL, (double)s.expired);
	metrics_counter(sink, "weir_observed_names_refused",
	                "Observed names that were not taken: too long, or no memory.", NULL,
	                (double)s.refused);
	metrics_counter(sink, "weir_observed_names_hits",
	                "Look-ups of an address that had an observed name.", NULL, (double)s.hits);
	metrics_counter(sink, "weir_observed_names_misses", "Look-ups of an address that had none.",
	                NULL, (double)s.misses);
}

struct daemon *daemon_new(struct plan *plan, struct error *error)
{
	struct daemon *d = calloc(1, sizeof *d);

	if (!d) {
		plan_free(plan);
		error_no_memory(error);
		return NULL;
	}
	d->plan = plan;
	d->server_closed = true;
	d->log_sink =
		(struct log_sink){.level = (enum log_level)plan->service.telemetry.logs.level,
	                          .encoding =
	                                  (enum log_encoding)plan->service.telemetry.logs.encoding,
	                          .fd = STDERR_FILENO};
	d->log = (struct logger){.sink = &d->log_sink, .subject = ""};
	if (loop_new(&d->loop, error) < 0) {
		daemon_free(d);
		return NULL;
	}
	d->metrics = metrics_new();
	if (d->metrics)
		d->process =
			process_metrics_new(d->metrics, &d->budget, weir_version, weir_revision);
	d->names = names_new(&d->budget);
	if (d->process && d->names)
		d->names_metrics = metrics_register(d->metrics, names_collect, d->names);
	if (!d->names_metrics) {
		error_no_memory(error);
		daemon_free(d);
		return NULL;
	}
	d->host = (struct host){.loop = d->loop,
	                        .budget = &d->budget,
	                        .metrics = d->metrics,
	                        .names = d->names,
	                        .log = &d->log_sink,
	                        .version = weir_version,
	                        .report = on_report};
	return d;
}

bool daemon_free(struct daemon *d)
{
	if (!d)
		return true;
	graph_free(d->graph);
	metrics_unregister(d->metrics, d->names_metrics);
	names_free(d->names);
	process_metrics_free(d->process);
	metrics_free(d->metrics);
	for (size_t i = 0; i < sizeof d->signals / sizeof *d->signals; i++)
		unix_signal_free(d->signals[i]);
	timer_free(d->late);
	if (d->loop && !loop_run_for(d->loop, LATE_NS)) {
		log_warn(&d->log, "Leaving while a disk or a name server has not answered.");
		return false;
	}
	loop_free(d->loop);
	plan_free(d->plan);
	free(d);
	return true;
}

/* /metrics */

static void on_request(void *arg, const struct page_request *request,
                       struct page_response *response)
{
	struct daemon *d = arg;

	response->content_type = "text/plain; charset=utf-8";
	if (!slice_equal(request->method, SLICE_LITERAL("GET")) &&
	    !slice_equal(request->method, SLICE_LITERAL("HEAD"))) {
		response->status = 405;
		buffer_append_string(&response->body, "only GET and HEAD\n");
	} else if (!slice_equal(request->path, SLICE_LITERAL("/metrics"))) {
		response->status = 404;
		buffer_append_string(&response->body, "weir's own metrics are at /metrics\n");
	} else if (metrics_write_text(d->metrics, &response->body) < 0) {
		response->status = 503;
		buffer_clear(&response->body);
	} else {
		response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	}
}

static int listen_for_metrics(struct daemon *d, struct error *error)
{
	const char *host = d->plan->service.telemetry.metrics.host;
	unsigned port = (unsigned)d->plan->service.telemetry.metrics.port;
	struct endpoint endpoint;
	char text[280];
	int r;

	if (d->plan->service.telemetry.metrics.level == 0)
		return 0;
	host = host ? host : "";
	snprintf(text, sizeof text, strchr(host, ':') && *host != '[' ? "[%s]:%u" : "%s:%u", host,
	         port);
	r = endpoint_parse(text, &endpoint, error);
	if (r == 0)
		r = http_pages_new(d->loop, &endpoint, on_request, d, &d->server, error);
	if (r == 0) {
		d->server_closed = false;
		return 0;
	}
	return error_wrap(error, "own metrics (service::telemetry::metrics; level: none switches "
	                         "them off)");
}

/* Stopping */

static void maybe_stopped(struct daemon *d)
{
	if (!d->graph_stopped || !d->server_closed)
		return;
	timer_stop(d->late);
}

static void on_server_closed(void *arg)
{
	struct daemon *d = arg;

	d->server = NULL;
	d->server_closed = true;
	maybe_stopped(d);
}

static void on_graph_stopped(void *arg)
{
	struct daemon *d = arg;

	d->graph_stopped = true;
	/* Last, so that figures can be read while the pipelines drain. */
	if (d->server)
		http_pages_close(d->server, on_server_closed, d);
	maybe_stopped(d);
}

/* What is in memory goes with the process; the line before says how much it was. */
_Noreturn static void leave(struct daemon *d, const char *why)
{
	log_error(&d->log, "%s; leaving without what has not been delivered.", why);
	graph_log_losses(d->graph);
	fflush(NULL);
	_exit(EXIT_RUNTIME);
}

static void on_late(void *arg)
{
	leave(arg, "The shutdown did not keep its deadline");
}

static void begin_stop(struct daemon *d)
{
	uint64_t timeout = d->plan->service.shutdown_timeout;

	if (d->stopping)
		return;
	d->stopping = true;
	timer_start(d->late, timeout + LATE_NS, 0);
	graph_stop(d->graph, clock_monotonic_ns() + timeout, on_graph_stopped, d);
}

static void on_signal(void *arg, int number)
{
	struct daemon *d = arg;

	if (d->stopping)
		leave(d, "A second signal came");
	log_info(&d->log, "Received %s, shutting down.",
	         number == SIGINT   ? "SIGINT"
	         : number == SIGHUP ? "SIGHUP"
	                            : "SIGTERM");
	begin_stop(d);
}

static void run_until_stopped(struct daemon *d)
{
	while (!d->graph_stopped || !d->server_closed)
		if (!loop_run_once(d->loop))
			break;
}

/* Starting */

static int watch_signals(struct daemon *d, struct error *error)
{
	/* Nothing can be reloaded yet, and a terminal that goes away must not cost what is
	 * queued. */
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		d->signals[i] = unix_signal_new(d->loop, numbers[i], on_signal, d);
		if (!d->signals[i])
			return error_no_memory(error);
	}
	return 0;
}

static int build(struct daemon *d, struct error *error)
{
	d->late = timer_new(d->loop, on_late, d);
	d->graph = graph_new(d->plan, &d->host);
	if (!d->late || !d->graph)
		return error_no_memory(error);
	return graph_build(d->graph, error);
}

static void take_down(struct daemon *d)
{
	if (!d->graph || !d->late)
		return;
	begin_stop(d);
	run_until_stopped(d);
}

int daemon_try(struct daemon *d, void (*tell)(const struct error *error))
{
	struct error error = ERROR_INIT;
	int r;

	d->log_sink.level = LOG_ERROR; /* nothing ran: nothing to tell */
	r = build(d, &error);
	if (r < 0) {
		tell(&error);
	} else {
		d->log_sink.level = LOG_INFO; /* what a component finds is for who asked */
		if (graph_examine(d->graph, tell) > 0)
			r = -EINVAL;
		d->log_sink.level = LOG_ERROR;
	}
	take_down(d);
	return r;
}

int daemon_run(struct daemon *d, struct error *error)
{
	int r;

	log_info(&d->log, "Starting weir %s (revision %s).", weir_version, weir_revision);
	r = watch_signals(d, error);
	if (r == 0)
		r = build(d, error);
	if (r == 0)
		r = listen_for_metrics(d, error);
	if (r == 0)
		r = graph_start(d->graph, error);
	d->running = r == 0;
	if (d->running && !error_is_set(&d->fatal))
		run_until_stopped(d);
	take_down(d);
	if (r == 0 && error_is_set(&d->fatal))
		r = error_set(error, d->fatal.code, "%s", d->fatal.message);
	return r;
}
