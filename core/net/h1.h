/* h1: HTTP/1.0 and 1.1 requests out of bytes, responses into bytes. Sans-I/O, after RFC 9110 and 9112.
 *
 * Happy path: H1_HEAD -> H1_BODY ... -> H1_END, and again. Strict where leniency lets two readers of
 * the same bytes see different requests (smuggling): line ends are CRLF, one Content-Length or chunked
 * and nothing else, no folded lines, one Host. After an error the connection is answered with
 * h1_error_status() and closed. How the bytes are cut makes no difference. */
#ifndef WEIR_NET_H1_H
#define WEIR_NET_H1_H

#include "core/base/buffer.h"
#include "core/net/http_server.h"

enum h1_event {
	H1_MORE, /* all bytes are used */
	H1_HEAD, /* a head is complete: h1_request() */
	H1_BODY, /* a part of the body, in the bytes that were brought */
	H1_END,  /* the request is complete; the rest of the bytes is for the next */
	H1_ERROR,
};

struct h1;

/* head_limit: bytes of request line and header lines together, and of trailers. NULL: no memory. */
struct h1 *h1_new(size_t head_limit);
void h1_free(struct h1 *h); /* takes NULL */

/* Reads from *bytes, which moves on past what was used, up to the next event. H1_BODY sets *ret_part;
 * H1_END may come without another byte, so call it again after H1_HEAD and H1_BODY also with none. */
enum h1_event h1_next(struct h1 *h, struct slice *bytes, struct slice *ret_part);

/* From H1_HEAD until h1_forget() or the next request's first byte; without peer. Chunked: no length. */
const struct http_request *h1_request(const struct h1 *h);
bool h1_keep_alive(const struct h1 *h);       /* the client wants the connection to go on */
bool h1_expects_continue(const struct h1 *h); /* it sends the body after h1_write_continue() */

/* Frees the request's memory; for when its response has been given. The events of its body still
 * come. */
void h1_forget(struct h1 *h);

/* Whether it stands between two requests: nothing of the next has come. */
bool h1_is_between(const struct h1 *h);

/* After H1_ERROR: 400, 417, 431, 501, 503 (no memory) or 505. */
int h1_error_status(const struct h1 *h);

const char *h1_reason(int status); /* "Not Found" */

/* A body whose end is not known yet: chunked, or to HTTP/1.0 ended by the end of the connection. */
#define H1_LENGTH_UNKNOWN UINT64_MAX

/* The head of a response, in answer to what h read last. Content-Length (or Transfer-Encoding) is
 * written, except where a status has none. Fields that would break the head (line ends in names or values) are left out. */
void h1_write_head(const struct h1 *h, struct buffer *out, int status,
                   const struct http_header *headers, size_t n_headers, uint64_t length,
                   bool keep_alive);
void h1_write_continue(struct buffer *out);
bool h1_takes_chunks(const struct h1 *h); /* it is no HTTP/1.0 */

#endif
