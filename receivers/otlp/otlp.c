/* otlp: takes traces, metrics and logs over gRPC and HTTP.
 *
 * One instance and one pair of listeners serve all signals. A request is admitted by its length before
 * it is read, becomes a batch that pins the bytes as they came, and is answered when the batch's
 * outcome is known; until then its bytes count against the client's window.
 *
 * Happy path: otlp_grpc or otlp_http -> otlp_intake (-> otlp_unpack) -> next -> the answer.
 * Fails: as told in those files; every refusal says in the protocol's way whether to come again.
 * Shutdown: no new connections and requests; who is still sending, or has its answer and does not read
 * it, is given a while; what is complete is answered until the deadline, then the connections are
 * closed, and the outcomes of batches that are still out find nobody. */
#include "core/base/clock.h"
#include "core/loop/timer.h"
#include "core/self/metrics.h"
#include "receivers/otlp/otlp_grpc.h"
#include "receivers/otlp/otlp_http.h"

#include <errno.h>
#include <stdlib.h>

/* At a stop clients that are slow to send are refused after so much of the time that is left, and those
 * that are slow to read their answers are given up after at most two parts more. The rest is for what
 * stands behind, whose queues would be lost if a slow client could take it all. */
enum { PATIENCE_SHARE = 8 };
#define PATIENCE_MAX_NS (5 * NS_PER_S)

struct otlp;

/* One protocol's listener. */
struct door {
	struct otlp *owner;
	const struct otlp_listen_config *config;
	struct entrance *entrance;
	struct endpoint endpoint;
	struct tls_settings tls_settings;
	struct tls_context *tls;
	struct http_server *server; /* NULL: not open, or closing */
};

struct otlp {
	struct component component;
	const struct otlp_receiver_config *config;
	struct intake *intake;
	struct otlp_http http;
	struct entrance grpc;
	struct grpc_server *grpc_server;
	struct door grpc_door, http_door;
	struct timer *timer; /* of the shutdown */
	uint64_t deadline_ns, patience_ns;
	bool quiet; /* nobody waited for an answer when the timer rang */
	struct metrics_collector *collector;
	unsigned open; /* doors that are not closed yet */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- figures */

static void report_requests(const struct otlp *o, const struct entrance *e,
                            struct metrics_sink *sink)
{
	const char *id = o->component.id;

