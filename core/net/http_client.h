/* http_client: outgoing HTTP/1.1 and HTTP/2, many requests at once, on libcurl in the loop.
 *
 * A client is one set of rules (TLS, proxy, limits) and the connections made under them, which are
 * kept and used again. Redirects are not followed: a 3xx is an answer. Names are looked up on
 * libcurl's own threads. Without proxy_url the environment decides as it does for curl: http_proxy
 * (lower case only), https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, and no_proxy, NO_PROXY.
 * Nothing here logs headers or bodies. */
#ifndef WEIR_NET_HTTP_CLIENT_H
#define WEIR_NET_HTTP_CLIENT_H

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/slice.h"
#include "core/loop/loop.h"
#include "core/net/http_header.h"
#include "core/net/tls.h"

struct http_client;
struct http_client_exchange;

/* Everything pointed to stays its owner's and outlives the client. */
struct http_client_config {
	const struct tls_settings *tls; /* for https; NULL: the system's authorities */
	const char *proxy_url;          /* NULL: as the environment says; "": none */
	const char *no_proxy;           /* hosts, by commas, that proxy_url is not for */
	const char *unix_path;          /* connect to this socket, whatever the URL's host is */
	const char *user_agent;
	bool http2;               /* may be agreed upon by ALPN; plain connections stay HTTP/1.1 */
	uint64_t max_connections; /* to one host; 0: no limit */
	uint64_t max_idle_connections; /* kept open; 0: a hundred */
	/* A connection that was not used for so long is not used again; all are closed when
	 * nothing was sent for so long. ns; 0: for ever. */
	uint64_t idle_timeout;
	uint64_t connect_timeout; /* name look-up, TCP, TLS. ns; 0: 20 s */
};

struct http_client_request {
	const char *method; /* "POST", a constant */
	const char *url;    /* http:// or https:// */
	const struct http_header *headers;
	size_t n_headers;
	/* The body, with a Content-Length when there is one or the method is POST or PUT. Array and
	 * bytes stay until done is called, and may be read more than once (a connection that had
	 * been idle may turn out to be gone). */
	const struct slice *pieces;
	size_t n_pieces;
	uint64_t deadline_ns;  /* monotonic; 0: none */
	size_t response_limit; /* bytes of the answer's body, on the wire and inflated */
};

enum http_client_result {
	HTTP_CLIENT_ANSWERED,   /* by whatever status; the body of an error (400 and above) that was
	                           cut short or cannot be inflated is empty */
	HTTP_CLIENT_FAILED,     /* no connection, or it broke, or no memory: may succeed later */
	HTTP_CLIENT_LATE,       /* the deadline has passed */
	HTTP_CLIENT_UNREADABLE, /* an answer with that status came, but its body is above the limit,
	                           or that of a success not what its content-encoding says */
	HTTP_CLIENT_REFUSED,    /* not sent: the URL or a header cannot be */
	HTTP_CLIENT_CANCELED,
};

/* Valid during the call of done only. */
struct http_client_response {
	enum http_client_result result;
	unsigned status;   /* ANSWERED, UNREADABLE */
	const char *text;  /* one sentence, unless ANSWERED; it names the server, never a secret */
	struct slice body; /* inflated */
	struct slice type; /* content-type; empty: none */
	bool has_retry_after;
	uint64_t retry_after_ns; /* from now on; seconds or an HTTP date, 0 for what is past */
	struct http_client_exchange *exchange;
};

typedef void (*http_client_done)(void *arg, const struct http_client_response *response);

/* Reads the TLS files to check them, and again before new connections as tls->reload_interval says;
 * files that have become unusable leave what was loaded in use. Errors are about the
 * configuration, or -ENOMEM. */
int http_client_new(struct loop *loop, const struct http_client_config *config,
                    const struct logger *log, struct http_client **ret, struct error *error);

/* done is called exactly once. Returns what http_client_cancel() takes, until then; NULL when done
 * has been called already. The request may be forgotten, except its method, pieces and what they
 * point to. */
struct http_client_exchange *http_client_send(struct http_client *c,
                                              const struct http_client_request *request,
                                              http_client_done done, void *arg);

/* Calls done with CANCELED. */
void http_client_cancel(struct http_client_exchange *x);

/* The last field of that name in the response's header; false: none. Valid as the response is. */
bool http_client_header(const struct http_client_response *response, const char *name,
                        struct slice *ret);

/* Cancels all requests and closes all connections; closed(arg) comes once everything is freed,
 * maybe before this returns. Takes NULL, then closed is called at once. */
void http_client_close(struct http_client *c, void (*closed)(void *arg), void *arg);

/* Host and port of a URL, for messages: without what else it may hold, passwords too. */
void http_client_where(const char *url, char *ret, size_t size);

/* Whether it is an absolute http or https URL with a host. The sentence begins with what, the name of
 * the setting, and leaves out what the URL holds of passwords. */
int http_client_url_check(const char *what, const char *url, struct error *error);

#endif
