/* Accepts with calls of its own on sockets that libuv only watches: libuv keeps silent about connections
 * that it threw away for want of a descriptor, and turns in circles when it has no reserve left.
 *
 * Fails while it runs: no descriptor is left (what waits is accepted with the reserve and closed, which
 * is counted) · none at all, or no memory in the kernel (accepting rests for a while). */
#include "core/net/tcp_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

enum {
	/* A name with more addresses than this is listened on at the first ones only. */
	LISTEN_ADDRESSES = 8,
	/* Whoever waits there while the loop is busy; the kernel cuts it to net.core.somaxconn. */
	LISTEN_BACKLOG = 4096,
	/* Taken in one go, before those that are there already have their turn. */
	ACCEPTS_AT_ONCE = 64,
	REST_MS = 100,
};

struct tcp_door {
	uv_poll_t poll;
	int fd;
	struct tcp_listener *listener;
};

struct tcp_listener {
	struct tcp_door doors[LISTEN_ADDRESSES];
	unsigned n_doors, handles; /* open ones that keep this memory */
	uv_timer_t rest;
	struct loop *loop;
	void (*on_accept)(void *arg, struct tcp *t);
	void *arg;
	uint16_t port;
	int reserve; /* a descriptor to give away when there is none left; -1: it is not there */
	uint64_t exhausted;
	bool closing;
	struct endpoint endpoint;
	dev_t device; /* of the socket's file that we made */
	ino_t inode;  /* 0: none */
};

static void on_closed(uv_handle_t *handle)
{
	struct tcp_listener *l = handle->data;

	if (--l->handles == 0)
		free(l);
}

static void on_door_closed(uv_handle_t *handle)
{
	struct tcp_door *door = handle->data;

	handle->data = door->listener;
	on_closed(handle);
}

/* Only the file that we made: another process may listen there by now. */
static void remove_path(const struct tcp_listener *l)
{
	struct stat file;

	if (l->inode && lstat(l->endpoint.host, &file) == 0 && file.st_ino == l->inode &&
	    file.st_dev == l->device)
		unlink(l->endpoint.host);
}

void tcp_listener_free(struct tcp_listener *l)
{
	if (!l || l->closing)
		return;
	l->closing = true;
	remove_path(l);
	for (unsigned i = 0; i < l->n_doors; i++) {
		uv_close((uv_handle_t *)&l->doors[i].poll, on_door_closed);
		close(l->doors[i].fd);
	}
	if (l->reserve >= 0)
		close(l->reserve);
	uv_close((uv_handle_t *)&l->rest, on_closed);
}

uint16_t tcp_listener_port(const struct tcp_listener *l)
{
	return l->port;
}

uint64_t tcp_listener_exhausted(const struct tcp_listener *l)
{
	return l->exhausted;
}

static void ignore_data(void *arg, struct slice bytes)
{
	(void)arg, (void)bytes;
}

static void ignore_end(void *arg, const struct error *error)
{
	(void)arg, (void)error;
}

/* What an accepted connection has until its owner calls tcp_serve(). */
static const struct tcp_events no_events = {.on_data = ignore_data, .on_end = ignore_end};

/* Takes over the descriptor, also on failure. */
static int open_socket(struct tcp_listener *l, struct tcp_socket *s, int fd)
{
	bool is_path = l->endpoint.scheme == ENDPOINT_UNIX;
	int r;

	if (is_path)
		uv_pipe_init(loop_uv(l->loop), &s->uv.pipe, 0);
	else
		uv_tcp_init(loop_uv(l->loop), &s->uv.tcp);
	r = is_path ? uv_pipe_open(&s->uv.pipe, fd) : uv_tcp_open(&s->uv.tcp, fd);
	if (r < 0)
		close(fd);
	return r;
}

/* The connection of the descriptor, which it takes over; NULL when there is no memory. */
static struct tcp *serve(struct tcp_listener *l, int fd, const char *peer)
{
	struct tcp *t = tcp_new(l->loop, &no_events, NULL);
	struct tcp_socket *s = t ? tcp_socket_new(sizeof *s, peer) : NULL;

	if (!s) {
		close(fd);
		free(t);
		return NULL;
	}
	if (open_socket(l, s, fd) < 0 || tcp_adopt(t, s) < 0) {
		tcp_socket_drop(s);
		free(t);
		return NULL;
	}
	return t;
}

