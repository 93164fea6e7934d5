/* The head is http-parser's; the body's framing is read here, because the library as distributions
 * build it does not insist on the line ends between chunks. For the same reason the head's bytes are
 * looked at once more before they are believed (head_is_clean). */
#include "core/net/h1.h"

#include "core/net/http_fields.h"

#include <http_parser.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
	/* The library's own limit for a head is 80 KiB, and shared by the whole process. */
	HEAD_LIMIT = 64 * 1024,
	LENGTH_DIGITS = 18, /* what 64 bits hold, of a Content-Length */
	CHUNK_DIGITS = 15,  /* and of a chunk's size in hexadecimal */
};

enum state {
	BETWEEN, /* line ends before a request line are skipped */
	HEAD,
	HEAD_LF, /* the last byte of the head */
	BODY,    /* left bytes of it */
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK, /* left bytes of it */
	CHUNK_CR,
	CHUNK_LF,
	TRAILER, /* at the beginning of a line */
	TRAILER_LINE,
	TRAILER_LINE_LF,
	TRAILER_LF, /* the last byte of all */
	FAILED,
};

struct h1 {
	http_parser parser; /* of the head that is coming */
	struct http_fields fields;
	struct http_request *request; /* with its fields behind it; from the end of the head on */
	size_t head_limit;
	size_t head_bytes; /* of the head; then of chunk extensions and trailers */
	uint64_t left;     /* bytes of the body or chunk */
	int error_status;
	enum state state;
	uint8_t last;       /* byte of the head */
	uint8_t digits;     /* of the chunk's size so far */
	bool in_first_line; /* of the head */
	bool in_value;      /* of a field; a name begins a new one */
	bool chunked, keep_alive, expects_continue, old /* HTTP/1.0 */;
};

static enum h1_event fail(struct h1 *h, int status)
{
	h->state = FAILED;
	h->error_status = status;
	h1_forget(h);
	http_fields_fini(&h->fields);
	return H1_ERROR;
}

/* ---- the head, as it comes */

static bool is_alphanumeric(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_one_of(uint8_t c, const char *others)
{
	return is_alphanumeric(c) || (c != 0 && strchr(others, c));
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct h1 *h = parser->data;

	for (size_t i = 0; i < len; i++)
		if ((uint8_t)at[i] <= ' ' || (uint8_t)at[i] >= 0x7f)
			return -1;
	http_fields_add_value(&h->fields, slice_of(at, len));
	return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
	struct h1 *h = parser->data;

	for (size_t i = 0; i < len; i++)
		if (!is_one_of((uint8_t)at[i], "!#$%&'*+-.^_`|~"))
			return -1;
	if (h->in_value)
		http_fields_begin(&h->fields);
	h->in_value = false;
	http_fields_add_name(&h->fields, slice_of(at, len));
	return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
	struct h1 *h = parser->data;

	h->in_value = true;
	http_fields_add_value(&h->fields, slice_of(at, len));
	return 0;
}

static int on_headers_complete(http_parser *parser)
{
	struct h1 *h = parser->data;

	h->state = HEAD_LF;
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings head_settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
};

/* Line ends of one kind, no folded lines, no control characters, single spaces in the request line. */
static bool head_is_clean(struct h1 *h, const uint8_t *bytes, size_t n)
{
	uint8_t last = h->last;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = bytes[i];

		if ((c == '\n') != (last == '\r'))
			return false;
		if (c == 0x7f || (c < ' ' && c != '\r' && c != '\n' && c != '\t'))
			return false;
		if ((c == ' ' || c == '\t') && last == '\n')
			return false;
		if (h->in_first_line && (c == '\t' || (c == ' ' && last == ' ')))
			return false;
		if (c == '\n')
			h->in_first_line = false;
		last = c;
	}
	h->last = last;
	return true;
}

/* Takes n bytes that belong to a head or trailer: 0, or the status that refuses them. */
static int take_head_bytes(struct h1 *h, struct slice *bytes, size_t n)
{
	if (!head_is_clean(h, bytes->data, n))
		return 400;
	bytes->data += n;
	bytes->len -= n;
	h->head_bytes += n;
	return h->head_bytes > h->head_limit ? 431 : 0;
}

