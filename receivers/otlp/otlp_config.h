/* otlp_config, private: what users write about the two listeners, and what it means to
 * core/net/http_server. */
#ifndef WEIR_RECEIVERS_OTLP_CONFIG_H
#define WEIR_RECEIVERS_OTLP_CONFIG_H

#include "core/base/signal.h"
#include "core/net/http_config.h"
#include "core/net/tls_config.h"

struct otlp_auth_config {
	bool enabled;
	const char *authenticator;
	struct string_list request_params; /* HTTP only */
};

/* What both protocols have. */
struct otlp_listen_config {
	const char *endpoint; /* read with transport: see otlp_listen_endpoint() */
	int transport;
	struct tls_server_config tls;
	struct otlp_auth_config auth;
	bool include_metadata;
	struct group_list middlewares;
	struct http_limits limits;
	uint64_t max_size; /* bytes of a request, on the wire and inflated; 0: the default */
};

/* Durations in ns. */
struct otlp_keepalive_parameters {
	uint64_t max_connection_idle, max_connection_age, max_connection_age_grace;
	uint64_t time, timeout;
};
struct otlp_keepalive_policy {
	uint64_t min_time;
	bool permit_without_stream;
};
struct otlp_keepalive_config {
	struct otlp_keepalive_parameters server_parameters;
	struct otlp_keepalive_policy enforcement_policy;
};

struct otlp_grpc_config {
	bool enabled;
	struct otlp_listen_config listen;
	uint64_t max_recv_msg_size_mib, max_concurrent_streams;
	uint64_t read_buffer_size, write_buffer_size;
	struct otlp_keepalive_config keepalive;
};

struct otlp_cors_config {
	bool enabled;
	struct string_list allowed_origins, allowed_headers, exposed_headers;
	uint64_t max_age; /* s */
};

struct otlp_http_config {
	bool enabled;
	struct otlp_listen_config listen;
	const char *url_paths[SIGNAL_COUNT];
	struct string_list compression_algorithms; /* none given: all */
	struct otlp_cors_config cors;
	struct string_map response_headers;
	uint64_t read_timeout, read_header_timeout, write_timeout, idle_timeout;
	uint64_t max_connection_age, max_connection_age_grace;
	bool keep_alives_enabled;
};

struct otlp_protocols {
	struct otlp_grpc_config grpc;
	struct otlp_http_config http;
};

struct otlp_receiver_config {
	struct otlp_protocols protocols;
};

extern const struct option otlp_receiver_options[];

int otlp_receiver_check(const void *config, struct error *error);

/* Where to listen: endpoint as transport reads it. */
int otlp_listen_endpoint(const struct otlp_listen_config *c, struct endpoint *ret,
                         struct error *error);

/* Whether others than this machine can reach it. */
bool otlp_endpoint_is_public(const struct endpoint *e);

struct http_limits otlp_grpc_limits(const struct otlp_grpc_config *c);
struct http_limits otlp_http_limits(const struct otlp_http_config *c);

/* Bytes that a request may have, on the wire and inflated. */
size_t otlp_grpc_max_size(const struct otlp_grpc_config *c);
size_t otlp_http_max_size(const struct otlp_http_config *c);

#endif
