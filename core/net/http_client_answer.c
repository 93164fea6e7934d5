/* What is made of the end of a request: the server's answer, or a sentence that says why there is none. */
#include "core/net/http_client_internal.h"

#include "core/base/clock.h"
#include "core/wire/compress.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { WHERE_BYTES = 300 };

static void name_server(const struct http_client_exchange *x, char *ret, size_t size)
{
	char *url = NULL;

	curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url);
	if (x->client->config.unix_path)
		snprintf(ret, size, "%s", x->client->config.unix_path);
	else
		http_client_where(url ? url : "", ret, size);
}

/* What the connection attempt came to. libcurl names the host it tried, which may be a proxy's. */
static void explain_connect(const struct http_client_exchange *x, const char *where, char *text,
                            size_t size)
{
	long number = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &number);
	snprintf(text, size, "cannot connect to %s: %s%s%s", where, *x->why ? x->why : "no answer",
	         number ? ": " : "", number ? strerror((int)number) : "");
}

static void explain_certificate(const struct http_client_exchange *x, const char *where, char *text,
                                size_t size)
{
	static const char prefix[] = "SSL certificate problem: ";
	const char *why = x->why;

	if (strncmp(why, prefix, sizeof prefix - 1) != 0) {
		snprintf(text, size,
		         "certificate of %s is not for that name: %s; connect by a name it is for "
		         "or "
		         "set tls::server_name_override",
		         where, why);
		return;
	}
	why += sizeof prefix - 1;
	snprintf(text, size, "certificate of %s is not trusted: %s; %s", where, why,
	         strstr(why, "expired") || strstr(why, "not yet valid")
	                 ? "renew it or check this machine's clock"
	                 : "set tls::ca_file");
}

static void explain(const struct http_client_exchange *x, CURLcode code, char *text, size_t size)
{
	const char *why = *x->why ? x->why : curl_easy_strerror(code);
	char where[WHERE_BYTES];

	name_server(x, where, sizeof where);

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_OPERATION_TIMEDOUT: /* of connecting: the rest has our own deadline */
		snprintf(text, size, "cannot connect to %s: %s", where, why);
		break;
	case CURLE_COULDNT_CONNECT:
		explain_connect(x, where, text, size);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		explain_certificate(x, where, text, size);
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		snprintf(text, size, "TLS with %s failed: %s", where, why);
		break;
	case CURLE_OUT_OF_MEMORY:
		snprintf(text, size, "out of memory");
		break;
	default:
		snprintf(text, size, "connection to %s lost: %s", where, why);
	}
}

static void explain_late(const struct http_client_exchange *x, char *text, size_t size)
{
	curl_off_t connected = 0;
	char where[WHERE_BYTES];

	name_server(x, where, sizeof where);
	curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
	if (connected > 0)
		snprintf(text, size, "%s did not answer in time", where);
	else
		snprintf(text, size, "no connection to %s in time%s%s", where, *x->why ? ": " : "",
		         x->why);
}