	for (int i = 0; i < ENTRANCE_CODES_MAX; i++) {
		if (!e->codes[i] || !e->answered[i])
			continue;
		metrics_counter(sink, "weir_receiver_requests",
		                "Requests by the status they were answered with; gone: the client "
		                "had gone.",
		                METRICS_LABELS({"receiver", id}, {"transport", e->transport},
		                               {"code", e->codes[i]}),
		                (double)e->answered[i]);
	}
	metrics_counter(
		sink, "weir_receiver_requests",
		"Requests by the status they were answered with; gone: the client had gone.",
		METRICS_LABELS({"receiver", id}, {"transport", e->transport}, {"code", "gone"}),
		(double)e->gone);
}

static void report_door(const struct otlp *o, const struct door *d, struct metrics_sink *sink)
{
	const struct entrance *e = d->entrance;
	const char *id = o->component.id;
	const struct metrics_label *labels =
		METRICS_LABELS({"receiver", id}, {"transport", e->transport});
	int64_t expires = d->tls ? tls_context_expires(d->tls) : 0;

	report_requests(o, e, sink);
	metrics_counter(sink, "weir_receiver_wire_bytes",
	                "Bytes of complete requests as they came, before they were inflated.",
	                labels, (double)e->wire_bytes);
	metrics_counter(sink, "weir_receiver_plain_bytes",
	                "Bytes of requests that became batches, inflated.", labels,
	                (double)e->plain_bytes);
	if (expires)
		metrics_gauge(sink, "weir_receiver_tls_certificate_expiry_seconds",
		              "When the listener's certificate ends, in seconds since 1970.",
		              labels, (double)expires);
	if (!d->server)
		return;
	metrics_gauge(sink, "weir_receiver_connections", "Connections that are open.", labels,
	              (double)http_server_connections(d->server));
	metrics_counter(sink, "weir_receiver_connections_accepted",
	                "Connections that were accepted.", labels,
	                (double)http_server_accepted(d->server));
	for (int l = 0; l < HTTP_LIMIT_COUNT; l++)
		metrics_counter(sink, "weir_receiver_limit_struck",
		                "How often a limit of the listener has struck.",
		                METRICS_LABELS({"receiver", id}, {"transport", e->transport},
		                               {"limit", http_limit_name((enum http_limit)l)}),
		                (double)http_server_struck(d->server, (enum http_limit)l));
}

static void report(void *arg, struct metrics_sink *sink)
{
	const struct otlp *o = arg;

	if (o->config->protocols.grpc.enabled)
		report_door(o, &o->grpc_door, sink);
	if (o->config->protocols.http.enabled)
		report_door(o, &o->http_door, sink);
}

/* ---- create */

static void otlp_destroy(struct component *component)
{
	struct otlp *o = (struct otlp *)component;

	if (!o)
		return;
	metrics_unregister(o->component.host->metrics, o->collector);
	grpc_server_free(o->grpc_server);
	tls_context_free(o->grpc_door.tls);
	tls_context_free(o->http_door.tls);
	otlp_http_fini(&o->http);
	intake_free(o->intake);
	timer_free(o->timer);
	free(o);
}

static int prepare(struct otlp *o, struct door *d, struct entrance *e,
                   const struct otlp_listen_config *config, size_t max_size, struct error *error)
{
	*d = (struct door){.owner = o, .config = config, .entrance = e};
	e->intake = o->intake;
	e->max_size = max_size;
	e->include_metadata = config->include_metadata;
	e->request_params = &config->auth.request_params;
	if (config->tls.enabled)
		d->tls_settings = tls_server_settings(&config->tls);
	if (config->auth.enabled) {
		e->authenticator = authenticator_find(o->component.host, config->auth.authenticator,
		                                      true, error);
		if (!e->authenticator)
			return error_wrap(error, "protocols::%s::auth", e->transport);
	}
	return otlp_listen_endpoint(config, &d->endpoint, error);
}

extern const struct component_type receiver_otlp_type;

static int otlp_create(const struct create_args *args, struct component **ret, struct error *error)
{
	const struct otlp_receiver_config *config = args->config;
	const struct otlp_protocols *p = &config->protocols;
	struct otlp *o = calloc(1, sizeof *o);
	int r = -ENOMEM;

	if (!o)
		return error_no_memory(error);
	component_init(&o->component, &receiver_otlp_type, args);
	o->config = config;
	otlp_grpc_init(&o->grpc);
	o->intake = intake_new(&o->component, args->next);
	if (!o->intake || !otlp_http_init(&o->http, &p->http))
		goto fail;
	if (p->grpc.enabled && (r = prepare(o, &o->grpc_door, &o->grpc, &p->grpc.listen,
	                                    otlp_grpc_max_size(&p->grpc), error)) < 0)
		goto fail;
	if (p->http.enabled && (r = prepare(o, &o->http_door, &o->http.entrance, &p->http.listen,
	                                    otlp_http_max_size(&p->http), error)) < 0)
		goto fail;
	*ret = &o->component;
	return 0;

fail:
	if (r == -ENOMEM)
		error_no_memory(error);
	otlp_destroy(&o->component);
	return r;
}

/* ---- start */

static void warn_of_openness(const struct door *d)
{
	const struct logger *log = &d->owner->component.log;

	if (!d->tls && otlp_endpoint_is_public(&d->endpoint))
		log_warn(log,
		         "%s listens on %s for everybody who reaches this machine, without TLS%s; "
		         "set protocols::%s::tls%s, or listen on localhost",
		         d->entrance->transport, d->endpoint.text,
		         d->entrance->authenticator ? "" : " and without authentication",
		         d->entrance->transport, d->entrance->authenticator ? "" : " and auth");
	if (d->tls && tls_key_is_exposed(&d->tls_settings))
		log_warn(log,
		         "%s: every user of this machine may read tls::key_file; take that right "
		         "away",
		         d->entrance->transport);
}

static int open_door(struct door *d, const struct http_server_config *how,
                     const struct http_handler *handler, void *arg, struct error *error)
{
	struct otlp *o = d->owner;
	struct http_server_config config = *how;
	int r;

	config.endpoint = &d->endpoint;
	if (d->config->tls.enabled &&
	    (r = tls_server_context_new(&d->tls_settings, &d->tls, error)) < 0)
		goto fail;
	config.tls = d->tls;
	if ((r = http_server_new(o->component.host->loop, &config, handler, arg, &o->component.log,
	                         &d->server, error)) < 0)
		goto fail;
	o->open++;
	warn_of_openness(d);
	log_info(&o->component.log, "Starting %s server on %s", d->entrance->transport,
	         d->endpoint.text);
	return 0;

fail:
	return error_wrap(error, "protocols::%s", d->entrance->transport);
}

static void on_timer(void *arg);

static int examine_door(const struct door *d, struct error *error)
{
	if (!d->config->tls.enabled || tls_context_try(&d->tls_settings, true, error) == 0)
		return 0;
	return error_wrap(error, "protocols::%s", d->entrance->transport);
}

static int otlp_examine(struct component *component, struct error *error)
{
	const struct otlp *o = (const struct otlp *)component;
	const struct otlp_protocols *p = &o->config->protocols;
	int r = p->grpc.enabled ? examine_door(&o->grpc_door, error) : 0;

	return r == 0 && p->http.enabled ? examine_door(&o->http_door, error) : r;
}

static int otlp_start(struct component *component, struct error *error)
{
	struct otlp *o = (struct otlp *)component;
	const struct otlp_protocols *p = &o->config->protocols;
	const struct host *host = component->host;
	int r;

	o->timer = timer_new(host->loop, on_timer, o);
	o->collector = metrics_register(host->metrics, report, o);
	if (!o->timer || !o->collector)
		return error_no_memory(error);
	if (p->grpc.enabled) {
		struct http_server_config how = {.http2 = true,
		                                 .limits = otlp_grpc_limits(&p->grpc)};
		o->grpc_server =
			grpc_server_new(host->loop, o->grpc.max_size, &otlp_grpc_handler, &o->grpc);
		if (!o->grpc_server)
			return error_no_memory(error);
		if ((r = open_door(&o->grpc_door, &how, &grpc_server_http_handler, o->grpc_server,
		                   error)) < 0)
			return r;
	}
	if (p->http.enabled) {
		struct http_server_config how = {.http1 = true,
		                                 .http2 = true,
		                                 .no_keep_alive = !p->http.keep_alives_enabled,
		                                 .limits = otlp_http_limits(&p->http)};
		return open_door(&o->http_door, &how, &otlp_http_handler, &o->http, error);
	}
	return 0;
}

/* ---- shutdown */

static void on_idle(void *arg)
{
	struct otlp *o = arg;
	void (*closed)(void *arg) = o->closed;

	o->closed = NULL;
	closed(o->closed_arg);
}

static void maybe_closed(struct otlp *o)
{
	if (o->open > 0)
		return;
	if (o->timer)
		timer_stop(o->timer);
	intake_wait(o->intake, on_idle, o);
}

static void on_door_closed(void *arg)
{
	struct door *d = arg;

	d->owner->open--;
	maybe_closed(d->owner);
}

static void close_door(struct door *d)
{
	if (d->server)
		http_server_close(TAKE(d->server), on_door_closed, d);
}

static void on_drained(void *arg)
{
	close_door(arg);
}

static void arm(struct otlp *o, uint64_t now)
{
	uint64_t left = o->deadline_ns > now ? o->deadline_ns - now : 0;

	if (o->timer)
		timer_start(o->timer, left < o->patience_ns ? left : o->patience_ns, 0);
}

/* Who was answered has one turn of the timer to take the answer. */
static void on_timer(void *arg)
{
	struct otlp *o = arg;
	uint64_t now = clock_monotonic_ns();
	bool was_quiet = o->quiet;

	o->open++; /* until the last of them has been told */
	o->quiet = !intake_refuse_unfinished(o->intake) && intake_is_idle(o->intake);
	if ((was_quiet && o->quiet) || now >= o->deadline_ns) {
		close_door(&o->grpc_door);
		close_door(&o->http_door);
	} else {
		arm(o, now);
	}
	o->open--;
	maybe_closed(o);
}

static void otlp_shutdown(struct component *component, uint64_t deadline_ns,
                          void (*closed)(void *arg), void *arg)
{
	struct otlp *o = (struct otlp *)component;
	uint64_t now = clock_monotonic_ns();
	uint64_t share = deadline_ns > now ? (deadline_ns - now) / PATIENCE_SHARE : 0;

	o->closed = closed;
	o->closed_arg = arg;
	o->deadline_ns = deadline_ns;
	o->patience_ns = share < PATIENCE_MAX_NS ? share : PATIENCE_MAX_NS;
	o->open++; /* until this returns */
	arm(o, now);
	if (o->grpc_door.server)
		http_server_drain(o->grpc_door.server, on_drained, &o->grpc_door);
	if (o->http_door.server)
		http_server_drain(o->http_door.server, on_drained, &o->http_door);
	o->open--;
	maybe_closed(o);
}

const struct component_type receiver_otlp_type = {
	.name = "otlp",
	.kind = RECEIVER,
	.signals = SIGNAL_ALL,
	.caps = CAP_SHARED,
	.summary = "Takes OTLP over gRPC and HTTP.",
	.stability = "alpha",
	.config_size = sizeof(struct otlp_receiver_config),
	.options = otlp_receiver_options,
	.check = otlp_receiver_check,
	.create = otlp_create,
	.examine = otlp_examine,
	.start = otlp_start,
	.shutdown = otlp_shutdown,
	.destroy = otlp_destroy,
};
