#include "exporters/prometheusremotewrite/prometheusremotewrite_config.h"

#include "core/net/http_client.h"

#include <errno.h>

/* What the Collector has and weir gives no meaning to. */
#define NOT_NEEDED .flags = OPTION_IGNORED, .doc = "Of the Collector; weir needs no setting for it."
#define NO_PINGS .flags = OPTION_IGNORED, .doc = "Of the Collector; weir sends no pings over HTTP."

/* clang-format off */
#define HTTP_OPTIONS(type, at)                                                                     \
	OPTION_STRING(type, at endpoint, .name = "endpoint",                                       \
	              .doc = "The URL that takes remote write, with its path: "                    \
	                     "http://prometheus:9090/api/v1/write. Required, here or in http."),   \
	OPTION_STRING_MAP(type, at headers, .name = "headers", .flags = OPTION_SECRET,             \
	                  .doc = "Sent with every request, for instance X-Scope-OrgID for Mimir."), \
	OPTION_OPTIONAL(type, at auth, auth_client_options, .name = "auth",                        \
	                .doc = "Who adds an authorization to every request."),                     \
	OPTION_GROUP(type, at tls, tls_client_options, .name = "tls",                              \
	             .doc = "Transport security of https."),                                       \
	OPTION_STRING(type, at proxy_url, .name = "proxy_url", .flags = OPTION_SECRET,             \
	              .doc = "Proxy for all requests: http://, https:// or socks5://; without it " \
	                     "as http_proxy, https_proxy, all_proxy and no_proxy in the "          \
	                     "environment say."),                                                  \
	OPTION_UINT(type, at max_conns_per_host, .name = "max_conns_per_host", .text = "0",        \
	            .doc = "Connections at most; there are never more than shards. 0 is no limit."), \
	OPTION_UINT(type, at max_idle_conns, .name = "max_idle_conns", .text = "100",              \
	            .doc = "Connections that are kept open for the next request."),                \
	OPTION_DURATION(type, at idle_conn_timeout, .name = "idle_conn_timeout", .text = "90s",    \
	                .doc = "A connection that was idle for so long is not used again; 0 is "   \
	                       "no limit."),                                                       \
	OPTION_BOOL(type, at force_attempt_http2, .name = "force_attempt_http2", .text = "true",   \
	            .doc = "Offer HTTP/2 where there is TLS; http:// is always HTTP/1.1."),        \
	OPTION_STRING(type, at compression, .name = "compression", .flags = OPTION_IGNORED,        \
	              .doc = "Of the Collector; remote write is always one block of snappy."),     \
	OPTION_UINT(type, at max_idle_conns_per_host, .name = "max_idle_conns_per_host",           \
	            NOT_NEEDED),                                                                   \
	OPTION_SIZE(type, at read_buffer_size, .name = "read_buffer_size", NOT_NEEDED),            \
	OPTION_SIZE(type, at write_buffer_size, .name = "write_buffer_size", NOT_NEEDED),          \
	OPTION_DURATION(type, at http2_read_idle_timeout, .name = "http2_read_idle_timeout",       \
	                NO_PINGS),                                                                 \
	OPTION_DURATION(type, at http2_ping_timeout, .name = "http2_ping_timeout", NO_PINGS)
/* clang-format on */

static const struct option http_options[] = {HTTP_OPTIONS(struct remote_write_http, ), OPTION_END};

