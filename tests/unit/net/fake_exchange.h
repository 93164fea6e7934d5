/* fake_exchange: an HTTP exchange without a connection, linked in place of http_server's: tests play the
 * server and see what was answered. */
#ifndef WEIR_TESTS_NET_FAKE_EXCHANGE_H
#define WEIR_TESTS_NET_FAKE_EXCHANGE_H

#include "core/net/http_server.h"

enum { FAKE_HEADERS = 16, FAKE_FIELDS = 8 };

struct fake_field {
	char name[32], value[4096];
};

struct http_exchange {
	struct http_request request;
	struct http_header headers[FAKE_HEADERS];
	void *data;
	unsigned responses;
	/* Of the response. */
	int status;
	struct fake_field head[FAKE_FIELDS], trailers[FAKE_FIELDS];
	size_t n_head, n_trailers;
	struct buffer body;
};

/* A POST of application/grpc to path over HTTP/2. */
void fake_exchange_init(struct http_exchange *x, const char *path);
void fake_exchange_fini(struct http_exchange *x);
void fake_exchange_add(struct http_exchange *x, const char *name, const char *value);

/* The value of a trailer, or NULL. */
const char *fake_exchange_trailer(const struct http_exchange *x, const char *name);

#endif
