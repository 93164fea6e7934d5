#include "core/net/h1.h"

#include <http_parser.h>
#include <stdlib.h>

struct h1 {
	http_parser parser;
	char target[H1_HEAD_LIMIT];
	size_t target_len;
	size_t head_bytes; /* of this request so far */
	bool complete, keep_alive;
	int error_status;
};

static int on_message_begin(http_parser *parser)
{
	struct h1 *h = parser->data;

	h->target_len = 0;
	h->complete = false;
	return 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct h1 *h = parser->data;

	if (len > sizeof h->target - h->target_len) {
		h->error_status = 431;
		return -1;
	}
	memcpy(h->target + h->target_len, at, len);
	h->target_len += len;
	return 0;
}

static int on_headers_complete(http_parser *parser)
{
	struct h1 *h = parser->data;
	bool has_length = (parser->flags & F_CONTENTLENGTH) && parser->content_length > 0;

	if (has_length || (parser->flags & F_CHUNKED) || parser->upgrade) {
		bool takes_none = parser->method == HTTP_GET || parser->method == HTTP_HEAD;

		h->error_status = parser->upgrade ? 400 : takes_none ? 413 : 405;
		return -1;
	}
	return 0;
}

static int on_message_complete(http_parser *parser)
{
	struct h1 *h = parser->data;

	h->complete = true;
	h->keep_alive = http_should_keep_alive(parser) != 0;
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

struct h1 *h1_new(void)
{
	struct h1 *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = h;
	return h;
}

void h1_free(struct h1 *h)
{
	free(h);
}

enum h1_event h1_feed(struct h1 *h, struct slice *bytes)
{
	size_t limit = H1_HEAD_LIMIT - h->head_bytes;
	size_t offered = bytes->len < limit ? bytes->len : limit;
	size_t used;

	if (h->error_status)
		return H1_ERROR;
	if (bytes->len == 0) /* to the parser it would be the end of the connection */
		return H1_MORE;
	h->complete = false;
	http_parser_pause(&h->parser, 0);
	used = http_parser_execute(&h->parser, &settings, (const char *)bytes->data, offered);
	bytes->data += used;
	bytes->len -= used;
	if (h->complete && HTTP_PARSER_ERRNO(&h->parser) == HPE_PAUSED) {
		h->head_bytes = 0;
		return H1_REQUEST;
	}
	h->head_bytes += used;
	if (HTTP_PARSER_ERRNO(&h->parser) != HPE_OK) {
		if (!h->error_status)
			h->error_status = 400;
		return H1_ERROR;
	}
	if (h->head_bytes == H1_HEAD_LIMIT) {
		h->error_status = 431;
		return H1_ERROR;
	}
	return H1_MORE;
}

struct h1_request h1_request(const struct h1 *h)
{
	struct slice target = slice_of(h->target, h->target_len);
	const uint8_t *mark = memchr(target.data, '?', target.len);
	struct h1_request r = {
		.method = slice_from_string(http_method_str((enum http_method)h->parser.method)),
		.path = target,
		.query = slice_of(h->target + h->target_len, 0),
		.keep_alive = h->keep_alive,
	};

	if (mark) {
		r.path.len = (size_t)(mark - target.data);
		r.query = slice_of(mark + 1, target.len - r.path.len - 1);
	}
	return r;
}

int h1_error_status(const struct h1 *h)
{
	return h->error_status;
}

const char *h1_reason(int status)
{
	return http_status_str((enum http_status)status);
}

void h1_write_head(struct buffer *out, int status, const char *content_type, size_t length,
                   bool keep_alive)
{
	buffer_printf(out, "HTTP/1.1 %d %s\r\n", status, h1_reason(status));
	if (status == 405)
		buffer_append_string(out, "Allow: GET, HEAD\r\n");
	if (content_type)
		buffer_printf(out, "Content-Type: %s\r\n", content_type);
	buffer_printf(out, "Content-Length: %zu\r\n", length);
	buffer_append_string(out, keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}
