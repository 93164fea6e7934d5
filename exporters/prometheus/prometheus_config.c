#include "exporters/prometheus/prometheus_config.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* A scraper comes back every minute or sooner. */
#define IDLE_NS (120 * NS_PER_S)

static const char *const service_attributes[] = {"service.name", "service.namespace",
                                                 "service.instance.id"};
enum { SERVICE_ATTRIBUTES = sizeof service_attributes / sizeof *service_attributes };

static const struct option resource_labels_options[] = {
	OPTION_STRING_LIST(struct prometheus_resource_labels, included,
                           .doc = "Keys of attributes that become labels of every series; \"*\" is "
                                  "all of them."),
	OPTION_STRING_LIST(struct prometheus_resource_labels, excluded,
                           .doc = "Keys of attributes that never do."),
	OPTION_END,
};

static const struct option conversion_options[] = {
	OPTION_BOOL(struct prometheus_conversion, enabled, .text = "false",
                    .doc = "Every attribute of the resource becomes a label of every series."),
	OPTION_BOOL(struct prometheus_conversion, exclude_service_attributes, .text = "false",
                    .doc = "But not service.name, service.namespace and service.instance.id, "
                           "which are in job and instance."),
	OPTION_END,
};

static const struct option auth_options[] = {
	OPTION_COMPONENT(struct prometheus_auth, authenticator,
                         .doc = "The extension that says who may scrape, for instance basicauth or "
                                "bearertokenauth."),
	OPTION_END,
};

static const struct option queue_options[] = {
	OPTION_END,
};

const struct option prometheus_options[] = {
	OPTION_ENDPOINT(struct prometheus_config, endpoint, .flags = OPTION_REQUIRED,
                        .doc = "Where to listen: host:port; :port is every address of the machine, "
                               "unix:///path a socket in the file system. The page is /metrics."),
	OPTION_STRING(struct prometheus_config, namespace,
                      .doc = "Put before every metric's name, with a _ between."),
	OPTION_STRING_MAP(struct prometheus_config, const_labels,
                          .doc = "Added to every series that has no label of that name."),
	OPTION_BOOL(struct prometheus_config, send_timestamps, .text = "false",
                    .doc = "Show the time of every value. Without it the time of the scrape is its "
                           "time, and Prometheus marks what is no longer shown as stale."),
	OPTION_DURATION(struct prometheus_config, metric_expiration, .text = "5m",
                        .doc = "A series not seen for so long is no longer shown, and what its "
                               "deltas have come to is forgotten; 0: never."),
	OPTION_BOOL(struct prometheus_config, enable_open_metrics, .text = "false",
                    .doc = "Give OpenMetrics, with exemplars, to scrapers that ask for it."),
	OPTION_GROUP(struct prometheus_config, resource_constant_labels, resource_labels_options,
                     .doc = "Attributes of the resource as labels of every series."),
	OPTION_GROUP(struct prometheus_config, resource_to_telemetry_conversion, conversion_options,
                     .doc = "The older way to say the same."),
	OPTION_BOOL(struct prometheus_config, without_scope_info, .text = "false",
                    .doc = "Leave out the labels otel_scope_*."),
	OPTION_BOOL(struct prometheus_config, target_info, .text = "true",
                    .doc = "A series target_info with the resource's attributes, one for each job "
                           "and instance. Only weir has this key."),
	OPTION_ENUM(struct prometheus_config, translation_strategy, name_strategies,
                    .text = "UnderscoreEscapingWithSuffixes",
                    .doc = "How names are written: other characters as _ or kept as UTF-8, with or "
                           "without units and _total behind. UTF-8 names are given as they are "
                           "only to scrapers that ask for it (Prometheus 3)."),
	OPTION_BOOL(struct prometheus_config, add_metric_suffixes, .text = "true",
                    .flags = OPTION_DEPRECATED,
                    .doc = "Use translation_strategy: false is "
                           "UnderscoreEscapingWithoutSuffixes."),
	OPTION_OPTIONAL(struct prometheus_config, tls, tls_server_options,
                        .doc = "Transport security; off without this block."),
	OPTION_OPTIONAL(struct prometheus_config, auth, auth_options,
                        .doc = "Who may scrape; without this block everybody."),
	OPTION_GROUP(struct prometheus_config, limits, http_limits_options,
                     .doc = "What a client may cost; only weir has this block."),
	OPTION_UINT(struct prometheus_config, max_series, .text = "1000000", .min = 1,
                    .max = 100000000,
                    .doc = "Series that are kept at once; data points for more are dropped and "
                           "counted. Only weir has this key."),
	OPTION_SIZE(struct prometheus_config, max_symbol_bytes, .text = "1GiB", .min = 4096,
                    .max = 1e15,
                    .doc = "Memory that names and values of labels may take. Only weir has this "
                           "key."),
	OPTION_UINT(struct prometheus_config, max_concurrent_scrapes, .text = "8", .min = 1,
                    .max = 1000,
                    .doc = "Scrapes at once; a further one is answered with 503. Only weir has "
                           "this key."),
	OPTION_OPTIONAL(struct prometheus_config, sending_queue, queue_options,
                        .flags = OPTION_IGNORED,
                        .doc = "Of the Collector; what comes is shown at once."),
	OPTION_END,
};

