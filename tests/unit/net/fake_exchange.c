#include "tests/unit/net/fake_exchange.h"

#include <stdlib.h>

void fake_exchange_init(struct http_exchange *x, const char *path)
{
	*x = (struct http_exchange){.request = {.method = SLICE_LITERAL("POST"),
	                                        .path = slice_from_string(path),
	                                        .version_major = 2,
	                                        .peer = "127.0.0.1:40000"}};
	x->request.headers = x->headers;
	fake_exchange_add(x, "content-type", "application/grpc");
}

void fake_exchange_fini(struct http_exchange *x)
{
	buffer_fini(&x->body);
}

void fake_exchange_add(struct http_exchange *x, const char *name, const char *value)
{
	if (x->request.n_headers == FAKE_HEADERS)
		abort();
	x->headers[x->request.n_headers++] =
		(struct http_header){slice_from_string(name), slice_from_string(value), false};
}

const char *fake_exchange_trailer(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->n_trailers; i++)
		if (strcmp(x->trailers[i].name, name) == 0)
			return x->trailers[i].value;
	return NULL;
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
	return &x->request;
}

bool http_exchange_header(const struct http_exchange *x, const char *name, struct slice *ret)
{
	for (size_t i = 0; i < x->request.n_headers; i++)
		if (slice_equal(x->headers[i].name, slice_from_string(name))) {
			*ret = x->headers[i].value;
			return true;
		}
	return false;
}

void http_exchange_set_data(struct http_exchange *x, void *data)
{
	x->data = data;
}

void *http_exchange_data(const struct http_exchange *x)
{
	return x->data;
}

static void copy_text(char *to, size_t size, struct slice from)
{
	if (from.len >= size || memchr(from.data, '\n', from.len) || memchr(from.data, 0, from.len))
		abort();
	memcpy(to, from.data, from.len);
	to[from.len] = '\0';
}

static void copy_fields(struct fake_field *to, const struct http_header *from, size_t n)
{
	if (n > FAKE_FIELDS)
		abort();
	for (size_t i = 0; i < n; i++) {
		copy_text(to[i].name, sizeof to[i].name, from[i].name);
		copy_text(to[i].value, sizeof to[i].value, from[i].value);
	}
}

void http_respond(struct http_exchange *x, struct http_response *response)
{
	x->responses++;
	x->status = response->status;
	x->n_head = response->n_headers;
	copy_fields(x->head, response->headers, response->n_headers);
	x->n_trailers = response->n_trailers;
	copy_fields(x->trailers, response->trailers, response->n_trailers);
	buffer_fini(&x->body);
	x->body = response->body;
	response->body = (struct buffer)BUFFER_INIT;
}
