#include "core/net/h2_session.h"

#include <errno.h>
#include <stdio.h>

enum {
	FRAME_HEAD_BYTES = 9,
	/* What is gathered before it goes to the transport in one call. */
	GATHER_BYTES = 128 * 1024,
	GATHER_PIECES = 64,
	GATHER_COPIES = 8 * 1024,
	SMALL_PIECE = 256, /* cheaper to copy than to describe */
};

struct h2_gathering {
	size_t n, bytes, copied;
	struct slice pieces[GATHER_PIECES];
	uint8_t copies[GATHER_COPIES];
};

static bool flush(struct h2_session *h)
{
	struct h2_gathering *g = h->gathering;

	if (g->n > 0 && !h->write_failed && !h->write(h->arg, g->pieces, g->n))
		h->write_failed = true;
	g->n = g->bytes = g->copied = 0;
	return !h->write_failed;
}

static void copy(struct h2_session *h, const uint8_t *data, size_t len)
{
	struct h2_gathering *g = h->gathering;
	struct slice *last;
	uint8_t *to;

	if (len > GATHER_COPIES - g->copied || g->n == GATHER_PIECES)
		flush(h);
	to = g->copies + g->copied;
	last = g->n > 0 ? &g->pieces[g->n - 1] : NULL;
	memcpy(to, data, len);
	g->copied += len;
	g->bytes += len;
	if (last && last->data + last->len == to)
		last->len += len;
	else
		g->pieces[g->n++] = slice_of(to, len);
}

static void refer(struct h2_session *h, const uint8_t *data, size_t len)
{
	struct h2_gathering *g = h->gathering;

	if (g->n == GATHER_PIECES)
		flush(h);
	g->pieces[g->n++] = slice_of(data, len);
	g->bytes += len;
}

/* A frame that nghttp2 has made; its bytes are nghttp2's until it is called again. */
static void add_frame(struct h2_session *h, const uint8_t *data, size_t len)
{
	if (len <= GATHER_COPIES) {
		copy(h, data, len);
		return;
	}
	refer(h, data, len);
	flush(h);
}

void h2_session_data_begin(struct h2_session *h, const uint8_t *head)
{
	copy(h, head, FRAME_HEAD_BYTES);
}

void h2_session_data(struct h2_session *h, struct slice bytes)
{
	if (bytes.len > SMALL_PIECE)
		refer(h, bytes.data, bytes.len);
	else if (bytes.len > 0) /* an empty piece may be at no address at all */
		copy(h, bytes.data, bytes.len);
}

int h2_session_data_end(struct h2_session *h)
{
	if (h->gathering->bytes < GATHER_BYTES)
		return 0;
	if (!flush(h))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	h->paused = h->unsent(h->arg) > 0;
	return h->paused ? NGHTTP2_ERR_PAUSE : 0;
}

int h2_session_send(struct h2_session *h, bool at_all_costs)
{
	struct h2_gathering gathering;
	const uint8_t *data;
	ssize_t n = 0;

	gathering.n = gathering.bytes = gathering.copied = 0;
	h->gathering = &gathering;
	h->inside = true;
	while (!h->write_failed && (at_all_costs || h->unsent(h->arg) == 0)) {
		h->paused = false;
		n = nghttp2_session_mem_send(h->session, &data);
		if (n > 0)
			add_frame(h, data, (size_t)n);
		else if (n < 0 || !h->paused)
			break;
	}
	flush(h);
	h->inside = false;
	h->gathering = NULL;
	if (h->write_failed)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return n < 0 ? (int)n : 0;
}

int h2_session_failed(const struct h2_session *h, int code, struct error *error)
{
	if (h->write_failed)
		return error_set_retryable(error, -EPIPE, "the connection broke");
	if (code == NGHTTP2_ERR_NOMEM)
		return error_no_memory(error);
	return error_set_retryable(error, -EPROTO, "HTTP/2: %s",
	                           h->reason[0] ? h->reason : nghttp2_strerror(code));
}

bool h2_session_is_finished(const struct h2_session *h)
{
	return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

int h2_session_on_complaint(nghttp2_session *session, int code, const char *text, size_t len,
                            void *arg)
{
	struct h2_session *h = arg;

	(void)session, (void)code;
	snprintf(h->reason, sizeof h->reason, "%.*s", len < 1000 ? (int)len : 1000, text);
	return 0;
}

int h2_session_options(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	int r = nghttp2_session_callbacks_new(&callbacks);

	if (r != 0)
		return r;
	r = nghttp2_option_new(&options);
	if (r != 0) {
		nghttp2_session_callbacks_del(callbacks);
		return r;
	}
	nghttp2_option_set_max_continuations(options, H2_MAX_CONTINUATIONS);
	nghttp2_option_set_max_settings(options, H2_MAX_SETTINGS);
	nghttp2_option_set_max_outbound_ack(options, H2_MAX_UNSENT_ANSWERS);
	nghttp2_session_callbacks_set_error_callback2(callbacks, h2_session_on_complaint);
	*ret_callbacks = callbacks;
	*ret_options = options;
	return 0;
}

nghttp2_nv h2_field(const struct http_header *header)
{
	return (nghttp2_nv){
		.name = (uint8_t *)header->name.data,
		.namelen = header->name.len,
		.value = (uint8_t *)header->value.data,
		.valuelen = header->value.len,
		.flags = header->secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
	};
}
