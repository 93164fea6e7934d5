/* grpc_server: unary gRPC calls out of HTTP exchanges, and answers into them.
 *
 * After gRPC's PROTOCOL-HTTP2.md. The owner of an http_server hands it exchanges whose content-type
 * is gRPC's; it knows no service by itself.
 *
 * Happy path: on_call (the head: path, metadata, time-out) -> on_message (the length is known, nothing
 * of the message has been read: give memory or reply) -> on_complete (the message, and the client has
 * ended its side) -> grpc_server_reply(). The reply may come inside any of them or later, once; then
 * the call does not exist any more.
 * Fails, answered here: not POST or not gRPC's content-type (415) · a message longer than limit
 * (RESOURCE_EXHAUSTED, final) · a coding nobody here knows (UNIMPLEMENTED, with grpc-accept-encoding) ·
 * a grpc-timeout that is none, no message, a message cut short (INTERNAL) · more than one message
 * (UNIMPLEMENTED) · memory that the budget refuses while a claimed buffer fills (UNAVAILABLE with
 * RetryInfo) · its time-out has passed (DEADLINE_EXCEEDED).
 * on_gone: the client has gone, or the call was answered here after on_call; it does not exist any
 * more, and neither on_message nor on_complete follow. */
#ifndef WEIR_NET_GRPC_SERVER_H
#define WEIR_NET_GRPC_SERVER_H

#include "core/base/rcbuf.h"
#include "core/net/http_server.h"
#include "core/wire/compress.h"
#include "core/wire/grpc.h"

struct grpc_server;
struct grpc_server_call;

struct grpc_server_handler {
	void (*on_call)(void *arg, struct grpc_server_call *c);
	/* length bytes follow, in the call's coding. Returns a buffer of at least that size, whose
	 * reference the call takes and which it charges as it fills (rcbuf_claim()); NULL: the handler
	 * has replied. */
	struct rcbuf *(*on_message)(void *arg, struct grpc_server_call *c, uint32_t length);
	/* message is as it came (compressed when coding says so) and becomes the handler's. */
	void (*on_complete)(void *arg, struct grpc_server_call *c, struct rcbuf *message,
	                    enum coding coding);
	/* Must not reply. */
	void (*on_gone)(void *arg, struct grpc_server_call *c);
};

struct grpc_reply {
	enum grpc_status status;
	const char *text;     /* when not OK; UTF-8, percent-encoded on the way; cut at 512 bytes */
	struct slice message; /* when OK: the response message, copied */
	bool has_retry_info;  /* a google.rpc.RetryInfo goes into grpc-status-details-bin */
	uint64_t retry_delay; /* ns */
};

/* limit: bytes of a message as it comes over the wire; 0: none. NULL: no memory. */
struct grpc_server *grpc_server_new(struct loop *loop, size_t limit,
                                    const struct grpc_server_handler *handler, void *arg);
void grpc_server_free(struct grpc_server *g); /* when no call is left; takes NULL */

/* Whether an exchange is for us: content-type application/grpc, +proto or ;... */
bool grpc_server_wants(const struct http_exchange *x);

/* To be used as the http_server's handler, or called from one that dispatches. arg is the
 * grpc_server. */
extern const struct http_handler grpc_server_http_handler;

/* "/package.Service/Method" */
struct slice grpc_server_call_path(const struct grpc_server_call *c);
const struct http_request *grpc_server_call_request(const struct grpc_server_call *c);
void grpc_server_call_set_data(struct grpc_server_call *c, void *data);
void *grpc_server_call_data(const struct grpc_server_call *c);

void grpc_server_reply(struct grpc_server_call *c, const struct grpc_reply *reply);

#endif