static int skip_line_ends(struct h1 *h, struct slice *bytes)
{
	int status = 0;

	while (status == 0 && bytes->len > 0 && (bytes->data[0] == '\r' || bytes->data[0] == '\n'))
		status = take_head_bytes(h, bytes, 1);
	return status;
}

static void begin_head(struct h1 *h)
{
	h1_forget(h);
	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = h;
	h->in_first_line = h->in_value = true;
	http_fields_begin(&h->fields); /* its value is the target */
	h->state = HEAD;
}

static int read_head(struct h1 *h, struct slice *bytes)
{
	size_t room = h->head_limit - h->head_bytes + 1;
	size_t offered = bytes->len < room ? bytes->len : room;
	size_t used =
		http_parser_execute(&h->parser, &head_settings, (const char *)bytes->data, offered);
	enum http_errno error = HTTP_PARSER_ERRNO(&h->parser);
	bool unknown_method =
		error == HPE_INVALID_METHOD && used < offered && is_alphanumeric(bytes->data[used]);
	int status = take_head_bytes(h, bytes, used);

	/* The limit comes last: it is the only one for which the cut of the bytes could matter. */
	if (status == 400 || error == HPE_OK || error == HPE_PAUSED)
		return status;
	return unknown_method ? 501 : 400;
}

/* ---- the head, complete */

static struct slice only_value(const struct http_request *r, const char *name, size_t *ret_count)
{
	struct slice wanted = slice_from_string(name), value = {0};

	*ret_count = 0;
	for (size_t i = 0; i < r->n_headers; i++)
		if (slice_equal(r->headers[i].name, wanted)) {
			value = r->headers[i].value;
			++*ret_count;
		}
	return value;
}

static bool equals_ignoring_case(struct slice s, struct slice lower)
{
	if (s.len != lower.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != lower.data[i])
			return false;
	}
	return true;
}

static bool is_authority(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_one_of(s.data[i], "-._~%!$&'()*+;=:[]"))
			return false;
	return true;
}

/* "http://host/path?query", as proxies are asked. Takes scheme and authority off the target. */
static bool read_absolute_form(struct http_request *r, struct slice *target)
{
	static const struct slice schemes[] = {SLICE_LITERAL("http://"), SLICE_LITERAL("https://")};

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t at = schemes[i].len;

		if (target->len < at ||
		    !equals_ignoring_case(slice_of(target->data, at), schemes[i]))
			continue;
		while (at < target->len && target->data[at] != '/' && target->data[at] != '?')
			at++;
		r->authority = slice_of(target->data + schemes[i].len, at - schemes[i].len);
		*target = slice_of(target->data + at, target->len - at);
		return r->authority.len > 0;
	}
	return true;
}

static bool read_target(struct http_request *r, struct slice target)
{
	const uint8_t *mark;

	if (!read_absolute_form(r, &target))
		return false;
	mark = target.len ? memchr(target.data, '?', target.len) : NULL;
	r->path = target;
	if (mark) {
		r->path.len = (size_t)(mark - target.data);
		r->query = slice_of(mark + 1, target.len - r->path.len - 1);
	}
	if (!r->path.len && r->authority.len)
		r->path = SLICE_LITERAL("/");
	return r->path.len && (r->path.data[0] == '/' || slice_equal(target, SLICE_LITERAL("*")));
}

static int check_host(struct h1 *h)
{
	struct http_request *r = h->request;
	size_t n;
	struct slice host = only_value(r, "host", &n);

	if (n > 1 || (n == 0 && !h->old) || !is_authority(host) || !is_authority(r->authority))
		return 400;
	if (!r->authority.len) /* that of the target is the one that counts (RFC 9112, 3.2.2) */
		r->authority = host;
	return 0;
}

static int check_length(struct h1 *h)
{
	struct http_request *r = h->request;
	size_t n_codings, n_lengths;
	struct slice coding = only_value(r, "transfer-encoding", &n_codings);
	struct slice length = only_value(r, "content-length", &n_lengths);

	h->chunked = n_codings > 0;
	r->has_length = !h->chunked;
	if (h->chunked)
		return n_codings == 1 && n_lengths == 0 && !h->old &&
		                       equals_ignoring_case(coding, SLICE_LITERAL("chunked"))
		               ? 0
		               : 400;
	if (n_lengths == 0)
		return 0;
	if (n_lengths > 1 || length.len == 0 || length.len > LENGTH_DIGITS)
		return 400;
	for (size_t i = 0; i < length.len; i++) {
		if (length.data[i] < '0' || length.data[i] > '9')
			return 400;
		r->length = r->length * 10 + (length.data[i] - '0');
	}
	return 0;
}

