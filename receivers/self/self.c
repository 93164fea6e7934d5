/* self: weir's own metrics (those of /metrics) as OTLP, for a pipeline to take anywhere.
 *
 * Happy path: on_tick -> collect -> consume -> on_done(OK).
 * Fails: the next component does not take a batch (counters are cumulative: the next collection says
 * it again) · it has not answered by the next tick, or there is no memory (the collection is left
 * out and counted).
 *
 * Closing: a last collection, so that what was counted while the pipelines drained is told, and its
 * outcome, until the deadline. Reading counts nothing itself; the items that are sent are counted
 * like everybody's and are in the next collection. */
#include "core/base/clock.h"
#include "core/component.h"
#include "core/data/semconv.h"
#include "core/loop/timer.h"
#include "core/self/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_COLLECTION_NS NS_PER_S

struct self_config {
	uint64_t collection_interval;
	struct string_map resource;
};

static const struct option self_options[] = {
	OPTION_DURATION(struct self_config, collection_interval, .text = "60s", .min = 1e8,
                        .max = 3.6e12,
                        .doc = "Time between two readings; the first comes after one second at "
                               "the latest."),
	OPTION_STRING_MAP(struct self_config, resource,
                          .doc = "Attributes of the resource, besides or in place of "
                                 "service.name, service.instance.id, service.version and "
                                 "host.name; an empty value leaves one out."),
	OPTION_END,
};

/* A batch that is with the next component; outlives the receiver when that must go first. */
struct flight {
	struct self *self;
};

struct self {
	struct component component;
	const struct self_config *config;
	struct consumer next;
	char host_name[256];
	struct metrics_label *resource; /* ended by {NULL, NULL} */

	struct timer *timer;
	struct metrics_collector *collector;
	struct flight *flight; /* NULL: everything was answered */
	uint64_t collections_skipped;

	/* closing */
	bool started, closing, last_collected, late;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

extern const struct component_type receiver_self_type;

static void maybe_closed(struct self *s);
static void on_done(void *arg, const struct outcome *outcome);

static void report(void *arg, struct metrics_sink *sink)
{
	const struct self *s = arg;

	metrics_counter(sink, "weir_receiver_self_collections_skipped",
	                "Readings that were not sent: the one before had no outcome yet, or there "
	                "was no memory.",
	                METRICS_LABELS({"receiver", s->component.id}),
	                (double)s->collections_skipped);
}

static struct batch *read_all(const struct self *s)
{
	const struct host *host = s->component.host;
	struct batch_origin origin = {.receiver = s->component.id};
	struct batch *b = metrics_batch(host->metrics, s->resource, host->version,
	                                clock_realtime_ns(), host->budget);

