/* h2_sink: the least that a gRPC server on nghttp2 can do: it receives, counts and answers OK.
 *
 * The measure for tests/bench/gateway.py: what the same bytes cost a process that does nothing with
 * them; and the backend behind weir. One thread, epoll, nghttp2's defaults but for large windows.
 *
 *     h2_sink PORT        prints "ready", and at the end of its standard input what it has counted:
 *                         {"requests": 12, "messages": 12, "bytes": 5016000, "compressed": 0}
 *
 * bytes are those of the messages, without the five bytes before each. */
#include "core/wire/grpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, EVENTS = 256, WINDOW = 64 * 1024 * 1024 };

static struct {
	unsigned long requests, messages, bytes, compressed;
} counted;

struct call {
	struct grpc_reader reader;
	bool answered;
};

struct connection {
	int fd;
	nghttp2_session *session;
	bool wants_write;
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct call *c = calloc(1, sizeof *c);

	(void)arg;
	must(c, "h2_sink");
	grpc_reader_init(&c->reader, 0);
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, c);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *arg)
{
	struct call *c = nghttp2_session_get_stream_user_data(session, id);
	struct slice bytes = slice_of(data, len), part;

	(void)flags, (void)arg;
	for (;;)
		switch (grpc_reader_next(&c->reader, &bytes, &part)) {
		case GRPC_BEGIN:
			counted.compressed += c->reader.compressed;
			break;
		case GRPC_PART:
			counted.bytes += part.len;
			break;
		case GRPC_END:
			counted.messages++;
			break;
		default:
			return 0;
		}
}

static ssize_t on_read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	static const nghttp2_nv trailer = {(uint8_t *)"grpc-status", (uint8_t *)"0", 11, 1, 0};

	(void)length, (void)source, (void)arg;
	grpc_prefix_write(buf, false, 0);
	*flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	nghttp2_submit_trailer(session, id, &trailer, 1);
	return GRPC_PREFIX_BYTES;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	static const nghttp2_nv head[] = {{(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0},
	                                  {(uint8_t *)"content-type", (uint8_t *)"application/grpc",
	                                   12, 16, 0}};
	nghttp2_data_provider body = {.read_callback = on_read_body};
	struct call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)arg;
	if (!c || c->answered || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	c->answered = true;
	counted.requests++;
	nghttp2_submit_response(session, frame->hd.stream_id, head, 2, &body);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	(void)code, (void)arg;
	free(nghttp2_session_get_stream_user_data(session, id));
	return 0;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags,
                       void *arg)
{
	struct connection *c = arg;
	ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

	(void)session, (void)flags;
	if (n < 0)
		return errno == EAGAIN ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
	return n;
}

static void accept_one(int listener, int epoll)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
	struct connection *c = calloc(1, sizeof *c);
	nghttp2_session_callbacks *callbacks;
	int on = 1;

	must(c, "h2_sink");
	c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	must(c->fd >= 0 && nghttp2_session_callbacks_new(&callbacks) == 0, "accept");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
	must(nghttp2_session_server_new(&c->session, callbacks, c) == 0, "nghttp2");
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 1);
	nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
	nghttp2_session_send(c->session);
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd,
	               &(struct epoll_event){.events = EPOLLIN, .data.ptr = c}) == 0,
	     "epoll_ctl");
}

static void drop(struct connection *c)
{
	nghttp2_session_del(c->session);
	close(c->fd);
	free(c);
}

static void serve(struct connection *c, int epoll)
{
	static uint8_t bytes[READ_BYTES];
	ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN) ||
	    (n > 0 && nghttp2_session_mem_recv(c->session, bytes, (size_t)n) < 0) ||
	    nghttp2_session_send(c->session) < 0) {
		drop(c);
		return;
	}
	if (c->wants_write != !!nghttp2_session_want_write(c->session)) {
		c->wants_write = !c->wants_write;
		epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd,
		          &(struct epoll_event){.events = c->wants_write ? EPOLLIN | EPOLLOUT
		                                                         : EPOLLIN,
		                                .data.ptr = c});
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;
	struct epoll_event events[EVENTS];

	must(argc == 2 && listener >= 0 && epoll >= 0, "usage: h2_sink PORT");
	address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
	             listen(listener, 1024) == 0,
	     "listen");
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener,
	          &(struct epoll_event){.events = EPOLLIN, .data.ptr = &listener});
	epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO,
	          &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL) {
				printf("{\"requests\": %lu, \"messages\": %lu, \"bytes\": %lu, "
				       "\"compressed\": %lu}\n",
				       counted.requests, counted.messages, counted.bytes,
				       counted.compressed);
				return 0;
			}
			if (events[i].data.ptr == &listener)
				accept_one(listener, epoll);
			else
				serve(events[i].data.ptr, epoll);
		}
	}
}
