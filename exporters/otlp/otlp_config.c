#include "exporters/otlp/otlp_config.h"

#include <ctype.h>
#include <errno.h>

enum { COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_NONE, COMPRESSION_SNAPPY };
static const char *const compressions[] = {"gzip", "zstd", "none", "snappy", NULL};

enum { MAX_HEADERS = 32 };

static const struct option tls_options[] = {
	OPTION_BOOL(struct otlp_tls_config, insecure, .text = "false",
                    .doc = "No TLS at all. Also chosen by an endpoint that begins with http:// or "
                           "unix:."),
	OPTION_BOOL(struct otlp_tls_config, insecure_skip_verify, .text = "false",
                    .doc = "TLS without asking whose certificate it is: protects against nobody "
                           "who can answer."),
	OPTION_STRING(struct otlp_tls_config, server_name_override,
                      .doc = "The name that the server's certificate must be for, instead of the "
                             "endpoint's."),
	OPTION_STRING(struct otlp_tls_config, ca_file,
                      .doc = "Certificates, in PEM form, that the server's is trusted by; without "
                             "it the system's."),
	OPTION_STRING(struct otlp_tls_config, ca_pem, .doc = "The same, written here."),
	OPTION_BOOL(struct otlp_tls_config, include_system_ca_certs_pool, .text = "false",
                    .doc = "Trust the system's authorities beside ca_file."),
	OPTION_STRING(struct otlp_tls_config, cert_file,
                      .doc = "The certificate to show to the server, with its chain, in PEM form."),
	OPTION_STRING(struct otlp_tls_config, cert_pem, .doc = "The same, written here."),
	OPTION_STRING(struct otlp_tls_config, key_file,
                      .doc = "The key of cert_file in PEM form, without a password."),
	OPTION_STRING(struct otlp_tls_config, key_pem, .flags = OPTION_SECRET,
                      .doc = "The same, written here."),
	OPTION_STRING(struct otlp_tls_config, min_version, .text = "1.2", .doc = "1.2 or 1.3."),
	OPTION_STRING(struct otlp_tls_config, max_version, .text = "1.3", .doc = "1.2 or 1.3."),
	OPTION_STRING_LIST(struct otlp_tls_config, cipher_suites,
                           .doc = "Cipher suites that may be used, by their IANA names; without it "
                                  "OpenSSL's choice."),
	OPTION_STRING_LIST(struct otlp_tls_config, curve_preferences,
                           .doc = "Key exchange groups, best first: X25519, P256, P384, P521."),
	OPTION_DURATION(struct otlp_tls_config, reload_interval, .text = "0s",
                        .doc = "The files are read again before a new connection when they are "
                               "older than this; 0: never."),
	OPTION_END,
};

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
                    .doc = "How requests are compressed: gzip, zstd or none."),
	OPTION_GROUP(struct otlp_config, tls, tls_options,
                     .doc = "Transport security; on by default."),
	OPTION_STRING_MAP(struct otlp_config, headers, .flags = OPTION_SECRET,
                          .doc = "Sent with every request, for instance an authorization."),
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

struct tls_settings otlp_config_tls(const struct otlp_config *c)
{
	const struct otlp_tls_config *t = &c->tls;

	return (struct tls_settings){
		.ca_file = t->ca_file,
		.ca_pem = t->ca_pem,
		.cert_file = t->cert_file,
		.cert_pem = t->cert_pem,
		.key_file = t->key_file,
		.key_pem = t->key_pem,
		.server_name_override = t->server_name_override,
		.min_version = t->min_version,
		.max_version = t->max_version,
		.cipher_suites = t->cipher_suites.items,
		.n_cipher_suites = t->cipher_suites.count,
		.curves = t->curve_preferences.items,
		.n_curves = t->curve_preferences.count,
		.insecure_skip_verify = t->insecure_skip_verify,
		.include_system_ca_certs_pool = t->include_system_ca_certs_pool,
		.reload_interval = t->reload_interval,
	};
}

static int check_tls(const struct otlp_tls_config *t, struct error *error)
{
	if (t->ca_file && t->ca_pem)
		return error_set(error, -EINVAL, "tls: set ca_file or ca_pem, not both");
	if (t->cert_file && t->cert_pem)
		return error_set(error, -EINVAL, "tls: set cert_file or cert_pem, not both");
	if (t->key_file && t->key_pem)
		return error_set(error, -EINVAL, "tls: set key_file or key_pem, not both");
	if ((t->cert_file || t->cert_pem) != (t->key_file || t->key_pem))
		return error_set(error, -EINVAL,
		                 "tls: a client certificate needs both cert_file and key_file");
	return 0;
}

/* Written by the client itself; a second one would contradict it. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {"content-type",   "te",         "user-agent",
	                                    "host",           "connection", "transfer-encoding",
	                                    "content-length", "upgrade",    NULL};

	for (size_t i = 0; names[i]; i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return strncasecmp(name, "grpc-", 5) == 0;
}

/* RFC 9110: a token. */
static bool is_token(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("!#$%&'*+-.^_`|~", *name))
			return false;
	return true;
}

static bool is_field_value(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			return false;
	return true;
}

static int check_headers(const struct string_map *headers, struct error *error)
{
	if (headers->count > MAX_HEADERS)
		return error_set(error, -EINVAL, "headers: at most %d are possible", MAX_HEADERS);
	for (size_t i = 0; i < headers->count; i++) {
		const char *name = headers->items[i].key, *value = headers->items[i].value;

		if (!is_token(name))
			return error_set(error, -EINVAL, "headers: \"%s\" is not a header name",
			                 name);
		if (is_reserved(name))
			return error_set(error, -EINVAL,
			                 "headers: %s is written by weir itself and cannot be set",
			                 name);
		if (value && !is_field_value(value))
			return error_set(
				error, -EINVAL,
				"headers: the value of %s has a line break or another control "
				"character in it",
				name);
	}
	return 0;
}

int otlp_check(const void *config, struct error *error)
{
	const struct otlp_config *c = config;
	int r;

	if (c->compression == COMPRESSION_SNAPPY)
		return error_set(
			error, -EINVAL,
			"compression: snappy is not supported, use zstd (smaller and nearly as "
			"fast), gzip or none");
	if (c->endpoint.scheme != ENDPOINT_UNIX && c->endpoint.port == 0)
		return error_set(error, -EINVAL, "endpoint \"%s\": the port must not be 0",
		                 c->endpoint.text);
	if ((r = check_tls(&c->tls, error)) < 0 || (r = check_headers(&c->headers, error)) < 0)
		return r;
	return exporter_config_check(&c->exporter, error);
}
