/* otlp_cors, private: which pages of other origins may send from a browser (the Fetch standard's CORS
 * protocol, with the Collector's rules). */
#ifndef WEIR_RECEIVERS_OTLP_CORS_H
#define WEIR_RECEIVERS_OTLP_CORS_H

#include "core/net/http_server.h"
#include "receivers/otlp/otlp_config.h"

enum { CORS_HEADERS_MAX = 6 };

struct cors_headers {
	struct http_header items[CORS_HEADERS_MAX];
	size_t count;
};

/* Whether pattern, in which * stands for any characters, is the whole text; letters in either
 * case. */
bool cors_match(const char *pattern, struct slice text);

/* Joined by commas, for the two lists that are sent. False: no memory. */
struct cors {
	const struct otlp_cors_config *config;
	struct buffer exposed;
	char max_age[24];
};
bool cors_init(struct cors *c, const struct otlp_cors_config *config);
void cors_fini(struct cors *c);

/* An OPTIONS request that asks before it sends (not any other OPTIONS). */
bool cors_is_preflight(const struct http_exchange *x);

/* What an answer to x carries beside its own headers; empty when CORS is off. Values lie in the
 * request and in c. */
void cors_headers(const struct cors *c, const struct http_exchange *x, struct cors_headers *ret);

/* The same for the answer to a preflight. Nothing is allowed that is not asked for. */
void cors_preflight_headers(const struct cors *c, const struct http_exchange *x,
                            struct cors_headers *ret);

#endif
