/* What a client may send to the HTTP/2 side: bytes in pieces of a size that the first byte chooses, to a handler that
 * answers early, late or never, resets, and whose transport is slow at times, as the second byte chooses. */
#include "core/base/clock.h"
#include "core/net/h2_server_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { MOST_STREAMS = 16, WINDOW = 100000 };

enum plan {
	AT_THE_HEAD,
	AT_THE_FIRST_DATA,
	AT_THE_END,
	LATER,
	NEVER,
	RESET,
	RESET_AT_DATA,
	RESET_LATER,
	PLANS
};

struct exchange {
	struct h2_server_stream *stream;
	struct exchange *next; /* of all that are open */
	enum plan plan;
	uint64_t body;
	bool over, ended;
};

struct owner {
	struct h2_server *server;
	struct exchange *open;
	uint64_t unfinished;
	unsigned seen, closed, seed;
	bool blocked;
	uint8_t head[9]; /* of the frame that is being written */
	size_t n_head, skip;
};

static const struct http_limits limits = {.header_list = 4096,
                                          .streams = MOST_STREAMS,
                                          .window = WINDOW,
                                          .ping_min_time = NS_PER_S,
                                          .resets = 40,
                                          .resets_rate = 10,
                                          .frames = 100,
                                          .frames_rate = 10};

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* What goes out are whole frames no larger than any peer takes. */
static void read_written(struct owner *o, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (o->skip > 0) {
			size_t n = s.len - i < o->skip ? s.len - i : o->skip;

			o->skip -= n;
			i += n - 1;
			continue;
		}
		o->head[o->n_head++] = s.data[i];
		if (o->n_head == sizeof o->head) {
			o->skip = (size_t)o->head[0] << 16 | (size_t)o->head[1] << 8 | o->head[2];
			o->n_head = 0;
			check(o->skip <= 16384 && o->head[3] <= NGHTTP2_CONTINUATION);
		}
	}
}

static bool on_write(void *arg, const struct slice *pieces, size_t n)
{
	static volatile uint8_t sink;

	check(n > 0);
	for (size_t i = 0; i < n; i++) {
		check(pieces[i].len > 0);
		sink = pieces[i].data[0];
		sink = pieces[i].data[pieces[i].len - 1];
		read_written(arg, pieces[i]);
	}
	(void)sink;
	return true;
}

static size_t on_unsent(void *arg)
{
	return ((struct owner *)arg)->blocked ? 1 : 0;
}

static void leave_account(struct owner *o, struct exchange *x)
{
	if (!x->ended)
		return;
	x->ended = false;
	o->unfinished -= x->body;
	h2_server_set_unfinished(o->server, o->unfinished);
}

static void respond(struct owner *o, struct exchange *x)
{
	static const struct http_header type = {SLICE_LITERAL("content-type"),
	                                        SLICE_LITERAL("application/grpc"), false};
	static const struct http_header trailers[] = {{SLICE_LITERAL("grpc-status"),
	                                               SLICE_LITERAL("0"), false},
	                                              {SLICE_LITERAL("grpc-message"),
	                                               SLICE_LITERAL(""), true}};
	static const size_t sizes[] = {0, 5, 400, 20000, 70000};
	unsigned how = o->seen * 7 + o->seed;
	struct http_response response = {.status = 200,
	                                 .headers = &type,
	                                 .n_headers = how % 2,
	                                 .trailers = trailers,
	                                 .n_trailers = how % 3};
	size_t size = sizes[how % 5];

	if (size > 0 && buffer_reserve(&response.body, size)) {
		memset(response.body.data, 'r', size);
		response.body.len = size;
	}
	leave_account(o, x);
	x->over = true;
	check(h2_server_respond(x->stream, &response, NULL) == 0);
}

static void reset(struct owner *o, struct exchange *x)
{
	leave_account(o, x);
	x->over = true;
	h2_server_reset(x->stream, NGHTTP2_CANCEL);
}

static void on_request(void *arg, struct h2_server_stream *s, const struct http_request *request)
{
	struct owner *o = arg;
	struct exchange *x = calloc(1, sizeof *x);

	check(x && request->method.len > 0 && request->path.len > 0 && request->version_major == 2);
	for (size_t i = 0; i < request->n_headers; i++)
		check(request->headers[i].name.len > 0 && request->headers[i].name.data[0] != ':');
	x->stream = s;
	x->plan = (enum plan)((o->seen + o->seed) % PLANS);
	x->next = o->open;
	o->open = x;
	o->seen++;
	h2_server_stream_set_data(s, x);
	check(h2_server_streams(o->server) <= MOST_STREAMS);
	if (x->plan == AT_THE_HEAD)
		respond(o, x);
	else if (x->plan == RESET)
		reset(o, x);
}

