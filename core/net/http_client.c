/* The client: libcurl's multi handle on the loop, and the exchanges that are kept for reuse.
 *
 * Happy path: http_client_send -> added to the multi handle -> on_socket and on_timer drive it ->
 * collect -> done(ANSWERED) -> spare. Fails: libcurl says why (http_client_exchange.c) · the deadline
 * passes (on_deadline) · no memory to watch a socket (the multi handle is broken: everything in it
 * fails, and the next request begins with a new one).
 *
 * done may send, cancel and close. Therefore everything that calls out stands between enter and
 * leave, and what ends the multi handle or the client waits for the outermost leave. */
#include "core/net/http_client.h"

#include "core/base/clock.h"
#include "core/loop/poll.h"
#include "core/net/http_client_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum {
	SPARE_MAX = 16, /* exchanges that are kept; each may hold a buffer of 64 KiB */
	IDLE_CONNECTIONS = 100,
};

/* ---- the multi handle in the loop */

struct watch {
	struct http_client *client;
	curl_socket_t fd;
	struct poll *poll;
};

static void collect(struct http_client *c);
static void fail_all(struct http_client *c);

static void act(struct http_client *c, curl_socket_t fd, int events)
{
	int running;

	if (!c->multi || c->broken)
		return;
	http_client_enter(c);
	if (curl_multi_socket_action(c->multi, fd, events, &running) == CURLM_OK)
		collect(c);
	else
		fail_all(c);
	http_client_leave(c);
}

/* Where only writing is possible libcurl looks for itself (0) right before it writes: an answer may have
 * come meanwhile, and would be lost to a write that finds the connection reset. */
static void on_ready(void *arg, int events)
{
	struct watch *w = arg; /* may be gone when act() returns */
	int writable = events & POLL_WRITABLE ? CURL_CSELECT_OUT : 0;

	act(w->client, w->fd, events & POLL_READABLE ? CURL_CSELECT_IN | writable : 0);
}

static void watch_free(struct watch *w)
{
	poll_free(w->poll);
	free(w);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_client *c = arg;
	struct watch *w = known;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_free(w);
		return 0;
	}
	if (!w) {
		w = calloc(1, sizeof *w);
		if (!w)
			return -1;
		w->client = c;
		w->fd = fd;
		w->poll = poll_new(c->loop, fd, on_ready, w);
		if (!w->poll || curl_multi_assign(c->multi, fd, w) != CURLM_OK) {
			watch_free(w);
			return -1;
		}
	}
	poll_start(w->poll, (what & CURL_POLL_IN ? POLL_READABLE : 0) |
	                            (what & CURL_POLL_OUT ? POLL_WRITABLE : 0));
	return 0;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	if (timeout_ms < 0)
		timer_stop(c->timer);
	else
		timer_start(c->timer, (uint64_t)timeout_ms * NS_PER_MS, 0);
	return 0;
}

static void on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static long bounded(uint64_t value, long otherwise)
{
	return value == 0 ? otherwise : value < INT_MAX ? (long)value : INT_MAX;
}

static bool multi_open(struct http_client *c)
{
	CURLM *m;

	if (c->multi)
		return true;
	m = curl_multi_init();
	if (!m)
		return false;
	curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(m, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS, bounded(c->config.max_connections, 0));
	curl_multi_setopt(m, CURLMOPT_MAXCONNECTS,
	                  bounded(c->config.max_idle_connections, IDLE_CONNECTIONS));
	c->multi = m;
	return true;
}

/* Closes all connections. Not while requests are under way. */
static void multi_close(struct http_client *c)
{
	if (!c->multi)
		return;
	curl_multi_cleanup(c->multi);
	c->multi = NULL;
	c->broken = false;
	timer_stop(c->timer);
}

/* ---- exchanges */

static void spare_free(struct http_client *c)
{
	struct http_client_exchange *x;

	while ((x = LIST_FIRST(&c->spare, struct http_client_exchange, link))) {
		list_remove(&x->link);
		http_client_exchange_free(x);
	}
	c->n_spare = 0;
}

static void on_idle(void *arg)
{
	struct http_client *c = arg;

	multi_close(c);
	spare_free(c);
}

static void recycle(struct http_client_exchange *x)
{
	struct http_client *c = x->client;

	http_client_exchange_clear(x);
	if (c->closing || c->n_spare >= SPARE_MAX) {
		http_client_exchange_free(x);
		return;
	}
	list_push_front(&c->spare, &x->link);
	c->n_spare++;
}

static void end(struct http_client_exchange *x, enum http_client_result result, CURLcode code)
{
	struct http_client *c = x->client;

	http_client_enter(c);
	list_remove(&x->link);
	timer_stop(x->deadline);
	curl_multi_remove_handle(c->multi, x->easy);
	http_client_exchange_tell(x, result, code);
	recycle(x);
	http_client_leave(c);
}

static void collect(struct http_client *c)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left))) {
		CURLcode code = message->data.result;
		struct http_client_exchange *x;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		end(x, code == CURLE_OK ? HTTP_CLIENT_ANSWERED : HTTP_CLIENT_FAILED, code);
	}
}

