#include "receivers/otlp/otlp_http.h"

#include "core/base/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { OWN_HEADERS_MAX = 2 + CORS_HEADERS_MAX }; /* content-type and one more */

/* Every status that is ever sent from here. */
static const struct {
	int status;
	const char *name;
} codes[] = {
	{200, "200"}, {204, "204"}, {400, "400"}, {401, "401"}, {404, "404"},
	{405, "405"}, {413, "413"}, {415, "415"}, {500, "500"}, {503, "503"},
};
enum { CODES = sizeof codes / sizeof *codes };

struct answer {
	int status;
	enum otlp_encoding encoding;
	struct buffer body;
	struct http_header extra; /* name.len 0: none */
};

static struct http_header header(const char *name, const char *value)
{
	return (struct http_header){slice_from_string(name), slice_from_string(value), false};
}

/* ---- answers */

static void count(struct entrance *e, int status)
{
	for (size_t i = 0; i < CODES; i++)
		if (codes[i].status == status)
			e->answered[i]++;
}

/* Takes a->body. */
static void respond(struct otlp_http *h, struct http_exchange *x, struct answer *a)
{
	struct http_header *headers = h->headers;
	struct http_response response = {.status = a->status,
	                                 .headers = headers,
	                                 .n_headers = h->n_headers,
	                                 .body = a->body};
	struct cors_headers cors;

	count(&h->entrance, a->status);
	if (a->status == 204)
		cors_preflight_headers(&h->cors, x, &cors);
	else
		cors_headers(&h->cors, x, &cors);
	if (a->status != 204)
		headers[response.n_headers++] =
			header("content-type", a->encoding == OTLP_JSON ? "application/json"
		                                                        : "application/x-protobuf");
	if (a->extra.name.len > 0)
		headers[response.n_headers++] = a->extra;
	memcpy(headers + response.n_headers, cors.items, cors.count * sizeof *cors.items);
	response.n_headers += cors.count;
	http_respond(x, &response);
}

/* Whole seconds, never too early and never 0. */
static struct http_header retry_after(uint64_t delay_ns, char text[24])
{
	snprintf(text, 24, "%" PRIu64, delay_ns ? (delay_ns - 1) / NS_PER_S + 1 : 1);
	return header("retry-after", text);
}

/* Before there is a request. */
static void refuse(struct otlp_http *h, struct http_exchange *x, struct answer answer,
                   enum grpc_status code, const char *text)
{
	struct otlp_status status = {.code = code, .message = text};

	otlp_status_write(answer.encoding, &status, &answer.body);
	respond(h, x, &answer);
}

static void refuse_for_now(struct otlp_http *h, struct http_exchange *x,
                           enum otlp_encoding encoding, const char *text)
{
	uint64_t delay_ns = intake_retry_delay(h->entrance.intake);
	char seconds[24];

	refuse(h, x,
	       (struct answer){.status = 503,
	                       .encoding = encoding,
	                       .extra = retry_after(delay_ns, seconds)},
	       GRPC_UNAVAILABLE, text);
}

static int http_status(enum grpc_status s)
{
	switch (s) {
	case GRPC_OK:
		return 200;
	case GRPC_INVALID_ARGUMENT:
		return 400;
	case GRPC_RESOURCE_EXHAUSTED:
		return 413;
	case GRPC_UNAVAILABLE:
		return 503;
	default:
		return 500;
	}
}

static void answer_request(struct intake_request *r, const struct verdict *v)
{
	struct otlp_http *h = CONTAINER_OF(r->entrance, struct otlp_http, entrance);
	struct answer a = {.status = http_status(v->status), .encoding = r->encoding};
	struct otlp_status status = {.code = v->status,
	                             .message = v->message,
	                             .has_retry_info = v->retry,
	                             .retry_delay = v->retry_delay};
	char seconds[24];

	if (v->status == GRPC_OK)
		otlp_response_write(r->encoding, r->signal, v->rejected_items, v->message, &a.body);
	else
		otlp_status_write(r->encoding, &status, &a.body);
	if (v->retry)
		a.extra = retry_after(v->retry_delay, seconds);
	respond(h, r->exchange, &a);
}

static const struct http_request *head_of(const struct intake_request *r)
{
	return http_exchange_request(r->exchange);
}

/* ---- the head */

static bool media_type_is(struct slice type, const char *name)
{
	size_t len = strlen(name);

	return type.len >= len && strncasecmp((const char *)type.data, name, len) == 0 &&
	       (type.len == len || type.data[len] == ';' || type.data[len] == ' ');
}

