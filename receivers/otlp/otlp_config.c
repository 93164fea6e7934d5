#include "receivers/otlp/otlp_config.h"

#include "core/base/header_field.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB UINT64_C(1048576)

/* OTLP's recommendation. */
#define DEFAULT_MAX_SIZE (64 * MIB)

/* What grpc_server and rcbuf can address, and more than anybody means. */
enum { MAX_SIZE_MIB = 2047 };

enum { TRANSPORT_TCP, TRANSPORT_TCP4, TRANSPORT_TCP6, TRANSPORT_UNIX };
static const char *const transports[] = {"tcp", "tcp4", "tcp6", "unix", NULL};

/* As users write them; "" and identity are no coding. */
static const char *const algorithms[] = {"",     "identity", "gzip",   "zstd",
                                         "zlib", "deflate",  "snappy", "x-snappy-framed",
                                         "lz4",  NULL};

struct middleware {
	const char *id;
};

static const struct option middleware_options[] = {
	OPTION_STRING(struct middleware, id, .doc = "Id of a middleware extension."),
	OPTION_END,
};

static const struct option auth_options[] = {
	OPTION_COMPONENT(struct otlp_auth_config, authenticator,
                         .doc = "The extension that says who may send, for instance "
                                "bearertokenauth or basicauth."),
	OPTION_END,
};

static const struct option http_auth_options[] = {
	OPTION_COMPONENT(struct otlp_auth_config, authenticator,
                         .doc = "The extension that says who may send, for instance "
                                "bearertokenauth or basicauth."),
	OPTION_STRING_LIST(struct otlp_auth_config, request_params,
                           .doc = "Query parameters that the authenticator may read beside the "
                                  "headers, as they are written (nothing is percent-decoded)."),
	OPTION_END,
};

/* The rows that both protocols have; type holds a struct otlp_listen_config listen. */
#define LISTEN_OPTIONS(type, default_endpoint, auth_table)                                         \
	OPTION_STRING(type, listen.endpoint, .name = "endpoint", .text = default_endpoint,         \
	              .doc = "Where to listen: host:port; :port is every address of the machine, " \
	                     "unix:///path a socket in the file system."),                         \
		OPTION_ENUM(type, listen.transport, transports, .name = "transport",               \
	                    .text = "tcp",                                                         \
	                    .doc = "tcp4 and tcp6 listen on addresses of that kind only; with "    \
	                           "unix the endpoint is a path."),                                \
		OPTION_OPTIONAL(type, listen.tls, tls_server_options, .name = "tls",               \
	                        .doc = "Transport security; off without this block."),             \
		OPTION_OPTIONAL(type, listen.auth, auth_table, .name = "auth",                     \
	                        .doc = "Who may send; without this block everybody."),             \
		OPTION_BOOL(type, listen.include_metadata, .name = "include_metadata",             \
	                    .text = "false",                                                       \
	                    .doc = "Keep the request's headers beside the data, for the batch "    \
	                           "processor's metadata_keys and for routing."),                  \
		OPTION_GROUP_LIST(type, listen.middlewares, struct middleware, middleware_options, \
	                          .name = "middlewares",                                           \
	                          .doc = "Of the Collector; weir has none and refuses them."),     \
		OPTION_GROUP(type, listen.limits, http_limits_options, .name = "limits",           \
	                     .doc = "What a client may cost; only weir has this block.")

static const struct option keepalive_parameters[] = {
	OPTION_DURATION(struct otlp_keepalive_parameters, max_connection_idle, .text = "10m",
                        .doc = "Close a connection that has had no request for so long; 0: never."),
	OPTION_DURATION(struct otlp_keepalive_parameters, max_connection_age, .text = "0s",
                        .doc = "Tell the client to connect anew after so long (10 % more or less), "
                               "so that clients spread over replicas; 0: never."),
	OPTION_DURATION(struct otlp_keepalive_parameters, max_connection_age_grace, .text = "0s",
                        .doc = "Close such a connection after so much more time, done or not; 0: "
                               "when it is done."),
	OPTION_DURATION(struct otlp_keepalive_parameters, time, .text = "2h", .min = 1e9,
                        .doc = "Ping a client that has been silent for so long."),
	OPTION_DURATION(struct otlp_keepalive_parameters, timeout, .text = "20s", .min = 1e6,
                        .doc = "Close the connection when the ping is not answered within this."),
	OPTION_END,
};

