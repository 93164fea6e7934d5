/* otlp_config, private: what users write, and what it means to the gRPC client. */
#ifndef WEIR_EXPORTERS_OTLP_CONFIG_H
#define WEIR_EXPORTERS_OTLP_CONFIG_H

#include "core/export/exporter.h"
#include "core/net/grpc_client.h"

/* OTLP's recommendation for the largest request a client sends, uncompressed. */
enum { OTLP_REQUEST_LIMIT = 64 * 1024 * 1024 };

struct otlp_tls_config {
	bool insecure, insecure_skip_verify, include_system_ca_certs_pool;
	const char *ca_file, *ca_pem, *cert_file, *cert_pem, *key_file, *key_pem;
	const char *server_name_override, *min_version, *max_version;
	struct string_list cipher_suites, curve_preferences;
	uint64_t reload_interval;
};

struct otlp_keepalive_config {
	bool enabled, permit_without_stream;
	uint64_t time, timeout;
};

struct otlp_config {
	struct endpoint endpoint;
	int compression;
	struct string_map headers;
	const char *authority, *user_agent, *balancer_name;
	struct otlp_tls_config tls;
	struct otlp_keepalive_config keepalive;
	bool wait_for_ready;
	uint64_t read_buffer_size, write_buffer_size;
	struct exporter_config exporter;
};

extern const struct option otlp_options[];

/* Another one for this exporter. */
void otlp_limit_requests(struct component *exporter, size_t bytes);

int otlp_check(const void *config, struct error *error);

enum coding otlp_config_coding(const struct otlp_config *c);

/* Whether the connection is made without TLS. */
bool otlp_config_is_plain(const struct otlp_config *c);

struct tls_settings otlp_config_tls(const struct otlp_config *c);

#endif
