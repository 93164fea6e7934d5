/* h1: HTTP/1.1 requests out of bytes, responses into bytes. Sans-I/O, after RFC 9110 and RFC 9112.
 *
 * For servers that take no request bodies: a request that has one is an error. After an error the
 * connection is answered with h1_error_status() and closed. */
#ifndef WEIR_NET_H1_H
#define WEIR_NET_H1_H

#include "core/base/buffer.h"
#include "core/base/slice.h"

/* Request line and headers together, against a peer that sends headers for ever. */
enum { H1_HEAD_LIMIT = 8 * 1024 };

enum h1_event {
	H1_MORE,    /* all bytes are used, the request is not complete */
	H1_REQUEST, /* one request is complete; the rest of the bytes is for the next */
	H1_ERROR,
};

struct h1_request {
	struct slice method, path, query; /* valid until the next h1_feed() */
	bool keep_alive;
};

struct h1;

struct h1 *h1_new(void); /* NULL: no memory */
void h1_free(struct h1 *h);

/* Reads from *bytes, which moves on past what was used. */
enum h1_event h1_feed(struct h1 *h, struct slice *bytes);

/* After H1_REQUEST. */
struct h1_request h1_request(const struct h1 *h);

/* After H1_ERROR: 400, 405, 413 or 431. */
int h1_error_status(const struct h1 *h);

const char *h1_reason(int status); /* "Not Found" */

/* The head of a response with a body of length bytes. content_type may be NULL when there is no
 * body. */
void h1_write_head(struct buffer *out, int status, const char *content_type, size_t length,
                   bool keep_alive);

#endif
