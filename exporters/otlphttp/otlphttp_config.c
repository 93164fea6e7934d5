#include "exporters/otlphttp/otlphttp_config.h"

#include "core/net/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const encodings[] = {"proto", "json", NULL};

static const struct {
	const char *name;
	enum coding coding;
	int max_level;
} codings[] = {
	{"gzip", CODING_GZIP, 9},     {"zstd", CODING_ZSTD, 22},
	{"snappy", CODING_SNAPPY, 0}, {"x-snappy-framed", CODING_SNAPPY_FRAMED, 0},
	{"lz4", CODING_LZ4, 0},       {"deflate", CODING_DEFLATE, 9},
	{"zlib", CODING_DEFLATE, 9},  {"none", CODING_IDENTITY, 0},
};
/* In the order of codings. */
static const char *const compressions[] = {"gzip", "zstd",    "snappy", "x-snappy-framed",
                                           "lz4",  "deflate", "zlib",   "none",
                                           NULL};

static const struct option compression_params[] = {
	OPTION_INT(struct otlphttp_compression_params, level, .text = "0", .min = -1, .max = 22,
                   .doc = "1 (fast) to 9 (small) of gzip, deflate and zlib, to 22 of zstd; 0 and "
                          "-1: the usual level."),
	OPTION_END,
};

