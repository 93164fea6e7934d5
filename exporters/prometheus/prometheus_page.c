/* Happy path: on_request -> negotiation -> http_respond with a source -> next_piece, again and again ->
 * the last one -> scrape_closed.
 * Fails: too many scrapes (503) · not /metrics (404) · neither GET nor HEAD (405) · not let in (401) ·
 * no memory, which breaks the response off · the client leaves, or is slower than limits::write_time. */
#include "exporters/prometheus/prometheus_page.h"

#include "core/base/clock.h"

#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

enum {
	GZIP = 16 + MAX_WBITS,
	GZIP_LEVEL = 3, /* labels come again and again: higher levels gain little and cost twice */
	GZIP_MEMORY = 8,
};

struct scrape {
	struct page *page;
	struct exposition_cursor cursor;
	struct buffer plain;
	z_stream stream;
	bool gzip, ended;
	uint64_t started;
};

/* ---- a body */

static void scrape_closed(void *arg)
{
	struct scrape *s = arg;

	if (!s->ended)
		s->page->broken++;
	s->page->scrapes--;
	exposition_end(&s->cursor);
	buffer_fini(&s->plain);
	if (s->gzip)
		deflateEnd(&s->stream);
	free(s);
}

/* Appends what comes of the plain bytes. */
static bool compress_piece(struct scrape *s, bool last, struct buffer *out)
{
	uLong bound = deflateBound(&s->stream, s->plain.len);
	int r;

	s->stream.next_in = s->plain.data;
	s->stream.avail_in = (uInt)s->plain.len;
	do {
		s->stream.next_out = buffer_reserve(out, bound);
		if (!s->stream.next_out)
			return false;
		s->stream.avail_out = (uInt)bound;
		r = deflate(&s->stream, last ? Z_FINISH : Z_NO_FLUSH);
		out->len += bound - s->stream.avail_out;
	} while (r == Z_OK && s->stream.avail_out == 0);
	return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR;
}

static int next_piece(void *arg, struct buffer *out)
{
	struct scrape *s = arg;
	struct page *p = s->page;
	uint64_t begun = clock_monotonic_ns(), now;
	bool more;

	if (s->gzip) {
		buffer_clear(&s->plain);
		more = exposition_write(&s->cursor, &s->plain, PAGE_PIECE);
		if (s->plain.failed || !compress_piece(s, !more, out))
			return -1;
	} else {
		more = exposition_write(&s->cursor, out, PAGE_PIECE);
	}
	if (out->failed)
		return -1;
	now = clock_monotonic_ns();
	p->bytes += out->len;
	if (now - begun > p->longest_piece)
		p->longest_piece = now - begun;
	if (!more) {
		s->ended = true;
		p->answered[s->cursor.choice.format]++;
		p->last_duration = now - s->started;
	}
	return more;
}

static struct scrape *scrape_new(struct page *p, struct exposition_choice choice, bool gzip)
{
	struct scrape *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	if (gzip && deflateInit2(&s->stream, GZIP_LEVEL, Z_DEFLATED, GZIP, GZIP_MEMORY,
	                         Z_DEFAULT_STRATEGY) != Z_OK) {
		free(s);
		return NULL;
	}
	s->page = p;
	s->gzip = gzip;
	s->started = clock_monotonic_ns();
	exposition_begin(&s->cursor, p->exposition, choice, p->timestamps);
	p->scrapes++;
	return s;
}

/* ---- requests */

static struct http_header header(const char *name, const char *value)
{
	return (struct http_header){slice_from_string(name), slice_from_string(value), false};
}

/* extra.name.len 0: none. */
static void refuse(struct http_exchange *x, int status, const char *text, struct http_header extra)
{
	struct http_header headers[2] = {header("content-type", "text/plain; charset=utf-8"),
	                                 extra};
	struct http_response response = {.status = status,
	                                 .headers = headers,
	                                 .n_headers = extra.name.len ? 2 : 1};

	buffer_printf(&response.body, "%s\n", text);
	http_respond(x, &response);
}