static bool keeps_utf8(const struct prometheus_config *c)
{
	return c->translation_strategy == NAME_UTF8 ||
	       c->translation_strategy == NAME_UTF8_SUFFIXED;
}

static int check_labels(const struct prometheus_config *c, struct error *error)
{
	for (size_t i = 0; i < c->const_labels.count; i++) {
		const char *key = c->const_labels.items[i].key;
		const char *value = c->const_labels.items[i].value;

		if (!*key || !value || !*value)
			return error_set(error, -EINVAL,
			                 "const_labels: a label has a name and a value that are "
			                 "not empty");
		if (strncmp(key, "__", 2) == 0 ||
		    (!keeps_utf8(c) && !name_is_legacy_label(slice_from_string(key))))
			return error_set(error, -EINVAL,
			                 "const_labels: %s is not a label name: letters, digits "
			                 "and _, no digit first and no __",
			                 key);
	}
	return 0;
}

int prometheus_check(const void *config, struct error *error)
{
	const struct prometheus_config *c = config;
	int r = check_labels(c, error);

	if (r < 0)
		return r;
	if (c->endpoint.scheme == ENDPOINT_HTTP || c->endpoint.scheme == ENDPOINT_HTTPS)
		return error_set(error, -EINVAL,
		                 "endpoint \"%s\" is where to listen: host:port, without http://",
		                 c->endpoint.text);
	if (c->auth.enabled && (!c->auth.authenticator || !*c->auth.authenticator))
		return error_set(error, -EINVAL,
		                 "auth: authenticator is missing: name an extension, for instance "
		                 "basicauth");
	return tls_server_config_check(&c->tls, error);
}

/* A copy of the list and the names behind it, with NULL at the end. */
static const char **join(const struct string_list *list, const char *const *more, size_t n)
{
	const char **joined = calloc(list->count + n + 1, sizeof *joined);

	if (!joined)
		return NULL;
	if (list->count > 0)
		memcpy(joined, list->items, list->count * sizeof *joined);
	if (n > 0)
		memcpy(joined + list->count, more, n * sizeof *joined);
	return joined;
}

/* The translator's clock counts whole seconds: rather a second late than one early. */
static uint64_t in_seconds(uint64_t expiration)
{
	return expiration ? ((expiration - 1) / NS_PER_S + 2) * NS_PER_S : 0;
}

int prometheus_translation(const struct prometheus_config *c, struct prometheus_lists *lists,
                           struct translator_options *ret, struct error *error)
{
	static const char *const all[] = {"*"};
	bool convert = c->resource_to_telemetry_conversion.enabled;
	bool exclude = convert && c->resource_to_telemetry_conversion.exclude_service_attributes;
	int strategy = c->translation_strategy;

	lists->external = calloc(c->const_labels.count + 1, sizeof *lists->external);
	lists->included = join(&c->resource_constant_labels.included, all, convert ? 1 : 0);
	lists->excluded = join(&c->resource_constant_labels.excluded, service_attributes,
	                       exclude ? SERVICE_ATTRIBUTES : 0);
	if (!lists->external || !lists->included || !lists->excluded)
		return error_no_memory(error);
	for (size_t i = 0; i < c->const_labels.count; i++)
		lists->external[i] = (struct translator_label){c->const_labels.items[i].key,
		                                               c->const_labels.items[i].value};
	if (!c->add_metric_suffixes && strategy == NAME_ESCAPED_SUFFIXED)
		strategy = NAME_ESCAPED;
	*ret = (struct translator_options){
		.strategy = (enum name_strategy)strategy,
		.namespace = c->namespace,
		.external = lists->external,
		.n_external = c->const_labels.count,
		.resource_included = lists->included,
		.resource_excluded = lists->excluded,
		.no_scope_labels = c->without_scope_info,
		.no_target_info = !c->target_info,
		.one_type = true,
		.tell_late = true,
		.expiry_ns = in_seconds(c->metric_expiration),
		.max_series = (size_t)c->max_series,
		.max_symbol_bytes = (size_t)c->max_symbol_bytes,
	};
	return 0;
}

void prometheus_lists_fini(struct prometheus_lists *lists)
{
	free(lists->external);
	free(lists->included);
	free(lists->excluded);
}

struct http_limits prometheus_limits(const struct prometheus_config *c)
{
	struct http_limits limits = c->limits;

	limits.streams = http_default_limits.streams;
	limits.read_time = limits.header_time;
	limits.idle = IDLE_NS;
	limits.age = http_default_limits.age;
	limits.age_grace = http_default_limits.age_grace;
	limits.keepalive_time = http_default_limits.keepalive_time;
	limits.keepalive_timeout = http_default_limits.keepalive_timeout;
	limits.ping_min_time = http_default_limits.ping_min_time;
	limits.ping_without_stream = http_default_limits.ping_without_stream;
	return limits;
}
