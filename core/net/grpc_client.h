/* grpc_client: unary gRPC calls to one server, many in flight on one connection.
 *
 * Connects when the first call comes and again when there are calls after the connection was lost,
 * with gRPC's back-off between attempts that fail. A call waits for an attempt that is under way;
 * between attempts it fails at once with what the last one said (or waits, with wait_for_ready).
 * Calls that the server says it has not processed are sent again; calls whose connection breaks end
 * as GRPC_UNAVAILABLE, and it is their owner who decides to repeat them. */
#ifndef WEIR_NET_GRPC_CLIENT_H
#define WEIR_NET_GRPC_CLIENT_H

#include "core/base/endpoint.h"
#include "core/base/log.h"
#include "core/loop/loop.h"
#include "core/net/tls.h"
#include "core/wire/compress.h"
#include "core/wire/grpc.h"

/* OTLP's bound for a response, on the wire and inflated. */
enum { GRPC_RESPONSE_LIMIT = 4 * 1024 * 1024 };

enum { GRPC_CALL_HEADERS = 36 };

struct grpc_client;

struct grpc_client_header {
	const char *name; /* lower case */
	const char *value;
};

/* Everything pointed to stays its owner's and outlives the client. */
struct grpc_client_config {
	struct endpoint endpoint;
	const struct tls_settings *tls; /* NULL: plain HTTP/2 with prior knowledge */
	const char *authority;          /* NULL: host and port of the endpoint */
	const char *user_agent;
	/* Asked for the headers of each call that is sent now, at most GRPC_CALL_HEADERS; they stay
	 * until the next call. Values are secret. Fails retryably: the call ends as UNAVAILABLE. NULL:
	 * none. */
	int (*headers)(void *arg, const struct grpc_client_header **ret, size_t *ret_n,
	               struct error *error);
	void *headers_arg;
	bool wait_for_ready;
	/* After keepalive_time without a byte from the server it is pinged, and given up when
	 * nothing comes for keepalive_timeout. ns; time 0: no pings. Without calls only when
	 * permitted. */
	uint64_t keepalive_time, keepalive_timeout;
	bool keepalive_permit_without_stream;
	/* From the name look-up to the server's first word of HTTP/2. ns; 0: 20 s, gRPC's
	 * MIN_CONNECT_TIMEOUT. */
	uint64_t connect_timeout;
	/* A call that runs into its deadline on a connection on which nothing has come for so long
	 * ends the connection too: what is behind it may be gone without the network's noticing.
	 * ns; 0: 20 s. */
	uint64_t silence_limit;
};

struct grpc_request {
	const char *path; /* "/package.Service/Method", a constant */
	/* The message, already compressed when coding says so. Array and bytes stay until done is
	 * called. */
	const struct slice *pieces;
	size_t n_pieces;
	enum coding coding;
	uint64_t deadline_ns; /* monotonic; 0: none */
};

/* Valid during the call of done only. */
struct grpc_response {
	enum grpc_status status;
	bool from_server;     /* false: no answer came, the status is the client's own */
	const char *text;     /* one sentence when status is not OK; it names the server */
	struct slice message; /* when status is OK */
	struct grpc_retry_info retry;
};

typedef void (*grpc_done)(void *arg, const struct grpc_response *response);

/* Reads the TLS files; connects later. Errors are about the configuration, or -ENOMEM. */
int grpc_client_new(struct loop *loop, const struct grpc_client_config *config,
                    const struct logger *log, struct grpc_client **ret, struct error *error);

/* done is called exactly once, maybe before this returns. */
void grpc_client_call(struct grpc_client *c, const struct grpc_request *request, grpc_done done,
                      void *arg);

/* Ends every call as GRPC_CANCELLED, and the connection; closed(arg) comes once everything is
 * freed, maybe before this returns. Takes NULL, then closed is called at once. */
void grpc_client_close(struct grpc_client *c, void (*closed)(void *arg), void *arg);

#endif
