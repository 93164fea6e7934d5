/* prometheusremotewrite_config, private: what users write, and what it means to the translator. */
#ifndef WEIR_EXPORTERS_PROMETHEUSREMOTEWRITE_CONFIG_H
#define WEIR_EXPORTERS_PROMETHEUSREMOTEWRITE_CONFIG_H

#include "core/export/exporter.h"
#include "core/export/headers.h"
#include "core/net/tls_config.h"
#include "core/prometheus/translate.h"

/* .protobuf_message */
enum { MESSAGE_AUTO, MESSAGE_1, MESSAGE_2, MESSAGE_V1, MESSAGE_V2 };

/* Where to and how; at the top level or in the block `http`. */
struct remote_write_http {
	bool enabled; /* of the block only */
	const char *endpoint, *proxy_url;
	struct string_map headers;
	struct auth_config auth;
	struct tls_client_config tls;
	uint64_t max_conns_per_host, max_idle_conns, idle_conn_timeout;
	bool force_attempt_http2;
	/* ignored */
	const char *compression;
	uint64_t max_idle_conns_per_host, read_buffer_size, write_buffer_size;
	uint64_t http2_read_idle_timeout, http2_ping_timeout;
};

struct remote_write_queue_config {
	bool enabled;
	uint64_t queue_size, max_samples, max_bytes;
	uint64_t num_consumers;
	bool wait_for_result, block_on_overflow;
	uint64_t flush_timeout, min_request_samples, max_request_samples;
};

struct remote_write_conversion_config {
	bool enabled, exclude_service_attributes;
};

struct remote_write_target_info_config {
	bool enabled;
};

struct remote_write_stale_config {
	bool on_expiry, on_shutdown;
};

struct remote_write_wal_config {
	bool enabled;
	const char *directory;
	uint64_t buffer_size, truncate_frequency, lag_record_frequency;
};

struct prometheusremotewrite_config {
	struct remote_write_http top, http;
	uint64_t timeout; /* ns of one attempt */
	struct string_map external_labels;
	const char *namespace;
	int translation_strategy;
	bool add_metric_suffixes, disable_scope_info, send_metadata;
	struct remote_write_conversion_config resource_to_telemetry_conversion;
	struct remote_write_target_info_config target_info;
	struct remote_write_queue_config queue;
	struct retry_config retry;
	uint64_t max_batch_size_bytes, max_batch_request_parallelism;
	int protobuf_message;
	bool split_refused;
	struct remote_write_stale_config stale_markers;
	uint64_t series_expiry, max_series, max_symbol_bytes;
	struct remote_write_wal_config wal;
};

extern const struct option prometheusremotewrite_options[];

int prometheusremotewrite_check(const void *config, struct error *error);

/* The block that counts. */
const struct remote_write_http *
prometheusremotewrite_http(const struct prometheusremotewrite_config *c);

/* How many requests may be out at once, each with series of its own. */
size_t prometheusremotewrite_shards(const struct prometheusremotewrite_config *c);

/* external has room for all external_labels and lives as long as the translator. */
void prometheusremotewrite_translation(const struct prometheusremotewrite_config *c,
                                       struct translator_label *external,
                                       struct translator_options *ret);

#endif
