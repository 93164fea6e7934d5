/* Happy path: http_server_new -> on_accept -> (exchanges) -> http_server_drain -> drained ->
 * http_server_close -> closed.
 * Fails: no address to listen on · too many connections, no descriptors, no memory (the newest are
 * closed unanswered, those that are served go on). */
#include "core/net/http_internal.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Descriptors that are left for exporters, files and eBPF. */
enum { RESERVED_DESCRIPTORS = 256 };

/* What a strike says after the peer's name. AGE and IDLE are no fault of anybody. */
static const struct {
	enum log_level level;
	const char *sentence;
} strikes[HTTP_LIMIT_COUNT] = {
	[HTTP_LIMIT_CONNECTIONS] = {LOG_WARN, "turned away: as many connections are open as "
                                              "limits::connections and the limit of open files "
                                              "(LimitNOFILE=, ulimit -n) allow"},
	[HTTP_LIMIT_DESCRIPTORS] = {LOG_WARN,
                                    "connections before this one were turned away: no file "
                                    "descriptor was left; raise the limit of open files "
                                    "(LimitNOFILE=, ulimit -n)"},
	[HTTP_LIMIT_HANDSHAKE] = {LOG_INFO, "no TLS session (limits::handshake_time)"},
	[HTTP_LIMIT_HEADER_LIST] = {LOG_WARN, "the headers of a request are longer than "
                                              "limits::header_list"},
	[HTTP_LIMIT_HEADER_TIME] = {LOG_WARN, "the head of a request has not come within "
                                              "limits::header_time"},
	[HTTP_LIMIT_BODY_RATE] = {LOG_WARN, "the body of a request comes slower than "
                                            "limits::body_rate"},
	[HTTP_LIMIT_READ_TIME] = {LOG_WARN, "a request has not come within read_timeout"},
	[HTTP_LIMIT_WRITE_TIME] = {LOG_WARN, "a response has not been taken within "
                                             "limits::write_time"},
	[HTTP_LIMIT_IDLE] = {LOG_DEBUG, "no request for the time that a connection may be idle"},
	[HTTP_LIMIT_KEEPALIVE] = {LOG_INFO, "a keepalive ping was not answered in time"},
	[HTTP_LIMIT_AGE] = {LOG_DEBUG,
                            "has reached max_connection_age and is told to connect anew"},
	[HTTP_LIMIT_STREAMS] = {LOG_WARN, "opens more streams at once than max_concurrent_streams"},
	[HTTP_LIMIT_RESETS] = {LOG_WARN, "has more streams reset than limits::resets and "
                                         "limits::resets_rate allow"},
	[HTTP_LIMIT_CONTINUATIONS] = {LOG_WARN, "sends more CONTINUATION frames than a head needs"},
	[HTTP_LIMIT_SETTINGS] = {LOG_WARN, "sends too many SETTINGS, or does not take ours"},
	[HTTP_LIMIT_PINGS] = {LOG_WARN,
                              "pings more often than keepalive::enforcement_policy allows"},
	[HTTP_LIMIT_FRAMES] = {LOG_WARN,
                               "sends more frames without content than limits::frames and "
                               "limits::frames_rate allow"},
	[HTTP_LIMIT_PROTOCOL] = {LOG_WARN, "what came is not the HTTP that is spoken here"},
};

void http_server_strike(struct http_server *s, enum http_limit l, const char *peer,
                        const char *detail)
{
	s->struck[l]++;
	if (s->log)
		log_write(s->log, &s->sites[l], strikes[l].level, "%s: %s%s%s", peer,
		          strikes[l].sentence, detail ? ": " : "", detail ? detail : "");
}

/* ---- what goes on later */

static void move_all(struct list *from, struct list *to)
{
	while (!list_is_empty(from)) {
		struct list *first = from->next;

		list_remove(first);
		list_push(to, first);
	}
}

/* Who comes back to the list meanwhile has its turn after the loop has looked at all others. */
static void on_turn(uv_idle_t *handle)
{
	struct http_server *s = handle->data;
	struct http_connection *c;
	struct list now;

	uv_idle_stop(handle);
	list_init(&now);
	move_all(&s->later, &now);
	while ((c = LIST_FIRST(&now, struct http_connection, later))) {
		list_remove(&c->later);
		http_connection_enter(c);
		if (c->phase == HTTP_2)
			http_h2_resume(c);
		else if (c->phase == HTTP_1)
			http_h1_resume(c);
		http_connection_leave(c);
	}
}

void http_server_go_on_later(struct http_server *s, struct http_connection *c)
{
	if (!list_is_empty(&c->later) || s->closing)
		return;
	if (list_is_empty(&s->later))
		uv_idle_start(&s->turn, on_turn);
	list_push(&s->later, &c->later);
}

/* ---- the end */

