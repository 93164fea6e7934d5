/* grpc_internal: what grpc_client.c, grpc_call.c and grpc_connection.c share. For no one else.
 *
 * The client owns calls that wait for a connection; a connection owns those it carries. One
 * connection is the current one; others have been told to go away and end when their last call
 * does. */
#ifndef WEIR_NET_GRPC_INTERNAL_H
#define WEIR_NET_GRPC_INTERNAL_H

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/loop/timer.h"
#include "core/net/grpc_client.h"
#include "core/net/h2.h"
#include "core/net/stream.h"

enum { GRPC_TEXT_BYTES = 400, GRPC_DETAILS_BYTES = 8 * 1024 };

/* What has come of a response so far. */
struct grpc_answer {
	unsigned http_status;
	bool is_grpc, has_status, is_bad;
	enum grpc_status status;
	char text[GRPC_TEXT_BYTES]; /* grpc-message, or why is_bad */
	struct grpc_retry_info retry;
	bool known_coding;
	enum coding coding;
	bool compressed, has_message;
	struct grpc_reader reader;
	struct buffer message;
};

struct grpc_call {
	struct list link; /* in client->waiting or connection->calls */
	struct grpc_client *client;
	struct grpc_connection *connection; /* NULL: waits */
	struct h2_stream *stream;
	const char *path;
	enum coding coding;
	uint64_t started_ns; /* on the connection */
	uint64_t deadline_ns;
	struct timer *deadline; /* NULL: none */
	unsigned refusals;
	grpc_done done;
	void *arg;
	struct grpc_answer answer;
	uint8_t prefix[GRPC_PREFIX_BYTES];
	size_t n_pieces;
	struct slice pieces[]; /* the prefix, then the message */
};

struct grpc_connection {
	struct list link; /* in client->connections */
	struct grpc_client *client;
	struct stream *stream;
	struct h2 *h2; /* from the moment the stream is open */
	struct list calls;
	struct timer *timer; /* first the connection attempt's, then the keep-alive's */
	bool ready, draining, closing, useful;
	bool pinged; /* and nothing has come since */
	uint64_t ready_ns, received_ns;
};

struct grpc_client {
	struct loop *loop;
	struct grpc_client_config config;
	const struct logger *log;
	struct tls_context *tls;
	char where[280]; /* "backend:4317", for people */
	char authority[280];
	struct list waiting, connections;
	struct grpc_connection *current;
	unsigned open; /* connections whose memory is not yet free, and a running dispatch */
	bool dispatching, again;
	uint64_t keepalive_time;
	struct timer *retry;
	uint64_t backoff_ns, not_before_ns;
	struct error last_failure;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- grpc_client.c */

/* Moves calls on: to the connection, or out when there is none to be had. */
void grpc_client_dispatch(struct grpc_client *c);

/* The connection c->current, or one that was, is no more. ready: it had worked; useful: an answer
 * had come. */
void grpc_client_lost(struct grpc_client *c, const struct grpc_connection *connection,
                      const struct error *why);

/* Gives back one of c->open. */
void grpc_client_released(struct grpc_client *c);

/* ---- grpc_connection.c */

int grpc_connection_new(struct grpc_client *c, struct grpc_connection **ret, struct error *error);
/* Whether a call can start on it now. One that can take no more for good begins to drain. */
bool grpc_connection_has_room(struct grpc_connection *n);
void grpc_connection_send(struct grpc_connection *n);

/* Ends it; its calls must have been taken from it. Harmless when it is already ending. */
void grpc_connection_close(struct grpc_connection *n);

/* One of its calls has left it. */
void grpc_connection_call_left(struct grpc_connection *n);

/* One that started then has run into its deadline, and has left it. */
void grpc_connection_call_expired(struct grpc_connection *n, uint64_t started_ns);

/* ---- grpc_call.c */

struct grpc_call *grpc_call_new(struct grpc_client *c, const struct grpc_request *request,
                                grpc_done done, void *arg);
/* Sends it. On failure it is where it was. */
int grpc_call_start(struct grpc_call *call, struct grpc_connection *n, struct error *error);
/* Ends it without an answer, wherever it is. */
void grpc_call_fail(struct grpc_call *call, enum grpc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
