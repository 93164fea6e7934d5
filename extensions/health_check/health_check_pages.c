/* The pages:
 *
 *   config->path         the Collector's health_check: 200 from the start to the stop, else 503
 *   /live                503 only when the process should be restarted
 *   /ready               503 with the reasons when weir should not be given data now
 *   http::status::path   the Collector's healthcheckv2: every pipeline, every component */
#include "extensions/health_check/health_check.h"

#include "core/base/clock.h"
#include "core/base/json_string.h"
#include "core/base/units.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PIPELINE_ID_MAX = 4200 }; /* a name of 1024 characters, and the signal's before it */

static void append_text(struct buffer *out, const char *text)
{
	json_string_append(out, slice_from_string(text));
}

/* "2024-01-18T17:27:12.570Z" */
static void append_time(struct buffer *out, uint64_t monotonic_ns)
{
	uint64_t ns = clock_monotonic_to_realtime(monotonic_ns);
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm;
	char when[32];

	gmtime_r(&seconds, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	buffer_printf(out, "\"%s.%03uZ\"", when, (unsigned)(ns % NS_PER_S / NS_PER_MS));
}

/* The Collector's page */

static void collector_page(const struct health *h, const struct health_check_config *c,
                           struct page_response *response)
{
	bool available = h->running && !h->stopping;
	struct buffer *out = &response->body;

	response->status = available ? 200 : 503;
	if (c->response_body.enabled) {
		response->content_type = "text/plain; charset=utf-8";
		buffer_append_slice(out, slice_from_string(available ? c->response_body.healthy
		                                                     : c->response_body.unhealthy));
		return;
	}
	buffer_append_string(out, available ? "{\"status\":\"Server available\",\"upSince\":"
	                                    : "{\"status\":\"Server not available\",\"upSince\":");
	if (available)
		append_time(out, h->running_ns);
	else
		buffer_append_string(out, "\"0001-01-01T00:00:00Z\"");
	buffer_append_string(out, ",\"uptime\":\"");
	if (available)
		duration_format(out, (int64_t)(clock_monotonic_ns() - h->running_ns));
	buffer_append_string(out, "\"}");
}

/* Live and ready */

static void live_page(const struct health *h, struct page_response *response)
{
	bool live = health_is_live(h);

	response->status = live ? 200 : 503;
	buffer_append_string(&response->body, live ? "{\"live\":true}" : "{\"live\":false}");
}

__attribute__((format(printf, 2, 3))) static void reason(struct buffer *out, const char *format,
                                                         ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!out->failed && out->data[out->len - 1] != '[')
		buffer_append_byte(out, ',');
	append_text(out, text);
}

static void reasons_of_pipeline(const struct health *h, const struct health_pipeline *p,
                                struct buffer *out)
{
	for (const struct health_seat *s = p->seats; s; s = s->next)
		if (!health_part_is_healthy(h, s->part))
			reason(out, "pipeline %.200s: %s %.200s: %s%s%s", p->id, s->part->kind,
			       s->part->id, status_name(s->part->status),
			       *s->part->message ? ": " : "", s->part->message);
}

static void reasons(struct health *h, struct buffer *out)
{
	const struct health_pipeline *p;

	if (!health_is_live(h))
		reason(out, "a component met an error that ends the process");
	if (!h->running)
		reason(out, "not everything has started yet");
	if (h->stopping)
		reason(out, "shutting down");
	if (health_is_short_of_memory(h))
		reason(out, "memory is at its hard limit: %zu of %zu bytes are in use",
		       h->budget->used, h->budget->limit);
	LIST_FOR_EACH(p, &h->pipelines, link)
		reasons_of_pipeline(h, p, out);
}

static void ready_page(struct health *h, struct page_response *response)
{
	bool ready = health_is_ready(h), first = true;
	struct buffer *out = &response->body;
	const struct health_pipeline *p;

	response->status = ready ? 200 : 503;
	buffer_append_string(out, ready ? "{\"ready\":true,\"reasons\":["
	                                : "{\"ready\":false,\"reasons\":[");
	if (!ready)
		reasons(h, out);
	buffer_append_string(out, "],\"pipelines\":{");
	LIST_FOR_EACH(p, &h->pipelines, link) {
		buffer_append_string(out, first ? "" : ",");
		first = false;
		append_text(out, p->id);
		buffer_append_string(out, health_pipeline_is_ready(h, p) ? ":true" : ":false");
	}
	buffer_append_string(out, "}}");
}

/* Every component */

static void append_state(struct buffer *out, bool healthy, const struct health_part *part)
{
	buffer_printf(out, "\"healthy\":%s,\"status\":\"%s\",", healthy ? "true" : "false",
	              status_name(part->status));
	if (*part->message) {
		buffer_append_string(out, "\"error\":");
		append_text(out, part->message);
		buffer_append_byte(out, ',');
	}
	buffer_append_string(out, "\"status_time\":");
	append_time(out, part->since_ns);
}

/* "exporter:otlp": */
static void append_key(struct buffer *out, const char *kind, const char *id)
{
	struct buffer key = BUFFER_INIT;

	buffer_printf(&key, "%s:%s", kind, id);
	json_string_append(out, buffer_slice(&key));
	buffer_append_byte(out, ':');
	buffer_fini(&key);
}

