/* http_pages: pages that are made at once, for weir itself (/metrics, health), on http_server.
 *
 * HTTP/1.1, GET and HEAD; requests with bodies are refused. Bounded in everything: connections (64),
 * header bytes, time. */
#ifndef WEIR_NET_HTTP_PAGES_H
#define WEIR_NET_HTTP_PAGES_H

#include "core/base/buffer.h"
#include "core/base/endpoint.h"
#include "core/base/slice.h"
#include "core/loop/loop.h"

struct http_pages;

struct page_request {
	struct slice method, path, query; /* path without query; not percent-decoded */
};

struct page_response {
	int status;               /* 200 when untouched */
	const char *content_type; /* a constant */
	struct buffer body;       /* freed by the server */
};

typedef void (*page_handler)(void *arg, const struct page_request *request,
                             struct page_response *response);

/* Listens at once on every address of the endpoint's name. Errors name address and cause. */
int http_pages_new(struct loop *loop, const struct endpoint *endpoint, page_handler handler,
                   void *arg, struct http_pages **ret, struct error *error);

/* The port it listens on, for endpoints with port 0. */
uint16_t http_pages_port(const struct http_pages *s);

/* Stops listening, closes every connection; closed(arg) comes once, after which it is freed. */
void http_pages_close(struct http_pages *s, void (*closed)(void *arg), void *arg);

#endif