/* A descriptor, or a negative errno. */
static int take(int fd, struct sockaddr_storage *ret)
{
	socklen_t len = sizeof *ret;
	int r = accept4(fd, (struct sockaddr *)ret, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return r < 0 ? -errno : r;
}

static int reserve_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Accepts one connection with the reserve and closes it. 0, or a negative errno. */
static int turn_away(struct tcp_listener *l, int fd)
{
	struct sockaddr_storage address;
	int r;

	if (l->reserve < 0)
		l->reserve = reserve_open();
	if (l->reserve < 0)
		return -EMFILE;
	close(l->reserve);
	r = take(fd, &address);
	if (r >= 0) {
		close(r);
		l->exhausted++;
	}
	l->reserve = reserve_open();
	return r < 0 ? r : 0;
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *timer)
{
	struct tcp_listener *l = timer->data;

	for (unsigned i = 0; i < l->n_doors; i++)
		uv_poll_start(&l->doors[i].poll, UV_READABLE, on_connection);
}

/* Nothing can be accepted now, and what waits would wake us for ever. */
static void rest(struct tcp_listener *l)
{
	for (unsigned i = 0; i < l->n_doors; i++)
		uv_poll_stop(&l->doors[i].poll);
	uv_timer_start(&l->rest, on_rested, REST_MS, 0);
}

static void accept_one(struct tcp_listener *l, int fd, const struct sockaddr_storage *address)
{
	char peer[sizeof l->endpoint.host + sizeof "unix:"];
	struct tcp *t;

	if (l->endpoint.scheme == ENDPOINT_UNIX)
		snprintf(peer, sizeof peer, "unix:%s", l->endpoint.host);
	else
		tcp_address_format((const struct sockaddr *)address, peer);
	t = serve(l, fd, peer);
	if (t)
		l->on_accept(l->arg, t);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct tcp_door *door = poll->data;
	struct tcp_listener *l = door->listener;
	struct sockaddr_storage address;

	(void)status, (void)events;
	for (unsigned i = 0; i < ACCEPTS_AT_ONCE && !l->closing; i++) {
		int r = take(door->fd, &address);

		if (r >= 0) {
			accept_one(l, r, &address);
			continue;
		}
		if (r == -EMFILE || r == -ENFILE)
			r = turn_away(l, door->fd);
		if (r == -EAGAIN)
			return;
		if (r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM) {
			rest(l);
			return;
		}
		/* else the connection has broken meanwhile, or was turned away: the next */
	}
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
	                                           : ((struct sockaddr_in *)&address)->sin_port);
}

/* Takes over a bound socket, also on failure. */
static int listen_with(struct tcp_listener *l, int fd)
{
	struct tcp_door *door = &l->doors[l->n_doors];
	int r = listen(fd, LISTEN_BACKLOG) < 0 ? -errno : 0;

	if (r == 0)
		r = uv_poll_init(loop_uv(l->loop), &door->poll, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	door->fd = fd;
	door->listener = l;
	door->poll.data = door;
	l->n_doors++;
	l->handles++;
	return uv_poll_start(&door->poll, UV_READABLE, on_connection);
}

static int bind_to(int fd, const struct sockaddr *address, bool v6_only)
{
	int on = 1, only = v6_only;
	socklen_t len = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
	                                               : sizeof(struct sockaddr_in);

	tcp_set_options(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    (address->sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) ||
	    bind(fd, address, len) < 0)
		return -errno;
	return 0;
}

static int listen_on(struct tcp_listener *l, const struct sockaddr *address, bool v6_only)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} copy;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	if (address->sa_family == AF_INET6) {
		copy.v6 = *(const struct sockaddr_in6 *)address;
		copy.v6.sin6_port = htons(l->port);
	} else {
		copy.v4 = *(const struct sockaddr_in *)address;
		copy.v4.sin_port = htons(l->port);
	}
	r = bind_to(fd, &copy.any, v6_only);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = listen_with(l, fd);
	if (r == 0 && l->port == 0)
		l->port = bound_port(fd);
	return r;
}

/* The host does not have this family or address: no reason to fail while another one of the name
 * works. */