static void fail_all(struct http_client *c)
{
	struct http_client_exchange *x;

	c->broken = true;
	while ((x = LIST_FIRST(&c->active, struct http_client_exchange, link)))
		end(x, HTTP_CLIENT_FAILED, CURLE_OUT_OF_MEMORY);
}

static void on_deadline(void *arg)
{
	end(arg, HTTP_CLIENT_LATE, CURLE_OPERATION_TIMEDOUT);
}

static struct http_client_exchange *take_exchange(struct http_client *c)
{
	struct http_client_exchange *x = LIST_FIRST(&c->spare, struct http_client_exchange, link);

	if (x) {
		list_remove(&x->link);
		c->n_spare--;
		return x;
	}
	x = http_client_exchange_new(c);
	if (!x)
		return NULL;
	x->deadline = timer_new(c->loop, on_deadline, x);
	if (x->deadline)
		return x;
	http_client_exchange_free(x);
	return NULL;
}

static int begin(struct http_client *c, const struct http_client_request *request,
                 http_client_done done, void *arg, struct http_client_exchange **ret,
                 struct error *error)
{
	struct http_client_exchange *x;
	int r;

	if (c->closing || c->broken)
		return error_set(error, -ECANCELED, c->closing ? "shutting down" : "out of memory");
	x = multi_open(c) ? take_exchange(c) : NULL;
	if (!x)
		return error_no_memory(error);
	r = http_client_exchange_prepare(x, request, error);
	if (r == 0 && curl_multi_add_handle(c->multi, x->easy) != CURLM_OK)
		r = error_no_memory(error);
	if (r < 0) {
		recycle(x);
		return r;
	}
	x->done = done;
	x->arg = arg;
	list_push(&c->active, &x->link);
	timer_stop(c->idle);
	if (request->deadline_ns) {
		uint64_t now = clock_monotonic_ns();

		timer_start(x->deadline,
		            request->deadline_ns > now ? request->deadline_ns - now : 0, 0);
	}
	*ret = x;
	return 0;
}

struct http_client_exchange *http_client_send(struct http_client *c,
                                              const struct http_client_request *request,
                                              http_client_done done, void *arg)
{
	struct http_client_response response = {.result = HTTP_CLIENT_FAILED};
	struct http_client_exchange *x = NULL;
	struct error error = ERROR_INIT;
	int r = begin(c, request, done, arg, &x, &error);

	if (r == 0)
		return x;
	if (r == -EINVAL)
		response.result = HTTP_CLIENT_REFUSED;
	else if (c->closing)
		response.result = HTTP_CLIENT_CANCELED;
	response.text = error.message;
	done(arg, &response);
	return NULL;
}

void http_client_cancel(struct http_client_exchange *x)
{
	end(x, HTTP_CLIENT_CANCELED, CURLE_OK);
}

/* ---- life */

static void client_free(struct http_client *c)
{
	multi_close(c);
	spare_free(c);
	timer_free(c->timer);
	timer_free(c->idle);
	tls_context_free(c->tls);
	curl_global_cleanup();
	free(c);
}

static void maybe_closed(struct http_client *c)
{
	void (*closed)(void *arg) = c->closed;
	void *arg = c->closed_arg;

	if (!c->closing || c->entered > 0)
		return;
	client_free(c);
	closed(arg);
}

void http_client_enter(struct http_client *c)
{
	c->entered++;
}

void http_client_leave(struct http_client *c)
{
	c->entered--;
	if (c->entered == 0 && !c->closing && list_is_empty(&c->active)) {
		if (c->broken)
			multi_close(c);
		else if (c->config.idle_timeout)
			timer_start(c->idle, c->config.idle_timeout, 0);
	}
	maybe_closed(c);
}

int http_client_new(struct loop *loop, const struct http_client_config *config,
                    const struct logger *log, struct http_client **ret, struct error *error)
{
	struct http_client *c = calloc(1, sizeof *c);
	int r = 0;

	if (!c)
		return error_no_memory(error);
	/* libcurl counts how often it has been set up, under its own lock. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(c);
		return error_no_memory(error);
	}
	c->loop = loop;
	c->config = *config;
	c->log = log;
	if (config->tls)
		c->tls_settings = *config->tls;
	list_init(&c->active);
	list_init(&c->spare);
	c->timer = timer_new(loop, on_timer, c);
	c->idle = timer_new(loop, on_idle, c);
	if (!c->timer || !c->idle)
		r = error_no_memory(error);
	else if (config->tls)
		r = tls_context_new(&c->tls_settings, &c->tls, error);
	if (r < 0) {
		client_free(c);
		return r;
	}
	if (tls_key_is_exposed(&c->tls_settings))
		log_warn(log,
		         "every user of this machine may read tls::key_file %s; take that right "
		         "away (chmod o-r)",
		         c->tls_settings.key_file);
	*ret = c;
	return 0;
}

void http_client_close(struct http_client *c, void (*closed)(void *arg), void *arg)
{
	struct http_client_exchange *x;

	if (!c) {
		closed(arg);
		return;
	}
	c->closing = true;
	c->closed = closed;
	c->closed_arg = arg;
	http_client_enter(c);
	while ((x = LIST_FIRST(&c->active, struct http_client_exchange, link)))
		end(x, HTTP_CLIENT_CANCELED, CURLE_OK);
	http_client_leave(c);
}
