/* prometheus_page, private: /metrics of an exposition over HTTP.
 *
 * A scrape is a cursor over what is shown and, when the client takes gzip, a compressor: its body is
 * made piece by piece while it is sent (struct http_body_source), at most PAGE_PIECE plain bytes in
 * one turn of the loop. So a scrape costs some 300 KiB with gzip and 70 KiB without, whatever its
 * size. */
#ifndef WEIR_EXPORTERS_PROMETHEUS_PAGE_H
#define WEIR_EXPORTERS_PROMETHEUS_PAGE_H

#include "core/component.h"
#include "core/net/http_server.h"
#include "core/prometheus/exposition.h"

enum { PAGE_PIECE = 32 * 1024 };

/* Zeroed and with its first members set it is ready. */
struct page {
	struct exposition *exposition;
	const struct logger *log;
	struct component *authenticator; /* NULL: everybody may scrape */
	bool openmetrics, timestamps;
	unsigned max_scrapes;

	unsigned scrapes; /* under way */
	uint64_t answered[EXPOSITION_PROTOBUF + 1], broken, refused, unauthorized;
	uint64_t bytes;         /* as they are sent */
	uint64_t longest_piece; /* ns */
	uint64_t last_duration; /* ns, of a scrape from request to its last piece */
};

extern const struct http_handler page_http_handler; /* arg: the page */

#endif