static const struct option cookies_options[] = {
	OPTION_BOOL(struct otlphttp_cookies, enabled, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir keeps no cookies."),
	OPTION_END,
};

const struct option otlphttp_options[] = {
	OPTION_STRING(
		struct otlphttp_config, endpoint,
		.doc = "http:// or https://, host, port and maybe a path, to which /v1/traces, "
		       "/v1/metrics and /v1/logs are added."),
	OPTION_STRING(struct otlphttp_config, traces_endpoint,
                      .doc = "Where traces go instead; the whole URL, used as it is."),
	OPTION_STRING(struct otlphttp_config, metrics_endpoint, .doc = "The same for metrics."),
	OPTION_STRING(struct otlphttp_config, logs_endpoint, .doc = "The same for logs."),
	OPTION_ENUM(struct otlphttp_config, encoding, encodings, .text = "proto",
                    .doc = "proto or json; json costs several times the work on both sides."),
	OPTION_ENUM(struct otlphttp_config, compression, compressions, .text = "gzip",
                    .doc = "How requests are compressed; zlib is sent under its standard name, "
                           "deflate."),
	OPTION_GROUP(struct otlphttp_config, compression_params, compression_params,
                     .doc = "How hard to try."),
	HEADERS_OPTIONS(struct otlphttp_config, headers, auth),
	OPTION_GROUP(struct otlphttp_config, tls, tls_client_options,
                     .doc = "Transport security of https."),
	OPTION_STRING(
		struct otlphttp_config, proxy_url, .flags = OPTION_SECRET,
		.doc = "Proxy for all requests: http://, https:// or socks5://; without it as "
		       "http_proxy, https_proxy, all_proxy and no_proxy in the environment "
		       "say."),
	OPTION_UINT(struct otlphttp_config, max_conns_per_host, .text = "0",
                    .doc = "Connections at most, used and idle; requests wait for one. 0 is no "
                           "limit."),
	OPTION_UINT(struct otlphttp_config, max_idle_conns, .text = "100",
                    .doc = "Connections that are kept open for the next request."),
	OPTION_DURATION(struct otlphttp_config, idle_conn_timeout, .text = "90s",
                        .doc = "A connection that was idle for so long is not used again; 0 is no "
                               "limit."),
	OPTION_BOOL(struct otlphttp_config, force_attempt_http2, .text = "true",
                    .doc = "Offer HTTP/2 where there is TLS; http:// is always HTTP/1.1."),
	EXPORTER_OPTIONS_TIMEOUT(struct otlphttp_config, exporter, "30s"),
	OPTION_STRING(struct otlphttp_config, profiles_endpoint, .flags = OPTION_IGNORED,
                      .doc = "Of the Collector; weir has no profiles yet."),
	OPTION_UINT(struct otlphttp_config, max_idle_conns_per_host, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; all connections are to one host, max_idle_conns "
                           "counts them."),
	OPTION_DURATION(struct otlphttp_config, http2_read_idle_timeout, .flags = OPTION_IGNORED,
                        .doc = "Of the Collector; weir sends no pings over HTTP."),
	OPTION_DURATION(struct otlphttp_config, http2_ping_timeout, .flags = OPTION_IGNORED,
                        .doc = "Of the Collector; weir sends no pings over HTTP."),
	OPTION_SIZE(struct otlphttp_config, read_buffer_size, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir needs no setting for it."),
	OPTION_SIZE(struct otlphttp_config, write_buffer_size, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir needs no setting for it."),
	OPTION_GROUP(struct otlphttp_config, cookies, cookies_options,
                     .doc = "Of the Collector; weir keeps no cookies."),
	OPTION_END,
};

enum coding otlphttp_config_coding(const struct otlphttp_config *c)
{
	return codings[c->compression].coding;
}

static const char *own_endpoint(const struct otlphttp_config *c, enum signal signal)
{
	const char *url = signal == SIGNAL_TRACES    ? c->traces_endpoint
	                  : signal == SIGNAL_METRICS ? c->metrics_endpoint
	                                             : c->logs_endpoint;

	return url && *url ? url : NULL;
}

int otlphttp_config_url(const struct otlphttp_config *c, enum signal signal, char **ret,
                        struct error *error)
{
	const char *own = own_endpoint(c, signal), *base = c->endpoint;
	char *url;

	if (own) {
		url = strdup(own);
	} else if (!base || !*base) {
		return error_set(error, -EINVAL, "either endpoint or %s_endpoint must be specified",
		                 signal_name(signal));
	} else {
		size_t len = strlen(base), size = len + 16;

		if (base[len - 1] == '/')
			len--;
		url = malloc(size);
		if (url)
			snprintf(url, size, "%.*s/v1/%s", (int)len, base, signal_name(signal));
	}
	if (!url)
		return error_no_memory(error);
	*ret = url;
	return 0;
}

static int check_endpoints(const struct otlphttp_config *c, struct error *error)
{
	const struct {
		const char *key, *url;
	} urls[] = {
		{"endpoint", c->endpoint},
		{"traces_endpoint", c->traces_endpoint},
		{"metrics_endpoint", c->metrics_endpoint},
		{"logs_endpoint", c->logs_endpoint},
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		int r;

		if (!urls[i].url || !*urls[i].url)
			continue;
		n++;
		r = http_client_url_check(urls[i].key, urls[i].url, error);
		if (r < 0)
			return r;
	}
	if (n == 0)
		return error_set(error, -EINVAL, "at least one endpoint must be specified");
	if (c->endpoint && strpbrk(c->endpoint, "?#"))
		return error_set(error, -EINVAL,
		                 "endpoint must be a valid URL without a query, because a path is "
		                 "added to it; give the whole URL as traces_endpoint, "
		                 "metrics_endpoint or logs_endpoint");
	return 0;
}

static int check_level(const struct otlphttp_config *c, struct error *error)
{
	int64_t level = c->compression_params.level;

	if (level <= codings[c->compression].max_level)
		return 0;
	return error_set(error, -EINVAL,
	                 "unsupported parameters {Level:%lld} for compression type \"%s\"",
	                 (long long)level, codings[c->compression].name);
}

/* Written by the client itself; a second one would contradict it. */
static const char *const reserved[] = {
	"content-type", "content-encoding",  "content-length",
	"connection",   "transfer-encoding", "expect",
	"te",           "upgrade",           "accept-encoding",
	NULL,
};

int otlphttp_check(const void *config, struct error *error)
{
	const struct otlphttp_config *c = config;
	int r;

	if ((r = check_endpoints(c, error)) < 0 || (r = check_level(c, error)) < 0 ||
	    (r = tls_client_config_check(&c->tls, error)) < 0 ||
	    (r = headers_check(&c->headers, &c->auth, reserved, error)) < 0)
		return r;
	return exporter_config_check(&c->exporter, error);
}