static const struct option keepalive_policy[] = {
	OPTION_DURATION(struct otlp_keepalive_policy, min_time, .text = "5m",
                        .doc = "A client that pings more often than this is sent away."),
	OPTION_BOOL(struct otlp_keepalive_policy, permit_without_stream, .text = "false",
                    .doc = "Clients may ping also while no request is under way."),
	OPTION_END,
};

static const struct option keepalive_options[] = {
	OPTION_GROUP(struct otlp_keepalive_config, server_parameters, keepalive_parameters,
                     .doc = "How long connections live, and how their end is noticed."),
	OPTION_GROUP(struct otlp_keepalive_config, enforcement_policy, keepalive_policy,
                     .doc = "How often clients may ping."),
	OPTION_END,
};

static const struct option grpc_options[] = {
	LISTEN_OPTIONS(struct otlp_grpc_config, "localhost:4317", auth_options),
	OPTION_UINT(struct otlp_grpc_config, max_recv_msg_size_mib, .text = "0",
                    .max = MAX_SIZE_MIB,
                    .doc = "The largest request in MiB, compressed and inflated; 0: 64."),
	OPTION_UINT(struct otlp_grpc_config, max_concurrent_streams, .text = "0", .max = 1e6,
                    .doc = "Requests at once on one connection; 0: 250."),
	OPTION_GROUP(struct otlp_grpc_config, keepalive, keepalive_options,
                     .doc = "Life of connections."),
	OPTION_SIZE(struct otlp_grpc_config, read_buffer_size, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir needs no setting for it."),
	OPTION_SIZE(struct otlp_grpc_config, write_buffer_size, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir needs no setting for it."),
	OPTION_END,
};

static const struct option cors_options[] = {
	OPTION_STRING_LIST(struct otlp_cors_config, allowed_origins,
                           .doc = "Pages that may send from a browser, like https://*.example.com; "
                                  "* stands for any characters."),
	OPTION_STRING_LIST(struct otlp_cors_config, allowed_headers,
                           .doc = "Headers that such pages may set beside Accept, Content-Type and "
                                  "X-Requested-With; \"*\" is any."),
	OPTION_STRING_LIST(struct otlp_cors_config, exposed_headers,
                           .doc = "Headers of answers that such pages may read."),
	OPTION_UINT(struct otlp_cors_config, max_age, .text = "0", .max = 1e9,
                    .doc = "Seconds for which a browser may remember what is allowed; 0: its own "
                           "choice."),
	OPTION_END,
};

static const struct option http_options[] = {
	LISTEN_OPTIONS(struct otlp_http_config, "localhost:4318", http_auth_options),
	OPTION_STRING(struct otlp_http_config, url_paths[SIGNAL_TRACES], .name = "traces_url_path",
                      .text = "/v1/traces", .doc = "Where traces are sent to."),
	OPTION_STRING(struct otlp_http_config, url_paths[SIGNAL_METRICS],
                      .name = "metrics_url_path", .text = "/v1/metrics",
                      .doc = "Where metrics are sent to."),
	OPTION_STRING(struct otlp_http_config, url_paths[SIGNAL_LOGS], .name = "logs_url_path",
                      .text = "/v1/logs", .doc = "Where logs are sent to."),
	OPTION_SIZE(struct otlp_http_config, listen.max_size, .name = "max_request_body_size",
                    .text = "64MiB", .max = (double)(MAX_SIZE_MIB * MIB),
                    .doc = "The largest request, compressed and inflated; 0: 64 MiB."),
	OPTION_STRING_LIST(struct otlp_http_config, compression_algorithms,
                           .doc = "Content-Encodings that are taken; \"\" is none at all. Without "
                                  "this list every one that weir knows: gzip, zstd, zlib, deflate, "
                                  "snappy, x-snappy-framed, lz4."),
	OPTION_OPTIONAL(struct otlp_http_config, cors, cors_options,
                        .doc = "Browsers may send from pages of other origins."),
	OPTION_STRING_MAP(struct otlp_http_config, response_headers, .flags = OPTION_SECRET,
                          .doc = "Headers that every answer carries."),
	OPTION_DURATION(struct otlp_http_config, read_timeout, .text = "0s",
                        .doc = "Time for a whole request; 0: none, but limits::body_rate holds."),
	OPTION_DURATION(struct otlp_http_config, read_header_timeout, .text = "0s",
                        .doc = "Time for the head of a request; 0: limits::header_time."),
	OPTION_DURATION(struct otlp_http_config, write_timeout, .text = "0s",
                        .doc = "Time for the client to take an answer; 0: limits::write_time."),
	OPTION_DURATION(struct otlp_http_config, idle_timeout, .text = "1m",
                        .doc = "Close a connection that has had no request for so long; 0: never."),
	OPTION_BOOL(struct otlp_http_config, keep_alives_enabled, .text = "true",
                    .doc = "HTTP/1.1 connections stay open for further requests."),
	OPTION_DURATION(struct otlp_http_config, max_connection_age, .text = "0s",
                        .doc = "Tell the client to connect anew after so long (10 % more or less), "
                               "so that clients spread over replicas; 0: never. Only weir has it."),
	OPTION_DURATION(struct otlp_http_config, max_connection_age_grace, .text = "0s",
                        .doc = "Close such a connection after so much more time, done or not; 0: "
                               "when it is done. Only weir has it."),
	OPTION_END,
};

static const struct option protocols_options[] = {
	OPTION_OPTIONAL(struct otlp_protocols, grpc, grpc_options, .flags = OPTION_NULL_ON,
                        .doc = "OTLP/gRPC."),
	OPTION_OPTIONAL(struct otlp_protocols, http, http_options, .flags = OPTION_NULL_ON,
                        .doc = "OTLP/HTTP with protobuf and JSON, over HTTP/1.1 and HTTP/2."),
	OPTION_END,
};

const struct option otlp_receiver_options[] = {
	OPTION_GROUP(struct otlp_receiver_config, protocols, protocols_options,
                     .doc = "At least one of both is needed."),
	OPTION_END,
};

/* ---- where to listen */

/* A name could resolve to addresses of the other kind. */
static int pin_family(struct endpoint *e, bool v6, struct error *error)
{
	bool is_v6 = strchr(e->host, ':') != NULL;
	bool is_v4 = *e->host && strspn(e->host, "0123456789.") == strlen(e->host);

	if (!*e->host)
		strcpy(e->host, v6 ? "::" : "0.0.0.0");
	else if (strcmp(e->host, "localhost") == 0)
		strcpy(e->host, v6 ? "::1" : "127.0.0.1");
	else if (v6 ? !is_v6 : !is_v4)
		return error_set(error, -EINVAL,
		                 "endpoint \"%s\": with transport tcp%d write an address of that "
		                 "kind, or none",
		                 e->text, v6 ? 6 : 4);
	return 0;
}

int otlp_listen_endpoint(const struct otlp_listen_config *c, struct endpoint *ret,
                         struct error *error)
{
	const char *text = c->endpoint ? c->endpoint : "";
	bool is_unix = strncmp(text, "unix:", 5) == 0;
	char with_scheme[sizeof ret->text];
	struct endpoint e;
	int r;

	if (!*text)
		return error_set(error, -EINVAL, "endpoint: it must not be empty");
	if (c->transport == TRANSPORT_UNIX && !is_unix) {
		if (snprintf(with_scheme, sizeof with_scheme, "unix:%s", text) >=
		    (int)sizeof with_scheme)
			return error_set(error, -EINVAL, "endpoint: the socket's path is too long");
		text = with_scheme;
	}
	if ((r = endpoint_parse(text, &e, error)) < 0)
		return r;
	if (e.scheme == ENDPOINT_UNIX) {
		if (c->transport == TRANSPORT_TCP4 || c->transport == TRANSPORT_TCP6)
			return error_set(error, -EINVAL,
			                 "endpoint \"%s\": a path and transport %s exclude each "
			                 "other",
			                 text, transports[c->transport]);
	} else if (e.scheme != ENDPOINT_PLAIN) {
		return error_set(error, -EINVAL,
		                 "endpoint \"%s\": to listen, write host:port without a scheme; "
		                 "the tls block turns TLS on",
		                 text);
	} else if (c->transport != TRANSPORT_TCP &&
	           (r = pin_family(&e, c->transport == TRANSPORT_TCP6, error)) < 0) {
		return r;
	}
	*ret = e;
	return 0;
}

bool otlp_endpoint_is_public(const struct endpoint *e)
{
	return e->scheme != ENDPOINT_UNIX && strcmp(e->host, "localhost") != 0 &&
	       strncmp(e->host, "127.", 4) != 0 && strcmp(e->host, "::1") != 0;
}

/* ---- check */

static int check_listen(const struct otlp_listen_config *c, struct error *error)
{
	struct endpoint ignored;
	int r;

	if ((r = otlp_listen_endpoint(c, &ignored, error)) < 0)
		return r;
	if (c->middlewares.count > 0)
		return error_set(error, -EINVAL,
		                 "middlewares: weir has no middleware extensions; remove the key");
	if (c->auth.enabled && (!c->auth.authenticator || !*c->auth.authenticator))
		return error_set(error, -EINVAL,
		                 "auth: authenticator is missing: name an extension, for instance "
		                 "bearertokenauth");
	return tls_server_config_check(&c->tls, error);
}

static int check_paths(const struct otlp_http_config *c, struct error *error)
{
	for (int s = 0; s < SIGNAL_COUNT; s++) {
		const char *path = c->url_paths[s];

		if (!path || *path != '/' || strpbrk(path, "?# "))
			return error_set(error, -EINVAL,
			                 "%s_url_path \"%s\": a path begins with / and has no "
			                 "query",
			                 signal_name((enum signal)s), path ? path : "");
		for (int t = 0; t < s; t++)
			if (strcmp(path, c->url_paths[t]) == 0)
				return error_set(error, -EINVAL,
				                 "%s_url_path and %s_url_path are both \"%s\"",
				                 signal_name((enum signal)t),
				                 signal_name((enum signal)s), path);
	}
	return 0;
}

static bool is_among(const char *text, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(text, *names) == 0)
			return true;
	return false;
}

static int check_response_headers(const struct string_map *headers, struct error *error)
{
	static const char *const own[] = {"content-type", "content-length",
	                                  "connection",   "transfer-encoding",
	                                  "retry-after",  "date",
	                                  "upgrade",      NULL};

	for (size_t i = 0; i < headers->count; i++) {
		const char *name = headers->items[i].key, *value = headers->items[i].value;
		char lower[32];
		size_t n = 0;

		if (!header_field_is_name(slice_from_string(name)) ||
		    (value && !header_field_is_value(slice_from_string(value))))
			return error_set(error, -EINVAL,
			                 "response_headers: %s is not a header that can be sent",
			                 name);
		for (; name[n] && n < sizeof lower - 1; n++)
			lower[n] = (char)tolower((unsigned char)name[n]);
		lower[n] = '\0';
		if (is_among(lower, own))
			return error_set(error, -EINVAL,
			                 "response_headers: %s is written by weir itself and "
			                 "cannot be set",
			                 name);
	}
	return 0;
}

static int check_lists(const struct otlp_http_config *c, struct error *error)
{
	const struct string_list *exposed = &c->cors.exposed_headers,
				 *allowed = &c->cors.allowed_headers;

	for (size_t i = 0; i < c->compression_algorithms.count; i++)
		if (!is_among(c->compression_algorithms.items[i], algorithms))
			return error_set(error, -EINVAL,
			                 "compression_algorithms: \"%s\" is not known; use gzip, "
			                 "zstd, zlib, deflate, snappy, x-snappy-framed, lz4, and "
			                 "\"\" for none",
			                 c->compression_algorithms.items[i]);
	for (size_t i = 0; c->cors.enabled && i < exposed->count; i++)
		if (!header_field_is_name(slice_from_string(exposed->items[i])))
			return error_set(error, -EINVAL,
			                 "cors: exposed_headers: \"%s\" is not a header name",
			                 exposed->items[i]);
	for (size_t i = 0; c->cors.enabled && i < allowed->count; i++)
		if (!header_field_is_name(slice_from_string(allowed->items[i])))
			return error_set(error, -EINVAL,
			                 "cors: allowed_headers: \"%s\" is not a header name",
			                 allowed->items[i]);
	return check_response_headers(&c->response_headers, error);
}

static int check_both(const struct otlp_protocols *p, struct error *error)
{
	struct endpoint grpc, http;

	if (otlp_listen_endpoint(&p->grpc.listen, &grpc, NULL) < 0 ||
	    otlp_listen_endpoint(&p->http.listen, &http, NULL) < 0)
		return 0;
	if (grpc.scheme == http.scheme && strcmp(grpc.host, http.host) == 0 &&
	    grpc.port == http.port && (grpc.port != 0 || grpc.scheme == ENDPOINT_UNIX))
		return error_set(error, -EINVAL,
		                 "protocols: grpc and http cannot both listen on %s; give each an "
		                 "endpoint of its own",
		                 p->grpc.listen.endpoint);
	return 0;
}

int otlp_receiver_check(const void *config, struct error *error)
{
	const struct otlp_protocols *p = &((const struct otlp_receiver_config *)config)->protocols;

	if (!p->grpc.enabled && !p->http.enabled)
		return error_set(
			error, -EINVAL,
			"must specify at least one protocol when using the OTLP receiver: write "
			"grpc: or http: below protocols");
	if (p->grpc.enabled && check_listen(&p->grpc.listen, error) < 0)
		return error_wrap(error, "protocols::grpc");
	if (p->http.enabled &&
	    (check_listen(&p->http.listen, error) < 0 || check_paths(&p->http, error) < 0 ||
	     check_lists(&p->http, error) < 0))
		return error_wrap(error, "protocols::http");
	return p->grpc.enabled && p->http.enabled ? check_both(p, error) : 0;
}

/* ---- limits */

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
	return value ? value : fallback;
}