static int check_expectation(struct h1 *h)
{
	size_t n;
	struct slice expectation = only_value(h->request, "expect", &n);

	h->expects_continue = false;
	if (n == 0 || h->old)
		return 0;
	if (n > 1 || !equals_ignoring_case(expectation, SLICE_LITERAL("100-continue")))
		return 417;
	h->expects_continue = h->chunked || h->request->length > 0;
	return 0;
}

/* 0, or the status of the answer. */
static int check_head(struct h1 *h)
{
	const http_parser *p = &h->parser;
	size_t n = h->fields.n;
	struct http_header *headers;
	struct http_request *r;
	int status;

	if (p->http_major != 1 || p->http_minor > 1)
		return 505;
	if (p->method == HTTP_CONNECT)
		return 501;
	r = h->request = http_fields_pack(&h->fields, sizeof *r, &headers);
	http_fields_fini(&h->fields);
	if (!r)
		return 503;
	h->old = p->http_minor == 0;
	h->keep_alive = http_should_keep_alive(p) != 0;
	r->version_major = 1;
	r->method = slice_from_string(http_method_str((enum http_method)p->method));
	r->headers = headers + 1;
	r->n_headers = n - 1;
	if (!read_target(r, headers[0].value))
		return 400;
	status = check_host(h);
	if (status == 0)
		status = check_length(h);
	return status ? status : check_expectation(h);
}

static enum h1_event finish_head(struct h1 *h)
{
	int status = check_head(h);

	if (status)
		return fail(h, status);
	h->head_bytes = 0;
	h->left = h->request->length;
	h->digits = 0;
	h->state = h->chunked ? CHUNK_SIZE : BODY;
	return H1_HEAD;
}

/* ---- the body */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a chunk's size line. */
static bool read_size(struct h1 *h, uint8_t c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		h->left = h->left * 16 + (unsigned)digit;
		return ++h->digits <= CHUNK_DIGITS;
	}
	if (c == '\r')
		h->state = CHUNK_SIZE_LF;
	else if (c == ';' || c == ' ' || c == '\t')
		h->state = CHUNK_EXTENSION;
	else
		return false;
	return h->digits > 0;
}

static bool read_literal(struct h1 *h, uint8_t c, uint8_t expected, enum state next)
{
	h->state = next;
	return c == expected;
}