	if (b && !batch_set_origin(b, &origin)) {
		batch_unref(b);
		return NULL;
	}
	return b;
}

/* False: nothing was sent, which is counted. The outcome may come before this returns. */
static bool collect(struct self *s)
{
	struct flight *flight = s->flight ? NULL : calloc(1, sizeof *flight);
	struct batch *b = flight ? read_all(s) : NULL;

	if (!b) {
		free(flight);
		s->collections_skipped++;
		return false;
	}
	flight->self = s;
	s->flight = flight;
	consumer_consume(s->next, b, (struct done){on_done, flight});
	return true;
}

/* At a moment when everything that was sent has been answered. */
static void collect_last(struct self *s)
{
	s->last_collected = true;
	if (!collect(s))
		maybe_closed(s);
}

static void on_done(void *arg, const struct outcome *outcome)
{
	struct flight *flight = arg;
	struct self *s = flight->self;

	(void)outcome; /* the edge behind the receiver counts it, and the next collection is newer */
	free(flight);
	if (!s)
		return;
	s->flight = NULL;
	if (s->closing && !s->last_collected)
		collect_last(s);
	else
		maybe_closed(s);
}

static void on_tick(void *arg)
{
	struct self *s = arg;

	if (!s->closing) {
		collect(s);
		return;
	}
	s->late = true;
	if (s->flight)
		log_warn(&s->component.log,
		         "stopped before the last reading of weir's own metrics was delivered");
	maybe_closed(s);
}

/* ---- life */

static void self_destroy(struct component *c)
{
	struct self *s = (struct self *)c;

	if (!s)
		return;
	if (s->flight)
		s->flight->self = NULL;
	free(s->resource);
	free(s);
}

static void set_attribute(struct self *s, size_t *n, const char *name, const char *value)
{
	size_t i = 0;

	while (i < *n && strcmp(s->resource[i].name, name) != 0)
		i++;
	if (*value) {
		s->resource[i] = (struct metrics_label){name, value};
		*n += i == *n;
	} else if (i < *n) {
		s->resource[i] = s->resource[--*n];
		s->resource[*n] = (struct metrics_label){NULL, NULL};
	}
}

static bool set_resource(struct self *s)
{
	const struct string_map *more = &s->config->resource;
	size_t n = 0;

	s->resource = calloc(4 + more->count + 1, sizeof *s->resource);
	if (!s->resource)
		return false;
	if (gethostname(s->host_name, sizeof s->host_name - 1) < 0)
		strcpy(s->host_name, "unknown");
	set_attribute(s, &n, SEMCONV_SERVICE_NAME, "weir");
	set_attribute(s, &n, SEMCONV_SERVICE_INSTANCE_ID, s->host_name);
	set_attribute(s, &n, SEMCONV_SERVICE_VERSION, s->component.host->version);
	set_attribute(s, &n, SEMCONV_HOST_NAME, s->host_name);
	for (size_t i = 0; i < more->count; i++)
		set_attribute(s, &n, more->items[i].key,
		              more->items[i].value ? more->items[i].value : "");
	return true;
}

static int self_check(const void *config, struct error *error)
{
	const struct self_config *c = config;

	for (size_t i = 0; i < c->resource.count; i++)
		if (!*c->resource.items[i].key)
			return error_set(error, -EINVAL, "resource: an attribute needs a name");
	return 0;
}

static int self_create(const struct create_args *args, struct component **ret, struct error *error)
{
	struct self *s = calloc(1, sizeof *s);

	if (!s)
		return error_no_memory(error);
	component_init(&s->component, &receiver_self_type, args);
	s->config = args->config;
	s->next = args->next[SIGNAL_METRICS];
	if (!set_resource(s)) {
		self_destroy(&s->component);
		return error_no_memory(error);
	}
	*ret = &s->component;
	return 0;
}

static int self_start(struct component *c, struct error *error)
{
	struct self *s = (struct self *)c;
	uint64_t interval = s->config->collection_interval;

	s->timer = timer_new(c->host->loop, on_tick, s);
	s->collector = metrics_register(c->host->metrics, report, s);
	if (!s->timer || !s->collector)
		return error_no_memory(error);
	s->started = true;
	timer_start(s->timer, interval < FIRST_COLLECTION_NS ? interval : FIRST_COLLECTION_NS,
	            interval);
	return 0;
}

/* The one gate of closing. */
static void maybe_closed(struct self *s)
{
	void (*on_closed)(void *arg) = s->on_closed;

	if (!on_closed || (s->started && !s->late && (s->flight || !s->last_collected)))
		return;
	timer_free(s->timer);
	s->timer = NULL;
	if (s->collector)
		metrics_unregister(s->component.host->metrics, s->collector);
	s->collector = NULL;
	s->on_closed = NULL;
	on_closed(s->on_closed_arg);
}

static void self_shutdown(struct component *c, uint64_t deadline_ns, void (*closed)(void *arg),
                          void *arg)
{
	struct self *s = (struct self *)c;
	uint64_t now = clock_monotonic_ns();

	s->closing = true;
	s->on_closed = closed;
	s->on_closed_arg = arg;
	if (s->started)
		timer_start(s->timer, deadline_ns > now ? deadline_ns - now : 0, 0);
	if (s->started && !s->flight)
		collect_last(s);
	else
		maybe_closed(s);
}

const struct component_type receiver_self_type = {
	.name = "self",
	.kind = RECEIVER,
	.signals = SIGNAL_BIT(SIGNAL_METRICS),
	.summary = "weir's own metrics, for a pipeline to take where the others go.",
	.stability = "development",
	.config_size = sizeof(struct self_config),
	.options = self_options,
	.check = self_check,
	.create = self_create,
	.start = self_start,
	.shutdown = self_shutdown,
	.destroy = self_destroy,
};
