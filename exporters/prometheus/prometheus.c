/* prometheus: a page /metrics that Prometheus scrapes.
 *
 * Happy path: consume -> the translator makes samples -> the exposition keeps the last value of every
 * series -> done(OK). A scrape reads them (prometheus_page.h).
 * OK means: shown from now on. Nothing is queued, and nothing survives weir's end.
 * Fails: a batch that does not decode (PERMANENT) · no memory (RETRY, nothing was taken). Data points
 * that cannot be shown are dropped and counted by reason; the sender is told their number. */
#include "core/base/clock.h"
#include "core/component.h"
#include "core/loop/timer.h"
#include "core/self/metrics.h"
#include "exporters/prometheus/prometheus_config.h"
#include "exporters/prometheus/prometheus_page.h"

#include <inttypes.h>
#include <stdlib.h>

#define RETRY_AFTER_NS NS_PER_S
/* How often the table is looked through for what has expired, a part at a time. */
#define EXPIRE_EVERY_NS (50 * NS_PER_MS)
#define COMPLAIN_EVERY_NS (60 * NS_PER_S)

/* What is lost here, after the translator's reasons. */
enum { DROP_SOURCES = TRANSLATE_DROPS, DROP_REASONS };

struct prometheus {
	struct component component;
	const struct prometheus_config *config;
	struct prometheus_lists lists;
	struct translator *translator;
	struct exposition exposition;
	bool exposed; /* exposition is initialised */
	struct page page;
	struct tls_settings tls_settings;
	struct tls_context *tls;
	struct http_server *server;
	struct timer *expiry, *deadline;
	struct metrics_collector *collector;
	uint64_t late, sources, too_large, no_memory; /* samples that the exposition did not take */
	uint64_t told[DROP_REASONS];                  /* drops that the log has told of */
	uint64_t complained_ns[DROP_REASONS];
	bool stopping;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- drops */

static uint64_t dropped(const struct prometheus *p, unsigned reason)
{
	const struct translator_figures *f = translator_figures(p->translator);

	if (reason == DROP_SOURCES)
		return p->sources;
	return f->dropped[reason] + (reason == TRANSLATE_LATE        ? p->late
	                             : reason == TRANSLATE_TOO_LARGE ? p->too_large
	                             : reason == TRANSLATE_NO_MEMORY ? p->no_memory
	                                                             : 0);
}

static const char *reason_name(unsigned reason)
{
	return reason == DROP_SOURCES ? "sources"
	                              : translate_drop_name((enum translate_drop)reason);
}

static const char *explain(unsigned reason)
{
	switch (reason) {
	case TRANSLATE_CONFLICT:
		return "a metric of the same name and another type came before; rename one, or set "
		       "namespace";
	case TRANSLATE_SERIES_LIMIT:
		return "as many series are kept as max_series and max_symbol_bytes allow";
	case TRANSLATE_TEMPORALITY:
		return "they are neither delta nor cumulative";
	case TRANSLATE_SCALE:
		return "exponential histograms below scale -4 have no place in Prometheus";
	case TRANSLATE_TOO_LARGE:
		return "they have more labels, longer names or more buckets than anybody reads";
	case TRANSLATE_NO_MEMORY:
		return "there was no memory";
	case DROP_SOURCES:
		return "too many sources send series with the same labels; give them a "
		       "service.instance.id";
	default:
		return NULL;
	}
}

/* A line a minute for each reason that wants one. */
static void complain(struct prometheus *p)
{
	uint64_t now = loop_now_ns(p->component.host->loop);

	for (unsigned reason = 0; reason < DROP_REASONS; reason++) {
		uint64_t n = dropped(p, reason);
		const char *why = explain(reason);

		if (n == p->told[reason] || !why ||
		    (p->complained_ns[reason] &&
		     now - p->complained_ns[reason] < COMPLAIN_EVERY_NS))
			continue;
		log_warn(&p->component.log, "%" PRIu64 " data points are not shown: %s",
		         n - p->told[reason], why);
		p->told[reason] = n;
		p->complained_ns[reason] = now;
	}
}

/* Data points that their sender might want to know of: what came late or twice has been replaced by
 * something newer. */
static uint64_t lost(const struct prometheus *p)
{
	uint64_t n = 0;

	for (unsigned reason = 0; reason < DROP_REASONS; reason++)
		if (reason != TRANSLATE_LATE && reason != TRANSLATE_DUPLICATE)
			n += dropped(p, reason);
	return n;
}

/* ---- what comes */

static void tell(struct prometheus *p, const struct translation *t)
{
	for (size_t i = 0; i < t->n_samples; i++) {
		switch (exposition_tell(&p->exposition, &t->samples[i])) {
		case EXPOSITION_TOLD:
			break;
		case EXPOSITION_LATE:
			p->late++;
			break;
		case EXPOSITION_TOO_MANY_SOURCES:
			p->sources++;
			break;
		case EXPOSITION_TOO_LARGE:
			p->too_large++;
			break;
		case EXPOSITION_NO_MEMORY:
			p->no_memory++;
			break;
		}
	}
}

static void prometheus_consume(struct component *component, struct batch *b, struct done done)
{
	struct prometheus *p = (struct prometheus *)component;
	uint64_t before = lost(p), items = b->items;
	struct outcome outcome = {.status = OUTCOME_OK};
	struct error error = ERROR_INIT;
	struct translation translation;

	if (p->stopping) {
		outcome.status = OUTCOME_CANCELED;
		outcome.message = "the prometheus exporter is shutting down";
	} else if (translator_batch(p->translator, b, loop_now_ns(component->host->loop),
	                            &translation, &error) < 0) {
		outcome.status = error.kind == ERROR_RETRYABLE ? OUTCOME_RETRY : OUTCOME_PERMANENT;
		outcome.retry_after_ns = error.kind == ERROR_RETRYABLE ? RETRY_AFTER_NS : 0;
		outcome.message = error.message;
	} else {
		tell(p, &translation);
		outcome.rejected_items = lost(p) - before;
		if (outcome.rejected_items > items)
			outcome.rejected_items = items;
		if (outcome.rejected_items > 0)
			outcome.message = "data points that Prometheus has no place for";
		complain(p);
	}
	batch_unref(b);
	done_call(done, &outcome);
}

/* ---- what has not come for long */

static void on_expiry(void *arg)
{
	struct prometheus *p = arg;
	uint64_t now = loop_now_ns(p->component.host->loop);
	size_t places = translator_table(p->translator)->mask + 1;
	uint64_t rounds = p->config->metric_expiration / EXPIRE_EVERY_NS + 1;
	struct translation translation;

	/* twice as fast as it must be */
	if (translator_expire(p->translator, now, (int64_t)(clock_realtime_ns() / NS_PER_MS),
	                      2 * places / rounds + 64, &translation) == 0)
		tell(p, &translation);
}

static void on_series_end(void *arg, struct series *s)
{
	struct prometheus *p = arg;

	exposition_on_series_end(&p->exposition, s);
}

static void on_family_end(void *arg, struct series_family *family)
{
	struct prometheus *p = arg;

	exposition_on_family_end(&p->exposition, family);
}

/* ---- figures */

static void report_scrapes(const struct prometheus *p, struct metrics_sink *sink)
{
	static const char *const formats[] = {"text", "openmetrics", "protobuf"};
	const char *id = p->component.id;
	const struct metrics_label *labels = METRICS_LABELS({"exporter", id});
	const struct page *page = &p->page;

	for (int i = 0; i < 3; i++)
		metrics_counter(sink, "weir_exporter_prometheus_scrapes",
		                "Scrapes that were answered to their end.",
		                METRICS_LABELS({"exporter", id}, {"format", formats[i]}),
		                (double)page->answered[i]);
	metrics_counter(sink, "weir_exporter_prometheus_scrapes_broken",
	                "Scrapes whose client did not take all of it.", labels,
	                (double)page->broken);
	metrics_counter(sink, "weir_exporter_prometheus_scrapes_refused",
	                "Scrapes beyond max_concurrent_scrapes.", labels, (double)page->refused);
	metrics_counter(sink, "weir_exporter_prometheus_scrapes_unauthorized",
	                "Requests that the authenticator refused.", labels,
	                (double)page->unauthorized);
	metrics_counter(sink, "weir_exporter_prometheus_scrape_bytes",
	                "Bytes of pages, as they were sent.", labels, (double)page->bytes);
	metrics_gauge(sink, "weir_exporter_prometheus_scrape_piece_seconds_max",
	              "The longest that a scrape has held the loop in one turn.", labels,
	              (double)page->longest_piece / 1e9);
	metrics_gauge(sink, "weir_exporter_prometheus_scrape_seconds",
	              "How long the last scrape took.", labels, (double)page->last_duration / 1e9);
	if (!p->server)
		return;
	metrics_gauge(sink, "weir_exporter_prometheus_connections", "Connections that are open.",
	              labels, (double)http_server_connections(p->server));
	for (int l = 0; l < HTTP_LIMIT_COUNT; l++)
		metrics_counter(sink, "weir_exporter_prometheus_limit_struck",
		                "How often a limit of the listener has struck.",
		                METRICS_LABELS({"exporter", id},
		                               {"limit", http_limit_name((enum http_limit)l)}),
		                (double)http_server_struck(p->server, (enum http_limit)l));
}

static void report(void *arg, struct metrics_sink *sink)
{
	const struct prometheus *p = arg;
	const char *id = p->component.id;
	const struct metrics_label *labels = METRICS_LABELS({"exporter", id});
	const struct series_table *table = translator_table(p->translator);

	metrics_gauge(sink, "weir_exporter_prometheus_series", "Series that are kept.", labels,
	              (double)table->count);
	metrics_gauge(sink, "weir_exporter_prometheus_series_limit", "max_series.", labels,
	              (double)table->limit);
	metrics_gauge(sink, "weir_exporter_prometheus_symbol_bytes",
	              "Memory of names and values of labels.", labels,
	              (double)table->symbols.bytes);
	metrics_counter(sink, "weir_exporter_prometheus_series_ended",
	                "Series that were not seen for metric_expiration.", labels,
	                (double)translator_figures(p->translator)->ended);
	for (unsigned reason = 0; reason < DROP_REASONS; reason++)
		metrics_counter(sink, "weir_exporter_prometheus_dropped_points",
		                "Data points that are not shown.",
		                METRICS_LABELS({"exporter", id}, {"reason", reason_name(reason)}),
		                (double)dropped(p, reason));
	report_scrapes(p, sink);
}

/* ---- life */

static void prometheus_destroy(struct component *component)
{
	struct prometheus *p = (struct prometheus *)component;

	if (!p)
		return;
	metrics_unregister(p->component.host->metrics, p->collector);
	timer_free(p->expiry);
	timer_free(p->deadline);
	if (p->exposed)
		exposition_fini(&p->exposition);
	translator_free(p->translator);
	prometheus_lists_fini(&p->lists);
	tls_context_free(p->tls);
	free(p);
}

extern const struct component_type exporter_prometheus_type;

static int make_parts(struct prometheus *p, struct error *error)
{
	struct translator_options options;
	int r = prometheus_translation(p->config, &p->lists, &options, error);

	if (r < 0)
		return r;
	options.on_series_end = on_series_end;
	options.on_family_end = on_family_end;
	options.arg = p;
	p->translator = translator_new(&options);
	if (!p->translator)
		return error_no_memory(error);
	r = exposition_init(&p->exposition, translator_table(p->translator), error);
	if (r < 0)
		return r;
	p->exposed = true;
	if (!p->config->auth.enabled)
		return 0;
	p->page.authenticator =
		authenticator_find(p->component.host, p->config->auth.authenticator, true, error);
	return p->page.authenticator ? 0 : error_wrap(error, "auth");
}

static int prometheus_create(const struct create_args *args, struct component **ret,
                             struct error *error)
{
	struct prometheus *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return error_no_memory(error);
	component_init(&p->component, &exporter_prometheus_type, args);
	p->config = args->config;
	p->page.exposition = &p->exposition;
	p->page.log = &p->component.log;
	p->page.openmetrics = p->config->enable_open_metrics;
	p->page.timestamps = p->config->send_timestamps;
	p->page.max_scrapes = (unsigned)p->config->max_concurrent_scrapes;
	r = make_parts(p, error);
	if (r < 0) {
		prometheus_destroy(&p->component);
		return r;
	}
	*ret = &p->component;
	return 0;
}

static void on_deadline(void *arg);

static int prometheus_start(struct component *component, struct error *error)
{
	struct prometheus *p = (struct prometheus *)component;
	const struct host *host = component->host;
	struct http_server_config how = {.endpoint = &p->config->endpoint,
	                                 .http1 = true,
	                                 .http2 = true,
	                                 .limits = prometheus_limits(p->config)};
	int r;

	p->expiry = timer_new(host->loop, on_expiry, p);
	p->deadline = timer_new(host->loop, on_deadline, p);
	p->collector = metrics_register(host->metrics, report, p);
	if (!p->expiry || !p->deadline || !p->collector)
		return error_no_memory(error);
	if (p->config->tls.enabled) {
		p->tls_settings = tls_server_settings(&p->config->tls);
		r = tls_server_context_new(&p->tls_settings, &p->tls, error);
		if (r < 0)
			return r;
	}
	how.tls = p->tls;
	r = http_server_new(host->loop, &how, &page_http_handler, &p->page, &component->log,
	                    &p->server, error);
	if (r < 0)
		return r;
	if (p->config->metric_expiration)
		timer_start(p->expiry, EXPIRE_EVERY_NS, EXPIRE_EVERY_NS);
	log_info(&component->log, "Series are shown at %s, path /metrics",
	         p->config->endpoint.text);
	return 0;
}

static void on_closed(void *arg)
{
	struct prometheus *p = arg;
	void (*closed)(void *arg) = p->closed;

	p->closed = NULL;
	closed(p->closed_arg);
}

static void close_server(struct prometheus *p)
{
	struct http_server *server = p->server;

	if (!server)
		return;
	p->server = NULL;
	if (p->deadline)
		timer_stop(p->deadline);
	http_server_close(server, on_closed, p);
}

static void on_deadline(void *arg)
{
	close_server(arg);
}

static void on_drained(void *arg)
{
	close_server(arg);
}

/* Scrapes under way are finished. */
static void prometheus_shutdown(struct component *component, uint64_t deadline_ns,
                                void (*closed)(void *arg), void *arg)
{
	struct prometheus *p = (struct prometheus *)component;
	uint64_t now = loop_now_ns(component->host->loop);

	p->stopping = true;
	p->closed = closed;
	p->closed_arg = arg;
	if (p->expiry)
		timer_stop(p->expiry);
	if (!p->server) {
		on_closed(p);
		return;
	}
	timer_start(p->deadline, deadline_ns > now ? deadline_ns - now : 0, 0);
	http_server_drain(p->server, on_drained, p);
}

const struct component_type exporter_prometheus_type = {
	.name = "prometheus",
	.kind = EXPORTER,
	.signals = SIGNAL_BIT(SIGNAL_METRICS),
	.caps = CAP_SHARED,
	.summary = "Shows metrics on a page that Prometheus scrapes.",
	.stability = "alpha",
	.config_size = sizeof(struct prometheus_config),
	.options = prometheus_options,
	.check = prometheus_check,
	.create = prometheus_create,
	.start = prometheus_start,
	.consume = prometheus_consume,
	.shutdown = prometheus_shutdown,
	.destroy = prometheus_destroy,
};