static bool is_absent(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

static int listen_error(struct error *error, const struct endpoint *endpoint, int r)
{
	if (r == -EADDRINUSE)
		return error_set(error, r,
		                 "listen on %s: address already in use; stop what listens there or "
		                 "choose another port",
		                 endpoint->text);
	if (r == -EACCES)
		return error_set(error, r,
		                 "listen on %s: permission denied; ports below 1024 need "
		                 "CAP_NET_BIND_SERVICE",
		                 endpoint->text);
	return error_set(error, r, "listen on %s: %s", endpoint->text, uv_strerror(r));
}

static int listen_on_any(struct tcp_listener *l, const struct endpoint *endpoint,
                         struct error *error)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int r = listen_on(l, (const struct sockaddr *)&v6, false);

	if (is_absent(r))
		r = listen_on(l, (const struct sockaddr *)&v4, false);
	return r < 0 ? listen_error(error, endpoint, r) : 0;
}

static int listen_on_name(struct tcp_listener *l, const struct endpoint *endpoint,
                          struct error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	uv_getaddrinfo_t request;
	int absent = 0;
	int r = uv_getaddrinfo(loop_uv(l->loop), &request, NULL, tcp_lookup_name(endpoint->host),
	                       "0", &hints);

	if (r < 0)
		return error_set(error, r, "listen on %s: %s", endpoint->text, uv_strerror(r));
	for (const struct addrinfo *a = request.addrinfo; a && l->n_doors < LISTEN_ADDRESSES;
	     a = a->ai_next) {
		r = listen_on(l, a->ai_addr, true);
		if (is_absent(r))
			absent = r;
		else if (r < 0)
			break;
	}
	uv_freeaddrinfo(request.addrinfo);
	if (r < 0 && !is_absent(r))
		return listen_error(error, endpoint, r);
	return l->n_doors ? 0 : listen_error(error, endpoint, absent ? absent : -EADDRNOTAVAIL);
}

/* Whether the path is a socket on which nobody listens, left behind by a process that was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat file;
	bool refused;
	int fd;

	/* Any other file refuses connections as well. */
	if (lstat(address->sun_path, &file) < 0 || !S_ISSOCK(file.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
	          errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int path_error(struct error *error, const struct endpoint *endpoint, int r)
{
	struct stat file;
	const char *advice = "";

	if (r == -EADDRINUSE && lstat(endpoint->host, &file) == 0 && !S_ISSOCK(file.st_mode))
		advice = "; the file is no socket: remove it or choose another path";
	else if (r == -EADDRINUSE)
		advice = "; stop the process that listens there or choose another path";
	else if (r == -EACCES)
		advice = "; the folder must be writable for the user that runs weir";
	else if (r == -ENOENT)
		advice = "; make the folder of the socket";
	return error_set(error, r, "listen on %s: %s%s", endpoint->text, uv_strerror(r), advice);
}

static int bind_to_path(struct tcp_listener *l, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(l->endpoint.host);
	struct stat file;
	int r;

	if (len >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, l->endpoint.host, len);
	r = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	if (r == -EADDRINUSE && is_stale(&address) && unlink(address.sun_path) == 0)
		r = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	if (r == 0 && lstat(address.sun_path, &file) == 0) {
		l->device = file.st_dev;
		l->inode = file.st_ino;
	}
	return r;
}

static int listen_on_path(struct tcp_listener *l, const struct endpoint *endpoint,
                          struct error *error)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return path_error(error, endpoint, -errno);
	r = bind_to_path(l, fd);
	if (r < 0)
		close(fd);
	else
		r = listen_with(l, fd);
	return r < 0 ? path_error(error, endpoint, r) : 0;
}

int tcp_listen(struct loop *loop, const struct endpoint *endpoint,
               void (*on_accept)(void *arg, struct tcp *t), void *arg, struct tcp_listener **ret,
               struct error *error)
{
	struct tcp_listener *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return error_no_memory(error);
	l->loop = loop;
	l->on_accept = on_accept;
	l->arg = arg;
	l->endpoint = *endpoint;
	l->port = endpoint->port;
	uv_timer_init(loop_uv(loop), &l->rest);
	l->rest.data = l;
	l->handles = 1;
	l->reserve = reserve_open();
	if (l->reserve < 0)
		r = listen_error(error, endpoint, -errno);
	else if (endpoint->scheme == ENDPOINT_UNIX)
		r = listen_on_path(l, endpoint, error);
	else if (endpoint->host[0] == '\0')
		r = listen_on_any(l, endpoint, error);
	else
		r = listen_on_name(l, endpoint, error);
	if (r < 0) {
		tcp_listener_free(l);
		return r;
	}
	*ret = l;
	return 0;
}
