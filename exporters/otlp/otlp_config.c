#include "exporters/otlp/otlp_config.h"

#include <errno.h>

enum { COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_NONE, COMPRESSION_SNAPPY };
static const char *const compressions[] = {"gzip", "zstd", "none", "snappy", NULL};

static const struct option keepalive_options[] = {
	OPTION_DURATION(struct otlp_keepalive_config, time, .text = "10s", .min = 1e6,
                        .doc = "Ping the server after so long without a byte from it."),
	OPTION_DURATION(
		struct otlp_keepalive_config, timeout, .text = "20s", .min = 1e6,
		.doc = "Give the connection up when nothing comes for so long after a ping."),
	OPTION_BOOL(struct otlp_keepalive_config, permit_without_stream, .text = "false",
                    .doc = "Ping also while no request is under way; many servers do not like it."),
	OPTION_END,
};

const struct option otlp_options[] = {
	OPTION_ENDPOINT(struct otlp_config, endpoint, .flags = OPTION_REQUIRED,
                        .doc = "host:port, http://host:port (plain), https://host:port, "
                               "dns:///host:port or unix:///path."),
	OPTION_ENUM(struct otlp_config, compression, compressions, .text = "gzip",
                    .doc = "How requests are compressed: gzip, zstd, snappy or none."),
	OPTION_GROUP(struct otlp_config, tls, tls_client_options,
                     .doc = "Transport security; on by default."),
	HEADERS_OPTIONS(struct otlp_config, headers, auth),
	OPTION_STRING(
		struct otlp_config, authority,
		.doc = "The :authority of requests; without it host and port of the endpoint."),
	OPTION_STRING(struct otlp_config, user_agent,
                      .doc = "The user-agent of requests; without it weir, its version and the "
                             "platform."),
	OPTION_OPTIONAL(struct otlp_config, keepalive, keepalive_options, .flags = OPTION_NULL_ON,
                        .doc = "HTTP/2 pings that find out whether the server is still there."),
	OPTION_BOOL(struct otlp_config, wait_for_ready, .text = "false",
                    .doc = "Requests wait for a connection within their timeout instead of failing "
                           "at once between attempts."),
	EXPORTER_OPTIONS(struct otlp_config, exporter),
	OPTION_STRING(struct otlp_config, balancer_name, .flags = OPTION_IGNORED,
                      .doc = "Of the Collector; weir tries the addresses of a name in order and "
                             "keeps one connection."),
	OPTION_SIZE(struct otlp_config, read_buffer_size, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir needs no setting for it."),
	OPTION_SIZE(struct otlp_config, write_buffer_size, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir needs no setting for it."),
	OPTION_END,
};

enum coding otlp_config_coding(const struct otlp_config *c)
{
	switch (c->compression) {
	case COMPRESSION_GZIP:
		return CODING_GZIP;
	case COMPRESSION_ZSTD:
		return CODING_ZSTD;
	case COMPRESSION_SNAPPY:
		return CODING_SNAPPY_FRAMED;
	default:
		return CODING_IDENTITY;
	}
}

bool otlp_config_is_plain(const struct otlp_config *c)
{
	switch (c->endpoint.scheme) {
	case ENDPOINT_HTTP:
	case ENDPOINT_UNIX:
		return true;
	case ENDPOINT_HTTPS:
		return false;
	default:
		return c->tls.insecure;
	}
}

/* Written by the client itself; a second one would contradict it. */
static const char *const reserved[] = {"content-type",   "te",
                                       "user-agent",     "host",
                                       "connection",     "transfer-encoding",
                                       "content-length", "upgrade",
                                       "grpc-",          NULL};

int otlp_check(const void *config, struct error *error)
{
	const struct otlp_config *c = config;
	int r;

	if (c->endpoint.scheme != ENDPOINT_UNIX && c->endpoint.port == 0)
		return error_set(error, -EINVAL, "endpoint \"%s\": the port must not be 0",
		                 c->endpoint.text);
	if ((r = tls_client_config_check(&c->tls, error)) < 0 ||
	    (r = headers_check(&c->headers, &c->auth, reserved, error)) < 0)
		return r;
	return exporter_config_check(&c->exporter, error);
}