static void on_data(void *arg, struct h2_server_stream *s, struct slice bytes)
{
	struct exchange *x = h2_server_stream_data(s);

	check(!x->over && !x->ended && bytes.len > 0);
	x->body += bytes.len;
	if (x->plan == AT_THE_FIRST_DATA)
		respond(arg, x);
	else if (x->plan == RESET_AT_DATA)
		reset(arg, x);
}

static void on_end(void *arg, struct h2_server_stream *s)
{
	struct exchange *x = h2_server_stream_data(s);
	struct owner *o = arg;

	check(!x->over && !x->ended);
	x->ended = true;
	o->unfinished += x->body;
	h2_server_set_unfinished(o->server, o->unfinished);
	if (x->plan == AT_THE_END)
		respond(o, x);
}

static void forget(struct owner *o, struct exchange *x)
{
	struct exchange **at = &o->open;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	free(x);
}

static void on_closed(void *arg, struct h2_server_stream *s, bool answered)
{
	struct exchange *x = h2_server_stream_data(s);
	struct owner *o = arg;

	check(x && x->stream == s && (!answered || x->over));
	leave_account(o, x);
	o->closed++;
	forget(o, x);
}

static void on_limit(void *arg, enum http_limit l)
{
	check(arg && (int)l < HTTP_LIMIT_COUNT);
}

static const struct h2_server_events events = {.write = on_write,
                                               .unsent = on_unsent,
                                               .on_request = on_request,
                                               .on_data = on_data,
                                               .on_end = on_end,
                                               .on_closed = on_closed,
                                               .on_limit = on_limit};

/* What is done from outside between two pieces. */
static void act_later(struct owner *o)
{
	for (struct exchange *x = o->open; x; x = x->next)
		if (!x->over && x->plan == LATER)
			respond(o, x);
		else if (!x->over && x->plan == RESET_LATER)
			reset(o, x);
}

static void check_credit(const struct owner *o)
{
	const struct h2_server *h = o->server;

	check(h->withheld <= h->unfinished && h->withheld <= WINDOW);
	check(h->unfinished == o->unfinished);
	/* Nothing is unfinished: the peer can go on, whatever it has sent in part. */
	if (!o->blocked && h->unfinished == 0)
		check(nghttp2_session_get_local_window_size(h->s.session) >= WINDOW / 2);
}

static bool feed(struct owner *o, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct error error = ERROR_INIT;
	uint8_t *copy = malloc(len); /* nothing may be kept of what was brought */
	struct slice rest = slice_of(copy, len);
	size_t before;
	int r;

	check(copy);
	memcpy(copy, data, len);
	do {
		before = rest.len;
		r = h2_server_receive(o->server, &rest, now_ns, &error);
		check(r < 0 || rest.len < before || before == 0);
	} while (r == 0 && rest.len > 0);
	free(copy);
	if (r == 0) {
		act_later(o);
		r = h2_server_send(o->server, &error);
	}
	if (r != 0)
		check(r == -EPROTO && error.message[0]);
	else
		check_credit(o);
	check(o->seen - o->closed >= h2_server_streams(o->server));
	return r == 0 && !h2_server_is_finished(o->server);
}

static void serve(struct owner *o, const uint8_t *data, size_t size, size_t step, bool slow)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	uint64_t now_ns = 1000 * NS_PER_S;
	bool going = feed(o, (const uint8_t *)preface, sizeof preface - 1, now_ns);

	for (size_t at = 0, n = 0; going && at < size; at += step, n++) {
		size_t len = size - at < step ? size - at : step;

		o->blocked = slow && n % 4 != 3;
		going = feed(o, data + at, len, now_ns += 10 * NS_PER_MS);
	}
	if (!going)
		return;
	o->blocked = false;
	h2_server_goaway(o->server, NGHTTP2_NO_ERROR, false);
	h2_server_goaway(o->server, NGHTTP2_NO_ERROR, true);
	check(h2_server_send(o->server, NULL) <= 0);
	check(h2_server_stalled(o->server) <= h2_server_streams(o->server));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owner o = {0};

	if (size < 3)
		return 0;
	o.seed = data[1] >> 2;
	if (h2_server_new(&events, &o, &limits, &o.server, NULL) < 0)
		return 0;
	serve(&o, data + 2, size - 2, data[0] ? data[0] : size, data[1] & 1);
	h2_server_free(o.server);
	while (o.open)
		forget(&o, o.open);
	return 0;
}
