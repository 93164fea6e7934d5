/* http_header: one header field of a request or a response, as bytes that somebody else owns. */
#ifndef WEIR_NET_HTTP_HEADER_H
#define WEIR_NET_HTTP_HEADER_H

#include "core/base/slice.h"

#include <stdbool.h>

struct http_header {
	struct slice name, value; /* name in lower case */
	bool secret;              /* kept out of compression tables and logs */
};

#endif
