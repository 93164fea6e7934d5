/* http_client_internal: what the files of http_client share. For no one else. */
#ifndef WEIR_NET_HTTP_CLIENT_INTERNAL_H
#define WEIR_NET_HTTP_CLIENT_INTERNAL_H

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/loop/timer.h"
#include "core/net/http_client.h"

#include <curl/curl.h>

/* A server that never stops sending header fields would fill the memory. */
enum { HTTP_CLIENT_HEADER_LIMIT = 64 * 1024 };

struct http_client {
	struct loop *loop;
	struct http_client_config config;
	const struct logger *log;
	struct tls_settings tls_settings;
	struct tls_context *tls; /* without settings only when it is needed; or NULL */
	CURLM *multi;        /* while there are requests or connections worth keeping; or NULL */
	bool broken;         /* the multi handle has failed: it ends with its last request */
	struct timer *timer; /* the multi handle's */
	struct timer *idle;  /* since the last request */
	struct list active, spare; /* exchanges */
	unsigned n_spare;
	unsigned entered; /* calls of ours below which the client stays */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One request and its response. Kept for the next one afterwards: libcurl's handle is expensive. */
struct http_client_exchange {
	struct list link; /* in client->active or ->spare */
	struct http_client *client;
	CURL *easy;
	struct timer *deadline;
	http_client_done done;
	void *arg;

	const struct slice *pieces;
	size_t n_pieces, piece, offset; /* read so far */
	struct curl_slist *headers, *connect_to;

	size_t limit, header_bytes;
	bool too_large;
	bool no_memory;
	struct buffer body;
	char why[CURL_ERROR_SIZE]; /* libcurl's words */
};

/* ---- http_client.c */

/* Around everything that may call out. */
void http_client_enter(struct http_client *c);
void http_client_leave(struct http_client *c);

/* ---- http_client_exchange.c */

/* NULL: no memory. */
struct http_client_exchange *http_client_exchange_new(struct http_client *c);
void http_client_exchange_free(struct http_client_exchange *x); /* takes NULL; not while active */

/* Everything up to adding it to the multi handle. Fails with a sentence: -EINVAL or -ENOMEM. */
int http_client_exchange_prepare(struct http_client_exchange *x,
                                 const struct http_client_request *request, struct error *error);

/* Forgets the request. */
void http_client_exchange_clear(struct http_client_exchange *x);

/* ---- http_client_answer.c */

/* It is over, and out of the multi handle: tells its owner. */
void http_client_exchange_tell(struct http_client_exchange *x, enum http_client_result result,
                               CURLcode code);

/* ---- http_client_tls.c */

/* What the client's TLS context says, as options of a handle. */
CURLcode http_client_tls_apply(struct http_client *c, CURL *easy);

#endif
