/* http_fields: the header fields of one request while they come in, then packed: one allocation for as
 * long as the request lives, nothing before and after.
 *
 * Failure sticks, as in core/base/buffer.h; a collection that has failed packs to NULL. */
#ifndef WEIR_NET_HTTP_FIELDS_H
#define WEIR_NET_HTTP_FIELDS_H

#include "core/base/buffer.h"
#include "core/net/http_header.h"

struct http_fields {
	struct buffer records; /* lengths, name, value; and so on */
	size_t n;
	size_t last; /* where the last record begins */
	size_t size; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts: names, values, 32 for each */
};

void http_fields_fini(struct http_fields *f); /* may be used again */

void http_fields_add(struct http_fields *f, struct slice name, struct slice value);

/* For fields that come in pieces: a new one, then its name, then its value. */
void http_fields_begin(struct http_fields *f);
void http_fields_add_name(struct http_fields *f, struct slice piece); /* to lower case */
void http_fields_add_value(struct http_fields *f, struct slice piece);

/* front zeroed bytes for the caller, with the fields in the same allocation behind them. White space
 * around values is cut off. NULL: no memory. */
void *http_fields_pack(const struct http_fields *f, size_t front, struct http_header **ret_headers);

#endif