/* The inside of a pipeline's object. */
static void append_pipeline(struct buffer *out, const struct health *h,
                            const struct health_pipeline *p, bool verbose)
{
	struct health_part sum = health_sum_up(p);

	append_state(out, health_pipeline_is_healthy(h, p), &sum);
	if (!verbose)
		return;
	buffer_append_string(out, ",\"components\":{");
	for (const struct health_seat *s = p->seats; s; s = s->next) {
		append_key(out, s->part->kind, s->part->id);
		buffer_append_byte(out, '{');
		append_state(out, health_part_is_healthy(h, s->part), s->part);
		buffer_append_string(out, s->next ? "}," : "}");
	}
	buffer_append_byte(out, '}');
}

/* The inside of the object for everything: the extensions, and every pipeline. */
static void append_all(struct buffer *out, const struct health *h, bool verbose)
{
	struct health_part sum = health_sum_up_all(h);
	const struct health_pipeline *p;

	append_state(out, health_all_is_healthy(h), &sum);
	if (!verbose)
		return;
	buffer_append_string(out, ",\"components\":{\"extensions\":{");
	append_pipeline(out, h, &h->extensions, true);
	LIST_FOR_EACH(p, &h->pipelines, link) {
		buffer_append_string(out, "},");
		append_key(out, "pipeline", p->id);
		buffer_append_byte(out, '{');
		append_pipeline(out, h, p, true);
	}
	buffer_append_string(out, "}}");
}

/* The value of a query's parameter; .data NULL: it is not there. */
static struct slice parameter(struct slice query, const char *name)
{
	const uint8_t *at = query.data, *end = at ? at + query.len : at;
	size_t len = strlen(name);

	while (at < end) {
		const uint8_t *stop = memchr(at, '&', (size_t)(end - at));
		stop = stop ? stop : end;
		if ((size_t)(stop - at) >= len && memcmp(at, name, len) == 0) {
			if (at + len == stop)
				return slice_of(stop, 0);
			if (at[len] == '=')
				return slice_of(at + len + 1, (size_t)(stop - at) - len - 1);
		}
		at = stop + 1;
	}
	return slice_of(NULL, 0);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In ret: text percent-decoded and cut to size; broken escapes stay. */
static struct slice decode(struct slice text, uint8_t *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len && n < size; i++) {
		const uint8_t *c = text.data + i;
		bool escape = *c == '%' && text.len - i > 2 && hex_digit(c[1]) >= 0 &&
		              hex_digit(c[2]) >= 0;
		ret[n++] = escape ? (uint8_t)(hex_digit(c[1]) << 4 | hex_digit(c[2])) : *c;
		i += escape ? 2 : 0;
	}
	return slice_of(ret, n);
}

/* As healthcheckv2 answers: what starts or stops is not available, what is broken is an error. */
static int status_code(bool healthy, enum component_status status)
{
	if (status == STATUS_STARTING || status >= STATUS_STOPPING)
		return 503;
	return healthy ? 200 : 500;
}

static void status_page(const struct health *h, struct slice query, struct page_response *response)
{
	struct slice wanted = parameter(query, "pipeline");
	bool verbose = !slice_equal(parameter(query, "verbose"), SLICE_LITERAL("false"));
	struct buffer *out = &response->body;
	const struct health_pipeline *p;
	uint8_t id[PIPELINE_ID_MAX];

	buffer_append_string(out, "{\"start_time\":");
	append_time(out, h->started_ns);
	buffer_append_byte(out, ',');
	if (!wanted.data) {
		append_all(out, h, verbose);
		response->status =
			status_code(health_all_is_healthy(h), health_sum_up_all(h).status);
	} else if ((p = health_find(h, decode(wanted, id, sizeof id)))) {
		append_pipeline(out, h, p, verbose);
		response->status =
			status_code(health_pipeline_is_healthy(h, p), health_sum_up(p).status);
	} else {
		buffer_append_string(out, "\"error\":\"there is no such pipeline\"");
		response->status = 404;
	}
	buffer_append_byte(out, '}');
}

/* As in the Collector, a path that ends in "/" stands for all below it. */
static bool stands_below(struct slice path, const char *folder)
{
	size_t len = strlen(folder);

	return len && folder[len - 1] == '/' && path.len >= len &&
	       memcmp(path.data, folder, len) == 0;
}

static bool is_path(const struct page_request *request, const char *path)
{
	return slice_equal(request->path, slice_from_string(path));
}

void health_check_page(struct health *health, const struct health_check_config *c,
                       const struct page_request *request, struct page_response *response)
{
	response->content_type = "application/json";
	if (!slice_equal(request->method, SLICE_LITERAL("GET")) &&
	    !slice_equal(request->method, SLICE_LITERAL("HEAD"))) {
		response->status = 405;
		buffer_append_string(&response->body, "{\"error\":\"only GET and HEAD\"}");
	} else if (is_path(request, c->path)) {
		collector_page(health, c, response);
	} else if (is_path(request, "/live")) {
		live_page(health, response);
	} else if (is_path(request, "/ready")) {
		ready_page(health, response);
	} else if (c->http.status.enabled && is_path(request, c->http.status.path)) {
		status_page(health, request->query, response);
	} else if (stands_below(request->path, c->path)) {
		collector_page(health, c, response);
	} else {
		response->status = 404;
		buffer_append_string(&response->body,
		                     "{\"error\":\"the pages are /live, /ready and those of the "
		                     "configuration\"}");
	}
	if (response->body.failed)
		buffer_clear(&response->body);
}
