/* endpoint: where to listen or connect, as users of the Collector write it.
 *
 * Forms: host:port, :port, [v6]:port, http://host[:port], https://host[:port], dns:///host:port,
 * unix:///path, unix:path. A path after the authority is refused here (OTLP over gRPC has none). */
#ifndef WEIR_BASE_ENDPOINT_H
#define WEIR_BASE_ENDPOINT_H

#include "core/base/error.h"

#include <stdint.h>

enum endpoint_scheme { ENDPOINT_PLAIN, ENDPOINT_HTTP, ENDPOINT_HTTPS, ENDPOINT_UNIX };

struct endpoint {
	char text[280]; /* as written; "" when not set */
	char host[256]; /* name or address without brackets, "" for all addresses; for UNIX the
			   path */
	uint16_t port;  /* 0 when not given and the scheme has no default */
	enum endpoint_scheme scheme;
};

/* Returns 0, or -EINVAL with a sentence that names the text. */
int endpoint_parse(const char *text, struct endpoint *ret, struct error *error);

static inline bool endpoint_is_set(const struct endpoint *e)
{
	return e->text[0] != '\0';
}

#endif
