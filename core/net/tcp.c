#include "core/net/tcp.h"
#include "core/net/tcp_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	READ_BYTES = 256 * 1024,
	READS_AT_ONCE = 1,
	WRITE_PIECES = 64, /* of one system call */
	KEEP_OUTPUT =
		128 * 1024 /* an output buffer that grew beyond is given back when it is empty */
};
/* A peer that is gone without a word (its machine died, a firewall forgot the connection) is
 * noticed after these, also when nobody waits for an answer. */
enum {
	KEEPALIVE_AFTER_S = 15,
	KEEPALIVE_EVERY_S = 1,
	KEEPALIVE_PROBES = 10,
	UNACKNOWLEDGED_MS = 20000
};

const char *tcp_lookup_name(const char *host)
{
	return host[0] && strcasecmp(host, "localhost") != 0 ? host : NULL;
}

void tcp_address_format(const struct sockaddr *address, char ret[TCP_ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "";

	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(ret, TCP_ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(ret, TCP_ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
	} else {
		snprintf(ret, TCP_ADDRESS_TEXT, "unknown address");
	}
}

void tcp_set_options(int fd)
{
	int on = 1, after = KEEPALIVE_AFTER_S, every = KEEPALIVE_EVERY_S, probes = KEEPALIVE_PROBES;
	unsigned unacknowledged = UNACKNOWLEDGED_MS;

	/* Each of these only improves things; a kernel that refuses one still connects. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
}

struct tcp *tcp_new(struct loop *loop, const struct tcp_events *events, void *arg)
{
	struct tcp *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->loop = loop;
	t->events = events;
	t->arg = arg;
	t->read_size = READ_BYTES;
	return t;
}

struct tcp_socket *tcp_socket_new(size_t size, const char *address)
{
	size_t len = strlen(address) + 1;
	struct tcp_socket *s = calloc(1, size + len);

	if (s)
		s->address = memcpy((char *)s + size, address, len);
	return s;
}

static void on_dropped(uv_handle_t *handle)
{
	free(handle->data);
}

void tcp_socket_drop(struct tcp_socket *s)
{
	s->uv.handle.data = s;
	uv_close(&s->uv.handle, on_dropped);
}

/* The loop's only read buffer: what was read is consumed before the next read, so that no connection
 * needs one of its own. Hangs on libuv's loop while there are connections. */
struct tcp_reader {
	unsigned users;
	char bytes[READ_BYTES];
};

static struct tcp_reader *reader_ref(uv_loop_t *loop)
{
	struct tcp_reader *r = loop->data;

	if (!r) {
		loop->data = r = malloc(sizeof *r);
		if (!r)
			return NULL;
		r->users = 0;
	}
	r->users++;
	return r;
}

static void reader_unref(uv_loop_t *loop)
{
	struct tcp_reader *r = loop->data;

	if (--r->users > 0)
		return;
	loop->data = NULL;
	free(r);
}

void tcp_end(struct tcp *t, const struct error *error)
{
	if (t->ended || t->closing)
		return;
	t->ended = true;
	if (t->socket)
		uv_read_stop(&t->socket->uv.stream);
	t->events->on_end(t->arg, error);
}

static void end_broken(struct tcp *t, int r)
{
	struct error error = ERROR_INIT;

	error_set_retryable(&error, r, "connection to %s: %s", tcp_peer(t), uv_strerror(r));
	tcp_end(t, &error);
}

/* No buffer ends the turn of a connection that always has more: libuv comes back to it after the
 * others. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct tcp *t = handle->data;
	bool over = t->reads++ == READS_AT_ONCE;

	(void)suggested;
	buf->base = t->reader->bytes;
	buf->len = over ? 0 : t->read_size;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct tcp *t = stream->data;

	if (n < (ssize_t)buf->len || n <= 0)
		t->reads = 0;
	if (n > 0 && !t->deaf)
		t->events->on_data(t->arg, slice_of(buf->base, (size_t)n));
	else if (n == UV_EOF)
		tcp_end(t, NULL);
	else if (n < 0 && n != UV_ENOBUFS)
		end_broken(t, (int)n);
}

static void start_reading(struct tcp *t)
{
	/* cannot fail on an open stream that is read by nobody else */
	uv_read_start(&t->socket->uv.stream, on_alloc, on_read);
}

struct loop *tcp_loop(const struct tcp *t)
{
	return t->loop;
}

int tcp_adopt(struct tcp *t, struct tcp_socket *s)
{
	int r;

	t->reader = reader_ref(loop_uv(t->loop));
	if (!t->reader)
		return -ENOMEM;
	s->uv.handle.data = t;
	r = uv_read_start(&s->uv.stream, on_alloc, on_read);
	if (r < 0) {
		reader_unref(loop_uv(t->loop));
		return r;
	}
	t->socket = s;
	return 0;
}

void tcp_serve(struct tcp *t, const struct tcp_events *events, void *arg)
{
	t->events = events;
	t->arg = arg;
}

void tcp_pause(struct tcp *t, bool paused)
{
	if (t->ended || t->closing || !t->socket)
		return;
	t->reads = 0;
	t->paused = paused;
	if (!paused)
		start_reading(t);
	else if (t->mute)
		t->deaf = true;
	else
		uv_read_stop(&t->socket->uv.stream);
}

void tcp_set_read_size(struct tcp *t, size_t bytes)
{
	t->read_size = bytes > 0 && bytes < READ_BYTES ? (uint32_t)bytes : READ_BYTES;
}

const char *tcp_peer(const struct tcp *t)
{
	return t->socket ? t->socket->address : "";
}

size_t tcp_unsent(const struct tcp *t)
{
	if (t->mute) /* nothing goes any more, and after the end nothing is waited for */
		return t->ended ? 0 : 1;
	return t->waiting.len + t->being_written.len;
}

static void empty_output(struct buffer *b)
{
	if (b->capacity > KEEP_OUTPUT)
		buffer_fini(b);
	buffer_clear(b);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	(void)request, (void)status; /* the peer's end, or the caller's patience, closes */
}

static void start_shutdown(struct tcp *t)
{
	uv_shutdown(&t->request.shutdown, &t->socket->uv.stream, on_shutdown);
}

/* The peer takes no more. What it said last may still be unread and is the better reason (an alert of TLS, a
 * GOAWAY): reading goes on to its end, which is near, and tells it. Who has paused does not want to know, but has to be
 * told of the end. */
static void stop_writing(struct tcp *t)
{
	t->mute = true;
	buffer_fini(&t->waiting);
	if (t->paused && !t->deaf) {
		t->deaf = true;
		start_reading(t);
	}
}

static int start_write(struct tcp *t);

static void on_written(uv_write_t *request, int status)
{
	struct tcp *t = request->data;

	t->writing = false;
	empty_output(&t->being_written);
	if (t->closing)
		return;
	if (status == 0 && t->waiting.len > 0)
		status = start_write(t);
	if (status < 0)
		stop_writing(t);
	else if (t->writing)
		return;
	else if (t->finish)
		start_shutdown(t);
	else if (t->events->on_drained)
		t->events->on_drained(t->arg);
}

static int start_write(struct tcp *t)
{
	struct buffer empty = t->being_written;
	uv_buf_t buf;
	int r;

	t->being_written = t->waiting;
	t->waiting = empty;
	buf = uv_buf_init((char *)t->being_written.data, (unsigned)t->being_written.len);
	t->request.write.data = t;
	r = uv_write(&t->request.write, &t->socket->uv.stream, &buf, 1, on_written);
	t->writing = r == 0;
	return r;
}

/* Hands as much as the socket takes to it. *pieces and *n move on; *offset is into the first. */
static int write_now(struct tcp *t, const struct slice **pieces, size_t *n, size_t *offset)
{
	while (*n > 0) {
		uv_buf_t bufs[WRITE_PIECES];
		unsigned count = 0;
		int r;

		for (; count < *n && count < WRITE_PIECES; count++)
			bufs[count] = uv_buf_init((char *)(*pieces)[count].data,
			                          (unsigned)(*pieces)[count].len);
		bufs[0].base += *offset;
		bufs[0].len -= *offset;
		r = uv_try_write(&t->socket->uv.stream, bufs, count);
		if (r == UV_EAGAIN)
			return 0;
		if (r < 0)
			return r;
		for (*offset += (size_t)r; *n > 0 && *offset >= (*pieces)->len; (*pieces)++, (*n)--)
			*offset -= (*pieces)->len;
	}
	return 0;
}

bool tcp_write(struct tcp *t, const struct slice *pieces, size_t n)
{
	size_t offset = 0;
	int r = 0;

	if (t->ended || t->closing || !t->socket || t->finish)
		return false;
	if (t->mute)
		return true;
	if (tcp_unsent(t) == 0)
		r = write_now(t, &pieces, &n, &offset);
	if (r == 0 && n > 0) {
		for (; n > 0; pieces++, n--, offset = 0)
			buffer_append(&t->waiting, pieces->data + offset, pieces->len - offset);
		if (!t->waiting.failed && !t->writing && t->waiting.len > 0)
			r = start_write(t);
	}
	if (t->waiting.failed)
		return false;
	if (r < 0)
		stop_writing(t);
	return true;
}

void tcp_finish(struct tcp *t)
{
	if (t->finish || t->ended || t->closing || !t->socket)
		return;
	t->finish = true;
	if (!t->writing)
		start_shutdown(t);
}

void tcp_release(struct tcp *t)
{
	void (*freed)(void *arg) = t->freed;
	void *arg = t->freed_arg;

	buffer_fini(&t->waiting);
	buffer_fini(&t->being_written);
	free(t);
	if (freed)
		freed(arg);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct tcp *t = handle->data;

	reader_unref(handle->loop);
	free(t->socket);
	tcp_release(t);
}

void tcp_free(struct tcp *t, void (*freed)(void *arg), void *arg)
{
	if (!t) {
		if (freed)
			freed(arg);
		return;
	}
	t->closing = true;
	t->freed = freed;
	t->freed_arg = arg;
	if (t->socket)
		uv_close(&t->socket->uv.handle, on_socket_closed);
	else
		tcp_connect_cancel(t);
}