/* Extensions and trailers are read and forgotten, up to the limit of a head. */
static bool read_ignored(struct h1 *h, uint8_t c, enum state next)
{
	h->head_bytes++;
	if (c == '\r')
		h->state = next;
	return c == '\r' || c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool read_trailer(struct h1 *h, uint8_t c)
{
	h->state = TRAILER_LINE;
	return c != ' ' && c != '\t' && c != ':' && read_ignored(h, c, TRAILER_LF);
}

/* One byte of what stands between the bytes of a chunked body. */
static bool read_framing(struct h1 *h, uint8_t c)
{
	bool ok = false;

	switch (h->state) {
	case CHUNK_SIZE:
		ok = read_size(h, c);
		break;
	case CHUNK_EXTENSION:
		ok = read_ignored(h, c, CHUNK_SIZE_LF);
		break;
	case CHUNK_SIZE_LF:
		ok = read_literal(h, c, '\n', h->left ? CHUNK : TRAILER);
		break;
	case CHUNK_CR:
		ok = read_literal(h, c, '\r', CHUNK_LF);
		break;
	case CHUNK_LF:
		h->digits = 0;
		ok = read_literal(h, c, '\n', CHUNK_SIZE);
		break;
	case TRAILER:
		ok = read_trailer(h, c);
		break;
	case TRAILER_LINE:
		ok = read_ignored(h, c, TRAILER_LINE_LF);
		break;
	case TRAILER_LINE_LF:
		ok = read_literal(h, c, '\n', TRAILER);
		break;
	default:
		break;
	}
	return ok;
}

static enum h1_event read_part(struct h1 *h, struct slice *bytes, struct slice *ret_part)
{
	size_t n = bytes->len < h->left ? bytes->len : (size_t)h->left;

	*ret_part = slice_of(bytes->data, n);
	bytes->data += n;
	bytes->len -= n;
	h->left -= n;
	if (h->state == CHUNK && h->left == 0)
		h->state = CHUNK_CR;
	return H1_BODY;
}

static enum h1_event finish_request(struct h1 *h)
{
	h->head_bytes = 0;
	h->last = 0;
	h->state = BETWEEN;
	return H1_END;
}

/* ---- all of it */

static enum h1_event read_byte(struct h1 *h, struct slice *bytes)
{
	uint8_t c = *bytes->data++;

	bytes->len--;
	if (h->state == TRAILER_LF && c == '\n')
		return finish_request(h);
	if (!read_framing(h, c))
		return fail(h, 400);
	return h->head_bytes > h->head_limit ? fail(h, 431) : H1_MORE;
}

enum h1_event h1_next(struct h1 *h, struct slice *bytes, struct slice *ret_part)
{
	enum h1_event event = H1_MORE;
	int status = 0;

	if (h->state == FAILED)
		return H1_ERROR;
	if (h->state == BODY && h->left == 0)
		return finish_request(h);
	while (event == H1_MORE && bytes->len > 0) {
		switch (h->state) {
		case BETWEEN:
			status = skip_line_ends(h, bytes);
			if (status == 0 && bytes->len > 0)
				begin_head(h);
			break;
		case HEAD:
			status = read_head(h, bytes);
			break;
		case HEAD_LF:
			status = bytes->data[0] == '\n' ? take_head_bytes(h, bytes, 1) : 400;
			if (status == 0)
				event = finish_head(h);
			break;
		case BODY:
		case CHUNK:
			event = read_part(h, bytes, ret_part);
			break;
		default:
			event = read_byte(h, bytes);
			break;
		}
		if (status)
			event = fail(h, status);
	}
	return event;
}

struct h1 *h1_new(size_t head_limit)
{
	struct h1 *h = calloc(1, sizeof *h);

	if (h)
		h->head_limit = head_limit < HEAD_LIMIT ? head_limit : HEAD_LIMIT;
	return h;
}

void h1_free(struct h1 *h)
{
	if (!h)
		return;
	free(h->request);
	http_fields_fini(&h->fields);
	free(h);
}

void h1_forget(struct h1 *h)
{
	free(h->request);
	h->request = NULL;
}

const struct http_request *h1_request(const struct h1 *h)
{
	return h->request;
}

bool h1_keep_alive(const struct h1 *h)
{
	return h->keep_alive;
}

bool h1_expects_continue(const struct h1 *h)
{
	return h->expects_continue;
}

bool h1_is_between(const struct h1 *h)
{
	return h->state == BETWEEN;
}

int h1_error_status(const struct h1 *h)
{
	return h->error_status;
}

/* ---- responses */

const char *h1_reason(int status)
{
	return http_status_str((enum http_status)status);
}

static bool breaks_lines(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] == '\r' || s.data[i] == '\n' || s.data[i] == 0)
			return true;
	return false;
}

void h1_write_head(const struct h1 *h, struct buffer *out, int status,
                   const struct http_header *headers, size_t n_headers, uint64_t length,
                   bool keep_alive)
{
	buffer_printf(out, "HTTP/1.1 %d %s\r\n", status, h1_reason(status));
	for (size_t i = 0; i < n_headers; i++) {
		if (breaks_lines(headers[i].name) || breaks_lines(headers[i].value))
			continue;
		buffer_append_slice(out, headers[i].name);
		buffer_append_string(out, ": ");
		buffer_append_slice(out, headers[i].value);
		buffer_append_string(out, "\r\n");
	}
	if (status >= 200 && status != 204 && status != 304) {
		if (length != H1_LENGTH_UNKNOWN)
			buffer_printf(out, "Content-Length: %" PRIu64 "\r\n", length);
		else if (h1_takes_chunks(h))
			buffer_append_string(out, "Transfer-Encoding: chunked\r\n");
	}
	if (!keep_alive)
		buffer_append_string(out, "Connection: close\r\n");
	else if (h->old)
		buffer_append_string(out, "Connection: keep-alive\r\n");
	buffer_append_string(out, "\r\n");
}

bool h1_takes_chunks(const struct h1 *h)
{
	return !h->old;
}

void h1_write_continue(struct buffer *out)
{
	buffer_append_string(out, "HTTP/1.1 100 Continue\r\n\r\n");
}