struct metadata {
	struct request_metadata base;
	const struct http_exchange *exchange;
};

static bool get_metadata(const struct request_metadata *base, const char *name, struct slice *ret)
{
	const struct metadata *m = (const struct metadata *)base;

	return http_exchange_header(m->exchange, name, ret);
}

/* False: it was refused. */
static bool let_in(struct page *p, struct http_exchange *x)
{
	struct metadata metadata = {{get_metadata}, x};
	struct component *c = p->authenticator;
	struct error error = ERROR_INIT;
	struct http_header challenge = {0};
	const char *identity = NULL, *text;

	if (!c || c->type->authenticator->authenticate(c, &metadata.base, &identity, &error) == 0)
		return true;
	p->unauthorized++;
	log_warn(p->log, "a request of %s was refused: %s", http_exchange_request(x)->peer,
	         error.message);
	if (error.kind == ERROR_RETRYABLE) {
		refuse(x, 503, error.message, header("retry-after", "1"));
		return false;
	}
	text = c->type->authenticator->challenge ? c->type->authenticator->challenge(c) : NULL;
	if (text)
		challenge = header("www-authenticate", text);
	refuse(x, 401, error.message, challenge);
	return false;
}

/* Whether Accept-Encoding has gzip, and not with a quality of 0 (RFC 9110, 12.5.3). */
static bool takes_gzip(const struct http_exchange *x)
{
	struct slice list;

	if (!http_exchange_header(x, "accept-encoding", &list))
		return false;
	for (size_t i = 0; i + 4 <= list.len; i++) {
		const char *at = (const char *)list.data + i;
		size_t rest = list.len - i - 4;

		if (strncasecmp(at, "gzip", 4) != 0)
			continue;
		at += 4;
		for (; rest > 0 && (*at == ' ' || *at == ';'); at++)
			rest--;
		if (rest < 3 || strncasecmp(at, "q=0", 3) != 0)
			return true;
		at += 3;
		for (rest -= 3; rest > 0 && (*at == '.' || *at == '0'); at++)
			rest--;
		return rest > 0 && *at >= '1' && *at <= '9';
	}
	return false;
}

static void answer(struct page *p, struct http_exchange *x)
{
	bool gzip = takes_gzip(x);
	struct http_header headers[3];
	struct http_response response = {.status = 200, .headers = headers};
	struct exposition_choice choice;
	struct slice accept = {0};
	struct scrape *s;

	http_exchange_header(x, "accept", &accept);
	choice = exposition_negotiate(accept, p->openmetrics);
	s = scrape_new(p, choice, gzip);
	if (!s) {
		refuse(x, 503, "no memory for a scrape now", header("retry-after", "1"));
		return;
	}
	headers[response.n_headers++] = header("content-type", exposition_content_type(choice));
	headers[response.n_headers++] = header("vary", "accept, accept-encoding");
	if (gzip)
		headers[response.n_headers++] = header("content-encoding", "gzip");
	s->ended = slice_equal(http_exchange_request(x)->method, SLICE_LITERAL("HEAD"));
	response.source = (struct http_body_source){next_piece, scrape_closed, s};
	http_respond(x, &response);
}

static void on_request(void *arg, struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	const struct http_header none = {0};
	struct page *p = arg;

	if (!let_in(p, x))
		return;
	if (!slice_equal(request->path, SLICE_LITERAL("/metrics")))
		refuse(x, 404, "there is only /metrics here", none);
	else if (!slice_equal(request->method, SLICE_LITERAL("GET")) &&
	         !slice_equal(request->method, SLICE_LITERAL("HEAD")))
		refuse(x, 405, "GET or HEAD", header("allow", "GET, HEAD"));
	else if (!request->has_length || request->length > 0)
		refuse(x, 413, "a scrape has no body", none);
	else if (p->scrapes >= p->max_scrapes) {
		p->refused++;
		refuse(x, 503, "as many scrapes are under way as max_concurrent_scrapes allows",
		       header("retry-after", "1"));
	} else {
		answer(p, x);
	}
}

const struct http_handler page_http_handler = {.on_request = on_request};