/* Of the request, in which it is answered. False for what is neither; that is answered in
 * protobuf. */
static bool find_encoding(const struct http_exchange *x, enum otlp_encoding *ret)
{
	struct slice type = {0};

	*ret = OTLP_PROTOBUF;
	http_exchange_header(x, "content-type", &type);
	if (media_type_is(type, "application/json"))
		*ret = OTLP_JSON;
	return *ret == OTLP_JSON || media_type_is(type, "application/x-protobuf");
}

static bool find_signal(const struct otlp_http *h, struct slice path, enum signal *ret)
{
	for (int s = 0; s < SIGNAL_COUNT; s++)
		if (slice_equal(path, slice_from_string(h->config->url_paths[s]))) {
			*ret = (enum signal)s;
			return true;
		}
	return false;
}

static bool name_equal(struct slice name, const char *other)
{
	return strlen(other) == name.len &&
	       (name.len == 0 || strncasecmp((const char *)name.data, other, name.len) == 0);
}

/* As the Collector: "deflate" in the list allows "zlib", its other name, as well. */
static bool algorithm_is_allowed(const struct string_list *allowed, struct slice name)
{
	for (size_t i = 0; i < allowed->count; i++) {
		const char *one = allowed->items[i];

		if (name_equal(name, one) ||
		    (name_equal(name, "zlib") && strcmp(one, "deflate") == 0) ||
		    (name.len == 0 && strcmp(one, "identity") == 0))
			return true;
	}
	return allowed->count == 0;
}

static bool find_coding(const struct otlp_http *h, const struct http_exchange *x,
                        struct slice *ret_name, enum coding *ret)
{
	struct slice name = {0};

	http_exchange_header(x, "content-encoding", &name);
	*ret_name = name;
	if (name_equal(name, "identity"))
		name.len = 0;
	*ret = CODING_IDENTITY;
	return algorithm_is_allowed(&h->config->compression_algorithms, name) &&
	       (name.len == 0 || coding_from_name(name, ret));
}

/* What the path, the method and the coding of a request must be; false: it was refused. */
static bool check_head(struct otlp_http *h, struct http_exchange *x, enum otlp_encoding encoding,
                       bool encoding_is_known, enum signal *ret_signal, enum coding *ret_coding)
{
	const struct http_request *head = http_exchange_request(x);
	struct answer a = {.encoding = encoding};
	struct slice coding;
	char text[256];

	if (!find_signal(h, head->path, ret_signal)) {
		a.status = 404;
		refuse(h, x, a, GRPC_NOT_FOUND,
		       "nothing is at this path; OTLP is sent to /v1/traces, /v1/metrics and "
		       "/v1/logs, or where the receiver's *_url_path says");
	} else if (!slice_equal(head->method, SLICE_LITERAL("POST"))) {
		a.status = 405;
		a.extra = header("allow", h->config->cors.enabled ? "POST, OPTIONS" : "POST");
		refuse(h, x, a, GRPC_UNIMPLEMENTED, "405 method not allowed, supported: [POST]");
	} else if (!encoding_is_known) {
		a.status = 415;
		refuse(h, x, a, GRPC_INVALID_ARGUMENT,
		       "415 unsupported media type, supported: [application/json, "
		       "application/x-protobuf]");
	} else if (!intake_takes(h->entrance.intake, *ret_signal)) {
		a.status = 404;
		snprintf(text, sizeof text, "no pipeline of this server takes %s",
		         signal_name(*ret_signal));
		refuse(h, x, a, GRPC_UNIMPLEMENTED, text);
	} else if (!find_coding(h, x, &coding, ret_coding)) {
		a.status = 415;
		a.extra = (struct http_header){SLICE_LITERAL("accept-encoding"),
		                               buffer_slice(&h->codings), false};
		snprintf(text, sizeof text, "unsupported Content-Encoding: %.*s",
		         coding.len < 60 ? (int)coding.len : 60,
		         coding.len ? (const char *)coding.data : "");
		refuse(h, x, a, GRPC_UNIMPLEMENTED, text);
	} else {
		return true;
	}
	return false;
}

