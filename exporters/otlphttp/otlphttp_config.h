/* otlphttp_config, private: what users write, and what it means to the HTTP client. */
#ifndef WEIR_EXPORTERS_OTLPHTTP_CONFIG_H
#define WEIR_EXPORTERS_OTLPHTTP_CONFIG_H

#include "core/base/signal.h"
#include "core/export/exporter.h"
#include "core/export/headers.h"
#include "core/net/tls_config.h"
#include "core/wire/compress.h"

enum { OTLPHTTP_PROTO, OTLPHTTP_JSON }; /* .encoding */

struct otlphttp_compression_params {
	int64_t level;
};

struct otlphttp_cookies {
	bool enabled;
};

struct otlphttp_config {
	const char *endpoint, *traces_endpoint, *metrics_endpoint, *logs_endpoint;
	int encoding, compression;
	struct otlphttp_compression_params compression_params;
	struct string_map headers;
	struct auth_config auth;
	struct tls_client_config tls;
	const char *proxy_url;
	uint64_t max_idle_conns, max_conns_per_host, idle_conn_timeout;
	bool force_attempt_http2;
	/* ignored */
	const char *profiles_endpoint;
	uint64_t max_idle_conns_per_host, http2_read_idle_timeout, http2_ping_timeout;
	uint64_t read_buffer_size, write_buffer_size;
	struct otlphttp_cookies cookies;
	struct exporter_config exporter;
};

extern const struct option otlphttp_options[];

int otlphttp_check(const void *config, struct error *error);

enum coding otlphttp_config_coding(const struct otlphttp_config *c);

/* Where that signal goes, for free(). -EINVAL: nobody has said; -ENOMEM. */
int otlphttp_config_url(const struct otlphttp_config *c, enum signal signal, char **ret,
                        struct error *error);

/* Another limit for this exporter's requests. */
void otlphttp_limit_requests(struct component *exporter, size_t bytes);

#endif
