/* One request: what libcurl is told, and what it hands over. */
#include "core/net/http_client_internal.h"

#include "core/base/clock.h"
#include "core/base/header_field.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum {
	SILENCE_S = 20,
};
#define CONNECT_TIMEOUT_NS (20 * NS_PER_S)

/* ---- what libcurl asks for and hands over */

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	struct http_client_exchange *x = arg;
	size_t room = size * n, written = 0;

	while (written < room && x->piece < x->n_pieces) {
		struct slice piece = x->pieces[x->piece];
		size_t len = piece.len - x->offset;

		if (len > room - written)
			len = room - written;
		if (len)
			memcpy(to + written, piece.data + x->offset, len);
		written += len;
		x->offset += len;
		if (x->offset == piece.len) {
			x->piece++;
			x->offset = 0;
		}
	}
	return written;
}

/* The connection was gone: the request is sent again on another. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_client_exchange *x = arg;
	size_t at = (size_t)offset;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	for (x->piece = 0; x->piece < x->n_pieces && at >= x->pieces[x->piece].len; x->piece++)
		at -= x->pieces[x->piece].len;
	x->offset = at;
	return x->piece < x->n_pieces || at == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_client_exchange *x = arg;

	(void)line;
	x->header_bytes += size * n;
	x->too_large = x->header_bytes > HTTP_CLIENT_HEADER_LIMIT;
	return x->too_large ? 0 : size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_client_exchange *x = arg;

	if (size * n > x->limit - x->body.len) {
		x->too_large = true;
		return 0;
	}
	buffer_append(&x->body, bytes, size * n);
	x->no_memory = x->body.failed;
	return x->no_memory ? 0 : size * n;
}

/* ---- the handle */

/* A server that has gone without a word: what it does not acknowledge, or being asked, for so long. */
static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	int timeout_ms = SILENCE_S * 1000, on = 1, idle = SILENCE_S, interval = SILENCE_S / 4;

	(void)arg, (void)purpose;
	/* Unix sockets have none of these, which is no mistake. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	return CURL_SOCKOPT_OK;
}

static bool set_fixed(struct http_client_exchange *x)
{
	const struct http_client_config *config = &x->client->config;
	uint64_t connect = config->connect_timeout ? config->connect_timeout : CONNECT_TIMEOUT_NS;
	uint64_t idle_s = config->idle_timeout / NS_PER_S;
	CURL *e = x->easy;
	CURLcode r = CURLE_OK;

#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (r == CURLE_OK)                                                                 \
			r = curl_easy_setopt(e, option, value);                                    \
	} while (0)
	SET(CURLOPT_PRIVATE, x);
	SET(CURLOPT_ERRORBUFFER, x->why);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name look-up that is given up */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, x);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, x);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_HTTP_VERSION,
	    config->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PIPEWAIT, config->http2 ? 1L : 0L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect / NS_PER_MS));
	SET(CURLOPT_MAXAGE_CONN,
	    config->idle_timeout && idle_s < INT_MAX ? (long)(idle_s ? idle_s : 1) : (long)INT_MAX);
	if (config->user_agent)
		SET(CURLOPT_USERAGENT, config->user_agent);
	if (config->unix_path)
		SET(CURLOPT_UNIX_SOCKET_PATH, config->unix_path);
	if (config->proxy_url) {
		SET(CURLOPT_PROXY, config->proxy_url);
		SET(CURLOPT_NOPROXY, config->no_proxy ? config->no_proxy : "");
	}
#undef SET
	if (r == CURLE_OK)
		r = http_client_tls_apply(x->client, e);
	return r == CURLE_OK;
}

struct http_client_exchange *http_client_exchange_new(struct http_client *c)
{
	struct http_client_exchange *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->client = c;
	list_init(&x->link);
	x->easy = curl_easy_init();
	if (x->easy && set_fixed(x))
		return x;
	http_client_exchange_free(x);
	return NULL;
}

void http_client_exchange_clear(struct http_client_exchange *x)
{
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->connect_to);
	x->headers = x->connect_to = NULL;
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, NULL);
	buffer_fini(&x->body);
}

void http_client_exchange_free(struct http_client_exchange *x)
{
	if (!x)
		return;
	timer_free(x->deadline);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->connect_to);
	curl_easy_cleanup(x->easy);
	buffer_fini(&x->body);
	free(x);
}

/* ---- the request */

static int append(struct curl_slist **list, struct buffer *line, struct error *error)
{
	const char *text = buffer_string(line);
	struct curl_slist *longer = text ? curl_slist_append(*list, text) : NULL;

	buffer_clear(line);
	if (!longer)
		return error_no_memory(error);
	*list = longer;
	return 0;
}

static int add_header(struct http_client_exchange *x, struct buffer *line,
                      const struct http_header *h, struct error *error)
{
	if (!header_field_is_name(h->name) || !header_field_is_value(h->value))
		return error_set(error, -EINVAL,
		                 "the header %.*s has a line break or another control character in "
		                 "it",
		                 header_field_is_name(h->name) ? (int)h->name.len : 0,
		                 (const char *)h->name.data);
	buffer_append_slice(line, h->name);
	/* libcurl's way to write a field without a value; with a colon it would be left out */
	buffer_append_string(line, h->value.len ? ": " : ";");
	buffer_append_slice(line, h->value);
	return append(&x->headers, line, error);
}