static bool header(CURL *easy, const char *name, struct slice *ret)
{
	struct curl_header *h;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return false;
	if (h->amount > 1 &&
	    curl_easy_header(easy, name, h->amount - 1, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return false;
	*ret = slice_from_string(h->value);
	return true;
}

bool http_client_header(const struct http_client_response *response, const char *name,
                        struct slice *ret)
{
	return response->exchange && header(response->exchange->easy, name, ret);
}

/* RFC 9110: seconds, or a date. */
static bool parse_retry_after(struct slice value, uint64_t *ret_ns)
{
	uint64_t seconds = 0;
	size_t i = 0;

	for (; i < value.len && value.data[i] >= '0' && value.data[i] <= '9'; i++)
		if (seconds <= UINT32_MAX)
			seconds = seconds * 10 + (value.data[i] - '0');
	if (i == 0 || i < value.len) {
		time_t date = curl_getdate((const char *)value.data, NULL);
		uint64_t now = clock_realtime_ns() / NS_PER_S;

		if (date < 0)
			return false;
		seconds = (uint64_t)date > now ? (uint64_t)date - now : 0;
	}
	*ret_ns = (seconds < UINT32_MAX ? seconds : UINT32_MAX) * NS_PER_S;
	return true;
}

static void set_unreadable(const struct http_client_exchange *x, struct http_client_response *r,
                           const char *why, char *text, size_t size)
{
	char where[WHERE_BYTES];

	name_server(x, where, sizeof where);
	r->result = HTTP_CLIENT_UNREADABLE;
	snprintf(text, size, "the answer of %s (HTTP status %u) %.300s", where, r->status, why);
}

/* Of an error the status is enough: what its body says is for people. */
static void cannot_inflate(const struct http_client_exchange *x, struct http_client_response *r,
                           const char *why, char *text, size_t size)
{
	if (r->status >= 400)
		r->body = (struct slice){0};
	else
		set_unreadable(x, r, why, text, size);
}

static void inflate(struct http_client_exchange *x, struct http_client_response *r, char *text,
                    size_t size)
{
	struct buffer plain = BUFFER_INIT;
	enum coding coding = CODING_IDENTITY;
	struct error error = ERROR_INIT;
	struct slice name;
	int code;

	r->body = buffer_slice(&x->body);
	if (!header(x->easy, "content-encoding", &name) || r->body.len == 0)
		return;
	if (!coding_from_name(name, &coding)) {
		cannot_inflate(x, r, "is compressed in an unknown way", text, size);
		return;
	}
	if (coding == CODING_IDENTITY)
		return;
	code = compress_inflate(coding, r->body, x->limit, &plain, &error);
	if (code == -E2BIG) {
		set_unreadable(x, r, error.message, text, size);
	} else if (code == -ENOMEM) {
		r->result = HTTP_CLIENT_FAILED;
		snprintf(text, size, "out of memory");
	} else if (code < 0) {
		cannot_inflate(x, r, error.message, text, size);
	} else {
		buffer_fini(&x->body);
		x->body = plain;
		plain = (struct buffer)BUFFER_INIT;
		r->body = buffer_slice(&x->body);
	}
	buffer_fini(&plain);
}

static void read_header(struct http_client_exchange *x, struct http_client_response *r)
{
	struct slice value;

	r->exchange = x;
	header(x->easy, "content-type", &r->type);
	if (header(x->easy, "retry-after", &value))
		r->has_retry_after = parse_retry_after(value, &r->retry_after_ns);
}

void http_client_exchange_tell(struct http_client_exchange *x, enum http_client_result result,
                               CURLcode code)
{
	char text[WHERE_BYTES + CURL_ERROR_SIZE + 100];
	struct http_client_response r = {.result = result, .text = text};
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	r.status = (unsigned)status;
	text[0] = '\0';
	if (x->too_large || code == CURLE_FILESIZE_EXCEEDED) {
		char why[80];

		snprintf(why, sizeof why, "is larger than the limit of %zu bytes",
		         x->header_bytes > HTTP_CLIENT_HEADER_LIMIT
		                 ? (size_t)HTTP_CLIENT_HEADER_LIMIT
		                 : x->limit);
		set_unreadable(x, &r, why, text, sizeof text);
	} else if (result == HTTP_CLIENT_ANSWERED) {
		read_header(x, &r);
		inflate(x, &r, text, sizeof text);
	} else if (result == HTTP_CLIENT_FAILED && !x->no_memory && status >= 400) {
		/* The connection broke, maybe because nobody wanted to read the request to its
		 * end; what was to be known has come. */
		r.result = HTTP_CLIENT_ANSWERED;
		read_header(x, &r);
	} else if (result == HTTP_CLIENT_LATE) {
		explain_late(x, text, sizeof text);
	} else if (result == HTTP_CLIENT_CANCELED) {
		snprintf(text, sizeof text, "canceled");
	} else {
		explain(x, x->no_memory ? CURLE_OUT_OF_MEMORY : code, text, sizeof text);
	}
	x->done(x->arg, &r);
}