static const struct option queue_rows[] = {
	OPTION_UINT(struct remote_write_queue_config, queue_size, .text = "10000", .min = 1,
                    .max = 1e9, .doc = "Batches that may be queued."),
	OPTION_UINT(struct remote_write_queue_config, max_samples, .text = "10000000", .min = 1,
                    .max = 1e12, .doc = "Samples that may be queued, in all shards together."),
	OPTION_SIZE(struct remote_write_queue_config, max_bytes, .text = "512MiB", .min = 1024,
                    .max = 1e15, .doc = "Memory that queued samples may take."),
	OPTION_UINT(struct remote_write_queue_config, num_consumers, .text = "5", .min = 1,
                    .max = 1000,
                    .doc = "Shards: every series belongs to one, and each has one request in "
                           "flight."),
	OPTION_BOOL(struct remote_write_queue_config, wait_for_result, .text = "false",
                    .doc = "The sender's answer waits for the receiver's."),
	OPTION_BOOL(struct remote_write_queue_config, block_on_overflow, .text = "false",
                    .doc = "A full queue makes senders wait instead of refusing."),
	OPTION_DURATION(struct remote_write_queue_config, flush_timeout, .text = "200ms",
                        .doc = "The longest that a sample waits for others to share its request "
                               "with."),
	OPTION_UINT(struct remote_write_queue_config, min_request_samples, .text = "2000",
                    .doc = "A request is sent as soon as so many samples wait for it."),
	OPTION_UINT(struct remote_write_queue_config, max_request_samples, .text = "10000",
                    .min = 1, .max = 1e9, .doc = "Samples in one request at most."),
	OPTION_END,
};

static const struct option retry_rows[] = {
	OPTION_DURATION(struct retry_config, initial_interval, .text = "50ms",
                        .doc = "Wait before the second attempt."),
	OPTION_DURATION(struct retry_config, max_interval, .text = "30s",
                        .doc = "The longest wait between two attempts."),
	OPTION_DURATION(struct retry_config, max_elapsed_time, .text = "0s",
                        .doc = "After this long a request is dropped; 0 is never (the Collector's "
                               "default is 300s)."),
	OPTION_FLOAT(struct retry_config, randomization_factor, .text = "0.5",
                     .doc = "A wait is spread evenly over itself plus and minus this part of it."),
	OPTION_FLOAT(struct retry_config, multiplier, .text = "1.5",
                     .doc = "How much longer each wait is than the one before."),
	OPTION_END,
};

static const struct option conversion_rows[] = {
	OPTION_BOOL(struct remote_write_conversion_config, enabled, .text = "false",
                    .doc = "Every attribute of the resource becomes a label of every series."),
	OPTION_BOOL(struct remote_write_conversion_config, exclude_service_attributes,
                    .text = "false",
                    .doc = "But not service.name, service.namespace and service.instance.id, "
                           "which are in job and instance."),
	OPTION_END,
};

static const struct option target_info_rows[] = {
	OPTION_BOOL(struct remote_write_target_info_config, enabled, .text = "true",
                    .doc = "A series target_info with the resource's attributes, one for each job "
                           "and instance."),
	OPTION_END,
};

static const struct option stale_rows[] = {
	OPTION_BOOL(struct remote_write_stale_config, on_expiry, .text = "true",
                    .doc = "When a series was not seen for series_expiry."),
	OPTION_BOOL(struct remote_write_stale_config, on_shutdown, .text = "false",
                    .doc = "For all series when weir stops: right for an agent whose series end "
                           "with it, wrong for a gateway that is one of several."),
	OPTION_END,
};

static const struct option wal_rows[] = {
	OPTION_STRING(struct remote_write_wal_config, directory, .doc = "As wal."),
	OPTION_UINT(struct remote_write_wal_config, buffer_size, .doc = "As wal."),
	OPTION_DURATION(struct remote_write_wal_config, truncate_frequency, .doc = "As wal."),
	OPTION_DURATION(struct remote_write_wal_config, lag_record_frequency, .doc = "As wal."),
	OPTION_END,
};

/* In the order of enum MESSAGE_*. */
static const char *const messages[] = {
	"auto", "prometheus.WriteRequest", "io.prometheus.write.v2.Request", "v1", "v2", NULL,
};

