/* otlp_config, private: what users write, and what it means to the gRPC client. */
#ifndef WEIR_EXPORTERS_OTLP_CONFIG_H
#define WEIR_EXPORTERS_OTLP_CONFIG_H

#include "core/export/exporter.h"
#include "core/export/headers.h"
#include "core/net/grpc_client.h"
#include "core/net/tls_config.h"

struct otlp_keepalive_config {
	bool enabled, permit_without_stream;
	uint64_t time, timeout;
};

struct otlp_config {
	struct endpoint endpoint;
	int compression;
	struct string_map headers;
	struct auth_config auth;
	const char *authority, *user_agent, *balancer_name;
	struct tls_client_config tls;
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

#endif