static int set_headers(struct http_client_exchange *x, const struct http_client_request *request,
                       struct buffer *line, struct error *error)
{
	static const struct slice type = SLICE_LITERAL("content-type");
	bool has_type = false;
	int r;

	/* Without: libcurl would wait for a "100 Continue" that few servers send. */
	buffer_append_string(line, "Expect:");
	r = append(&x->headers, line, error);
	if (r == 0) {
		buffer_append_string(line, "Accept-Encoding: gzip");
		r = append(&x->headers, line, error);
	}
	for (size_t i = 0; r == 0 && i < request->n_headers; i++) {
		has_type |= slice_equal(request->headers[i].name, type);
		r = add_header(x, line, &request->headers[i], error);
	}
	if (r == 0 && !has_type) { /* libcurl's own would speak of a form */
		buffer_append_string(line, "Content-Type:");
		r = append(&x->headers, line, error);
	}
	return r;
}

/* The server's certificate must be for another name than the one that is connected to. libcurl takes
 * that name from the URL, so the URL gets it, and the connection and the Host field keep the old. */
static int override_name(struct http_client_exchange *x, CURLU *url, struct buffer *line,
                         struct error *error)
{
	const char *name = x->client->tls_settings.server_name_override;
	char *host = NULL, *port = NULL, *own_port = NULL;
	int r;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
		r = error_no_memory(error);
	} else if (curl_url_set(url, CURLUPART_HOST, name, 0) != CURLUE_OK) {
		r = error_set(error, -EINVAL, "tls::server_name_override \"%s\" is not a name",
		              name);
	} else {
		curl_url_get(url, CURLUPART_PORT, &own_port, CURLU_NO_DEFAULT_PORT);
		buffer_printf(line, "%s:%s:%s:%s", name, port, host, port);
		r = append(&x->connect_to, line, error);
		buffer_printf(line, "Host: %s%s%s", host, own_port ? ":" : "",
		              own_port ? own_port : "");
		if (r == 0)
			r = append(&x->headers, line, error);
	}
	curl_free(host);
	curl_free(port);
	curl_free(own_port);
	return r;
}

static int set_url(struct http_client_exchange *x, const char *text, struct buffer *line,
                   struct error *error)
{
	const char *name = x->client->tls_settings.server_name_override;
	CURLU *url;
	char *whole = NULL;
	int r;

	if (!name || !*name || strncasecmp(text, "https:", 6) != 0)
		return curl_easy_setopt(x->easy, CURLOPT_URL, text) == CURLE_OK
		               ? 0
		               : error_no_memory(error);
	url = curl_url();
	if (!url)
		return error_no_memory(error);
	if (curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) != CURLUE_OK)
		r = error_set(error, -EINVAL, "not a URL");
	else
		r = override_name(x, url, line, error);
	if (r == 0 && (curl_url_get(url, CURLUPART_URL, &whole, 0) != CURLUE_OK ||
	               curl_easy_setopt(x->easy, CURLOPT_URL, whole) != CURLE_OK))
		r = error_no_memory(error);
	curl_free(whole);
	curl_url_cleanup(url);
	return r;
}

static bool set_method(struct http_client_exchange *x, const char *method, curl_off_t len)
{
	bool has_body = len > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
	CURLcode r;

	if (has_body) {
		r = curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
		if (r == CURLE_OK)
			r = curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, len);
	} else {
		r = curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
	}
	if (r == CURLE_OK)
		r = curl_easy_setopt(x->easy, CURLOPT_NOBODY,
		                     strcmp(method, "HEAD") == 0 ? 1L : 0L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST,
		                     strcmp(method, has_body ? "POST" : "GET") == 0 ? NULL
		                                                                    : method);
	return r == CURLE_OK;
}

int http_client_exchange_prepare(struct http_client_exchange *x,
                                 const struct http_client_request *request, struct error *error)
{
	struct buffer line = BUFFER_INIT;
	curl_off_t len = 0;
	int r;

	for (size_t i = 0; i < request->n_pieces; i++)
		len += (curl_off_t)request->pieces[i].len;
	x->pieces = request->pieces;
	x->n_pieces = request->n_pieces;
	x->piece = x->offset = 0;
	x->limit = request->response_limit;
	x->header_bytes = 0;
	x->too_large = x->no_memory = false;
	x->why[0] = '\0';
	r = set_url(x, request->url, &line, error);
	if (r == 0)
		r = set_headers(x, request, &line, error);
	buffer_fini(&line);
	if (r < 0)
		return r;
	if (!set_method(x, request->method, len) ||
	    curl_easy_setopt(x->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->limit) !=
	            CURLE_OK ||
	    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers) != CURLE_OK ||
	    curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, x->connect_to) != CURLE_OK)
		return error_no_memory(error);
	return 0;
}
