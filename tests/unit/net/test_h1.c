/* Requests as bytes, whole and in every cut: the same events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/net/h1.h"
#include "tests/support/failing_memory.h"

enum { HEAD_LIMIT = 1000 };

/* Everything that an h1 says, as text: "POST /a?b a:1 close" for a head, its fields, "body" and "end". */
static void describe_head(const struct h1 *h, struct buffer *out)
{
	const struct http_request *r = h1_request(h);

	buffer_printf(out, "%.*s %.*s?%.*s %.*s", SLICE_PRINTF(r->method), SLICE_PRINTF(r->path),
	              SLICE_PRINTF(r->query), SLICE_PRINTF(r->authority));
	if (!r->has_length)
		buffer_append_string(out, " chunked");
	else if (r->length > 0)
		buffer_printf(out, " %u", (unsigned)r->length);
	if (!h1_keep_alive(h))
		buffer_append_string(out, " close");
	if (h1_expects_continue(h))
		buffer_append_string(out, " continue");
	buffer_append_string(out, "\n");
	for (size_t i = 0; i < r->n_headers; i++)
		buffer_printf(out, " %.*s=%.*s\n", SLICE_PRINTF(r->headers[i].name),
		              SLICE_PRINTF(r->headers[i].value));
}

/* Adjacent parts of a body are one. in_body says whether the last thing written was a part. */
static bool feed(struct h1 *h, struct slice bytes, struct buffer *out, bool *in_body)
{
	struct slice part;

	for (;;) {
		enum h1_event event = h1_next(h, &bytes, &part);

		if (event == H1_MORE) {
			assert_int_equal(bytes.len, 0);
			return true;
		}
		if (*in_body && event != H1_BODY)
			buffer_append_string(out, "\n");
		if (event == H1_BODY && !*in_body)
			buffer_append_string(out, "body ");
		*in_body = event == H1_BODY;
		switch (event) {
		case H1_HEAD:
			describe_head(h, out);
			break;
		case H1_BODY:
			assert_true(part.len > 0);
			buffer_append_slice(out, part);
			break;
		case H1_END:
			assert_true(h1_is_between(h));
			buffer_append_string(out, "end\n");
			h1_forget(h);
			break;
		default:
			buffer_printf(out, "error %d\n", h1_error_status(h));
			return false;
		}
	}
}

static void read_cut(const char *bytes, size_t len, size_t first, size_t step, struct buffer *out)
{
	struct h1 *h = h1_new(HEAD_LIMIT);
	bool in_body = false;

	assert_non_null(h);
	buffer_clear(out);
	for (size_t at = 0, n = first; at < len; at += n, n = step) {
		char *copy = malloc(n);
		bool ok;

		if (n > len - at)
			n = len - at;
		memcpy(copy, bytes + at, n);
		ok = feed(h, slice_of(copy, n), out, &in_body);
		free(copy);
		if (!ok)
			break;
	}
	h1_free(h);
}

/* In whatever pieces it comes, what is said is the same. */
static void reads_as_bytes(const char *bytes, size_t len, const char *said)
{
	struct buffer out = BUFFER_INIT;

	for (size_t first = 1; first <= len; first++) {
		read_cut(bytes, len, first, len, &out);
		assert_string_equal(buffer_string(&out), said);
	}
	for (size_t step = 1; step <= 7; step++) {
		read_cut(bytes, len, step, step, &out);
		assert_string_equal(buffer_string(&out), said);
	}
	buffer_fini(&out);
}

static void reads_as(const char *bytes, const char *said)
{
	reads_as_bytes(bytes, strlen(bytes), said);
}