/* False: it was refused. */
static bool let_in(struct otlp_http *h, struct http_exchange *x, enum otlp_encoding encoding,
                   char **ret_identity)
{
	struct entrance *e = &h->entrance;
	const struct authenticator *a =
		e->authenticator ? e->authenticator->type->authenticator : NULL;
	struct error error = ERROR_INIT;
	struct answer answer = {.status = 401, .encoding = encoding};
	const char *challenge;

	if (intake_authenticate(e, http_exchange_request(x), ret_identity, &error) == 0)
		return true;
	if (error.kind == ERROR_RETRYABLE) {
		refuse_for_now(h, x, encoding, error.message);
		return false;
	}
	challenge = a->challenge ? a->challenge(e->authenticator) : NULL;
	if (challenge)
		answer.extra = header("www-authenticate", challenge);
	refuse(h, x, answer, GRPC_UNAUTHENTICATED, error.message);
	return false;
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct otlp_http *h = arg;
	const struct http_request *head = http_exchange_request(x);
	enum otlp_encoding encoding;
	bool known = find_encoding(x, &encoding);
	char *identity = NULL;
	enum signal signal;
	enum coding coding;
	struct intake_request *r;

	if (h->config->cors.enabled && cors_is_preflight(x)) {
		respond(h, x, &(struct answer){.status = 204});
		return;
	}
	if (!let_in(h, x, encoding, &identity))
		return;
	if (!check_head(h, x, encoding, known, &signal, &coding)) {
		free(identity);
		return;
	}
	r = intake_request_new(&h->entrance, x, signal, identity);
	if (!r) {
		refuse_for_now(h, x, encoding, "no memory to take this request now");
		return;
	}
	r->encoding = encoding;
	r->coding = coding;
	http_exchange_set_data(x, r);
	intake_request_expect(r, head->has_length, head->length);
}

/* ---- the body */

static void on_body(void *arg, struct http_exchange *x, struct slice bytes)
{
	intake_request_receive(http_exchange_data(x), bytes);
}

static void on_body_end(void *arg, struct http_exchange *x)
{
	intake_request_submit(http_exchange_data(x));
}

static void on_gone(void *arg, struct http_exchange *x)
{
	intake_request_abandon(http_exchange_data(x));
}

/* What is no request tells no encoding. */
static void on_bad_request(void *arg, int status, struct http_response *response)
{
	static const struct http_header type = {SLICE_LITERAL("content-type"),
	                                        SLICE_LITERAL("application/x-protobuf"), false};
	struct otlp_status body = {.code = GRPC_INVALID_ARGUMENT,
	                           .message = "not an HTTP request that can be taken"};

	if (status == 431 || status == 417 || status == 501 || status == 505)
		body.message = status == 431 ? "the headers are too long" : "not supported here";
	if (status == 408 || status == 503) {
		body.code = GRPC_UNAVAILABLE;
		body.message = status == 408 ? "the request came too slowly" : "busy";
	}
	response->headers = &type;
	response->n_headers = 1;
	otlp_status_write(OTLP_PROTOBUF, &body, &response->body);
}

const struct http_handler otlp_http_handler = {on_request, on_body, on_body_end, on_gone,
                                               on_bad_request};

/* ---- life */

static bool copy_headers(struct otlp_http *h, const struct string_map *map)
{
	h->headers = calloc(map->count + OWN_HEADERS_MAX, sizeof *h->headers);
	for (size_t i = 0; h->headers && i < map->count; i++) {
		char *name = strdup(map->items[i].key);

		if (!name)
			return false;
		for (char *at = name; *at; at++)
			*at = (char)tolower((unsigned char)*at);
		h->headers[h->n_headers++] =
			header(name, map->items[i].value ? map->items[i].value : "");
	}
	return h->headers != NULL;
}

static bool join_codings(struct otlp_http *h, const struct string_list *allowed)
{
	static const char *const all[] = {"gzip", "zstd", "deflate", "snappy", "x-snappy-framed",
	                                  "lz4"};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (!algorithm_is_allowed(allowed, slice_from_string(all[i])))
			continue;
		buffer_append_string(&h->codings, h->codings.len ? ", " : "");
		buffer_append_string(&h->codings, all[i]);
	}
	return !h->codings.failed;
}

bool otlp_http_init(struct otlp_http *h, const struct otlp_http_config *config)
{
	*h = (struct otlp_http){.config = config};
	h->entrance.transport = "http";
	h->entrance.answer = answer_request;
	h->entrance.head = head_of;
	for (size_t i = 0; i < CODES; i++)
		h->entrance.codes[i] = codes[i].name;
	return cors_init(&h->cors, &config->cors) && copy_headers(h, &config->response_headers) &&
	       join_codings(h, &config->compression_algorithms);
}

void otlp_http_fini(struct otlp_http *h)
{
	for (size_t i = 0; i < h->n_headers; i++)
		free((char *)h->headers[i].name.data);
	free(h->headers);
	cors_fini(&h->cors);
	buffer_fini(&h->codings);
}