static void maybe_closed(struct http_server *s)
{
	void (*closed)(void *arg) = s->closed;
	void *arg = s->closed_arg;

	if (!s->closing || s->n_allocated > 0 || s->turn_is_open)
		return;
	free(s);
	closed(arg);
}

static void maybe_drained(struct http_server *s)
{
	void (*drained)(void *arg) = s->drained;

	if (!drained || s->n_connections > 0)
		return;
	s->drained = NULL;
	drained(s->drained_arg);
}

void http_server_settle(struct http_server *s)
{
	if (s->closing)
		maybe_closed(s);
	else
		maybe_drained(s);
}

static void stop_listening(struct http_server *s)
{
	if (!s->listener)
		return;
	s->struck[HTTP_LIMIT_DESCRIPTORS] += tcp_listener_exhausted(s->listener) - s->exhausted;
	tcp_listener_free(s->listener);
	s->listener = NULL;
}

/* Each one may take others with it: the list is begun anew after every call. */
static void drain_all(struct http_server *s)
{
	struct http_connection *c;
	struct list waiting;

	list_init(&waiting);
	move_all(&s->connections, &waiting);
	while ((c = LIST_FIRST(&waiting, struct http_connection, link))) {
		list_remove(&c->link);
		list_push(&s->connections, &c->link);
		http_connection_enter(c);
		http_connection_drain(c);
		http_connection_leave(c);
	}
}

void http_server_drain(struct http_server *s, void (*drained)(void *arg), void *arg)
{
	stop_listening(s);
	s->draining = true;
	drain_all(s);
	s->drained = drained;
	s->drained_arg = arg;
	maybe_drained(s);
}

static void on_turn_closed(uv_handle_t *handle)
{
	struct http_server *s = handle->data;

	s->turn_is_open = false;
	maybe_closed(s);
}

void http_server_close(struct http_server *s, void (*closed)(void *arg), void *arg)
{
	struct http_connection *c;

	if (!s) {
		closed(arg);
		return;
	}
	stop_listening(s);
	s->closing = true;
	s->drained = NULL;
	s->closed = closed;
	s->closed_arg = arg;
	while ((c = LIST_FIRST(&s->connections, struct http_connection, link))) {
		http_connection_enter(c);
		http_connection_close(c);
		http_connection_leave(c);
	}
	uv_close((uv_handle_t *)&s->turn, on_turn_closed);
}

/* ---- the beginning */

static void on_accept(void *arg, struct tcp *tcp)
{
	struct http_server *s = arg;
	uint64_t exhausted = tcp_listener_exhausted(s->listener);

	if (exhausted > s->exhausted) {
		http_server_strike(s, HTTP_LIMIT_DESCRIPTORS, tcp_peer(tcp), NULL);
		s->struck[HTTP_LIMIT_DESCRIPTORS] += exhausted - s->exhausted - 1;
		s->exhausted = exhausted;
	}
	if (s->n_connections >= s->max_connections) {
		http_server_strike(s, HTTP_LIMIT_CONNECTIONS, tcp_peer(tcp), NULL);
		tcp_free(tcp, NULL, NULL);
		return;
	}
	s->accepted++;
	http_connection_new(s, tcp);
}

static uint64_t connections_that_fit(uint64_t wanted)
{
	struct rlimit files;
	uint64_t fit;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return wanted;
	fit = files.rlim_cur > 2 * RESERVED_DESCRIPTORS ? files.rlim_cur - RESERVED_DESCRIPTORS
	                                                : files.rlim_cur / 2;
	return wanted < fit ? wanted : fit;
}

int http_server_new(struct loop *loop, const struct http_server_config *config,
                    const struct http_handler *handler, void *arg, const struct logger *log,
                    struct http_server **ret, struct error *error)
{
	struct http_server *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_no_memory(error);
	s->loop = loop;
	s->config = *config;
	s->handler = handler;
	s->arg = arg;
	s->log = log;
	s->max_connections = connections_that_fit(config->limits.connections);
	list_init(&s->connections);
	list_init(&s->later);
	r = tcp_listen(loop, config->endpoint, on_accept, s, &s->listener, error);
	if (r < 0) {
		free(s);
		return r;
	}
	s->config.endpoint = NULL;
	uv_idle_init(loop_uv(loop), &s->turn);
	s->turn.data = s;
	s->turn_is_open = true;
	*ret = s;
	return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->listener ? tcp_listener_port(s->listener) : 0;
}

size_t http_server_connections(const struct http_server *s)
{
	return s->n_connections;
}

uint64_t http_server_accepted(const struct http_server *s)
{
	return s->accepted;
}

uint64_t http_server_struck(const struct http_server *s, enum http_limit l)
{
	uint64_t n = s->struck[l];

	if (l == HTTP_LIMIT_DESCRIPTORS && s->listener)
		n += tcp_listener_exhausted(s->listener) - s->exhausted;
	return n;
}