static void reads_requests(void **state)
{
	(void)state;
	reads_as("GET /a/b?c=d HTTP/1.1\r\nHost: h:1\r\n\r\n",
	         "GET /a/b?c=d h:1\n host=h:1\nend\n");
	reads_as("POST / HTTP/1.1\r\nHOST:h\r\nX-Empty:\r\nX-Space: \t a b \t\r\nContent-Length: "
	         "5\r\n\r\nhello",
	         "POST /? h 5\n host=h\n x-empty=\n x-space=a b\n content-length=5\nbody "
	         "hello\nend\n");
	reads_as("PUT /?? HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
	         "DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n",
	         "PUT /?? h\n host=h\n content-length=0\nend\n"
	         "DELETE /x? h\n host=h\nend\n");
	reads_as("\r\n\r\nOPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS *? \n host=\nend\n");
	reads_as("HEAD / HTTP/1.0\r\n\r\n", "HEAD /?  close\nend\n");
	reads_as("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	         "GET /? \n connection=keep-alive\nend\n");
	reads_as("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	         "GET /? h close\n host=h\n connection=close\nend\n");
	reads_as("GET http://a.b:8/p?q HTTP/1.1\r\nHost: other\r\n\r\n",
	         "GET /p?q a.b:8\n host=other\nend\n");
	reads_as("GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /? a\n host=a\nend\n");
	reads_as("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q a\n host=a\nend\n");
	reads_as("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	         "GET /? [::1]:80\n host=[::1]:80\nend\n");
}

static void reads_chunks(void **state)
{
#define CHUNKED "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
#define SAID "POST /? h chunked\n host=h\n transfer-encoding=chunked\n"
	(void)state;
	reads_as(CHUNKED "5\r\nhello\r\n0\r\n\r\n", SAID "body hello\nend\n");
	reads_as(CHUNKED "0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	         SAID "end\nGET /? h\n host=h\nend\n");
	reads_as(CHUNKED "3\r\nabc\r\n0a;x=\"y\" z\r\n0123456789\r\n000 \r\nA: b\r\nC: d\r\n\r\n",
	         SAID "body abc0123456789\nend\n");
	reads_as("POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding:  Chunked \r\n\r\n0\r\n\r\n",
	         "POST /? h chunked\n host=h\n transfer-encoding=Chunked\nend\n");
	reads_as(CHUNKED "5\nhello\r\n0\r\n\r\n", SAID "error 400\n");
	reads_as(CHUNKED "5\r\nhello0\r\n\r\n", SAID "body hello\nerror 400\n");
	reads_as(CHUNKED "5\r\nhelloXX0\r\n\r\n", SAID "body hello\nerror 400\n");
	reads_as(CHUNKED "5\r\nhello\n\n0\r\n\r\n", SAID "body hello\nerror 400\n");
	reads_as(CHUNKED "\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED ";x\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED "0x5\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED "-5\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED "+5\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED "10000000000000005\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED "5;a\nb\r\nhello\r\n", SAID "error 400\n");
	reads_as(CHUNKED "0\r\n folded\r\n\r\n", SAID "error 400\n");
	reads_as(CHUNKED "0\r\nA: b\n\r\n", SAID "error 400\n");
	reads_as(CHUNKED "0\r\n\n", SAID "error 400\n");
	reads_as(CHUNKED "0\r\n\rX", SAID "error 400\n");
#undef CHUNKED
#undef SAID
}

static void refuses_what_could_be_read_in_two_ways(void **state)
{
	static const char *const all[] = {
		/* the length of the body */
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
		"chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		"5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551621\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		/* where lines end */
		"GET / HTTP/1.1\nHost: h\n\n",
		"GET / HTTP/1.1\r\nHost: h\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n\n",
		"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n\rX",
		"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n",
		"GET / HTTP/1.1\r\n X: a\r\nHost: h\r\n\r\n",
		/* which field it is */
		"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nA(b): c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n: c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: a\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n",
		/* whom it is for */
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://u@h/p HTTP/1.1\r\nHost: a\r\n\r\n",
		/* the request line */
		"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
		"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET a HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET *a HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET ftp://a/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/x.1\r\nHost: h\r\n\r\n",
		"GET / FTP/1.1\r\nHost: h\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"\x16\x03\x01\x02",
	};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		reads_as(all[i], "error 400\n");
}

static void refuses_nul_anywhere(void **state)
{
	static const char good[] = "GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
	char bad[sizeof good];
	struct buffer out = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof good - 1; i++) {
		memcpy(bad, good, sizeof good);
		bad[i] = '\0';
		read_cut(bad, sizeof good - 1, sizeof good, 1, &out);
		assert_string_equal(buffer_string(&out), "error 400\n");
		read_cut(bad, sizeof good - 1, 1, 1, &out);
		assert_string_equal(buffer_string(&out), "error 400\n");
	}
	buffer_fini(&out);
}

static void says_what_it_does_not_do(void **state)
{
	(void)state;
	reads_as("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "error 501\n");
	reads_as("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "error 501\n");
	reads_as("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "error 505\n");
	reads_as("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "error 505\n");
	reads_as("GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n", "error 417\n");
}

static void ignores_an_upgrade(void **state)
{
	(void)state;
	reads_as("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
	         "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	         "GET /? h\n host=h\n connection=Upgrade\n upgrade=h2c\nend\n"
	         "GET /? h\n host=h\nend\n");
}

static void knows_who_waits_to_be_told_to_go_on(void **state)
{
	(void)state;
	reads_as("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
	         "POST /? h 1 continue\n host=h\n expect=100-Continue\n content-length=1\n"
	         "body x\nend\n");
	reads_as("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
	         "POST /? h\n host=h\n expect=100-continue\nend\n");
	reads_as("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	         "POST /?  1 close\n expect=100-continue\n content-length=1\nbody x\nend\n");
}

/* A head of exactly that many bytes. */
static void put_head(struct buffer *b, size_t bytes)
{
	static const char start[] = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
	size_t fill = bytes - (sizeof start - 1) - 4;

	buffer_clear(b);
	buffer_append_string(b, start);
	memset(buffer_reserve(b, fill), 'v', fill);
	b->len += fill;
	buffer_append_string(b, "\r\n\r\n");
	assert_int_equal(b->len, bytes);
}

static void holds_heads_to_their_limit(void **state)
{
	static const size_t steps[] = {1, 7, 333, 5000};
	struct buffer b = BUFFER_INIT, out = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		put_head(&b, HEAD_LIMIT);
		read_cut((const char *)b.data, b.len, steps[i], steps[i], &out);
		assert_non_null(strstr(buffer_string(&out), "\nend\n"));
		put_head(&b, HEAD_LIMIT + 1);
		read_cut((const char *)b.data, b.len, steps[i], steps[i], &out);
		assert_string_equal(buffer_string(&out), "error 431\n");
		buffer_clear(&b);
		while (b.len <= HEAD_LIMIT)
			buffer_append_string(&b, "\r\n");
		read_cut((const char *)b.data, b.len, steps[i], steps[i], &out);
		assert_string_equal(buffer_string(&out), "error 431\n");
	}
	buffer_fini(&out);
	buffer_fini(&b);
}

static void holds_extensions_and_trailers_to_the_same(void **state)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct buffer b = BUFFER_INIT, out = BUFFER_INIT;

	(void)state;
	buffer_append_string(&b, head);
	for (int i = 0; i < 500; i++)
		buffer_append_string(&b, "1;e=f\r\nx\r\n");
	read_cut((const char *)b.data, b.len, b.len, 1, &out);
	assert_non_null(strstr(buffer_string(&out), "\nerror 431\n"));
	buffer_clear(&b);
	buffer_append_string(&b, head);
	buffer_append_string(&b, "0\r\n");
	for (int i = 0; i < 500; i++)
		buffer_append_string(&b, "a: b\r\n");
	read_cut((const char *)b.data, b.len, b.len, 1, &out);
	assert_non_null(strstr(buffer_string(&out), "\nerror 431\n"));
	buffer_fini(&out);
	buffer_fini(&b);
}

static void writes_heads(void **state)
{
	static const struct http_header headers[] = {
		{SLICE_LITERAL("content-type"), SLICE_LITERAL("text/plain"), false},
		{SLICE_LITERAL("x-split"), SLICE_LITERAL("a\r\nSet-Cookie: b"), false},
		{SLICE_LITERAL("retry-after"), SLICE_LITERAL("1"), false}};
	struct buffer b = BUFFER_INIT;
	struct slice old = SLICE_LITERAL("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), part;
	struct h1 *h = h1_new(HEAD_LIMIT);

	(void)state;
	h1_write_head(h, &b, 503, headers, 3, 12, true);
	assert_string_equal(buffer_string(&b), "HTTP/1.1 503 Service Unavailable\r\n"
	                                       "content-type: text/plain\r\nretry-after: 1\r\n"
	                                       "Content-Length: 12\r\n\r\n");
	buffer_clear(&b);
	h1_write_head(h, &b, 204, NULL, 0, 0, false);
	assert_string_equal(buffer_string(&b),
	                    "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
	buffer_clear(&b);
	h1_write_continue(&b);
	assert_string_equal(buffer_string(&b), "HTTP/1.1 100 Continue\r\n\r\n");
	buffer_clear(&b);
	assert_int_equal(h1_next(h, &old, &part), H1_HEAD);
	h1_write_head(h, &b, 200, NULL, 0, 0, true);
	assert_non_null(strstr(buffer_string(&b), "Connection: keep-alive\r\n"));
	h1_free(h);
	buffer_fini(&b);
}

static bool reads_with_failing_memory(unsigned long n)
{
	static const char bytes[] = "POST /aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: h\r\nA: b\r\n"
				    "Content-Length: 2\r\n\r\nxx";
	struct slice s = slice_of(bytes, sizeof bytes - 1), part;
	enum h1_event event = H1_MORE;
	struct h1 *h;

	failing_memory_arm(n);
	h = h1_new(HEAD_LIMIT);
	while (h && event != H1_END && event != H1_ERROR)
		event = h1_next(h, &s, &part);
	if (!failing_memory_disarm()) {
		assert_int_equal(event, H1_END);
		h1_free(h);
		return false;
	}
	if (h)
		assert_int_equal(h1_error_status(h), 503);
	h1_free(h);
	return true;
}

static void survives_every_failing_allocation(void **state)
{
	unsigned long n = 1;

	(void)state;
	while (reads_with_failing_memory(n))
		n++;
	assert_true(n > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_requests),
		cmocka_unit_test(reads_chunks),
		cmocka_unit_test(refuses_what_could_be_read_in_two_ways),
		cmocka_unit_test(refuses_nul_anywhere),
		cmocka_unit_test(says_what_it_does_not_do),
		cmocka_unit_test(ignores_an_upgrade),
		cmocka_unit_test(knows_who_waits_to_be_told_to_go_on),
		cmocka_unit_test(holds_heads_to_their_limit),
		cmocka_unit_test(holds_extensions_and_trailers_to_the_same),
		cmocka_unit_test(writes_heads),
		cmocka_unit_test(survives_every_failing_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
