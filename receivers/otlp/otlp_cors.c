#include "receivers/otlp/otlp_cors.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

/* Always takes the last * again when it comes to a mismatch: quadratic at worst, in texts that are
 * bounded by the header list. */
bool cors_match(const char *pattern, struct slice text)
{
	const char *star = NULL;
	size_t at = 0, star_at = 0;

	while (at < text.len) {
		if (*pattern == '*') {
			star = pattern++;
			star_at = at;
		} else if (*pattern && tolower((unsigned char)*pattern) == tolower(text.data[at])) {
			pattern++;
			at++;
		} else if (star) {
			pattern = star + 1;
			at = ++star_at;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

bool cors_init(struct cors *c, const struct otlp_cors_config *config)
{
	*c = (struct cors){.config = config};
	for (size_t i = 0; i < config->exposed_headers.count; i++) {
		if (i)
			buffer_append_string(&c->exposed, ", ");
		buffer_append_string(&c->exposed, config->exposed_headers.items[i]);
	}
	snprintf(c->max_age, sizeof c->max_age, "%" PRIu64, config->max_age);
	return !c->exposed.failed;
}

void cors_fini(struct cors *c)
{
	buffer_fini(&c->exposed);
}

static void add(struct cors_headers *h, const char *name, struct slice value)
{
	h->items[h->count++] = (struct http_header){slice_from_string(name), value, false};
}

static bool is_any(const struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], "*") == 0)
			return true;
	return false;
}

static bool origin_is_allowed(const struct otlp_cors_config *config, struct slice origin)
{
	for (size_t i = 0; i < config->allowed_origins.count; i++)
		if (cors_match(config->allowed_origins.items[i], origin))
			return true;
	return false;
}

/* Adds what makes the browser accept an answer; false when the origin is none that may. */
static bool add_origin(const struct cors *c, const struct http_exchange *x, struct cors_headers *h)
{
	struct slice origin;

	if (!http_exchange_header(x, "origin", &origin) || !origin_is_allowed(c->config, origin))
		return false;
	if (is_any(&c->config->allowed_origins)) {
		add(h, "access-control-allow-origin", SLICE_LITERAL("*"));
	} else {
		add(h, "access-control-allow-origin", origin);
		add(h, "access-control-allow-credentials", SLICE_LITERAL("true"));
	}
	return true;
}

bool cors_is_preflight(const struct http_exchange *x)
{
	struct slice ignored;

	return slice_equal(http_exchange_request(x)->method, SLICE_LITERAL("OPTIONS")) &&
	       http_exchange_header(x, "origin", &ignored) &&
	       http_exchange_header(x, "access-control-request-method", &ignored);
}

void cors_headers(const struct cors *c, const struct http_exchange *x, struct cors_headers *ret)
{
	ret->count = 0;
	if (!c->config->enabled)
		return;
	add(ret, "vary", SLICE_LITERAL("Origin"));
	if (add_origin(c, x, ret) && c->exposed.len > 0)
		add(ret, "access-control-expose-headers", buffer_slice(&c->exposed));
}

static bool header_is_allowed(const struct otlp_cors_config *config, struct slice name)
{
	/* What browsers let every page set, and what the Collector allows beside. */
	static const char *const always[] = {"accept",       "accept-language",  "content-language",
	                                     "content-type", "x-requested-with", "origin"};

	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		if (cors_match(always[i], name))
			return true;
	for (size_t i = 0; i < config->allowed_headers.count; i++)
		if (cors_match(config->allowed_headers.items[i], name))
			return true;
	return false;
}

/* A list of names, split on commas. */
static bool headers_are_allowed(const struct otlp_cors_config *config, struct slice list)
{
	size_t at = 0;

	while (at < list.len) {
		size_t end = at, last;

		while (end < list.len && list.data[end] != ',')
			end++;
		for (last = end; last > at && (list.data[last - 1] == ' '); last--)
			;
		while (at < last && list.data[at] == ' ')
			at++;
		if (last > at && !header_is_allowed(config, slice_of(list.data + at, last - at)))
			return false;
		at = end + 1;
	}
	return true;
}

void cors_preflight_headers(const struct cors *c, const struct http_exchange *x,
                            struct cors_headers *ret)
{
	struct slice method = {0}, headers = {0};

	*ret = (struct cors_headers){.count = 0};
	add(ret, "vary",
	    SLICE_LITERAL("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
	http_exchange_header(x, "access-control-request-method", &method);
	http_exchange_header(x, "access-control-request-headers", &headers);
	if (!slice_equal(method, SLICE_LITERAL("POST")) ||
	    !headers_are_allowed(c->config, headers) || !add_origin(c, x, ret))
		return;
	add(ret, "access-control-allow-methods", SLICE_LITERAL("POST"));
	if (headers.len > 0)
		add(ret, "access-control-allow-headers", headers);
	if (c->config->max_age > 0)
		add(ret, "access-control-max-age", slice_from_string(c->max_age));
}