struct http_limits otlp_grpc_limits(const struct otlp_grpc_config *c)
{
	const struct otlp_keepalive_parameters *p = &c->keepalive.server_parameters;
	struct http_limits limits = c->listen.limits;

	limits.streams = or_default(c->max_concurrent_streams, http_default_limits.streams);
	limits.idle = p->max_connection_idle;
	limits.age = p->max_connection_age;
	limits.age_grace = p->max_connection_age_grace;
	limits.keepalive_time = p->time;
	limits.keepalive_timeout = p->timeout;
	limits.ping_min_time = c->keepalive.enforcement_policy.min_time;
	limits.ping_without_stream = c->keepalive.enforcement_policy.permit_without_stream;
	return limits;
}

struct http_limits otlp_http_limits(const struct otlp_http_config *c)
{
	struct http_limits limits = c->listen.limits;

	limits.streams = http_default_limits.streams;
	limits.header_time = or_default(c->read_header_timeout, limits.header_time);
	limits.read_time = c->read_timeout;
	limits.write_time = or_default(c->write_timeout, limits.write_time);
	limits.idle = c->idle_timeout;
	limits.age = c->max_connection_age;
	limits.age_grace = c->max_connection_age_grace;
	limits.keepalive_time = http_default_limits.keepalive_time;
	limits.keepalive_timeout = http_default_limits.keepalive_timeout;
	limits.ping_min_time = http_default_limits.ping_min_time;
	limits.ping_without_stream = http_default_limits.ping_without_stream;
	return limits;
}

size_t otlp_grpc_max_size(const struct otlp_grpc_config *c)
{
	return or_default(c->max_recv_msg_size_mib * MIB, DEFAULT_MAX_SIZE);
}

size_t otlp_http_max_size(const struct otlp_http_config *c)
{
	return or_default(c->listen.max_size, DEFAULT_MAX_SIZE);
}