const struct option prometheusremotewrite_options[] = {
	HTTP_OPTIONS(struct prometheusremotewrite_config, top.),
	OPTION_OPTIONAL(struct prometheusremotewrite_config, http, http_options,
                        .doc = "endpoint and what follows it above, as a block of their own."),
	OPTION_DURATION(struct prometheusremotewrite_config, timeout, .text = "5s",
                        .doc = "Time limit of one attempt; 0 is none."),
	OPTION_STRING_MAP(struct prometheusremotewrite_config, external_labels,
                          .doc = "Added to every series that has no label of that name."),
	OPTION_STRING(struct prometheusremotewrite_config, namespace,
                      .doc = "Put before every metric's name, with a _ between."),
	OPTION_ENUM(struct prometheusremotewrite_config, translation_strategy, name_strategies,
                    .text = "UnderscoreEscapingWithSuffixes",
                    .doc = "How names are written: other characters as _ or kept as UTF-8, with or "
                           "without units and _total behind."),
	OPTION_BOOL(struct prometheusremotewrite_config, add_metric_suffixes, .text = "true",
                    .flags = OPTION_DEPRECATED,
                    .doc = "Use translation_strategy: false is "
                           "UnderscoreEscapingWithoutSuffixes."),
	OPTION_GROUP(struct prometheusremotewrite_config, resource_to_telemetry_conversion,
                     conversion_rows, .doc = "Attributes of the resource as labels."),
	OPTION_GROUP(struct prometheusremotewrite_config, target_info, target_info_rows,
                     .doc = "What is known of the source of the series."),
	OPTION_BOOL(struct prometheusremotewrite_config, disable_scope_info, .text = "false",
                    .doc = "Leave out the labels otel_scope_*."),
	OPTION_BOOL(struct prometheusremotewrite_config, send_metadata, .text = "false",
                    .doc = "With 1.0: type, help and unit once a minute and metric. 2.0 always "
                           "sends them."),
	OPTION_OPTIONAL(struct prometheusremotewrite_config, queue, queue_rows,
                        .name = "remote_write_queue", .text = "on",
                        .doc = "The queue between the pipeline and the receiver. Off: senders "
                               "wait for the receiver's answer."),
	OPTION_OPTIONAL(struct prometheusremotewrite_config, retry, retry_rows,
                        .name = "retry_on_failure", .text = "on",
                        .doc = "What happens after a failure that may pass."),
	OPTION_SIZE(struct prometheusremotewrite_config, max_batch_size_bytes, .text = "3000000",
                    .min = 1024, .max = 1e9, .doc = "Size of a request, before compression."),
	OPTION_UINT(struct prometheusremotewrite_config, max_batch_request_parallelism, .text = "0",
                    .max = 1000,
                    .doc = "Shards, in the place of remote_write_queue::num_consumers; 0 is not "
                           "said."),
	OPTION_ENUM(
		struct prometheusremotewrite_config, protobuf_message, messages, .text = "auto",
		.doc = "Version 2.0 first and 1.0 when the receiver does not know it, or one of "
		       "them only (prometheus.WriteRequest and v1 are 1.0)."),
	OPTION_BOOL(struct prometheusremotewrite_config, split_refused, .text = "true",
                    .doc = "A request that is refused for one of its samples is sent again in "
                           "halves until that sample is found."),
	OPTION_GROUP(struct prometheusremotewrite_config, stale_markers, stale_rows,
                     .doc = "Telling the receiver that a series has ended."),
	OPTION_DURATION(struct prometheusremotewrite_config, series_expiry, .text = "5m",
                        .doc = "A series not seen for so long has ended and is forgotten, with the "
                               "total of its deltas; 0 is never."),
	OPTION_UINT(struct prometheusremotewrite_config, max_series, .text = "10000000", .min = 1,
                    .max = 4e9, .doc = "Series that are known at once; more are dropped."),
	OPTION_SIZE(struct prometheusremotewrite_config, max_symbol_bytes, .text = "4GiB",
                    .min = 4096, .max = 1e15,
                    .doc = "Memory that names and values of labels may take."),
	OPTION_OPTIONAL(struct prometheusremotewrite_config, wal, wal_rows, .flags = OPTION_IGNORED,
                        .doc = "The Collector's write-ahead log; this version of weir keeps its "
                               "queue in memory, what is in it when weir ends is lost."),
	OPTION_END,
};

const struct remote_write_http *
prometheusremotewrite_http(const struct prometheusremotewrite_config *c)
{
	return c->http.enabled && c->http.endpoint && *c->http.endpoint ? &c->http : &c->top;
}

