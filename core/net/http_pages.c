#include "core/net/http_pages.h"

#include "core/base/clock.h"
#include "core/net/h1.h"
#include "core/net/http_server.h"

#include <stdlib.h>

/* Who asks for pages is one or two scrapers and probes: more connections would be slow readers, who
 * must not keep weir from being watched for long. */
enum { CONNECTIONS = 64, HEADER_BYTES = 8 * 1024 };
#define IDLE_NS (120 * NS_PER_S)

struct http_pages {
	struct http_server *server;
	page_handler handler;
	void *arg;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void respond(struct http_exchange *x, struct page_response *page)
{
	struct http_header headers[2];
	struct http_response response = {.headers = headers};

	if (page->body.failed) {
		buffer_fini(&page->body);
		*page = (struct page_response){.status = 503, .content_type = "text/plain"};
	}
	headers[response.n_headers++] = (struct http_header){
		.name = SLICE_LITERAL("content-type"),
		.value = slice_from_string(page->content_type),
	};
	if (page->status == 405)
		headers[response.n_headers++] =
			(struct http_header){.name = SLICE_LITERAL("allow"),
		                             .value = SLICE_LITERAL("GET, HEAD")};
	response.status = page->status;
	response.body = page->body;
	http_respond(x, &response);
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct http_pages *s = arg;
	const struct http_request *request = http_exchange_request(x);
	struct page_request asked = {request->method, request->path, request->query};
	struct page_response page = {.status = 200, .content_type = "text/plain"};

	if (!slice_equal(request->method, SLICE_LITERAL("GET")) &&
	    !slice_equal(request->method, SLICE_LITERAL("HEAD")))
		page.status = 405;
	else if (!request->has_length || request->length > 0)
		page.status = 413;
	if (page.status == 200)
		s->handler(s->arg, &asked, &page);
	else
		buffer_printf(&page.body, "%d %s\n", page.status, h1_reason(page.status));
	respond(x, &page);
}

static const struct http_handler handler = {.on_request = on_request};

int http_pages_new(struct loop *loop, const struct endpoint *endpoint, page_handler on_page,
                   void *arg, struct http_pages **ret, struct error *error)
{
	struct http_server_config config = {.endpoint = endpoint, .http1 = true};
	struct http_pages *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_no_memory(error);
	s->handler = on_page;
	s->arg = arg;
	config.limits = http_default_limits;
	config.limits.connections = CONNECTIONS;
	config.limits.header_list = HEADER_BYTES;
	config.limits.idle = IDLE_NS;
	r = http_server_new(loop, &config, &handler, s, NULL, &s->server, error);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

uint16_t http_pages_port(const struct http_pages *s)
{
	return http_server_port(s->server);
}

static void on_closed(void *arg)
{
	struct http_pages *s = arg;
	void (*closed)(void *arg) = s->closed;
	void *closed_arg = s->closed_arg;

	free(s);
	closed(closed_arg);
}

void http_pages_close(struct http_pages *s, void (*closed)(void *arg), void *arg)
{
	s->closed = closed;
	s->closed_arg = arg;
	http_server_close(s->server, on_closed, s);
}