size_t prometheusremotewrite_shards(const struct prometheusremotewrite_config *c)
{
	uint64_t n = c->max_batch_request_parallelism ? c->max_batch_request_parallelism
	                                              : c->queue.num_consumers;

	return n ? (size_t)n : 1;
}

/* ---- rules over several keys */

/* Written by the exporter or by the client itself; the specification forbids to change the first
 * four. */
static const char *const reserved[] = {
	"content-encoding",
	"content-type",
	"user-agent",
	"x-prometheus-remote-write-version",
	"content-length",
	"connection",
	"transfer-encoding",
	"expect",
	"te",
	"upgrade",
	"accept-encoding",
	NULL,
};

static int check_http(const struct prometheusremotewrite_config *c, struct error *error)
{
	const struct remote_write_http *h = prometheusremotewrite_http(c);
	int r;

	if (!h->endpoint || !*h->endpoint)
		return error_set(error, -EINVAL,
		                 "invalid endpoint: endpoint is missing; give the URL that takes "
		                 "remote write, for instance http://prometheus:9090/api/v1/write");
	if (h == &c->http && c->top.endpoint && *c->top.endpoint)
		return error_set(error, -EINVAL,
		                 "invalid endpoint: it stands at the top level and in http; remove "
		                 "one");
	if ((r = http_client_url_check("endpoint", h->endpoint, error)) < 0 ||
	    (r = tls_client_config_check(&h->tls, error)) < 0)
		return r;
	return headers_check(&h->headers, &h->auth, reserved, error);
}

static bool keeps_utf8(int strategy)
{
	return strategy == NAME_UTF8 || strategy == NAME_UTF8_SUFFIXED;
}

static int check_labels(const struct prometheusremotewrite_config *c, struct error *error)
{
	for (size_t i = 0; i < c->external_labels.count; i++) {
		const char *key = c->external_labels.items[i].key;
		const char *value = c->external_labels.items[i].value;

		if (!key || !*key || !value || !*value)
			return error_set(error, -EINVAL,
			                 "prometheus remote write: external labels configuration "
			                 "contains an empty key or value");
		if (strncmp(key, "__", 2) == 0 || (!keeps_utf8(c->translation_strategy) &&
		                                   !name_is_legacy_label(slice_from_string(key))))
			return error_set(error, -EINVAL,
			                 "external_labels: %s is not a label name: letters, digits "
			                 "and _, no digit first and no __",
			                 key);
	}
	return 0;
}

int prometheusremotewrite_check(const void *config, struct error *error)
{
	const struct prometheusremotewrite_config *c = config;
	const struct exporter_config rules = {.retry_on_failure = c->retry};
	int r = check_http(c, error);

	if (r == 0)
		r = check_labels(c, error);
	if (r == 0)
		r = exporter_config_check(&rules, error);
	return r;
}

void prometheusremotewrite_translation(const struct prometheusremotewrite_config *c,
                                       struct translator_label *external,
                                       struct translator_options *ret)
{
	static const char *const all[] = {"*", NULL};
	static const char *const service[] = {"service.name", "service.namespace",
	                                      "service.instance.id", NULL};
	int strategy = c->translation_strategy;

	if (!c->add_metric_suffixes && strategy == NAME_ESCAPED_SUFFIXED)
		strategy = NAME_ESCAPED;
	for (size_t i = 0; i < c->external_labels.count; i++)
		external[i] = (struct translator_label){c->external_labels.items[i].key,
		                                        c->external_labels.items[i].value};
	*ret = (struct translator_options){
		.strategy = (enum name_strategy)strategy,
		.namespace = c->namespace,
		.external = external,
		.n_external = c->external_labels.count,
		.no_scope_labels = c->disable_scope_info,
		.no_target_info = !c->target_info.enabled,
		.expiry_ns = c->series_expiry,
		.max_series = (size_t)c->max_series,
		.max_symbol_bytes = (size_t)c->max_symbol_bytes,
	};
	if (c->resource_to_telemetry_conversion.enabled) {
		ret->resource_included = all;
		if (c->resource_to_telemetry_conversion.exclude_service_attributes)
			ret->resource_excluded = service;
	}
}
